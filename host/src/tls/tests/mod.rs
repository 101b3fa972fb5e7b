//! The room as its neighbours use it: both sides, against each other and against bare rustls.

pub(super) mod authority;
mod clients;
mod first;
mod hello;
mod names;
mod order;
mod outbound;
mod policy;
mod tickets;
mod transport;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio_rustls::{TlsConnector, client};

use self::authority::Issued;
use super::roots::AcceptsAnyCertificate;
use super::{AcceptError, Server};
use crate::config::{Certificate, ServerTls, Spanned, TlsPolicy, UnknownName};
use crate::http::TlsFacts;
use crate::net::stream::Stream;
use crate::net::timer::{self, Timer};

/// Runs `test` with the worker's timers.
async fn worker<F: Future>(test: F) -> F::Output {
    let local = tokio::task::LocalSet::new();
    local.spawn_local(timer::drive());
    local.run_until(test).await
}

/// A directory of files for one test.
struct Files(TempDir);

impl Files {
    fn new() -> Files {
        Files(TempDir::new().expect("a directory"))
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> Spanned<PathBuf> {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        self.name(name)
    }

    /// The path of a file that may be missing.
    fn name(&self, name: &str) -> Spanned<PathBuf> {
        spanned(self.0.path().join(name))
    }

    /// Chain and key of `issued`, in one file.
    fn certificate(&self, name: &str, issued: &Issued) -> Certificate {
        let path = self.write(name, issued.pem());
        Certificate {
            chain: path.clone(),
            key: path,
            ocsp: None,
        }
    }
}

fn spanned<T>(value: T) -> Spanned<T> {
    Spanned {
        value,
        place: Default::default(),
    }
}

fn settings(certificates: Vec<Certificate>) -> ServerTls {
    ServerTls {
        certificates,
        unknown_name: UnknownName::Default,
        alpn: Vec::new(),
        policy: TlsPolicy::default(),
        client_certificate: None,
        handshake_timeout: Duration::from_secs(10),
        handshakes_max: 100,
        tickets: true,
        acme: None,
    }
}

fn server(settings: &ServerTls) -> Server {
    Server::new(settings, None).expect("good settings")
}

/// The words of every error.
fn errors<T: std::fmt::Debug>(result: Result<T, super::Errors>) -> Vec<String> {
    let errors = result.expect_err("bad settings");
    errors.into_iter().map(|(_, words)| words).collect()
}

/// A client that trusts everybody and shows nothing.
fn anyone() -> ClientConfig {
    let provider = Arc::new(super::policy::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AcceptsAnyCertificate))
        .with_no_client_auth()
}

/// As [`anyone`], but shows a certificate.
fn showing(issued: &Issued) -> ClientConfig {
    let provider = Arc::new(super::policy::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AcceptsAnyCertificate))
        .with_client_auth_cert(vec![issued.der.clone()], issued.key())
        .expect("a key of its own")
}

fn trusting(roots: RootCertStore) -> ClientConfig {
    let provider = Arc::new(super::policy::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// Both ends of one handshake.
struct Shaken {
    server: Result<(Stream, TlsFacts), AcceptError>,
    client: io::Result<client::TlsStream<UnixStream>>,
}

impl Shaken {
    fn facts(&self) -> &TlsFacts {
        &self.server.as_ref().expect("accepted").1
    }

    fn client(&self) -> &rustls::ClientConnection {
        self.client.as_ref().expect("connected").get_ref().1
    }

    /// The words in which the server refused the client.
    fn refusal(&self) -> String {
        match &self.server {
            Err(error @ AcceptError::Tls(_)) => error.to_string(),
            other => panic!("not refused: {other:?}"),
        }
    }

    /// The alert that the client got.
    fn alert(&self) -> rustls::AlertDescription {
        let error = self.client.as_ref().expect_err("refused");
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
        match inner {
            Some(rustls::Error::AlertReceived(alert)) => *alert,
            _ => panic!("no alert: {error:?}"),
        }
    }
}

/// A handshake, and one byte from the server to the client: behind it, both know how it ended, and the client has its tickets.
async fn shake(server: &Server, config: &Arc<ClientConfig>, name: &str) -> Shaken {
    let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
    let accept = async {
        let timer = Timer::new();
        let (mut stream, facts) = server.accept(Stream::Unix(ours), &timer).await?;
        stream.write_all(b"!").await.expect("writes");
        stream.flush().await.expect("flushes");
        Ok((stream, facts))
    };
    let (server, client) = tokio::join!(accept, connect(config, theirs, name));
    Shaken { server, client }
}

async fn connect(
    config: &Arc<ClientConfig>,
    stream: UnixStream,
    name: &str,
) -> io::Result<client::TlsStream<UnixStream>> {
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let mut client = TlsConnector::from(config.clone())
        .connect(name, stream)
        .await?;
    client.read_u8().await?;
    Ok(client)
}

/// A name that cannot be sent, so that the client sends none.
const NO_NAME: &str = "192.0.2.1";
