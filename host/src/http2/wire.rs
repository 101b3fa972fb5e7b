//! The stream below an HTTP/2 connection, which sends once for each time that the connection is driven.
//!
//! h2 flushes after every frame of data that is no small one, so each response would be a system call of its own. Here what it writes is
//! collected while the connection is driven, by everything that is ready, and sent when there is nothing more to do: see [`Wire::poll_send`].

use crate::net::buffer::Buffer;
use crate::net::stream::Stream;
use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// From this much on more is taken only once something has left: for a peer that does not read, a connection holds this and one write.
const COLLECTED_MAX: usize = 64 * 1024;

/// A stream that its connection and who drives that share.
#[derive(Debug)]
pub(super) struct Wire {
    stream: RefCell<Stream>,
    /// None while there is nothing to be sent.
    collected: RefCell<Option<Collected>>,
    collects: Cell<bool>,
    holds_reads: Cell<bool>,
    sent: Cell<usize>,
}

#[derive(Debug)]
struct Collected {
    bytes: Buffer,
    sent: usize,
}

impl Wire {
    /// Sends at each flush until [`Wire::collect`].
    pub(super) fn new(stream: Stream) -> Rc<Wire> {
        Rc::new(Wire {
            stream: RefCell::new(stream),
            collected: RefCell::new(None),
            collects: Cell::new(false),
            holds_reads: Cell::new(false),
            sent: Cell::new(0),
        })
    }

    /// From now on nothing leaves but by [`Wire::poll_send`], which whoever drives the connection calls before it waits.
    pub(super) fn collect(&self) {
        self.collects.set(true);
    }

    /// Whether nothing is read for now. Nobody is woken for what is held: whoever drives the connection polls it again without.
    pub(super) fn hold_reads(&self, holds: bool) {
        self.holds_reads.set(holds);
    }

    /// Bytes sent since this was asked last.
    pub(super) fn take_sent(&self) -> usize {
        self.sent.take()
    }

    pub(super) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.holds_reads.get() {
            return Poll::Pending;
        }
        Pin::new(&mut *self.stream.borrow_mut()).poll_read(cx, into)
    }

    /// Takes all of the slices, or waits where too much waits already.
    pub(super) fn poll_write(
        &self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let collected = self.collected.borrow().as_ref().map_or(0, Collected::left);
        if collected >= COLLECTED_MAX {
            ready!(self.poll_send(cx))?;
        }
        let mut collected = self.collected.borrow_mut();
        let collected = collected.get_or_insert_with(|| Collected {
            bytes: Buffer::take(),
            sent: 0,
        });
        for slice in slices {
            collected.bytes.extend_from_slice(slice);
        }
        Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()))
    }

    /// What the connection asks for after each frame.
    pub(super) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.collects.get() {
            return Poll::Ready(Ok(()));
        }
        self.poll_send(cx)
    }

    /// Sends what was collected.
    pub(super) fn poll_send(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut waiting = self.collected.borrow_mut();
        let Some(collected) = &mut *waiting else {
            return Poll::Ready(Ok(()));
        };
        let mut stream = self.stream.borrow_mut();
        while collected.left() > 0 {
            let rest = &collected.bytes[collected.sent..];
            match ready!(Pin::new(&mut *stream).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => {
                    collected.sent += count;
                    self.sent.set(self.sent.get() + count);
                }
            }
        }
        ready!(Pin::new(&mut *stream).poll_flush(cx))?;
        *waiting = None;
        Poll::Ready(Ok(()))
    }

    /// Sends what was collected and closes.
    pub(super) fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        Pin::new(&mut *self.stream.borrow_mut()).poll_shutdown(cx)
    }
}

impl Collected {
    fn left(&self) -> usize {
        self.bytes.len() - self.sent
    }
}
