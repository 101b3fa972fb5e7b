//! What a connection, its driver and its streams know in common: how many streams there are, and whether there may be more.

use super::Settings;
use super::error::Failure;
use super::guard::Credit;
use crate::net::timer::coarse_now;
use bytes::Bytes;
use h2::client::SendRequest;
use h2::{Reason, RecvStream, SendStream};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// The peer's limit of streams before its SETTINGS are there. No peer can send it where `usize` is larger than 32 bits; where it is not, one
/// that allows exactly this many is kept to [`STREAMS_BEFORE_SETTINGS`].
pub(super) const STREAMS_UNKNOWN: usize = usize::MAX - 1;

/// Opened on trust: RFC 9113 section 6.5.2 asks peers to allow at least as many.
const STREAMS_BEFORE_SETTINGS: usize = 100;

/// Bounds the answered streams whose end is waited for; the longest waiting one is reset instead.
const LINGERING_MAX: usize = 64;

pub(super) type Sender = SendRequest<Bytes>;

/// The state of one connection.
#[derive(Debug)]
pub(super) struct Shared {
    /// None once no more streams may be opened. The `h2` connection ends by itself when no sender and no stream is left.
    sender: RefCell<Option<Sender>>,
    streams_max: usize,
    pub(super) header_bytes_max: usize,
    pub(super) credit: Rc<Credit>,
    /// Streams given out and not dropped yet.
    open: Cell<usize>,
    /// Streams whose request has left and that have not ended.
    begun: Cell<usize>,
    idle_since: Cell<Duration>,
    ended: Cell<bool>,
    driver: RefCell<Option<Waker>>,
    /// Streams that wait for the peer's SETTINGS. Bounded by the open ones.
    settings_waiters: RefCell<Vec<Waker>>,
    lingering: RefCell<Vec<Lingering>>,
}

/// A stream whose exchange is complete, but for the peer's END_STREAM.
#[derive(Debug)]
pub(super) struct Lingering {
    pub(super) send: SendStream<Bytes>,
    pub(super) receive: RecvStream,
}

/// Whether the peer takes extended CONNECT (RFC 8441 section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extended {
    Unknown,
    Allowed,
    Refused,
}

impl Shared {
    pub(super) fn new(sender: Sender, settings: &Settings, credit: Rc<Credit>) -> Shared {
        Shared {
            sender: RefCell::new(Some(sender)),
            streams_max: usize::try_from(settings.streams_max).unwrap_or(usize::MAX),
            header_bytes_max: settings.header_bytes_max,
            credit,
            open: Cell::new(0),
            begun: Cell::new(0),
            idle_since: Cell::new(coarse_now()),
            ended: Cell::new(false),
            driver: RefCell::default(),
            settings_waiters: RefCell::default(),
            lingering: RefCell::default(),
        }
    }

    pub(super) fn is_usable(&self) -> bool {
        let mut sender = self.sender.borrow_mut();
        !self.ended.get() && sender.as_mut().is_some_and(takes_requests)
    }

    pub(super) fn has_room(&self) -> bool {
        let mut sender = self.sender.borrow_mut();
        let Some(sender) = sender.as_mut().filter(|_| !self.ended.get()) else {
            return false;
        };
        let used = self.open.get().max(self.begun.get());
        used < self.streams_max.min(peer_streams_max(sender)) && takes_requests(sender)
    }

    pub(super) fn open_streams(&self) -> usize {
        self.open.get()
    }

    pub(super) fn idle_since(&self) -> Option<Duration> {
        (self.open.get() == 0).then(|| self.idle_since.get())
    }

    pub(super) fn close(&self) {
        self.sender.borrow_mut().take();
        self.wake_driver();
    }

    /// Counts a stream in, if there is room; [`Shared::leave`] counts it out.
    pub(super) fn enter(&self) -> Option<Sender> {
        if !self.has_room() {
            return None;
        }
        self.open.set(self.open.get() + 1);
        self.sender.borrow().clone()
    }

    /// Counts a stream's request as sent. Fails when the peer has lowered its limit since the stream was opened: `h2` would queue it behind
    /// the others, and it may do better elsewhere.
    pub(super) fn begin(&self, sender: &Sender) -> Result<(), Failure> {
        if self.begun.get() >= peer_streams_max(sender) {
            return Err(Failure::not_processed(
                "the endpoint takes fewer streams now",
            ));
        }
        self.begun.set(self.begun.get() + 1);
        self.credit.grant();
        Ok(())
    }

    /// A begun stream has ended.
    pub(super) fn end(&self) {
        self.begun.set(self.begun.get().saturating_sub(1));
        self.credit.cap(self.begun.get());
    }

    /// A stream was dropped.
    pub(super) fn leave(&self) {
        self.open.set(self.open.get().saturating_sub(1));
        if self.open.get() == 0 {
            self.idle_since.set(coarse_now());
            if !self.is_usable() {
                self.wake_driver();
            }
        }
    }

    /// Whether `sender`'s peer takes extended CONNECT; if that is not known yet, `cx` is woken when it is.
    pub(super) fn extended(&self, sender: &Sender, cx: &Context<'_>) -> Extended {
        // On a connection that has ended the request fails when it is sent, and with the right reason.
        if sender.is_extended_connect_protocol_enabled() || self.ended.get() {
            return Extended::Allowed;
        }
        if has_settings(sender) {
            return Extended::Refused;
        }
        let mut waiters = self.settings_waiters.borrow_mut();
        if !waiters.iter().any(|waiter| waiter.will_wake(cx.waker())) {
            waiters.push(cx.waker().clone());
        }
        Extended::Unknown
    }

    /// Leaves an answered stream to the driver until the peer ends it, so that a complete exchange is not reset: servers count resets as abuse.
    pub(super) fn linger(&self, stream: Lingering) {
        let mut lingering = self.lingering.borrow_mut();
        if lingering.len() == LINGERING_MAX {
            lingering.remove(0).send.send_reset(Reason::CANCEL);
            self.end();
        }
        lingering.push(stream);
        self.wake_driver();
    }

    /// Whether nothing is left to do but to close.
    pub(super) fn is_finishing(&self) -> bool {
        self.open.get() == 0 && !self.is_usable()
    }

    /// For the driver: who to wake when something changes here.
    pub(super) fn register_driver(&self, waker: &Waker) {
        let mut driver = self.driver.borrow_mut();
        if !driver.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *driver = Some(waker.clone());
        }
    }

    /// For the driver, before the connection is driven: ends what lingers and has ended.
    pub(super) fn poll_lingering(&self, cx: &mut Context<'_>) {
        let mut lingering = self.lingering.borrow_mut();
        lingering.retain_mut(|stream| {
            let stays = stream.receive.poll_data(cx).is_pending();
            if !stays {
                stream.finish();
                self.end();
            }
            stays
        });
    }

    /// For the driver: whether the peer's SETTINGS have been read, as far as that matters to anybody.
    pub(super) fn has_settings(&self) -> bool {
        self.sender.borrow().as_ref().is_none_or(has_settings)
    }

    /// For the driver, after the connection was driven: tells those who wait for SETTINGS.
    pub(super) fn note_settings(&self) {
        if self.settings_waiters.borrow().is_empty() {
            return;
        }
        if self.has_settings() {
            self.wake_settings_waiters();
        }
    }

    /// For the driver: the connection is closed.
    pub(super) fn set_ended(&self) {
        self.ended.set(true);
        self.sender.borrow_mut().take();
        self.lingering.borrow_mut().clear();
        self.wake_settings_waiters();
    }

    fn wake_settings_waiters(&self) {
        self.settings_waiters
            .borrow_mut()
            .drain(..)
            .for_each(Waker::wake);
    }

    fn wake_driver(&self) {
        if let Some(driver) = &*self.driver.borrow() {
            driver.wake_by_ref();
        }
    }
}

impl Lingering {
    /// The peer has ended the stream, or sent more than it announced: then the rest is not wanted.
    fn finish(&mut self) {
        if !self.receive.is_end_stream() {
            self.send.send_reset(Reason::CANCEL);
        }
    }
}

/// No GOAWAY, no broken connection, stream numbers left. Looks only: without a stream that is queued there is nothing to wait for.
fn takes_requests(sender: &mut Sender) -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    matches!(sender.poll_ready(&mut cx), Poll::Ready(Ok(())))
}

fn has_settings(sender: &Sender) -> bool {
    sender.current_max_send_streams() != STREAMS_UNKNOWN
}

fn peer_streams_max(sender: &Sender) -> usize {
    match sender.current_max_send_streams() {
        STREAMS_UNKNOWN => STREAMS_BEFORE_SETTINGS,
        known => known,
    }
}
