//! A digest over parts, to tell whether two compiled things are alike.

use sha2::{Digest as _, Sha256};

/// SHA-256 over parts that cannot run into each other.
#[derive(Debug, Clone)]
pub(super) struct Digest(Sha256);

impl Digest {
    pub(super) fn new() -> Digest {
        Digest(Sha256::new())
    }

    pub(super) fn add(&mut self, part: &[u8]) {
        self.0.update((part.len() as u64).to_le_bytes());
        self.0.update(part);
    }

    pub(super) fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }

    /// The first 64 bits: enough among the settings of one operator.
    pub(super) fn finish_short(self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.finish();
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }
}

/// SHA-256 of `bytes`, hexadecimal, lower case.
pub(super) fn fingerprint(bytes: &[u8]) -> Box<str> {
    hex(&Sha256::digest(bytes))
}

/// Hexadecimal, lower case.
pub(super) fn hex(bytes: &[u8]) -> Box<str> {
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
    let digits = bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
    digits.collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(parts: &[&[u8]]) -> u64 {
        let mut digest = Digest::new();
        for part in parts {
            digest.add(part);
        }
        digest.finish_short()
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_eq!(of(&[b"ab", b"c"]), of(&[b"ab", b"c"]));
        assert_ne!(of(&[b"ab", b"c"]), of(&[b"a", b"bc"]));
        assert_ne!(of(&[b"ab"]), of(&[b"ab", b""]));
    }

    #[test]
    fn hexadecimal_is_lower_case_and_keeps_zeros() {
        assert_eq!(&*hex(&[0, 0x0f, 0xa0, 0xff]), "000fa0ff");
    }
}
