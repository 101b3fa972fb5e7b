//! Requests and responses of exchanges, and the bytes in them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Protocol, Request, Response};
use crate::config::Spanned;
use crate::config::decode::Decoder;
use crate::config::route_match::{is_token, parse_header_name};
use crate::config::syntax::Node;

/// What the host knows better, with what to do instead.
const NOT_AS_HEADERS: [(&str, &str); 3] = [
    ("host", "write host \"shop.example\" beside it"),
    ("content-length", "it follows from `body`"),
    ("transfer-encoding", "it follows from `body`"),
];

impl Decoder<'_> {
    pub(super) fn request(&mut self, node: &Node) -> Option<Request> {
        let method = self.parsed(node.arguments.first()?, method);
        let target = self.parsed(node.arguments.get(1)?, target);
        let host = node.child_argument("host");
        let host = host.and_then(|item| self.parsed(item, header_text));
        let protocols = [
            ("HTTP/1.0", Protocol::Http10),
            ("HTTP/1.1", Protocol::Http11),
            ("HTTP/2", Protocol::Http2),
        ];
        Some(Request {
            host: host.map_or_else(|| "test.example".to_owned(), |host| host.value),
            headers: self.headers(node),
            body: self.body(node),
            origin: self.origin(node),
            protocol: self.choice(
                node.child_argument("protocol"),
                &protocols,
                Protocol::default(),
            ),
            method: method?.value,
            target: target?.value,
        })
    }

    pub(super) fn response(&mut self, node: &Node) -> Response {
        Response {
            status: self.status(node),
            headers: self.headers(node),
            body: self.body(node),
        }
    }

    /// The first argument as the status of a response that ends an exchange.
    pub(super) fn status(&mut self, node: &Node) -> u16 {
        self.integer(node.arguments.first(), 200..=599, 200) as u16
    }

    fn body(&mut self, node: &Node) -> Option<Vec<u8>> {
        let body = node.child("body")?;
        self.bytes(body, 0).map(|bytes| bytes.value)
    }

    fn headers(&mut self, node: &Node) -> Vec<(String, Vec<u8>)> {
        let headers = node.named("header");
        headers.filter_map(|header| self.header(header)).collect()
    }

    fn header(&mut self, node: &Node) -> Option<(String, Vec<u8>)> {
        let name = self.parsed(node.arguments.first()?, parse_header_name);
        let value = self.bytes(node, 1)?;
        if !is_field_value(&value.value) {
            let message = "a header value has no control characters and no blanks at its ends";
            self.error(value.place, message);
        }
        let name = name?;
        let mut known = NOT_AS_HEADERS.iter();
        if let Some((_, instead)) = known.find(|(known, _)| *known == name.value) {
            let message = format!("`{}` is not written as a header", name.value);
            self.error_help(name.place, message, *instead);
        }
        Some((name.value, value.value))
    }

    /// What the children of this name give to names, in order: `header "name" "value"`.
    pub(super) fn named_bytes(&mut self, node: &Node, key: &str) -> Vec<(String, Vec<u8>)> {
        node.named(key)
            .filter_map(|child| {
                let name = self.text(child.arguments.first()?)?;
                let value = self.bytes(child, 1)?;
                Some((name.value, value.value))
            })
            .collect()
    }

    /// Text at this position of the arguments, or any bytes as `base64`: one of the two.
    pub(super) fn bytes(&mut self, node: &Node, position: usize) -> Option<Spanned<Vec<u8>>> {
        match (node.arguments.get(position), node.property("base64")) {
            (Some(item), None) => self.text(item).map(|text| Spanned {
                value: text.value.into_bytes(),
                place: text.place,
            }),
            (None, Some(item)) => self.parsed(item, |text| {
                let bad = |error| format!("this is not base64: {error}");
                STANDARD.decode(text).map_err(bad)
            }),
            (None, None) => {
                let message = format!("`{}` lacks its value", node.name());
                let help = "write it as text, or bytes that are no text as base64=\"…\"";
                self.error_help(node.place(), message, help);
                None
            }
            (Some(_), Some(item)) => {
                self.error(item.place, "a value is text or `base64`, not both");
                None
            }
        }
    }
}

/// RFC 9110 section 5.5, with the bytes above ASCII that are in use.
fn is_field_value(value: &[u8]) -> bool {
    let control = value
        .iter()
        .any(|byte| byte.is_ascii_control() && *byte != b'\t');
    !control && value.trim_ascii() == value
}

fn method(text: &str) -> Result<String, String> {
    match is_token(text) && text.len() <= 32 {
        true => Ok(text.to_owned()),
        false => Err(format!("`{text}` is no method")),
    }
}

/// What else a target must be, the host knows.
fn target(text: &str) -> Result<String, String> {
    match text.bytes().all(|byte| byte.is_ascii_graphic()) && !text.is_empty() {
        true => Ok(text.to_owned()),
        false => Err("a target is visible ASCII; escape the rest as %20".to_owned()),
    }
}

fn header_text(text: &str) -> Result<String, String> {
    match is_field_value(text.as_bytes()) {
        true => Ok(text.to_owned()),
        false => Err("this is no host".to_owned()),
    }
}
