//! The life of a TCP connection, in running order: pick an endpoint, connect, relay both ways, write the access line.

use super::connect::{Reuse, connect};
use super::connection::Connection;
use super::outcome::Outcome;
use super::tunnel;
use crate::net::copy::{Moved, relay};
use crate::net::stream::Stream;
use crate::observe::access;
use crate::snapshot::{Bound, Protocol};
use crate::upstream::Cluster;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Serves one connection to its end, under the configuration it was accepted with.
pub async fn serve_connection(mut connection: Connection, bound: Rc<Bound>) {
    let Protocol::Tcp(tcp) = &bound.listener.protocol else {
        return;
    };
    let cluster = tcp.cluster.clone();
    let (idle, generation) = (bound.listener.idle_timeout, bound.snapshot.generation);
    // A relay may last for days; it does not keep its generation alive.
    drop(bound);
    let moved = Moved::default();
    let mut connect_time = None;
    let mut tried = Vec::new();
    let key = cluster.picker.connection_key(&connection.facts);
    let began = Instant::now();
    let (outcome, position) =
        match connect(&cluster, key, connection.timer(), Reuse::No, &mut tried).await {
            Ok((picked, dialled)) => {
                connect_time = Some(began.elapsed());
                (
                    Box::pin(carry(&mut connection, dialled.stream, idle, &moved)).await,
                    Some(picked.position),
                )
            }
            Err(stop) => {
                connection.stream.reset_on_close();
                (Outcome::Stopped(stop), tried.last().copied())
            }
        };
    connection.count_relayed(&moved);
    finish(
        &connection,
        &cluster,
        position,
        outcome,
        connect_time,
        generation,
    );
}

async fn carry(
    connection: &mut Connection,
    mut upstream: Stream,
    idle: Duration,
    moved: &Moved,
) -> Outcome {
    let timer = connection.register.timer();
    let end = relay(&mut connection.stream, &mut upstream, timer, idle, moved).await;
    match tunnel::outcome(end) {
        Outcome::Tunnel => Outcome::Ok,
        broken => {
            connection.stream.reset_on_close();
            upstream.reset_on_close();
            broken
        }
    }
}

fn finish(
    connection: &Connection,
    cluster: &Cluster,
    position: Option<usize>,
    outcome: Outcome,
    connect: Option<Duration>,
    generation: u64,
) {
    if !access::is_enabled() {
        return;
    }
    let facts = &connection.facts;
    access::TcpLine {
        client: facts.peer,
        listener: &facts.listener,
        cluster: &cluster.name,
        endpoint: position
            .map(|position| &*cluster.endpoints[position].label)
            .unwrap_or_default(),
        outcome: outcome.token(),
        downstream_bytes: facts.downstream_bytes.load(Ordering::Relaxed),
        upstream_bytes: facts.upstream_bytes.load(Ordering::Relaxed),
        connect,
        total: facts.accepted.elapsed(),
        generation,
        connection: facts.id,
    }
    .write();
}
