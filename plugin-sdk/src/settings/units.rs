//! Durations and sizes, which carry their unit in the value: `250ms`, `64KiB`.

use std::time::Duration;

use super::{Errors, Settings};
use crate::json::Json;
use crate::schema::Schema;

impl Settings for Duration {
    const SCHEMA: Schema = Schema::Text {
        format: Some("duration"),
    };

    fn read(json: &Json, errors: &mut Errors) -> Option<Self> {
        let units = [
            ("ns", 1),
            ("us", 1_000),
            ("ms", 1_000_000),
            ("s", 1_000_000_000),
            ("m", 60_000_000_000),
            ("h", 3_600_000_000_000),
        ];
        quantity(json, &units, "a duration such as `250ms` or `10s`", errors)
            .map(Duration::from_nanos)
    }
}

/// A number of bytes, written `512B`, `64KiB`, `16MiB`, `1GiB`, or in powers of ten `10KB`, `1MB`, `1GB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

impl Settings for Size {
    const SCHEMA: Schema = Schema::Text {
        format: Some("size"),
    };

    fn read(json: &Json, errors: &mut Errors) -> Option<Self> {
        let units = [
            ("B", 1),
            ("KB", 1_000),
            ("MB", 1_000_000),
            ("GB", 1_000_000_000),
            ("KiB", 1 << 10),
            ("MiB", 1 << 20),
            ("GiB", 1 << 30),
        ];
        quantity(json, &units, "a size such as `64KiB` or `16MiB`", errors).map(Size)
    }
}

fn quantity(
    json: &Json,
    units: &[(&str, u64)],
    expected: &str,
    errors: &mut Errors,
) -> Option<u64> {
    let Json::Text(text) = json else {
        errors.expected(expected, json);
        return None;
    };
    let quantity = parse(text, units);
    if quantity.is_none() {
        errors.add(format!("expected {expected}, found `{text}`"));
    }
    quantity
}

fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_need_a_unit_and_must_fit() {
        let units = [("s", 1_000), ("h", u64::MAX)];
        let cases = [
            ("10s", Some(10_000)),
            ("0s", Some(0)),
            ("1h", Some(u64::MAX)),
            ("2h", None),
            ("10", None),
            ("s", None),
            ("-1s", None),
            ("1 s", None),
            ("1.5s", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text, &units), expected, "{text}");
        }
    }
}
