//! Response heads and trailers as HTTP/1.1 text (RFC 9112 section 4).

use super::error::Failure;
use super::request::Upgrade;
use crate::http::head::usual_reason;
use crate::http::{valid_name, valid_value};
use ::http::header::{CONTENT_LENGTH, HeaderMap, HeaderName};
use ::http::{StatusCode, response::Parts};
use base64::Engine;
use sha1::{Digest, Sha1};
use std::io::Write;

/// RFC 6455 section 1.3.
const WEBSOCKET_GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

const WEBSOCKET_ACCEPT: &str = "sec-websocket-accept";

/// The answer to an upgrade where the peer takes no extended CONNECT.
pub(super) const NO_UPGRADE: &[u8] = b"HTTP/1.1 501 Not Implemented\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 47\r\n\
    \r\n\
    The endpoint takes no upgrade over its HTTP/2.\n";

/// How the body behind a final head is told from what follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is none, by method or status.
    None,
    /// Bytes still to come.
    Fixed(u64),
    Chunked,
    /// Bytes as they are, in both directions.
    Tunnel,
}

/// Appends a 1xx head.
pub(super) fn write_interim(
    status: StatusCode,
    headers: &HeaderMap,
    out: &mut Vec<u8>,
) -> Result<(), Failure> {
    if status == StatusCode::SWITCHING_PROTOCOLS {
        // RFC 9113 section 8.6.
        return Err(Failure::invalid("101 in HTTP/2"));
    }
    write_status_line(status, out)?;
    write_lines(headers, |_| false, out)?;
    out.extend_from_slice(b"\r\n");
    Ok(())
}

/// Appends a final head and answers how its body is framed.
pub(super) fn write_final(
    head: &Parts,
    is_head: bool,
    out: &mut Vec<u8>,
) -> Result<Framing, Failure> {
    let length = content_length(&head.headers)?;
    let has_no_body = is_head || matches!(head.status.as_u16(), 204 | 304);
    // A length leaves no room for trailers in HTTP/1.1, and they are the answer of a gRPC call.
    let length = length.filter(|_| !is_grpc(&head.headers));
    let framing = match length {
        _ if has_no_body => Framing::None,
        Some(length) => Framing::Fixed(length),
        None => Framing::Chunked,
    };
    write_status_line(head.status, out)?;
    write_lines(&head.headers, |name| name == CONTENT_LENGTH, out)?;
    match (framing, length) {
        (Framing::Chunked, _) => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        (_, Some(length)) => write_content_length(length, out),
        (_, None) => {}
    }
    out.extend_from_slice(b"\r\n");
    Ok(framing)
}

fn is_grpc(headers: &HeaderMap) -> bool {
    let value = headers.get(::http::header::CONTENT_TYPE);
    value.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// Appends the 101 that a 2xx to an extended CONNECT stands for (RFC 8441 section 5).
pub(super) fn write_switch(
    headers: &HeaderMap,
    upgrade: &Upgrade,
    out: &mut Vec<u8>,
) -> Result<(), Failure> {
    write_status_line(StatusCode::SWITCHING_PROTOCOLS, out)?;
    out.extend_from_slice(b"Upgrade: ");
    out.extend_from_slice(upgrade.protocol.as_bytes());
    out.extend_from_slice(b"\r\nConnection: upgrade\r\n");
    if let Some(key) = &upgrade.key {
        out.extend_from_slice(b"Sec-WebSocket-Accept: ");
        out.extend_from_slice(websocket_accept(key).as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    // A 2xx to CONNECT has no body, whatever it says (RFC 9110 section 9.3.6).
    let is_left_out = |name: &HeaderName| name == CONTENT_LENGTH || name == WEBSOCKET_ACCEPT;
    write_lines(headers, is_left_out, out)?;
    out.extend_from_slice(b"\r\n");
    Ok(())
}

/// Appends the end of a chunked body with these trailers.
pub(super) fn write_end(trailers: Option<&HeaderMap>, out: &mut Vec<u8>) -> Result<(), Failure> {
    out.extend_from_slice(b"0\r\n");
    if let Some(trailers) = trailers {
        write_lines(trailers, |_| false, out)?;
    }
    out.extend_from_slice(b"\r\n");
    Ok(())
}

/// RFC 6455 section 4.2.2.
fn websocket_accept(key: &[u8]) -> String {
    let digest = Sha1::new().chain_update(key).chain_update(WEBSOCKET_GUID);
    base64::engine::general_purpose::STANDARD.encode(digest.finalize())
}

fn write_status_line(status: StatusCode, out: &mut Vec<u8>) -> Result<(), Failure> {
    if status.as_u16() > 599 {
        return Err(Failure::invalid("a status beyond 599"));
    }
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(usual_reason(status.as_u16()).as_bytes());
    out.extend_from_slice(b"\r\n");
    Ok(())
}

fn write_content_length(length: u64, out: &mut Vec<u8>) {
    write!(out, "Content-Length: {length}\r\n").expect("writing to a Vec cannot fail");
}

/// `h2` has refused connection-specific headers already (RFC 9113 section 8.2.2).
fn write_lines(
    headers: &HeaderMap,
    is_left_out: impl Fn(&HeaderName) -> bool,
    out: &mut Vec<u8>,
) -> Result<(), Failure> {
    for (name, value) in headers.iter().filter(|(name, _)| !is_left_out(name)) {
        let (name, value) = (name.as_str().as_bytes(), value.as_bytes());
        if !valid_name(name) || !valid_value(value) {
            return Err(Failure::invalid("a header that HTTP/1.1 cannot carry"));
        }
        out.extend_from_slice(name);
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    }
    Ok(())
}

/// Equal repetitions count as one.
fn content_length(headers: &HeaderMap) -> Result<Option<u64>, Failure> {
    let refused = || Failure::invalid("an invalid content-length");
    let mut length = None;
    for value in headers.get_all(CONTENT_LENGTH) {
        let text = value.to_str().map_err(|_| refused())?;
        let is_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let found: u64 = text.parse().map_err(|_| refused())?;
        if !is_digits || length.is_some_and(|earlier| earlier != found) {
            return Err(refused());
        }
        length = Some(found);
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_a_refused_upgrade_is_framed() {
        let text = std::str::from_utf8(NO_UPGRADE).expect("ASCII");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        assert!(head.ends_with(&format!("Content-Length: {}", body.len())));
    }

    #[test]
    fn the_accept_key_is_that_of_the_example_in_rfc_6455() {
        let accept = websocket_accept(b"dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn content_lengths_agree_or_are_refused() {
        type Case = (&'static [&'static str], Result<Option<u64>, ()>);
        let table: [Case; 7] = [
            (&[], Ok(None)),
            (&["0"], Ok(Some(0))),
            (&["7", "7"], Ok(Some(7))),
            (&["7", "8"], Err(())),
            (&["+7"], Err(())),
            (&[""], Err(())),
            (&["18446744073709551616"], Err(())),
        ];
        for (values, expected) in table {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CONTENT_LENGTH, value.parse().expect("a value"));
            }
            assert_eq!(
                content_length(&headers).map_err(|_| ()),
                expected,
                "{values:?}"
            );
        }
    }
}
