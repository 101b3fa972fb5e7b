//! A weight set at run time: `5`, or `50%` of the written one.

use crate::config::{Percent, parse_percent};
use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};
use serde_json::Value;
use std::fmt;
use std::str::FromStr;

const ABSOLUTE_MAX: u32 = 256;
const PERCENT_MAX: Percent = Percent(10_000);

/// As the configuration's, and as HAProxy's `set server … weight`, except that a share is at most all.
const FORM: &str = "a weight is a whole number from 0 to 256, or a share of the written weight from 0% to 100%, such as \"50%\"";

/// An endpoint's weight, while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// 0 to 256; 0 takes only what is bound to it.
    Absolute(u32),
    /// Of the weight that is written down, 0 to 100 %.
    Percent(Percent),
}

impl Weight {
    /// As a request carries it: a number, or a string with its sign.
    pub fn to_json(self) -> Value {
        match self {
            Weight::Absolute(weight) => Value::from(weight),
            Weight::Percent(Percent(hundredths)) => {
                Value::from(format!("{}.{:02}%", hundredths / 100, hundredths % 100))
            }
        }
    }

    fn absolute(number: u64) -> Result<Weight, String> {
        let number = u32::try_from(number).ok();
        let number = number.filter(|number| *number <= ABSOLUTE_MAX);
        number.map(Weight::Absolute).ok_or_else(|| FORM.to_owned())
    }

    fn percent(text: &str) -> Result<Weight, String> {
        let percent = parse_percent(text).ok();
        let percent = percent.filter(|percent| *percent <= PERCENT_MAX);
        percent.map(Weight::Percent).ok_or_else(|| FORM.to_owned())
    }
}

impl FromStr for Weight {
    type Err = String;

    fn from_str(text: &str) -> Result<Weight, String> {
        if text.ends_with('%') {
            return Weight::percent(text);
        }
        let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let number = is_number.then(|| text.parse().ok()).flatten();
        Weight::absolute(number.ok_or_else(|| FORM.to_owned())?)
    }
}

impl<'de> Deserialize<'de> for Weight {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Weight, D::Error> {
        deserializer.deserialize_any(WeightVisitor)
    }
}

struct WeightVisitor;

impl Visitor<'_> for WeightVisitor {
    type Value = Weight;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(FORM)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Weight, E> {
        let wrong = |_| E::invalid_value(Unexpected::Unsigned(number), &self);
        Weight::absolute(number).map_err(wrong)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Weight, E> {
        let wrong = |_| E::invalid_value(Unexpected::Str(text), &self);
        Weight::percent(text).map_err(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_is_a_number_or_a_share() {
        let percent = |hundredths| Some(Weight::Percent(Percent(hundredths)));
        for (text, expected) in [
            ("0", Some(Weight::Absolute(0))),
            ("256", Some(Weight::Absolute(256))),
            ("257", None),
            ("18446744073709551616", None),
            ("0%", percent(0)),
            ("50%", percent(5_000)),
            ("12.5%", percent(1_250)),
            ("100%", percent(10_000)),
            ("100.01%", None),
            ("-1", None),
            ("+1", None),
            ("1.5", None),
            ("five", None),
            ("%", None),
            ("", None),
        ] {
            assert_eq!(text.parse::<Weight>().ok(), expected, "{text}");
        }
    }

    #[test]
    fn json_says_which_it_is_by_its_type() {
        for (json, expected) in [
            ("5", Some(Weight::Absolute(5))),
            ("257", None),
            ("-5", None),
            ("5.0", None),
            ("\"5%\"", Some(Weight::Percent(Percent(500)))),
            ("\"5\"", None),
            ("true", None),
            ("null", None),
            ("[5]", None),
        ] {
            assert_eq!(serde_json::from_str(json).ok(), expected, "{json}");
        }
    }

    #[test]
    fn what_is_sent_is_understood() {
        for text in ["0", "256", "0%", "0.05%", "12.5%", "100%"] {
            let weight: Weight = text.parse().expect("it is a weight");
            let read = serde_json::from_value(weight.to_json());
            assert_eq!(read.ok(), Some(weight), "{text}");
        }
    }
}
