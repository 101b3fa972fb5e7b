//! A received body, read as HTTP/1.1 text.

use super::broken;
use crate::http::{LAST_CHUNK, encode_chunk_head};
use crate::http2::head::write_trailers;
use bytes::{Buf, Bytes};
use h2::RecvStream;
use std::io;
use std::task::{Context, Poll, ready};
use tokio::io::ReadBuf;

/// How the text of a received body is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http2) enum Framing {
    /// There is none, or none that the reader will hear of.
    None,
    /// This many bytes are still to come. Trailers have no place and are left out.
    Fixed(u64),
    Chunked,
    /// The bytes as they are until the peer ends them: a tunnel.
    Raw,
}

/// The text of a head and the body behind it. Capacity goes back to the peer as the text is read, so an unread body fills its window and no more.
#[derive(Debug)]
pub(in crate::http2) struct Incoming {
    body: RecvStream,
    framing: Framing,
    state: State,
    /// Read before `data`; from `text_read` on.
    text: Vec<u8>,
    text_read: usize,
    /// What is unread of a DATA frame of `frame_len` bytes.
    data: Bytes,
    frame_len: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing behind the head is read yet.
    Held,
    Data,
    Trailers,
    Ended,
    Failed(io::ErrorKind),
}

impl Incoming {
    /// `head` is read first. What stands behind it in a tunnel waits for [`Incoming::open`]: before that the text would not tell it from
    /// another message.
    pub(in crate::http2) fn new(body: RecvStream, framing: Framing, head: Vec<u8>) -> Incoming {
        Incoming {
            body,
            framing,
            state: match framing {
                Framing::None => State::Ended,
                Framing::Fixed(_) | Framing::Chunked => State::Data,
                Framing::Raw => State::Held,
            },
            text: head,
            text_read: 0,
            data: Bytes::new(),
            frame_len: 0,
        }
    }

    /// As `AsyncRead::poll_read`. An error stays one.
    ///
    /// # Errors
    /// `ConnectionReset` when either side has reset the stream, `UnexpectedEof` when it ended too early, `InvalidData` when HTTP/1.1 could
    /// not carry what came.
    pub(in crate::http2) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        while into.remaining() > 0 {
            match self.poll_ready(cx) {
                Poll::Ready(Ok(true)) => self.read_ready(into),
                // What stopped it is met again by the next call.
                _ if into.filled().len() > before => break,
                Poll::Ready(Ok(false)) => break,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Ready with true when there is something to read, with false at the end.
    ///
    /// # Errors
    /// As [`Incoming::poll_read`].
    pub(in crate::http2) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        loop {
            if self.has_ready() {
                return Poll::Ready(Ok(true));
            }
            let step = match self.state {
                State::Held => return Poll::Pending,
                State::Data => ready!(self.poll_data(cx)),
                State::Trailers => ready!(self.poll_trailers(cx)),
                State::Ended => return Poll::Ready(Ok(false)),
                State::Failed(kind) => return Poll::Ready(Err(kind.into())),
            };
            if let Err(error) = step {
                self.state = State::Failed(error.kind());
                return Poll::Ready(Err(error));
            }
        }
    }

    /// Whether something can be read without waiting, as far as was looked.
    pub(in crate::http2) fn has_ready(&self) -> bool {
        self.text_read < self.text.len() || self.data.has_remaining()
    }

    /// Whether all was read.
    pub(in crate::http2) fn is_ended(&self) -> bool {
        self.state == State::Ended && !self.has_ready()
    }

    /// The tunnel is there.
    pub(in crate::http2) fn open(&mut self) {
        if self.state == State::Held {
            self.state = State::Data;
        }
    }

    /// The tunnel is refused: what was sent into it early is nobody's.
    pub(in crate::http2) fn refuse(&mut self) {
        if self.state == State::Held {
            self.end();
        }
    }

    /// Nothing more is read; what the peer still sends fills its window and no more.
    pub(in crate::http2) fn end(&mut self) {
        self.state = State::Ended;
        self.text = Vec::new();
        self.text_read = 0;
        self.data = Bytes::new();
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let data = match ready!(self.body.poll_data(cx)) {
            Some(Ok(data)) => data,
            Some(Err(error)) => return Poll::Ready(Err(broken(error))),
            None => {
                self.state = State::Trailers;
                return Poll::Ready(Ok(()));
            }
        };
        if data.is_empty() {
            return Poll::Ready(Ok(()));
        }
        match &mut self.framing {
            Framing::Chunked => encode_chunk_head(data.len(), &mut self.text),
            Framing::Fixed(left) => match left.checked_sub(data.len() as u64) {
                Some(rest) => *left = rest,
                None => return Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
            },
            Framing::Raw | Framing::None => {}
        }
        self.frame_len = data.len();
        self.data = data;
        Poll::Ready(Ok(()))
    }

    fn poll_trailers(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let trailers = ready!(self.body.poll_trailers(cx)).map_err(broken)?;
        match (self.framing, trailers) {
            (Framing::Fixed(1..), _) => {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            (Framing::Chunked, Some(trailers)) => {
                self.text.extend_from_slice(b"0\r\n");
                write_trailers(&trailers, &mut self.text)?;
                self.text.extend_from_slice(b"\r\n");
            }
            (Framing::Chunked, None) => self.text.extend_from_slice(LAST_CHUNK),
            (Framing::Fixed(0) | Framing::Raw | Framing::None, _) => {}
        }
        self.state = State::Ended;
        Poll::Ready(Ok(()))
    }

    fn read_ready(&mut self, into: &mut ReadBuf<'_>) {
        let text = &self.text[self.text_read..];
        let count = text.len().min(into.remaining());
        into.put_slice(&text[..count]);
        self.text_read += count;
        if self.text_read < self.text.len() {
            return;
        }
        self.text.clear();
        self.text_read = 0;
        if self.data.is_empty() {
            return;
        }
        let count = self.data.len().min(into.remaining());
        into.put_slice(&self.data[..count]);
        self.data.advance(count);
        if self.data.is_empty() {
            self.finish_frame();
        }
    }

    /// The peer may send as much again.
    fn finish_frame(&mut self) {
        if self.framing == Framing::Chunked {
            self.text.extend_from_slice(b"\r\n");
        }
        // Fails for a stream that is closed, whose capacity is given back with it.
        let _ = self.body.flow_control().release_capacity(self.frame_len);
        self.frame_len = 0;
    }
}
