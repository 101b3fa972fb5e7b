//! A chain and a key that belong together.

use std::time::{Duration, SystemTime};

use instant_acme::CertificateIdentifier;
use rustls::client::verify_server_name;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use x509_parser::parse_x509_certificate;
use x509_parser::time::ASN1Time;

use super::error::AcmeError;
use crate::config::Spanned;

/// Seconds since 1970.
const YEAR_10000: u64 = 253_402_300_800;

/// The chain, the certificate first, and its key; both PEM.
pub(super) type Pair = (Vec<u8>, Vec<u8>);

/// Whether it is trusted is for its readers to say; here it only has to be whole.
#[derive(Debug)]
pub(super) struct Certificate {
    pub(super) pair: Pair,
    pub(super) not_before: SystemTime,
    pub(super) not_after: SystemTime,
    /// How to ask the authority about it (RFC 9773 §4.1); none if it does not name its issuer's key.
    pub(super) id: Option<CertificateIdentifier<'static>>,
    first: CertificateDer<'static>,
}

impl Certificate {
    pub(super) fn parse(pair: Pair) -> Result<Certificate, AcmeError> {
        let first = checked(&pair.0, &pair.1)?;
        let (not_before, not_after) = validity(&first)?;
        Ok(Certificate {
            id: CertificateIdentifier::try_from(&first)
                .ok()
                .map(CertificateIdentifier::into_owned),
            pair,
            not_before,
            not_after,
            first,
        })
    }

    /// By its subject alternative names, wildcards too.
    pub(super) fn covers(&self, name: &str) -> bool {
        let (Ok(name), Ok(certificate)) = (
            ServerName::try_from(name),
            ParsedCertificate::try_from(&self.first),
        ) else {
            return false;
        };
        verify_server_name(&certificate, &name).is_ok()
    }

    pub(super) fn covers_any(&self, names: &[Spanned<String>]) -> bool {
        names.iter().any(|name| self.covers(&name.value))
    }

    /// The first of `names` that it is not for.
    pub(super) fn lacks<'a>(&self, names: &'a [Spanned<String>]) -> Option<&'a str> {
        let mut names = names.iter().map(|name| name.value.as_str());
        names.find(|name| !self.covers(name))
    }

    pub(super) fn lifetime(&self) -> Duration {
        self.not_after
            .duration_since(self.not_before)
            .unwrap_or_default()
    }
}

/// The certificate itself, once it is known to be that of the key.
fn checked(chain: &[u8], key: &[u8]) -> Result<CertificateDer<'static>, AcmeError> {
    let unreadable = |error| AcmeError::Certificate(format!("the chain is not PEM: {error}"));
    let chain: Vec<_> = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<_, _>>()
        .map_err(unreadable)?;
    let Some(first) = chain.first().cloned() else {
        return Err(AcmeError::Certificate(
            "there is no certificate in the chain".to_owned(),
        ));
    };
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|error| AcmeError::Certificate(format!("the key is not PEM: {error}")))?;
    CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())
        .map_err(|error| AcmeError::Certificate(format!("the certificate and its key: {error}")))?;
    Ok(first)
}

fn validity(certificate: &CertificateDer<'_>) -> Result<(SystemTime, SystemTime), AcmeError> {
    let broken = || AcmeError::Certificate("the certificate cannot be understood".to_owned());
    let (_, parsed) = parse_x509_certificate(certificate).map_err(|_| broken())?;
    let validity = parsed.validity();
    let times = instant(validity.not_before).zip(instant(validity.not_after));
    times.filter(|(from, to)| from < to).ok_or_else(broken)
}

/// None outside 1970 to 9999, where there are no certificates and HTTP has no dates to speak of them.
fn instant(time: ASN1Time) -> Option<SystemTime> {
    let seconds = u64::try_from(time.timestamp()).ok()?;
    if seconds >= YEAR_10000 {
        return None;
    }
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}
