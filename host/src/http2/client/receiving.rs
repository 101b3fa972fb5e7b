//! A response on its way in: frames off, HTTP/1.1 text on.

use super::error::Failure;
use super::request::Asked;
use super::response::{self, Framing};
use crate::http::encode_chunk_head;
use ::http::{HeaderMap, Response};
use bytes::{Buf, Bytes};
use h2::RecvStream;
use h2::client::ResponseFuture;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use tokio::io::ReadBuf;

/// Text that a stream keeps room for between two chunks; a head is given back.
const KEPT_TEXT_BYTES: usize = 64;

/// A response and how far it has been read.
#[derive(Debug)]
pub(super) struct Receiving {
    source: Source,
    /// Text that was made and not read yet, from `text_read` on. Bounded by one head or trailer section, or the line around one chunk.
    text: Vec<u8>,
    text_read: usize,
    /// What is left of the last DATA frame; it comes behind the text, and CR LF behind it if the body is chunked.
    data: Bytes,
    framing: Framing,
    body: Option<RecvStream>,
    failure: Option<Failure>,
    /// Who waits for the request to be sent.
    waiting: Option<Waker>,
    /// Something of a response has come.
    answered: bool,
}

/// Where the next text comes from.
#[derive(Debug)]
enum Source {
    /// The request has not been sent.
    Unsent,
    Head(Box<ResponseFuture>),
    Body,
    /// There is nothing more to read.
    Ended,
}

/// What a final head means to the other direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Switched {
    /// Bytes may flow.
    Tunnel,
    /// An ordinary response, though an upgrade was asked for.
    Refused,
}

impl Receiving {
    pub(super) fn new() -> Receiving {
        Receiving {
            source: Source::Unsent,
            text: Vec::new(),
            text_read: 0,
            data: Bytes::new(),
            framing: Framing::None,
            body: None,
            failure: None,
            waiting: None,
            answered: false,
        }
    }

    /// The request was sent.
    pub(super) fn begin(&mut self, response: ResponseFuture) {
        self.source = Source::Head(Box::new(response));
        self.wake();
    }

    /// The request is answered here, and not sent.
    pub(super) fn answer(&mut self, text: &'static [u8]) {
        self.text.extend_from_slice(text);
        self.source = Source::Ended;
        self.wake();
    }

    /// Every read fails from now on, once what is there has been read.
    pub(super) fn fail(&mut self, failure: Failure) {
        self.source = Source::Ended;
        self.failure.get_or_insert(failure);
        self.wake();
    }

    pub(super) fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    /// Whether the request is still to be sent; if so, `cx` is woken when that has been done.
    pub(super) fn waits_for_request(&mut self, cx: &Context<'_>) -> bool {
        let is_unsent = matches!(self.source, Source::Unsent);
        if is_unsent {
            self.waiting = Some(cx.waker().clone());
        }
        is_unsent
    }

    /// Whether a read would give bytes at once.
    pub(super) fn has_bytes(&self) -> bool {
        self.text_read < self.text.len() || !self.data.is_empty()
    }

    /// Whether nothing more will come, as far as is known.
    pub(super) fn is_ended(&self) -> bool {
        matches!(self.source, Source::Ended) || self.has_end()
    }

    /// Whether the peer has ended its half in order and nothing of it is left in the stream.
    pub(super) fn has_end(&self) -> bool {
        self.body.as_ref().is_some_and(RecvStream::is_end_stream)
    }

    /// The stream of a response that was read to its end, though the peer has not said END_STREAM yet.
    pub(super) fn into_complete(self) -> Option<RecvStream> {
        let is_complete = matches!(self.source, Source::Ended)
            && self.failure.is_none()
            && self.data.is_empty()
            && matches!(self.framing, Framing::None | Framing::Fixed(0));
        self.body.filter(|_| is_complete)
    }

    /// Moves what is there to `into`. Room in the windows is given back as bytes leave.
    pub(super) fn give(&mut self, into: &mut ReadBuf<'_>) {
        while into.remaining() > 0 && self.has_bytes() {
            if self.text_read < self.text.len() {
                self.give_text(into);
            } else {
                self.give_data(into);
            }
        }
    }

    fn give_text(&mut self, into: &mut ReadBuf<'_>) {
        let text = &self.text[self.text_read..];
        let count = text.len().min(into.remaining());
        into.put_slice(&text[..count]);
        self.text_read += count;
        if self.text_read == self.text.len() {
            self.text_read = 0;
            self.text.clear();
            self.text.shrink_to(KEPT_TEXT_BYTES);
        }
    }

    fn give_data(&mut self, into: &mut ReadBuf<'_>) {
        let count = self.data.len().min(into.remaining());
        into.put_slice(&self.data[..count]);
        self.data.advance(count);
        if let Some(body) = &mut self.body {
            // Fails only for more than was received.
            let _ = body.flow_control().release_capacity(count);
        }
        if self.data.is_empty() && self.framing == Framing::Chunked {
            self.text.extend_from_slice(b"\r\n");
        }
    }

    /// Makes something to read: ready with false at the end. The caller has seen to it that the request is sent. `switched` is told of a
    /// final head where an upgrade was asked for.
    pub(super) fn poll_fill(
        &mut self,
        asked: &Asked,
        cx: &mut Context<'_>,
        switched: &mut Option<Switched>,
    ) -> Poll<Result<bool, Failure>> {
        if self.has_bytes() {
            return Poll::Ready(Ok(true));
        }
        if let Some(failure) = &self.failure {
            return Poll::Ready(Err(failure.clone()));
        }
        let filled = match self.source {
            Source::Unsent => return Poll::Pending,
            Source::Head(_) => ready!(self.poll_head(asked, cx, switched)),
            Source::Body => ready!(self.poll_body(cx)),
            Source::Ended => Ok(()),
        };
        if let Err(failure) = filled {
            // A head that could not be written to its end must not be read.
            self.text.clear();
            self.fail(failure.clone());
            return Poll::Ready(Err(failure));
        }
        Poll::Ready(Ok(self.has_bytes()))
    }

    fn poll_head(
        &mut self,
        asked: &Asked,
        cx: &mut Context<'_>,
        switched: &mut Option<Switched>,
    ) -> Poll<Result<(), Failure>> {
        let Source::Head(response) = &mut self.source else {
            return Poll::Ready(Ok(()));
        };
        let of_sent = |answered| move |error: h2::Error| Failure::of_sent(&error, answered);
        if let Some(interim) = ready!(response.poll_informational(cx)) {
            let (head, ()) = interim.map_err(of_sent(self.answered))?.into_parts();
            self.answered = true;
            let written = response::write_interim(head.status, &head.headers, &mut self.text);
            return Poll::Ready(written);
        }
        let response = ready!(Pin::new(response).poll(cx)).map_err(of_sent(self.answered))?;
        Poll::Ready(self.begin_body(response, asked, switched))
    }

    /// The final head has come.
    fn begin_body(
        &mut self,
        response: Response<RecvStream>,
        asked: &Asked,
        switched: &mut Option<Switched>,
    ) -> Result<(), Failure> {
        let (head, body) = response.into_parts();
        let has_ended = body.is_end_stream();
        self.answered = true;
        self.body = Some(body);
        self.source = Source::Body;
        if let Some(upgrade) = &asked.upgrade {
            if head.status.is_success() {
                *switched = Some(Switched::Tunnel);
                self.framing = Framing::Tunnel;
                return response::write_switch(&head.headers, upgrade, &mut self.text);
            }
            *switched = Some(Switched::Refused);
        }
        self.framing = response::write_final(&head, asked.is_head, &mut self.text)?;
        match self.framing {
            Framing::None | Framing::Fixed(0) => self.source = Source::Ended,
            // Head and end together are what a gRPC error is; they are read together too.
            Framing::Chunked if has_ended => self.end(None)?,
            Framing::Fixed(_) | Framing::Chunked | Framing::Tunnel => {}
        }
        Ok(())
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(Ok(()));
        };
        let of_sent = |error: h2::Error| Failure::of_sent(&error, true);
        while let Some(data) = ready!(body.poll_data(cx)) {
            let data = data.map_err(of_sent)?;
            if !data.is_empty() {
                return Poll::Ready(self.take_data(data));
            }
        }
        let trailers = ready!(body.poll_trailers(cx)).map_err(of_sent)?;
        Poll::Ready(self.end(trailers.as_ref()))
    }

    fn take_data(&mut self, data: Bytes) -> Result<(), Failure> {
        match &mut self.framing {
            Framing::Fixed(left) => {
                // `h2` has compared them too.
                let rest = left.checked_sub(data.len() as u64);
                *left = rest.ok_or_else(|| Failure::invalid("more data than announced"))?;
                if *left == 0 {
                    self.source = Source::Ended;
                }
            }
            Framing::Chunked => encode_chunk_head(data.len(), &mut self.text),
            Framing::Tunnel | Framing::None => {}
        }
        self.data = data;
        Ok(())
    }

    /// The peer has ended the stream in order. Trailers go with a chunked body only: nothing else can carry them.
    fn end(&mut self, trailers: Option<&HeaderMap>) -> Result<(), Failure> {
        self.source = Source::Ended;
        match self.framing {
            Framing::Chunked => response::write_end(trailers, &mut self.text),
            Framing::Fixed(1..) => Err(Failure::cut()),
            Framing::Fixed(0) | Framing::None | Framing::Tunnel => Ok(()),
        }
    }

    fn wake(&mut self) {
        if let Some(waiting) = self.waiting.take() {
            waiting.wake();
        }
    }
}
