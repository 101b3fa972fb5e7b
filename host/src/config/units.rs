//! Durations and sizes that carry their unit: `250ms`, `64KiB`.

use std::time::Duration;

/// Parses a whole number with one of `ns`, `us`, `ms`, `s`, `m`, `h`: `"250ms"`, `"1h"`.
///
/// # Errors
/// A sentence that says which form is expected.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let nanoseconds = parse(text, DURATION_UNITS, DURATION_FORM)?;
    Ok(Duration::from_nanos(nanoseconds))
}

/// Parses a whole number of bytes with one of `B`, `KB`, `MB`, `GB` (powers of 1000), `KiB`, `MiB`, `GiB` (powers of 1024).
///
/// # Errors
/// A sentence that says which form is expected.
pub fn parse_size(text: &str) -> Result<u64, String> {
    parse(text, SIZE_UNITS, SIZE_FORM)
}

/// For messages about a value that is no string.
pub(super) const DURATION_FORM: &str =
    "a duration is a whole number with its unit, such as \"250ms\", \"10s\", \"5m\" or \"1h\"";
pub(super) const SIZE_FORM: &str =
    "a size is a whole number with its unit, such as \"512B\", \"64KiB\", \"16MiB\" or \"1GiB\"";

const DURATION_UNITS: &[(&str, u64)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60 * 1_000_000_000),
    ("h", 3600 * 1_000_000_000),
];

const SIZE_UNITS: &[(&str, u64)] = &[
    ("B", 1),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

fn parse(text: &str, units: &[(&str, u64)], form: &str) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    if number.is_empty() {
        return Err(form.to_owned());
    }
    let factor = units
        .iter()
        .find(|(name, _)| *name == unit)
        .map(|(_, factor)| *factor)
        .ok_or_else(|| form.to_owned())?;
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(factor))
        .ok_or_else(|| format!("`{text}` is too large"))
}

/// The duration in the largest unit that divides it: `1m`, `90s`.
pub(super) fn show_duration(duration: Duration) -> String {
    let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    show(nanoseconds, DURATION_UNITS, "0s")
}

/// The size in the largest power of 1024 that divides it: `64KiB`.
pub(super) fn show_size(bytes: u64) -> String {
    let binary: Vec<_> = SIZE_UNITS
        .iter()
        .copied()
        .filter(|(_, factor)| factor.is_power_of_two())
        .collect();
    show(bytes, &binary, "0B")
}

fn show(value: u64, units: &[(&str, u64)], zero: &str) -> String {
    units
        .iter()
        .rev()
        .find(|(_, factor)| value != 0 && value.is_multiple_of(*factor))
        .map_or(zero.to_owned(), |(unit, factor)| {
            format!("{}{unit}", value / factor)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit() {
        for (text, expected) in [
            ("250ms", Some(Duration::from_millis(250))),
            ("0s", Some(Duration::ZERO)),
            ("7ns", Some(Duration::from_nanos(7))),
            ("3us", Some(Duration::from_micros(3))),
            ("5m", Some(Duration::from_secs(300))),
            ("1h", Some(Duration::from_secs(3600))),
            ("10", None),
            ("s", None),
            ("-1s", None),
            ("1.5s", None),
            ("1 s", None),
            ("1S", None),
            ("", None),
            ("5124095h", Some(Duration::from_secs(5_124_095 * 3600))),
            ("5124096h", None),
            ("99999999999999999999s", None),
        ] {
            assert_eq!(parse_duration(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn sizes_need_a_unit() {
        for (text, expected) in [
            ("512B", Some(512)),
            ("10KB", Some(10_000)),
            ("64KiB", Some(65_536)),
            ("16MiB", Some(16 << 20)),
            ("1GiB", Some(1 << 30)),
            ("2MB", Some(2_000_000)),
            ("64", None),
            ("64kib", None),
            ("64K", None),
            ("17179869184GiB", None),
        ] {
            assert_eq!(parse_size(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn values_are_shown_as_they_would_be_written() {
        assert_eq!(show_duration(Duration::from_secs(60)), "1m");
        assert_eq!(show_duration(Duration::from_secs(90)), "90s");
        assert_eq!(show_duration(Duration::ZERO), "0s");
        assert_eq!(show_size(64 << 10), "64KiB");
        assert_eq!(show_size(1000), "1000B");
    }
}
