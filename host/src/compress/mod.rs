//! Content codings: compression of response bodies on their way downstream by gzip, Brotli and Zstandard, as a route's `compress` says; and the
//! way back, for filters that want to see what a body says.
//!
//! [`begin`] looks at one response head, settles with the request's `Accept-Encoding` whether and how the body is compressed, and edits the
//! head accordingly; the [`Encoder`] it hands out turns the body's bytes into compressed ones. All state lives in the encoder: it is made for
//! one response, gets its memory with the first bytes of the body, and goes with the response.
//!
//! This room knows no sockets, no runtime and no routes, frames nothing, and never waits.
//!
//! # What it means for secrets
//! The length of compressed text tells how much of it repeats. Where one response holds a secret (a CSRF token, say) beside text that somebody
//! else can choose, and is asked for many times, its length betrays the secret bit by bit even through TLS (BREACH, CVE-2013-3587). Therefore
//! nothing is compressed unless the route asks for it, and routes whose pages mix the two should not ask.

mod accept;
mod codec;
mod decoder;
mod encoder;
mod head;

pub use decoder::{BadCoding, Coded, Decoder, undo};
pub use encoder::Encoder;
pub use head::{describes_bytes, unsettle};

use crate::config;
use crate::http::ResponseHead;

/// Decides whether the body of `response` is compressed, and prepares the head for it. `None` leaves the body alone.
///
/// Called once, after the last response filter and before the head is written. `accept_encoding` is the request's header, several lines joined by
/// `, `; without it, or when it is malformed, nothing is compressed.
///
/// An answer to HEAD gets the headers that GET would get, and no encoder.
///
/// On `Some` the head has `Content-Encoding`, its `ETag` is weak (an invalid one is gone), it has no `Content-Length`, `Accept-Ranges` or digest
/// of the bytes any more, and [`ResponseHead::body`] is chunked: the caller frames the body by that. If only the client's wishes or the
/// order of them stand between the response and compression, it gets `Vary: Accept-Encoding` in both cases, since caches must tell the two apart.
///
/// Left alone, without `Vary`:
/// - an answer to CONNECT, and one to HEAD that does not tell its length;
/// - statuses 1xx, 204, 205, 206 and 304, anything with `Content-Range`, and a body known to be empty or shorter than `size_min`;
/// - what has a `Content-Encoding` already, other than `identity`;
/// - `Cache-Control: no-transform` (RFC 9111 section 5.2.2.6);
/// - a `Content-Type` that is absent, repeated or not among the settings' types; gRPC, which compresses by message, always; and
///   `text/event-stream` unless it is listed by its full name: it comes in small events that gain little and are each flushed.
///
/// A response made here has no body by its head ([`ResponseHead::begin`]) and is left alone likewise.
pub fn begin(
    settings: &config::Compress,
    accept_encoding: Option<&[u8]>,
    request_method: &str,
    response: &mut ResponseHead,
) -> Option<Encoder> {
    if !head::may_compress(settings, request_method, response) {
        return None;
    }
    // A head that has no room for another line (32 MiB) goes out as it is; each step before the failing one does no harm by itself.
    head::add_vary(response).ok()?;
    let coding = accept::choose(accept_encoding?, &settings.codings)?;
    let length = response.content_length();
    head::announce(response, coding).ok()?;
    if request_method == "HEAD" {
        return None;
    }
    Some(Encoder::new(coding, length))
}

#[cfg(test)]
mod tests;
