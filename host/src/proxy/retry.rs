//! Whether, and when, a request is sent again. What may be repeated is decided here and nowhere else.
//!
//! A connection that could not be made is tried again whatever the request: nothing was sent. Since no endpoint got more than it would have
//! without, that costs no budget. A reused connection that ends before the first byte of an answer was being closed by the endpoint while we
//! sent; the request goes once more on a new connection if sending it twice does no harm. All else is tried again only as the policy says,
//! if sending it twice does no harm, and within the budget. Harmless is what is idempotent (nginx's rule, SEMANTICS 10) or declared so, and
//! of which everything sent is still in hand.

use super::outcome::Stop;
use super::response::NoAnswer;
use crate::config;
use crate::upstream::{RetryBudget, Verdict};
use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

/// The tries of one request.
#[derive(Debug)]
pub(super) struct Tries<'t> {
    policy: &'t config::Retry,
    budget: &'t RetryBudget,
    /// Sending it twice does no harm, as far as its method goes.
    harmless: bool,
    made: Cell<u32>,
    /// A reused connection was lost already.
    stale: Cell<bool>,
    /// What was sent of the body after the first part, to be sent again.
    kept: RefCell<Vec<u8>>,
    /// How much was kept in all.
    kept_bytes: Cell<u64>,
    /// How much may be.
    kept_bytes_max: u64,
    overflowed: Cell<bool>,
}

/// Why an attempt had no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// Nothing was sent.
    Connect(Stop),
    /// A reused connection ended before the first byte of an answer.
    Stale,
    Reset(Stop),
    TimedOut,
    /// An answer that the policy does not take, with a retry taken from the budget already.
    Status,
    /// Nothing that another attempt could mend.
    Final(Stop),
}

/// What follows a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// At once, on a new connection to whoever is picked.
    Reconnect,
    /// At another endpoint if there is one. The wait is for the policy's sake, or only where there is no other.
    Again {
        wait: Duration,
        always: bool,
    },
    /// At once, at another endpoint if there is one; it was no attempt.
    Elsewhere(Stop),
    Stop(Stop),
}

impl Failure {
    /// Of an attempt that had a connection.
    pub(super) fn of(no_answer: NoAnswer, reused: bool) -> Failure {
        match no_answer {
            NoAnswer::Lost if reused => Failure::Stale,
            NoAnswer::Lost | NoAnswer::Cut | NoAnswer::EndpointDown => {
                Failure::Reset(no_answer.stop())
            }
            NoAnswer::Timeout => Failure::TimedOut,
            NoAnswer::Status => Failure::Status,
            NoAnswer::Invalid
            | NoAnswer::DownstreamGone
            | NoAnswer::FilterClosed
            | NoAnswer::Upload(_) => Failure::Final(no_answer.stop()),
        }
    }

    /// What it says about the endpoint; an answer's status was counted when it came.
    pub(super) fn verdict(self) -> Option<Verdict> {
        match self {
            Failure::Connect(Stop::ConnectFailed | Stop::ConnectTimeout) => {
                Some(Verdict::ConnectFailed)
            }
            Failure::Reset(Stop::UpstreamReset) | Failure::Final(Stop::UpstreamInvalid) => {
                Some(Verdict::Reset)
            }
            Failure::TimedOut => Some(Verdict::TimedOut),
            Failure::Connect(_)
            | Failure::Stale
            | Failure::Reset(_)
            | Failure::Status
            | Failure::Final(_) => None,
        }
    }
}

impl<'t> Tries<'t> {
    /// For a request whose method is `idempotent`. It pays into the budget if it may take out of it. `mirrored` is how much of its body is
    /// to be kept for a mirror.
    pub(super) fn new(
        policy: &'t config::Retry,
        budget: &'t RetryBudget,
        idempotent: bool,
        mirrored: Option<u64>,
    ) -> Tries<'t> {
        let on = &policy.on;
        if on.reset || on.timeout || !on.statuses.is_empty() || policy.hedge_delay.is_some() {
            budget.deposit(policy.budget.factor(), policy.budget_min);
        }
        let harmless = idempotent || policy.non_idempotent;
        let for_retry = if harmless { policy.body_bytes_max } else { 0 };
        Tries {
            policy,
            budget,
            harmless,
            kept_bytes: Cell::new(0),
            kept_bytes_max: for_retry.max(mirrored.unwrap_or(0)),
            made: Cell::new(0),
            stale: Cell::new(false),
            kept: RefCell::default(),
            overflowed: Cell::new(false),
        }
    }

    pub(super) fn policy(&self) -> &config::Retry {
        self.policy
    }

    /// One more attempt begins.
    pub(super) fn begin(&self) {
        self.made.set(self.made.get() + 1);
    }

    /// Whether everything sent is in hand and may be sent twice.
    pub(super) fn is_repeatable(&self) -> bool {
        self.harmless
            && !self.overflowed.get()
            && self.kept_bytes.get() <= self.policy.body_bytes_max
    }

    /// Keeps a part of the body that is being sent, as long as it may have to be sent again.
    pub(super) fn keep(&self, part: &[u8]) {
        let bytes = self.kept_bytes.get() + part.len() as u64;
        self.kept_bytes.set(bytes);
        if bytes > self.kept_bytes_max {
            self.overflowed.set(true);
            *self.kept.borrow_mut() = Vec::new();
        }
        if !self.overflowed.get() {
            self.kept.borrow_mut().extend_from_slice(part);
        }
    }

    /// Moves what was kept behind what is sent first.
    pub(super) fn recall(&self, first: &mut Vec<u8>) {
        first.append(&mut self.kept.borrow_mut());
    }

    /// Everything sent, `first` being what was sent first, if no more than `most` of the body followed it.
    pub(super) fn whole(&self, first: &[u8], most: u64) -> Option<Vec<u8>> {
        let in_hand = !self.overflowed.get() && self.kept_bytes.get() <= most;
        in_hand.then(|| [first, &self.kept.borrow()].concat())
    }

    /// Whether an answer with this status is thrown away for another attempt; takes it from the budget.
    pub(super) fn takes_another_for(&self, status: u16) -> bool {
        let listed = self.policy.on.statuses.iter();
        listed.into_iter().any(|range| range.contains(&status)) && self.may_retry()
    }

    /// Whether a second attempt may begin beside the first; takes it from the budget.
    pub(super) fn may_hedge(&self) -> bool {
        self.may_retry()
    }

    fn has_more(&self) -> bool {
        self.made.get() < self.policy.attempts
    }

    fn may_retry(&self) -> bool {
        self.has_more()
            && self.is_repeatable()
            && self.budget.withdraw(self.policy.budget_min, Instant::now())
    }

    /// What follows a failure.
    pub(super) fn after(&self, failure: Failure) -> Then {
        let on = &self.policy.on;
        let wait = self.backoff();
        match failure {
            Failure::Stale if self.is_repeatable() && !self.stale.replace(true) => {
                self.made.set(self.made.get().saturating_sub(1));
                Then::Reconnect
            }
            Failure::Stale => Then::Stop(Stop::UpstreamReset),
            Failure::Connect(Stop::ConnectFailed | Stop::ConnectTimeout)
                if on.connect_failure && self.has_more() =>
            {
                Then::Again {
                    wait,
                    always: false,
                }
            }
            Failure::Connect(stop @ Stop::CircuitOpen) => {
                self.made.set(self.made.get().saturating_sub(1));
                Then::Elsewhere(stop)
            }
            Failure::Reset(_) if on.reset && self.may_retry() => Then::Again { wait, always: true },
            Failure::TimedOut if on.timeout && self.may_retry() => {
                Then::Again { wait, always: true }
            }
            Failure::Status => Then::Again { wait, always: true },
            Failure::Connect(stop) | Failure::Reset(stop) | Failure::Final(stop) => {
                Then::Stop(stop)
            }
            Failure::TimedOut => Then::Stop(Stop::ResponseTimeout),
        }
    }

    /// Full jitter: anything from nothing to `backoff × (2^n - 1)` before retry number n, at most `backoff-max` (SEMANTICS 42).
    fn backoff(&self) -> Duration {
        let factor = 2_u32
            .saturating_pow(self.made.get().max(1))
            .saturating_sub(1);
        let most = self.policy.backoff.saturating_mul(factor);
        most.min(self.policy.backoff_max).mul_f64(fastrand::f64())
    }
}
