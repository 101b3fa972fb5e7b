//! One stream from a downstream as a transport: reads as an HTTP/1.1 request, takes an HTTP/1.1 response.

use super::activity::{Activity, Place};
use super::response::Responding;
use crate::http2::message::Incoming;
use crate::net::transport::Transport;
use ::http::Method;
use bytes::Bytes;
use h2::Reason;
use h2::server::SendResponse;
use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use tokio::io::ReadBuf;

/// One request with its response. Once a whole response was shut down, reads are at the end, whatever the peer still sends.
///
/// Dropping it ends the stream: in order when the response is whole, asking the peer to stop if it still sends (RFC 9113 section 8.1);
/// otherwise by a reset: REFUSED_STREAM when nothing was read (so the peer may send it again), CANCEL when it was read and not answered,
/// INTERNAL_ERROR when the response is cut short, CONNECT_ERROR for a tunnel that was not shut down.
#[derive(Debug)]
pub(super) struct Exchange {
    incoming: RefCell<Incoming>,
    responding: RefCell<Responding>,
    was_read: Cell<bool>,
    resets: Cell<bool>,
    /// The task that drives this, for looks that must not take its place in h2.
    waker: RefCell<Waker>,
    _place: Place,
}

impl Exchange {
    pub(super) fn new(
        incoming: Incoming,
        respond: SendResponse<Bytes>,
        method: Method,
        tunnel_asked: bool,
        activity: &Rc<Activity>,
    ) -> Exchange {
        Exchange {
            incoming: RefCell::new(incoming),
            responding: RefCell::new(Responding::new(respond, method, tunnel_asked)),
            was_read: Cell::new(false),
            resets: Cell::new(false),
            waker: RefCell::new(Waker::noop().clone()),
            _place: Place::take(activity),
        }
    }

    fn is_driven_by(&self, cx: &Context<'_>) {
        self.waker.borrow_mut().clone_from(cx.waker());
    }

    fn poll_reset(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.responding.borrow_mut().poll_reset(cx)
    }

    fn is_tunnel(&self) -> bool {
        matches!(*self.responding.borrow(), Responding::Tunnel(_))
    }

    /// Whether there is something to read; ready with false at the end and with an error for a stream that was reset.
    fn poll_input(&self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        self.is_driven_by(cx);
        match self.incoming.borrow_mut().poll_ready(cx) {
            Poll::Pending => self.poll_reset(cx).map(|()| Err(reset())),
            ready => ready,
        }
    }

    /// How to end a stream whose response is not whole.
    fn reason(&self) -> Reason {
        match *self.responding.borrow() {
            Responding::Head(_) if !self.was_read.get() => Reason::REFUSED_STREAM,
            Responding::Head(_) => Reason::CANCEL,
            Responding::Body(_) => Reason::INTERNAL_ERROR,
            Responding::Tunnel(_) => Reason::CONNECT_ERROR,
        }
    }
}

fn reset() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

impl Transport for Exchange {
    fn poll_read(&self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.is_driven_by(cx);
        self.was_read.set(true);
        match self.incoming.borrow_mut().poll_read(cx, into) {
            Poll::Pending => self.poll_reset(cx).map(|()| Err(reset())),
            ready => ready,
        }
    }

    fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.is_driven_by(cx);
        let mut responding = self.responding.borrow_mut();
        let was_head = matches!(*responding, Responding::Head(_));
        let taken = ready!(responding.poll_write(cx, bytes))?;
        match *responding {
            Responding::Body(_) if was_head => self.incoming.borrow_mut().refuse(),
            Responding::Tunnel(_) if was_head => self.incoming.borrow_mut().open(),
            Responding::Head(_) | Responding::Body(_) | Responding::Tunnel(_) => {
                return Poll::Ready(Ok(taken));
            }
        }
        // Whoever waits to read waits for this.
        cx.waker().wake_by_ref();
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.is_driven_by(cx);
        self.responding.borrow_mut().poll_flush(cx)
    }

    fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.is_driven_by(cx);
        let mut responding = self.responding.borrow_mut();
        ready!(responding.poll_finish(cx))?;
        if matches!(*responding, Responding::Body(_)) && responding.is_done() {
            self.incoming.borrow_mut().end();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What is wrong is for the read to say.
        self.poll_input(cx).map(|_| Ok(()))
    }

    fn poll_peek(&self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        match ready!(self.poll_input(cx)) {
            Ok(true) => Poll::Ready(Ok(1)),
            // The end of a request is not the peer's leaving.
            Ok(false) if !self.is_tunnel() => self.poll_reset(cx).map(|()| Ok(0)),
            Ok(false) | Err(_) => Poll::Ready(Ok(0)),
        }
    }

    fn is_read_closed(&self) -> bool {
        let waker = self.waker.borrow().clone();
        self.poll_reset(&mut Context::from_waker(&waker)).is_ready()
    }

    fn is_stale(&self) -> bool {
        self.incoming.borrow().is_ended() || self.is_read_closed()
    }

    fn reset_on_close(&self) {
        self.resets.set(true);
    }

    fn is_multiplexed(&self) -> bool {
        true
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if self.resets.get() || !self.responding.get_mut().is_done() {
            let reason = self.reason();
            self.responding.get_mut().reset(reason);
        }
    }
}
