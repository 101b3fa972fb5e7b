//! What the HTTP probes share: driving a client connection within the check, and reading a bounded body.

use std::future::Future;
use std::pin::pin;

use http_body_util::BodyExt;
use hyper::HeaderMap;
use hyper::body::Incoming;

use super::deadline::Deadline;

/// What is kept of a body.
pub(super) const BODY_BYTES_MAX: usize = 64 * 1024;

/// Runs `exchange` while `connection` moves its bytes, both in this future: dropping it closes the connection. The exchange owns what keeps the
/// connection open, which is then given a moment to say goodbye: without it an endpoint with TLS would see a cut.
///
/// A connection may end before the exchange has read all that arrived, so only the exchange decides; it learns of a broken connection
/// through its own errors.
pub(super) async fn drive<T>(
    connection: impl Future<Output = hyper::Result<()>>,
    exchange: impl Future<Output = T>,
    deadline: &Deadline,
) -> T {
    // The block drops a connection as soon as it has ended: until then its requests would wait for an answer.
    let mut connection = pin!(async move { drop(connection.await) });
    let mut connected = true;
    let result = {
        let mut exchange = pin!(exchange);
        loop {
            tokio::select! {
                result = &mut exchange => break result,
                () = &mut connection, if connected => connected = false,
            }
        }
    };
    if connected {
        deadline.take_leave(connection).await;
    }
    result
}

/// The body up to [`BODY_BYTES_MAX`], and the trailers if it ended before.
pub(super) async fn read_body(body: &mut Incoming) -> hyper::Result<(Vec<u8>, HeaderMap)> {
    let (mut bytes, mut trailers) = (Vec::new(), HeaderMap::new());
    while bytes.len() < BODY_BYTES_MAX {
        let Some(frame) = body.frame().await else {
            break;
        };
        match frame?.into_data() {
            Ok(data) => {
                let room = BODY_BYTES_MAX - bytes.len();
                bytes.extend_from_slice(&data[..data.len().min(room)]);
            }
            Err(other) => trailers = other.into_trailers().unwrap_or_default(),
        }
    }
    Ok((bytes, trailers))
}
