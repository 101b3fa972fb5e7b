//! Texts with `{name}` placeholders, as in `redirect "/new/{rest}"`.
//!
//! `{name}` is a placeholder where name is letters, digits, `-` and `_`; any other brace is itself, so that JSON bodies need no care.
//! `{{` is one literal `{`. A placeholder that the route's pattern does not capture is an error.

use super::path_pattern::is_capture_name;
use super::suggest::{did_you_mean, one_of};

/// A text to be put together for each request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Template {
    pub parts: Vec<TemplatePart>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplatePart {
    Text(String),
    Placeholder(Placeholder),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placeholder {
    /// What the trailing `*` of the path pattern stood for.
    Rest,
    /// What `{name}` of the path pattern, or a group of this name in its regex, stood for.
    Capture(String),
    /// The request's host, without port.
    Host,
    /// The request's normalised path.
    Path,
    /// The request's query without `?`; empty when there is none.
    Query,
    /// `http` or `https`.
    Scheme,
}

const FACTS: &[(&str, Placeholder)] = &[
    ("host", Placeholder::Host),
    ("path", Placeholder::Path),
    ("query", Placeholder::Query),
    ("scheme", Placeholder::Scheme),
];

impl Template {
    /// Parses `text`, where the route's path captures `captures`.
    ///
    /// # Errors
    /// For each unknown placeholder what is wrong, and a hint.
    pub(super) fn parse(text: &str, captures: &[String]) -> Result<Self, Vec<(String, String)>> {
        let mut template = Self::default();
        let mut errors = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find('{') {
            template.push_text(&rest[..at]);
            let after = &rest[at + 1..];
            if let Some(unescaped) = after.strip_prefix('{') {
                template.push_text("{");
                rest = unescaped;
            } else if let Some((name, following)) = placeholder(after) {
                match resolve(name, captures) {
                    Ok(found) => template.parts.push(TemplatePart::Placeholder(found)),
                    Err(error) => errors.push(error),
                }
                rest = following;
            } else {
                template.push_text("{");
                rest = after;
            }
        }
        template.push_text(rest);
        if errors.is_empty() {
            Ok(template)
        } else {
            Err(errors)
        }
    }

    fn push_text(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        match self.parts.last_mut() {
            Some(TemplatePart::Text(last)) => last.push_str(text),
            _ => self.parts.push(TemplatePart::Text(text.to_owned())),
        }
    }
}

/// Splits `name}…` into the name and what follows.
fn placeholder(text: &str) -> Option<(&str, &str)> {
    let (name, following) = text.split_once('}')?;
    is_capture_name(name).then_some((name, following))
}

fn resolve(name: &str, captures: &[String]) -> Result<Placeholder, (String, String)> {
    if let Some((_, fact)) = FACTS.iter().find(|(fact, _)| *fact == name) {
        return Ok(fact.clone());
    }
    if captures.iter().any(|capture| capture == name) {
        return Ok(match name {
            "rest" => Placeholder::Rest,
            name => Placeholder::Capture(name.to_owned()),
        });
    }
    Err((unknown(name), hint(name, captures)))
}

fn unknown(name: &str) -> String {
    match name {
        "rest" => "`{rest}` needs a path pattern that ends in `*`".to_owned(),
        name => format!("unknown placeholder `{{{name}}}`"),
    }
}

fn hint(name: &str, captures: &[String]) -> String {
    let known = || {
        let facts = FACTS.iter().map(|(fact, _)| *fact);
        facts.chain(captures.iter().map(String::as_str))
    };
    did_you_mean(name, known()).unwrap_or_else(|| {
        format!(
            "this route knows {}; a literal `{{` is written `{{{{`",
            one_of(known())
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> TemplatePart {
        TemplatePart::Text(text.to_owned())
    }

    #[test]
    fn placeholders_are_told_from_other_braces() {
        let captures = ["rest".to_owned(), "id".to_owned()];
        let id = TemplatePart::Placeholder(Placeholder::Capture("id".into()));
        let rest = TemplatePart::Placeholder(Placeholder::Rest);
        for (template, expected) in [
            ("", vec![]),
            ("/new", vec![text("/new")]),
            ("/n/{rest}", vec![text("/n/"), rest]),
            ("{id}{id}!", vec![id.clone(), id, text("!")]),
            ("{{id}", vec![text("{id}")]),
            (r#"{"a":{"b":1}}"#, vec![text(r#"{"a":{"b":1}}"#)]),
            ("{", vec![text("{")]),
            ("{ id }", vec![text("{ id }")]),
        ] {
            let found = Template::parse(template, &captures);
            assert_eq!(found.map(|found| found.parts), Ok(expected), "{template}");
        }
    }

    #[test]
    fn every_unknown_placeholder_is_reported() {
        let errors = Template::parse("{rest}/{hots}", &[]).expect_err("neither is known");
        assert_eq!(errors.len(), 2);
        assert!(errors[0].0.contains("ends in `*`"), "{errors:?}");
        assert_eq!(errors[1].1, "did you mean `host`?");
    }
}
