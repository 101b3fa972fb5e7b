//! Handshakes with downstreams.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{StartHandshake, server};

use super::facts::tls_facts;
use super::first::{First, read_first};
use super::server::Server;
use super::table::Shown;
use super::transport::layered;
use crate::http::TlsFacts;
use crate::net::buffer::Buffer;
use crate::net::stream::Stream;
use crate::net::timer::{Expired, Timer};

/// How long a refused client may take to read why.
const LINGER_TIMEOUT: Duration = Duration::from_secs(1);
/// And how much it may send meanwhile: closing with unread bytes would reset the connection, and destroy the alert.
const LINGER_BYTES_MAX: usize = 64 * 1024;
/// A fatal `unrecognized_name`: RFC 6066 section 3, in a record of TLS 1.2 as every alert before the keys.
const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];

/// How a handshake ended that yields no connection. Nothing of it is our fault.
#[derive(Debug)]
pub enum AcceptError {
    /// The first byte is an upper-case letter, so this is HTTP without TLS: the stream as it came, to be answered.
    PlainHttp(Stream),
    /// The handshake took longer than its timeout.
    Timeout,
    /// As many handshakes as may be are under way.
    Busy,
    /// The client left, or its connection broke.
    Closed,
    /// The client was refused or refused us; it has been told why.
    Tls(rustls::Error),
    /// The validation of a name by tls-alpn-01 has had its answer; the connection is closed.
    AcmeChallenge,
}

impl fmt::Display for AcceptError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            AcceptError::PlainHttp(_) => "plain HTTP where TLS is expected",
            AcceptError::Timeout => "the handshake took too long",
            AcceptError::Busy => "too many handshakes at once",
            AcceptError::Closed => "the client left during the handshake",
            AcceptError::Tls(error) => return write!(formatter, "the handshake failed: {error}"),
            AcceptError::AcmeChallenge => "a name was validated",
        })
    }
}

impl std::error::Error for AcceptError {}

/// An end, and the stream where the client is still to be told.
#[derive(Debug)]
pub(super) struct Refused {
    error: AcceptError,
    stream: Option<Stream>,
    alert: Vec<u8>,
}

impl Refused {
    pub(super) fn with_alert(error: rustls::Error, stream: Stream, alert: Vec<u8>) -> Refused {
        Refused {
            error: AcceptError::Tls(error),
            stream: Some(stream),
            alert,
        }
    }
}

impl From<AcceptError> for Refused {
    fn from(error: AcceptError) -> Refused {
        Refused {
            error,
            stream: None,
            alert: Vec::new(),
        }
    }
}

impl Server {
    /// A handshake on `stream`, within the handshake timeout, which begins now and uses `timer`. Of `handshakes-max`, this counts from its
    /// first byte on. A client that is refused gets an alert and a second to read it.
    ///
    /// Cancel safe in that dropping the future closes the connection.
    ///
    /// # Errors
    /// See [`AcceptError`].
    pub async fn accept(
        &self,
        stream: Stream,
        timer: &Timer,
    ) -> Result<(Stream, TlsFacts), AcceptError> {
        timer.set(self.handshake_timeout);
        let done = timer.within(self.handshake(stream)).await;
        let refused = match done {
            Ok(Ok(accepted)) => {
                timer.clear();
                return Ok(accepted);
            }
            Ok(Err(refused)) => refused,
            Err(Expired) => AcceptError::Timeout.into(),
        };
        if let Some(stream) = refused.stream {
            timer.set(LINGER_TIMEOUT);
            // However it ends, the connection is closed.
            let _ = timer.within(linger(stream, &refused.alert)).await;
        }
        timer.clear();
        Err(refused.error)
    }

    /// The place among the handshakes is given back when this ends, before any lingering.
    async fn handshake(&self, stream: Stream) -> Result<(Stream, TlsFacts), Refused> {
        let First {
            accepted,
            stream,
            place: _place,
        } = read_first(self, stream).await?;
        let hello = accepted.client_hello();
        let chosen = match self.challenges.find(&hello) {
            Some(config) => Chosen::Challenge(config),
            None => Chosen::from(self.choose(&hello)),
        };
        let start = StartHandshake::from_parts(accepted, stream);
        match chosen {
            Chosen::Certificate(shown) => {
                let tls = finish(start, shown.config.clone()).await?;
                let facts = tls_facts(tls.get_ref().1, &shown);
                let facts = facts.map_err(AcceptError::Tls)?;
                Ok((layered(tls.into()), facts))
            }
            Chosen::Challenge(config) => {
                let mut tls = finish(start, config).await?;
                // Best effort: what counted was the certificate.
                let _ = tls.shutdown().await;
                Err(AcceptError::AcmeChallenge.into())
            }
            Chosen::Nobody => {
                let error = rustls::Error::General("no certificate is for this name".to_owned());
                Err(Refused::with_alert(
                    error,
                    start.io,
                    UNRECOGNIZED_NAME.to_vec(),
                ))
            }
        }
    }

    fn choose(&self, hello: &rustls::server::ClientHello<'_>) -> Option<Arc<Shown>> {
        let table = self.table.load();
        let suites = self.template.policy_suites();
        table.choose(hello, suites, self.unknown_name).cloned()
    }
}

enum Chosen {
    Certificate(Arc<Shown>),
    Challenge(Arc<ServerConfig>),
    Nobody,
}

impl From<Option<Arc<Shown>>> for Chosen {
    fn from(shown: Option<Arc<Shown>>) -> Chosen {
        shown.map_or(Chosen::Nobody, Chosen::Certificate)
    }
}

/// From the hello to the last byte of the handshake. Alerts are the library's.
async fn finish(
    start: StartHandshake<Stream>,
    config: Arc<ServerConfig>,
) -> Result<server::TlsStream<Stream>, Refused> {
    let finished = start.into_stream(config).into_fallible().await;
    finished.map_err(|(error, stream)| match tls_error(error) {
        Some(error) => Refused::with_alert(error, stream, Vec::new()),
        None => AcceptError::Closed.into(),
    })
}

/// The library's error, if it is not the connection that broke.
fn tls_error(error: io::Error) -> Option<rustls::Error> {
    error
        .into_inner()?
        .downcast::<rustls::Error>()
        .ok()
        .map(|error| *error)
}

/// Sends `alert` and waits until the client has closed.
async fn linger(mut stream: Stream, alert: &[u8]) -> io::Result<()> {
    stream.write_all(alert).await?;
    stream.shutdown().await?;
    let mut thrown_away = 0;
    let mut buffer = Buffer::take();
    while thrown_away < LINGER_BYTES_MAX {
        buffer.clear();
        match stream.read_buf(&mut *buffer).await? {
            0 => break,
            count => thrown_away += count,
        }
    }
    Ok(())
}
