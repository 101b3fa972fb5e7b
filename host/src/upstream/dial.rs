//! A connection to an endpoint: a pooled one, or a new one within the connect timeout.

use super::cluster::{Cluster, Endpoint};
use super::pool;
use crate::net::stream::Stream;
use crate::net::timer::Timer;
use std::io;
use std::time::Duration;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    #[error("no connection within the connect timeout")]
    Timeout,
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// A connection ready for an exchange.
#[derive(Debug)]
pub struct Dialled {
    pub stream: Stream,
    /// It has carried an exchange before, so the endpoint may be closing it at this moment.
    pub reused: bool,
}

/// How long ago a connection must have been used for a request that could not be sent again. Endpoints close idle connections after
/// some seconds; one used a moment ago is not about to be closed.
const FRESH: Duration = Duration::from_secs(1);

/// A pooled connection to the endpoint, if there is a good one. A request that is not `repeatable` gets a recently used one only, since it is
/// lost if the endpoint is closing the connection at this moment (as HAProxy's `http-reuse safe`, which gives it none).
pub fn checkout(endpoint: &Endpoint, repeatable: bool) -> Option<Dialled> {
    let age_max = if repeatable { Duration::MAX / 2 } else { FRESH };
    pool::take(&endpoint.state, age_max).map(|stream| Dialled {
        stream,
        reused: true,
    })
}

/// A new connection to the endpoint. Uses `timer`.
pub async fn dial(
    cluster: &Cluster,
    endpoint: &Endpoint,
    timer: &Timer,
) -> Result<Dialled, DialError> {
    timer.set(cluster.connect_timeout);
    match timer.within(Stream::connect(endpoint.address)).await {
        Ok(stream) => Ok(Dialled {
            stream: stream?,
            reused: false,
        }),
        Err(_) => Err(DialError::Timeout),
    }
}
