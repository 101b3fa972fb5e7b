//! Serialising heads. Start line, `Host` and everything that frames a message or steers its connection are written here from what was decided;
//! all other lines are copied, untouched neighbours in one piece.

use super::head::{BodyLength, RequestHead, ResponseHead, Version, usual_reason};
use super::syntax::write_decimal;

/// Appends the head as it goes upstream, in HTTP/1.1, followed by a body of length `body`.
///
/// The connection is meant to persist, so there is no `Connection` header, except with an upgrade or `TE: trailers`. A request
/// without a host (HTTP/1.0) needs [`RequestHead::set_authority`] first, or its `Host` is empty. [`BodyLength::UntilClose`] cannot frame a
/// request and is written like [`BodyLength::None`].
pub fn write_request(head: &RequestHead, body: BodyLength, out: &mut Vec<u8>) {
    let (method, target) = (
        head.fields.slice(head.method),
        head.fields.slice(head.target),
    );
    let authority = head.fields.slice(head.authority);
    out.reserve(method.len() + target.len() + authority.len() + 64);
    out.extend_from_slice(method);
    out.push(b' ');
    out.extend_from_slice(target);
    out.extend_from_slice(b" HTTP/1.1\r\nHost: ");
    out.extend_from_slice(authority);
    out.extend_from_slice(b"\r\n");
    head.fields.write_lines(out);
    write_body_length(body, out);
    match (head.upgrade(), head.te_trailers()) {
        (Some(protocol), _) => write_upgrade(protocol, out),
        (None, true) => out.extend_from_slice(b"TE: trailers\r\nConnection: TE\r\n"),
        (None, false) => {}
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends the head as it goes to a downstream that spoke `version`, followed by a body of length `body`; [`downstream_body`] tells both
/// `body` and whether the connection can persist.
///
/// `keep_alive` false announces the end of the connection. A response to HEAD and a 304 keep their `Content-Length`. Interim responses
/// must not be written to an HTTP/1.0 downstream (RFC 9110 section 15.2). The status line says HTTP/1.1, whatever the downstream spoke
/// (RFC 9110 section 2.5).
pub fn write_response(
    head: &ResponseHead,
    body: BodyLength,
    keep_alive: bool,
    version: Version,
    out: &mut Vec<u8>,
) {
    write_status_line(head, out);
    head.fields.write_lines(out);
    let is_bodiless = matches!(head.status(), 100..=199 | 204);
    match (body, head.content_length()) {
        (BodyLength::None, Some(length)) if !is_bodiless => write_content_length(length, out),
        _ => write_body_length(body, out),
    }
    match head.upgrade() {
        Some(protocol) => write_upgrade(protocol, out),
        None if head.is_interim() => return out.extend_from_slice(b"\r\n"),
        None => {}
    }
    if head.status() != 101 {
        write_persistence(keep_alive, version, out);
    }
    out.extend_from_slice(b"\r\n");
}

/// How a body that arrives from upstream as `upstream` is framed for a downstream that spoke `version`, and whether the downstream connection
/// can persist after it: an unknown length is chunked on HTTP/1.1, and ends with the connection on HTTP/1.0.
pub fn downstream_body(upstream: BodyLength, version: Version) -> (BodyLength, bool) {
    match (upstream, version) {
        (BodyLength::None | BodyLength::Fixed(_), _) => (upstream, true),
        (BodyLength::Chunked | BodyLength::UntilClose, Version::Http11) => {
            (BodyLength::Chunked, true)
        }
        (BodyLength::Chunked | BodyLength::UntilClose, Version::Http10) => {
            (BodyLength::UntilClose, false)
        }
    }
}

fn write_status_line(head: &ResponseHead, out: &mut Vec<u8>) {
    let reason = head.reason();
    if head.status() == 200 && reason == usual_reason(200).as_bytes() {
        out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
        return;
    }
    out.extend_from_slice(b"HTTP/1.1 ");
    write_decimal(head.status().into(), out);
    out.push(b' ');
    out.extend_from_slice(reason);
    out.extend_from_slice(b"\r\n");
}

fn write_body_length(body: BodyLength, out: &mut Vec<u8>) {
    match body {
        BodyLength::None | BodyLength::UntilClose => {}
        BodyLength::Fixed(length) => write_content_length(length, out),
        BodyLength::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
    }
}

fn write_content_length(length: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(b"Content-Length: ");
    write_decimal(length, out);
    out.extend_from_slice(b"\r\n");
}

fn write_upgrade(protocol: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"Upgrade: ");
    out.extend_from_slice(protocol.as_bytes());
    out.extend_from_slice(b"\r\nConnection: upgrade\r\n");
}

/// HTTP/1.1 persists unless it is said otherwise, HTTP/1.0 the other way round.
fn write_persistence(keep_alive: bool, version: Version, out: &mut Vec<u8>) {
    match (keep_alive, version) {
        (false, _) => out.extend_from_slice(b"Connection: close\r\n"),
        (true, Version::Http10) => out.extend_from_slice(b"Connection: keep-alive\r\n"),
        (true, Version::Http11) => {}
    }
}
