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

/// Indices drawn with the chance of their weights: for the power of two choices (Mitzenmacher 2001).
///
/// Drawn evenly, an endpoint of weight 100 among ninety-nine of weight 1 would be looked at by only two requests in a hundred, and could
/// never get its half. A draw costs a binary search in the running sums of the weights, whatever their number.
#[derive(Clone, Debug, Default)]
pub struct Weights {
    sums: Vec<u32>,
}

impl Weights {
    /// Weights in the order of the indices; their sum is cut at `u32::MAX`.
    #[must_use]
    pub fn new(weights: impl IntoIterator<Item = u32>) -> Self {
        let running = |sum: &mut u32, weight: u32| {
            *sum = sum.saturating_add(weight);
            Some(*sum)
        };
        Weights {
            sums: weights.into_iter().scan(0, running).collect(),
        }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.sums.len()
    }

    /// The weight at an index; 0 beyond the last.
    #[must_use]
    pub fn weight(&self, index: usize) -> u32 {
        let sum = self.sums.get(index);
        sum.map_or(0, |sum| sum - self.start(index))
    }

    /// Two different indices; the same twice when there is but one; none without any.
    pub fn two(&self, generator: &mut Generator) -> Option<(usize, usize)> {
        let total = *self.sums.last()?;
        let first = self.at(generator.below(total));
        let weight = self.weight(first);
        if total == weight {
            return Some((first, first));
        }
        // The second is drawn from what is left when the first is cut out of the sums.
        let point = generator.below(total - weight);
        let cut = if point < self.start(first) { 0 } else { weight };
        Some((first, self.at(point + cut)))
    }

    /// The index whose share of the sums holds this point; the last when the point lies beyond.
    fn at(&self, point: u32) -> usize {
        self.sums
            .partition_point(|sum| *sum <= point)
            .min(self.sums.len() - 1)
    }

    fn start(&self, index: usize) -> u32 {
        index.checked_sub(1).map_or(0, |before| self.sums[before])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_differ_and_the_first_follows_the_weights() {
        for weights in [[1, 2, 7], [100, 200, 700]] {
            let weights = Weights::new(weights);
            let mut generator = Generator::seeded(5);
            let mut firsts = [0; 3];
            for _ in 0..10_000 {
                let (first, second) = weights.two(&mut generator).expect("there are some");
                assert_ne!(first, second);
                firsts[first] += 1;
            }
            for (share, expected) in firsts.iter().zip([1000, 2000, 7000]) {
                assert!(
                    (expected - 200..expected + 200).contains(share),
                    "{firsts:?}"
                );
            }
        }
    }

    #[test]
    fn any_weights_give_indices_that_there_are() {
        let mut generator = Generator::seeded(9);
        assert_eq!(Weights::default().two(&mut generator), None);
        assert_eq!(Weights::new([5]).two(&mut generator), Some((0, 0)));
        assert_eq!(Weights::new([5]).weight(1), 0);
        for _ in 0..1000 {
            let count = 1 + generator.below(9) as usize;
            let weights: Vec<u32> = (0..count).map(|_| 1 + generator.below(25_600)).collect();
            let drawn = Weights::new(weights).two(&mut generator);
            let (first, second) = drawn.expect("there are some");
            assert!(first < count && second < count && (count == 1 || first != second));
        }
    }

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
