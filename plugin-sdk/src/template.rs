//! Values with placeholders: `{client-ip}` and friends in header values.

use crate::facts::Facts;
use crate::{Field, Part};

/// Which message a value is for; decides what `{header:…}` and `{status}` mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TemplatePhase {
    /// Headers of the request; there is no status.
    Request,
    /// Headers of the response.
    Response,
}

/// A value put together for each message.
///
/// Placeholders: `{client-ip}`, `{client-port}`, `{connection-id}`, `{header:name}`, `{host}`, `{listener}`, `{method}`, `{path}`,
/// `{protocol}`, `{query}`, `{request-header:name}`, `{request-id}`, `{scheme}`, `{status}` (responses only), `{tag:name}`. What is absent
/// stands for nothing. `{{` and `}}` are braces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Part>);

impl Template {
    /// Reads a value with placeholders.
    ///
    /// # Errors
    /// An unknown placeholder, a brace without its partner, a character that headers cannot hold.
    pub fn parse(text: &str, phase: TemplatePhase) -> Result<Template, String> {
        if !crate::is_header_value(text.as_bytes()) {
            return Err(
                "a header value has no control characters and no space at its ends".to_owned(),
            );
        }
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                literal.push_str(brace);
                rest = after;
                continue;
            }
            let (name, after) = placeholder(brace, rest)?;
            push_literal(&mut parts, &mut literal);
            parts.push(part(name, phase)?);
            rest = after;
        }
        literal.push_str(rest);
        push_literal(&mut parts, &mut literal);
        Ok(Template(parts))
    }

    /// The pieces, for [`ConstantEdits`](crate::ConstantEdits): the host puts them together without a call.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.0
    }

    /// The fields it reads.
    pub fn fields(&self) -> impl Iterator<Item = &Field> {
        self.0.iter().filter_map(|part| match part {
            Part::Field(field) => Some(field),
            Part::Text(_) | Part::UniqueId => None,
        })
    }

    /// Whether it holds `{request-id}`, which only the host can put in: [`render`](Template::render) leaves it out.
    #[must_use]
    pub fn has_request_id(&self) -> bool {
        self.0.contains(&Part::UniqueId)
    }

    /// The value for the current message.
    #[must_use]
    pub fn render(&self, facts: &Facts) -> Vec<u8> {
        self.render_with(|field| facts.field(field).unwrap_or_default().into_owned())
    }

    /// The value, with fields from elsewhere.
    #[must_use]
    pub fn render_with(&self, read: impl Fn(&Field) -> Vec<u8>) -> Vec<u8> {
        let mut value = Vec::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => value.extend_from_slice(text),
                Part::Field(field) => value.extend(read(field)),
                Part::UniqueId => {}
            }
        }
        trim(value)
    }
}

/// Spaces at the ends are no part of a header value; an absent field can leave one there.
fn trim(mut value: Vec<u8>) -> Vec<u8> {
    let length = value.trim_ascii().len();
    let start = value.len() - value.trim_ascii_start().len();
    value.drain(..start);
    value.truncate(length);
    value
}

/// The name in the placeholder that `brace` opened, and what follows it.
fn placeholder<'a>(brace: &str, rest: &'a str) -> Result<(&'a str, &'a str), String> {
    if brace == "}" {
        return Err("`}` without `{` before it; write `}}` for a brace".to_owned());
    }
    rest.split_once('}')
        .ok_or_else(|| "`{` without `}` after it; write `{{` for a brace".to_owned())
}

fn push_literal(parts: &mut Vec<Part>, literal: &mut String) {
    if !literal.is_empty() {
        parts.push(Part::Text(std::mem::take(literal).into_bytes()));
    }
}

fn part(name: &str, phase: TemplatePhase) -> Result<Part, String> {
    if name == "request-id" {
        return Ok(Part::UniqueId);
    }
    let field = match name {
        "client-ip" => Field::ClientAddress,
        "client-port" => Field::ClientPort,
        "connection-id" => Field::ConnectionId,
        "host" => Field::Host,
        "listener" => Field::Listener,
        "method" => Field::Method,
        "path" => Field::Path,
        "protocol" => Field::Protocol,
        "query" => Field::Query,
        "scheme" => Field::Scheme,
        "status" if phase == TemplatePhase::Response => Field::Status,
        "status" => return Err("`{status}` exists in responses only".to_owned()),
        _ => named_field(name)?,
    };
    Ok(Part::Field(field))
}

fn named_field(placeholder: &str) -> Result<Field, String> {
    let unknown = || {
        format!(
            "unknown placeholder `{{{placeholder}}}`; known are client-ip, client-port, connection-id, header:NAME, host, listener, \
             method, path, protocol, query, request-header:NAME, request-id, scheme, status and tag:NAME"
        )
    };
    let (kind, name) = placeholder.split_once(':').ok_or_else(unknown)?;
    let known = matches!(kind, "header" | "request-header" | "tag");
    match known {
        false => Err(unknown()),
        true if !crate::is_header_name(name) => {
            Err(format!("`{name}` in `{{{placeholder}}}` is not a name"))
        }
        true if kind == "header" => Ok(Field::Header(name.to_ascii_lowercase())),
        true if kind == "tag" => Ok(Field::Tag(name.to_owned())),
        true => Ok(Field::RequestHeader(name.to_ascii_lowercase())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Part {
        Part::Text(text.into())
    }

    #[test]
    fn placeholders_become_parts() {
        let cases = [
            ("", vec![]),
            ("plain", vec![text("plain")]),
            ("{{x}}", vec![text("{x}")]),
            (
                "a{host}b",
                vec![text("a"), Part::Field(Field::Host), text("b")],
            ),
            (
                "{header:X-A}{request-id}",
                vec![Part::Field(Field::Header("x-a".into())), Part::UniqueId],
            ),
            (
                "{{{path}}}",
                vec![text("{"), Part::Field(Field::Path), text("}")],
            ),
            ("{status}", vec![Part::Field(Field::Status)]),
        ];
        for (template, parts) in cases {
            assert_eq!(
                Template::parse(template, TemplatePhase::Response),
                Ok(Template(parts)),
                "{template}"
            );
        }
    }

    #[test]
    fn mistakes_are_refused() {
        let cases = [
            "{",
            "}",
            "{host",
            "a}b",
            "{nothing}",
            "{}",
            "{header:}",
            "{header:a b}",
            "{status}",
            "a\nb",
            " a",
            "{{}",
        ];
        for template in cases {
            assert!(
                Template::parse(template, TemplatePhase::Request).is_err(),
                "{template}"
            );
        }
    }
}
