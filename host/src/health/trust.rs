//! Whom the TLS probe trusts.

use std::path::Path;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

/// The certificates in the PEM file `ca`; without one, the system's. Blocks on file reads.
pub(super) fn trusted_roots(ca: Option<&Path>) -> Result<RootCertStore, String> {
    match ca {
        Some(path) => pem_roots(path),
        None => system_roots(),
    }
}

fn pem_roots(path: &Path) -> Result<RootCertStore, String> {
    let unreadable = |error| format!("cannot read certificates of {}: {error}", path.display());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
        let added = roots.add(certificate.map_err(unreadable)?);
        added.map_err(|error| format!("a certificate of {}: {error}", path.display()))?;
    }
    if roots.is_empty() {
        return Err(format!("there is no certificate in {}", path.display()));
    }
    Ok(roots)
}

/// Those that cannot be used are left out, as every TLS library does: systems carry some.
fn system_roots() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (usable, _) = roots.add_parsable_certificates(found.certs);
    if usable == 0 {
        let why = found.errors.first().map(|error| format!(": {error}"));
        return Err(format!(
            "the system has no root certificates{}; name a file with `ca`",
            why.unwrap_or_default()
        ));
    }
    Ok(roots)
}

/// For `verify=#false`: any certificate will do, and it need not even be the peer's. Fit to learn whether something speaks TLS there,
/// and for nothing else; hence private to checks, which send no secret.
#[derive(Debug)]
pub(super) struct AcceptsAnyCertificate;

impl ServerCertVerifier for AcceptsAnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::aws_lc_rs::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
