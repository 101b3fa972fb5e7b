//! Accepts connections: the accept loop, connection limits, PROXY headers, network filters and TLS handshakes.
//!
//! What comes after is the protocol's spine in `proxy`; routes and HTTP filters are unknown here.

mod prologue;

use crate::filter::NetworkChain;
use crate::http::{ConnectionFacts, Scheme};
use crate::net::address::Address;
use crate::net::socket;
use crate::net::stream::Stream;
use crate::observe::seldom::Seldom;
use crate::proxy::{self, Connection, Connections, Registration};
use crate::snapshot::{Bound, Protocol};
use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// How long accepting rests when the process is out of descriptors or memory.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// Where an accept loop hands its connections; changes with the configuration.
#[derive(Clone)]
pub struct Acceptor {
    target: Rc<RefCell<Rc<Connections>>>,
    closed: Rc<Notify>,
}

impl Acceptor {
    pub fn new(connections: Rc<Connections>) -> Acceptor {
        Acceptor {
            target: Rc::new(RefCell::new(connections)),
            closed: Rc::new(Notify::new()),
        }
    }

    /// Hands later connections to another listener, or to the same one again.
    pub fn hand_to(&self, connections: Rc<Connections>) {
        self.target.replace(connections);
    }

    /// Stops the loop after the connections that wait in the kernel have been taken.
    pub fn close(&self) {
        self.closed.notify_one();
    }

    fn connections(&self) -> Rc<Connections> {
        self.target.borrow().clone()
    }
}

/// Accepts until the acceptor is closed. An error about one connection is passed over; when the process is out of descriptors or memory,
/// accepting rests and goes on: neither ends the listener.
pub async fn accept_loop(socket: socket::Acceptor, acceptor: Acceptor) {
    // Where the address is a wildcard, each connection is asked for its own.
    let local = socket.local();
    loop {
        tokio::select! {
            biased;
            () = acceptor.closed.notified() => break,
            accepted = socket.accept() => match accepted {
                Ok((stream, peer)) => begin(stream, peer, local, acceptor.connections()),
                Err(error) => rest(&error).await,
            },
        }
    }
    // A socket that is closed resets the connections that wait in it, so they are taken first.
    for (stream, peer) in socket.into_waiting() {
        begin(stream, peer, local, acceptor.connections());
    }
}

async fn rest(error: &io::Error) {
    if matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    ) {
        return;
    }
    static EXHAUSTED: Seldom = Seldom::new();
    if let Some(times) = EXHAUSTED.count() {
        tracing::error!(%error, times, "accepting rests for {} ms", EXHAUSTED_PAUSE.as_millis());
    }
    tokio::time::sleep(EXHAUSTED_PAUSE).await;
}

/// Starts the task of a connection, unless it is refused at once.
fn begin(stream: Stream, peer: Address, local: Option<SocketAddr>, connections: Rc<Connections>) {
    let bound = connections.current();
    let Some(slot) = ConnectionSlot::take(&bound) else {
        return;
    };
    // A connection that is gone already has no address any more.
    let Some(local) = local.or_else(|| stream.local_address()) else {
        return;
    };
    let facts = facts_of(peer.as_peer(), local, &bound);
    let register = connections.register();
    let task = if prologue::is_needed(&bound, &peer) {
        let register = register.clone();
        tokio::task::spawn_local(async move {
            let ran = Box::pin(prologue::run(stream, &peer, facts, &bound, &register));
            if let Some((stream, admitted)) = ran.await {
                serve(stream, admitted, slot, bound, register).await;
            }
        })
    } else {
        let Some(admitted) = admit(facts, &bound) else {
            return;
        };
        match &bound.listener.protocol {
            // Without the state that connections of the other protocol would need: most of those that are open are idle HTTP connections.
            Protocol::Http(_) => {
                let connection = Connection::new(stream, admitted.facts.clone(), register.clone());
                tokio::task::spawn_local(proxy::http::serve_connection(
                    connection,
                    (admitted, slot),
                ))
            }
            Protocol::Tcp(_) => {
                tokio::task::spawn_local(serve(stream, admitted, slot, bound, register.clone()))
            }
        }
    };
    register.set_task(task.abort_handle());
}

/// Hands a connection to the spine of its protocol.
async fn serve(
    stream: Stream,
    admitted: Admitted,
    slot: ConnectionSlot,
    bound: Rc<Bound>,
    register: Rc<Registration>,
) {
    let connection = Connection::new(stream, admitted.facts.clone(), register);
    match &bound.listener.protocol {
        Protocol::Http(_) => {
            drop(bound);
            proxy::http::serve_connection(connection, (admitted, slot)).await;
        }
        Protocol::Tcp(_) => {
            let _end = (admitted, slot);
            proxy::tcp::serve_connection(connection, bound).await;
        }
    }
}

/// A connection that the network filters have let pass. It keeps those that it was accepted with, and nothing else of its generation, and
/// tells them of its end, however that comes.
struct Admitted {
    network_filters: Arc<NetworkChain>,
    facts: Arc<ConnectionFacts>,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.network_filters.on_close(&self.facts);
    }
}

fn facts_of(peer: SocketAddr, local: SocketAddr, bound: &Bound) -> ConnectionFacts {
    ConnectionFacts {
        id: proxy::next_number(),
        peer,
        local,
        listener: bound.listener.name.clone(),
        scheme: Scheme::Http,
        http2: false,
        tls: None,
        proxy: None,
        accepted: Instant::now(),
        tags: Vec::new(),
        downstream_bytes: AtomicU64::new(0),
        upstream_bytes: AtomicU64::new(0),
    }
}

/// Asks the network filters; a refusal is logged where one can see why.
fn admit(facts: ConnectionFacts, bound: &Bound) -> Option<Admitted> {
    let mut facts = Arc::new(facts);
    let network_filters = &bound.listener.network_filters;
    match network_filters.on_accept(&mut facts) {
        Ok(()) => Some(Admitted {
            network_filters: network_filters.clone(),
            facts,
        }),
        Err(refused) => {
            tracing::debug!(
                listener = %bound.listener.name,
                peer = %facts.peer,
                filter = %refused.filter,
                faulted = refused.faulted,
                "connection refused by a network filter"
            );
            None
        }
    }
}

/// A place under a listener's `connections-max`, across all workers; given back when dropped.
struct ConnectionSlot(Arc<AtomicU32>);

impl ConnectionSlot {
    fn take(bound: &Bound) -> Option<ConnectionSlot> {
        let listener = &bound.listener;
        let open = listener.open.fetch_add(1, Ordering::Relaxed);
        let slot = ConnectionSlot(listener.open.clone());
        if open < listener.connections_max {
            return Some(slot);
        }
        log_full(&listener.name, listener.connections_max);
        None
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Says that connections are turned away: at most once a second, with how many.
fn log_full(listener: &str, connections_max: u32) {
    static TURNED_AWAY: Seldom = Seldom::new();
    if let Some(turned_away) = TURNED_AWAY.count() {
        tracing::warn!(
            listener,
            connections_max,
            turned_away,
            "connections-max is reached: new connections are closed"
        );
    }
}
