//! One stream of a connection, as a byte stream that an HTTP/1.1 endpoint seems to be at the other end of.

use super::exchange::Exchange;
use super::shared::{Sender, Shared};
use crate::http::Scheme;
use crate::net::transport::Transport;
use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::io::ReadBuf;

/// One exchange. Its cells are never borrowed over a call that comes back here.
#[derive(Debug)]
pub(super) struct ClientStream {
    exchange: RefCell<Exchange>,
}

impl ClientStream {
    /// A stream that has been counted with [`Shared::enter`].
    pub(super) fn new(shared: Rc<Shared>, sender: Sender, scheme: Scheme) -> ClientStream {
        ClientStream {
            exchange: RefCell::new(Exchange::new(shared, sender, scheme)),
        }
    }
}

impl Transport for ClientStream {
    fn poll_read(&self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = self.exchange.borrow_mut().poll_read(cx, into);
        read.map_err(|failure| failure.to_io())
    }

    fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = self.exchange.borrow_mut().poll_write(cx, bytes);
        written.map_err(|failure| failure.to_io())
    }

    /// The connection's driver sends what there is as soon as it can.
    fn poll_flush(&self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.exchange.borrow_mut().shut_down();
        Poll::Ready(Ok(()))
    }

    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.exchange.borrow_mut().poll_fill(cx).map(|_| Ok(()))
    }

    fn poll_peek(&self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let filled = self.exchange.borrow_mut().poll_fill(cx);
        filled.map(|filled| filled.map(usize::from).map_err(|failure| failure.to_io()))
    }

    fn is_read_closed(&self) -> bool {
        self.exchange.borrow().is_answered()
    }

    /// One exchange is all that a stream is for.
    fn is_stale(&self) -> bool {
        !self.exchange.borrow().is_usable()
    }

    /// An exchange that is incomplete when it is dropped ends in a reset anyway; one that is complete has nothing left to reset.
    fn reset_on_close(&self) {}

    fn is_multiplexed(&self) -> bool {
        true
    }
}
