//! A byte stream to a downstream or an upstream: a socket, or a [`Transport`] above one.

use super::address::{Address, LOCAL_PEER, UnixAddress};
use super::socket::canonical;
use super::transport::Transport;
use super::{calls, turn};
use futures_util::FutureExt;
use std::future::Future;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream, tcp, unix};

/// One byte stream, accepted or dialled.
#[derive(Debug)]
pub enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Layered(Box<dyn Transport>),
}

impl Stream {
    /// Dials `address`. Cancel safe: dropping the future closes the socket.
    ///
    /// # Errors
    /// The system's.
    pub async fn connect(address: &Address) -> io::Result<Stream> {
        match address {
            Address::Ip(address) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                Ok(Stream::Tcp(stream))
            }
            Address::Unix(address) => Ok(Stream::Unix(connect_unix(address).await?)),
        }
    }

    /// Ready when a read would return bytes, the end or an error, or at times nothing: a connection that was just accepted counts as ready
    /// until a read finds it is not. Holds no buffer while it waits.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Stream::Tcp(stream) => stream.poll_read_ready(cx),
            Stream::Unix(stream) => stream.poll_read_ready(cx),
            Stream::Layered(stream) => stream.poll_readable(cx),
        }
    }

    /// Waits as [`Stream::poll_readable`].
    ///
    /// # Errors
    /// The stream's.
    pub async fn readable(&self) -> io::Result<()> {
        std::future::poll_fn(|cx| self.poll_readable(cx)).await
    }

    /// Whether an idle connection must not be used again: the peer closed it or sent bytes that nobody asked for. Costs no system call
    /// unless something happened on it.
    pub fn is_stale(&self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        let is_empty = |error: io::Error| error.kind() == io::ErrorKind::WouldBlock;
        match self {
            Stream::Tcp(stream) => {
                stream.poll_read_ready(&mut cx).is_ready()
                    && !stream.try_read(&mut [0]).is_err_and(is_empty)
            }
            Stream::Unix(stream) => {
                stream.poll_read_ready(&mut cx).is_ready()
                    && !stream.try_read(&mut [0]).is_err_and(is_empty)
            }
            Stream::Layered(stream) => stream.is_stale(),
        }
    }

    /// Whether the peer has closed its side, with nothing left to read before that; looks without taking bytes.
    pub fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<bool> {
        let peeked = match self {
            Stream::Tcp(stream) => {
                let mut byte = [0];
                stream.poll_peek(cx, &mut ReadBuf::new(&mut byte))
            }
            Stream::Unix(stream) => poll_peek_unix(stream, cx),
            Stream::Layered(stream) => stream.poll_peek(cx),
        };
        peeked.map(|count| !matches!(count, Ok(1..)))
    }

    /// Whether the peer has closed its side, whatever it sent before that and is still to be read; as far as the event loop has heard.
    pub fn is_read_closed(&self) -> bool {
        let ready = match self {
            Stream::Tcp(stream) => stream.ready(Interest::READABLE).now_or_never(),
            Stream::Unix(stream) => stream.ready(Interest::READABLE).now_or_never(),
            Stream::Layered(stream) => return stream.is_read_closed(),
        };
        ready.is_some_and(|ready| ready.is_ok_and(|ready| ready.is_read_closed()))
    }

    /// As [`WriteHalf::send`].
    ///
    /// # Errors
    /// The stream's.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.split().1.send(bytes).await
    }

    /// As [`ReadHalf::receive`].
    ///
    /// # Errors
    /// The stream's.
    pub async fn receive(&mut self, into: &mut Vec<u8>) -> io::Result<usize> {
        let (mut read, _) = self.split();
        std::future::poll_fn(|cx| read.poll_receive(cx, into)).await
    }

    /// The address of our end, where it is an IP socket that is still connected.
    pub fn local_address(&self) -> Option<SocketAddr> {
        match self {
            Stream::Tcp(stream) => stream.local_addr().ok().map(canonical),
            Stream::Unix(_) => Some(LOCAL_PEER),
            Stream::Layered(_) => None,
        }
    }

    /// The two directions, to be driven at the same time.
    pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        match self {
            Stream::Tcp(stream) => {
                let (read, write) = stream.split();
                (ReadHalf::Tcp(read), WriteHalf::Tcp(write))
            }
            Stream::Unix(stream) => {
                let (read, write) = stream.split();
                (ReadHalf::Unix(read), WriteHalf::Unix(write))
            }
            Stream::Layered(stream) => {
                (ReadHalf::Layered(&**stream), WriteHalf::Layered(&**stream))
            }
        }
    }

    /// Makes the close of this stream a reset, so that the peer cannot take what it got for the whole.
    pub fn reset_on_close(&self) {
        match self {
            // Best effort: without it the peer sees an early end instead of a reset.
            Stream::Tcp(stream) => {
                let _ = socket2::SockRef::from(stream).set_linger(Some(std::time::Duration::ZERO));
            }
            // A Unix socket has no reset.
            Stream::Unix(_) => {}
            Stream::Layered(stream) => stream.reset_on_close(),
        }
    }
}

async fn connect_unix(address: &UnixAddress) -> io::Result<UnixStream> {
    match address {
        UnixAddress::Path(path) => UnixStream::connect(&**path).await,
        UnixAddress::Abstract(name) => {
            // Tokio dials paths only. Connecting a Unix socket ends at once, or fails with a full backlog.
            let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None)?;
            socket.set_nonblocking(true)?;
            let named = rustix::net::SocketAddrUnix::new_abstract_name(name.as_bytes())?;
            rustix::net::connect(&socket, &named)?;
            UnixStream::from_std(socket.into())
        }
    }
}

/// Tokio's Unix sockets cannot peek.
fn poll_peek_unix(stream: &UnixStream, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
    loop {
        std::task::ready!(stream.poll_read_ready(cx))?;
        let peeked = stream.try_io(Interest::READABLE, || {
            let mut byte = [0_u8];
            let flags = rustix::net::RecvFlags::PEEK;
            let (count, _) = rustix::net::recv(stream, &mut byte, flags)?;
            Ok(count)
        });
        match peeked {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            done => return Poll::Ready(done),
        }
    }
}

/// The direction that is read.
#[derive(Debug)]
pub enum ReadHalf<'s> {
    Tcp(tcp::ReadHalf<'s>),
    Unix(unix::ReadHalf<'s>),
    Layered(&'s dyn Transport),
}

/// The direction that is written to.
#[derive(Debug)]
pub enum WriteHalf<'s> {
    Tcp(tcp::WriteHalf<'s>),
    Unix(unix::WriteHalf<'s>),
    Layered(&'s dyn Transport),
}

impl ReadHalf<'_> {
    /// As [`Stream::poll_closed`].
    pub fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let peeked = match self {
            ReadHalf::Tcp(stream) => {
                let mut byte = [0];
                stream.poll_peek(cx, &mut ReadBuf::new(&mut byte))
            }
            ReadHalf::Unix(stream) => poll_peek_unix(stream.as_ref(), cx),
            ReadHalf::Layered(stream) => stream.poll_peek(cx),
        };
        peeked.map(|count| !matches!(count, Ok(1..)))
    }

    /// Appends what is there to `into`, which has room or is given some, once there is anything; answers how many bytes, none at the end.
    ///
    /// # Errors
    /// The stream's.
    pub async fn receive(&mut self, into: &mut Vec<u8>) -> io::Result<usize> {
        std::future::poll_fn(|cx| self.poll_receive(cx, into)).await
    }

    fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut Vec<u8>,
    ) -> Poll<io::Result<usize>> {
        match self {
            ReadHalf::Tcp(stream) => calls::poll_receive(stream.as_ref(), cx, into),
            ReadHalf::Unix(stream) => calls::poll_receive(stream.as_ref(), cx, into),
            // Between two polls there is nothing in this future.
            ReadHalf::Layered(_) => pin!(self.read_buf(into)).poll(cx),
        }
    }

    /// As [`Stream::readable`].
    ///
    /// # Errors
    /// The stream's.
    pub async fn readable(&self) -> io::Result<()> {
        match self {
            ReadHalf::Tcp(stream) => stream.readable().await,
            ReadHalf::Unix(stream) => stream.readable().await,
            ReadHalf::Layered(stream) => std::future::poll_fn(|cx| stream.poll_readable(cx)).await,
        }
    }

    /// The socket, where the bytes on it are the stream's own.
    pub fn as_tcp(&self) -> Option<&TcpStream> {
        match self {
            ReadHalf::Tcp(stream) => Some(stream.as_ref()),
            ReadHalf::Unix(_) | ReadHalf::Layered(_) => None,
        }
    }
}

impl WriteHalf<'_> {
    /// Sends all of `bytes` and sees them on their way: a transport may keep what it was given until it is flushed.
    ///
    /// # Errors
    /// The stream's.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut sent = 0;
        std::future::poll_fn(|cx| self.poll_send_all(cx, bytes, &mut sent)).await
    }

    /// As [`WriteHalf::send`], after the other tasks of this turn of the event loop.
    ///
    /// # Errors
    /// The stream's.
    pub async fn send_in_turn(&mut self, bytes: &[u8]) -> io::Result<()> {
        let (mut sent, mut is_my_turn) = (0, self.is_multiplexed());
        std::future::poll_fn(|cx| {
            if !is_my_turn {
                is_my_turn = true;
                return turn::after_others(cx);
            }
            self.poll_send_all(cx, bytes, &mut sent)
        })
        .await
    }

    /// Whether the task of a connection of several streams sends for all of them, which is a turn in itself.
    fn is_multiplexed(&self) -> bool {
        match self {
            WriteHalf::Tcp(_) | WriteHalf::Unix(_) => false,
            WriteHalf::Layered(stream) => stream.is_multiplexed(),
        }
    }

    /// `sent` says how far it has come.
    fn poll_send_all(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        sent: &mut usize,
    ) -> Poll<io::Result<()>> {
        while let Some(rest) = bytes.get(*sent..)
            && !rest.is_empty()
        {
            let count = match self {
                WriteHalf::Tcp(stream) => calls::poll_send(stream.as_ref(), cx, rest),
                WriteHalf::Unix(stream) => calls::poll_send(stream.as_ref(), cx, rest),
                WriteHalf::Layered(stream) => stream.poll_write(cx, rest),
            };
            match ready!(count)? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => *sent += count,
            }
        }
        match self {
            WriteHalf::Tcp(_) | WriteHalf::Unix(_) => Poll::Ready(Ok(())),
            WriteHalf::Layered(stream) => stream.poll_flush(cx),
        }
    }

    /// As [`ReadHalf::as_tcp`].
    pub fn as_tcp(&self) -> Option<&TcpStream> {
        match self {
            WriteHalf::Tcp(stream) => Some(stream.as_ref()),
            WriteHalf::Unix(_) | WriteHalf::Layered(_) => None,
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_read(cx, into),
            Stream::Unix(stream) => Pin::new(stream).poll_read(cx, into),
            Stream::Layered(stream) => stream.poll_read(cx, into),
        }
    }
}

impl AsyncRead for ReadHalf<'_> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            ReadHalf::Tcp(stream) => Pin::new(stream).poll_read(cx, into),
            ReadHalf::Unix(stream) => Pin::new(stream).poll_read(cx, into),
            ReadHalf::Layered(stream) => stream.poll_read(cx, into),
        }
    }
}

/// Both types write alike; `match` over the arms of each is all there is to it.
macro_rules! write_by_arm {
    ($stream:ty, $kind:ident) => {
        impl AsyncWrite for $stream {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bytes: &[u8],
            ) -> Poll<io::Result<usize>> {
                match self.get_mut() {
                    $kind::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
                    $kind::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
                    $kind::Layered(stream) => stream.poll_write(cx, bytes),
                }
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                slices: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                match self.get_mut() {
                    $kind::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
                    $kind::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
                    $kind::Layered(stream) => {
                        let first = slices.iter().find(|slice| !slice.is_empty());
                        stream.poll_write(cx, first.map_or(&[], |slice| slice))
                    }
                }
            }

            fn is_write_vectored(&self) -> bool {
                match self {
                    $kind::Tcp(_) | $kind::Unix(_) => true,
                    $kind::Layered(_) => false,
                }
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() {
                    $kind::Tcp(stream) => Pin::new(stream).poll_flush(cx),
                    $kind::Unix(stream) => Pin::new(stream).poll_flush(cx),
                    $kind::Layered(stream) => stream.poll_flush(cx),
                }
            }

            fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() {
                    $kind::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
                    $kind::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
                    $kind::Layered(stream) => stream.poll_shutdown(cx),
                }
            }
        }
    };
}

write_by_arm!(Stream, Stream);
write_by_arm!(WriteHalf<'_>, WriteHalf);
