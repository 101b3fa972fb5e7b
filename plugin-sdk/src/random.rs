//! Chance. [`Generator`] draws inside the component, for what a plugin needs on every call; not for keys or secrets.

use crate::host;

/// A number from the host.
#[must_use]
pub fn number() -> u64 {
    host::random_number()
}

/// At most 4,096 bytes from the host; more is cut to that.
#[must_use]
pub fn bytes(length: u32) -> Vec<u8> {
    host::random_bytes(length)
}

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014), seeded once.
#[derive(Clone, Debug)]
pub struct Generator(u64);

impl Generator {
    /// Seeded by the host: different in every instance.
    #[must_use]
    pub fn new() -> Self {
        Self(number())
    }

    /// Seeded by hand, for tests.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 random bits.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 when it is 0. By multiplication (Lemire 2019) without its rejection step: the bias is below 2^-32.
    pub fn below(&mut self, bound: u32) -> u32 {
        (((self.draw() >> 32) * u64::from(bound)) >> 32) as u32
    }
}

impl Default for Generator {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers_of_split_mix() {
        let mut generator = Generator::seeded(1_234_567);
        assert_eq!(generator.draw(), 6_457_827_717_110_365_317);
        assert_eq!(generator.draw(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn draws_stay_below_the_bound() {
        let mut generator = Generator::seeded(7);
        let mut seen = [0; 3];
        for _ in 0..3000 {
            seen[generator.below(3) as usize] += 1;
        }
        assert!(
            seen.iter().all(|count| (900..1100).contains(count)),
            "{seen:?}"
        );
        assert_eq!(generator.below(0), 0);
    }
}
