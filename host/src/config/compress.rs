//! A route's `compress`.

use super::decode::Decoder;
use super::lists::listed;
use super::route_match::is_token;
use super::syntax::{Item, Node};
use super::{Coding, Compress};

const SIZE_MAX: u64 = 1 << 30;

impl Decoder<'_> {
    pub(super) fn compress(&mut self, node: &Node) -> Compress {
        let default = Compress::default();
        Compress {
            codings: self.codings(node).unwrap_or(default.codings),
            types: self.media_types(node).unwrap_or(default.types),
            size_min: self.size(node.property("min-size"), 0..=SIZE_MAX, default.size_min),
        }
    }

    fn codings(&mut self, node: &Node) -> Option<Vec<Coding>> {
        let words =
            [Coding::Zstd, Coding::Brotli, Coding::Gzip].map(|coding| (coding.as_str(), coding));
        let items: Vec<&Item> = node.arguments.iter().collect();
        (!items.is_empty()).then(|| self.distinct_words(&items, &words))
    }

    fn media_types(&mut self, node: &Node) -> Option<Vec<String>> {
        let written = listed(node, "type");
        let types = self.distinct_values(node, "type", parse_media_type);
        (!written.is_empty()).then(|| types.into_iter().map(|found| found.value).collect())
    }
}

/// `text/*` or `application/json`, in lower case; no parameters.
fn parse_media_type(text: &str) -> Result<String, String> {
    let lower = text.to_ascii_lowercase();
    let (kind, subtype) = lower.split_once('/').unwrap_or((&lower, ""));
    let good = is_token(kind) && is_token(subtype) && !kind.contains('*');
    if !good || (subtype.contains('*') && subtype != "*") {
        return Err(format!(
            "`{text}` is no media type; write \"application/json\" or \"text/*\""
        ));
    }
    match lower.starts_with("application/grpc") {
        true => Err("gRPC compresses its messages itself: its responses are left alone".to_owned()),
        false => Ok(lower),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_are_whole_or_end_in_a_star() {
        for (text, expected) in [
            ("text/*", Some("text/*")),
            ("Application/JSON", Some("application/json")),
            ("image/svg+xml", Some("image/svg+xml")),
            ("*/*", None),
            ("*", None),
            ("text", None),
            ("text/", None),
            ("/html", None),
            ("text/h*", None),
            ("text/html; charset=utf-8", None),
            ("text/html/x", None),
            ("application/grpc", None),
            ("application/grpc+proto", None),
            ("", None),
        ] {
            let found = parse_media_type(text).ok();
            assert_eq!(found.as_deref(), expected, "{text}");
        }
        for text in Compress::default().types {
            assert_eq!(parse_media_type(&text), Ok(text));
        }
    }
}
