//! Turns of the event loop: everything that is ready when it looks.
//!
//! What is sent while others of the same turn are still being read wakes its receiver for one message, which goes back to sleep before the
//! next one is there. So tasks send after all tasks of the turn have read: messages leave together, and a receiver on the same machine is
//! woken once for many (HAProxy has the same order: its poller reads, the streams that were woken by it write).

use std::task::{Context, Poll};

/// Puts the task behind all that are ready now. It is polled again when they have run.
pub(super) fn after_others<T>(cx: &mut Context<'_>) -> Poll<T> {
    cx.waker().wake_by_ref();
    Poll::Pending
}
