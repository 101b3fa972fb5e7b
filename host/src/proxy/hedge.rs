//! Hedging: a second attempt beside the first, when the first takes long to answer. The first good answer wins, the other attempt is broken
//! off (SEMANTICS 43: after a delay, never two at once). Only for requests that are wholly in hand and may be sent twice; the second attempt
//! is a retry and comes out of the same budget.

use super::attempt::{Answer, Step};
use super::bounds::{cut, unless_down};
use super::connect::{Ask, Downstream, NoConnection, Reuse, connect, take_at_once};
use super::connection::Connection;
use super::context::RequestContext;
use super::response::{self, NoAnswer};
use super::retry::Failure;
use crate::http::{ConnectionFacts, Parsed, ResponseHead, parse_response};
use crate::http2::client::{is_not_processed, is_stream_reset};
use crate::net::buffer::Buffer;
use crate::net::timer::Timer;
use crate::upstream::{Dialled, Place, Verdict};
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

/// Interim responses that are passed over for one attempt.
const INTERIM_MAX: u32 = 16;

/// An attempt that has a connection.
pub(super) struct Try {
    pub dialled: Dialled,
    pub place: Place,
}

/// An attempt that has a response head.
struct Answered {
    of: Try,
    /// What came behind the head.
    input: Buffer,
    head: ResponseHead,
    took: Duration,
}

/// Sends the request to the first endpoint, after the delay to a second one too, and delivers the better answer.
pub(super) async fn race(
    step: &Step<'_>,
    connection: &mut Connection,
    first: Try,
    out: &[u8],
    ctx: &mut RequestContext,
    ask: &Ask,
) -> Result<Answer, NoAnswer> {
    let method = ctx.exchange().request.method().to_owned();
    let first_endpoint = first.place.endpoint().clone();
    let timer = connection.timer();
    let deadline = step.target.timeouts.deadline;
    let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
    timer.set(left.map_or(step.timeout, |left| left.min(step.timeout)));
    step.is_judged.set(true);
    let (began, is_over) = (Instant::now(), Cell::new(false));
    let won = {
        let one = async {
            let answer = answer_of(step, first, out, &method, timer).await;
            is_over.set(true);
            answer
        };
        let facts = &*connection.facts;
        let other = second(step, out, &method, ask, first_endpoint.id(), facts);
        better(step, connection, one, other).await?
    };
    let cluster = step.target.cluster();
    if !is_over.get() && cluster.picker.wants_measures() {
        // It lost, and has taken at least this long.
        let now = Instant::now();
        first_endpoint
            .measures
            .record(Some(now - began), false, now);
    }
    deliver(step, connection, won, ctx).await
}

/// The second attempt: after the delay, if there is another endpoint with room and the budget has it; else it goes on for ever, and the first
/// attempt decides.
async fn second(
    step: &Step<'_>,
    out: &[u8],
    method: &str,
    ask: &Ask,
    first: u64,
    facts: &ConnectionFacts,
) -> Result<Answered, NoAnswer> {
    let began = Instant::now();
    let timer = Timer::new();
    timer.set(step.tries.policy().hedge_delay.unwrap_or_default());
    poll_fn(|cx| timer.poll_expired(cx)).await;
    let cluster = step.target.cluster();
    let mut tried = ask.tried.clone();
    tried.push(first);
    let ask = Ask {
        key: ask.key,
        bound: None,
        priority: ask.priority,
        tried,
    };
    let place = match ask.has_other(&cluster.live.view()) {
        true => take_at_once(cluster, &ask),
        false => None,
    };
    let Some(place) = place.filter(|_| step.tries.may_hedge()) else {
        return std::future::pending().await;
    };
    step.tries.count();
    let endpoint = place.endpoint().clone();
    step.second.set(Some(endpoint.id()));
    match connect(cluster, &endpoint, Reuse::No, facts, &timer).await {
        Ok(dialled) => {
            let left = step.left.saturating_sub(began.elapsed());
            timer.set(step.target.attempt_timeout(left));
            answer_of(step, Try { dialled, place }, out, method, &timer).await
        }
        Err(NoConnection::Stop(stop)) => {
            if let Some(verdict) = Failure::Connect(stop).verdict() {
                cluster.judge(&endpoint, verdict, None);
            }
            Err(NoAnswer::Lost)
        }
        Err(NoConnection::PassedOver) => {
            // It never was.
            drop(place);
            step.second.set(None);
            step.tries.take_back();
            std::future::pending().await
        }
    }
}

/// Sends the request and waits for a final response head; counts what comes of it for or against the endpoint.
async fn answer_of(
    step: &Step<'_>,
    of: Try,
    out: &[u8],
    method: &str,
    timer: &Timer,
) -> Result<Answered, NoAnswer> {
    let (endpoint, reused) = (of.place.endpoint().clone(), of.dialled.reused);
    let answer = head_of(step, of, out, method, timer).await;
    let (verdict, latency) = match &answer {
        Ok(answered) => (
            Some(Verdict::Answered(answered.head.status())),
            Some(answered.took),
        ),
        Err(no_answer) => (Failure::of(*no_answer, reused).verdict(), None),
    };
    if let Some(verdict) = verdict {
        step.target.cluster().judge(&endpoint, verdict, latency);
    }
    answer
}

async fn head_of(
    step: &Step<'_>,
    mut of: Try,
    out: &[u8],
    method: &str,
    timer: &Timer,
) -> Result<Answered, NoAnswer> {
    let began = Instant::now();
    let endpoint = of.place.endpoint().clone();
    let (mut input, mut head) = (Buffer::take(), ResponseHead::new());
    let worked = {
        let work = exchange(step, &mut of, out, method, &mut input, &mut head);
        let work = pin!(timer.within(work));
        unless_down(step.target.cluster(), &endpoint, work).await
    };
    let worked = worked.ok_or(NoAnswer::EndpointDown)?;
    worked.map_err(|_| {
        of.dialled.distrust(began.elapsed());
        NoAnswer::Timeout
    })??;
    Ok(Answered {
        of,
        input,
        head,
        took: began.elapsed(),
    })
}

async fn exchange(
    step: &Step<'_>,
    of: &mut Try,
    out: &[u8],
    method: &str,
    input: &mut Buffer,
    head: &mut ResponseHead,
) -> Result<(), NoAnswer> {
    let stream = &mut of.dialled.stream;
    stream.send(out).await.map_err(|error| none_of(&error))?;
    let mut interim = 0;
    loop {
        if !input.is_empty() {
            match parse_response(input, method, &step.target.limits, head) {
                Ok(Parsed::Complete { head_len }) => {
                    input.consume(head_len);
                    if !head.is_interim() {
                        return Ok(());
                    }
                    head.clear();
                    interim += 1;
                    if interim > INTERIM_MAX {
                        return Err(NoAnswer::Invalid);
                    }
                    continue;
                }
                Ok(Parsed::Partial) => {}
                Err(bad) => {
                    let endpoint = of.place.endpoint();
                    endpoint.report(&step.target.cluster().name, "invalid response head", &bad);
                    return Err(NoAnswer::Invalid);
                }
            }
        }
        match stream.receive(input).await {
            Err(error) if none_of(&error) != NoAnswer::Lost => return Err(none_of(&error)),
            Ok(0) | Err(_) if input.is_empty() => return Err(NoAnswer::Lost.after(interim)),
            Ok(0) | Err(_) => return Err(NoAnswer::Cut),
            Ok(_) => {}
        }
    }
}

/// What a failed stream means where no answer has begun.
fn none_of(error: &std::io::Error) -> NoAnswer {
    match error.kind() {
        _ if is_not_processed(error) => NoAnswer::NotProcessed,
        _ if is_stream_reset(error) => NoAnswer::Cut,
        std::io::ErrorKind::InvalidData => NoAnswer::Invalid,
        _ => NoAnswer::Lost,
    }
}

/// The first good answer; a bad one only when the other attempt has nothing better. An error is the first attempt's.
async fn better(
    step: &Step<'_>,
    connection: &Connection,
    one: impl Future<Output = Result<Answered, NoAnswer>>,
    other: impl Future<Output = Result<Answered, NoAnswer>>,
) -> Result<Answered, NoAnswer> {
    let (mut one, mut other) = (pin!(one), pin!(other));
    let (mut of_one, mut of_other) = (None, None);
    let statuses = &step.tries.policy().on.statuses;
    let is_good = |answer: &Result<Answered, NoAnswer>| {
        answer.as_ref().is_ok_and(|answered| {
            let status = answered.head.status();
            status < 500 && !statuses.iter().any(|range| range.contains(&status))
        })
    };
    let mut left = pin!(
        Downstream {
            timer: connection.timer(),
            stream: &connection.stream,
            half_close_leaves: true,
        }
        .left()
    );
    poll_fn(|cx| {
        if of_one.is_none()
            && let Poll::Ready(answer) = one.as_mut().poll(cx)
        {
            if is_good(&answer) {
                return Poll::Ready(answer);
            }
            of_one = Some(answer);
        }
        if of_other.is_none()
            && let Poll::Ready(answer) = other.as_mut().poll(cx)
        {
            if is_good(&answer) {
                return Poll::Ready(answer);
            }
            of_other = Some(answer);
        }
        // A second attempt that has not begun is not waited for.
        let other_runs = of_other.is_none() && step.second.get().is_some();
        if !other_runs && let Some(first) = of_one.take() {
            let better = of_other
                .take()
                .filter(|answer| first.is_err() && answer.is_ok());
            return Poll::Ready(better.unwrap_or(first));
        }
        left.as_mut()
            .poll(cx)
            .map(|()| Err(NoAnswer::DownstreamGone))
    })
    .await
}

async fn deliver(
    step: &Step<'_>,
    connection: &mut Connection,
    won: Answered,
    ctx: &mut RequestContext,
) -> Result<Answer, NoAnswer> {
    let Answered {
        mut of,
        input,
        head,
        took,
    } = won;
    let status = head.status();
    ctx.exchange_mut().response = head;
    ctx.endpoint = Some(of.place.endpoint().clone());
    ctx.lap();
    ctx.timers.response_head = Some(took);
    if step.tries.takes_another_for(status) {
        return Err(NoAnswer::Status);
    }
    let responding = Cell::new(Some(status));
    let endpoint = of.place.endpoint().clone();
    let delivered = {
        let (mut upstream, _) = of.dialled.stream.split();
        let (mut watched, mut downstream) = connection.stream.split();
        let mut watched = Some(&mut watched);
        let register = &connection.register;
        let work = pin!(response::deliver(
            &mut upstream,
            &mut downstream,
            &mut watched,
            register,
            input,
            ctx,
            step.target,
        ));
        unless_down(step.target.cluster(), &endpoint, work).await
    };
    Ok(Answer {
        delivery: match delivered {
            Some(delivery) => delivery?,
            None => cut(&responding)?,
        },
        dialled: of.dialled,
        place: of.place,
        sent: true,
    })
}
