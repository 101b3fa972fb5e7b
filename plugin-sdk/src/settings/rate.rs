//! A rate: how many in how much time, `100/1m`.

use std::time::Duration;

use super::{Errors, Settings};
use crate::json::Json;
use crate::schema::Schema;

/// Most of a rate.
const COUNT_MAX: u64 = 1_000_000_000;

/// So many in so much time, written `100/1m`; neither is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many: 1 to 1,000,000,000.
    pub count: u64,
    /// In this time.
    pub period: Duration,
}

impl Settings for Rate {
    const SCHEMA: Schema = Schema::Text { format: None };

    fn read(json: &Json, errors: &mut Errors) -> Option<Self> {
        let text = String::read(json, errors)?;
        let Some((count, period)) = text.split_once('/') else {
            errors.add(format!(
                "`{text}` is not a rate: expected a number and a time, such as `100/1m`"
            ));
            return None;
        };
        let period = Duration::read(&Json::Text(period.to_owned()), errors)?;
        if period.is_zero() {
            errors.add("a rate has a time above zero, such as `100/1m`");
            return None;
        }
        let count = count.parse().ok();
        let Some(count) = count.filter(|count| (1..=COUNT_MAX).contains(count)) else {
            errors.add(format!(
                "a rate begins with a whole number from 1 to {COUNT_MAX}, such as `100/1m`"
            ));
            return None;
        };
        Some(Rate { count, period })
    }
}
