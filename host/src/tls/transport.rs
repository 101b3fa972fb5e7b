//! A byte stream in the clear above an encrypted one.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncBufRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsStream;

use crate::net::stream::Stream;
use crate::net::transport::Transport;

/// `tls` as a stream.
pub(super) fn layered(tls: TlsStream<Stream>) -> Stream {
    Stream::Layered(Box::new(Tls {
        tls: RefCell::new(tls),
        failure: RefCell::new(None),
        broken: Cell::new(None),
        ended: Cell::new(false),
        is_aborted: Cell::new(false),
    }))
}

/// A connection after its handshake. What is written waits for the flush only while the socket takes no more, and at most what the library
/// buffers, 64 KiB; what is read is taken from the socket only when the last of it was given out.
#[derive(Debug)]
struct Tls {
    /// Borrowed for the length of one poll of the stream below, which does not know of this one.
    tls: RefCell<TlsStream<Stream>>,
    /// An error behind bytes that were given out first.
    failure: RefCell<Option<io::Error>>,
    /// Reading has failed, in this way, and does so ever after: the library may forget it while the socket has nothing new.
    broken: Cell<Option<io::ErrorKind>>,
    /// The peer has said that nothing more comes.
    ended: Cell<bool>,
    /// It ends by a reset, without a farewell.
    is_aborted: Cell<bool>,
}

impl Tls {
    /// Bytes that were encrypted while the socket was full, and answers of the library's own, go out as soon as they can, whichever direction
    /// is driven: nobody else may come by for a while.
    fn push(&self, cx: &mut Context<'_>) {
        let mut tls = self.tls.borrow_mut();
        if tls.get_ref().1.wants_write() {
            // An error comes up again when something is written; what there is to read is worth reading all the same.
            let _ = Pin::new(&mut *tls).poll_flush(cx);
        }
    }

    /// Decrypted bytes into `into`, some if any are there. Ready without any at the end.
    fn poll_some(&self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut tls = self.tls.borrow_mut();
        let mut tls = Pin::new(&mut *tls);
        let filled = std::task::ready!(tls.as_mut().poll_fill_buf(cx));
        let bytes = filled.inspect_err(|error| self.broken.set(Some(error.kind())))?;
        if bytes.is_empty() {
            self.ended.set(true);
        }
        let count = bytes.len().min(into.remaining());
        into.put_slice(&bytes[..count]);
        tls.consume(count);
        Poll::Ready(Ok(()))
    }

    fn has_failed(&self) -> bool {
        self.broken.get().is_some()
    }

    fn poll_fill(&self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut tls = self.tls.borrow_mut();
        let filled = std::task::ready!(Pin::new(&mut *tls).poll_fill_buf(cx));
        let filled = filled.inspect_err(|error| self.broken.set(Some(error.kind())));
        Poll::Ready(filled.map(<[u8]>::len))
    }
}

impl Transport for Tls {
    /// Fills `into` as far as it goes, a record at a time: the library reads few bytes at once.
    fn poll_read(&self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Some(failure) = self.failure.take() {
            return Poll::Ready(Err(failure));
        }
        if let Some(kind) = self.broken.get() {
            return Poll::Ready(Err(kind.into()));
        }
        self.push(cx);
        let begin = into.filled().len();
        while into.remaining() > 0 && !self.ended.get() {
            match self.poll_some(cx, into) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) if into.filled().len() > begin => {
                    *self.failure.borrow_mut() = Some(error);
                    break;
                }
                Poll::Pending if into.filled().len() > begin => break,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.tls.borrow_mut()).poll_write(cx, bytes)
    }

    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.tls.borrow_mut()).poll_flush(cx)
    }

    /// Says so to the peer (`close_notify`), and then closes the socket's direction too.
    fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_aborted.get() {
            // What was cut short must not look like a whole.
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut *self.tls.borrow_mut()).poll_shutdown(cx)
    }

    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.push(cx);
        let tls = self.tls.borrow();
        let (socket, session) = tls.get_ref();
        if self.has_failed() || !session.wants_read() {
            return Poll::Ready(Ok(()));
        }
        socket.poll_readable(cx)
    }

    fn poll_peek(&self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.has_failed() {
            return Poll::Ready(Ok(0));
        }
        self.push(cx);
        let filled = std::task::ready!(self.poll_fill(cx));
        Poll::Ready(match filled {
            Ok(count) => Ok(count.min(1)),
            Err(error) => {
                *self.failure.borrow_mut() = Some(error);
                Ok(0)
            }
        })
    }

    fn is_read_closed(&self) -> bool {
        self.ended.get() || self.tls.borrow().get_ref().0.is_read_closed()
    }

    /// Session tickets arrive on idle connections, and mean nothing.
    fn is_stale(&self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        self.has_failed()
            || self.poll_readable(&mut cx).is_ready() && self.poll_fill(&mut cx).is_ready()
    }

    fn reset_on_close(&self) {
        self.is_aborted.set(true);
        self.tls.borrow().get_ref().0.reset_on_close();
    }
}
