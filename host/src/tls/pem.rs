//! Certificates, keys, revocation lists and staples from files. Everything here blocks.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use x509_parser::asn1_rs::{Any, FromDer, Tag};

use super::Errors;
use super::certificate::{Certificate, Validity};
use super::digest::Digest;
use crate::config::{self, Place, Spanned};

/// The bytes of a file.
pub(super) fn read(path: &Spanned<PathBuf>) -> Result<Vec<u8>, (Place, String)> {
    std::fs::read(&path.value).map_err(|error| {
        let file = path.value.display();
        (path.place, format!("cannot read {file}: {error}"))
    })
}

/// A chain with the key that belongs to it; adds the contents of both files to `digest`. Warns of a certificate that is out of date.
///
/// # Errors
/// Everything that is wrong with either file.
pub(super) fn pair(
    written: &config::Certificate,
    provider: &CryptoProvider,
    digest: &mut Digest,
) -> Result<CertifiedKey, Errors> {
    let chain = read(&written.chain).and_then(|pem| {
        digest.add(&pem);
        chain(&pem, &written.chain.value).map_err(|error| (written.chain.place, error))
    });
    let key = read(&written.key).and_then(|pem| {
        digest.add(&pem);
        key(&pem, &written.key.value).map_err(|error| (written.key.place, error))
    });
    match (chain, key) {
        (Ok(chain), Ok(key)) => {
            let fits = fitting(chain, key, provider);
            let fits = fits.map_err(|error| {
                let (chain, key) = (written.chain.value.display(), written.key.value.display());
                vec![(written.key.place, format!("{chain} and {key}: {error}"))]
            })?;
            warn_of_age(&fits, &written.chain.value);
            Ok(fits)
        }
        (chain, key) => Err(chain.err().into_iter().chain(key.err()).collect()),
    }
}

/// The chain and the key that `chain_pem` and `key_pem` hold.
pub(super) fn pair_of(
    chain_pem: &[u8],
    key_pem: &[u8],
    provider: &CryptoProvider,
) -> Result<CertifiedKey, String> {
    let chain = chain(chain_pem, Path::new("the chain"))?;
    fitting(chain, key(key_pem, Path::new("the key"))?, provider)
}

fn chain(pem: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let file = path.display();
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let chain =
        chain.map_err(|error| format!("cannot read the certificates of {file}: {error}"))?;
    if chain.is_empty() {
        return Err(format!(
            "there is no certificate in {file}; PEM is expected: the certificate, then its chain"
        ));
    }
    Ok(chain)
}

fn key(pem: &[u8], path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    use rustls::pki_types::pem::Error as Pem;
    let file = path.display();
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        Pem::NoItemsFound => {
            format!("there is no private key in {file}; PEM is expected, without a passphrase")
        }
        error => format!("cannot read the private key of {file}: {error}"),
    })
}

/// One says of the other that they belong together.
fn fitting(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, String> {
    if let Some(first) = chain.first() {
        Certificate::read(first)
            .map_err(|error| format!("the certificate is malformed: {error}"))?;
    }
    CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            "the key does not belong to the certificate".to_owned()
        }
        Error::InvalidCertificate(error) => format!("the certificate cannot be used: {error:?}"),
        error => format!("the key cannot be used: {error}"),
    })
}

fn warn_of_age(pair: &CertifiedKey, path: &Path) {
    let Some(Ok(certificate)) = pair.cert.first().map(|der| Certificate::read(der)) else {
        return;
    };
    let what = match certificate.validity(SystemTime::now()) {
        Validity::Valid => return,
        Validity::Expired => "the certificate has expired; it is shown all the same",
        Validity::NotYet => "the certificate is not valid yet; it is shown all the same",
    };
    tracing::warn!(file = %path.display(), "{what}");
}

/// The revocation lists in `pem`, at least one.
pub(super) fn revocation_lists(
    pem: &[u8],
    path: &Path,
) -> Result<Vec<CertificateRevocationListDer<'static>>, String> {
    let file = path.display();
    let lists: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(pem).collect();
    let lists =
        lists.map_err(|error| format!("cannot read the revocation lists of {file}: {error}"))?;
    if lists.is_empty() {
        return Err(format!(
            "there is no revocation list in {file}; PEM is expected: `BEGIN X509 CRL`"
        ));
    }
    Ok(lists)
}

/// A response to staple: that it is one and not an error of the responder is all that is checked, the client does the rest.
pub(super) fn staple(path: &Spanned<PathBuf>) -> Result<Vec<u8>, (Place, String)> {
    let der = read(path)?;
    if is_successful_response(&der) {
        return Ok(der);
    }
    let file = path.value.display();
    Err((
        path.place,
        format!(
            "{file} is not a successful OCSP response; DER is expected, as `openssl ocsp -respout` writes it"
        ),
    ))
}

/// RFC 6960 section 4.2.1: a sequence whose first element is the status, 0 for success.
fn is_successful_response(der: &[u8]) -> bool {
    let Ok(([], response)) = Any::from_der(der) else {
        return false;
    };
    let status = Any::from_der(response.data);
    response.tag() == Tag::Sequence
        && status.is_ok_and(|(_, status)| status.tag() == Tag::Enumerated && status.data == [0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_staple_is_a_whole_and_successful_response() {
        for (der, expected) in [
            (&[0x30, 0x03, 0x0a, 0x01, 0x00][..], true),
            (&[0x30, 0x03, 0x0a, 0x01, 0x06], false),
            (&[0x30, 0x03, 0x0a, 0x01, 0x00, 0x00], false),
            (&[0x30, 0x04, 0x0a, 0x01, 0x00], false),
            (&[0x31, 0x03, 0x0a, 0x01, 0x00], false),
            (b"-----BEGIN", false),
            (b"", false),
        ] {
            assert_eq!(is_successful_response(der), expected, "{der:?}");
        }
    }
}
