//! How an authority looks whether a name is the client's (RFC 8555 §8.3, RFC 8737 §3).

use aws_lc_rs::digest::{SHA256, digest};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;
use x509_parser::extensions::{GeneralName, ParsedExtension};

const PATIENCE: Duration = Duration::from_secs(20);

/// What a client has to show.
#[derive(Debug, Clone)]
pub(crate) struct Proof {
    /// `http-01` or `tls-alpn-01`.
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) token: String,
    pub(crate) key_authorization: String,
}

/// Asks 127.0.0.1 for the token, whatever the name.
pub(crate) fn by_http(port: u16) -> impl Fn(&Proof) -> Result<(), String> + Send + Sync {
    move |proof| {
        if proof.kind != "http-01" {
            return Err(format!("{} is not looked at here", proof.kind));
        }
        let answer = fetch(port, proof).map_err(|error| error.to_string())?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or("no head")?;
        let status = head.split(' ').nth(1).unwrap_or_default();
        match status == "200" && body.trim_end() == proof.key_authorization {
            true => Ok(()),
            false => Err(format!("status {status}, {} bytes", body.len())),
        }
    }
}

fn fetch(port: u16, proof: &Proof) -> std::io::Result<String> {
    let mut stream = connect(port)?;
    let (name, token) = (&proof.name, &proof.token);
    let request = format!(
        "GET /.well-known/acme-challenge/{token} HTTP/1.1\r\nhost: {name}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn connect(port: u16) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Makes a handshake with 127.0.0.1 for `acme-tls/1` and the name, and looks at the certificate.
pub(crate) fn by_handshake(port: u16) -> impl Fn(&Proof) -> Result<(), String> + Send + Sync {
    move |proof| {
        if proof.kind != "tls-alpn-01" {
            return Err(format!("{} is not looked at here", proof.kind));
        }
        let certificate = shown(port, &proof.name)?;
        check(&certificate, proof)
    }
}

fn shown(port: u16, name: &str) -> Result<CertificateDer<'static>, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has suites for them")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(TakesAny))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"acme-tls/1".to_vec()];
    let name = ServerName::try_from(name.to_owned()).map_err(|error| error.to_string())?;
    let client =
        ClientConnection::new(Arc::new(config), name).map_err(|error| error.to_string())?;
    let mut stream = connect(port).map_err(|error| error.to_string())?;
    let mut client = client;
    while client.is_handshaking() {
        client
            .complete_io(&mut stream)
            .map_err(|error| error.to_string())?;
    }
    if client.alpn_protocol() != Some(b"acme-tls/1") {
        return Err("acme-tls/1 was not agreed on".to_owned());
    }
    let first = client.peer_certificates().and_then(<[_]>::first);
    first.cloned().ok_or_else(|| "no certificate".to_owned())
}

fn check(certificate: &CertificateDer<'_>, proof: &Proof) -> Result<(), String> {
    let parsed = x509_parser::parse_x509_certificate(certificate);
    let (_, parsed) = parsed.map_err(|error| error.to_string())?;
    let names = parsed
        .iter_extensions()
        .find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names),
            _ => None,
        });
    if names != Some(&vec![GeneralName::DNSName(&proof.name)]) {
        return Err("the certificate is not for exactly the name".to_owned());
    }
    let mut expected = vec![0x04, 0x20];
    expected.extend_from_slice(digest(&SHA256, proof.key_authorization.as_bytes()).as_ref());
    let identifier = parsed
        .iter_extensions()
        .find(|extension| extension.oid.to_id_string() == "1.3.6.1.5.5.7.1.31");
    match identifier {
        Some(extension) if extension.critical && extension.value == expected => Ok(()),
        Some(_) => Err("another key authorization, or not critical".to_owned()),
        None => Err("an ordinary certificate was shown".to_owned()),
    }
}

/// The certificate is self-signed by nature.
#[derive(Debug)]
struct TakesAny;

impl ServerCertVerifier for TakesAny {
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
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
