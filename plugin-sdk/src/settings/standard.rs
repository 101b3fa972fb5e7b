//! Settings in plain types: booleans, numbers, strings, options, lists, pairs.

use super::{Errors, Settings};
use crate::json::Json;
use crate::schema::Schema;

impl Settings for Json {
    const SCHEMA: Schema = Schema::Any;

    fn read(json: &Json, _: &mut Errors) -> Option<Self> {
        Some(json.clone())
    }
}

impl Settings for bool {
    const SCHEMA: Schema = Schema::Boolean;
    const OPTIONAL: bool = true;

    fn read(json: &Json, errors: &mut Errors) -> Option<Self> {
        match json {
            Json::Bool(value) => Some(*value),
            other => {
                errors.expected("a boolean", other);
                None
            }
        }
    }

    fn absent() -> Option<Self> {
        Some(false)
    }
}

macro_rules! integers {
    ($($type:ty: $minimum:expr, $maximum:expr;)*) => {$(
        impl Settings for $type {
            const SCHEMA: Schema = Schema::Integer { minimum: $minimum, maximum: $maximum };

            fn read(json: &Json, errors: &mut Errors) -> Option<Self> {
                integer(json, $minimum, $maximum, errors).and_then(|number| number.try_into().ok())
            }
        }
    )*};
}

integers! {
    u8: 0, u8::MAX as i64;
    u16: 0, u16::MAX as i64;
    u32: 0, u32::MAX as i64;
    u64: 0, i64::MAX;
    i32: i32::MIN as i64, i32::MAX as i64;
    i64: i64::MIN, i64::MAX;
}

fn integer(json: &Json, minimum: i64, maximum: i64, errors: &mut Errors) -> Option<i64> {
    let Json::Number(written) = json else {
        errors.expected("a whole number", json);
        return None;
    };
    match written.parse::<i64>() {
        Ok(number) if (minimum..=maximum).contains(&number) => Some(number),
        _ => {
            errors.add(format!(
                "{written} is not a whole number within {minimum} to {maximum}"
            ));
            None
        }
    }
}

impl Settings for f64 {
    const SCHEMA: Schema = Schema::Number;

    fn read(json: &Json, errors: &mut Errors) -> Option<Self> {
        match json {
            Json::Number(written) => written.parse().ok(),
            other => {
                errors.expected("a number", other);
                None
            }
        }
    }
}

impl Settings for String {
    const SCHEMA: Schema = Schema::Text { format: None };

    fn read(json: &Json, errors: &mut Errors) -> Option<Self> {
        match json {
            Json::Text(text) => Some(text.clone()),
            other => {
                errors.expected("a string", other);
                None
            }
        }
    }
}

impl<S: Settings> Settings for Option<S> {
    const SCHEMA: Schema = S::SCHEMA;
    const OPTIONAL: bool = true;

    fn read(json: &Json, errors: &mut Errors) -> Option<Self> {
        match json {
            Json::Null => Some(None),
            other => S::read(other, errors).map(Some),
        }
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

impl<S: Settings> Settings for Vec<S> {
    const SCHEMA: Schema = Schema::List(&S::SCHEMA);
    const OPTIONAL: bool = true;

    fn read(json: &Json, errors: &mut Errors) -> Option<Self> {
        let items = array(json, errors)?;
        let read: Vec<S> = items
            .iter()
            .enumerate()
            .filter_map(|(index, item)| errors.inside(index, |errors| S::read(item, errors)))
            .collect();
        (read.len() == items.len()).then_some(read)
    }

    fn absent() -> Option<Self> {
        Some(Vec::new())
    }
}

/// Two arguments of one node. The second may be left out when it is optional.
impl<A: Settings, B: Settings> Settings for (A, B) {
    const SCHEMA: Schema = Schema::Tuple {
        items: &[A::SCHEMA, B::SCHEMA],
        required: if B::OPTIONAL { 1 } else { 2 },
    };

    fn read(json: &Json, errors: &mut Errors) -> Option<Self> {
        let items = array(json, errors)?;
        if items.len() > 2 {
            errors.add(format!(
                "expected at most two values, found {}",
                items.len()
            ));
            return None;
        }
        let first = item(items, 0, errors);
        let second = item(items, 1, errors);
        Some((first?, second?))
    }
}

/// Three arguments of one node.
impl<A: Settings, B: Settings, C: Settings> Settings for (A, B, C) {
    const SCHEMA: Schema = Schema::Tuple {
        items: &[A::SCHEMA, B::SCHEMA, C::SCHEMA],
        required: if C::OPTIONAL { 2 } else { 3 },
    };

    fn read(json: &Json, errors: &mut Errors) -> Option<Self> {
        let items = array(json, errors)?;
        if items.len() > 3 {
            errors.add(format!(
                "expected at most three values, found {}",
                items.len()
            ));
            return None;
        }
        let (first, second) = (item(items, 0, errors), item(items, 1, errors));
        let third = item(items, 2, errors);
        Some((first?, second?, third?))
    }
}

fn array<'a>(json: &'a Json, errors: &mut Errors) -> Option<&'a [Json]> {
    match json {
        Json::Array(items) => Some(items),
        other => {
            errors.expected("a list", other);
            None
        }
    }
}

fn item<S: Settings>(items: &[Json], index: usize, errors: &mut Errors) -> Option<S> {
    match items.get(index) {
        Some(value) => errors.inside(index, |errors| S::read(value, errors)),
        None => {
            let absent = S::absent();
            if absent.is_none() {
                errors.add(format!("value number {} is missing", index + 1));
            }
            absent
        }
    }
}
