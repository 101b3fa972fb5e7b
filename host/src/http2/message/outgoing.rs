//! A body written as HTTP/1.1 text, sent as DATA and trailers.

use super::broken;
use crate::http::{BodyLength, ChunkedDecoder};
use crate::http2::head::header_map;
use bytes::{Bytes, BytesMut};
use h2::{Reason, SendStream};
use std::io;
use std::task::{Context, Poll, ready};

/// What is taken of one write; with what h2 holds back itself, what a stream can hold for a peer that does not read.
const WRITE_BYTES_MAX: usize = 16 * 1024;

/// The sending half of a stream behind its head.
#[derive(Debug)]
pub(in crate::http2) struct Outgoing {
    stream: SendStream<Bytes>,
    body: Body,
    /// More was handed over than the peer has allowed: nothing further is taken until it has.
    owes: bool,
}

#[derive(Debug)]
enum Body {
    Done,
    /// Bytes still to come.
    Fixed(u64),
    Chunked(Box<ChunkedDecoder>),
    /// Everything until [`Outgoing::finish`].
    UntilClose,
}

impl Outgoing {
    /// Behind a head that has ended the stream when `length` is none or zero.
    pub(in crate::http2) fn new(stream: SendStream<Bytes>, length: BodyLength) -> Outgoing {
        let body = match length {
            BodyLength::None | BodyLength::Fixed(0) => Body::Done,
            BodyLength::Fixed(length) => Body::Fixed(length),
            BodyLength::Chunked => Body::Chunked(Box::default()),
            BodyLength::UntilClose => Body::UntilClose,
        };
        Outgoing {
            stream,
            body,
            owes: false,
        }
    }

    /// Whether the whole body was handed over.
    pub(in crate::http2) fn is_done(&self) -> bool {
        matches!(self.body, Body::Done)
    }

    /// As `AsyncWrite::poll_write`. What is taken is sent without further calls as the peer allows it.
    ///
    /// A write is taken whole, up to a limit, once the peer has room for all that was taken before. Looking at the room for this one instead
    /// would hold back the end of a chunked body, which needs none, from a peer that has room for nothing else.
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
        if self.is_done() {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        ready!(self.poll_settled(cx))?;
        Poll::Ready(self.take(&bytes[..bytes.len().min(WRITE_BYTES_MAX)]))
    }

    /// Ends a body that ends with its connection; others are left as they are.
    ///
    /// # Errors
    /// As [`Outgoing::poll_write`].
    pub(in crate::http2) fn finish(&mut self) -> io::Result<()> {
        if !matches!(self.body, Body::UntilClose) {
            return Ok(());
        }
        self.body = Body::Done;
        self.send(Bytes::new(), true)
    }

    /// Ready once the stream was reset, by either side, or its connection failed. Registers in the place of a write.
    pub(in crate::http2) fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.stream.poll_reset(cx).map(|_| ())
    }

    /// Resets the stream; what was not sent yet is dropped. Nothing happens to one that has ended.
    pub(in crate::http2) fn reset(&mut self, reason: Reason) {
        self.stream.send_reset(reason);
    }

    /// Ready once the peer has room for everything taken so far and a byte more.
    fn poll_settled(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.owes {
            return Poll::Ready(Ok(()));
        }
        self.stream.reserve_capacity(1);
        while self.stream.capacity() == 0 {
            match ready!(self.stream.poll_capacity(cx)) {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(broken(error))),
                None => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            }
        }
        self.owes = false;
        Poll::Ready(Ok(()))
    }

    fn take(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.body {
            Body::Done => Ok(0),
            Body::UntilClose => {
                self.send(Bytes::copy_from_slice(bytes), false)?;
                Ok(bytes.len())
            }
            Body::Fixed(left) => {
                let count = usize::try_from(*left)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                *left -= count as u64;
                let ends = *left == 0;
                if ends {
                    self.body = Body::Done;
                }
                self.send(Bytes::copy_from_slice(&bytes[..count]), ends)?;
                Ok(count)
            }
            Body::Chunked(_) => self.take_chunks(bytes),
        }
    }

    /// Chunks that were written together leave together.
    fn take_chunks(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Body::Chunked(decoder) = &mut self.body else {
            return Ok(0);
        };
        let invalid = |bad| io::Error::new(io::ErrorKind::InvalidData, bad);
        let mut data = BytesMut::with_capacity(bytes.len());
        let mut taken = 0;
        while taken < bytes.len() && !decoder.is_done() {
            let rest = &bytes[taken..];
            let step = decoder.decode(rest).map_err(invalid)?;
            data.extend_from_slice(&rest[step.data]);
            taken += step.consumed;
        }
        let trailers = match decoder.is_done() {
            true => Some(header_map(decoder.trailers(), |_| false)?),
            false => None,
        };
        let ends = trailers
            .as_ref()
            .is_some_and(|trailers| trailers.is_empty());
        if trailers.is_some() {
            self.body = Body::Done;
        }
        if ends || !data.is_empty() {
            self.send(data.freeze(), ends)?;
        }
        if let Some(trailers) = trailers.filter(|trailers| !trailers.is_empty()) {
            self.stream.send_trailers(trailers).map_err(broken)?;
        }
        Ok(taken)
    }

    fn send(&mut self, data: Bytes, ends: bool) -> io::Result<()> {
        self.owes = true;
        let sent = self.stream.send_data(data, ends);
        // The one way to get here with a stream that takes no data is that it was reset.
        sent.map_err(|_| io::ErrorKind::ConnectionReset.into())
    }
}
