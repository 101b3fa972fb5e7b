//! Bodies that filters see: taken out of their framing, handed through the chain, framed anew; held back where a filter wants them whole.

use super::attempt::Target;
use super::body::{BodyReader, Wire, encode_part};
use super::connection::Connection;
use super::context::RequestContext;
use super::outcome::{Outcome, Stop};
use super::request_body::RequestBody;
use super::response::unless_gone;
use crate::compress::{Encoder, describes_bytes};
use crate::filter::{BodyChain, BodyHalt};
use crate::http::{BodyLength, Exchange, Fields, LAST_CHUNK, Version, encode_last_chunk};
use crate::net::buffer::Buffer;
use crate::net::stream::ReadHalf;
use crate::net::timer::Timer;
use crate::plugin::Reply;

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A body with the filters that see it.
#[derive(Debug)]
pub(super) struct Filtered {
    chain: Box<BodyChain>,
    /// What has come through, and is not yet sent on.
    made: Vec<u8>,
    /// The last part has come through.
    is_ended: bool,
    /// All of it was sent on.
    is_out: bool,
    /// Its length, where all of it was there before the head went out.
    length: Option<u64>,
    trailers: Option<Fields>,
}

/// Why it goes no further.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The framing is broken.
    Framing,
    Halt(BodyHalt),
}

impl Filtered {
    fn new(chain: Box<BodyChain>) -> Filtered {
        Filtered {
            chain,
            made: Vec::new(),
            is_ended: false,
            is_out: false,
            length: None,
            trailers: None,
        }
    }

    /// How it goes out.
    pub(super) fn length(&self) -> BodyLength {
        self.length.map_or(BodyLength::Chunked, BodyLength::Fixed)
    }

    /// Whether all of it has been handed on by [`Filtered::emit`].
    pub(super) fn is_out(&self) -> bool {
        self.is_out
    }

    /// Hands what `input` holds of the body through the filters. Answers the bytes that were taken.
    pub(super) fn advance(
        &mut self,
        reader: &mut BodyReader,
        input: &mut Buffer,
    ) -> Result<u64, Trouble> {
        if self.is_ended {
            return Ok(0);
        }
        let mut plain = Buffer::take();
        let (count, ended) = reader
            .take_plain(input, &mut plain)
            .map_err(|_| Trouble::Framing)?;
        let last = reader.is_done();
        if plain.is_empty() && !last {
            return Ok(count);
        }
        self.chain
            .pass(&plain, last, &mut self.made)
            .map_err(Trouble::Halt)?;
        self.is_ended = last;
        if let Some(decoder) = ended
            && !decoder.trailers().is_empty()
        {
            let trailers = decoder.trailers();
            let passed = self.chain.pass_trailers(trailers).map_err(Trouble::Halt)?;
            self.trailers = Some(passed.unwrap_or_else(|| without_digests(trailers)));
        }
        Ok(count)
    }

    /// Appends to `out` what has come through.
    pub(super) fn emit(
        &mut self,
        out: &mut Buffer,
        wire: Wire,
        encoder: Option<&mut Encoder>,
    ) -> Result<(), Trouble> {
        if self.is_out {
            return Ok(());
        }
        encode_part(&self.made, self.is_ended, encoder, out, wire).map_err(|_| Trouble::Framing)?;
        self.made.clear();
        if self.is_ended {
            self.is_out = true;
            if wire == Wire::Chunked {
                match &self.trailers {
                    Some(trailers) => encode_last_chunk(trailers, out),
                    None => out.extend_from_slice(LAST_CHUNK),
                }
            }
        }
        Ok(())
    }

    fn holds(&self) -> bool {
        !self.is_ended && self.chain.holds()
    }

    /// The head may go now: with what was made of it by filters that have the body whole.
    fn release(&mut self, exchange: &mut Exchange) -> Result<(), BodyHalt> {
        let is_whole = self.is_ended && self.trailers.is_none();
        self.length = is_whole.then_some(self.made.len() as u64);
        self.chain.edit_head(exchange)
    }
}

/// Digests are not true of what filters have made.
fn without_digests(trailers: &Fields) -> Fields {
    let mut kept = Fields::new();
    for (name, value) in trailers.iter() {
        if !describes_bytes(name) {
            // Refused is only what grows too large, which a part of them does not.
            let _ = kept.append(name, value);
        }
    }
    kept
}

impl Trouble {
    /// Of a request; a reply is kept in `reply`.
    pub(super) fn stop(self, reply: &mut Option<Reply>) -> Stop {
        match self {
            Trouble::Framing => Stop::BadBody,
            Trouble::Halt(halt) => stop(halt, reply),
        }
    }

    /// Of a response that has begun.
    pub(super) fn outcome(self) -> Outcome {
        match self {
            Trouble::Framing => Outcome::UpstreamAborted,
            Trouble::Halt(BodyHalt::Reply(_) | BodyHalt::Fault) => {
                Outcome::Stopped(Stop::FilterFault)
            }
            Trouble::Halt(BodyHalt::Close) => Outcome::Stopped(Stop::FilterClose),
            Trouble::Halt(BodyHalt::Refused) => Outcome::Stopped(Stop::ResponseRefused),
        }
    }
}

fn stop(halt: BodyHalt, reply: &mut Option<Reply>) -> Stop {
    match halt {
        BodyHalt::Reply(answer) => {
            let status = answer.status;
            *reply = Some(answer);
            Stop::FilterReply { status }
        }
        BodyHalt::Close => Stop::FilterClose,
        BodyHalt::Fault => Stop::FilterFault,
        BodyHalt::Refused => Stop::BodyTooLarge,
    }
}

/// Puts the filters that asked for it into the way of a request body, and waits for all of it where one of them wants it whole.
pub(super) async fn prepare_request(
    connection: &mut Connection,
    input: &mut Buffer,
    body: &mut RequestBody,
    ctx: &mut RequestContext,
    target: &Target,
) -> Result<(), Stop> {
    if matches!(body.length(), BodyLength::None | BodyLength::Fixed(0)) {
        return Ok(());
    }
    let (run, exchange) = ctx.run_and_exchange();
    let chain = target.route.filters.request_body(run, exchange);
    let Some(chain) = chain.map_err(|halt| stop(halt, &mut body.reply))? else {
        return Ok(());
    };
    let fields = exchange.request.fields_mut();
    let wrong: Vec<Vec<u8>> = fields
        .names()
        .filter(|name| describes_bytes(name))
        .map(<[u8]>::to_vec)
        .collect();
    wrong.iter().for_each(|name| {
        fields.remove(name);
    });
    if let (BodyLength::Fixed(length), Some(most)) = (body.length(), chain.held_bytes_max())
        && length > most
    {
        return Err(Stop::BodyTooLarge);
    }
    let mut filtered = Filtered::new(chain);
    if filtered.holds() {
        hold_request(connection, input, body, &mut filtered, ctx).await?;
        let released = filtered.release(ctx.exchange_mut());
        released.map_err(|halt| stop(halt, &mut body.reply))?;
    }
    body.filtered = Some(Box::new(filtered));
    Ok(())
}

async fn hold_request(
    connection: &mut Connection,
    input: &mut Buffer,
    body: &mut RequestBody,
    filtered: &mut Filtered,
    ctx: &mut RequestContext,
) -> Result<(), Stop> {
    let request = &mut ctx.exchange_mut().request;
    let mut waits_for_leave = request.version() == Version::Http11
        && request
            .fields()
            .get(b"expect")
            .is_some_and(|value| value.eq_ignore_ascii_case(b"100-continue"));
    if waits_for_leave {
        // Told here, so the endpoint need not be asked.
        request.fields_mut().remove(b"expect");
    }
    loop {
        body.advance_filtered(filtered, input)?;
        if !filtered.holds() {
            return Ok(());
        }
        connection.timer().set(body.timeout);
        let timer = connection.register.timer();
        if std::mem::take(&mut waits_for_leave) {
            match timer.within(connection.stream.send(CONTINUE)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return Err(Stop::DownstreamAborted),
            }
        }
        match timer.within(connection.stream.receive(input)).await {
            Ok(Ok(0) | Err(_)) => return Err(Stop::DownstreamAborted),
            Ok(Ok(count)) => connection.count_received(count),
            Err(_) => return Err(Stop::BodyTimeout),
        }
    }
}

/// What stands in the way of a held response.
#[derive(Debug)]
pub(super) enum Unheld {
    /// A filter's doing.
    Halt(BodyHalt),
    /// The upstream broke off, or sent what is no body.
    Upstream(Stop),
    DownstreamGone,
}

/// Puts the filters that asked for it into the way of a response body, and waits for all of it where one of them wants it whole.
pub(super) async fn prepare_response(
    upstream: &mut ReadHalf<'_>,
    watched: &mut Option<&mut ReadHalf<'_>>,
    timer: &Timer,
    input: &mut Buffer,
    reader: &mut BodyReader,
    ctx: &mut RequestContext,
    target: &Target,
) -> Result<Option<Filtered>, Unheld> {
    if reader.is_done() || ctx.exchange().request.method() == "HEAD" {
        return Ok(None);
    }
    let length = ctx.exchange().response.body();
    let (run, exchange) = ctx.run_and_exchange();
    let chain = target.route.filters.response_body(run, exchange);
    let Some(chain) = chain.map_err(Unheld::Halt)? else {
        return Ok(None);
    };
    if let (BodyLength::Fixed(length), Some(most)) = (length, chain.held_bytes_max())
        && length > most
    {
        return Err(Unheld::Halt(BodyHalt::Refused));
    }
    let mut filtered = Filtered::new(chain);
    if !filtered.holds() {
        return Ok(Some(filtered));
    }
    loop {
        match filtered.advance(reader, input) {
            Ok(_) => {}
            Err(Trouble::Halt(halt)) => return Err(Unheld::Halt(halt)),
            Err(Trouble::Framing) => return Err(Unheld::Upstream(Stop::UpstreamInvalid)),
        }
        if !filtered.holds() {
            break;
        }
        timer.set(target.timeouts.response);
        let read = unless_gone(watched, upstream.receive(input));
        match timer.within(read).await {
            Ok(Some(Ok(0))) if reader.end() => {}
            Ok(Some(Ok(0) | Err(_))) => return Err(Unheld::Upstream(Stop::UpstreamReset)),
            Ok(Some(Ok(_))) => {}
            Ok(None) => return Err(Unheld::DownstreamGone),
            Err(_) => return Err(Unheld::Upstream(Stop::ResponseTimeout)),
        }
    }
    filtered.release(ctx.exchange_mut()).map_err(Unheld::Halt)?;
    Ok(Some(filtered))
}
