//! Heads in both notations: HTTP/2 fields to HTTP/1.1 lines and back.

use super::message::Framing;
use crate::http::{Fields, Scheme, valid_name, valid_value};
use ::http::request::Parts;
use ::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use base64::Engine;
use h2::ext::Protocol;
use std::io;

/// What the translation of a request head needs to know of its connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub(super) headers_max: usize,
    pub(super) scheme: Scheme,
}

/// A request head in HTTP/1.1.
#[derive(Debug)]
pub(super) struct RequestText {
    pub(super) head: Vec<u8>,
    pub(super) framing: Framing,
    /// An extended CONNECT (RFC 8441), written as an upgrade.
    pub(super) tunnel: bool,
}

/// A message that is malformed in the sense of RFC 9113 section 8.1.1, with a word for logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) &'static str);

impl From<Malformed> for io::Error {
    fn from(Malformed(reason): Malformed) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, reason)
    }
}

/// Writes the head of a request whose stream has `ended` with it, or has a body to come.
///
/// Everything that HTTP/1.1 can say is left for its parser to judge, so that there is one judge: an `:authority` beside a different `host`
/// becomes two `Host` lines, a missing one none, a foreign `:scheme` an absolute target. Malformed is what could not be said without changing
/// what it means.
pub(super) fn request_text(
    request: &Parts,
    ended: bool,
    rules: &Rules,
) -> Result<RequestText, Malformed> {
    let protocol = request.extensions.get::<Protocol>().map(Protocol::as_str);
    if !protocol.is_none_or(is_protocol) {
        return Err(Malformed("protocol"));
    }
    let tunnel = protocol.is_some();
    if tunnel && request.headers.contains_key(header::CONTENT_LENGTH) {
        return Err(Malformed("content-length-with-connect"));
    }
    let mut head = Vec::with_capacity(512);
    write_request_line(request, tunnel, &mut head)?;
    let mut lines = Lines::new(&mut head, rules.headers_max);
    write_hosts(request, rules.scheme, &mut lines)?;
    write_fields(&request.headers, tunnel, &mut lines)?;
    match protocol {
        Some(protocol) => write_upgrade(protocol, &mut lines),
        None if request.headers.contains_key(header::TE) => {
            lines.write(b"TE", b"trailers");
            lines.write(b"Connection", b"TE");
        }
        None => {}
    }
    let framing = frame(request, tunnel, ended, &mut lines)?;
    lines.end();
    Ok(RequestText {
        head,
        framing,
        tunnel,
    })
}

/// Appends the lines of a trailer section.
pub(super) fn write_trailers(trailers: &HeaderMap, out: &mut Vec<u8>) -> Result<(), Malformed> {
    let mut lines = Lines::new(out, usize::MAX);
    for (name, value) in trailers {
        lines.write_checked(name.as_str(), value)?;
    }
    Ok(())
}

/// The lines of a message as HTTP/2 fields, without `Content-Length` (which the caller knows), without what concerns one connection of HTTP/1.1
/// (RFC 9113 section 8.2.2), and without those that `is_left_out` names in lower case.
///
/// # Errors
/// `InvalidData` for a line that no HTTP/2 field can carry, or too many of them.
pub(super) fn header_map(
    fields: &Fields,
    is_left_out: impl Fn(&str) -> bool,
) -> io::Result<HeaderMap> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidData);
    let mut map = HeaderMap::with_capacity(fields.len().min(256));
    for (name, value) in fields.iter() {
        let name = HeaderName::from_bytes(name).map_err(|_| invalid())?;
        if name == header::CONTENT_LENGTH
            || is_for_one_hop(name.as_str())
            || is_left_out(name.as_str())
        {
            continue;
        }
        let value = HeaderValue::from_bytes(value).map_err(|_| invalid())?;
        map.try_append(name, value).map_err(|_| invalid())?;
    }
    Ok(map)
}

/// Fields of a connection of HTTP/1.1, lower case.
pub(super) fn is_for_one_hop(name: &str) -> bool {
    matches!(
        name,
        "connection" | "keep-alive" | "proxy-connection" | "te" | "transfer-encoding" | "upgrade"
    )
}

/// The request line. An extended CONNECT is what HTTP/1.1 upgrades with, a GET (RFC 8441 section 5).
fn write_request_line(request: &Parts, tunnel: bool, out: &mut Vec<u8>) -> Result<(), Malformed> {
    let uri = &request.uri;
    let authority = uri.authority().map(|authority| authority.as_str());
    let method = if tunnel {
        "GET"
    } else {
        request.method.as_str()
    };
    out.extend_from_slice(method.as_bytes());
    out.push(b' ');
    if request.method == Method::CONNECT && !tunnel {
        out.extend_from_slice(authority.ok_or(Malformed("missing-authority"))?.as_bytes());
    } else {
        // Of a missing path `path_and_query` makes a slash.
        let target = uri.path_and_query().filter(|_| !uri.path().is_empty());
        let target = target.ok_or(Malformed("missing-path"))?.as_str();
        if !target.starts_with('/') && target != "*" {
            return Err(Malformed("path"));
        }
        if let (Some(scheme), Some(authority)) = (uri.scheme_str(), authority)
            && !matches!(scheme, "http" | "https")
        {
            out.extend_from_slice(scheme.as_bytes());
            out.extend_from_slice(b"://");
            out.extend_from_slice(authority.as_bytes());
        }
        out.extend_from_slice(target.as_bytes());
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
    Ok(())
}

/// `Host` from `:authority`; a `host` that says the same is left out (RFC 9113 section 8.3.1).
fn write_hosts(request: &Parts, scheme: Scheme, lines: &mut Lines) -> Result<(), Malformed> {
    let authority = request.uri.authority().map(|authority| authority.as_str());
    if let Some(authority) = authority {
        lines.write(b"Host", authority.as_bytes());
    }
    for host in request.headers.get_all(header::HOST) {
        if !authority.is_some_and(|authority| is_same(authority.as_bytes(), host, scheme)) {
            lines.write_checked("Host", host)?;
        }
    }
    Ok(())
}

fn is_same(authority: &[u8], host: &HeaderValue, scheme: Scheme) -> bool {
    let port: &[u8] = match scheme {
        Scheme::Http => b":80",
        Scheme::Https => b":443",
    };
    let bare = |authority: &[u8]| {
        authority.len()
            - if authority.ends_with(port) {
                port.len()
            } else {
                0
            }
    };
    let host = host.as_bytes();
    authority[..bare(authority)].eq_ignore_ascii_case(&host[..bare(host)])
}

/// All other lines. Cookies, which HTTP/2 may send in crumbs, become one (RFC 9113 section 8.2.3).
fn write_fields(headers: &HeaderMap, tunnel: bool, lines: &mut Lines) -> Result<(), Malformed> {
    for (name, value) in headers {
        match name.as_str() {
            "host" | "cookie" => {}
            "te" if value == "trailers" => {}
            // These two are of the handshake that an extended CONNECT does without.
            "sec-websocket-key" | "sec-websocket-accept" if tunnel => {}
            name if is_for_one_hop(name) => return Err(Malformed("connection-specific")),
            name => lines.write_checked(name, value)?,
        }
    }
    let crumbs: Vec<&[u8]> = headers
        .get_all(header::COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if !crumbs.iter().all(|crumb| valid_value(crumb)) {
        return Err(Malformed("value"));
    }
    if !crumbs.is_empty() {
        lines.write(b"cookie", &crumbs.join(&b"; "[..]));
    }
    Ok(())
}

/// RFC 8441 section 5 leaves out the key, which an HTTP/1.1 server needs to see. Nothing is secret about it.
fn write_upgrade(protocol: &str, lines: &mut Lines) {
    lines.write(b"Connection", b"Upgrade");
    lines.write(b"Upgrade", protocol.as_bytes());
    if protocol.eq_ignore_ascii_case("websocket") {
        let nonce = fastrand::u128(..).to_be_bytes();
        let key = base64::engine::general_purpose::STANDARD.encode(nonce);
        lines.write(b"Sec-WebSocket-Key", key.as_bytes());
    }
}

/// How the body is delimited, with the line that says so; `Content-Length` was written if there is one.
fn frame(
    request: &Parts,
    tunnel: bool,
    ended: bool,
    lines: &mut Lines,
) -> Result<Framing, Malformed> {
    let method = &request.method;
    if tunnel {
        return Ok(Framing::Raw);
    }
    if method == Method::CONNECT {
        return Ok(Framing::None);
    }
    match request.headers.get(header::CONTENT_LENGTH) {
        Some(_) if ended => Ok(Framing::None),
        Some(length) => {
            let length = length.to_str().ok().and_then(|text| text.parse().ok());
            length
                .map(Framing::Fixed)
                .ok_or(Malformed("content-length"))
        }
        None if ended => {
            if matches!(*method, Method::POST | Method::PUT | Method::PATCH) {
                lines.write(b"Content-Length", b"0");
            }
            Ok(Framing::None)
        }
        None => {
            lines.write(b"Transfer-Encoding", b"chunked");
            Ok(Framing::Chunked)
        }
    }
}

/// What may stand in `Upgrade`: a token, perhaps with a version behind a slash.
fn is_protocol(protocol: &str) -> bool {
    protocol.split('/').all(|part| valid_name(part.as_bytes()))
}

/// Header lines: at most `most`, and one more for the parser to stumble on.
struct Lines<'o> {
    out: &'o mut Vec<u8>,
    most: usize,
    count: usize,
}

impl<'o> Lines<'o> {
    fn new(out: &'o mut Vec<u8>, most: usize) -> Lines<'o> {
        Lines {
            out,
            most,
            count: 0,
        }
    }

    fn write(&mut self, name: &[u8], value: &[u8]) {
        if self.count <= self.most {
            self.count += 1;
            self.out.extend_from_slice(name);
            self.out.extend_from_slice(b": ");
            self.out.extend_from_slice(value);
            self.out.extend_from_slice(b"\r\n");
        }
    }

    /// Names are tokens already. A value with an outer blank would arrive as another one (RFC 9113 section 8.2.1).
    fn write_checked(&mut self, name: &str, value: &HeaderValue) -> Result<(), Malformed> {
        if !valid_value(value.as_bytes()) {
            return Err(Malformed("value"));
        }
        self.write(name.as_bytes(), value.as_bytes());
        Ok(())
    }

    /// The empty line, unless lines are missing.
    fn end(self) {
        if self.count <= self.most {
            self.out.extend_from_slice(b"\r\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_and_a_host_are_the_same_up_to_case_and_default_port() {
        for (authority, host, scheme, same) in [
            ("a.test", "a.test", Scheme::Http, true),
            ("a.test", "A.Test", Scheme::Http, true),
            ("a.test:80", "a.test", Scheme::Http, true),
            ("a.test", "a.test:443", Scheme::Https, true),
            ("a.test:443", "a.test", Scheme::Http, false),
            ("a.test:80", "a.test", Scheme::Https, false),
            ("a.test", "b.test", Scheme::Http, false),
            ("a.test", "", Scheme::Http, false),
            ("a.test:8080", "a.test", Scheme::Http, false),
        ] {
            let value = HeaderValue::from_static(host);
            assert_eq!(
                is_same(authority.as_bytes(), &value, scheme),
                same,
                "{authority} {host}"
            );
        }
    }

    #[test]
    fn a_protocol_is_a_token_with_perhaps_a_version() {
        for good in ["websocket", "connect-udp", "a/1.0"] {
            assert!(is_protocol(good), "{good}");
        }
        for bad in ["", "a b", "a\r\nx: y", "a/", "/a", "a\0", "a,b"] {
            assert!(!is_protocol(bad), "{bad:?}");
        }
    }

    #[test]
    fn a_head_of_too_many_lines_has_one_more_and_no_end() {
        for (most, expected) in [
            (3, "a: 1\r\na: 2\r\n\r\n"),
            (2, "a: 1\r\na: 2\r\n\r\n"),
            (1, "a: 1\r\na: 2\r\n"),
            (0, "a: 1\r\n"),
        ] {
            let mut out = Vec::new();
            let mut lines = Lines::new(&mut out, most);
            lines.write(b"a", b"1");
            lines.write(b"a", b"2");
            lines.end();
            assert_eq!(String::from_utf8_lossy(&out), expected, "{most}");
        }
    }

    #[test]
    fn fields_of_one_connection_do_not_become_fields_of_http2() {
        let mut fields = Fields::new();
        for (name, value) in [
            ("X-Kept", "1"),
            ("Via", "2"),
            ("X-Out", "3"),
            ("Set-Cookie", "a"),
            ("set-cookie", "b"),
        ] {
            fields
                .append(name.as_bytes(), value.as_bytes())
                .expect("valid");
        }
        let map = header_map(&fields, |name| name == "x-out").expect("valid");
        let found: Vec<_> = map
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes()))
            .collect();
        assert_eq!(
            found,
            [
                ("x-kept", &b"1"[..]),
                ("via", b"2"),
                ("set-cookie", b"a"),
                ("set-cookie", b"b")
            ]
        );
    }
}
