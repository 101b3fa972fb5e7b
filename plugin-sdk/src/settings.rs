//! Typed settings: a Rust type says the shape (for the schema), reads itself from JSON, and reports every error at its place.

mod error;
mod rate;
mod standard;
mod units;

use std::cell::Cell;

use crate::json::Json;
use crate::schema::Schema;

pub use error::{Errors, SettingsError, Step};
pub use rate::Rate;
pub use units::Size;

/// A type that settings can be written in.
///
/// `#[derive(Settings)]` implements it for structs with named fields (an object) and for enums of plain variants (one of these strings).
/// Names become kebab-case; a field's doc comment becomes its description in the schema. On a field:
///
/// | attribute | meaning |
/// |---|---|
/// | `#[setting(default = 403)]` | used when absent; a literal, as it would stand in JSON (also for an enum: `default = "deny"`) |
/// | `#[setting(range = 200..=599)]` | bounds of a whole number |
/// | `#[setting(argument)]` | filled by the positional argument of the KDL node; several such fields in their order |
/// | `#[setting(name = "not")]` | another name |
/// | `#[setting(flatten)]` | a struct whose members stand among this one's |
///
/// Absent means `None` for `Option`, empty for `Vec`, `false` for `bool`; anything else without a default is required.
///
/// ```
/// use tollgate_plugin_sdk::Settings;
///
/// #[derive(Settings)]
/// struct Limit {
///     /// Requests a second.
///     #[setting(default = 100, range = 1..=1000000)]
///     rate: u32,
///     /// Only these methods; all when empty.
///     method: Vec<String>,
/// }
/// ```
pub trait Settings: Sized {
    /// The shape of the value.
    const SCHEMA: Schema;
    /// Whether it may be absent without a default.
    const OPTIONAL: bool = false;

    /// Reads the value. What is wrong goes to `errors`, at the pointer that they hold; none is returned exactly when something was wrong.
    fn read(json: &Json, errors: &mut Errors) -> Option<Self>;

    /// Reads the members of an object that may have others too; for `flatten`.
    #[doc(hidden)]
    fn read_members(json: &Json, errors: &mut Errors) -> Option<Self> {
        Self::read(json, errors)
    }

    /// The value of an absent setting, for optional types.
    fn absent() -> Option<Self> {
        None
    }
}

/// Reads whole settings from the text that the host hands over.
///
/// # Errors
/// Everything that is wrong, each with its JSON pointer.
pub fn from_text<S: Settings>(text: &str) -> Result<S, Errors> {
    DIGEST.set(fnv_1a(text.as_bytes()));
    let mut errors = Errors::new();
    let json = match Json::parse(text) {
        Ok(json) => json,
        Err(error) => {
            errors.add(format!("the settings are not JSON: {error}"));
            return Err(errors);
        }
    };
    match S::read(&json, &mut errors) {
        Some(settings) if errors.is_empty() => Ok(settings),
        _ => Err(errors),
    }
}

/// A number made from the settings that were read last: the same for the same text. For names that two uses of one plugin must not share,
/// such as a tag that its request phase leaves for its response phase.
#[must_use]
pub fn digest() -> u64 {
    DIGEST.get()
}

thread_local! {
    static DIGEST: Cell<u64> = const { Cell::new(0) };
}

/// FNV-1a, 64 bit (Fowler, Noll, Vo).
fn fnv_1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Reads one member of an object; the derived code calls it.
#[doc(hidden)]
pub fn read_member<S: Settings>(
    object: &Json,
    name: &'static str,
    default: Option<&str>,
    errors: &mut Errors,
) -> Option<S> {
    if let Some(value) = object.member(name) {
        return errors.inside(name, |errors| S::read(value, errors));
    }
    if let Some(default) = default {
        let default = Json::parse(default).ok()?;
        return errors.inside(name, |errors| S::read(&default, errors));
    }
    let absent = S::absent();
    if absent.is_none() {
        errors.add(format!("`{name}` is missing"));
    }
    absent
}

/// Reports members that the schema does not know; the derived code calls it.
#[doc(hidden)]
pub fn check_members(object: &Json, schema: &Schema, errors: &mut Errors) -> bool {
    let Json::Object(members) = object else {
        errors.expected("an object", object);
        return false;
    };
    for (name, _) in members.iter().filter(|(name, _)| !schema.has_member(name)) {
        errors.inside(name, |errors| {
            errors.add(format!("unknown setting `{name}`"))
        });
    }
    true
}

/// Checks the bounds that an attribute set; the derived code calls it.
#[doc(hidden)]
pub fn check_range(object: &Json, name: &str, minimum: i64, maximum: i64, errors: &mut Errors) {
    let Some(Json::Number(written)) = object.member(name) else {
        return;
    };
    if let Ok(number) = written.parse::<i64>()
        && !(minimum..=maximum).contains(&number)
    {
        errors.inside(name, |errors| {
            errors.add(format!("{number} is not within {minimum} to {maximum}"))
        });
    }
}

/// Reads one of the strings of an enum; the derived code calls it.
#[doc(hidden)]
pub fn read_choice(json: &Json, choices: &[&str], errors: &mut Errors) -> Option<usize> {
    let Json::Text(text) = json else {
        errors.expected("a string", json);
        return None;
    };
    let found = choices.iter().position(|choice| choice == text);
    if found.is_none() {
        errors.add(format!("`{text}` is not one of {}", choices.join(", ")));
    }
    found
}

#[cfg(test)]
mod tests {
    use tollgate_plugin_sdk_derive::Settings;

    use super::*;

    #[derive(Debug, PartialEq, Settings)]
    enum Action {
        Deny,
        #[setting(name = "let-in")]
        Allow,
    }

    #[derive(Debug, PartialEq, Settings)]
    struct Inner {
        #[setting(argument)]
        word: String,
    }

    #[derive(Debug, PartialEq, Settings)]
    struct Outer {
        /// What to do.
        #[setting(default = "let-in")]
        action: Action,
        #[setting(range = 1..=10)]
        json: Option<i64>,
        #[setting(flatten)]
        inner: Inner,
        pairs: Vec<(String, Option<bool>)>,
        on: bool,
    }

    #[test]
    fn derived_settings_are_read() {
        let text = r#"{"action":"deny","json":10,"word":"w","pairs":[["a"],["b",true]]}"#;
        let expected = Outer {
            action: Action::Deny,
            json: Some(10),
            inner: Inner { word: "w".into() },
            pairs: vec![("a".into(), None), ("b".into(), Some(true))],
            on: false,
        };
        assert_eq!(from_text::<Outer>(text), Ok(expected));
        let least = from_text::<Outer>(r#"{"word":""}"#).expect("all else has a default");
        assert_eq!((least.action, least.json), (Action::Allow, None));
    }

    #[test]
    fn every_error_is_reported_with_its_pointer() {
        let text =
            r#"{"action":"x","json":11,"pairs":[["a",1],[],["a",true,1]],"on":null,"other":1}"#;
        let errors = from_text::<Outer>(text).expect_err("much is wrong");
        let found: Vec<_> = errors.iter().map(|error| error.pointer.as_str()).collect();
        assert_eq!(
            found,
            [
                "/other",
                "/action",
                "/json",
                "",
                "/pairs/0/1",
                "/pairs/1",
                "/pairs/2",
                "/on"
            ]
        );
        for text in ["[]", "{", ""] {
            assert!(from_text::<Outer>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn digests_tell_settings_apart() {
        let digest_of = |text| {
            let _ = from_text::<Outer>(text);
            digest()
        };
        assert_eq!(digest_of("{}"), digest_of("{}"));
        assert_ne!(digest_of("{}"), digest_of("[]"));
        assert_eq!(fnv_1a(b"a"), 0xaf63_dc4c_8601_ec8c);
    }
}
