//! A connection in memory: what one side sends is there for the other at once, in paused time too.

use crate::net::transport::Transport;
use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};

/// As much as a socket may have under way.
const PIPE_BYTES: usize = 64 * 1024;

#[derive(Debug)]
pub(super) struct Pipe(RefCell<DuplexStream>);

impl Pipe {
    /// The server's end and the client's.
    pub(super) fn pair() -> (Box<Pipe>, DuplexStream) {
        let (ours, theirs) = duplex(PIPE_BYTES);
        (Box::new(Pipe(RefCell::new(ours))), theirs)
    }
}

impl Transport for Pipe {
    fn poll_read(&self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_read(cx, into)
    }

    fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_write(cx, bytes)
    }

    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_flush(cx)
    }

    fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_shutdown(cx)
    }

    /// The room only reads and writes what is below it.
    fn poll_readable(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_peek(&self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        ready!(self.poll_readable(cx))?;
        Poll::Ready(Ok(1))
    }

    fn is_read_closed(&self) -> bool {
        false
    }

    fn is_stale(&self) -> bool {
        false
    }

    fn reset_on_close(&self) {}
}
