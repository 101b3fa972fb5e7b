//! The time of one check.

use std::cell::Cell;
use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::{Failure, Passed, Stage};

/// The longest wait for the endpoint to take leave after the result is known.
const LEAVE_MAX: Duration = Duration::from_millis(100);

/// When a check began and how long it may take as a whole.
#[derive(Debug)]
pub(super) struct Deadline {
    begun: Instant,
    timeout: Duration,
    /// When leave is over, from when it is first taken.
    leave: Cell<Option<Instant>>,
}

impl Deadline {
    pub(super) fn start(timeout: Duration) -> Deadline {
        Deadline {
            begun: Instant::now(),
            timeout,
            leave: Cell::new(None),
        }
    }

    /// The result of `step`, unless the time of the check ends first: then `stage` is what was waited for.
    pub(super) async fn bound<T>(
        &self,
        stage: Stage,
        step: impl Future<Output = T>,
    ) -> Result<T, Failure> {
        let timeout = self.timeout;
        timeout_at(self.begun + timeout, step)
            .await
            .map_err(|_| Failure::Timeout { stage, timeout })
    }

    /// Ends the measured part of the check.
    pub(super) fn passed(&self, detail: String) -> Passed {
        let took = self.begun.elapsed();
        Passed { detail, took }
    }

    /// Runs what no longer changes the result, for a short while and never past the end of the check. All such steps share that while.
    pub(super) async fn take_leave<T>(&self, step: impl Future<Output = T>) {
        let leave = self
            .leave
            .get()
            .unwrap_or_else(|| Instant::now() + LEAVE_MAX);
        self.leave.set(Some(leave));
        let until = leave.min(self.begun + self.timeout);
        // Whether it came to an end is of no interest: the connection is closed either way.
        let _ = timeout_at(until, step).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::sleep;

    #[tokio::test(start_paused = true)]
    async fn the_steps_of_a_check_share_its_timeout() {
        let timeout = Duration::from_secs(1);
        let deadline = Deadline::start(timeout);
        let step = || sleep(Duration::from_millis(600));
        assert_eq!(deadline.bound(Stage::Connection, step()).await, Ok(()));
        let stage = Stage::Answer;
        let late = Err(Failure::Timeout { stage, timeout });
        assert_eq!(deadline.bound(stage, step()).await, late);
    }

    #[tokio::test(start_paused = true)]
    async fn the_steps_of_leave_share_its_time() {
        let deadline = Deadline::start(Duration::from_secs(1));
        let slow = || sleep(Duration::from_millis(80));
        deadline.take_leave(slow()).await;
        deadline.take_leave(slow()).await;
        assert_eq!(deadline.begun.elapsed(), LEAVE_MAX);
    }
}
