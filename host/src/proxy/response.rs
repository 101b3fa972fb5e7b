//! The response on its way back: head, interim heads, response filters, body.

use super::attempt::Target;
use super::body::{BodyReader, Wire};
use super::connection::Registration;
use super::context::RequestContext;
use super::filtered::{Unheld, prepare_response};
use super::grpc;
use super::local_reply;
use super::outcome::{Outcome, Stop};
use super::payload::{Via, body, encoder};
use super::retry::Tries;
use crate::filter::{Body, BodyHalt, Passed, put_fault, put_plain, put_reply};
use crate::http::{
    BodyLength, Exchange, Parsed, Version, downstream_body, parse_response, write_response,
};
use crate::http2::client::{is_not_processed, is_stream_reset};
use crate::net::buffer::Buffer;
use crate::net::stream::{ReadHalf, WriteHalf};
use crate::net::timer::Timer;
use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::task::Poll;

/// Interim responses passed on for one request; an upstream that sends more is broken.
const INTERIM_MAX: u32 = 16;

/// Why there is no response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// The connection ended before the first byte of it.
    Lost,
    /// The endpoint says that it has not begun to serve the request.
    NotProcessed,
    /// It ended within the head.
    Cut,
    Invalid,
    Timeout,
    /// The downstream has said how long it waits, and that is over.
    Deadline,
    /// The downstream left while waiting.
    DownstreamGone,
    /// A response filter wants the connection closed.
    FilterClosed,
    /// The request body failed first.
    Upload(Stop),
    /// The endpoint went down, and `on-down` closes.
    EndpointDown,
    /// An answer that is to be replaced by another attempt's.
    Status,
}

impl NoAnswer {
    /// What it means after so many interim responses: an endpoint that has begun to answer was not about to close an idle connection.
    pub(super) fn after(self, interim: u32) -> NoAnswer {
        match self {
            NoAnswer::Lost if interim > 0 => NoAnswer::Cut,
            other => other,
        }
    }

    pub(super) fn stop(self) -> Stop {
        match self {
            NoAnswer::Lost | NoAnswer::Cut | NoAnswer::NotProcessed => Stop::UpstreamReset,
            NoAnswer::Invalid => Stop::UpstreamInvalid,
            NoAnswer::Timeout | NoAnswer::Deadline => Stop::ResponseTimeout,
            NoAnswer::DownstreamGone => Stop::DownstreamAborted,
            NoAnswer::FilterClosed => Stop::FilterClose,
            NoAnswer::Upload(stop) => stop,
            NoAnswer::EndpointDown => Stop::EndpointDown,
            NoAnswer::Status => Stop::UpstreamInvalid,
        }
    }
}

/// A response that has begun, and how it went.
#[derive(Debug)]
pub(super) struct Delivery {
    pub status: u16,
    pub delivered: Delivered,
}

#[derive(Debug)]
pub(super) enum Delivered {
    /// To its last byte.
    Whole {
        upstream_reusable: bool,
        downstream_reusable: bool,
    },
    /// A filter put another response in its place, which was sent.
    Replaced { stop: Stop, keep: bool },
    /// It broke off; the downstream must notice.
    Broken(Outcome),
    /// 101: the connection is a tunnel now; what the upstream sent after the head is in `early`.
    Switched { early: Buffer },
}

/// Receives the response and delivers it downstream. `watched` is the downstream's other direction while nothing else reads it: if the
/// downstream leaves, so do we.
#[expect(
    clippy::too_many_arguments,
    reason = "one step of the spine, over both sides"
)]
pub(super) async fn receive(
    upstream: &mut ReadHalf<'_>,
    downstream: &mut WriteHalf<'_>,
    mut watched: Option<&mut ReadHalf<'_>>,
    register: &Registration,
    ctx: &mut RequestContext,
    target: &Target,
    tries: &Tries<'_>,
    responding: &Cell<Option<u16>>,
) -> Result<Delivery, NoAnswer> {
    // An earlier attempt may have left a head half read.
    ctx.exchange_mut().response.clear();
    let mut input = Buffer::take();
    for interim in 0..=INTERIM_MAX {
        let read = read_head(
            upstream,
            &mut watched,
            register.timer(),
            &mut input,
            ctx,
            target,
        );
        read.await.map_err(|none| none.after(interim))?;
        let response = &ctx.exchange().response;
        if !response.is_interim() {
            let status = response.status();
            let latency = tries.latency(ctx.timers.response_head);
            ctx.judge_answer(target.cluster(), status, latency);
            if tries.takes_another_for(status) {
                return Err(NoAnswer::Status);
            }
            responding.set(Some(status));
            return deliver(
                upstream,
                downstream,
                &mut watched,
                register,
                input,
                ctx,
                target,
            )
            .await;
        }
        if ctx.exchange().request.version() == Version::Http11 {
            Box::pin(send_interim(downstream, ctx, target)).await?;
        }
        ctx.exchange_mut().response.clear();
    }
    Err(NoAnswer::Invalid)
}

/// Reads until the head is complete and takes it off `input`.
async fn read_head(
    upstream: &mut ReadHalf<'_>,
    watched: &mut Option<&mut ReadHalf<'_>>,
    timer: &Timer,
    input: &mut Buffer,
    ctx: &mut RequestContext,
    target: &Target,
) -> Result<(), NoAnswer> {
    loop {
        if !input.is_empty() {
            let exchange = ctx.exchange_mut();
            match parse_response(
                input,
                exchange.request.method(),
                &target.limits,
                &mut exchange.response,
            ) {
                Ok(Parsed::Complete { head_len }) => {
                    input.consume(head_len);
                    ctx.timers.response_head = Some(ctx.lap());
                    return Ok(());
                }
                Ok(Parsed::Partial) => {}
                Err(bad) => {
                    if let Some(endpoint) = &ctx.endpoint {
                        endpoint.report(&target.cluster().name, "invalid response head", &bad);
                    }
                    return Err(NoAnswer::Invalid);
                }
            }
        }
        let read = unless_gone(watched, upstream.receive(input));
        match timer.within(read).await {
            Ok(Some(Err(error))) if is_not_processed(&error) => {
                return Err(NoAnswer::NotProcessed);
            }
            Ok(Some(Err(error))) if is_stream_reset(&error) => return Err(NoAnswer::Cut),
            // Of a translation: what came is no message that HTTP/1.1 could carry.
            Ok(Some(Err(error))) if error.kind() == std::io::ErrorKind::InvalidData => {
                if let Some(endpoint) = &ctx.endpoint {
                    endpoint.report(&target.cluster().name, "invalid response", &error);
                }
                return Err(NoAnswer::Invalid);
            }
            Ok(Some(Ok(0) | Err(_))) => {
                return Err(if input.is_empty() {
                    NoAnswer::Lost
                } else {
                    NoAnswer::Cut
                });
            }
            Ok(Some(Ok(_))) => {}
            Ok(None) => return Err(NoAnswer::DownstreamGone),
            Err(_) => return Err(NoAnswer::Timeout),
        }
    }
}

/// `read`, or none when the downstream leaves first. Bytes of a next request that arrive meanwhile stay where they are and end the watch.
pub(super) async fn unless_gone<T>(
    watched: &mut Option<&mut ReadHalf<'_>>,
    read: impl Future<Output = T>,
) -> Option<T> {
    let mut read = pin!(read);
    std::future::poll_fn(|cx| {
        if let Poll::Ready(done) = read.as_mut().poll(cx) {
            return Poll::Ready(Some(done));
        }
        let Some(downstream) = watched else {
            return Poll::Pending;
        };
        match downstream.poll_closed(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(true) => Poll::Ready(None),
            Poll::Ready(false) => {
                *watched = None;
                Poll::Pending
            }
        }
    })
    .await
}

/// Passes a 1xx on at once (RFC 9110 section 15.2). The time that the upstream has for its answer goes on meanwhile.
async fn send_interim(
    downstream: &mut WriteHalf<'_>,
    ctx: &mut RequestContext,
    target: &Target,
) -> Result<(), NoAnswer> {
    let mut out = Buffer::take();
    write_response(
        &ctx.exchange().response,
        BodyLength::None,
        true,
        Version::Http11,
        &mut out,
    );
    let sent = send(downstream, &Timer::new(), &out, ctx, target).await;
    sent.map_err(|_| NoAnswer::DownstreamGone)
}

/// Response filters, head, body; `watched` as in [`receive`].
pub(super) async fn deliver(
    upstream: &mut ReadHalf<'_>,
    downstream: &mut WriteHalf<'_>,
    watched: &mut Option<&mut ReadHalf<'_>>,
    register: &Registration,
    mut input: Buffer,
    ctx: &mut RequestContext,
    target: &Target,
) -> Result<Delivery, NoAnswer> {
    if ctx.exchange().response.status() == 101 {
        return Box::pin(switch(downstream, register.timer(), input, ctx, target)).await;
    }
    let upstream_body = ctx.exchange().response.body();
    let upstream_persists = ctx.exchange().response.keep_alive();
    ctx.exchange_mut().has_response = true;
    ctx.settle_affinity(target.cluster());
    let mut replaced = Body::new();
    match ctx.filter_response(&target.route.filters, &mut replaced) {
        Passed::Kept => {}
        Passed::Replaced => {
            let status = ctx.exchange().response.status();
            let stop = Stop::FilterReply { status };
            return Box::pin(replace(downstream, register, &replaced, ctx, target, stop)).await;
        }
        Passed::Faulted => {
            let stop = Stop::FilterFault;
            return Box::pin(replace(downstream, register, &replaced, ctx, target, stop)).await;
        }
        Passed::Close => return Err(NoAnswer::FilterClosed),
    }
    let mut reader = BodyReader::of_response(upstream_body);
    let mut filtered = None;
    if ctx.run.has_leases() {
        let timer = register.timer();
        let preparing = prepare_response(
            upstream,
            watched,
            timer,
            &mut input,
            &mut reader,
            ctx,
            target,
        );
        filtered = match Box::pin(preparing).await {
            Ok(filtered) => filtered.map(Box::new),
            Err(unheld) => {
                return Box::pin(instead(downstream, register, unheld, ctx, target)).await;
            }
        };
    }
    let mut encoder = encoder(ctx.exchange_mut(), target);
    let version = ctx.exchange().request.version();
    let outgoing = match (&encoder, &filtered) {
        (Some(_), _) => BodyLength::Chunked,
        (None, Some(filtered)) => filtered.length(),
        (None, None) => upstream_body,
    };
    let (framing, can_persist) = downstream_body(outgoing, version);
    let keep = can_persist && !register.is_draining() && ctx.exchange().request.keep_alive();
    let mut out = Buffer::take();
    write_response(&ctx.exchange().response, framing, keep, version, &mut out);
    let status = ctx.exchange().response.status();
    let wire = Wire::of(framing);
    let sent = body(
        upstream,
        downstream,
        watched,
        register.timer(),
        &mut input,
        out,
        &mut reader,
        wire,
        Via {
            filtered: filtered.as_deref_mut(),
            encoder: encoder.as_deref_mut().map(|counted| &mut counted.0),
        },
        ctx,
        target,
    )
    .await;
    let delivered = match sent {
        // Bytes after the end of a response belong to nobody: the connection is out of step.
        Ok(()) => Delivered::Whole {
            upstream_reusable: upstream_persists && input.is_empty(),
            downstream_reusable: keep,
        },
        Err(outcome) => Delivered::Broken(outcome),
    };
    Ok(Delivery { status, delivered })
}

pub(super) async fn send(
    downstream: &mut WriteHalf<'_>,
    timer: &Timer,
    out: &[u8],
    ctx: &mut RequestContext,
    target: &Target,
) -> Result<(), Outcome> {
    if out.is_empty() {
        return Ok(());
    }
    timer.set(target.timeouts.downstream_idle);
    match timer.within(downstream.send_in_turn(out)).await {
        Ok(Ok(())) => {
            ctx.count_sent(out.len());
            Ok(())
        }
        Ok(Err(_)) | Err(_) => Err(Outcome::DownstreamAborted),
    }
}

/// Sends what a response filter put in place of the upstream's response. The upstream connection is not used again: its body was not read.
async fn replace(
    downstream: &mut WriteHalf<'_>,
    register: &Registration,
    body: &[u8],
    ctx: &mut RequestContext,
    target: &Target,
    stop: Stop,
) -> Result<Delivery, NoAnswer> {
    let is_grpc = grpc::answer(ctx.exchange_mut(), Outcome::Stopped(stop));
    let body = if is_grpc { &[] } else { body };
    let exchange = ctx.exchange();
    let keep = !register.is_draining() && exchange.request.keep_alive();
    let status = exchange.response.status();
    let bodiless = matches!(status, 204 | 304);
    let length = if bodiless {
        BodyLength::None
    } else {
        BodyLength::Fixed(body.len() as u64)
    };
    let mut out = Buffer::take();
    write_response(
        &exchange.response,
        length,
        keep,
        exchange.request.version(),
        &mut out,
    );
    if !bodiless && exchange.request.method() != "HEAD" {
        out.extend_from_slice(body);
    }
    let delivered = match send(downstream, register.timer(), &out, ctx, target).await {
        Ok(()) => Delivered::Replaced { stop, keep },
        Err(outcome) => Delivered::Broken(outcome),
    };
    Ok(Delivery { status, delivered })
}

/// Answers in place of a response that was held back and does not come.
async fn instead(
    downstream: &mut WriteHalf<'_>,
    register: &Registration,
    unheld: Unheld,
    ctx: &mut RequestContext,
    target: &Target,
) -> Result<Delivery, NoAnswer> {
    let exchange = ctx.exchange_mut();
    let (body, stop) = match unheld {
        Unheld::DownstreamGone => return Err(NoAnswer::DownstreamGone),
        Unheld::Halt(BodyHalt::Close) => return Err(NoAnswer::FilterClosed),
        Unheld::Halt(BodyHalt::Reply(reply)) => {
            let status = reply.status;
            (put_reply(exchange, reply), Stop::FilterReply { status })
        }
        Unheld::Halt(BodyHalt::Fault) => (put_fault(exchange), Stop::FilterFault),
        Unheld::Halt(BodyHalt::Refused) => plain(exchange, Stop::ResponseRefused),
        Unheld::Upstream(stop) => plain(exchange, stop),
    };
    replace(downstream, register, &body, ctx, target, stop).await
}

/// Puts the usual answer to a stop in place of a response.
fn plain(exchange: &mut Exchange, stop: Stop) -> (Body, Stop) {
    let status = stop.status().unwrap_or(502);
    (
        put_plain(exchange, status, local_reply::text(status).as_bytes()),
        stop,
    )
}

/// Passes on a 101 that was asked for.
async fn switch(
    downstream: &mut WriteHalf<'_>,
    timer: &Timer,
    early: Buffer,
    ctx: &mut RequestContext,
    target: &Target,
) -> Result<Delivery, NoAnswer> {
    let exchange = ctx.exchange();
    let asked = exchange.request.upgrade().is_some_and(|asked| {
        exchange
            .response
            .upgrade()
            .is_some_and(|got| asked.eq_ignore_ascii_case(got))
    });
    if !asked {
        return Err(NoAnswer::Invalid);
    }
    let mut out = Buffer::take();
    write_response(
        &exchange.response,
        BodyLength::None,
        true,
        Version::Http11,
        &mut out,
    );
    let delivered = match send(downstream, timer, &out, ctx, target).await {
        Ok(()) => Delivered::Switched { early },
        Err(outcome) => Delivered::Broken(outcome),
    };
    Ok(Delivery {
        status: 101,
        delivered,
    })
}
