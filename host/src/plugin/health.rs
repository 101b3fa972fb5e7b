//! Whether a plugin may be called again on this worker after faults in a row, and which of its faults are logged.

use std::time::{Duration, Instant};

use super::state::{Allowed, LogLimit};

/// Faults in a row that only cost their instance; from the next on the plugin backs off. Three tells a bad message from a bad plugin.
const FAULTS_FREE: u32 = 3;
/// Faults logged in a second, for each plugin and worker: those of a plugin that fails now and then never come to backing off.
const FAULTS_LOGGED_PER_SECOND: u32 = 5;
const BACKOFF_FIRST: Duration = Duration::from_millis(10);
const BACKOFF_MAX: Duration = Duration::from_secs(10);

/// One worker's memory of one plugin's faults. A success forgets them.
#[derive(Debug, Default)]
pub(super) struct Health {
    faults_in_a_row: u32,
    blocked_until: Option<Instant>,
    log: LogLimit,
}

/// What a fault leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Consequence {
    /// No call is made for this long; zero: the next call gets a new instance.
    pub(super) backoff: Duration,
    /// Whether to log it; holds how many faults went unlogged before.
    pub(super) log: Option<u64>,
}

impl Health {
    /// Whether a call may be made. Reads the clock only after faults.
    pub(super) fn allows(&self, now: impl FnOnce() -> Instant) -> bool {
        self.blocked_until.is_none_or(|until| now() >= until)
    }

    #[inline]
    pub(super) fn succeeded(&mut self) {
        if self.faults_in_a_row > 0 {
            self.faults_in_a_row = 0;
            self.blocked_until = None;
        }
    }

    pub(super) fn failed(&mut self, now: Instant) -> Consequence {
        self.faults_in_a_row = self.faults_in_a_row.saturating_add(1);
        let backoff = backoff(self.faults_in_a_row);
        self.blocked_until = (!backoff.is_zero()).then(|| now + backoff);
        let log = match self.log.allow(FAULTS_LOGGED_PER_SECOND, now) {
            Allowed::Yes { dropped } => Some(dropped),
            Allowed::No => None,
        };
        Consequence { backoff, log }
    }
}

/// 10 ms after the fourth fault in a row, doubled with each further one, up to 10 s.
fn backoff(faults_in_a_row: u32) -> Duration {
    match faults_in_a_row.checked_sub(FAULTS_FREE + 1) {
        None => Duration::ZERO,
        Some(step) => BACKOFF_FIRST
            .saturating_mul(1 << step.min(16))
            .min(BACKOFF_MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_from_the_fourth_fault_up_to_ten_seconds() {
        let milliseconds = |faults| backoff(faults).as_millis();
        let table = [
            (0, 0),
            (1, 0),
            (3, 0),
            (4, 10),
            (5, 20),
            (6, 40),
            (13, 5_120),
            (14, 10_000),
            (15, 10_000),
            (u32::MAX, 10_000),
        ];
        for (faults, expected) in table {
            assert_eq!(milliseconds(faults), expected, "{faults}");
        }
    }

    #[test]
    fn a_blocked_plugin_is_let_in_again_at_the_deadline_and_a_success_forgets() {
        let start = Instant::now();
        let mut health = Health::default();
        for _ in 0..FAULTS_FREE {
            assert_eq!(health.failed(start).backoff, Duration::ZERO);
            assert!(health.allows(|| start));
        }
        assert_eq!(health.failed(start).backoff, BACKOFF_FIRST);
        assert!(!health.allows(|| start + BACKOFF_FIRST - Duration::from_nanos(1)));
        assert!(health.allows(|| start + BACKOFF_FIRST));
        health.succeeded();
        assert!(health.allows(|| start));
        assert_eq!(health.failed(start).backoff, Duration::ZERO);
    }

    #[test]
    fn faults_between_successes_are_logged_at_a_bounded_rate() {
        let start = Instant::now();
        let mut health = Health::default();
        let mut logged = 0;
        for _ in 0..1_000 {
            logged += usize::from(health.failed(start).log.is_some());
            health.succeeded();
        }
        assert_eq!(logged, 5);
        assert_eq!(health.failed(start + Duration::from_secs(1)).log, Some(995));
    }
}
