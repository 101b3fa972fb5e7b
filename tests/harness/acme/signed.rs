//! Signed requests: JWS as ACME uses it (RFC 8555 §6.2), and external account bindings (§7.3.4).

use super::Answer;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::{hmac, signature};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// A JWS whose signature has not been looked at.
pub(super) struct Signed {
    pub(super) header: Value,
    /// Null for an empty one, which only asks (§6.3).
    pub(super) payload: Value,
    message: Vec<u8>,
    signature: Vec<u8>,
}

/// The public part of an account's key: x and y of a point on P-256.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    x: String,
    y: String,
}

impl Signed {
    pub(super) fn read(jws: &Value) -> Result<Signed, Answer> {
        let part = |name: &str| jws[name].as_str().ok_or_else(|| malformed(name));
        let (protected, payload) = (part("protected")?, part("payload")?);
        let json = |text: &str| {
            let bytes = decode(text)?;
            serde_json::from_slice(&bytes).map_err(|_| malformed("not JSON"))
        };
        Ok(Signed {
            header: json(protected)?,
            payload: if payload.is_empty() {
                Value::Null
            } else {
                json(payload)?
            },
            message: format!("{protected}.{payload}").into_bytes(),
            signature: decode(part("signature")?)?,
        })
    }

    pub(super) fn is_by(&self, key: &Key) -> bool {
        let (Ok(x), Ok(y)) = (decode(&key.x), decode(&key.y)) else {
            return false;
        };
        let point = [&[4], x.as_slice(), y.as_slice()].concat();
        let key = signature::UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point);
        self.header["alg"] == "ES256" && key.verify(&self.message, &self.signature).is_ok()
    }

    pub(super) fn is_with(&self, secret: &[u8]) -> bool {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        self.header["alg"] == "HS256" && hmac::verify(&key, &self.message, &self.signature).is_ok()
    }
}

impl Key {
    pub(super) fn read(jwk: &Value) -> Result<Key, Answer> {
        if jwk["kty"] != "EC" || jwk["crv"] != "P-256" {
            return Err(Answer::problem(400, "badPublicKey", "P-256 only"));
        }
        let part = |name: &str| {
            jwk[name]
                .as_str()
                .map(str::to_owned)
                .ok_or_else(|| malformed(name))
        };
        Ok(Key {
            x: part("x")?,
            y: part("y")?,
        })
    }

    /// RFC 7638: of the members in their order, without spaces.
    pub(super) fn thumbprint(&self) -> String {
        let (x, y) = (&self.x, &self.y);
        let text = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        URL_SAFE_NO_PAD.encode(digest(&SHA256, text.as_bytes()))
    }
}

pub(super) fn decode(text: &str) -> Result<Vec<u8>, Answer> {
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| malformed("not base64url"))
}

pub(super) fn malformed(what: &str) -> Answer {
    Answer::problem(400, "malformed", what)
}
