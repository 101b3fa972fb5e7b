//! A body written as HTTP/1.1 text, sent as DATA and trailers.

use super::gone;
use crate::http::{BodyLength, ChunkedDecoder};
use crate::http2::head::header_map;
use ::http::HeaderMap;
use bytes::{Bytes, BytesMut};
use h2::{Reason, SendStream};
use std::io;
use std::task::{Context, Poll, ready};

/// What is taken of one write. With what h2 holds back itself, that is what a stream can hold for a peer that does not read.
const WRITE_BYTES_MAX: usize = 16 * 1024;

/// The sending half of a stream behind its head.
///
/// h2 is given data only as far as the peer and its own buffer have room; the rest of a write is held here, and goes with the next write or
/// flush. The end of a body needs no room, so it is not held back from a peer that has room for nothing else.
#[derive(Debug)]
pub(in crate::http2) struct Outgoing {
    stream: SendStream<Bytes>,
    body: Body,
    held: Bytes,
    end: End,
}

#[derive(Debug)]
enum Body {
    Done,
    /// Bytes still to come.
    Fixed(u64),
    Chunked(Box<ChunkedDecoder>),
    /// Everything until [`Outgoing::poll_finish`].
    UntilClose,
}

/// What is to follow the held data.
#[derive(Debug)]
enum End {
    /// More of the body.
    Open,
    Now,
    Trailers(HeaderMap),
    Sent,
}

impl Outgoing {
    /// Behind a head that has ended the stream when `length` is none or zero.
    pub(in crate::http2) fn new(stream: SendStream<Bytes>, length: BodyLength) -> Outgoing {
        let (body, end) = match length {
            BodyLength::None | BodyLength::Fixed(0) => (Body::Done, End::Sent),
            BodyLength::Fixed(length) => (Body::Fixed(length), End::Open),
            BodyLength::Chunked => (Body::Chunked(Box::default()), End::Open),
            BodyLength::UntilClose => (Body::UntilClose, End::Open),
        };
        Outgoing {
            stream,
            body,
            held: Bytes::new(),
            end,
        }
    }

    /// Whether the stream was ended as it should be.
    pub(in crate::http2) fn is_done(&self) -> bool {
        matches!(self.end, End::Sent)
    }

    /// As `AsyncWrite::poll_write`: takes nothing while something is held.
    ///
    /// # Errors
    /// `ConnectionReset` when either side has reset the stream, `InvalidData` for broken chunks or bytes behind the end.
    pub(in crate::http2) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        if matches!(self.body, Body::Done) {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        ready!(self.poll_flush(cx))?;
        let taken = self.take(&bytes[..bytes.len().min(WRITE_BYTES_MAX)])?;
        match self.poll_flush(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(taken)),
        }
    }

    /// As `AsyncWrite::poll_flush`: ready once nothing is held.
    ///
    /// # Errors
    /// `ConnectionReset` when either side has reset the stream.
    pub(in crate::http2) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.held.is_empty() {
            let room = ready!(self.poll_room(cx))?;
            let data = self.held.split_to(room.min(self.held.len()));
            let ends = self.held.is_empty() && matches!(self.end, End::Now);
            if ends {
                self.end = End::Sent;
            }
            self.stream.send_data(data, ends).map_err(gone)?;
        }
        let sent = match std::mem::replace(&mut self.end, End::Sent) {
            End::Open => {
                self.end = End::Open;
                Ok(())
            }
            End::Now => self.stream.send_data(Bytes::new(), true),
            End::Trailers(trailers) => self.stream.send_trailers(trailers),
            End::Sent => Ok(()),
        };
        Poll::Ready(sent.map_err(gone))
    }

    /// As `AsyncWrite::poll_shutdown`: flushes, and ends a body that ends with its connection.
    ///
    /// # Errors
    /// As [`Outgoing::poll_flush`].
    pub(in crate::http2) fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if matches!(self.body, Body::UntilClose) {
            self.body = Body::Done;
            self.end = End::Now;
        }
        self.poll_flush(cx)
    }

    /// Ready once the stream was reset, by either side, or its connection failed. Registers in the place of a write.
    pub(in crate::http2) fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.stream.poll_reset(cx).map(|_| ())
    }

    /// Resets the stream; what was not sent yet is dropped. Nothing happens to one that has ended.
    pub(in crate::http2) fn reset(&mut self, reason: Reason) {
        self.stream.send_reset(reason);
    }

    /// How much of the held data h2 takes now.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.stream.reserve_capacity(self.held.len());
        loop {
            let room = self.stream.capacity();
            if room > 0 {
                return Poll::Ready(Ok(room));
            }
            match ready!(self.stream.poll_capacity(cx)) {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(gone(error))),
                None => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            }
        }
    }

    /// Takes bytes off the text while nothing is held.
    fn take(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.body {
            Body::Done => Ok(0),
            Body::UntilClose => {
                self.held = Bytes::copy_from_slice(bytes);
                Ok(bytes.len())
            }
            Body::Fixed(left) => {
                let count = usize::try_from(*left)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                *left -= count as u64;
                if *left == 0 {
                    self.body = Body::Done;
                    self.end = End::Now;
                }
                self.held = Bytes::copy_from_slice(&bytes[..count]);
                Ok(count)
            }
            Body::Chunked(decoder) => {
                let (data, taken) = decode(decoder, bytes)?;
                if decoder.is_done() {
                    let trailers = header_map(decoder.trailers(), |_| false)?;
                    self.body = Body::Done;
                    self.end = if trailers.is_empty() {
                        End::Now
                    } else {
                        End::Trailers(trailers)
                    };
                }
                self.held = data;
                Ok(taken)
            }
        }
    }
}

/// The data in `bytes`, chunks that were written together as one, and how many bytes that took.
fn decode(decoder: &mut ChunkedDecoder, bytes: &[u8]) -> io::Result<(Bytes, usize)> {
    let invalid = |bad| io::Error::new(io::ErrorKind::InvalidData, bad);
    let mut data = BytesMut::with_capacity(bytes.len());
    let mut taken = 0;
    while taken < bytes.len() && !decoder.is_done() {
        let rest = &bytes[taken..];
        let step = decoder.decode(rest).map_err(invalid)?;
        data.extend_from_slice(&rest[step.data]);
        taken += step.consumed;
    }
    Ok((data.freeze(), taken))
}
