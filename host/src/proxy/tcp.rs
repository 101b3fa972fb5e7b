//! The life of a TCP connection, in running order: find its route, if need be by the TLS hello, take a place at an endpoint, connect, relay both
//! ways, write the access line.

use super::bounds::unless_down;
use super::connect::{
    Ask, Downstream, NoConnection, Reuse, connect, count_request, look, take_place,
};
use super::connection::Connection;
use super::outcome::{Outcome, Stop};
use super::retry::{Failure, Then, Tries};
use super::{hello, tunnel};
use crate::affinity::Binding;
use crate::net::buffer::Buffer;
use crate::net::copy::{Moved, relay};
use crate::net::stream::Stream;
use crate::observe::access;
use crate::snapshot::{Bound, Protocol, TcpRoute};
use crate::upstream::{Cluster, Counted, Dialled, EndpointState, Place, Verdict, View};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// What the access line says about a connection besides its facts.
#[derive(Debug, Default)]
struct Course {
    endpoint: Option<Arc<EndpointState>>,
    attempts: u32,
    queue: Option<Duration>,
    connect: Option<Duration>,
}

/// Serves one connection to its end, under the configuration it was accepted with.
pub async fn serve_connection(mut connection: Connection, bound: Rc<Bound>) {
    let Protocol::Tcp(tcp) = &bound.listener.protocol else {
        return;
    };
    let (idle, generation) = (bound.listener.idle_timeout, bound.snapshot.generation);
    let moved = Moved::default();
    let mut course = Course::default();
    let chosen = hello::choose(&mut connection, tcp).await;
    let (route, first) = match chosen {
        Some(chosen) => chosen,
        None => {
            connection.stream.reset_on_close();
            let outcome = Outcome::Stopped(Stop::NoRoute);
            return finish(&connection, None, &course, outcome, generation);
        }
    };
    // A relay may last for days; it does not keep its generation alive.
    drop(bound);
    let cluster = route.cluster.clone();
    let outcome = match reach(&connection, &cluster, route.priority, &mut course).await {
        Ok(reached) => {
            let endpoint = reached.place.endpoint().clone();
            let stream = reached.dialled.stream;
            let relayed = {
                let mut relayed = Box::pin(carry(&mut connection, stream, first, idle, &moved));
                unless_down(&cluster, &endpoint, relayed.as_mut()).await
            };
            relayed.unwrap_or_else(|| {
                connection.stream.reset_on_close();
                Outcome::EndpointDown
            })
        }
        Err(stop) => {
            connection.stream.reset_on_close();
            Outcome::Stopped(stop)
        }
    };
    connection.count_relayed(&moved);
    finish(&connection, Some(&route), &course, outcome, generation);
}

/// A connection to an endpoint, with its places.
struct Reached {
    dialled: Dialled,
    place: Place,
    _counted: Option<Counted>,
}

/// Takes a place and connects; what cannot be connected to is passed over for the next.
async fn reach(
    connection: &Connection,
    cluster: &Cluster,
    priority: i16,
    course: &mut Course,
) -> Result<Reached, Stop> {
    let counted = count_request(cluster)?;
    let view = arc_swap::Guard::into_inner(cluster.live.view());
    let affinity = cluster.affinity.as_ref();
    let binding = affinity.map(|affinity| affinity.connection(&connection.facts, &view.members));
    let bound = binding
        .as_ref()
        .and_then(|binding| view.bound(binding.endpoint));
    let mut ask = Ask {
        key: cluster.picker.connection_key(&connection.facts),
        bound: bound.map(|endpoint| endpoint.state.clone()),
        priority,
        tried: Vec::new(),
    };
    let tries = Tries::new(&cluster.retry, &cluster.live.budget, false, None);
    loop {
        tries.begin(false);
        let began = Instant::now();
        let downstream = Downstream {
            timer: connection.timer(),
            stream: &connection.stream,
            half_close_leaves: false,
        };
        let now = look(cluster, &ask);
        let place = take_place(cluster, &mut ask, now, downstream).await;
        *course.queue.get_or_insert_default() += began.elapsed();
        let place = place?;
        let endpoint = place.endpoint().clone();
        (course.attempts, course.endpoint) = (course.attempts + 1, Some(endpoint.clone()));
        let began = Instant::now();
        let failure = match connect(
            cluster,
            &endpoint,
            Reuse::No,
            &connection.facts,
            connection.timer(),
        )
        .await
        {
            Ok(dialled) => {
                course.connect = Some(began.elapsed());
                // A connection that was made is as good as an answer: nothing more is seen of it.
                cluster.judge(&endpoint, Verdict::Answered(200), course.connect);
                remember(cluster, &view, binding.as_ref(), &endpoint);
                return Ok(Reached {
                    dialled,
                    place,
                    _counted: counted,
                });
            }
            Err(NoConnection::Stop(stop)) => Failure::Connect(stop),
            Err(NoConnection::PassedOver) => {
                course.attempts -= 1;
                tries.take_back();
                ask.pass_over(&endpoint, &cluster.live.view())?;
                continue;
            }
        };
        drop(place);
        if let Some(verdict) = failure.verdict() {
            cluster.judge(&endpoint, verdict, None);
        }
        match tries.after(failure) {
            Then::Stop(stop) => return Err(stop),
            Then::Reconnect => {}
            Then::Again { wait, .. } => {
                ask.failed(&endpoint);
                if !ask.has_other(&cluster.live.view()) {
                    super::attempt::pause(connection, wait, false).await?;
                }
            }
        }
    }
}

fn remember(cluster: &Cluster, view: &View, binding: Option<&Binding>, endpoint: &EndpointState) {
    if let Some(affinity) = &cluster.affinity
        && let Some(binding) = binding
    {
        // One that joined since is in the view of now.
        let now = cluster.live.view();
        if let Some(endpoint) = view.endpoint(endpoint).or_else(|| now.endpoint(endpoint)) {
            affinity.remember(binding, endpoint.spec.affinity_id());
        }
    }
}

async fn carry(
    connection: &mut Connection,
    mut upstream: Stream,
    first: Option<Buffer>,
    idle: Duration,
    moved: &Moved,
) -> Outcome {
    let timer = connection.register.timer();
    if let Some(first) = first {
        timer.set(idle);
        moved.from_downstream.set(first.len() as u64);
        if !matches!(timer.within(upstream.send(&first)).await, Ok(Ok(()))) {
            connection.stream.reset_on_close();
            return Outcome::UpstreamAborted;
        }
    }
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
    route: Option<&TcpRoute>,
    course: &Course,
    outcome: Outcome,
    generation: u64,
) {
    if !access::is_enabled() {
        return;
    }
    let facts = &connection.facts;
    let endpoint = course.endpoint.as_ref();
    access::TcpLine {
        client: facts.peer,
        listener: &facts.listener,
        route: route.map(|route| &*route.name).unwrap_or_default(),
        cluster: route.map(|route| &*route.cluster.name).unwrap_or_default(),
        tls: facts.tls.as_deref(),
        endpoint: endpoint
            .map(|endpoint| &*endpoint.label)
            .unwrap_or_default(),
        outcome: outcome.token(),
        downstream_bytes: facts.downstream_bytes.load(Ordering::Relaxed),
        upstream_bytes: facts.upstream_bytes.load(Ordering::Relaxed),
        attempts: course.attempts,
        queue: course.queue,
        connect: course.connect,
        total: facts.accepted.elapsed(),
        generation,
        connection: facts.id,
    }
    .write();
}
