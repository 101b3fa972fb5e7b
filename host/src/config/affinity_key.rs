//! The template of an affinity key: `{source}/{header:x-tenant}`.
//!
//! Braces follow the rules of `template`: `{{` is one literal `{`, and a brace that begins no placeholder is itself.

use super::KeyPart;
use super::path_pattern::is_capture_name;
use super::route_match::{is_token, parse_header_name};
use super::suggest::{did_you_mean, one_of};

const FACTS: &[(&str, KeyPart)] = &[
    ("source", KeyPart::Source),
    ("method", KeyPart::Method),
    ("host", KeyPart::Host),
    ("path", KeyPart::Path),
    ("query", KeyPart::Query),
    ("scheme", KeyPart::Scheme),
];

/// Those that are followed by `:` and a name.
const NAMED: &[&str] = &["header", "cookie", "tag"];

/// What is wrong, and a hint.
type Error = (String, Option<String>);

/// Parses a key of at least one placeholder; without one every request would have the same key.
pub(super) fn parse_key(text: &str) -> Result<Vec<KeyPart>, Vec<Error>> {
    let mut key = Key::default();
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        key.push_text(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(unescaped) = after.strip_prefix('{') {
            key.push_text("{");
            rest = unescaped;
        } else if let Some((kind, name, following)) = placeholder(after) {
            key.push_placeholder(resolve(kind, name));
            rest = following;
        } else {
            key.push_text("{");
            rest = after;
        }
    }
    key.push_text(rest);
    key.finish()
}

#[derive(Default)]
struct Key {
    parts: Vec<KeyPart>,
    errors: Vec<Error>,
}

impl Key {
    fn push_text(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        match self.parts.last_mut() {
            Some(KeyPart::Text(last)) => last.push_str(text),
            _ => self.parts.push(KeyPart::Text(text.to_owned())),
        }
    }

    fn push_placeholder(&mut self, found: Result<KeyPart, Error>) {
        match found {
            Ok(part) => self.parts.push(part),
            Err(error) => self.errors.push(error),
        }
    }

    fn finish(mut self) -> Result<Vec<KeyPart>, Vec<Error>> {
        let texts_only = self
            .parts
            .iter()
            .all(|part| matches!(part, KeyPart::Text(_)));
        if self.errors.is_empty() && texts_only {
            let message = "a key without a placeholder is the same for every request";
            let help = "key=\"{source}\"".to_owned();
            self.errors.push((message.to_owned(), Some(help)));
        }
        match self.errors.is_empty() {
            true => Ok(self.parts),
            false => Err(self.errors),
        }
    }
}

/// Splits `kind}…` or `kind:name}…`.
fn placeholder(text: &str) -> Option<(&str, Option<&str>, &str)> {
    let (inside, following) = text.split_once('}')?;
    let (kind, name) = match inside.split_once(':') {
        Some((kind, name)) => (kind, Some(name)),
        None => (inside, None),
    };
    is_capture_name(kind).then_some((kind, name, following))
}

fn resolve(kind: &str, name: Option<&str>) -> Result<KeyPart, Error> {
    let fact = FACTS.iter().find(|(fact, _)| *fact == kind);
    match (kind, name) {
        ("header", Some(name)) => match parse_header_name(name) {
            Ok(name) => Ok(KeyPart::Header(name)),
            Err(message) => Err((message, None)),
        },
        ("cookie", Some(name)) if is_token(name) => Ok(KeyPart::Cookie(name.to_owned())),
        ("tag", Some(name)) if is_token(name) => Ok(KeyPart::Tag(name.to_owned())),
        ("cookie" | "tag", Some(name)) => Err((format!("`{name}` is no name of a {kind}"), None)),
        (kind, None) if NAMED.contains(&kind) => Err((
            format!("`{{{kind}}}` does not say which {kind}"),
            Some(format!("write {{{kind}:name}}")),
        )),
        (_, name) => match (fact, name) {
            (Some((_, part)), None) => Ok(part.clone()),
            (Some(_), Some(_)) => Err((format!("`{{{kind}}}` takes no name"), None)),
            (None, _) => Err(unknown(kind)),
        },
    }
}

fn unknown(kind: &str) -> Error {
    let known = || {
        let facts = FACTS.iter().map(|(fact, _)| *fact);
        facts.chain(NAMED.iter().copied())
    };
    let help = did_you_mean(kind, known()).unwrap_or_else(|| {
        let known = one_of(["source", "method", "host", "path", "query", "scheme"]);
        format!(
            "a key knows {known}, and `header:name`, `cookie:name` and `tag:name`; a literal `{{` is written `{{{{`"
        )
    });
    (format!("unknown placeholder `{{{kind}}}`"), Some(help))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_told_from_texts() {
        let text = |text: &str| KeyPart::Text(text.to_owned());
        let header = KeyPart::Header("x-tenant".to_owned());
        for (key, expected) in [
            ("{source}", vec![KeyPart::Source]),
            (
                "{source}/{header:X-Tenant}",
                vec![KeyPart::Source, text("/"), header],
            ),
            ("{method}{host}", vec![KeyPart::Method, KeyPart::Host]),
            (
                "{path}?{query}",
                vec![KeyPart::Path, text("?"), KeyPart::Query],
            ),
            ("{scheme}", vec![KeyPart::Scheme]),
            ("{cookie:Sid}", vec![KeyPart::Cookie("Sid".to_owned())]),
            ("{tag:user}", vec![KeyPart::Tag("user".to_owned())]),
            ("{{{source}}", vec![text("{"), KeyPart::Source, text("}")]),
            ("{ a {host}", vec![text("{ a "), KeyPart::Host]),
        ] {
            assert_eq!(parse_key(key), Ok(expected), "{key}");
        }
    }

    #[test]
    fn a_key_that_says_nothing_is_refused() {
        for (key, message, help) in [
            ("", "a key without a placeholder", Some("key=\"{source}\"")),
            (
                "same",
                "a key without a placeholder",
                Some("key=\"{source}\""),
            ),
            (
                "{{source}",
                "a key without a placeholder",
                Some("key=\"{source}\""),
            ),
            (
                "{sorce}",
                "unknown placeholder `{sorce}`",
                Some("did you mean `source`?"),
            ),
            (
                "{header}",
                "`{header}` does not say which header",
                Some("write {header:name}"),
            ),
            ("{header:}", "`` is no header name", None),
            ("{cookie:a b}", "`a b` is no name of a cookie", None),
            ("{tag:}", "`` is no name of a tag", None),
            ("{host:a}", "`{host}` takes no name", None),
        ] {
            let errors = parse_key(key).expect_err(key);
            assert!(errors[0].0.starts_with(message), "{errors:?}");
            assert_eq!(errors[0].1.as_deref(), help, "{key}");
        }
        let errors = parse_key("{a-b-c}{host}{x-y-z}").expect_err("two are unknown");
        assert_eq!(errors.len(), 2);
        assert!(
            errors[0]
                .1
                .as_deref()
                .is_some_and(|help| help.contains("`cookie:name`"))
        );
    }
}
