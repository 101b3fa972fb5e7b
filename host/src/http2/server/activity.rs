//! How many streams of a connection are open, for its idle timer.

use crate::net::timer::Timer;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// The streams of one connection, counted.
#[derive(Debug, Default)]
pub struct Activity {
    open: Cell<usize>,
    /// Whether the idle time is running.
    waits: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Activity {
    /// Streams that are open now.
    pub fn open(&self) -> usize {
        self.open.get()
    }

    /// Until no stream has been open for `patience`, or `timer` was made to expire by somebody else. Frames that open no stream, such as pings,
    /// do not count as activity. Uses `timer`; one task waits at a time. Cancel safe: a later call goes on with the time that is running.
    pub async fn idle(&self, timer: &Timer, patience: Duration) {
        std::future::poll_fn(|cx| self.poll_idle(cx, timer, patience)).await;
    }

    /// As [`Activity::idle`].
    pub fn poll_idle(&self, cx: &mut Context<'_>, timer: &Timer, patience: Duration) -> Poll<()> {
        if timer.poll_expired(cx).is_ready() {
            self.waits.set(false);
            timer.clear();
            return Poll::Ready(());
        }
        let is_idle = self.open.get() == 0;
        if is_idle != self.waits.replace(is_idle) {
            if is_idle {
                timer.set(patience);
            } else {
                timer.clear();
            }
        }
        self.waker.replace(Some(cx.waker().clone()));
        Poll::Pending
    }

    fn change(&self, open: usize) {
        let was_idle = self.open.replace(open) == 0;
        if was_idle != (open == 0)
            && let Some(waker) = self.waker.take()
        {
            waker.wake();
        }
    }
}

/// A stream's place in the count; leaves when dropped.
#[derive(Debug)]
pub(super) struct Place(Rc<Activity>);

impl Place {
    pub(super) fn take(activity: &Rc<Activity>) -> Place {
        activity.change(activity.open() + 1);
        Place(activity.clone())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.change(self.0.open().saturating_sub(1));
    }
}
