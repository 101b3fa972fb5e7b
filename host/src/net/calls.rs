//! The two system calls of the data path, made without the C library: its wrappers are cancellation points, which costs a process of several
//! threads as much as a tenth of the call.

use rustix::buffer::spare_capacity;
use rustix::net::{RecvFlags, SendFlags};
use std::io;
use std::os::fd::AsFd;
use std::task::{Context, Poll, ready};
use tokio::io::Interest;
use tokio::net::{TcpStream, UnixStream};

/// What a buffer without room grows by.
const GROWTH_BYTES: usize = 4096;

/// A connected socket that the event loop looks after.
pub(super) trait Socket: AsFd {
    fn poll_ready_to_read(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
    fn poll_ready_to_write(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
    /// Makes the call if the socket counts as ready; where it turns out that it was not, it does not count as ready any more.
    fn attempt<T>(&self, ready: Interest, call: impl FnOnce() -> io::Result<T>) -> io::Result<T>;
}

macro_rules! socket {
    ($socket:ty) => {
        impl Socket for $socket {
            fn poll_ready_to_read(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.poll_read_ready(cx)
            }

            fn poll_ready_to_write(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.poll_write_ready(cx)
            }

            fn attempt<T>(
                &self,
                ready: Interest,
                call: impl FnOnce() -> io::Result<T>,
            ) -> io::Result<T> {
                self.try_io(ready, call)
            }
        }
    };
}

socket!(TcpStream);
socket!(UnixStream);

/// Appends what is there to `into`, as far as its capacity goes, and answers how many bytes; none is the end.
pub(super) fn poll_receive(
    socket: &impl Socket,
    cx: &mut Context<'_>,
    into: &mut Vec<u8>,
) -> Poll<io::Result<usize>> {
    if into.len() == into.capacity() {
        into.reserve(GROWTH_BYTES);
    }
    let room = into.capacity() - into.len();
    loop {
        let received = socket.attempt(Interest::READABLE, || {
            let (count, _) = rustix::net::recv(socket, spare_capacity(into), RecvFlags::empty())?;
            Ok(count)
        });
        match received {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                ready!(socket.poll_ready_to_read(cx))?;
            }
            Ok(count) => {
                if 0 < count && count < room {
                    is_exhausted(socket, Interest::READABLE);
                }
                return Poll::Ready(Ok(count));
            }
            Err(error) => return Poll::Ready(Err(error)),
        }
    }
}

/// Sends from `bytes` what the socket takes.
pub(super) fn poll_send(
    socket: &impl Socket,
    cx: &mut Context<'_>,
    bytes: &[u8],
) -> Poll<io::Result<usize>> {
    loop {
        let sent = socket.attempt(Interest::WRITABLE, || {
            Ok(rustix::net::send(socket, bytes, SendFlags::NOSIGNAL)?)
        });
        match sent {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                ready!(socket.poll_ready_to_write(cx))?;
            }
            Ok(count) => {
                if 0 < count && count < bytes.len() {
                    is_exhausted(socket, Interest::WRITABLE);
                }
                return Poll::Ready(Ok(count));
            }
            Err(error) => return Poll::Ready(Err(error)),
        }
    }
}

/// A call that did less than it could has found the end of what is ready. Since the event loop tells of every change, the next call need not
/// be made to learn that (epoll(7), question 9). No event can come between the call and this: the event loop runs on this thread.
fn is_exhausted(socket: &impl Socket, ready: Interest) {
    let _ = socket.attempt(ready, || {
        io::Result::<()>::Err(io::ErrorKind::WouldBlock.into())
    });
}
