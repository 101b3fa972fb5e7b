//! The TLS probe against a rustls server.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use base64::prelude::{BASE64_STANDARD, Engine};
use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};
use rustls::pki_types::PrivateKeyDer;
use rustls::{HandshakeKind, ServerConfig};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::super::{Failure, Prober, Transport};
use super::{is_closed_when_dropped, probe_and, probe_deaf, prober, settings, words};
use crate::config::{Probe, TlsProbe};

/// A server with a self-signed certificate, and the file that holds it.
pub(super) struct Server {
    pub(super) acceptor: TlsAcceptor,
    pub(super) ca: PathBuf,
    _directory: TempDir,
}

impl Server {
    pub(super) fn new(name: &str) -> Server {
        Server::with(CertificateParams::new([name.to_owned()]).expect("a name"))
    }

    fn by(authority: &str, name: &str) -> Server {
        let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
        params
            .distinguished_name
            .push(DnType::CommonName, authority);
        Server::with(params)
    }

    fn with(params: CertificateParams) -> Server {
        Server::speaking(params, &[])
    }

    /// With these protocols to agree on.
    pub(super) fn speaking(params: CertificateParams, protocols: &[&str]) -> Server {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        let directory = TempDir::new().expect("a directory");
        let ca = directory.path().join("ca.pem");
        std::fs::write(&ca, pem(certificate.der())).expect("written");
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .expect("a key of its own");
        config.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().into())
            .collect();
        Server {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            ca,
            _directory: directory,
        }
    }

    /// Shakes hands and reads to the end: what kind of handshake it was, and whether the end was clean.
    async fn serve(&self, stream: TcpStream) -> std::io::Result<(HandshakeKind, usize)> {
        let mut stream = self.acceptor.accept(stream).await?;
        let end = stream.read_to_end(&mut Vec::new()).await?;
        let kind = stream.get_ref().1.handshake_kind();
        Ok((kind.expect("it is complete"), end))
    }
}

fn pem(certificate: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(certificate);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

fn trusting(ca: &Server, server_name: Option<&str>) -> Probe {
    Probe::Tls(TlsProbe {
        server_name: server_name.map(str::to_owned),
        ca: Some(ca.ca.clone()),
        verify: true,
    })
}

fn trusting_anyone() -> Probe {
    Probe::Tls(TlsProbe {
        server_name: None,
        ca: None,
        verify: false,
    })
}

#[tokio::test]
async fn the_certificate_must_be_trusted_and_for_the_name() {
    let server = Server::new("localhost");
    let other = Server::new("localhost");
    let named = Server::new("app.test");
    let stranger = Server::by("another authority", "localhost");
    let cases = [
        (&server, trusting(&server, None), "passed: TLS 1.3"),
        (
            &named,
            trusting(&named, Some("app.test")),
            "passed: TLS 1.3",
        ),
        (
            &named,
            trusting(&named, None),
            "certificate is not for localhost",
        ),
        (
            &server,
            trusting(&server, Some("app.test")),
            "certificate is not for app.test",
        ),
        (
            &server,
            trusting(&stranger, None),
            "certificate is not signed by a trusted authority",
        ),
        (
            &server,
            trusting(&other, None),
            "certificate is not signed with the key of the trusted authority",
        ),
        (&named, trusting_anyone(), "passed: TLS 1.3"),
    ];
    for (server, probe, expected) in cases {
        let prober = prober(probe);
        let (result, served) = probe_and(&prober, |stream| server.serve(stream)).await;
        assert_eq!(served.is_ok(), result.is_ok(), "{expected}: {served:?}");
        assert_eq!(words(result), expected);
    }
}

#[tokio::test]
async fn validity_in_time_is_checked_unless_nothing_is() {
    let years = [
        ((1999, 2001), "certificate has expired"),
        ((4000, 4001), "certificate is not valid yet"),
    ];
    for ((from, until), expected) in years {
        let mut params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let server = Server::with(params);
        for (probe, expected) in [
            (trusting(&server, None), expected),
            (trusting_anyone(), "passed: TLS 1.3"),
        ] {
            let prober = prober(probe);
            let (result, _) = probe_and(&prober, |stream| server.serve(stream)).await;
            assert_eq!(words(result), expected);
        }
    }
}

#[tokio::test]
async fn an_address_is_a_name_too() {
    let address: IpAddr = "127.0.0.1".parse().expect("an address");
    let server = Server::new(&address.to_string());
    let prober = prober(trusting(&server, Some("127.0.0.1")));
    let (result, _) = probe_and(&prober, |stream| server.serve(stream)).await;
    assert_eq!(words(result), "passed: TLS 1.3");
}

#[tokio::test]
async fn every_check_is_a_full_handshake_with_a_clean_end() {
    let server = Server::new("localhost");
    let prober = prober(trusting(&server, None));
    for _ in 0..2 {
        let (result, served) = probe_and(&prober, |stream| server.serve(stream)).await;
        assert!(result.is_ok());
        let (kind, end) = served.expect("neither a reset nor a cut");
        assert_eq!((kind, end), (HandshakeKind::Full, 0));
    }
}

#[tokio::test]
async fn what_is_not_tls_says_so() {
    let prober = prober(trusting_anyone());
    let (result, ()) = probe_and(&prober, |mut stream| async move {
        let _ = stream.write_all(b"220 mail.test ESMTP\r\n").await;
    })
    .await;
    assert!(matches!(result, Err(Failure::Tls(_))), "{result:?}");

    let (result, ()) = probe_and(&prober, |mut stream| async move {
        // Reads first: closing over unread bytes would be a reset, which is the case after this.
        let _ = stream.read(&mut [0; 4096]).await;
    })
    .await;
    assert_eq!(words(result), "connection closed before the TLS handshake");

    let (result, ()) = probe_and(&prober, |stream| async move {
        let _ = stream.peek(&mut [0; 1]).await;
    })
    .await;
    assert_eq!(words(result), "connection closed before the TLS handshake");
}

#[tokio::test(start_paused = true)]
async fn a_deaf_endpoint_times_out_in_the_handshake() {
    let (result, took) = probe_deaf(trusting_anyone(), b"").await;
    assert_eq!(words(result), "no TLS handshake within 1s");
    assert_eq!(took.as_millis() / 10, 100);
}

#[tokio::test]
async fn a_dropped_check_closes_its_connection() {
    assert!(is_closed_when_dropped(trusting_anyone()).await);
}

#[test]
fn trust_that_cannot_be_built_is_refused_when_made() {
    let server = Server::new("localhost");
    let directory = TempDir::new().expect("a directory");
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    };
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let cases = [
        (server.ca.clone(), Some("app.test"), ""),
        (
            server.ca.clone(),
            Some("not a name"),
            "\"not a name\" is not a server name",
        ),
        (directory.path().join("absent.pem"), None, "cannot read "),
        (
            file("empty.pem", "nothing"),
            None,
            "there is no certificate in ",
        ),
        (file("broken.pem", broken), None, "a certificate of "),
    ];
    for (ca, name, expected) in cases {
        let probe = Probe::Tls(TlsProbe {
            server_name: name.map(str::to_owned),
            ca: Some(ca),
            verify: true,
        });
        let refused = Prober::new(&settings(probe), Transport::default())
            .err()
            .unwrap_or_default();
        assert!(refused.starts_with(expected), "{refused}");
        assert_eq!(refused.is_empty(), expected.is_empty(), "{refused}");
    }
}
