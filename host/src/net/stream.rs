//! A byte stream to a downstream or an upstream: plain TCP now, other transports as further arms.

use futures_util::FutureExt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};

/// One transport, accepted or dialled.
#[derive(Debug)]
pub enum Stream {
    Tcp(TcpStream),
}

impl Stream {
    /// Dials `address`. Cancel safe: dropping the future closes the socket.
    pub async fn connect(address: SocketAddr) -> io::Result<Stream> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Stream::Tcp(stream))
    }

    /// Ready when a read would return bytes, the end or an error, or at times nothing: a connection that was just accepted counts as ready
    /// until a read finds it is not. Holds no buffer while it waits.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Stream::Tcp(stream) => stream.poll_read_ready(cx),
        }
    }

    /// Waits as [`Stream::poll_readable`].
    pub async fn readable(&self) -> io::Result<()> {
        std::future::poll_fn(|cx| self.poll_readable(cx)).await
    }

    /// Whether an idle connection must not be used again: the peer closed it or sent bytes that nobody asked for. Costs no system call
    /// unless something happened on it.
    pub fn is_stale(&self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        match self {
            Stream::Tcp(stream) => match stream.poll_read_ready(&mut cx) {
                Poll::Pending => false,
                Poll::Ready(_) => {
                    !matches!(stream.try_read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
                }
            },
        }
    }

    /// Whether the peer has closed its side, with nothing left to read before that; looks without taking bytes.
    pub fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<bool> {
        let Stream::Tcp(stream) = self;
        let mut byte = [0];
        let mut peeked = ReadBuf::new(&mut byte);
        match stream.poll_peek(cx, &mut peeked) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(count)) => Poll::Ready(count == 0),
            Poll::Ready(Err(_)) => Poll::Ready(true),
        }
    }

    /// Whether the peer has closed its side, whatever it sent before that and is still to be read; as far as the event loop has heard.
    pub fn is_read_closed(&self) -> bool {
        let Stream::Tcp(stream) = self;
        let ready = stream.ready(Interest::READABLE).now_or_never();
        ready.is_some_and(|ready| ready.is_ok_and(|ready| ready.is_read_closed()))
    }

    /// The two directions, to be driven at the same time.
    pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        match self {
            Stream::Tcp(stream) => stream.split(),
        }
    }

    /// The socket, where the bytes on it are the stream's own.
    pub fn as_tcp(&self) -> Option<&TcpStream> {
        match self {
            Stream::Tcp(stream) => Some(stream),
        }
    }

    /// Makes the close of this socket a reset, so that the peer cannot take what it got for the whole.
    pub fn reset_on_close(&self) {
        let Stream::Tcp(stream) = self;
        // Best effort: without it the peer sees an early end instead of a reset.
        let _ = socket2::SockRef::from(stream).set_linger(Some(std::time::Duration::ZERO));
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
