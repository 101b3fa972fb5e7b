//! A request head as HTTP/2 says it (RFC 9113 section 8.3.1, RFC 8441 section 4).

use super::error::Failure;
use crate::http::{BodyLength, Fields, Limits, RequestHead, Scheme, TargetForm};
use crate::http::{EscapedSlashes, Underscores};
use ::http::header::{HeaderName, HeaderValue, TE};
use ::http::uri::{Authority, PathAndQuery, Uri};
use ::http::{HeaderMap, Method, Request};
use bytes::{Bytes, BytesMut};
use h2::ext::Protocol;

/// A head in the form that `h2` takes, and what its response has to be read with.
#[derive(Debug)]
pub(super) struct Translated {
    pub(super) request: Request<()>,
    pub(super) body: BodyLength,
    pub(super) asked: Asked,
}

/// What decides how a response is to be understood.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) is_head: bool,
    pub(super) upgrade: Option<Upgrade>,
}

/// The protocol to switch to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Upgrade {
    pub(super) protocol: String,
    /// `Sec-WebSocket-Key`, which extended CONNECT has no use for, but whose answer an HTTP/1.1 downstream waits for.
    pub(super) key: Option<Vec<u8>>,
}

const WEBSOCKET_KEY: &[u8] = b"sec-websocket-key";

/// The head has been checked and normalised on its way in, with the limits of its listener; here it only has to be read again.
pub(super) fn limits(header_bytes_max: usize) -> Limits {
    Limits {
        head_bytes_max: header_bytes_max.saturating_mul(2).max(128 * 1024),
        // Within what the map of the `http` crate can hold.
        headers_max: 16 * 1024,
        underscores: Underscores::Keep,
        escaped_slashes: EscapedSlashes::Keep,
        merge_slashes: false,
    }
}

/// Translates a parsed head.
pub(super) fn translate(head: &RequestHead, scheme: Scheme) -> Result<Translated, Failure> {
    if head.form() == TargetForm::Authority {
        return Err(Failure::unfit("CONNECT is not passed on"));
    }
    let upgrade = head.upgrade().map(|protocol| Upgrade {
        protocol: protocol.to_owned(),
        key: head.fields().get(WEBSOCKET_KEY).map(<[u8]>::to_vec),
    });
    let mut request = Request::new(());
    *request.version_mut() = ::http::Version::HTTP_2;
    *request.uri_mut() = uri(head, scheme)?;
    *request.headers_mut() = headers(head, upgrade.is_some())?;
    *request.method_mut() = match &upgrade {
        Some(upgrade) => {
            let protocol = Protocol::from(upgrade.protocol.as_str());
            request.extensions_mut().insert(protocol);
            Method::CONNECT
        }
        None => Method::from_bytes(head.method().as_bytes())
            .map_err(|_| Failure::unfit("not a method"))?,
    };
    let asked = Asked {
        is_head: head.method() == "HEAD",
        upgrade,
    };
    Ok(Translated {
        request,
        body: head.body(),
        asked,
    })
}

fn uri(head: &RequestHead, scheme: Scheme) -> Result<Uri, Failure> {
    let authority = Bytes::copy_from_slice(head.authority().as_bytes());
    let authority = Authority::from_maybe_shared(authority);
    let mut parts = ::http::uri::Parts::default();
    parts.scheme = Some(match scheme {
        Scheme::Http => ::http::uri::Scheme::HTTP,
        Scheme::Https => ::http::uri::Scheme::HTTPS,
    });
    parts.authority = Some(authority.map_err(|_| Failure::unfit("not an authority"))?);
    parts.path_and_query = Some(path_and_query(head.target())?);
    Uri::from_parts(parts).map_err(|_| Failure::unfit("not a target"))
}

/// The `http` crate refuses a few visible characters that RFC 3986 does not allow and that HTTP/1.1 carries all the same; escaped they say the
/// same.
fn path_and_query(target: &str) -> Result<PathAndQuery, Failure> {
    PathAndQuery::try_from(target)
        .or_else(|_| PathAndQuery::from_maybe_shared(escaped(target)))
        .map_err(|_| Failure::unfit("not a target"))
}

/// With everything escaped that is neither reserved nor unreserved in RFC 3986 section 2, nor an escape.
fn escaped(target: &str) -> Bytes {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    const MARKS: &[u8] = b"-._~:/?[]@!$&'()*+,;=%";
    let mut out = BytesMut::with_capacity(target.len() + 16);
    for byte in target.bytes() {
        if byte.is_ascii_alphanumeric() || MARKS.contains(&byte) {
            out.extend_from_slice(&[byte]);
        } else {
            let (high, low) = (
                DIGITS[usize::from(byte >> 4)],
                DIGITS[usize::from(byte & 15)],
            );
            out.extend_from_slice(&[b'%', high, low]);
        }
    }
    out.freeze()
}

fn headers(head: &RequestHead, is_upgrade: bool) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::with_capacity(head.fields().len() + 1);
    copy_lines(head.fields(), &mut headers, |name| {
        let is_of_upgrade = is_upgrade
            && (name.eq_ignore_ascii_case(WEBSOCKET_KEY)
                || name.eq_ignore_ascii_case(b"content-length"));
        is_of_upgrade || name.eq_ignore_ascii_case(b"host") || name.eq_ignore_ascii_case(b"upgrade")
    })?;
    if head.te_trailers() {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    Ok(headers)
}

/// The trailers of a request.
pub(super) fn trailers(fields: &Fields) -> Result<HeaderMap, Failure> {
    let mut trailers = HeaderMap::with_capacity(fields.len());
    copy_lines(fields, &mut trailers, |_| false)?;
    Ok(trailers)
}

/// Connection-specific headers are gone since the head was parsed. All values share one allocation.
fn copy_lines(
    fields: &Fields,
    to: &mut HeaderMap,
    is_left_out: impl Fn(&[u8]) -> bool,
) -> Result<(), Failure> {
    let values_len = fields.iter().map(|(_, value)| value.len()).sum();
    let mut values = BytesMut::with_capacity(values_len);
    for (name, value) in fields.iter().filter(|(name, _)| !is_left_out(name)) {
        values.extend_from_slice(value);
        let value = HeaderValue::from_maybe_shared(values.split().freeze())
            .map_err(|_| Failure::unfit("not a header value"))?;
        let name = HeaderName::from_bytes(name).map_err(|_| Failure::unfit("not a header name"))?;
        to.try_append(name, value)
            .map_err(|_| Failure::unfit("too many headers"))?;
    }
    Ok(())
}
