//! Certificates for the validation of names by tls-alpn-01, RFC 8737.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use super::Errors;
use super::certificate::Certificate;
use super::hello::sni;
use super::policy::Policy;
use super::template::bare_config;
use crate::config::TlsPolicy;

/// The protocol by which the validation server makes itself known; it speaks nothing above it.
const PROTOCOL: &[u8] = b"acme-tls/1";

/// What is shown to who comes to validate a name. Survives reloads; empty most of the time.
#[derive(Debug, Default)]
pub struct Challenges {
    /// By name, lower case. Bounded by the orders under way.
    certificates: ArcSwap<HashMap<Box<str>, Arc<ServerConfig>>>,
}

impl Challenges {
    /// Shows this certificate (DER, self-signed, with the extension of RFC 8737) when `name` is validated, until it is cleared. The key is DER:
    /// PKCS #8, PKCS #1 or SEC 1.
    ///
    /// # Errors
    /// What is wrong with certificate or key.
    pub fn set(&self, name: &str, certificate: Vec<u8>, key: Vec<u8>) -> Result<(), String> {
        let config = Arc::new(config(certificate, key)?);
        self.certificates.rcu(|certificates| {
            let mut certificates = HashMap::clone(certificates);
            certificates.insert(name.to_ascii_lowercase().into(), config.clone());
            certificates
        });
        Ok(())
    }

    /// Forgets what was set for `name`.
    pub fn clear(&self, name: &str) {
        let name = name.to_ascii_lowercase();
        self.certificates.rcu(|certificates| {
            let mut certificates = HashMap::clone(certificates);
            certificates.remove(&*name);
            certificates
        });
    }

    /// The configuration for a client that comes to validate a name for which something is set.
    pub(super) fn find(&self, hello: &ClientHello<'_>) -> Option<Arc<ServerConfig>> {
        if hello.alpn()?.any(|protocol| protocol == PROTOCOL) {
            return self.certificates.load().get(&*sni(hello)?).cloned();
        }
        None
    }
}

/// Resumes nothing: who holds a ticket of this one has shown no certificate.
fn config(certificate: Vec<u8>, key: Vec<u8>) -> Result<ServerConfig, String> {
    let words = |errors: Errors| {
        errors
            .into_iter()
            .map(|(_, error)| error)
            .collect::<String>()
    };
    let policy = Policy::new(&TlsPolicy::default()).map_err(words)?;
    let key = PrivateKeyDer::try_from(key)?;
    let pair = pair(certificate.into(), key, &policy.provider)?;
    let mut config = bare_config(&policy, WebPkiClientVerifier::no_client_auth()).map_err(words)?;
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    config.cert_resolver = Arc::new(SingleCertAndKey::from(pair));
    Ok(config)
}

/// The library's check that both belong together is left out: it parses the certificate, and refuses critical extensions that it does not
/// know, of which the one of RFC 8737 is one.
fn pair(
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, String> {
    Certificate::read(&certificate)?;
    let key = provider.key_provider.load_private_key(key);
    let key = key.map_err(|error| format!("the key cannot be used: {error}"))?;
    Ok(CertifiedKey::new(vec![certificate], key))
}
