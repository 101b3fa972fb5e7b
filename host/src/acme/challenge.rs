//! What is shown to the authority while it looks whether the names are ours.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use dashmap::{DashMap, Entry};
use instant_acme::KeyAuthorization;
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};

use super::Installer;
use super::error::AcmeError;

/// Tokens of one process at once. An order has one for each of its names.
const TOKENS_MAX: usize = 1024;
/// RFC 8555 §8.1 asks for 128 bits of chance; 22 to 43 characters are usual.
const TOKEN_BYTES_MAX: usize = 256;

/// Bounded by `TOKENS_MAX`, or a few more when several orders begin in the same instant.
static SHOWN: LazyLock<DashMap<String, Shown>> = LazyLock::new(DashMap::new);
/// How many are shown, so that requests in ordinary times touch no map.
static COUNT: AtomicUsize = AtomicUsize::new(0);

struct Shown {
    authorization: String,
    /// An authority may give the same challenge to several orders of one account.
    orders: usize,
}

/// What to answer to `GET /.well-known/acme-challenge/{token}` while an `http-01` challenge with this token is under way, over all listeners:
/// the key authorization, with status 200 and the type `application/octet-stream` (RFC 8555 §8.3). One atomic load when none is.
pub fn http_challenge(token: &str) -> Option<String> {
    if COUNT.load(Ordering::Acquire) == 0 {
        return None;
    }
    SHOWN.get(token).map(|shown| shown.authorization.clone())
}

/// Is shown until it is dropped.
pub(super) enum Challenge {
    Http {
        token: String,
    },
    Tls {
        name: String,
        installer: Arc<dyn Installer>,
    },
}

impl Challenge {
    pub(super) fn over_http(
        token: &str,
        authorization: &KeyAuthorization,
    ) -> Result<Challenge, AcmeError> {
        Challenge::show_token(token, authorization.as_str())
    }

    fn show_token(token: &str, authorization: &str) -> Result<Challenge, AcmeError> {
        // Requests are compared with it, so it must be what a path may hold.
        if !is_token(token) {
            return Err(AcmeError::Token);
        }
        if COUNT.load(Ordering::Relaxed) >= TOKENS_MAX {
            return Err(AcmeError::TooManyChallenges(TOKENS_MAX));
        }
        let mut shown = SHOWN.entry(token.to_owned()).or_insert_with(|| {
            COUNT.fetch_add(1, Ordering::Release);
            Shown {
                authorization: String::new(),
                orders: 0,
            }
        });
        shown.authorization = authorization.to_owned();
        shown.orders += 1;
        Ok(Challenge::Http {
            token: token.to_owned(),
        })
    }

    /// RFC 8737 §3: a self-signed certificate for exactly this name, with the digest of the key authorization in a critical extension.
    pub(super) fn in_handshake(
        name: &str,
        authorization: &KeyAuthorization,
        installer: &Arc<dyn Installer>,
    ) -> Result<Challenge, AcmeError> {
        let (certificate, key) = proof(name, authorization.digest().as_ref())
            .map_err(|error| AcmeError::Key(error.to_string()))?;
        let shown = installer.show_challenge(name, certificate, key);
        shown.map_err(AcmeError::NotShown)?;
        Ok(Challenge::Tls {
            name: name.to_owned(),
            installer: installer.clone(),
        })
    }
}

impl Drop for Challenge {
    fn drop(&mut self) {
        match self {
            Challenge::Http { token } => hide(token),
            Challenge::Tls { name, installer } => installer.clear_challenge(name),
        }
    }
}

fn hide(token: &str) {
    if let Entry::Occupied(mut shown) = SHOWN.entry(token.to_owned()) {
        shown.get_mut().orders -= 1;
        if shown.get().orders == 0 {
            shown.remove();
            COUNT.fetch_sub(1, Ordering::Release);
        }
    }
}

fn is_token(token: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=TOKEN_BYTES_MAX).contains(&token.len()) && token.bytes().all(allowed)
}

fn proof(name: &str, digest: &[u8]) -> Result<(Vec<u8>, Vec<u8>), rcgen::Error> {
    let mut params = CertificateParams::new([name.to_owned()])?;
    params.distinguished_name = DistinguishedName::new();
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    Ok((certificate.der().to_vec(), key.serialize_der()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_answered_until_the_last_order_is_done_with_it() {
        let once = Challenge::show_token("once-and-again", "old").expect("a token");
        let again = Challenge::show_token("once-and-again", "new").expect("a token");
        assert_eq!(http_challenge("once-and-again").as_deref(), Some("new"));
        assert_eq!(http_challenge("once-and-agai"), None);
        drop(once);
        assert_eq!(http_challenge("once-and-again").as_deref(), Some("new"));
        drop(again);
        assert_eq!(http_challenge("once-and-again"), None);
    }

    #[test]
    fn a_token_is_base64url_and_not_too_long() {
        let long = "a".repeat(TOKEN_BYTES_MAX);
        let cases = [
            ("LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0", true),
            ("-_", true),
            (long.as_str(), true),
            (&format!("{long}a"), false),
            ("", false),
            ("a/b", false),
            ("a\r\n", false),
            ("é", false),
        ];
        for (token, expected) in cases {
            assert_eq!(is_token(token), expected, "{token:?}");
        }
    }
}
