//! What a route asks of a request.

use super::address::is_host_name;
use super::{ClientCertificateMatch, PathPattern, Spanned};

/// All kinds must match; an empty list asks for nothing, of several entries in one list any will do — except headers, which must all
/// match.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RouteMatch {
    pub hosts: Vec<HostPattern>,
    pub paths: Vec<Spanned<PathPattern>>,
    /// Compared exactly.
    pub methods: Vec<String>,
    pub headers: Vec<HeaderMatch>,
    /// Of the TLS handshake; a connection without TLS has none.
    pub snis: Vec<HostPattern>,
    pub client_certificate: Option<ClientCertificateMatch>,
}

/// Lower case, without port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostPattern {
    Exact(String),
    /// From `*.example.com`: `.example.com`, with at least one byte before it.
    Suffix(String),
}

/// Presence, or some line with exactly this value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderMatch {
    /// Lower case.
    pub name: String,
    pub value: Option<String>,
}

pub(super) fn parse_host(text: &str) -> Result<HostPattern, String> {
    let lower = text.to_ascii_lowercase();
    if lower == "*" {
        return Err("leave `host` out to match every host".to_owned());
    }
    if let Some(suffix) = lower.strip_prefix('*') {
        return match suffix.strip_prefix('.').is_some_and(is_host_name) {
            true => Ok(HostPattern::Suffix(suffix.to_owned())),
            false => Err(format!("`{text}`: a wildcard is `*.` and a name")),
        };
    }
    let bracketed = lower
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    let is_v6 = bracketed.is_some_and(|text| text.parse::<std::net::Ipv6Addr>().is_ok());
    match is_v6 || is_host_name(&lower) {
        true => Ok(HostPattern::Exact(lower)),
        false => Err(format!("`{text}` is no host name (write it without port)")),
    }
}

pub(super) fn parse_method(text: &str) -> Result<String, String> {
    if !is_token(text) || text.len() > 32 {
        return Err(format!("`{text}` is no method"));
    }
    if text == "CONNECT" {
        return Err("CONNECT is always refused, before any route".to_owned());
    }
    if text.bytes().all(|b| b.is_ascii_lowercase()) {
        let upper = text.to_ascii_uppercase();
        return Err(format!(
            "methods are compared exactly; did you mean `{upper}`?"
        ));
    }
    Ok(text.to_owned())
}

/// A header name, in lower case.
pub(super) fn parse_header_name(text: &str) -> Result<String, String> {
    match is_token(text) {
        true => Ok(text.to_ascii_lowercase()),
        false => Err(format!("`{text}` is no header name")),
    }
}

/// No control characters but the tab, and no blanks at the ends: RFC 9110 section 5.5.
pub(super) fn parse_header_value(text: &str) -> Result<String, String> {
    let control = text.chars().any(|c| c.is_control() && c != '\t');
    match control || text.trim_matches([' ', '\t']) != text {
        true => {
            Err("a header value has no control characters and no blanks at its ends".to_owned())
        }
        false => Ok(text.to_owned()),
    }
}

/// RFC 9110 section 5.6.2.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_or_suffixes() {
        for (text, expected) in [
            (
                "A.Example.com",
                Some(HostPattern::Exact("a.example.com".into())),
            ),
            (
                "*.Example.com",
                Some(HostPattern::Suffix(".example.com".into())),
            ),
            ("127.0.0.1", Some(HostPattern::Exact("127.0.0.1".into()))),
            ("[::1]", Some(HostPattern::Exact("[::1]".into()))),
            ("*", None),
            ("*example.com", None),
            ("*.", None),
            ("a.*.com", None),
            ("a:80", None),
            ("", None),
        ] {
            assert_eq!(parse_host(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn methods_and_headers_are_tokens() {
        assert!(parse_method("GET").is_ok() && parse_method("X-1").is_ok());
        for text in ["get", "", "A B", "CONNECT", &"A".repeat(33)] {
            assert!(parse_method(text).is_err(), "{text}");
        }
        assert_eq!(parse_header_name("X-Beta").as_deref(), Ok("x-beta"));
        assert!(parse_header_name("x beta").is_err());
        assert!(parse_header_value("a\tb").is_ok() && parse_header_value("").is_ok());
        assert!(parse_header_value("a\nb").is_err() && parse_header_value(" a").is_err());
    }
}
