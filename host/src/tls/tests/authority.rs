//! Certificates for tests.

use base64::prelude::{BASE64_STANDARD, Engine};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Who issues and revokes.
pub(in crate::tls) struct Authority {
    pub(in crate::tls) der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key.
pub(in crate::tls) struct Issued {
    pub(in crate::tls) der: CertificateDer<'static>,
    pub(super) key_der: Vec<u8>,
}

impl Authority {
    pub(in crate::tls) fn new(name: &str) -> Authority {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        Authority {
            der: certificate.der().clone(),
            issuer: Issuer::new(params, key),
        }
    }

    pub(super) fn pem(&self) -> String {
        pem("CERTIFICATE", &self.der)
    }

    pub(in crate::tls) fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).expect("a root");
        roots
    }

    pub(in crate::tls) fn issue(&self, params: &CertificateParams) -> Issued {
        self.issue_for(params, &rcgen::PKCS_ECDSA_P256_SHA256)
    }

    pub(super) fn issue_for(
        &self,
        params: &CertificateParams,
        algorithm: &'static rcgen::SignatureAlgorithm,
    ) -> Issued {
        let key = KeyPair::generate_for(algorithm).expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Issued {
            der: certificate.der().clone(),
            key_der: key.serialize_der(),
        }
    }

    /// A revocation list with these serial numbers.
    pub(super) fn revokes(&self, serials: &[&[u8]]) -> String {
        let revoked = |serial: &&[u8]| RevokedCertParams {
            serial_number: SerialNumber::from_slice(serial),
            revocation_time: date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(4000, 1, 1),
            crl_number: SerialNumber::from_slice(&[1]),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = params.signed_by(&self.issuer).expect("a list");
        pem("X509 CRL", list.der())
    }
}

impl Issued {
    pub(super) fn chain_pem(&self) -> String {
        pem("CERTIFICATE", &self.der)
    }

    pub(super) fn key_pem(&self) -> String {
        pem("PRIVATE KEY", &self.key_der)
    }

    /// Certificate and key.
    pub(super) fn pem(&self) -> String {
        self.chain_pem() + &self.key_pem()
    }

    pub(super) fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(self.key_der.clone().into())
    }
}

pub(super) fn named(names: &[&str]) -> CertificateParams {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    CertificateParams::new(names).expect("names")
}

/// As [`named`], with a serial number.
pub(super) fn numbered(names: &[&str], serial: &[u8]) -> CertificateParams {
    let mut params = named(names);
    params.serial_number = Some(SerialNumber::from_slice(serial));
    params
}

pub(in crate::tls) fn expired(names: &[&str]) -> CertificateParams {
    let mut params = named(names);
    params.not_before = date_time_ymd(2019, 1, 1);
    params.not_after = date_time_ymd(2020, 1, 1);
    params
}

pub(super) fn pem(label: &str, der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}
