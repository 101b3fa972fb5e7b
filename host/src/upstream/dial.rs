//! A connection to an endpoint: a pooled one, or a new one within the connect timeout.

use super::cluster::Cluster;
use super::connections::{ConnectionOfCluster, Connections};
use super::live::{ConnectionCount, EndpointState};
use super::{multiplexed, pool};
use crate::http::ConnectionFacts;
use crate::http2::client::Connection;
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

/// A connection ready for an exchange, or a stream of one.
#[derive(Debug)]
pub struct Dialled {
    pub stream: Stream,
    /// It has carried an exchange before, so the endpoint may be closing it at this moment.
    pub reused: bool,
    after: After,
}

/// What becomes of a connection after its exchange.
#[derive(Debug)]
enum After {
    /// It may serve the next, of whatever downstream; counted for as long as it is there.
    Pooled { counts: Counts, identity: u64 },
    /// It was made for one downstream.
    Closed { _counts: Counts },
    /// It is one stream of a connection that is kept elsewhere.
    Stream(Connection),
}

/// By how much a time told by the coarse clock may be too short.
const COARSENESS: Duration = Duration::from_millis(50);

impl Dialled {
    /// Puts a connection back on which an exchange has ended cleanly, to be kept for at most `idle_timeout`.
    pub fn give_back(self, endpoint: &EndpointState, idle_timeout: Duration) {
        if let After::Pooled { counts, identity } = self.after {
            pool::put(endpoint, self.stream, counts, identity, idle_timeout);
        }
    }
}

/// A connection's share of the counts of its endpoint and cluster.
#[derive(Debug)]
pub(super) struct Counts {
    endpoint: ConnectionCount,
    cluster: ConnectionOfCluster,
}

/// How long ago a connection must have been used for a request that could not be sent again. Endpoints close idle connections after
/// some seconds; one used a moment ago is not about to be closed.
const FRESH: Duration = Duration::from_secs(1);

/// A pooled connection to the endpoint, if there is a good one. A request that is not `repeatable` gets a recently used one only, since it is
/// lost if the endpoint is closing the connection at this moment (as HAProxy's `http-reuse safe`, which gives it none).
pub fn checkout(cluster: &Cluster, endpoint: &EndpointState, repeatable: bool) -> Option<Dialled> {
    let age_max = if repeatable { Duration::MAX / 2 } else { FRESH };
    let identity = cluster.identity;
    pool::take(endpoint, identity, age_max).map(|(stream, counts)| Dialled {
        stream,
        reused: true,
        after: After::Pooled { counts, identity },
    })
}

/// A stream of a connection that carries several at once, where the cluster's protocol has such and one is there with room.
pub fn open_stream(cluster: &Cluster, endpoint: &EndpointState) -> Option<Dialled> {
    cluster.transport.http2.as_ref()?;
    multiplexed::open(endpoint, cluster).map(Dialled::of_stream)
}

/// A new connection to the endpoint, or a stream of one, for a downstream that `facts` tell of. Uses `timer`.
///
/// # Errors
/// [`DialError`].
pub async fn dial(
    cluster: &Cluster,
    endpoint: &Arc<EndpointState>,
    facts: &ConnectionFacts,
    timer: &Timer,
) -> Result<Dialled, DialError> {
    let transport = &cluster.transport;
    if transport.http2.is_some() {
        // Boxed, since its state would make that of every request larger.
        let opened = Box::pin(multiplexed::dial(cluster, endpoint, timer)).await?;
        return Ok(Dialled::of_stream(opened));
    }
    let counts = counts_for(cluster, endpoint)?;
    timer.set(cluster.connect_timeout);
    let connected = async {
        let stream = Stream::connect(&endpoint.address).await?;
        if cluster.is_plain {
            return Ok(stream);
        }
        Box::pin(transport.establish(stream, &endpoint.label, Some(facts))).await
    };
    let Ok(stream) = timer.within(connected).await else {
        return Err(DialError::Timeout);
    };
    let after = match transport.is_shared() {
        true => After::Pooled {
            counts,
            identity: cluster.identity,
        },
        false => After::Closed { _counts: counts },
    };
    Ok(Dialled {
        stream: stream?,
        reused: false,
        after,
    })
}

impl Dialled {
    fn of_stream((stream, connection, reused): (Stream, Connection, bool)) -> Dialled {
        Dialled {
            stream,
            reused,
            after: After::Stream(connection),
        }
    }

    /// No answer came for `waited`. Where nothing at all has come on the connection meanwhile, it may lead nowhere, and takes no
    /// further streams.
    pub fn distrust(&self, waited: Duration) {
        if let After::Stream(connection) = &self.after
            && connection.silent_for() + COARSENESS >= waited
        {
            connection.close();
        }
    }
}

/// At a limit idle connections of this worker are closed first.
pub(super) fn counts_for(
    cluster: &Cluster,
    endpoint: &Arc<EndpointState>,
) -> Result<Counts, DialError> {
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
