//! Whether an endpoint may be used, and why: health, ejection, and what led to it.

use crate::health::{Counter, Transition};
use std::collections::VecDeque;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// Changes remembered for each endpoint.
const HISTORY_MAX: usize = 32;

/// What is known of the health of an endpoint. Behind a lock, since it changes seldom and is read when a list of endpoints is made.
#[derive(Debug, Default)]
pub(super) struct Status {
    /// None while nobody checks it: then it is up.
    pub(super) counter: Option<Counter>,
    ejection: Option<Ejection>,
    /// How often it was ejected, less one for each interval without a reason.
    ejections: u32,
    /// When it last came into service while the cluster was running; for slow start.
    pub(super) came: Option<Instant>,
    history: VecDeque<Change>,
    /// The result of the last check, in words.
    pub(super) last_check: Option<(SystemTime, String)>,
}

#[derive(Debug, Clone, Copy)]
struct Ejection {
    until: Instant,
}

/// A change of state, for the status page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) at: SystemTime,
    /// `up`, `down`, `ejected`, `returned`, `ready`, `draining`, `maintenance` or `weight`.
    pub(super) to: &'static str,
    pub(super) reason: String,
}

impl Status {
    /// By checks.
    pub(super) fn is_up(&self) -> bool {
        self.counter.as_ref().is_none_or(Counter::is_up)
    }

    pub(super) fn is_ejected(&self) -> bool {
        self.ejection.is_some()
    }

    pub(super) fn is_healthy(&self) -> bool {
        self.is_up() && !self.is_ejected()
    }

    /// The latest change is the last.
    pub(super) fn history(&self) -> impl Iterator<Item = &Change> {
        self.history.iter()
    }

    /// Notes a change.
    pub(super) fn note(&mut self, to: &'static str, reason: impl Into<String>) {
        if self.history.len() == HISTORY_MAX {
            self.history.pop_front();
        }
        self.history.push_back(Change {
            at: SystemTime::now(),
            to,
            reason: reason.into(),
        });
    }

    /// Counts a check; answers the change that it made. A check that passes ends an ejection (SEMANTICS 40).
    pub(super) fn checked(&mut self, result: Result<&str, &str>) -> Option<Transition> {
        let words = result.unwrap_or_else(|failure| failure);
        self.last_check = Some((SystemTime::now(), words.to_owned()));
        let counter = self.counter.as_mut()?;
        let transition = match result {
            Ok(_) => counter.passed(),
            Err(_) => counter.failed(),
        };
        match transition {
            Some(Transition::Up) => {
                self.came = Some(Instant::now());
                self.note("up", words);
            }
            Some(Transition::Down) => self.note("down", words),
            None => {}
        }
        transition
    }

    /// Takes it out for `base` times the number of ejections, at most `most`; answers for how long.
    pub(super) fn eject(&mut self, base: Duration, most: Duration, reason: &str) -> Duration {
        self.ejections = self.ejections.saturating_add(1);
        let time = base.saturating_mul(self.ejections).min(most);
        self.ejection = Some(Ejection {
            until: Instant::now() + time,
        });
        self.note("ejected", reason);
        time
    }

    /// Ends an ejection whose time is over, or any if `at_once`; answers whether it did.
    pub(super) fn readmit(&mut self, at_once: bool, reason: &str) -> bool {
        let over = |ejection: &mut Ejection| at_once || ejection.until <= Instant::now();
        if self.ejection.take_if(over).is_none() {
            return false;
        }
        self.came = Some(Instant::now());
        self.note("returned", reason);
        true
    }

    /// An interval has passed without a reason to eject it: the next ejection is shorter.
    pub(super) fn forgive(&mut self) {
        if !self.is_ejected() {
            self.ejections = self.ejections.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn ejections_grow_up_to_a_most_and_are_forgiven() {
        let mut status = Status::default();
        let (base, most) = (Duration::from_secs(30), Duration::from_secs(70));
        let mut times = Vec::new();
        for _ in 0..3 {
            let time = status.eject(base, most, "test");
            times.push(time.as_secs());
            tokio::time::advance(time - Duration::from_millis(1)).await;
            assert!(!status.readmit(false, "over") && status.is_ejected());
            tokio::time::advance(Duration::from_millis(1)).await;
            assert!(status.readmit(false, "over") && !status.is_ejected());
        }
        assert_eq!(times, [30, 60, 70]);
        status.forgive();
        status.forgive();
        assert_eq!(status.eject(base, most, "test").as_secs(), 60);
        status.forgive();
        assert!(status.readmit(true, "asked"));
        assert_eq!(
            status.eject(base, most, "test").as_secs(),
            70,
            "not forgiven while ejected"
        );
    }

    #[test]
    fn history_is_bounded() {
        let mut status = Status::default();
        for number in 0..HISTORY_MAX + 1 {
            status.note("up", number.to_string());
        }
        assert_eq!(status.history().count(), HISTORY_MAX);
        assert_eq!(
            status.history().next().map(|change| &*change.reason),
            Some("1")
        );
    }
}
