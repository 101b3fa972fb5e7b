//! A place at an endpoint, and a connection to it.
//!
//! The place is the balancer's choice, or the endpoint that the request is bound to; where it is full, the request waits in the queue. One
//! that is bound waits for its own endpoint (SEMANTICS 3), unless too many do already.

use super::outcome::Stop;
use crate::balance::PickError;
use crate::http::ConnectionFacts;
use crate::net::stream::Stream;
use crate::net::timer::Timer;
use crate::upstream::{
    Cluster, Counted, DialError, Dialled, EndpointState, Place, View, Waiter, Wish, checkout, dial,
    open_stream,
};
use arc_swap::Guard;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

/// Which pooled connections will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reuse {
    /// None: what it is for must have a connection of its own.
    No,
    /// One used a moment ago: what is lost with it cannot be sent again.
    Recent,
    /// Any.
    Any,
}

/// What a place is wanted for.
#[derive(Debug)]
pub(super) struct Ask {
    /// What the balancer hashes.
    pub key: u64,
    /// The endpoint that the request is bound to; forgotten once that one has failed it.
    pub bound: Option<Arc<EndpointState>>,
    /// In queues: lower first.
    pub priority: i16,
    /// Numbers of endpoints that have failed this request; none of them is picked again while there is another.
    pub tried: Vec<u64>,
}

impl Ask {
    /// An endpoint has failed the request: not that one again.
    pub(super) fn failed(&mut self, endpoint: &EndpointState) {
        self.tried.push(endpoint.id());
        self.bound = None;
    }

    /// An endpoint has no room for a connection: another one, if there is any left.
    pub(super) fn pass_over(&mut self, endpoint: &EndpointState, view: &View) -> Result<(), Stop> {
        self.failed(endpoint);
        if self.has_other(view) {
            Ok(())
        } else {
            Err(Stop::CircuitOpen)
        }
    }

    /// Whether somebody may be picked who has not failed it.
    pub(super) fn has_other(&self, view: &View) -> bool {
        let mut all = view.choice.endpoints.iter().chain(&view.spill);
        all.any(|endpoint| !self.tried.contains(&endpoint.id()))
    }
}

/// The downstream that waits: its timer, and whether it is still there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Downstream<'c> {
    pub timer: &'c Timer,
    pub stream: &'c Stream,
    /// Whether closing its side behind what it has sent is leaving: so for HTTP, where nobody does that who wants an answer.
    pub half_close_leaves: bool,
}

/// How often a downstream that has sent more than was read is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

impl Downstream<'_> {
    /// Until it leaves. What it sends stays where it is.
    pub(super) async fn left(self) {
        let closed = std::future::poll_fn(|cx| self.stream.poll_closed(cx));
        if closed.await {
            // For TCP too: whoever says nothing and closes is more often gone than waiting to be told something.
            return;
        }
        // Bytes of the body or of a next request are there, and hide the end behind them.
        let timer = Timer::new();
        loop {
            if self.half_close_leaves && self.stream.is_read_closed() {
                return;
            }
            timer.set(LOOK_INTERVAL);
            std::future::poll_fn(|cx| timer.poll_expired(cx)).await;
        }
    }
}

/// Takes a place, if need be after a wait in the queue; `now` is what [`look`] has found. Uses the timer.
pub(super) async fn take_place(
    cluster: &Cluster,
    ask: &mut Ask,
    mut now: Now,
    downstream: Downstream<'_>,
) -> Result<Place, Stop> {
    loop {
        let bound = match now {
            Now::Taken(place) => return Ok(place),
            Now::Refused(stop) => return Err(stop),
            Now::WaitFor(bound) => bound,
        };
        let _pending = count_pending(cluster)?;
        let waited = match join(cluster, ask, bound) {
            Ok(waiter) => wait(cluster, waiter, downstream).await?,
            // The queue of its own endpoint is full (HAProxy's `maxqueue`).
            Err(Stop::QueueFull) if bound.is_some() => None,
            Err(stop) => return Err(stop),
        };
        match waited {
            Some(place) => return Ok(place),
            // It goes elsewhere.
            None => ask.bound = None,
        }
        now = look(cluster, ask);
    }
}

/// Takes a place without waiting.
pub(super) fn take_at_once(cluster: &Cluster, ask: &Ask) -> Option<Place> {
    match look(cluster, ask) {
        Now::Taken(place) => Some(place),
        Now::WaitFor(_) | Now::Refused(_) => None,
    }
}

/// What there is for a request at once.
pub(super) enum Now {
    Taken(Place),
    /// Of the endpoint with this number, or of any.
    WaitFor(Option<u64>),
    Refused(Stop),
}

/// Takes a place if there is one that nobody waits for.
pub(super) fn look(cluster: &Cluster, ask: &Ask) -> Now {
    let view = cluster.live.view();
    if let Some(bound) = &ask.bound
        && let Some(endpoint) = view.keeps_bound(bound)
    {
        // Who came before goes first.
        if bound.waiting() == 0
            && let Some(place) = bound.enter()
        {
            return Now::Taken(place);
        }
        if endpoint.waits && cluster.queue.requests_max > 0 {
            return Now::WaitFor(Some(bound.id()));
        }
    }
    // Where nobody takes requests nobody is waited for, whoever does.
    if view.choice.waits && cluster.live.queue.has_unbound() {
        return Now::WaitFor(None);
    }
    pick(cluster, ask, view)
}

fn pick(cluster: &Cluster, ask: &Ask, view: Guard<Arc<View>>) -> Now {
    let mut picked = pick_by_view(cluster, ask, &view);
    drop(view);
    // It stopped taking requests since the view was made, and the next view lacks it: who drains an endpoint may have seen that it serves
    // nobody, and stop it. Bounded by the changes of the view.
    while picked
        .as_ref()
        .is_ok_and(|place| !place.endpoint().is_open())
    {
        picked = pick_by_view(cluster, ask, &cluster.live.view());
    }
    match picked {
        Ok(place) => Now::Taken(place),
        Err(PickError::None) => Now::Refused(Stop::NoEndpoint),
        Err(PickError::Broken) => Now::Refused(Stop::CircuitOpen),
        Err(PickError::Full) if cluster.queue.requests_max == 0 => {
            Now::Refused(Stop::EndpointsFull)
        }
        Err(PickError::Full) => Now::WaitFor(None),
    }
}

fn pick_by_view(cluster: &Cluster, ask: &Ask, view: &View) -> Result<Place, PickError> {
    let picked = cluster.picker.pick(view, ask.key, &ask.tried);
    if picked.is_err() && !ask.has_other(view) {
        // There is nobody else: the one that failed may do better now.
        return cluster.picker.pick(view, ask.key, &[]);
    }
    picked
}

/// Joins the queue and offers what is free by now.
fn join(cluster: &Cluster, ask: &Ask, bound: Option<u64>) -> Result<Waiter, Stop> {
    let queue = &cluster.live.queue;
    let wish = Wish {
        class: ask.priority,
        bound,
        tried: &ask.tried,
    };
    let most = cluster.queue.requests_max as usize;
    let most_bound = cluster
        .queue
        .endpoint_requests_max
        .map_or(usize::MAX, |most| most as usize);
    let waiter = queue
        .join(wish, most, most_bound)
        .map_err(|_| Stop::QueueFull)?;
    // The view as it is behind the joining: a change that did not see the waiter is seen here.
    let view = cluster.live.view();
    match (&ask.bound, bound) {
        (Some(endpoint), Some(number)) => match view.keeps_bound(endpoint) {
            Some(_) => queue.serve(endpoint),
            None => queue.dissolve(number),
        },
        _ => {
            if !ask.has_other(&view) {
                // It waits for one that has failed it rather than for nobody.
                let all = view.choice.endpoints.iter().chain(&view.spill);
                queue.forgive(&all.map(|endpoint| endpoint.id()).collect::<Vec<_>>());
            }
            let all = view.choice.endpoints.iter().chain(&view.spill);
            let free = all.filter(|endpoint| endpoint.has_room());
            free.for_each(|endpoint| queue.serve(endpoint));
        }
    }
    Ok(waiter)
}

/// Until there is a place, the queue timeout is over, or the downstream has left. None: the endpoint that it waited for is gone.
async fn wait(
    cluster: &Cluster,
    waiter: Waiter,
    downstream: Downstream<'_>,
) -> Result<Option<Place>, Stop> {
    downstream.timer.set(cluster.queue_timeout());
    let (mut waiter, mut left) = (pin!(waiter), pin!(downstream.left()));
    let waited = std::future::poll_fn(|cx| {
        if let Poll::Ready(place) = waiter.as_mut().poll(cx) {
            return Poll::Ready(Ok(place));
        }
        left.as_mut()
            .poll(cx)
            .map(|()| Err(Stop::DownstreamAborted))
    });
    match downstream.timer.within(waited).await {
        Ok(waited) => waited,
        Err(_) => Err(Stop::QueueTimeout),
    }
}

/// A place among those who wait for a place or a connection, where the circuit breaker limits them.
fn count_pending(cluster: &Cluster) -> Result<Option<Counted>, Stop> {
    let Some(most) = cluster.breaker.pending_max else {
        return Ok(None);
    };
    let counted = Counted::take(&cluster.live.pending, most);
    counted.map(Some).ok_or(Stop::CircuitOpen)
}

/// A place among the requests of the cluster, where the circuit breaker limits them.
pub(super) fn count_request(cluster: &Cluster) -> Result<Option<Counted>, Stop> {
    let Some(most) = cluster.breaker.requests_max else {
        return Ok(None);
    };
    let counted = Counted::take(&cluster.live.requests, most);
    counted.map(Some).ok_or(Stop::CircuitOpen)
}

/// Why there is no connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoConnection {
    Stop(Stop),
    /// The endpoint is at the most connections that its circuit breaker allows: another may have room.
    PassedOver,
}

/// A connection to the endpoint: a pooled one that will do, or a new one, for the downstream of `facts`. Uses the timer.
///
/// A stream of a connection that carries many will always do: an endpoint that closes such a connection says which streams it has not
/// begun to serve.
pub(super) async fn connect(
    cluster: &Cluster,
    endpoint: &Arc<EndpointState>,
    reuse: Reuse,
    facts: &ConnectionFacts,
    timer: &Timer,
) -> Result<Dialled, NoConnection> {
    let pooled = match reuse {
        _ if cluster.transport.http2.is_some() => open_stream(cluster, endpoint),
        Reuse::No => None,
        Reuse::Recent => checkout(cluster, endpoint, false),
        Reuse::Any => checkout(cluster, endpoint, true),
    };
    if let Some(dialled) = pooled {
        return Ok(dialled);
    }
    let _pending = count_pending(cluster).map_err(NoConnection::Stop)?;
    match Box::pin(dial(cluster, endpoint, facts, timer)).await {
        Ok(dialled) => Ok(dialled),
        Err(error) => {
            endpoint.report(&cluster.name, "connecting failed", &error);
            Err(match error {
                DialError::Timeout => NoConnection::Stop(Stop::ConnectTimeout),
                DialError::Broken => NoConnection::Stop(Stop::CircuitOpen),
                DialError::EndpointBroken => NoConnection::PassedOver,
                DialError::Io(_) => NoConnection::Stop(Stop::ConnectFailed),
            })
        }
    }
}
