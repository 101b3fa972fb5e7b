//! One exchange on one upstream connection: the request goes out, what is left of its body as it arrives, while the response already comes.

use super::attempt::Step;
use super::connection::Connection;
use super::context::RequestContext;
use super::outcome::{Outcome, Stop};
use super::request_body::RequestBody;
use super::response::{self, Delivered, Delivery, NoAnswer};
use crate::http::ConnectionFacts;
use crate::http2::client::is_not_processed;
use crate::net::buffer::Buffer;
use crate::net::stream::{ReadHalf, WriteHalf};
use crate::net::timer::Timer;
use crate::upstream::Dialled;
use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::Poll;

/// Sends what is in hand, then the rest of the body while the response already comes. Sets `sent` once the upstream has been given the
/// whole request.
#[expect(
    clippy::too_many_arguments,
    reason = "one step of the spine, over everything the request has"
)]
pub(super) async fn exchange(
    connection: &mut Connection,
    dialled: &mut Dialled,
    out: &[u8],
    input: &mut Buffer,
    body: &mut RequestBody,
    ctx: &mut RequestContext,
    step: &Step<'_>,
    sent: &Cell<bool>,
    responding: &Cell<Option<u16>>,
) -> Result<Delivery, NoAnswer> {
    let target = step.target;
    connection.timer().set(step.timeout);
    let register = &connection.register;
    let timer = register.timer();
    let first_sent = match timer
        .within(dialled.stream.split().1.send_in_turn(out))
        .await
    {
        Ok(Ok(())) => true,
        Ok(Err(error)) if is_not_processed(&error) => return Err(NoAnswer::NotProcessed),
        Ok(Err(_)) if dialled.reused => return Err(NoAnswer::Lost),
        // The endpoint may have answered before it stopped reading, so its answer is looked for all the same.
        Ok(Err(_)) => false,
        Err(_) => return Err(NoAnswer::Timeout),
    };
    let (mut upstream_read, mut upstream_write) = dialled.stream.split();
    let (mut downstream_read, mut downstream_write) = connection.stream.split();
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
            step.tries,
            responding,
        )
        .await;
    }
    // Boxed, since most requests have no body, or one that came with the head.
    let mut upload = Box::pin(upload(
        &mut downstream_read,
        input,
        body,
        &mut upstream_write,
        timer,
        &connection.facts,
        step,
        (responding, sent, first_sent),
    ));
    let mut receive = Box::pin(response::receive(
        &mut upstream_read,
        &mut downstream_write,
        None,
        register,
        ctx,
        target,
        step.tries,
        responding,
    ));
    both(upload.as_mut(), receive.as_mut(), responding).await
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
    facts: &ConnectionFacts,
    step: &Step<'_>,
    (responding, sent, first_sent): (&Cell<Option<u16>>, &Cell<bool>, bool),
) -> Result<(), Stop> {
    let body_timer = Timer::new();
    let mut out = Buffer::take();
    while !body.is_done() {
        if responding.get().is_none() {
            response_timer.clear();
        }
        let mut delivered = facts.upstream_bytes.load(Ordering::Relaxed);
        let read = loop {
            body_timer.set(body.timeout);
            let read = body_timer.within(from.receive(input)).await;
            // While it is being answered a stream may be silent in this direction: only if both are, it is dead.
            match (read, facts.upstream_bytes.load(Ordering::Relaxed)) {
                (Ok(read), _) => break read,
                (Err(_), now) if now != delivered => delivered = now,
                (Err(_), _) => return Err(Stop::BodyTimeout),
            }
        };
        match read {
            Ok(0) | Err(_) => return Err(Stop::DownstreamAborted),
            Ok(count) => facts.count_received(count as u64),
        };
        out.clear();
        body.transfer(input, &mut out)?;
        step.tries.keep(&out, body.bytes());
        if responding.get().is_none() {
            response_timer.set(step.timeout);
        }
        body_timer.set(step.target.timeouts.response);
        match body_timer.within(to.send(&out)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return Ok(()),
        }
    }
    sent.set(first_sent);
    step.tries.end_upload();
    // From here on nothing is expected of the downstream but that it stays.
    if std::future::poll_fn(|cx| from.poll_closed(cx)).await {
        return Err(Stop::DownstreamAborted);
    }
    Ok(())
}

/// Drives both until the response is delivered. A failed upload ends both: with an answer of ours if no response has begun, else by
/// breaking off the one that has.
async fn both(
    mut upload: Pin<&mut impl Future<Output = Result<(), Stop>>>,
    mut receive: Pin<&mut impl Future<Output = Result<Delivery, NoAnswer>>>,
    responding: &Cell<Option<u16>>,
) -> Result<Delivery, NoAnswer> {
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
