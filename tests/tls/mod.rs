//! TLS: handshakes with downstreams, what they tell routes and filters, TLS that is passed through, and TLS towards endpoints.

mod certificates;
mod clients;
mod facts;
mod handshake;
mod limits;
mod passthrough;
mod streams;
mod tcp;
mod tickets;
mod trust;
mod upstream;

use crate::harness::{Authority, Client, Identity, PATIENCE, Proxy, TlsClient};
use bytes::Bytes;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// A folder with these files.
pub(crate) fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("a writable folder");
    }
    folder
}

/// A proxy whose configuration has these files beside it.
pub(crate) fn start(text: &str, files: &[(&str, &str)]) -> Proxy {
    Proxy::start_in(folder(files), text)
        .unwrap_or_else(|said| panic!("the proxy did not start:\n{said}"))
}

/// An authority, and a proxy with a certificate of it for "test": `tls` is in the listener's `tls`, `routes` in the listener, `rest` beside it.
pub(crate) fn served(tls: &str, routes: &str, rest: &str) -> (Authority, Proxy) {
    let authority = Authority::new();
    let text = format!(
        r#"
listener "web" "127.0.0.1:0" {{
    tls {{ certificate "site.pem"; {tls} }}
    {routes}
}}
{rest}
"#
    );
    let proxy = start(&text, &[("site.pem", &authority.issue(&["test"]).both())]);
    (authority, proxy)
}

/// A route that takes everything and says hello.
pub(crate) const HELLO: &str = "route { respond 200 body=\"hello\" }";

pub(crate) fn der(identity: &Identity) -> Vec<u8> {
    let der = CertificateDer::from_pem_slice(identity.chain.as_bytes());
    der.expect("PEM").to_vec()
}

/// Waits until `look` finds something.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(std::time::Instant::now() < deadline, "in vain: {what}");
        std::thread::yield_now();
    }
}

/// Whether nothing has arrived on a connection that is still open.
pub(crate) fn is_silent(client: &Client) -> bool {
    let stream = client.stream();
    stream.set_nonblocking(true).expect("a TCP socket");
    let peeked = stream.peek(&mut [0]);
    stream.set_nonblocking(false).expect("a TCP socket");
    peeked.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}

/// Takes every certificate, and keeps the staple that came with it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Credulous(Arc<Mutex<Vec<u8>>>);

impl Credulous {
    /// `client`, as credulous as this.
    pub(crate) fn verify_for(&self, client: TlsClient) -> TlsClient {
        let verifier = Arc::new(self.clone());
        client.configured(|config| config.dangerous().set_certificate_verifier(verifier))
    }

    /// The staple of the last handshake.
    pub(crate) fn staple(&self) -> Vec<u8> {
        self.0.lock().expect("nobody panics holding it").clone()
    }
}

impl ServerCertVerifier for Credulous {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        staple: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        *self.0.lock().expect("nobody panics holding it") = staple.to_vec();
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
        vec![
            SignatureScheme::ECDSA_NISTP256_SHA256,
            SignatureScheme::ED25519,
        ]
    }
}

/// One HTTP/2 connection over a connection of a [`TlsClient`] that has agreed on it.
pub(crate) struct Http2 {
    runtime: Runtime,
    requests: h2::client::SendRequest<Bytes>,
}

impl Http2 {
    pub(crate) fn over(client: &Client) -> Http2 {
        let stream = client.stream().try_clone().expect("a second handle");
        stream.set_nonblocking(true).expect("a TCP socket");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("an event loop");
        let requests = runtime.block_on(async {
            let stream = tokio::net::TcpStream::from_std(stream).expect("an event loop");
            let (requests, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
            tokio::spawn(async {
                // However it ends: requests fail then.
                let _ = connection.await;
            });
            requests
        });
        Http2 { runtime, requests }
    }

    /// Status and body of the answer to `GET https://authority/path`.
    pub(crate) fn get(&mut self, authority: &str, path: &str) -> (u16, String) {
        let request = http::Request::get(format!("https://{authority}{path}"));
        let request = request.body(()).expect("a URI");
        let requests = self.requests.clone();
        self.runtime.block_on(async {
            let answered = async {
                let mut ready = requests.ready().await.expect("an open connection");
                let (response, _) = ready.send_request(request, true).expect("room");
                let (head, mut body) = response.await.expect("an answer").into_parts();
                let mut text = Vec::new();
                while let Some(part) = body.data().await {
                    let part = part.expect("a whole body");
                    text.extend_from_slice(&part);
                    let released = body.flow_control().release_capacity(part.len());
                    released.expect("it was received");
                }
                (
                    head.status.as_u16(),
                    String::from_utf8_lossy(&text).into_owned(),
                )
            };
            let answered = tokio::time::timeout(PATIENCE, answered).await;
            answered.expect("an answer in time")
        })
    }
}
