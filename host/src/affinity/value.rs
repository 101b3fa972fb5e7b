//! What a cookie's value says of an endpoint, and how nobody else can say it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::config::{CookieAffinity, CookieValue};

/// Characters of 16 bytes in base64url without padding.
const OPAQUE_LEN: usize = 22;

/// Characters of 32 bytes in base64url without padding.
const SIGNATURE_LEN: usize = 43;

/// The longest value that is looked at more closely; a longer one is nobody's. An id may take up three times its length.
const VALUE_BYTES_MAX: usize = 4096;

/// Makes and reads cookie values of one cluster.
///
/// Opaque: HMAC-SHA256 (RFC 2104) of `opaque`, NUL, cluster, NUL, id, cut to 16 bytes, in base64url: 22 characters. Signed: the id, a dot, and the
/// whole HMAC-SHA256 of cluster, NUL, id in base64url. The key is the secret; without one it is made of the cluster's name, so that several
/// proxies with the same configuration agree, and the value then hides the id from a glance but not from who guesses it.
///
/// In a signed value (and in what is signed) the bytes of the id that may not stand in a cookie (RFC 6265 section 4.1.1) and `%`, `~` are
/// written as `%XX`; addresses and usual names stay as they are.
#[derive(Clone)]
pub(super) struct ValueMaker {
    kind: CookieValue,
    /// With the key taken in, so that it is hashed once.
    keyed: Hmac<Sha256>,
    cluster: Box<str>,
}

/// What a value is when it is not that of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stranger {
    /// Issued for an endpoint that is gone, as far as one can tell.
    Gone,
    /// Anything else.
    Forged,
}

impl std::fmt::Debug for ValueMaker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ValueMaker")
            .field("kind", &self.kind)
            .field("cluster", &self.cluster)
            .finish_non_exhaustive()
    }
}

impl ValueMaker {
    pub(super) fn new(cluster: &str, settings: &CookieAffinity) -> ValueMaker {
        let default = || format!("tollgate affinity of cluster {cluster}");
        let key = settings.secret.clone();
        let key = key.map_or_else(default, |secret| secret.0);
        ValueMaker {
            kind: settings.value.clone(),
            keyed: Hmac::new_from_slice(key.as_bytes()).expect("HMAC takes a key of any length"),
            cluster: cluster.into(),
        }
    }

    /// The value that names the endpoint with this id.
    pub(super) fn value(&self, id: &str) -> Box<[u8]> {
        match self.kind {
            CookieValue::Opaque => {
                let hash = self.hash(&[b"opaque\0", self.cluster.as_bytes(), b"\0", id.as_bytes()]);
                encode(&hash[..16])
            }
            CookieValue::Signed => {
                let mut value = escape(id);
                let signature = self.signature(&value);
                value.push(b'.');
                value.extend_from_slice(&signature);
                value.into_boxed_slice()
            }
        }
    }

    /// What to look a value up by: an opaque value itself, the id of a signed one. `None` when it is of another form.
    pub(super) fn label<'v>(&self, value: &'v [u8]) -> Option<&'v [u8]> {
        match self.kind {
            CookieValue::Opaque => is_opaque(value).then_some(value),
            CookieValue::Signed => split_signed(value).map(|(id, _)| id),
        }
    }

    /// What a value is that is none of the endpoints'.
    pub(super) fn judge_stranger(&self, value: &[u8]) -> Stranger {
        let gone = match self.kind {
            CookieValue::Opaque => is_opaque(value),
            CookieValue::Signed => split_signed(value)
                .is_some_and(|(id, signature)| same(&self.signature(id), signature)),
        };
        if gone {
            Stranger::Gone
        } else {
            Stranger::Forged
        }
    }

    /// The signature of an id in its escaped form.
    fn signature(&self, escaped: &[u8]) -> Box<[u8]> {
        encode(&self.hash(&[self.cluster.as_bytes(), b"\0", escaped]))
    }

    fn hash(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut keyed = self.keyed.clone();
        for part in parts {
            keyed.update(part);
        }
        keyed.finalize().into_bytes().into()
    }
}

/// Whether two values are the same, in a time that depends on their lengths only: no guess gets warmer.
pub(super) fn same(one: &[u8], other: &[u8]) -> bool {
    one.ct_eq(other).into()
}

/// Whether a value has a form that is made here, of either kind, whatever the secret.
pub(super) fn has_form(value: &[u8]) -> bool {
    is_opaque(value) || split_signed(value).is_some()
}

fn is_opaque(value: &[u8]) -> bool {
    value.len() == OPAQUE_LEN && is_encoded(value)
}

/// The id and the signature.
fn split_signed(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let dot = value.len().checked_sub(SIGNATURE_LEN + 1)?;
    let (id, signature) = (&value[..dot], &value[dot + 1..]);
    let valid = value.len() <= VALUE_BYTES_MAX && value[dot] == b'.' && is_encoded(signature);
    valid.then_some((id, signature))
}

fn is_encoded(text: &[u8]) -> bool {
    text.iter()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

fn encode(bytes: &[u8]) -> Box<[u8]> {
    URL_SAFE_NO_PAD
        .encode(bytes)
        .into_bytes()
        .into_boxed_slice()
}

/// The id as it may stand in a cookie, in front of a `~`.
fn escape(id: &str) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut escaped = Vec::with_capacity(id.len() + 1 + SIGNATURE_LEN);
    for byte in id.bytes() {
        if byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';' | b'\\' | b'%' | b'~') {
            escaped.push(byte);
        } else {
            let digits = [
                DIGITS[usize::from(byte >> 4)],
                DIGITS[usize::from(byte & 15)],
            ];
            escaped.push(b'%');
            escaped.extend_from_slice(&digits);
        }
    }
    escaped
}

#[cfg(test)]
mod tests;
