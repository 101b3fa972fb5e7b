//! A connection to an endpoint: a pooled one, or a new one within the connect timeout.

use super::cluster::Cluster;
use super::connections::{ConnectionOfCluster, Connections};
use super::live::{ConnectionCount, EndpointState};
use super::pool;
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
    #[error("the cluster has as many connections as its circuit breaker allows")]
    Broken,
    #[error("the endpoint has as many connections as the circuit breaker allows")]
    EndpointBroken,
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
    endpoint: ConnectionCount,
    cluster: ConnectionOfCluster,
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
    let counts = count(cluster, endpoint)?;
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

/// At a limit idle connections of this worker are closed first.
fn count(cluster: &Cluster, endpoint: &Arc<EndpointState>) -> Result<Counts, DialError> {
    let count = || endpoint.count_connection();
    let of_endpoint = count()
        .or_else(|| pool::close_one(|counts| counts.is_of(endpoint)).then(count)?)
        .ok_or(DialError::EndpointBroken)?;
    let connections = &cluster.live.connections;
    let count = || connections.take();
    let of_cluster = count()
        .or_else(|| pool::close_one(|counts| counts.is_counted_by(connections)).then(count)?)
        .ok_or(DialError::Broken)?;
    Ok(Counts {
        endpoint: of_endpoint,
        cluster: of_cluster,
    })
}

impl Counts {
    fn is_of(&self, endpoint: &Arc<EndpointState>) -> bool {
        Arc::ptr_eq(self.endpoint.endpoint(), endpoint)
    }

    fn is_counted_by(&self, connections: &Arc<Connections>) -> bool {
        self.cluster.is_of(connections)
    }

    /// Whether others are kept from connecting while this one is idle.
    pub(super) fn is_crowded(&self) -> bool {
        self.cluster.is_crowded() || self.endpoint.is_crowded()
    }
}

#[cfg(test)]
impl Counts {
    pub(super) fn of_test(endpoint: &Arc<EndpointState>) -> Counts {
        let cluster: Arc<Connections> = Arc::default();
        Counts {
            endpoint: endpoint.count_connection().expect("no limit"),
            cluster: cluster.take().expect("no limit"),
        }
    }
}
