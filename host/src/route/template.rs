//! Fills the `{name}` placeholders of redirects and fixed responses.

use super::pattern::Captures;
use crate::config::{Placeholder, Template, TemplatePart};

/// What placeholders stand for.
#[derive(Debug, Clone, Copy)]
pub struct TemplateFacts<'a> {
    pub scheme: &'a str,
    pub host: &'a str,
    pub path: &'a str,
    pub query: Option<&'a str>,
    pub captures: &'a Captures,
}

/// The text with its placeholders filled; one without a value is empty.
pub fn render(template: &Template, facts: &TemplateFacts<'_>) -> String {
    let texts = template.parts.iter().map(|part| match part {
        TemplatePart::Text(text) => text,
        TemplatePart::Placeholder(placeholder) => facts.value(placeholder),
    });
    texts.collect()
}

impl<'a> TemplateFacts<'a> {
    fn value(&self, placeholder: &Placeholder) -> &'a str {
        match placeholder {
            Placeholder::Rest => self.captures.get("rest", self.path).unwrap_or_default(),
            Placeholder::Capture(name) => self.captures.get(name, self.path).unwrap_or_default(),
            Placeholder::Host => self.host,
            Placeholder::Path => self.path,
            Placeholder::Query => self.query.unwrap_or_default(),
            Placeholder::Scheme => self.scheme,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PathPattern;

    #[test]
    fn placeholders_are_filled_from_facts_and_captures() {
        let captures = Captures::of(&PathPattern::Prefix("/old/".to_owned()), "/old/a/b");
        let facts = TemplateFacts {
            scheme: "http",
            host: "h.test",
            path: "/old/a/b",
            query: None,
            captures: &captures,
        };
        let cases = [
            (Placeholder::Rest, "a/b"),
            (Placeholder::Capture("other".to_owned()), ""),
            (Placeholder::Host, "h.test"),
            (Placeholder::Path, "/old/a/b"),
            (Placeholder::Query, ""),
            (Placeholder::Scheme, "http"),
        ];
        for (placeholder, expected) in cases {
            let parts = vec![
                TemplatePart::Text("<".to_owned()),
                TemplatePart::Placeholder(placeholder),
                TemplatePart::Text(">".to_owned()),
            ];
            assert_eq!(render(&Template { parts }, &facts), format!("<{expected}>"));
        }
    }
}
