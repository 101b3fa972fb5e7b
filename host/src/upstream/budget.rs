//! How many retries a cluster may make: a share of its requests, and a few each second besides.
//!
//! A token bucket as tower's `retry/budget` and linkerd have it: each request pays in a share of a retry, each retry takes a whole one out, and
//! time pays in a little, so that a cluster with few requests can retry as well. What is saved up is bounded by [`WINDOW`]: the retries after
//! an outage have no more than that to live on. In an outage of any length retries therefore stay below `share × requests + floor × seconds`.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

/// The time whose income may be saved up.
pub(super) const WINDOW: Duration = Duration::from_secs(10);

/// A retry.
const ONE: i64 = 1_000_000;

/// The balance of a cluster, over all workers.
#[derive(Debug)]
pub struct RetryBudget {
    /// In millionths of a retry.
    balance: AtomicI64,
    paid: Mutex<Option<Instant>>,
}

impl RetryBudget {
    pub fn new() -> RetryBudget {
        RetryBudget {
            balance: AtomicI64::new(0),
            paid: Mutex::new(None),
        }
    }

    /// A request pays in: `share` is what it allows, 0 to 1.
    pub fn deposit(&self, share: f64, floor: u32) {
        let most = most(floor) + (share * 1e4) as i64 * ONE / 100;
        if self.balance.load(Ordering::Relaxed) < most {
            self.balance
                .fetch_add((share * ONE as f64) as i64, Ordering::Relaxed);
        }
    }

    /// Takes a retry out; false when there is none left. `floor` is what time allows, in retries a second.
    pub fn withdraw(&self, floor: u32, now: Instant) -> bool {
        self.pay_in(floor, now);
        self.balance
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |balance| {
                (balance >= ONE).then(|| balance - ONE)
            })
            .is_ok()
    }

    fn pay_in(&self, floor: u32, now: Instant) {
        let mut paid = self
            .paid
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let passed = match *paid {
            None => WINDOW,
            Some(paid) => now.saturating_duration_since(paid).min(WINDOW),
        };
        *paid = Some(now.max(paid.unwrap_or(now)));
        let income = (passed.as_secs_f64() * f64::from(floor) * ONE as f64) as i64;
        let room = (most(floor) - self.balance.load(Ordering::Relaxed)).max(0);
        self.balance.fetch_add(income.min(room), Ordering::Relaxed);
    }
}

impl Default for RetryBudget {
    fn default() -> Self {
        RetryBudget::new()
    }
}

fn most(floor: u32) -> i64 {
    i64::from(floor) * WINDOW.as_secs() as i64 * ONE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_alone_allows_the_floor_and_saves_no_more_than_a_window() {
        let budget = RetryBudget::new();
        let start = Instant::now();
        let taken = |now| (0..1000).take_while(|_| budget.withdraw(10, now)).count();
        assert_eq!(taken(start), 100);
        assert_eq!(taken(start), 0);
        assert_eq!(taken(start + Duration::from_secs(1)), 10);
        assert_eq!(taken(start + Duration::from_secs(3600)), 100);
    }

    #[test]
    fn requests_allow_their_share() {
        let budget = RetryBudget::new();
        let now = Instant::now();
        assert!(!budget.withdraw(0, now));
        for _ in 0..50 {
            budget.deposit(0.2, 0);
        }
        let taken = (0..1000).take_while(|_| budget.withdraw(0, now)).count();
        assert_eq!(taken, 10);
    }

    #[test]
    fn requests_save_up_no_more_than_a_bound() {
        let budget = RetryBudget::new();
        for _ in 0..1_000_000 {
            budget.deposit(0.2, 10);
        }
        let now = Instant::now();
        let taken = (0..1_000_000)
            .take_while(|_| budget.withdraw(10, now))
            .count();
        assert!((100..=150).contains(&taken), "{taken}");
    }
}
