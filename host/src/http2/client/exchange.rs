//! One request and its response on a stream: what each direction means to the other.

use super::collecting::Collecting;
use super::error::Failure;
use super::receiving::{Receiving, Switched};
use super::request::{Asked, Translated};
use super::response::NO_UPGRADE;
use super::sending::{self, Body};
use super::shared::{Extended, Lingering, Sender, Shared};
use crate::http::Scheme;
use bytes::Bytes;
use h2::{Reason, SendStream};
use std::fmt;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::ReadBuf;

/// A request and its response, as bytes of HTTP/1.1.
pub(super) struct Exchange {
    shared: Rc<Shared>,
    scheme: Scheme,
    sending: Sending,
    receiving: Receiving,
    asked: Asked,
}

/// How far the request is.
enum Sending {
    /// Its head is being written.
    Head(Box<Collecting>),
    /// Its head is complete, and can be sent once the peer has said whether it takes extended CONNECT.
    Waiting(Box<(Sender, Translated)>),
    /// Sent, but for `body`.
    Begun {
        stream: SendStream<Bytes>,
        body: Body,
    },
    /// An extended CONNECT that has no answer yet.
    Connecting { stream: SendStream<Bytes> },
    /// Never sent, and it will not be.
    Over,
}

impl Exchange {
    /// An exchange on a stream that has been counted with [`Shared::enter`].
    pub(super) fn new(shared: Rc<Shared>, sender: Sender, scheme: Scheme) -> Exchange {
        let collecting = Collecting::new(sender, shared.header_bytes_max);
        Exchange {
            shared,
            scheme,
            sending: Sending::Head(Box::new(collecting)),
            receiving: Receiving::new(),
            asked: Asked::default(),
        }
    }

    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize, Failure>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        match &mut self.sending {
            Sending::Head(_) => Poll::Ready(self.write_head(cx, bytes)),
            Sending::Begun { stream, body } => match ready!(body.poll_send(stream, cx, bytes)) {
                Err(failure) => Poll::Ready(Err(self.explain(failure, cx))),
                Ok(sent) => Poll::Ready(Ok(sent)),
            },
            Sending::Waiting(_) | Sending::Connecting { .. } => {
                Poll::Ready(Err(Failure::unfit("bytes before the upgrade was answered")))
            }
            Sending::Over => {
                let failure = self.receiving.failure().cloned();
                Poll::Ready(Err(failure.unwrap_or_else(Failure::unwanted)))
            }
        }
    }

    /// A write has failed; where that is because the stream has, the reason is on the other side.
    fn explain(&mut self, failure: Failure, cx: &mut Context<'_>) -> Failure {
        match self.poll_fill(cx) {
            Poll::Ready(Err(reason)) if failure.is_unwanted() => reason,
            _ => failure,
        }
    }

    /// Takes head bytes, and once they are complete, sends them and what came with them of the body, as far as there is room.
    fn write_head(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Result<usize, Failure> {
        let Sending::Head(collecting) = &mut self.sending else {
            return Ok(0);
        };
        let (taken, translated) = match collecting.collect(bytes, self.scheme) {
            Ok((taken, None)) => return Ok(taken),
            Ok((taken, Some(translated))) => (taken, translated),
            Err(failure) => return Err(self.give_up(failure)),
        };
        let sender = collecting.sender.clone();
        self.sending = Sending::Over;
        if translated.asked.upgrade.is_some() {
            self.sending = Sending::Waiting(Box::new((sender, translated)));
            self.connect(cx);
            return Ok(taken);
        }
        match self.send_request(sender, translated, &bytes[taken..]) {
            Ok(early) => Ok(taken + self.send_first(cx, &bytes[taken + early..])? + early),
            Err(failure) => Err(self.give_up(failure)),
        }
    }

    /// Sends the head; answers how much of `rest` has been taken for that.
    fn send_request(
        &mut self,
        sender: Sender,
        translated: Translated,
        rest: &[u8],
    ) -> Result<usize, Failure> {
        let mut body = Body::new(translated.body);
        let early = body.take_early(rest)?;
        let stream = self.begin(sender, translated, body.is_done())?;
        self.sending = Sending::Begun { stream, body };
        Ok(early)
    }

    /// What of the body came with the head and can go at once. The rest is written again, and then waits for room.
    fn send_first(&mut self, cx: &mut Context<'_>, rest: &[u8]) -> Result<usize, Failure> {
        let Sending::Begun { stream, body } = &mut self.sending else {
            return Ok(0);
        };
        body.finish_early(stream)?;
        if rest.is_empty() || body.is_done() {
            return Ok(0);
        }
        match body.poll_send(stream, cx, rest) {
            Poll::Ready(Err(failure)) => Err(self.explain(failure, cx)),
            Poll::Ready(sent) => sent,
            Poll::Pending => Ok(0),
        }
    }

    /// Sends the head of a request and expects its response.
    fn begin(
        &mut self,
        mut sender: Sender,
        translated: Translated,
        is_whole: bool,
    ) -> Result<SendStream<Bytes>, Failure> {
        self.shared.begin(&sender)?;
        let sent = sender.send_request(translated.request, is_whole);
        let (response, stream) = sent.map_err(|error| {
            self.shared.end();
            Failure::of_unsent(&error)
        })?;
        self.asked = translated.asked;
        self.receiving.begin(response);
        Ok(stream)
    }

    /// Sends a waiting extended CONNECT, if the peer takes it, or answers it here, if it does not.
    fn connect(&mut self, cx: &Context<'_>) {
        let Sending::Waiting(waiting) = &self.sending else {
            return;
        };
        let extended = self.shared.extended(&waiting.0, cx);
        if extended == Extended::Unknown {
            return;
        }
        let Sending::Waiting(waiting) = std::mem::replace(&mut self.sending, Sending::Over) else {
            return;
        };
        let (sender, translated) = *waiting;
        if extended == Extended::Refused {
            self.receiving.answer(NO_UPGRADE);
            return;
        }
        match self.begin(sender, translated, false) {
            Ok(stream) => self.sending = Sending::Connecting { stream },
            Err(failure) => self.receiving.fail(failure),
        }
    }

    /// The request cannot be sent.
    fn give_up(&mut self, failure: Failure) -> Failure {
        self.sending = Sending::Over;
        self.receiving.fail(failure.clone());
        failure
    }

    /// Makes something to read; ready with false at the end.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Failure>> {
        self.connect(cx);
        if self.receiving.waits_for_request(cx) {
            return Poll::Pending;
        }
        let mut switched = None;
        let filled = self.receiving.poll_fill(&self.asked, cx, &mut switched);
        if let Some(switched) = switched {
            self.switch(switched);
        }
        filled
    }

    /// An extended CONNECT has been answered.
    fn switch(&mut self, switched: Switched) {
        self.sending = match std::mem::replace(&mut self.sending, Sending::Over) {
            Sending::Connecting { mut stream } => {
                let body = match switched {
                    Switched::Tunnel => Body::Tunnel,
                    Switched::Refused => {
                        // Fails only where the peer has ended the stream: it knows, then.
                        let _ = sending::send(&mut stream, Bytes::new(), true);
                        Body::Done
                    }
                };
                Sending::Begun { stream, body }
            }
            other => other,
        };
    }

    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<Result<(), Failure>> {
        let before = into.filled().len();
        loop {
            self.receiving.give(into);
            if into.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            let given = into.filled().len() > before;
            match self.poll_fill(cx) {
                Poll::Ready(Ok(true)) => {}
                // A failure stays, and is met again by the next read.
                _ if given => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(false)) => return Poll::Ready(Ok(())),
                Poll::Ready(Err(failure)) => return Poll::Ready(Err(failure)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Ends the request: a tunnel in order. Half a request must not look like a whole one, so its stream is reset.
    pub(super) fn shut_down(&mut self) {
        match &mut self.sending {
            Sending::Begun { stream, body } => {
                match body {
                    Body::Done => {}
                    // Fails only where the peer has reset the stream: it knows, then.
                    Body::Tunnel => drop(sending::send(stream, Bytes::new(), true)),
                    Body::Fixed(_) | Body::Chunked(_) => stream.send_reset(Reason::CANCEL),
                }
                *body = Body::Done;
            }
            Sending::Connecting { stream } => stream.send_reset(Reason::CANCEL),
            Sending::Head(_) | Sending::Waiting(_) => {
                self.give_up(Failure::unwanted());
            }
            Sending::Over => {}
        }
    }

    /// Whether another exchange's bytes may be written here: none has been.
    pub(super) fn is_usable(&self) -> bool {
        self.is_fresh() && self.shared.is_usable()
    }

    /// Whether the peer will send nothing more, as far as is known.
    pub(super) fn is_answered(&self) -> bool {
        self.receiving.is_ended()
    }

    fn is_fresh(&self) -> bool {
        matches!(&self.sending, Sending::Head(collecting) if collecting.is_fresh())
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let sending = std::mem::replace(&mut self.sending, Sending::Over);
        let receiving = std::mem::replace(&mut self.receiving, Receiving::new());
        if let Sending::Begun { stream, body } = sending {
            end(&self.shared, stream, body.is_done(), receiving);
        } else if let Sending::Connecting { stream } = sending {
            end(&self.shared, stream, false, receiving);
        }
        self.shared.leave();
    }
}

/// Ends a begun stream: nothing to say when both halves have ended in order; else a reset, unless all that is missing is the peer's END_STREAM.
fn end(shared: &Shared, mut stream: SendStream<Bytes>, is_sent: bool, receiving: Receiving) {
    if is_sent && receiving.has_end() {
        return shared.end();
    }
    match receiving.into_complete().filter(|_| is_sent) {
        Some(receive) => shared.linger(Lingering {
            send: stream,
            receive,
        }),
        None => {
            stream.send_reset(Reason::CANCEL);
            shared.end();
        }
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Exchange")
            .field("asked", &self.asked)
            .field("receiving", &self.receiving)
            .finish_non_exhaustive()
    }
}
