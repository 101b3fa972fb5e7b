//! A request body on its way out: HTTP/1.1 framing off, DATA frames under flow control on.

use super::error::Failure;
use super::request;
use crate::http::{BodyLength, ChunkedDecoder};
use bytes::{Bytes, BytesMut};
use h2::SendStream;
use std::task::{Context, Poll, ready};

/// What is still to come of a request.
#[derive(Debug)]
pub(super) enum Body {
    /// Bytes as they are.
    Fixed(u64),
    Chunked(Box<Chunked>),
    /// Bytes as they are, until the stream is shut down.
    Tunnel,
    /// The peer has been told the end.
    Done,
}

/// A chunked body. Data is decoded only as far as there is room to send it, but for one byte: what stands between two runs of data, and
/// above all the end, must be read without room, since a peer that has got everything it has room for owes us none.
#[derive(Debug, Default)]
pub(super) struct Chunked {
    decoder: ChunkedDecoder,
    held: Option<u8>,
}

impl Body {
    pub(super) fn new(length: BodyLength) -> Body {
        match length {
            BodyLength::None | BodyLength::UntilClose | BodyLength::Fixed(0) => Body::Done,
            BodyLength::Fixed(length) => Body::Fixed(length),
            BodyLength::Chunked => Body::Chunked(Box::default()),
        }
    }

    pub(super) fn is_done(&self) -> bool {
        matches!(self, Body::Done)
    }

    /// Takes from `bytes`, which came with the head, what can be had before the head is sent, and answers how much that was. If that was the
    /// end of an empty body, the body is done, and the head may say so.
    pub(super) fn take_early(&mut self, bytes: &[u8]) -> Result<usize, Failure> {
        let Body::Chunked(chunked) = self else {
            return Ok(0);
        };
        let taken = chunked.pass_framing(bytes)?;
        if chunked.decoder.is_done() && chunked.decoder.trailers().is_empty() {
            *self = Body::Done;
        }
        Ok(taken)
    }

    /// Sends what there is room for and answers how much of `bytes` that was; pending when it is nothing.
    pub(super) fn poll_send(
        &mut self,
        stream: &mut SendStream<Bytes>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize, Failure>> {
        match self {
            Body::Done => Poll::Ready(Err(Failure::unfit("bytes behind the end of the request"))),
            Body::Tunnel => {
                let room = ready!(poll_room(stream, cx, bytes.len()))?;
                let sent = send(stream, Bytes::copy_from_slice(&bytes[..room]), false);
                Poll::Ready(sent.map(|()| room))
            }
            Body::Fixed(left) => {
                let wanted = usize::try_from(*left).unwrap_or(usize::MAX);
                let room = ready!(poll_room(stream, cx, wanted.min(bytes.len())))?;
                *left -= room as u64;
                let is_last = *left == 0;
                if is_last {
                    *self = Body::Done;
                }
                let sent = send(stream, Bytes::copy_from_slice(&bytes[..room]), is_last);
                Poll::Ready(sent.map(|()| room))
            }
            Body::Chunked(chunked) => {
                let sent = chunked.poll_send(stream, cx, bytes);
                if chunked.is_done() {
                    *self = Body::Done;
                }
                sent
            }
        }
    }

    /// Sends what needs no room: the trailers of a body that ended, empty, together with its head.
    pub(super) fn finish_early(&mut self, stream: &mut SendStream<Bytes>) -> Result<(), Failure> {
        if let Body::Chunked(chunked) = self
            && chunked.is_done()
        {
            chunked.finish(stream)?;
            *self = Body::Done;
        }
        Ok(())
    }
}

impl Chunked {
    fn is_done(&self) -> bool {
        self.decoder.is_done() && self.held.is_none()
    }

    fn poll_send(
        &mut self,
        stream: &mut SendStream<Bytes>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize, Failure>> {
        let mut taken = 0;
        while taken < bytes.len() && !self.is_done() {
            taken += self.pass_framing(&bytes[taken..])?;
            if self.is_done() {
                self.finish(stream)?;
            } else if self.held.is_some() {
                let wanted = 1 + bytes.len() - taken;
                match poll_room(stream, cx, wanted) {
                    Poll::Ready(room) => taken += self.send_run(stream, &bytes[taken..], room?)?,
                    Poll::Pending if taken > 0 => break,
                    Poll::Pending => return Poll::Pending,
                }
            }
        }
        Poll::Ready(Ok(taken))
    }

    /// Reads up to the next byte of data, which is then held, or to the end of the body; answers how far that was.
    fn pass_framing(&mut self, bytes: &[u8]) -> Result<usize, Failure> {
        let mut taken = 0;
        while taken < bytes.len() && self.held.is_none() && !self.decoder.is_done() {
            let piece = &bytes[taken..=taken];
            let step = self.decoder.decode(piece).map_err(unfit)?;
            taken += step.consumed;
            self.held = piece[step.data].first().copied();
        }
        Ok(taken)
    }

    /// Sends the held byte and what follows it, `room` bytes at most; answers how much of `bytes` that was.
    fn send_run(
        &mut self,
        stream: &mut SendStream<Bytes>,
        bytes: &[u8],
        room: usize,
    ) -> Result<usize, Failure> {
        let mut data = BytesMut::with_capacity(room);
        data.extend(self.held.take());
        let mut taken = 0;
        while taken < bytes.len() && data.len() < room && !self.decoder.is_done() {
            let most = bytes.len().min(taken + room - data.len());
            let piece = &bytes[taken..most];
            let step = self.decoder.decode(piece).map_err(unfit)?;
            taken += step.consumed;
            data.extend_from_slice(&piece[step.data]);
        }
        let ended = self.decoder.is_done();
        let ends_with_data = ended && self.decoder.trailers().is_empty();
        send(stream, data.freeze(), ends_with_data)?;
        if ended && !ends_with_data {
            self.finish(stream)?;
        }
        Ok(taken)
    }

    /// Tells the peer that the body has ended.
    fn finish(&mut self, stream: &mut SendStream<Bytes>) -> Result<(), Failure> {
        let trailers = self.decoder.trailers();
        if trailers.is_empty() {
            return send(stream, Bytes::new(), true);
        }
        let trailers = request::trailers(trailers)?;
        stream
            .send_trailers(trailers)
            .map_err(|_| Failure::unwanted())
    }
}

/// How many bytes may be sent now, at most `wanted` and at least one. Room is what the peer's windows and [`super::SEND_BUFFER_BYTES`] leave.
fn poll_room(
    stream: &mut SendStream<Bytes>,
    cx: &mut Context<'_>,
    wanted: usize,
) -> Poll<Result<usize, Failure>> {
    stream.reserve_capacity(wanted.min(super::SEND_BUFFER_BYTES));
    loop {
        let room = stream.capacity().min(wanted);
        if room > 0 {
            return Poll::Ready(Ok(room));
        }
        match ready!(stream.poll_capacity(cx)) {
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return Poll::Ready(Err(Failure::unwanted())),
        }
    }
}

/// Sends bytes that there is room for, or none.
pub(super) fn send(
    stream: &mut SendStream<Bytes>,
    bytes: Bytes,
    is_last: bool,
) -> Result<(), Failure> {
    stream
        .send_data(bytes, is_last)
        .map_err(|_| Failure::unwanted())
}

fn unfit(bad: crate::http::BadChunk) -> Failure {
    Failure::unfit(bad.reason)
}
