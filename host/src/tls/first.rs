//! The beginning of a connection: from its first byte to the end of the hello.

use rustls::server::{Accepted, AcceptedAlert, Acceptor};
use tokio::io::AsyncReadExt;

use super::accept::{AcceptError, Refused};
use super::hello::feed;
use super::server::{HandshakePlace, Server};
use crate::net::buffer::Buffer;
use crate::net::prefixed::Prefixed;
use crate::net::stream::Stream;

/// A hello, and the stream with what follows it.
pub(super) struct First<'s> {
    pub accepted: Accepted,
    pub stream: Stream,
    pub place: HandshakePlace<'s>,
}

/// Reads the hello. A place among the handshakes is taken with the first byte: connections that say nothing keep nobody out, they only run
/// into the timeout.
pub(super) async fn read_first(server: &Server, mut stream: Stream) -> Result<First<'_>, Refused> {
    let mut acceptor = Acceptor::default();
    let mut taken = None;
    loop {
        let Some(bytes) = read_some(&mut stream).await else {
            return Err(AcceptError::Closed.into());
        };
        let place = match taken.take() {
            Some(place) => place,
            None if speaks_http(&bytes) => {
                let stream = Prefixed::new(bytes.to_vec(), stream);
                return Err(AcceptError::PlainHttp(stream).into());
            }
            None => server.place().ok_or(AcceptError::Busy)?,
        };
        let mut rest = &bytes[..];
        match feed(&mut acceptor, &mut rest) {
            Ok(None) => taken = Some(place),
            Ok(Some(accepted)) => {
                let stream = Prefixed::new(rest.to_vec(), stream);
                return Ok(First {
                    accepted,
                    stream,
                    place,
                });
            }
            Err((error, alert)) => {
                let alert = alert.map(alert_bytes).unwrap_or_default();
                return Err(Refused::with_alert(error, stream, alert));
            }
        }
    }
}

/// What has arrived, at least a byte; none at the end or when the connection breaks. Holds no buffer before there is something to read.
async fn read_some(stream: &mut Stream) -> Option<Buffer> {
    stream.readable().await.ok()?;
    let mut bytes = Buffer::take();
    let count = stream.read_buf(&mut *bytes).await.ok()?;
    (count > 0).then_some(bytes)
}

/// Methods begin with an upper-case letter; none is the type of a TLS record.
fn speaks_http(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(u8::is_ascii_uppercase)
}

fn alert_bytes(mut alert: AcceptedAlert) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Writing into memory does not fail.
    let _ = alert.write_all(&mut bytes);
    bytes
}
