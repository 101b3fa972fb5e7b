//! The two algorithms of limits, as pure state: sliding window and token bucket. All arithmetic is in whole numbers; nothing drifts.

use super::Now;

/// What a limit says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    /// If not, nothing was counted.
    pub allowed: bool,
    /// What is left now.
    pub remaining: u64,
    /// Nanoseconds until the same would be allowed; 0 when it was, `u64::MAX` for never.
    pub retry_after: u64,
    /// Nanoseconds until all is there again.
    pub reset: u64,
}

/// So much in any window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowLimit {
    pub limit: u64,
    /// Nanoseconds, not 0.
    pub window: u64,
}

/// A bucket, its size and what it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BucketLimit {
    pub capacity: u64,
    /// Tokens per interval, not 0.
    pub refill: u64,
    /// Nanoseconds, not 0.
    pub interval: u64,
}

/// The counts of a sliding window: this one's and the last one's, weighed by how much of it still reaches back (Cloudflare, "How we built rate
/// limiting capable of scaling to millions of domains", 2017; theirs begin at round times, ours with a key's first count).
///
/// Its known error: it takes the last window's counts as evenly spread. When they all came at its end, nearly twice the limit passes within
/// one window's length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    window: u64,
    began: Now,
    current: u64,
    previous: u64,
}

impl Window {
    pub(super) fn new(limit: &WindowLimit, now: Now) -> Window {
        Window {
            window: limit.window,
            began: now,
            current: 0,
            previous: 0,
        }
    }

    pub(super) fn count(&mut self, limit: &WindowLimit, cost: u64, now: Now) -> Admission {
        if self.window != limit.window {
            *self = Window::new(limit, now);
        }
        self.roll(now);
        let allowed = self.used(now).saturating_add(cost) <= limit.limit;
        let retry_after = if allowed {
            self.current += cost;
            0
        } else {
            self.wait(limit.limit, cost, now)
        };
        Admission {
            allowed,
            remaining: limit.limit.saturating_sub(self.used(now)),
            retry_after,
            reset: self.empty_at().saturating_sub(now),
        }
    }

    /// When nothing that was counted counts any more.
    pub(super) fn empty_at(&self) -> Now {
        let windows = match (self.current, self.previous) {
            (0, 0) => return 0,
            (0, _) => self.window,
            _ => self.window.saturating_mul(2),
        };
        self.began.saturating_add(windows)
    }

    fn roll(&mut self, now: Now) {
        let elapsed = now.saturating_sub(self.began);
        if elapsed < self.window {
            return;
        }
        if elapsed / self.window == 1 {
            self.previous = self.current;
            self.began += self.window;
        } else {
            self.previous = 0;
            self.began = now;
        }
        self.current = 0;
    }

    /// What counts at this moment; the last window's share rounded up.
    fn used(&self, now: Now) -> u64 {
        let left = self.window - now.saturating_sub(self.began).min(self.window);
        self.current
            .saturating_add(weighed(self.previous, left, self.window))
    }

    /// How long until `cost` more is within the limit: in this window, or in the next, where this one's counts are the last one's.
    fn wait(&self, limit: u64, cost: u64, now: Now) -> u64 {
        let Some(room) = limit.checked_sub(cost) else {
            return u64::MAX;
        };
        let at = match room.checked_sub(self.current) {
            Some(room) => self.began.saturating_add(self.decayed(self.previous, room)),
            None => self
                .began
                .saturating_add(self.window)
                .saturating_add(self.decayed(self.current, room)),
        };
        at.saturating_sub(now)
    }

    /// How far into a window the last one's `count` weighs `room` at most.
    fn decayed(&self, count: u64, room: u64) -> u64 {
        if count <= room {
            return 0;
        }
        let left = u128::from(self.window) * u128::from(room) / u128::from(count);
        self.window - u64::try_from(left).unwrap_or(self.window)
    }
}

/// `count * left / window`, rounded up.
fn weighed(count: u64, left: u64, window: u64) -> u64 {
    let share = (u128::from(count) * u128::from(left)).div_ceil(u128::from(window));
    u64::try_from(share).unwrap_or(u64::MAX)
}

/// A token bucket, filled evenly. The level is in tokens times the interval, so that a nanosecond's refill is a whole number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bucket {
    interval: u64,
    level: u128,
    at: Now,
}

impl Bucket {
    pub(super) fn full(limit: &BucketLimit, now: Now) -> Bucket {
        Bucket {
            interval: limit.interval,
            level: scaled(limit.capacity, limit.interval),
            at: now,
        }
    }

    pub(super) fn take(&mut self, limit: &BucketLimit, cost: u64, now: Now) -> Admission {
        if self.interval != limit.interval {
            *self = Bucket::full(limit, now);
        }
        let full = scaled(limit.capacity, limit.interval);
        let cost_scaled = scaled(cost, limit.interval);
        self.fill(limit, full, now);
        let allowed = self.level >= cost_scaled;
        let retry_after = if allowed {
            self.level -= cost_scaled;
            0
        } else if cost > limit.capacity {
            u64::MAX
        } else {
            time_for(cost_scaled - self.level, limit.refill)
        };
        Admission {
            allowed,
            remaining: u64::try_from(self.level / u128::from(limit.interval)).unwrap_or(u64::MAX),
            retry_after,
            reset: time_for(full - self.level, limit.refill),
        }
    }

    /// When it is full again, which is as if it had never been used.
    pub(super) fn full_at(&self, limit: &BucketLimit) -> Now {
        let full = scaled(limit.capacity, limit.interval);
        self.at
            .saturating_add(time_for(full.saturating_sub(self.level), limit.refill))
    }

    fn fill(&mut self, limit: &BucketLimit, full: u128, now: Now) {
        let elapsed = now.saturating_sub(self.at);
        let more = u128::from(elapsed) * u128::from(limit.refill);
        self.level = self.level.saturating_add(more).min(full);
        self.at = self.at.max(now);
    }
}

fn scaled(tokens: u64, interval: u64) -> u128 {
    u128::from(tokens) * u128::from(interval)
}

/// Nanoseconds in which so much comes, rounded up.
fn time_for(level: u128, refill: u64) -> u64 {
    u64::try_from(level.div_ceil(u128::from(refill))).unwrap_or(u64::MAX)
}
