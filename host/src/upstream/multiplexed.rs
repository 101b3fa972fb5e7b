//! HTTP/2 connections, which many requests share at once; kept by each worker for itself.

use super::cluster::Cluster;
use super::connections::Connections;
use super::dial::{Counts, DialError, counts_for};
use super::live::EndpointState;
use crate::http2::client::Connection;
use crate::net::stream::Stream;
use crate::net::timer::{Timer, coarse_now};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

thread_local! {
    /// Bounded by the connections that the endpoints' circuit breakers allow, and by the requests that need them.
    static CONNECTIONS: RefCell<HashMap<u64, Kept>> = RefCell::default();
}

/// What a worker has at one endpoint.
#[derive(Debug, Default)]
struct Kept {
    connections: Vec<Entry>,
    /// The one connection that is being made.
    under_way: Option<Rc<UnderWay>>,
}

#[derive(Debug)]
struct Entry {
    connection: Connection,
    identity: u64,
    idle_timeout: Duration,
    /// Where it is counted.
    of: Arc<Connections>,
}

/// A connection that is being made, and who waits for it.
#[derive(Debug, Default)]
struct UnderWay {
    over: Notify,
    is_over: Cell<bool>,
    failure: RefCell<Option<Failed>>,
}

/// What a failed dial tells all who waited for it.
#[derive(Debug, Clone)]
enum Failed {
    Timeout,
    Broken,
    EndpointBroken,
    Io(io::ErrorKind, String),
}

impl Failed {
    fn of(error: &DialError) -> Failed {
        match error {
            DialError::Timeout => Failed::Timeout,
            DialError::Broken => Failed::Broken,
            DialError::EndpointBroken => Failed::EndpointBroken,
            DialError::Io(error) => Failed::Io(error.kind(), error.to_string()),
        }
    }

    fn to_error(&self) -> DialError {
        match self {
            Failed::Timeout => DialError::Timeout,
            Failed::Broken => DialError::Broken,
            Failed::EndpointBroken => DialError::EndpointBroken,
            Failed::Io(kind, text) => DialError::Io(io::Error::new(*kind, text.clone())),
        }
    }
}

/// A stream, its connection, and whether that has carried another before.
type Opened = (Stream, Connection, bool);

/// A stream to the endpoint on a connection that is there.
pub(super) fn open(endpoint: &EndpointState, cluster: &Cluster) -> Option<Opened> {
    let identity = cluster.identity;
    let scheme = cluster.transport.scheme();
    CONNECTIONS.with_borrow_mut(|all| {
        let kept = all.get_mut(&endpoint.id())?;
        kept.connections.retain(|entry| {
            let is_current = entry.identity == identity;
            if !is_current {
                entry.connection.close();
            }
            is_current && entry.connection.is_usable()
        });
        kept.connections
            .iter()
            .filter(|entry| entry.connection.has_room())
            .find_map(|entry| {
                Some((
                    entry.connection.open(scheme)?,
                    entry.connection.clone(),
                    true,
                ))
            })
    })
}

/// A stream on a new connection. Where one is being made already, that one is waited for: requests that come at once do not make one each.
/// Uses `timer`.
pub(super) async fn dial(
    cluster: &Cluster,
    endpoint: &Arc<EndpointState>,
    timer: &Timer,
) -> Result<Opened, DialError> {
    timer.set(cluster.connect_timeout);
    loop {
        if let Some(opened) = open(endpoint, cluster) {
            return Ok(opened);
        }
        let Some(under_way) = under_way(endpoint) else {
            return make(cluster, endpoint, timer).await;
        };
        let over = under_way.over.notified();
        if !under_way.is_over.get() && timer.within(over).await.is_err() {
            return Err(DialError::Timeout);
        }
        if let Some(failed) = &*under_way.failure.borrow() {
            return Err(failed.to_error());
        }
    }
}

fn under_way(endpoint: &EndpointState) -> Option<Rc<UnderWay>> {
    CONNECTIONS.with_borrow(|all| all.get(&endpoint.id())?.under_way.clone())
}

/// Ends the wait of the others, however the dial ends.
struct Making {
    endpoint: u64,
    under_way: Rc<UnderWay>,
}

impl Making {
    fn begin(endpoint: &EndpointState) -> Making {
        let under_way: Rc<UnderWay> = Rc::default();
        CONNECTIONS.with_borrow_mut(|all| {
            all.entry(endpoint.id()).or_default().under_way = Some(under_way.clone());
        });
        Making {
            endpoint: endpoint.id(),
            under_way,
        }
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        // With the thread its connections are gone.
        let _ = CONNECTIONS.try_with(|all| {
            if let Ok(mut all) = all.try_borrow_mut()
                && let Some(kept) = all.get_mut(&self.endpoint)
            {
                kept.under_way = None;
            }
        });
        self.under_way.is_over.set(true);
        self.under_way.over.notify_waiters();
    }
}

async fn make(
    cluster: &Cluster,
    endpoint: &Arc<EndpointState>,
    timer: &Timer,
) -> Result<Opened, DialError> {
    let making = Making::begin(endpoint);
    // Who has waited for another one's attempt has the whole time for his own.
    timer.set(cluster.connect_timeout);
    let made = connect(cluster, endpoint, timer).await;
    let connection = made.inspect_err(|error| {
        *making.under_way.failure.borrow_mut() = Some(Failed::of(error));
    })?;
    // Before the others are woken: who made it has the first stream.
    let opened = connection.open(cluster.transport.scheme());
    let entry = Entry {
        connection: connection.clone(),
        identity: cluster.identity,
        idle_timeout: cluster.idle_timeout,
        of: cluster.live.connections.clone(),
    };
    CONNECTIONS.with_borrow_mut(|all| {
        let kept = all.entry(endpoint.id()).or_default();
        kept.connections.push(entry);
    });
    let stream = opened.ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::ConnectionRefused,
            "the endpoint allows no HTTP/2 stream",
        )
    })?;
    Ok((stream, connection, false))
}

async fn connect(
    cluster: &Cluster,
    endpoint: &Arc<EndpointState>,
    timer: &Timer,
) -> Result<Connection, DialError> {
    let counts: Counts = counts_for(cluster, endpoint)?;
    let transport = &cluster.transport;
    let settings = transport
        .http2
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let connected = async {
        let stream = Stream::connect(&endpoint.address).await?;
        let stream = transport.establish(stream, &endpoint.label, None).await?;
        Connection::connect(stream, &settings, counts).await
    };
    match timer.within(connected).await {
        Ok(connection) => Ok(connection?),
        Err(_) => Err(DialError::Timeout),
    }
}

/// Closes what is past its time, and forgets what is closed.
pub(super) fn sweep() {
    let now = coarse_now();
    CONNECTIONS.with_borrow_mut(|all| {
        all.retain(|_, kept| {
            kept.connections.retain(|entry| {
                let idle = entry.connection.idle_since();
                // What is idle at the most connections that a cluster may have keeps others from connecting.
                let is_old = idle.is_some_and(|since| {
                    now >= since + entry.idle_timeout || entry.of.is_crowded()
                });
                if is_old {
                    entry.connection.close();
                }
                !is_old && entry.connection.is_usable()
            });
            !kept.connections.is_empty() || kept.under_way.is_some()
        });
    });
}
