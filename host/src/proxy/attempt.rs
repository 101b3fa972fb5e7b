//! One request to an endpoint: pick, connect or reuse, send, and try again where that is safe.
//!
//! A connection that could not be made is tried at the next endpoint: nothing was sent. A reused connection that ends before the first byte
//! of an answer was being closed by the endpoint while we sent; the request goes once more on a new connection if sending it twice does no
//! harm: idempotent, and its body still in hand. Nothing else is tried twice.

use super::body::RequestBody;
use super::connect::{Reuse, connect};
use super::connection::Connection;
use super::context::RequestContext;
use super::http::{Ended, Next};
use super::outcome::{Outcome, Stop};
use super::response::{self, Delivered, Delivery, NoAnswer};
use super::tunnel;
use crate::balance::Picked;
use crate::http::{Limits, write_request};
use crate::net::buffer::Buffer;
use crate::net::timer::Timer;
use crate::snapshot::Route;
use crate::upstream::{Cluster, Dialled, pool};
use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};

/// Where a request goes and how long that may take.
#[derive(Debug)]
pub(super) struct Target {
    pub cluster: Arc<Cluster>,
    pub route: Arc<Route>,
    pub timeouts: Timeouts,
    pub limits: Limits,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Timeouts {
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
    let mut out = Buffer::take();
    name_host(ctx, &target.cluster);
    write_request(&ctx.exchange().request, body.length(), &mut out);
    let mut first_part = Buffer::take();
    body.transfer(input, &mut first_part)?;
    out.extend_from_slice(&first_part);
    drop(first_part);
    let repeatable = ctx.exchange().request.is_idempotent() && body.is_done();
    let key = target.cluster.picker.key(ctx.exchange());
    let mut tried = Vec::new();
    let mut reuse = if repeatable {
        Reuse::Any
    } else {
        Reuse::Recent
    };
    loop {
        let (picked, mut dialled) =
            connect_for(target, key, ctx, connection.timer(), reuse, &mut tried).await?;
        let sent = Cell::new(false);
        let answer = exchange(
            connection,
            &mut dialled,
            &out,
            input,
            body,
            ctx,
            target,
            &sent,
        )
        .await;
        match answer {
            Err(NoAnswer::Lost) if dialled.reused && repeatable => reuse = Reuse::No,
            Err(no_answer) => return Err(no_answer.stop()),
            Ok(delivery) => {
                return Ok(conclude(
                    connection,
                    dialled,
                    picked,
                    delivery,
                    (input, body, sent.get()),
                    ctx,
                    target,
                )
                .await);
            }
        }
    }
}

/// An HTTP/1.0 request may come without a host; upstream it needs one (RFC 9112 section 3.2): the cluster's first endpoint.
fn name_host(ctx: &mut RequestContext, cluster: &Cluster) {
    let request = &mut ctx.exchange_mut().request;
    if request.authority().is_empty()
        && let Some(endpoint) = cluster.endpoints.first()
    {
        request.set_authority(endpoint.label.as_bytes());
    }
}

/// A connection for the request, with what the access line will say about it.
async fn connect_for(
    target: &Target,
    key: u64,
    ctx: &mut RequestContext,
    timer: &Timer,
    reuse: Reuse,
    tried: &mut Vec<usize>,
) -> Result<(Picked, Dialled), Stop> {
    ctx.lap();
    let failed_before = tried.len();
    let connected = connect(&target.cluster, key, timer, reuse, tried).await;
    let failed = tried.len() - failed_before;
    match &connected {
        Ok((picked, dialled)) => {
            ctx.attempts += failed as u32 + 1;
            ctx.endpoint = Some(picked.position);
            ctx.timers.connect = Some(if dialled.reused {
                Duration::ZERO
            } else {
                ctx.lap()
            });
        }
        Err(_) => {
            ctx.attempts += failed as u32;
            ctx.endpoint = tried.last().copied();
        }
    }
    connected
}

/// Sends what is in hand, then the rest of the body while the response already comes. Sets `sent` once the upstream has been given the
/// whole request.
#[expect(
    clippy::too_many_arguments,
    reason = "one step of the spine, over everything the request has"
)]
async fn exchange(
    connection: &mut Connection,
    dialled: &mut Dialled,
    out: &[u8],
    input: &mut Buffer,
    body: &mut RequestBody,
    ctx: &mut RequestContext,
    target: &Target,
    sent: &Cell<bool>,
) -> Result<Delivery, NoAnswer> {
    connection.timer().set(target.timeouts.response);
    let register = &connection.register;
    let timer = register.timer();
    let first_sent = match timer.within(dialled.stream.write_all(out)).await {
        Ok(Ok(())) => true,
        Ok(Err(_)) if dialled.reused => return Err(NoAnswer::Lost),
        // The endpoint may have answered before it stopped reading, so its answer is looked for all the same.
        Ok(Err(_)) => false,
        Err(_) => return Err(NoAnswer::Timeout),
    };
    let (mut upstream_read, mut upstream_write) = dialled.stream.split();
    let (mut downstream_read, mut downstream_write) = connection.stream.split();
    let responding = Cell::new(None);
    if body.is_done() {
        sent.set(first_sent);
        let watched = Some(&mut downstream_read);
        return response::receive(
            &mut upstream_read,
            &mut downstream_write,
            watched,
            register,
            ctx,
            target,
            &responding,
        )
        .await;
    }
    let upload = upload(
        &mut downstream_read,
        input,
        body,
        &mut upstream_write,
        timer,
        &connection.facts,
        target,
        (&responding, sent, first_sent),
    );
    let receive = response::receive(
        &mut upstream_read,
        &mut downstream_write,
        None,
        register,
        ctx,
        target,
        &responding,
    );
    both(upload, receive, &responding).await
}

/// Sends the rest of a request body as it arrives. An upstream that stops reading ends it without an error: its answer decides.
#[expect(
    clippy::too_many_arguments,
    reason = "both directions of both sides, which the two futures must borrow apart"
)]
async fn upload(
    from: &mut ReadHalf<'_>,
    input: &mut Buffer,
    body: &mut RequestBody,
    to: &mut WriteHalf<'_>,
    response_timer: &Timer,
    facts: &crate::http::ConnectionFacts,
    target: &Target,
    (responding, sent, first_sent): (&Cell<Option<u16>>, &Cell<bool>, bool),
) -> Result<(), Stop> {
    let body_timer = Timer::new();
    let mut out = Buffer::take();
    while !body.is_done() {
        if responding.get().is_none() {
            response_timer.clear();
        }
        body_timer.set(body.timeout);
        match body_timer.within(from.read_buf(&mut **input)).await {
            Ok(Ok(0) | Err(_)) => return Err(Stop::DownstreamAborted),
            Ok(Ok(count)) => facts
                .downstream_bytes
                .fetch_add(count as u64, std::sync::atomic::Ordering::Relaxed),
            Err(_) => return Err(Stop::BodyTimeout),
        };
        out.clear();
        body.transfer(input, &mut out)?;
        if responding.get().is_none() {
            response_timer.set(target.timeouts.response);
        }
        body_timer.set(target.timeouts.response);
        match body_timer.within(to.write_all(&out)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return Ok(()),
        }
    }
    sent.set(first_sent);
    Ok(())
}

/// Drives both until the response is delivered. A failed upload ends both: with an answer of ours if no response has begun, else by
/// breaking off the one that has.
async fn both(
    upload: impl Future<Output = Result<(), Stop>>,
    receive: impl Future<Output = Result<Delivery, NoAnswer>>,
    responding: &Cell<Option<u16>>,
) -> Result<Delivery, NoAnswer> {
    let (mut upload, mut receive) = (pin!(upload), pin!(receive));
    let mut uploading = true;
    std::future::poll_fn(|cx| {
        if uploading && let Poll::Ready(uploaded) = upload.as_mut().poll(cx) {
            uploading = false;
            match (uploaded, responding.get()) {
                (Ok(()), _) => {}
                (Err(stop), None) => return Poll::Ready(Err(NoAnswer::Upload(stop))),
                (Err(_), Some(status)) => {
                    return Poll::Ready(Ok(Delivery {
                        status,
                        delivered: Delivered::Broken(Outcome::DownstreamAborted),
                    }));
                }
            }
        }
        receive.as_mut().poll(cx)
    })
    .await
}

/// What becomes of both connections after a response has begun.
async fn conclude(
    connection: &mut Connection,
    mut dialled: Dialled,
    picked: Picked,
    delivery: Delivery,
    (input, body, sent): (&mut Buffer, &RequestBody, bool),
    ctx: &mut RequestContext,
    target: &Target,
) -> Ended {
    let Delivery { status, delivered } = delivery;
    match delivered {
        Delivered::Whole {
            upstream_reusable,
            downstream_reusable,
        } => {
            // What the upstream has not been given of this request it would take from the next one.
            if upstream_reusable && sent {
                pool::put(
                    &target.cluster.endpoints[picked.position].state,
                    dialled.stream,
                    target.cluster.idle_timeout,
                );
            }
            ctx.timers.data = Some(ctx.lap());
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
            connection.stream.reset_on_close();
            Ended {
                outcome,
                status,
                next: Next::Close,
            }
        }
        Delivered::Switched { early } => {
            let outcome = tunnel::run(
                connection,
                &mut dialled.stream,
                early,
                input,
                target.timeouts.tunnel,
            )
            .await;
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
