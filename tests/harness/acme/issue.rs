//! The signing of certificates.

use super::Answer;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateSigningRequestParams, DnType,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType, SerialNumber,
};
use rustls::pki_types::CertificateSigningRequestDer;
use std::time::{Duration, SystemTime};

pub(super) struct CertificateIssuer {
    issuer: Issuer<'static, KeyPair>,
    certificate: Certificate,
    /// Of the last certificate.
    serial: u64,
}

impl CertificateIssuer {
    pub(super) fn new() -> CertificateIssuer {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params
            .distinguished_name
            .push(DnType::CommonName, "Test authority");
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        CertificateIssuer {
            issuer: Issuer::new(params, key),
            certificate,
            serial: 0,
        }
    }

    pub(super) fn root(&self) -> String {
        self.certificate.pem()
    }

    /// The chain, if the request is for exactly these names. One may be `left_out`.
    pub(super) fn issue(
        &mut self,
        request: Vec<u8>,
        names: &[String],
        left_out: Option<&str>,
        from: SystemTime,
        lifetime: Duration,
    ) -> Result<String, Answer> {
        let bad = |why: String| Answer::problem(400, "badCSR", &why);
        let request = CertificateSigningRequestDer::from(request);
        let request = CertificateSigningRequestParams::from_der(&request);
        let mut request = request.map_err(|error| bad(error.to_string()))?;
        let mut wanted: Vec<String> = request.params.subject_alt_names.iter().map(text).collect();
        let mut proved = names.to_vec();
        wanted.sort();
        proved.sort();
        if wanted != proved {
            return Err(bad(format!("asks for {wanted:?}, ordered were {proved:?}")));
        }
        let names = &mut request.params.subject_alt_names;
        names.retain(|name| Some(text(name).as_str()) != left_out);
        self.serial += 1;
        request.params.serial_number = Some(SerialNumber::from(self.serial));
        request.params.not_before = from.into();
        request.params.not_after = (from + lifetime).into();
        request.params.use_authority_key_identifier_extension = true;
        let certificate = request
            .signed_by(&self.issuer)
            .map_err(|error| bad(error.to_string()))?;
        Ok(certificate.pem() + &self.root())
    }
}

fn text(name: &SanType) -> String {
    match name {
        SanType::DnsName(name) => name.to_string(),
        other => format!("{other:?}"),
    }
}
