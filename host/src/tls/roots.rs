//! Whom we trust when we are the client.

use std::path::Path;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::digest::Digest;
use super::policy::default_provider;

/// The certificates in the PEM file `ca`; without one, the system's. Blocks on file reads.
///
/// # Errors
/// What a file lacks or holds that it should not, in words that name it.
pub fn trusted_roots(ca: Option<&Path>) -> Result<RootCertStore, String> {
    match ca {
        Some(path) => {
            let read = std::fs::read(path);
            let pem = read.map_err(|error| format!("cannot read {}: {error}", path.display()))?;
            pem_roots(&pem, path)
        }
        None => system_roots(),
    }
}

/// The certificates in `pem`, which is what `path` holds: all of them must be usable.
pub(super) fn pem_roots(pem: &[u8], path: &Path) -> Result<RootCertStore, String> {
    let file = path.display();
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate
            .map_err(|error| format!("cannot read the certificates of {file}: {error}"))?;
        let added = roots.add(certificate);
        added.map_err(|error| format!("a certificate of {file} cannot be used: {error}"))?;
    }
    if roots.is_empty() {
        return Err(format!(
            "there is no certificate in {file}; PEM with the certificates of authorities is expected"
        ));
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

pub(super) fn add_roots_to(digest: &mut Digest, roots: &RootCertStore) {
    for root in &roots.roots {
        digest.add(root.subject.as_ref());
        digest.add(root.subject_public_key_info.as_ref());
        digest.add(root.name_constraints.as_deref().unwrap_or_default());
    }
}

/// For `verify=#false`: any certificate will do, and it need not even be the peer's. Whoever stands between can read and change everything,
/// so a check of signatures would add nothing.
#[derive(Debug)]
pub struct AcceptsAnyCertificate;

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
        let algorithms = default_provider().signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}
