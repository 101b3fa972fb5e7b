//! Whether, and when, a request is sent again. What may be repeated is decided here and nowhere else.
//!
//! A connection that could not be made is tried again whatever the request: nothing was sent. The first time costs no budget, since the next
//! endpoint gets no more than it would have got; where that one cannot be connected to either, the trouble is wider. A reused connection that ends before the first byte of an answer was being closed by the endpoint while we
//! sent; the request goes once more on a new connection if sending it twice does no harm. All else is tried again only as the policy says,
//! if sending it twice does no harm, and within the budget. Harmless is what is idempotent (nginx's rule, SEMANTICS 10) or declared so, and
//! of which everything sent is still in hand.

use super::outcome::Stop;
use super::response::NoAnswer;
use crate::config;
use crate::upstream::{RetryBudget, Verdict};
use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

/// How often a request goes to another connection because one was about to be closed, or refused it: as an endpoint with several restarts.
const NOT_PROCESSED_MAX: u32 = 3;

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
    /// How often the endpoint has said that it did not begin.
    refused: Cell<u32>,
    /// A connect has failed already.
    unconnected: Cell<bool>,
    /// A part of the body is sent after the first, while the answer may come already.
    uploading: Cell<bool>,
    /// The last of it was sent.
    sent_at: Cell<Option<Instant>>,
    /// What was sent of the body after the first part, to be sent again.
    kept: RefCell<Vec<u8>>,
    /// How much of the body was sent in all.
    kept_bytes: Cell<u64>,
    /// How much may be.
    kept_bytes_max: u64,
    overflowed: Cell<bool>,
    /// Something of the body was sent after the first part.
    sent_more: Cell<bool>,
}

/// Why an attempt had no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// Nothing was sent.
    Connect(Stop),
    /// A reused connection ended before the first byte of an answer.
    Stale,
    /// The endpoint has said that it did not begin to serve the request.
    NotProcessed,
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
    Stop(Stop),
}

impl Failure {
    /// Of an attempt that had a connection.
    pub(super) fn of(no_answer: NoAnswer, reused: bool) -> Failure {
        match no_answer {
            NoAnswer::Lost if reused => Failure::Stale,
            NoAnswer::NotProcessed => Failure::NotProcessed,
            NoAnswer::Lost | NoAnswer::Cut | NoAnswer::EndpointDown => {
                Failure::Reset(no_answer.stop())
            }
            NoAnswer::Timeout => Failure::TimedOut,
            NoAnswer::Status => Failure::Status,
            NoAnswer::Invalid
            | NoAnswer::Deadline
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
            | Failure::NotProcessed
            | Failure::Reset(_)
            | Failure::Status
            | Failure::Final(_) => None,
        }
    }
}

impl<'t> Tries<'t> {
    /// For a request whose method is `idempotent`, which pays into the budget. `mirrored` is how much of its body is
    /// to be kept for a mirror.
    pub(super) fn new(
        policy: &'t config::Retry,
        budget: &'t RetryBudget,
        idempotent: bool,
        mirrored: Option<u64>,
    ) -> Tries<'t> {
        if policy.attempts > 1 {
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
            unconnected: Cell::new(false),
            refused: Cell::new(0),
            uploading: Cell::new(false),
            sent_at: Cell::new(None),
            kept: RefCell::default(),
            overflowed: Cell::new(false),
            sent_more: Cell::new(false),
        }
    }

    pub(super) fn policy(&self) -> &config::Retry {
        self.policy
    }

    /// One more attempt begins, with the rest of the body still to come if it is `uploading`.
    pub(super) fn begin(&self, uploading: bool) {
        self.count();
        self.uploading.set(uploading);
        self.sent_at.set(None);
    }

    /// One more attempt begins beside the one that runs.
    pub(super) fn count(&self) {
        self.made.set(self.made.get() + 1);
    }

    /// The last of the body was sent.
    pub(super) fn end_upload(&self) {
        self.sent_at.set(Some(Instant::now()));
    }

    /// How long the endpoint took to answer, `since_connected` being the time since there was a connection: the time that the downstream took to
    /// send its body is not the endpoint's. None for an answer that came before the end of the body.
    pub(super) fn latency(&self, since_connected: Option<Duration>) -> Option<Duration> {
        if self.uploading.get() {
            return self.sent_at.get().map(|sent| sent.elapsed());
        }
        since_connected
    }

    /// An endpoint had no room for a connection; that was no attempt.
    pub(super) fn take_back(&self) {
        self.made.set(self.made.get().saturating_sub(1));
    }

    /// Whether everything sent is in hand and may be sent twice.
    pub(super) fn is_repeatable(&self) -> bool {
        self.harmless
            && !self.overflowed.get()
            && self.kept_bytes.get() <= self.policy.body_bytes_max
    }

    /// Whether everything sent is in hand.
    fn is_in_hand(&self) -> bool {
        !self.sent_more.get() || !self.overflowed.get()
    }

    /// Keeps a part of the body that is being sent, as long as it may have to be sent again. `bytes` is what has come of the body by now,
    /// out of its framing; the first part of it is kept elsewhere, and counts.
    pub(super) fn keep(&self, part: &[u8], bytes: u64) {
        self.kept_bytes.set(bytes);
        self.sent_more.set(self.sent_more.get() || !part.is_empty());
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

    fn may_reconnect(&self) -> bool {
        !self.unconnected.replace(true) || self.withdraw()
    }

    fn withdraw(&self) -> bool {
        self.budget.withdraw(self.policy.budget_min, Instant::now())
    }

    fn may_retry(&self) -> bool {
        self.has_more() && self.is_repeatable() && self.withdraw()
    }

    /// What follows a failure.
    pub(super) fn after(&self, failure: Failure) -> Then {
        let on = &self.policy.on;
        let wait = self.backoff();
        match failure {
            Failure::Stale if self.is_repeatable() && !self.stale.replace(true) => {
                self.take_back();
                Then::Reconnect
            }
            // Whatever the method: it is as if nothing had been sent (RFC 9113 section 8.7).
            Failure::NotProcessed
                if self.is_in_hand()
                    && self.refused.get() < NOT_PROCESSED_MAX
                    && (self.refused.get() == 0 || self.withdraw()) =>
            {
                self.refused.set(self.refused.get() + 1);
                self.take_back();
                Then::Reconnect
            }
            Failure::Stale | Failure::NotProcessed => Then::Stop(Stop::UpstreamReset),
            Failure::Connect(Stop::ConnectFailed | Stop::ConnectTimeout)
                if on.connect_failure && self.has_more() && self.may_reconnect() =>
            {
                Then::Again {
                    wait,
                    always: false,
                }
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
