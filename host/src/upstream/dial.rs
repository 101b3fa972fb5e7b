//! A connection to an endpoint: a pooled one, or a new one within the connect timeout.

use super::cluster::Cluster;
use super::live::{ConnectionCount, EndpointState};
use super::pool;
use super::state::Counted;
use crate::net::stream::Stream;
use crate::net::timer::Timer;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    #[error("no connection within the connect timeout")]
    Timeout,
    /// The circuit breaker allows no further connection.
    #[error("as many connections as the circuit breaker allows")]
    Broken,
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// A connection ready for an exchange.
#[derive(Debug)]
pub struct Dialled {
    pub stream: Stream,
    /// It has carried an exchange before, so the endpoint may be closing it at this moment.
    pub reused: bool,
    /// Where it is counted for as long as it is there.
    pub counts: Counts,
}

/// A connection's share of the counts of its endpoint and cluster.
#[derive(Debug)]
pub struct Counts {
    _endpoint: ConnectionCount,
    _cluster: Counted,
}

/// How long ago a connection must have been used for a request that could not be sent again. Endpoints close idle connections after
/// some seconds; one used a moment ago is not about to be closed.
const FRESH: Duration = Duration::from_secs(1);

/// A pooled connection to the endpoint, if there is a good one. A request that is not `repeatable` gets a recently used one only, since it is
/// lost if the endpoint is closing the connection at this moment (as HAProxy's `http-reuse safe`, which gives it none).
pub fn checkout(endpoint: &EndpointState, repeatable: bool) -> Option<Dialled> {
    let age_max = if repeatable { Duration::MAX / 2 } else { FRESH };
    pool::take(endpoint, age_max).map(|(stream, counts)| Dialled {
        stream,
        reused: true,
        counts,
    })
}

/// A new connection to the endpoint. Uses `timer`.
///
/// # Errors
/// [`DialError`].
pub async fn dial(
    cluster: &Cluster,
    endpoint: &Arc<EndpointState>,
    timer: &Timer,
) -> Result<Dialled, DialError> {
    let counts = count(cluster, endpoint).ok_or(DialError::Broken)?;
    timer.set(cluster.connect_timeout);
    match timer.within(Stream::connect(endpoint.address)).await {
        Ok(stream) => Ok(Dialled {
            stream: stream?,
            reused: false,
            counts,
        }),
        Err(_) => Err(DialError::Timeout),
    }
}

fn count(cluster: &Cluster, endpoint: &Arc<EndpointState>) -> Option<Counts> {
    let breaker = &cluster.breaker;
    let most = |limit: Option<u32>| limit.unwrap_or(u32::MAX);
    Some(Counts {
        _endpoint: endpoint.count_connection(most(breaker.endpoint_connections_max))?,
        _cluster: Counted::take(&cluster.live.connections, most(breaker.connections_max))?,
    })
}

#[cfg(test)]
impl Counts {
    pub(super) fn of_test(endpoint: &Arc<EndpointState>) -> Counts {
        let cluster = Arc::default();
        Counts {
            _endpoint: endpoint.count_connection(u32::MAX).expect("no limit"),
            _cluster: Counted::take(&cluster, u32::MAX).expect("no limit"),
        }
    }
}
