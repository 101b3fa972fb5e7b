//! Whether finished settings are valid, by the `jsonschema` crate for draft 2020-12; in words for the operator, each at its place.

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use serde_json::Value;

use super::Settings;
use crate::config::suggest::{did_you_mean, one_of};
use crate::config::{Diagnostics, Place};

/// Reports whatever the schema has against the settings, except about what is in `reported` already.
pub(super) fn check(
    schema: &Value,
    settings: &Settings,
    reported: &[String],
    plugin: &str,
    diagnostics: &mut Diagnostics,
) {
    let validator = jsonschema::options()
        .with_draft(jsonschema::Draft::Draft202012)
        .build(schema);
    let validator = match validator {
        Ok(validator) => validator,
        Err(error) => {
            let message =
                format!("the settings schema that `{plugin}` carries is not valid: {error}");
            diagnostics.error(settings.node, message, None);
            return;
        }
    };
    let mut report = Report {
        settings,
        reported,
        diagnostics,
    };
    for error in validator.iter_errors(&settings.json) {
        report.error(&error);
    }
}

struct Report<'a> {
    settings: &'a Settings,
    reported: &'a [String],
    diagnostics: &'a mut Diagnostics,
}

impl Report<'_> {
    fn error(&mut self, error: &ValidationError<'_>) {
        let pointer = error.instance_path().as_str();
        if self.is_reported(pointer) {
            return;
        }
        let place = self.settings.place_of(pointer);
        match error.kind() {
            Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
                self.alternatives(context, error.instance(), pointer, place);
            }
            Kind::AdditionalProperties { unexpected }
            | Kind::UnevaluatedProperties { unexpected } => {
                for name in unexpected {
                    let place = self.settings.place_of(&format!("{pointer}/{name}"));
                    self.push(place, format!("unknown setting `{name}`"), None);
                }
            }
            Kind::Enum { options } => self.not_in_enum(options, error.instance(), place),
            kind => self.push(place, describe(kind, error), None),
        }
    }

    /// Something was said about this value, about one around it, or about one in it.
    fn is_reported(&self, pointer: &str) -> bool {
        let within = |inner: &str, outer: &str| {
            inner
                .strip_prefix(outer)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.reported.iter().any(|reported| {
            within(pointer, reported) || (within(reported, pointer) && !pointer.is_empty())
        })
    }

    /// Of several alternatives, the reasons of the one that came furthest, when there is one.
    fn alternatives(
        &mut self,
        context: &[Vec<ValidationError<'static>>],
        found: &Value,
        pointer: &str,
        place: Place,
    ) {
        let came_further: Vec<_> = context
            .iter()
            .filter(|errors| {
                !errors
                    .iter()
                    .any(|error| is_mismatch(error) && error.instance_path().as_str() == pointer)
            })
            .collect();
        match came_further.as_slice() {
            [errors] => errors.iter().for_each(|error| self.error(error)),
            _ => {
                let forms: Option<Vec<String>> =
                    context.iter().map(|errors| form(errors)).collect();
                let message = match forms {
                    Some(mut forms) => {
                        forms.dedup();
                        format!("expected {}, found {}", forms.join(" or "), shown(found))
                    }
                    None => format!("{} fits none of the forms this setting has", shown(found)),
                };
                self.push(place, message, None);
            }
        }
    }

    fn not_in_enum(&mut self, options: &Value, found: &Value, place: Place) {
        let options = options.as_array().map(Vec::as_slice).unwrap_or_default();
        let words: Vec<String> = options.iter().map(plain).collect();
        let words = || words.iter().map(String::as_str);
        let message = format!("expected {}, found {}", one_of(words()), shown(found));
        let help = found
            .as_str()
            .and_then(|found| did_you_mean(found, words()));
        self.push(place, message, help);
    }

    fn push(&mut self, place: Place, message: String, help: Option<String>) {
        self.diagnostics.error(place, message, help);
    }
}

/// What an alternative expects, as far as its first reason tells.
fn form(errors: &[ValidationError<'static>]) -> Option<String> {
    match errors.first()?.kind() {
        Kind::Type { kind } => Some(type_names(kind)),
        Kind::Constant { expected_value } => Some(format!("`{}`", plain(expected_value))),
        Kind::Enum { options } => {
            let words: Vec<String> = options.as_array()?.iter().map(plain).collect();
            Some(one_of(words.iter().map(String::as_str)))
        }
        _ => None,
    }
}

/// The value is of another sort altogether, so that this alternative was not meant.
fn is_mismatch(error: &ValidationError<'_>) -> bool {
    matches!(error.kind().keyword(), "type" | "const" | "enum")
}

fn describe(kind: &Kind, error: &ValidationError<'_>) -> String {
    let found = shown(error.instance());
    match kind {
        Kind::Required { property } => format!("the setting `{}` is missing", plain(property)),
        Kind::Type { kind } => format!("expected {}, found {found}", type_names(kind)),
        Kind::Minimum { limit } => format!("expected {limit} or more, found {found}"),
        Kind::Maximum { limit } => format!("expected {limit} or less, found {found}"),
        Kind::ExclusiveMinimum { limit } => format!("expected more than {limit}, found {found}"),
        Kind::ExclusiveMaximum { limit } => format!("expected less than {limit}, found {found}"),
        Kind::MultipleOf { multiple_of } => {
            format!("expected a multiple of {multiple_of}, found {found}")
        }
        Kind::MinLength { limit } => format!("expected at least {limit} characters, found {found}"),
        Kind::MaxLength { limit } => format!("expected at most {limit} characters, found {found}"),
        Kind::MinItems { limit } => format!("expected at least {limit} values"),
        Kind::MaxItems { limit } => format!("expected at most {limit} values"),
        Kind::AdditionalItems { limit } => format!("expected at most {limit} values"),
        Kind::MinProperties { limit } => format!("expected at least {limit} settings here"),
        Kind::MaxProperties { limit } => format!("expected at most {limit} settings here"),
        Kind::FalseSchema => "no value is allowed here".to_owned(),
        Kind::UniqueItems => "a value is listed twice".to_owned(),
        Kind::Pattern { pattern } => {
            format!("expected text that matches `{pattern}`, found {found}")
        }
        Kind::Constant { expected_value } => {
            format!("expected {}, found {found}", shown(expected_value))
        }
        Kind::OneOfMultipleValid { .. } => {
            format!("{found} fits several forms that exclude each other")
        }
        // The crate's own words, with the value masked: it may be long.
        _ => error.masked().to_string(),
    }
}

fn type_names(kind: &TypeKind) -> String {
    let named = |name: String| match name.as_str() {
        "string" => "a string".to_owned(),
        "integer" => "a whole number".to_owned(),
        "number" => "a number".to_owned(),
        "boolean" => "#true or #false".to_owned(),
        "array" => "a list".to_owned(),
        "object" => "a block of settings".to_owned(),
        _ => "#null".to_owned(),
    };
    match kind {
        TypeKind::Single(one) => named(one.to_string()),
        TypeKind::Multiple(set) => {
            let names: Vec<String> = set.iter().map(|one| named(one.to_string())).collect();
            names.join(" or ")
        }
    }
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// The value in a sentence.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "#null".to_owned(),
        Value::Bool(value) => format!("#{value}"),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) if text.chars().count() > 60 => "a long string".to_owned(),
        Value::String(text) => format!("the string {text:?}"),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a block of settings".to_owned(),
    }
}
