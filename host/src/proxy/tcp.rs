//! The life of a TCP connection, in running order: pick an endpoint, connect, relay both ways, write the access line.

use super::connection::Connection;
use super::outcome::{Outcome, Stop};
use super::tunnel;
use crate::balance::{PickError, Picked};
use crate::net::copy::{Moved, relay};
use crate::net::stream::Stream;
use crate::observe::access;
use crate::snapshot::{Bound, Protocol};
use crate::upstream::{Cluster, DialError, dial};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Endpoints tried when connecting fails.
const CONNECTS_MAX: usize = 3;

/// Serves one connection to its end, under the configuration it was accepted with.
pub async fn serve_connection(mut connection: Connection, bound: Rc<Bound>) {
    let Protocol::Tcp(tcp) = &bound.listener.protocol else { return };
    let cluster = tcp.cluster.clone();
    let (idle, generation) = (bound.listener.idle_timeout, bound.snapshot.generation);
    // A relay may last for days; it does not keep its generation alive.
    drop(bound);
    let moved = Moved::default();
    let mut connect_time = None;
    let (outcome, position) = match connect(&connection, &cluster, &mut connect_time).await {
        Ok((picked, upstream)) => (Box::pin(carry(&mut connection, upstream, idle, &moved)).await, Some(picked.position)),
        Err(stop) => {
            connection.stream.reset_on_close();
            (Outcome::Stopped(stop), None)
        }
    };
    connection.facts.downstream_bytes.fetch_add(moved.from_downstream.get(), Ordering::Relaxed);
    connection.facts.upstream_bytes.fetch_add(moved.from_upstream.get(), Ordering::Relaxed);
    finish(&connection, &cluster, position, outcome, connect_time, generation);
}

async fn carry(connection: &mut Connection, mut upstream: Stream, idle: Duration, moved: &Moved) -> Outcome {
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

/// A connection to a picked endpoint; one that cannot be connected to is passed over for the next.
async fn connect(connection: &Connection, cluster: &Arc<Cluster>, took: &mut Option<Duration>) -> Result<(Picked, Stream), Stop> {
    let began = Instant::now();
    let key = cluster.picker.connection_key(&connection.facts);
    let mut tried = Vec::new();
    let mut stop = None;
    for _ in 0..CONNECTS_MAX {
        let picked = match cluster.picker.pick(key, &tried) {
            Ok(picked) => picked,
            Err(PickError::Full) => return Err(stop.unwrap_or(Stop::EndpointsFull)),
            Err(PickError::None) => return Err(stop.unwrap_or(Stop::NoEndpoint)),
        };
        let endpoint = &cluster.endpoints[picked.position];
        match dial(cluster, endpoint, connection.timer()).await {
            Ok(dialled) => {
                *took = Some(began.elapsed());
                return Ok((picked, dialled.stream));
            }
            Err(error) => {
                endpoint.report_failure(&cluster.name, &error);
                stop = Some(if matches!(error, DialError::Timeout) { Stop::ConnectTimeout } else { Stop::ConnectFailed });
                tried.push(picked.position);
            }
        }
    }
    Err(stop.unwrap_or(Stop::ConnectFailed))
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
        endpoint: position.map(|position| &*cluster.endpoints[position].label).unwrap_or_default(),
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
