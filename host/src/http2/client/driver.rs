//! The task that moves a connection's frames.

use super::guard::Guarded;
use super::shared::Shared;
use crate::http2::wire::Wire;
use crate::net::timer::Timer;
use bytes::Bytes;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

/// How long a connection without streams has to say goodbye: a peer that reads nothing would keep its GOAWAY, and with it `held`, for good.
pub(super) const CLOSING_TIMEOUT: Duration = Duration::from_secs(5);

type H2Connection = h2::client::Connection<Guarded, Bytes>;

/// Drives `connection` until it has ended: the peer closed it, it broke, or nobody can open streams on it any more and the last one is gone.
pub(super) async fn drive(
    connection: H2Connection,
    wire: Rc<Wire>,
    shared: Rc<Shared>,
    held: impl Sized + 'static,
) {
    let mut driver = Driver {
        connection,
        wire,
        shared: Rc::clone(&shared),
        closing: None,
    };
    if let Err(error) = (&mut driver).await {
        tracing::debug!(%error, "HTTP/2 connection to upstream broke");
    }
    // Fails the streams that are left, so they must not be told before that the connection has ended.
    drop(driver);
    shared.set_ended();
    drop(held);
}

struct Driver {
    connection: H2Connection,
    wire: Rc<Wire>,
    shared: Rc<Shared>,
    /// Set while there is nothing left to do but to close.
    closing: Option<Timer>,
}

impl Future for Driver {
    type Output = io::Result<()>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let driver = self.get_mut();
        driver.shared.register_driver(cx.waker());
        driver.shared.poll_lingering(cx);
        let ended = driver.poll_connection(cx);
        driver.shared.note_settings();
        match ended {
            Poll::Ready(ended) => Poll::Ready(ended.map_err(io::Error::other)),
            Poll::Pending => match driver.wire.poll_send(cx) {
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                Poll::Ready(Ok(())) | Poll::Pending => driver.poll_closing(cx).map(Ok),
            },
        }
    }
}

impl Driver {
    /// Lets the connection write and read. What was begun before the peer's SETTINGS leaves before they are read: the peer then refuses what is
    /// one too many, and it is tried elsewhere. Read first, they would make `h2` queue it behind requests that may never end.
    fn poll_connection(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), h2::Error>> {
        if !self.shared.has_settings() {
            self.wire.hold_reads(true);
            let ended = Pin::new(&mut self.connection).poll(cx);
            self.wire.hold_reads(false);
            if ended.is_ready() {
                return ended;
            }
        }
        Pin::new(&mut self.connection).poll(cx)
    }

    fn poll_closing(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.shared.is_finishing() {
            self.closing = None;
            return Poll::Pending;
        }
        let timer = self.closing.get_or_insert_with(|| {
            let timer = Timer::new();
            timer.set(CLOSING_TIMEOUT);
            timer
        });
        timer.poll_expired(cx)
    }
}
