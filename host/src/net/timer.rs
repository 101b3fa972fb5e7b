//! One coarse timer wheel per worker, for every timeout of every connection.
//!
//! Setting a deadline is a store into a cell in the common case: an entry that already stands in a bucket at or before its new deadline stays
//! there and is moved on when that bucket comes up (the lazy re-queueing of hashed wheels, Varghese and Lauck 1987, scheme 6). So a
//! keep-alive connection whose timeouts change with every request costs the wheel one operation per shortest timeout, not one per request.
//! The clock is the wheel's own tick: a deadline fires up to one [`TICK`] late; where the loop is late itself, its clock is behind, and a deadline
//! set by it fires up to two ticks early.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Resolution of every timeout on the data path.
pub const TICK: Duration = Duration::from_millis(20);
/// A loop that comes round later than this was held up; see [`Wheel::advance`].
const HELD_UP: u64 = 2;
/// 82 s ahead; later deadlines wait in the last bucket and are queued again from there.
const BUCKETS: u64 = 4096;
const NEVER: u64 = u64::MAX;

thread_local! {
    static WHEEL: Wheel = Wheel::new();
}

/// A deadline that one task waits on; unset when made. Dropping it forgets it.
#[derive(Debug)]
pub struct Timer {
    entry: Rc<Entry>,
    index: u32,
}

struct Entry {
    deadline: Cell<u64>,
    /// The tick of the bucket that holds this entry, or [`NEVER`].
    queued: Cell<u64>,
    waker: Cell<Option<Waker>>,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Entry")
            .field("deadline", &self.deadline)
            .field("queued", &self.queued)
            .finish_non_exhaustive()
    }
}

/// The deadline passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expired;

impl Timer {
    /// An unset timer of the current worker.
    pub fn new() -> Timer {
        let entry = Rc::new(Entry {
            deadline: Cell::new(NEVER),
            queued: Cell::new(NEVER),
            waker: Cell::new(None),
        });
        let index = WHEEL.with(|wheel| wheel.register(entry.clone()));
        Timer { entry, index }
    }

    /// Sets the deadline to `after` from now, replacing an earlier one.
    pub fn set(&self, after: Duration) {
        WHEEL.with(|wheel| wheel.set(self.index, &self.entry, after));
    }

    /// Unsets the deadline.
    pub fn clear(&self) {
        self.entry.deadline.set(NEVER);
    }

    /// Lets the deadline pass now and wakes the task that waits for it.
    pub fn expire_now(&self) {
        self.entry.deadline.set(0);
        if let Some(waker) = self.entry.waker.take() {
            waker.wake();
        }
    }

    /// Ready once the deadline has passed. The latest caller's task is the one that is woken.
    pub fn poll_expired(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.has_expired() {
            return Poll::Ready(());
        }
        let waker = self.entry.waker.take();
        let keep = match waker {
            Some(waker) if waker.will_wake(cx.waker()) => waker,
            _ => cx.waker().clone(),
        };
        self.entry.waker.set(Some(keep));
        Poll::Pending
    }

    /// Whether the deadline has passed.
    pub fn has_expired(&self) -> bool {
        self.entry.deadline.get() <= WHEEL.with(|wheel| wheel.now.get())
    }

    /// `future`, or [`Expired`] when the deadline passes first. Dropping the result drops `future`; the deadline stays set.
    pub async fn within<F: Future>(&self, future: F) -> Result<F::Output, Expired> {
        let mut future = pin!(future);
        std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending => self.poll_expired(cx).map(|()| Err(Expired)),
        })
        .await
    }
}

impl Default for Timer {
    fn default() -> Self {
        Timer::new()
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let _ = WHEEL.try_with(|wheel| wheel.forget(self.index));
    }
}

/// Time since the worker began, up to one [`TICK`] old; costs no clock reading while any timer is set.
pub fn coarse_now() -> Duration {
    WHEEL.with(|wheel| {
        if wheel.is_idle() {
            wheel.read_clock();
        }
        TICK * u32::try_from(wheel.now.get()).unwrap_or(u32::MAX)
    })
}

/// Runs the current thread's wheel; each worker spawns it once, and it ends with the worker.
pub async fn drive() {
    let armed = WHEEL.with(|wheel| wheel.armed.clone());
    loop {
        if WHEEL.with(|wheel| wheel.is_idle()) {
            armed.notified().await;
            WHEEL.with(Wheel::advance);
        }
        tokio::time::sleep(TICK).await;
        WHEEL.with(Wheel::advance);
    }
}

/// How many whole ticks cover a duration; in 64-bit arithmetic, since this runs several times a request.
fn ticks(duration: Duration) -> u64 {
    const TICK_NANOS: u64 = TICK.as_nanos() as u64;
    const PER_SECOND: u64 = 1_000_000_000 / TICK_NANOS;
    let below = u64::from(duration.subsec_nanos()).div_ceil(TICK_NANOS);
    duration.as_secs().saturating_mul(PER_SECOND).min(NEVER / 4) + below
}

struct Wheel {
    origin: Cell<Option<Instant>>,
    now: Cell<u64>,
    /// Bounded by the number of live timers.
    entries: RefCell<Vec<Option<Rc<Entry>>>>,
    free: RefCell<Vec<u32>>,
    buckets: RefCell<Vec<Vec<u32>>>,
    queued_count: Cell<usize>,
    armed: Rc<Notify>,
}

impl Wheel {
    fn new() -> Wheel {
        Wheel {
            origin: Cell::new(None),
            now: Cell::new(0),
            entries: RefCell::default(),
            free: RefCell::default(),
            buckets: RefCell::new(vec![Vec::new(); BUCKETS as usize]),
            queued_count: Cell::new(0),
            armed: Rc::new(Notify::new()),
        }
    }

    fn register(&self, entry: Rc<Entry>) -> u32 {
        let mut entries = self.entries.borrow_mut();
        if let Some(index) = self.free.borrow_mut().pop() {
            entries[index as usize] = Some(entry);
            return index;
        }
        entries.push(Some(entry));
        (entries.len() - 1) as u32
    }

    /// A forgotten entry that still stands in a bucket keeps its index until that bucket comes up, so that no stranger is found there.
    fn forget(&self, index: u32) {
        let mut entries = self.entries.borrow_mut();
        let queued = entries[index as usize]
            .take()
            .is_some_and(|entry| entry.queued.get() != NEVER);
        if !queued {
            self.free.borrow_mut().push(index);
        }
    }

    fn set(&self, index: u32, entry: &Rc<Entry>, after: Duration) {
        if self.is_idle() {
            self.read_clock();
            self.armed.notify_one();
        }
        let deadline = self.now.get() + ticks(after) + 1;
        entry.deadline.set(deadline);
        // A queued entry is never queued twice: one that must fire before its bucket is due is moved.
        if entry.queued.get() <= deadline {
            return;
        }
        if entry.queued.get() != NEVER {
            self.unqueue(index, entry.queued.get());
        }
        self.queue(index, entry, deadline);
    }

    fn queue(&self, index: u32, entry: &Entry, deadline: u64) {
        let due = deadline.min(self.now.get() + BUCKETS - 1);
        entry.queued.set(due);
        self.buckets.borrow_mut()[(due % BUCKETS) as usize].push(index);
        self.queued_count.set(self.queued_count.get() + 1);
    }

    fn unqueue(&self, index: u32, due: u64) {
        let mut buckets = self.buckets.borrow_mut();
        let bucket = &mut buckets[(due % BUCKETS) as usize];
        if let Some(at) = bucket.iter().position(|&queued| queued == index) {
            bucket.swap_remove(at);
            self.queued_count.set(self.queued_count.get() - 1);
        }
    }

    fn is_idle(&self) -> bool {
        self.queued_count.get() == 0
    }

    fn clock_tick(&self) -> u64 {
        let now = Instant::now();
        let origin = self.origin.get().unwrap_or(now);
        self.origin.set(Some(origin));
        (now.duration_since(origin).as_nanos() / TICK.as_nanos()) as u64
    }

    /// Only while nothing is queued: no bucket is skipped.
    fn read_clock(&self) {
        self.now.set(self.clock_tick().max(self.now.get()));
    }

    /// Time in which the loop was held up, by a plugin being started perhaps, does not count: deadlines set just before would otherwise pass
    /// before anything waited for could happen.
    fn advance(&self) {
        let held_up = self.clock_tick().saturating_sub(self.now.get() + HELD_UP);
        if held_up > 0 && !self.is_idle() {
            let origin = self.origin.get();
            self.origin.set(
                origin.map(|origin| origin + TICK * u32::try_from(held_up).unwrap_or(u32::MAX)),
            );
        }
        let target = self.clock_tick();
        if self.is_idle() {
            return self.now.set(target.max(self.now.get()));
        }
        while self.now.get() < target {
            self.now.set(self.now.get() + 1);
            self.fire(self.now.get());
        }
    }

    fn fire(&self, tick: u64) {
        let due = std::mem::take(&mut self.buckets.borrow_mut()[(tick % BUCKETS) as usize]);
        self.queued_count.set(self.queued_count.get() - due.len());
        for index in due {
            let entry = self.entries.borrow()[index as usize].clone();
            match entry {
                Some(entry) => self.fire_one(index, &entry, tick),
                None => self.free.borrow_mut().push(index),
            }
        }
    }

    fn fire_one(&self, index: u32, entry: &Entry, tick: u64) {
        entry.queued.set(NEVER);
        match entry.deadline.get() {
            NEVER => {}
            deadline if deadline > tick => self.queue(index, entry, deadline),
            _ => {
                if let Some(waker) = entry.waker.take() {
                    waker.wake();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn elapsed_until_expiry(timer: &Timer) -> Duration {
        let start = Instant::now();
        std::future::poll_fn(|cx| timer.poll_expired(cx)).await;
        start.elapsed()
    }

    async fn with_wheel<F: Future>(test: F) -> F::Output {
        let local = tokio::task::LocalSet::new();
        local.spawn_local(drive());
        local.run_until(test).await
    }

    #[tokio::test(start_paused = true)]
    async fn fires_at_the_deadline_and_at_most_two_ticks_late() {
        with_wheel(async {
            for millis in [1, 20, 999, 60_000, 300_000] {
                let timer = Timer::new();
                let after = Duration::from_millis(millis);
                timer.set(after);
                let elapsed = elapsed_until_expiry(&timer).await;
                assert!(
                    elapsed >= after && elapsed <= after + 3 * TICK,
                    "{after:?} fired after {elapsed:?}"
                );
            }
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_later_deadline_replaces_an_earlier_one_and_the_reverse() {
        with_wheel(async {
            let timer = Timer::new();
            timer.set(Duration::from_secs(1));
            timer.set(Duration::from_secs(30));
            assert!(elapsed_until_expiry(&timer).await >= Duration::from_secs(30));
            timer.set(Duration::from_secs(60));
            timer.set(Duration::from_secs(2));
            assert!(elapsed_until_expiry(&timer).await < Duration::from_secs(3));
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_cleared_timer_never_fires_and_a_reused_index_starts_unset() {
        with_wheel(async {
            let timer = Timer::new();
            timer.set(Duration::from_secs(1));
            timer.clear();
            tokio::time::sleep(Duration::from_secs(5)).await;
            assert!(!timer.has_expired());
            timer.set(Duration::from_secs(1));
            drop(timer);
            let next = Timer::new();
            tokio::time::sleep(Duration::from_secs(5)).await;
            assert!(!next.has_expired());
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn within_returns_the_output_or_expired() {
        with_wheel(async {
            let timer = Timer::new();
            timer.set(Duration::from_secs(1));
            assert_eq!(timer.within(async { 7 }).await, Ok(7));
            assert_eq!(
                timer.within(std::future::pending::<()>()).await,
                Err(Expired)
            );
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn ten_thousand_resets_leave_one_entry_queued() {
        with_wheel(async {
            let timer = Timer::new();
            for _ in 0..10_000 {
                timer.set(Duration::from_secs(10));
                timer.set(Duration::from_secs(60));
            }
            assert_eq!(WHEEL.with(|wheel| wheel.queued_count.get()), 1);
        })
        .await;
    }
}
