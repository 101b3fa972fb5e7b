//! Frames that a peer may send at will and that cost us memory or work, counted as they arrive and refused in a flood.
//!
//! Only the nine bytes in front of each frame are looked at (RFC 9113 section 4.1). What flow control or the `h2` crate bounds already is
//! left to them: data, small data frames, continuations, promises.

use crate::http2::wire::Wire;
use crate::net::timer::coarse_now;
use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Heads and trailers that one stream may get: the spine takes 16 interim responses, and these, a final one and trailers leave some room. They
/// are not flow-controlled, so without this an endpoint could fill our memory with interim responses while nobody reads.
const HEADS_PER_STREAM: usize = 24;

/// Heads that may come late, for streams that have been reset.
const HEADS_SPARE: usize = 256;

/// Frames that carry nothing, within one second and without data or a head in between. An endpoint that measures its bandwidth pings once per
/// round trip, and never without data.
const CONTROL_FRAMES_MAX: u32 = 10_000;

const CONTROL_WINDOW: Duration = Duration::from_secs(1);

/// How many heads the peer may send.
#[derive(Debug)]
pub(super) struct Credit {
    heads: Cell<usize>,
    /// When the peer was last heard of.
    heard: Cell<Duration>,
}

impl Credit {
    pub(super) fn new() -> Credit {
        Credit {
            heads: Cell::new(HEADS_SPARE),
            heard: Cell::new(coarse_now()),
        }
    }

    /// When the peer was last heard of, on the coarse clock.
    pub(super) fn heard(&self) -> Duration {
        self.heard.get()
    }

    /// A stream begins.
    pub(super) fn grant(&self) {
        self.heads.set(self.heads.get() + HEADS_PER_STREAM);
    }

    /// A stream has ended and `begun` are left: what the others did not use is not saved up.
    pub(super) fn cap(&self, begun: usize) {
        let most = begun * HEADS_PER_STREAM + HEADS_SPARE;
        self.heads.set(self.heads.get().min(most));
    }

    fn take(&self) -> io::Result<()> {
        let left = self.heads.get().checked_sub(1);
        left.map(|left| self.heads.set(left)).ok_or_else(flood)
    }
}

/// The stream below an `h2` connection.
#[derive(Debug)]
pub(super) struct Guarded {
    wire: Rc<Wire>,
    credit: Rc<Credit>,
    header: [u8; 9],
    header_len: usize,
    /// Bytes of the current frame that are still to come.
    payload_left: usize,
    control_frames: u32,
    control_since: Duration,
}

impl Guarded {
    pub(super) fn new(wire: Rc<Wire>, credit: Rc<Credit>) -> Guarded {
        Guarded {
            wire,
            credit,
            header: [0; 9],
            header_len: 0,
            payload_left: 0,
            control_frames: 0,
            control_since: coarse_now(),
        }
    }

    fn look(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        self.credit.heard.set(coarse_now());
        while !bytes.is_empty() {
            let skipped = self.payload_left.min(bytes.len());
            self.payload_left -= skipped;
            bytes = &bytes[skipped..];
            let taken = bytes.len().min(self.header.len() - self.header_len);
            self.header[self.header_len..self.header_len + taken].copy_from_slice(&bytes[..taken]);
            self.header_len += taken;
            bytes = &bytes[taken..];
            if self.header_len == self.header.len() {
                self.header_len = 0;
                self.count_frame()?;
            }
        }
        Ok(())
    }

    fn count_frame(&mut self) -> io::Result<()> {
        const DATA: u8 = 0;
        const HEADERS: u8 = 1;
        const WINDOW_UPDATE: u8 = 8;
        const CONTINUATION: u8 = 9;
        let [high, middle, low, kind, ..] = self.header;
        self.payload_left = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        match kind {
            DATA if self.payload_left > 0 => self.control_frames = 0,
            HEADERS => {
                self.control_frames = 0;
                self.credit.take()?;
            }
            // One or two for each frame that we send: their number is our own doing.
            WINDOW_UPDATE | DATA | CONTINUATION => {}
            _ => return self.count_control(),
        }
        Ok(())
    }

    fn count_control(&mut self) -> io::Result<()> {
        let now = coarse_now();
        if now >= self.control_since + CONTROL_WINDOW {
            self.control_since = now;
            self.control_frames = 0;
        }
        self.control_frames += 1;
        if self.control_frames > CONTROL_FRAMES_MAX {
            return Err(flood());
        }
        Ok(())
    }
}

fn flood() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "the endpoint sends too many HTTP/2 frames that carry nothing",
    )
}

impl AsyncRead for Guarded {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let guarded = self.get_mut();
        let before = into.filled().len();
        std::task::ready!(guarded.wire.poll_read(cx, into))?;
        Poll::Ready(guarded.look(&into.filled()[before..]))
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.wire.poll_write(cx, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.wire.poll_write(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire.poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::stream::Stream;

    /// A guard over a stream that nobody uses.
    fn guarded(heads: usize) -> Guarded {
        let (one, _other) = std::os::unix::net::UnixStream::pair().expect("a pair");
        one.set_nonblocking(true).expect("settable");
        let stream = tokio::net::UnixStream::from_std(one).expect("within a runtime");
        let credit = Credit::new();
        credit.heads.set(heads);
        Guarded::new(Wire::new(Stream::Unix(stream)), Rc::new(credit))
    }

    fn frame(kind: u8, payload_len: usize) -> Vec<u8> {
        let [.., high, middle, low] = payload_len.to_be_bytes();
        let mut frame = vec![high, middle, low, kind, 0, 0, 0, 0, 1];
        frame.resize(9 + payload_len, 6);
        frame
    }

    #[tokio::test]
    async fn heads_are_refused_one_past_the_credit_in_pieces_of_any_size() {
        let bytes: Vec<u8> = [frame(1, 300), frame(0, 70_000), frame(1, 0), frame(8, 4)].concat();
        for piece in [1, 8, 9, 10, 4096, bytes.len()] {
            let mut enough = guarded(2);
            assert!(bytes.chunks(piece).all(|piece| enough.look(piece).is_ok()));
            let mut short = guarded(1);
            assert!(!bytes.chunks(piece).all(|piece| short.look(piece).is_ok()));
        }
    }

    #[tokio::test]
    async fn control_frames_are_refused_one_past_the_limit_and_data_starts_the_count_again() {
        for kind in [2, 3, 4, 6, 7, 200] {
            let mut guard = guarded(0);
            for _ in 0..CONTROL_FRAMES_MAX {
                guard.look(&frame(kind, 8)).expect("within the limit");
            }
            guard.look(&frame(0, 1)).expect("data is no control frame");
            for _ in 0..CONTROL_FRAMES_MAX {
                guard
                    .look(&frame(kind, 8))
                    .expect("counted from the data on");
            }
            guard
                .look(&frame(0, 0))
                .expect("empty data is h2's to count");
            assert!(guard.look(&frame(kind, 8)).is_err(), "frame type {kind}");
        }
    }

    #[tokio::test]
    async fn unused_credit_is_not_saved_up() {
        let credit = Credit::new();
        for _ in 0..1000 {
            credit.grant();
            credit.cap(0);
        }
        assert_eq!(credit.heads.get(), HEADS_SPARE);
        credit.grant();
        credit.grant();
        credit.cap(1);
        assert_eq!(credit.heads.get(), HEADS_SPARE + HEADS_PER_STREAM);
    }
}
