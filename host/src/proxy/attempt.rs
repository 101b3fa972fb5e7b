//! One request to an endpoint: take a place, connect or reuse, send, and try again where [`retry`](super::retry) says so.

use super::bounds::{before, cut, unless_down};
use super::connect::{
    Ask, Downstream, NoConnection, Now, Reuse, connect, count_request, look, take_place,
};
use super::connection::Connection;
use super::context::RequestContext;
use super::exchange::exchange;
use super::filtered::prepare_request;
use super::http::{Ended, Next};
use super::mirror;
use super::outcome::{Outcome, Stop};
use super::request_body::RequestBody;
use super::response::{Delivered, Delivery, NoAnswer};
use super::retry::{Failure, Then, Tries};
use super::{hedge, tunnel};
use crate::http::{Limits, write_request};
use crate::net::buffer::Buffer;
use crate::observe::access;
use crate::snapshot::{Action, HeldRoute};
use crate::upstream::{Cluster, Dialled, EndpointState, Place};
use std::cell::Cell;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Where a request goes and how long that may take.
#[derive(Debug)]
pub(super) struct Target {
    pub route: HeldRoute,
    /// Where the route has several clusters.
    pub drawn: Option<Arc<Cluster>>,
    pub timeouts: Timeouts,
    pub limits: Limits,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Timeouts {
    /// When the client gives up, if it has said so.
    pub deadline: Option<Instant>,
    /// For the response head, over all attempts, and between parts of the response body.
    pub response: Duration,
    /// How long the downstream may take nothing of a response.
    pub downstream_idle: Duration,
    pub tunnel: Duration,
}

/// Sends the request and delivers the response. A [`Stop`] says that no response has begun.
pub(super) async fn run(
    connection: &mut Connection,
    input: &mut Buffer,
    body: &mut RequestBody,
    ctx: &mut RequestContext,
    target: &Target,
) -> Result<Ended, Stop> {
    let cluster = target.cluster();
    let _counted = count_request(cluster)?;
    if ctx.run.has_leases() {
        Box::pin(prepare_request(connection, input, body, ctx, target)).await?;
    }
    let mut out = Buffer::take();
    let bound = ctx.bind(cluster);
    name_host(ctx, cluster);
    write_request(&ctx.exchange().request, body.length(), &mut out);
    let mut first_part = Buffer::take();
    body.transfer(input, &mut first_part)?;
    out.extend_from_slice(&first_part);
    drop(first_part);
    let idempotent = ctx.exchange().request.is_idempotent();
    let mut mirrored = mirror::Order::draw(target, body.length(), ctx.exchange());
    let mirrored_bytes = mirrored.as_ref().map(mirror::Order::body_bytes_max);
    let budget = &cluster.live.budget;
    let tries = Tries::new(target.retry(), budget, idempotent, mirrored_bytes);
    tries.keep(&[], body.bytes());
    if body.is_done() {
        mirror::start(mirrored.take(), &out, &tries, body);
    }
    let mut ask = Ask {
        key: cluster.picker.key(ctx.exchange()),
        bound,
        priority: ctx.exchange().priority.unwrap_or(target.route.priority),
        tried: Vec::new(),
    };
    let mut fresh = false;
    let mut waited = Duration::ZERO;
    loop {
        let left = target.time_left(waited)?;
        tries.begin(!body.is_done());
        let place = place_for(connection, ctx, target, &mut ask).await?;
        let endpoint = place.endpoint().clone();
        let mut began = None;
        let step = Step {
            target,
            tries: &tries,
            timeout: target.attempt_timeout(left),
            left,
            endpoint: &endpoint,
            second: Cell::new(None),
            is_judged: Cell::new(false),
        };
        let reuse = reuse(fresh, tries.is_repeatable() && body.is_done());
        let failure = match connect_for(connection, ctx, &step, reuse).await {
            Err(none) => {
                drop(place);
                match none {
                    NoConnection::Stop(stop) => Failure::Connect(stop),
                    NoConnection::PassedOver => {
                        ctx.attempts -= 1;
                        tries.take_back();
                        ask.pass_over(&endpoint, &cluster.live.view())?;
                        continue;
                    }
                }
            }
            Ok(dialled) => {
                began = Some(ctx.mark);
                let sent = Cell::new(false);
                let reused = dialled.reused;
                let side = (&mut *input, &mut *body);
                match step
                    .answer(connection, dialled, place, &out, side, ctx, &ask, &sent)
                    .await
                {
                    Ok(answer) => {
                        ctx.attempts += u32::from(step.second.get().is_some());
                        mirror::start(mirrored, &out, &tries, body);
                        return Ok(conclude(connection, answer, input, body, ctx, target).await);
                    }
                    Err(no_answer) => Failure::of(no_answer, reused),
                }
            }
        };
        let took = tries.latency(began.map(|began| began.elapsed()));
        waited += took.unwrap_or_default();
        if let Some(verdict) = failure.verdict()
            && !step.is_judged.get()
        {
            let timed_out = took.filter(|_| failure == Failure::TimedOut);
            cluster.judge(&endpoint, verdict, timed_out);
        }
        if let Some(second) = step.second.take() {
            ctx.attempts += 1;
            ask.tried.push(second);
        }
        fresh = true;
        match tries.after(failure) {
            Then::Stop(stop) => return Err(stop),
            Then::Reconnect => {}
            Then::Again { wait, always } => {
                ask.failed(&endpoint);
                let nobody_else = || !ask.has_other(&cluster.live.view());
                if always || nobody_else() {
                    Box::pin(pause(connection, wait, true)).await?;
                }
            }
        }
        tries.recall(&mut out);
    }
}

impl Target {
    pub(super) fn cluster(&self) -> &Arc<Cluster> {
        match (&self.route.action, &self.drawn) {
            (_, Some(drawn)) | (Action::Cluster(drawn), None) => drawn,
            (Action::Split(split), None) => split.at(0),
            (Action::Redirect { .. } | Action::Respond { .. }, None) => {
                unreachable!("a target is made for a cluster")
            }
        }
    }

    /// What is in force about retries.
    fn retry(&self) -> &crate::config::Retry {
        self.route.retry.as_ref().unwrap_or(&self.cluster().retry)
    }

    /// What is left of the response timeout, which spans all attempts, when they have waited for `waited`.
    fn time_left(&self, waited: Duration) -> Result<Duration, Stop> {
        let mut left = self.timeouts.response.saturating_sub(waited);
        if self.is_too_late() {
            left = Duration::ZERO;
        }
        if left.is_zero() {
            return Err(Stop::ResponseTimeout);
        }
        Ok(left)
    }

    /// Whether the client has given up by now, as it has said.
    fn is_too_late(&self) -> bool {
        let deadline = self.timeouts.deadline;
        deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// How long an attempt may wait for its answer when so much time is left for all of them.
    pub(super) fn attempt_timeout(&self, left: Duration) -> Duration {
        self.retry()
            .timeout
            .map_or(left, |timeout| timeout.min(left))
    }
}

fn reuse(fresh: bool, repeatable: bool) -> Reuse {
    match (fresh, repeatable) {
        (true, _) => Reuse::No,
        (false, true) => Reuse::Any,
        (false, false) => Reuse::Recent,
    }
}

/// An HTTP/1.0 request may come without a host; upstream it needs one (RFC 9112 section 3.2): the cluster's first endpoint.
fn name_host(ctx: &mut RequestContext, cluster: &Cluster) {
    let request = &mut ctx.exchange_mut().request;
    if request.authority().is_empty()
        && let Some(endpoint) = cluster.live.view().endpoints.first()
    {
        request.set_authority(endpoint.spec.label.as_bytes());
    }
}

/// A place for the request, with what the access line will say about it.
async fn place_for(
    connection: &Connection,
    ctx: &mut RequestContext,
    target: &Target,
    ask: &mut Ask,
) -> Result<Place, Stop> {
    ctx.lap();
    let waited = ctx.timers.queue.get_or_insert_default();
    let place = match look(target.cluster(), ask) {
        Now::Taken(place) => place,
        now => {
            let downstream = Downstream {
                timer: connection.timer(),
                stream: &connection.stream,
                half_close_leaves: true,
            };
            let began = Instant::now();
            let place = Box::pin(take_place(target.cluster(), ask, now, downstream)).await;
            *waited += began.elapsed();
            ctx.lap();
            place?
        }
    };
    ctx.attempts += 1;
    ctx.endpoint = Some(place.endpoint().clone());
    Ok(place)
}

/// A connection for the request, likewise.
async fn connect_for(
    connection: &Connection,
    ctx: &mut RequestContext,
    step: &Step<'_>,
    reuse: Reuse,
) -> Result<Dialled, NoConnection> {
    let cluster = step.target.cluster();
    let dialled = connect(
        cluster,
        step.endpoint,
        reuse,
        &connection.facts,
        connection.timer(),
    )
    .await?;
    ctx.timers.connect = Some(if dialled.reused {
        Duration::ZERO
    } else {
        ctx.lap()
    });
    Ok(dialled)
}

/// Waits before a retry, unless the downstream leaves.
pub(super) async fn pause(
    connection: &Connection,
    wait: Duration,
    half_close_leaves: bool,
) -> Result<(), Stop> {
    if wait.is_zero() {
        return Ok(());
    }
    let timer = connection.timer();
    timer.set(wait);
    let downstream = Downstream {
        timer,
        stream: &connection.stream,
        half_close_leaves,
    };
    match timer.within(downstream.left()).await {
        Ok(()) => Err(Stop::DownstreamAborted),
        Err(_) => Ok(()),
    }
}

/// One attempt.
pub(super) struct Step<'s> {
    pub target: &'s Target,
    pub tries: &'s Tries<'s>,
    /// For the response head.
    pub timeout: Duration,
    /// What this attempt and those after it may take together.
    pub left: Duration,
    pub endpoint: &'s Arc<EndpointState>,
    /// The number of the endpoint of a second attempt beside this one.
    pub second: Cell<Option<u64>>,
    /// What came of it was counted for or against its endpoints.
    pub is_judged: Cell<bool>,
}

/// A response that has begun, and what it came on.
pub(super) struct Answer {
    pub delivery: Delivery,
    pub dialled: Dialled,
    pub place: Place,
    /// The upstream has been given the whole request.
    pub sent: bool,
}

impl Step<'_> {
    /// Sends the request and delivers the response, hedged if the policy says so and the whole request is in hand.
    #[expect(
        clippy::too_many_arguments,
        reason = "one step of the spine, over everything the request has"
    )]
    async fn answer(
        &self,
        connection: &mut Connection,
        mut dialled: Dialled,
        place: Place,
        out: &[u8],
        (input, body): (&mut Buffer, &mut RequestBody),
        ctx: &mut RequestContext,
        ask: &Ask,
        sent: &Cell<bool>,
    ) -> Result<Answer, NoAnswer> {
        if self.target.is_too_late() {
            // It took too long to come here, which is not the endpoint's doing.
            return Err(NoAnswer::Deadline);
        }
        let began = ctx.mark;
        // What is bound to an endpoint is not asked of another.
        let may_hedge = self.tries.policy().hedge_delay.is_some() && ask.bound.is_none();
        if may_hedge && body.is_done() && self.tries.is_repeatable() {
            let first = hedge::Try { dialled, place };
            // Boxed, since it is rare and its state would make that of every request larger.
            return Box::pin(hedge::race(self, connection, first, out, ctx, ask)).await;
        }
        let responding = Cell::new(None);
        let delivery = {
            let exchanged = pin!(exchange(
                connection,
                &mut dialled,
                out,
                input,
                body,
                ctx,
                self,
                sent,
                &responding,
            ));
            let deadline = self.target.timeouts.deadline;
            let exchanged = pin!(before(deadline, &responding, exchanged));
            unless_down(self.target.cluster(), self.endpoint, exchanged).await
        };
        let delivery = match delivery {
            Some(Err(NoAnswer::Timeout)) => {
                dialled.distrust(began.elapsed());
                return Err(NoAnswer::Timeout);
            }
            Some(delivery) => delivery?,
            None => cut(&responding)?,
        };
        Ok(Answer {
            delivery,
            dialled,
            place,
            sent: sent.get(),
        })
    }
}

/// What becomes of both connections after a response has begun.
async fn conclude(
    connection: &mut Connection,
    answer: Answer,
    input: &mut Buffer,
    body: &RequestBody,
    ctx: &mut RequestContext,
    target: &Target,
) -> Ended {
    let Answer {
        delivery,
        mut dialled,
        place,
        sent,
    } = answer;
    let Delivery { status, delivered } = delivery;
    match delivered {
        Delivered::Whole {
            upstream_reusable,
            downstream_reusable,
        } => {
            // What the upstream has not been given of this request it would take from the next one.
            if upstream_reusable && sent {
                dialled.give_back(place.endpoint(), target.cluster().idle_timeout);
            }
            if access::is_enabled() {
                ctx.timers.data = Some(ctx.lap());
            }
            Ended {
                outcome: Outcome::Ok,
                status,
                next: after_response(downstream_reusable, body),
            }
        }
        Delivered::Replaced { stop, keep } => Ended {
            outcome: Outcome::Stopped(stop),
            status,
            next: after_response(keep, body),
        },
        Delivered::Broken(outcome) => {
            if outcome == Outcome::UpstreamStalled {
                dialled.distrust(target.timeouts.response);
            }
            connection.stream.reset_on_close();
            Ended {
                outcome,
                status,
                next: Next::Close,
            }
        }
        Delivered::Switched { early } => {
            let idle = target.timeouts.tunnel;
            let mut tunnel = Box::pin(tunnel::run(
                connection,
                &mut dialled.stream,
                early,
                input,
                idle,
            ));
            let tunnel = tunnel.as_mut();
            let ran = unless_down(target.cluster(), place.endpoint(), tunnel).await;
            let outcome = ran.unwrap_or(Outcome::EndpointDown);
            ctx.timers.data = Some(ctx.lap());
            Ended {
                outcome,
                status,
                next: Next::Close,
            }
        }
    }
}

/// What becomes of the downstream connection after a whole response; `keep` is whether that response leaves it open.
fn after_response(keep: bool, body: &RequestBody) -> Next {
    match (body.is_done(), keep) {
        (true, true) => Next::Keep,
        (true, false) => Next::Close,
        (false, _) => Next::Linger,
    }
}
