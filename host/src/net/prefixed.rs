//! A stream with bytes before it that were read from it already.

use super::stream::Stream;
use super::transport::Transport;
use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Gives back `bytes`, then what `stream` gives.
#[derive(Debug)]
pub struct Prefixed {
    /// Freed once they are read.
    bytes: RefCell<Vec<u8>>,
    read: Cell<usize>,
    stream: RefCell<Stream>,
}

impl Prefixed {
    /// A stream that begins with `bytes`; `stream` itself if there are none.
    #[expect(clippy::new_ret_no_self, reason = "what is wanted is a stream")]
    pub fn new(bytes: Vec<u8>, stream: Stream) -> Stream {
        if bytes.is_empty() {
            return stream;
        }
        Stream::Layered(Box::new(Prefixed {
            bytes: RefCell::new(bytes),
            read: Cell::new(0),
            stream: RefCell::new(stream),
        }))
    }

    fn has_bytes(&self) -> bool {
        self.read.get() < self.bytes.borrow().len()
    }

    fn take(&self, into: &mut ReadBuf<'_>) {
        let mut bytes = self.bytes.borrow_mut();
        let left = &bytes[self.read.get()..];
        let count = left.len().min(into.remaining());
        into.put_slice(&left[..count]);
        self.read.set(self.read.get() + count);
        if self.read.get() == bytes.len() {
            *bytes = Vec::new();
            self.read.set(0);
        }
    }
}

impl Transport for Prefixed {
    fn poll_read(&self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.has_bytes() {
            self.take(into);
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut *self.stream.borrow_mut()).poll_read(cx, into)
    }

    fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.stream.borrow_mut()).poll_write(cx, bytes)
    }

    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream.borrow_mut()).poll_flush(cx)
    }

    fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream.borrow_mut()).poll_shutdown(cx)
    }

    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.has_bytes() {
            return Poll::Ready(Ok(()));
        }
        self.stream.borrow().poll_readable(cx)
    }

    fn poll_peek(&self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.has_bytes() {
            return Poll::Ready(Ok(1));
        }
        let closed = self.stream.borrow().poll_closed(cx);
        closed.map(|closed| Ok(usize::from(!closed)))
    }

    fn is_read_closed(&self) -> bool {
        self.stream.borrow().is_read_closed()
    }

    fn is_stale(&self) -> bool {
        self.has_bytes() || self.stream.borrow().is_stale()
    }

    fn reset_on_close(&self) {
        self.stream.borrow().reset_on_close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;

    fn prefixed(bytes: &[u8]) -> (Stream, UnixStream) {
        let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
        (Prefixed::new(bytes.to_vec(), Stream::Unix(ours)), theirs)
    }

    #[tokio::test]
    async fn the_bytes_come_first_in_pieces_of_any_size_and_then_the_stream() {
        for size in [1, 3, 5, 64] {
            let (mut stream, mut peer) = prefixed(b"first");
            peer.write_all(b" then").await.expect("writes");
            peer.shutdown().await.expect("shuts down");
            let mut read = Vec::new();
            loop {
                let mut piece = vec![0; size];
                let count = stream.read(&mut piece).await.expect("reads");
                if count == 0 {
                    break;
                }
                read.extend_from_slice(&piece[..count]);
            }
            assert_eq!(read, b"first then", "pieces of {size}");
        }
    }

    #[tokio::test]
    async fn unread_bytes_make_it_readable_open_and_stale() {
        let (mut stream, peer) = prefixed(b"x");
        drop(peer);
        assert!(stream.readable().now_or_never().expect("is ready").is_ok());
        assert!(stream.is_stale());
        let closed = std::future::poll_fn(|cx| stream.poll_closed(cx)).now_or_never();
        assert_eq!(closed, Some(false));
        assert_eq!(stream.read_u8().await.expect("reads"), b'x');
        assert!(std::future::poll_fn(|cx| stream.poll_closed(cx)).await);
    }

    #[tokio::test]
    async fn writing_passes_by_the_bytes() {
        let (mut stream, mut peer) = prefixed(b"unread");
        stream.write_all(b"answer").await.expect("writes");
        stream.shutdown().await.expect("shuts down");
        let mut read = Vec::new();
        peer.read_to_end(&mut read).await.expect("reads");
        assert_eq!(read, b"answer");
    }

    #[tokio::test]
    async fn without_bytes_it_is_the_stream_itself() {
        assert!(matches!(prefixed(b""), (Stream::Unix(_), _)));
    }
}
