//! The response head: which ones may be compressed, and what is changed in those that are.

use crate::config::{Coding, Compress};
use crate::http::{BadField, BodyLength, Fields, ResponseHead};

/// Whether everything but the client's wishes allows compression; the rules are those of [`super::begin`].
pub(super) fn may_compress(
    settings: &Compress,
    request_method: &str,
    response: &ResponseHead,
) -> bool {
    let fields = response.fields();
    request_method != "CONNECT"
        && is_whole(response)
        && is_large_enough(length(response, request_method), settings.size_min)
        && is_listed(&settings.types, fields)
        && !is_encoded(fields)
        && !names(fields, b"cache-control", b"no-transform")
}

/// Adds `Vary: Accept-Encoding`, unless `Vary` says so or says `*` already.
pub(super) fn add_vary(response: &mut ResponseHead) -> Result<(), BadField> {
    let fields = response.fields_mut();
    if names(fields, b"vary", b"accept-encoding") || names(fields, b"vary", b"*") {
        return Ok(());
    }
    fields.append(b"Vary", b"Accept-Encoding")
}

/// Says that the body is compressed, and nothing that is no longer true.
pub(super) fn announce(response: &mut ResponseHead, coding: Coding) -> Result<(), BadField> {
    let fields = response.fields_mut();
    unsettle(fields)?;
    fields.set(b"Content-Encoding", coding.as_str().as_bytes())?;
    response.forget_length();
    Ok(())
}

/// Takes from a head what is no longer true once the bytes of the body are others: a strong `ETag`, `Accept-Ranges`, digests.
///
/// # Errors
/// When the head has no room for the change.
pub fn unsettle(fields: &mut Fields) -> Result<(), BadField> {
    weaken_etag(fields)?;
    fields.remove(b"Accept-Ranges");
    for name in OF_THE_BYTES {
        fields.remove(name);
    }
    Ok(())
}

/// Whether the header or trailer `name` (any case) is a digest of the body's bytes, wrong once they are compressed: `Content-Digest` and
/// `Repr-Digest` of RFC 9530, and the older `Digest` and `Content-MD5`. The trailers of a compressed body must not have such a line either.
pub fn describes_bytes(name: &[u8]) -> bool {
    OF_THE_BYTES
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known))
}

const OF_THE_BYTES: [&[u8]; 4] = [b"Content-Digest", b"Repr-Digest", b"Digest", b"Content-MD5"];

/// A final response that has a body, and all of it.
fn is_whole(response: &ResponseHead) -> bool {
    !matches!(response.status(), ..200 | 204..=206 | 304)
        && !response.fields().contains(b"content-range")
}

/// Of the body, or of the one that GET would have had: an answer to HEAD says the same (RFC 9110 section 9.3.2).
fn length(response: &ResponseHead, request_method: &str) -> BodyLength {
    match (request_method, response.content_length()) {
        ("HEAD", Some(length)) => BodyLength::Fixed(length),
        // Nothing is known of it; a wrong `Vary` would do less harm than a missing one, a wrong `Content-Encoding` more.
        ("HEAD", None) => BodyLength::None,
        _ => response.body(),
    }
}

/// A body of unknown length may always be: most of those are large, and an event stream is not over for a long time.
fn is_large_enough(length: BodyLength, size_min: u64) -> bool {
    match length {
        BodyLength::None | BodyLength::Fixed(0) => false,
        BodyLength::Fixed(length) => length >= size_min,
        BodyLength::Chunked | BodyLength::UntilClose => true,
    }
}

/// Whether there is one `Content-Type`, and it is listed.
fn is_listed(types: &[String], fields: &Fields) -> bool {
    let mut lines = fields.get_all(b"content-type");
    let (Some(value), None) = (lines.next(), lines.next()) else {
        return false;
    };
    let end = value.iter().position(|&byte| byte == b';');
    let media_type = value[..end.unwrap_or(value.len())].trim_ascii();
    !starts_with(media_type, b"application/grpc")
        && types.iter().any(|listed| covers(listed, media_type))
}

fn covers(listed: &str, media_type: &[u8]) -> bool {
    match listed.strip_suffix('*') {
        Some(kind) => {
            starts_with(media_type, kind.as_bytes())
                && !media_type.eq_ignore_ascii_case(b"text/event-stream")
        }
        None => media_type.eq_ignore_ascii_case(listed.as_bytes()),
    }
}

fn starts_with(value: &[u8], prefix: &[u8]) -> bool {
    value
        .get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// `Content-Encoding: identity` is not allowed to be sent, but it is; it means that there is none.
fn is_encoded(fields: &Fields) -> bool {
    elements(fields, b"content-encoding").any(|coding| !coding.eq_ignore_ascii_case(b"identity"))
}

fn names(fields: &Fields, name: &[u8], element: &[u8]) -> bool {
    elements(fields, name).any(|found| found.eq_ignore_ascii_case(element))
}

/// The elements of a list that may stand on several lines. Commas in quoted strings split too: at worst this finds a `no-transform` that nobody
/// said, and leaves the response alone.
fn elements<'a>(fields: &'a Fields, name: &[u8]) -> impl Iterator<Item = &'a [u8]> {
    fields
        .get_all(name)
        .flat_map(|value| value.split(|&byte| byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty())
}

/// The same tag must not stand for two sequences of bytes, unless it is weak (RFC 9110 section 8.8.1). As nginx does it: what is no entity tag
/// at all goes.
fn weaken_etag(fields: &mut Fields) -> Result<(), BadField> {
    let Some(tag) = fields.get(b"etag") else {
        return Ok(());
    };
    if tag.starts_with(b"W/\"") {
        return Ok(());
    }
    if !tag.starts_with(b"\"") {
        fields.remove(b"ETag");
        return Ok(());
    }
    let weak = [b"W/", tag].concat();
    fields.set(b"ETag", &weak)
}
