//! Watches what a peer sends for floods of frames that cost us work and bring nothing.
//!
//! Between the transport and h2 stands a [`Guard`] that reads frame headers as they pass ([`count`]). Beyond a limit it hands on nothing more and
//! says so in its [`Watch`]; the connection then tells the peer ENHANCE_YOUR_CALM.

mod count;

pub use count::Flood;

use super::wire::Wire;
use crate::net::buffer::Buffer;
use crate::net::timer::{Timer, coarse_now};
use count::Frames;
use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How long a closed connection is read on, so that the peer gets to read why it was closed before a reset throws that away.
const LINGER_TIMEOUT: Duration = Duration::from_secs(1);
/// How many bytes are thrown away meanwhile.
const LINGER_BYTES_MAX: usize = 256 * 1024;

/// What a [`Guard`] has seen; shared with the connection.
#[derive(Debug, Default)]
pub(super) struct Watch {
    flood: Cell<Option<Flood>>,
}

impl Watch {
    /// The first flood, if there was one.
    pub(super) fn flood(&self) -> Option<Flood> {
        self.flood.get()
    }
}

/// A byte stream whose incoming frames are counted. Shutting it down waits a little for the peer to close, too.
#[derive(Debug)]
pub(super) struct Guard {
    wire: Rc<Wire>,
    watch: Rc<Watch>,
    frames: Frames,
    linger: Option<Linger>,
}

/// A connection that is closed on our side.
#[derive(Debug)]
struct Linger {
    timer: Timer,
    bytes_left: usize,
}

impl Guard {
    pub(super) fn new(wire: Rc<Wire>, watch: Rc<Watch>) -> Guard {
        Guard {
            wire,
            watch,
            frames: Frames::default(),
            linger: None,
        }
    }

    /// Reads until the peer closes, has sent too much, or takes too long.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let linger = self.linger.get_or_insert_with(|| {
            let timer = Timer::new();
            timer.set(LINGER_TIMEOUT);
            Linger {
                timer,
                bytes_left: LINGER_BYTES_MAX,
            }
        });
        let mut buffer = Buffer::take();
        let room = buffer.capacity();
        buffer.resize(room, 0);
        while linger.bytes_left > 0 {
            let mut into = ReadBuf::new(&mut buffer);
            match self.wire.poll_read(cx, &mut into) {
                Poll::Ready(Ok(())) if !into.filled().is_empty() => {
                    linger.bytes_left = linger.bytes_left.saturating_sub(into.filled().len());
                }
                Poll::Ready(_) => break,
                Poll::Pending => return linger.timer.poll_expired(cx),
            }
        }
        Poll::Ready(())
    }
}

impl AsyncRead for Guard {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let guard = self.get_mut();
        if guard.watch.flood().is_some() {
            // Whoever polls looks at the watch next.
            return Poll::Pending;
        }
        let before = into.filled().len();
        ready!(guard.wire.poll_read(cx, into))?;
        guard.frames.pay(guard.wire.take_sent());
        let flood = guard.frames.count(&into.filled()[before..], coarse_now);
        guard.watch.flood.set(flood);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Guard {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.wire.poll_write(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.wire.poll_write(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let guard = self.get_mut();
        if guard.linger.is_none() {
            ready!(guard.wire.poll_shutdown(cx))?;
        }
        guard.poll_linger(cx).map(Ok)
    }
}
