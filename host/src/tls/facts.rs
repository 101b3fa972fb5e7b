//! What a handshake has shown, as plain data.

use std::time::SystemTime;

use rustls::{CertificateError, Error, HandshakeKind, ProtocolVersion, ServerConnection};

use super::certificate::{Certificate, Validity};
use super::table::Shown;
use crate::http::{ClientCertificate, TlsFacts};

/// The facts of a finished handshake that showed `shown`. A client that resumes a session is known by the certificate it showed when that
/// began, which its ticket carries.
///
/// # Errors
/// A client certificate that has expired since, or that cannot be read.
pub(super) fn tls_facts(connection: &ServerConnection, shown: &Shown) -> Result<TlsFacts, Error> {
    let suite = connection.negotiated_cipher_suite();
    let alpn = connection.alpn_protocol();
    Ok(TlsFacts {
        version: version(connection.protocol_version()),
        cipher: suite
            .and_then(|suite| suite.suite().as_str())
            .unwrap_or_default(),
        sni: connection
            .server_name()
            .map(|name| name.to_ascii_lowercase().into()),
        alpn: alpn
            .and_then(|name| std::str::from_utf8(name).ok())
            .map(Box::from),
        resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
        client: client_certificate(connection)?,
        own_names: shown.hosts.clone(),
    })
}

fn version(version: Option<ProtocolVersion>) -> &'static str {
    match version {
        Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
        _ => "TLSv1.2",
    }
}

fn client_certificate(connection: &ServerConnection) -> Result<Option<ClientCertificate>, Error> {
    let chain = connection.peer_certificates().unwrap_or_default();
    let end_entity = chain.first();
    end_entity
        .map(|der| valid_at(SystemTime::now(), der))
        .transpose()
}

fn valid_at(now: SystemTime, der: &[u8]) -> Result<ClientCertificate, Error> {
    let certificate = Certificate::read(der).map_err(|_| CertificateError::BadEncoding)?;
    match certificate.validity(now) {
        Validity::Valid => Ok(certificate.facts()),
        Validity::NotYet => Err(CertificateError::NotValidYet.into()),
        Validity::Expired => Err(CertificateError::Expired.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::tls::tests::authority::{Authority, expired};

    #[test]
    fn a_certificate_counts_from_its_first_second_to_its_last() {
        let issued = Authority::new("ca").issue(&expired(&["client.test"]));
        // From 2019-01-01 to 2020-01-01.
        for (second, expected) in [
            (1_546_300_799, Some(CertificateError::NotValidYet)),
            (1_546_300_800, None),
            (1_577_836_800, None),
            (1_577_836_801, Some(CertificateError::Expired)),
        ] {
            let found = valid_at(UNIX_EPOCH + Duration::from_secs(second), &issued.der);
            assert_eq!(found.err(), expected.map(Error::from), "{second}");
        }
        let found = valid_at(UNIX_EPOCH, b"no certificate");
        assert_eq!(found, Err(CertificateError::BadEncoding.into()));
    }
}
