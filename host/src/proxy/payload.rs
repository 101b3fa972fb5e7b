//! The body of a response on its way: copied, spliced or compressed.

use super::attempt::Target;
use super::body::{BodyReader, Wire, finish, finish_encoded, flush_encoded};
use super::context::RequestContext;
use super::filtered::{Filtered, Trouble};
use super::outcome::Outcome;
use super::response::{send, unless_gone};
use crate::compress::{self, Encoder};
use crate::http::Exchange;
use crate::net::buffer::Buffer;
use crate::net::copy::{BULK_BYTES, Splicer};
use crate::net::stream::{ReadHalf, WriteHalf};
use crate::net::timer::Timer;
use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::task::Poll;
use tokio::net::TcpStream;

/// Bodies that a worker compresses at once, each with up to 2.5 MiB of memory; beyond it they leave as they came.
const ENCODERS_MAX: usize = 128;

thread_local! {
    static ENCODERS: Cell<usize> = const { Cell::new(0) };
}

/// An encoder, counted while it is there.
#[derive(Debug)]
pub(super) struct Counted(pub(super) Encoder);

impl Drop for Counted {
    fn drop(&mut self) {
        // With the thread its encoders are gone.
        let _ = ENCODERS.try_with(|count| count.set(count.get() - 1));
    }
}

/// What a body passes on its way: filters, then compression.
pub(super) struct Via<'v> {
    pub(super) filtered: Option<&'v mut Filtered>,
    pub(super) encoder: Option<&'v mut Encoder>,
}

impl Via<'_> {
    /// Whether the bytes leave as they came.
    fn is_direct(&self) -> bool {
        self.filtered.is_none() && self.encoder.is_none()
    }

    fn is_done(&self, reader: &BodyReader) -> bool {
        match &self.filtered {
            Some(filtered) => filtered.is_out(),
            None => reader.is_done(),
        }
    }
}

/// What compresses the body, where the route says so and the client and the response allow it.
pub(super) fn encoder(exchange: &mut Exchange, target: &Target) -> Option<Box<Counted>> {
    let settings = target.route.compress.as_ref()?;
    let mut accepted = Vec::new();
    let request = &exchange.request;
    let says = request.fields().joined(b"accept-encoding", &mut accepted);
    // Beyond what may be, as for a client that understands none: caches are told in any case that the answer varies.
    let accepted = (says && ENCODERS.get() < ENCODERS_MAX).then_some(&accepted[..]);
    let response = &mut exchange.response;
    let encoder = compress::begin(settings, accepted, request.method(), response)?;
    ENCODERS.set(ENCODERS.get() + 1);
    Some(Box::new(Counted(encoder)))
}

/// Sends head and body; the first part of the body goes with the head.
#[expect(
    clippy::too_many_arguments,
    reason = "one straight loop over both sides"
)]
pub(super) async fn body(
    upstream: &mut ReadHalf<'_>,
    downstream: &mut WriteHalf<'_>,
    watched: &mut Option<&mut ReadHalf<'_>>,
    timer: &Timer,
    input: &mut Buffer,
    mut out: Buffer,
    reader: &mut BodyReader,
    wire: Wire,
    mut via: Via<'_>,
    ctx: &mut RequestContext,
    target: &Target,
) -> Result<(), Outcome> {
    if !input.is_empty() || via.filtered.is_some() {
        let mut first_part = Buffer::take();
        transfer(reader, input, &mut first_part, wire, &mut via)?;
        out.extend_from_slice(&first_part);
    } else if reader.is_done() && wire == Wire::Chunked {
        end(reader, input, &mut out, wire, &mut via)?;
    }
    loop {
        send(downstream, timer, &out, ctx, target).await?;
        if via.is_done(reader) {
            return Ok(());
        }
        out.clear();
        // Without a descriptor for a pipe the bytes go through the buffer.
        if wire == Wire::Plain
            && via.is_direct()
            && reader.fixed_left().is_some_and(|left| left >= BULK_BYTES)
            && let (Some(from), Some(to)) = (upstream.as_tcp(), downstream.as_tcp())
            && let Ok(splicer) = Splicer::take()
        {
            let spliced = splice(from, to, watched, timer, reader, ctx, target, splicer);
            Box::pin(spliced).await?;
            continue;
        }
        if via.encoder.is_some() {
            // What is at hand is compressed together; before a wait everything leaves.
            match at_hand(upstream.receive(input)).await {
                Some(Ok(1..)) => {
                    transfer(reader, input, &mut out, wire, &mut via)?;
                    continue;
                }
                Some(Ok(0)) if reader.end() => {
                    end(reader, input, &mut out, wire, &mut via)?;
                    continue;
                }
                Some(Ok(0) | Err(_)) => return Err(Outcome::UpstreamAborted),
                None => {
                    if let Some(encoder) = &mut via.encoder {
                        let flushed = flush_encoded(encoder, &mut out, wire);
                        flushed.map_err(|_| Outcome::UpstreamAborted)?;
                    }
                    send(downstream, timer, &out, ctx, target).await?;
                    out.clear();
                }
            }
        }
        timer.set(target.timeouts.response);
        let read = unless_gone(watched, upstream.receive(input));
        match timer.within(read).await {
            Ok(Some(Ok(0))) if reader.end() => end(reader, input, &mut out, wire, &mut via)?,
            Ok(Some(Ok(0) | Err(_))) => return Err(Outcome::UpstreamAborted),
            Ok(Some(Ok(_))) => transfer(reader, input, &mut out, wire, &mut via)?,
            // Nobody is there to take what the upstream may send in an hour.
            Ok(None) => return Err(Outcome::DownstreamAborted),
            Err(_) => return Err(Outcome::UpstreamStalled),
        }
    }
}

/// What is ready now, or none. Polls with the waker of the task, which a transport may keep for its other direction.
async fn at_hand<T>(work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    std::future::poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

fn transfer(
    reader: &mut BodyReader,
    input: &mut Buffer,
    out: &mut Buffer,
    wire: Wire,
    via: &mut Via<'_>,
) -> Result<(), Outcome> {
    if let Some(filtered) = &mut via.filtered {
        let advanced = filtered.advance(reader, input);
        advanced.map_err(Trouble::outcome)?;
        let emitted = filtered.emit(out, wire, via.encoder.as_deref_mut());
        return emitted.map_err(Trouble::outcome);
    }
    let moved = match &mut via.encoder {
        Some(encoder) => reader.transfer_encoded(input, out, wire, encoder),
        None => reader.transfer(input, out, wire).map(|_| ()),
    };
    moved.map_err(|_| Outcome::UpstreamAborted)
}

fn end(
    reader: &mut BodyReader,
    input: &mut Buffer,
    out: &mut Buffer,
    wire: Wire,
    via: &mut Via<'_>,
) -> Result<(), Outcome> {
    if via.filtered.is_some() {
        return transfer(reader, input, out, wire, via);
    }
    match &mut via.encoder {
        Some(encoder) => finish_encoded(encoder, out, wire).map_err(|_| Outcome::UpstreamAborted),
        None => {
            finish(out, wire);
            Ok(())
        }
    }
}

/// The bulk of a plain body of known length, without bringing it into user space.
#[expect(
    clippy::too_many_arguments,
    reason = "one straight loop over both sides"
)]
async fn splice(
    upstream: &TcpStream,
    downstream: &TcpStream,
    watched: &mut Option<&mut ReadHalf<'_>>,
    timer: &Timer,
    reader: &mut BodyReader,
    ctx: &mut RequestContext,
    target: &Target,
    mut splicer: Splicer,
) -> Result<(), Outcome> {
    while let Some(left) = reader.fixed_left() {
        timer.set(target.timeouts.response);
        let filled = unless_gone(watched, splicer.fill(upstream, left));
        let count = match timer.within(filled).await {
            Ok(Some(Ok(0) | Err(_))) => return Err(Outcome::UpstreamAborted),
            Ok(Some(Ok(count))) => count,
            Ok(None) => return Err(Outcome::DownstreamAborted),
            Err(_) => return Err(Outcome::UpstreamStalled),
        };
        timer.set(target.timeouts.downstream_idle);
        match timer.within(splicer.empty(downstream)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return Err(Outcome::DownstreamAborted),
        }
        reader.passed(count);
        ctx.exchange().connection.count_sent(count);
    }
    splicer.give_back();
    Ok(())
}
