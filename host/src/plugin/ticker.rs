//! The clock of budgets: a thread that advances the engine's epoch once a millisecond while some call is overdue, and otherwise only looks, now
//! and then, whether one is.
//!
//! A tick every millisecond would cost a proxy at 5,000 requests a second some five per cent of its time (measured: 3.9 of 70 us a request), all
//! for calls that end within a microsecond. So each thread counts its calls in a cell of its own, and the ticker compares: a thread that is in
//! the very call in which it was seen at the last look is overdue. Then the epoch catches up with the time since that look and ticks on until
//! the call has ended or was stopped. A budget is therefore held to within two looks.

use std::cell::OnceCell;
use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Relaxed, SeqCst},
};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::{self, Thread};
use std::time::Duration;

use wasmtime::{Store, UpdateDeadline};

use super::state::HostState;

/// One tick.
const TICK: Duration = Duration::from_millis(1);
/// Between two looks, in ticks.
const LOOK: u32 = 10;
/// Looks without any call after which the ticker sleeps until it is woken.
const QUIET_LOOKS: u32 = 8;
/// Longest sleep: the bound for a wake-up that was lost in the race with falling asleep.
const SLEEP_MAX: Duration = Duration::from_millis(100);

/// The calls of one thread: odd while it is in one. On a cache line of its own, since it is written for every call.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Calls(AtomicU64);

/// Bounded by the threads that have called a plugin and still live.
static THREADS: Mutex<Vec<Weak<Calls>>> = Mutex::new(Vec::new());

thread_local! {
    static CALLS: OnceCell<Arc<Calls>> = const { OnceCell::new() };
}

/// A call under way on this thread; ends when dropped.
pub(super) struct Running;

impl Running {
    #[inline]
    fn begin() -> Running {
        Running::step();
        Running
    }

    /// Only this thread writes its cell, so no read-modify-write is needed.
    #[inline]
    fn step() {
        CALLS.with(|calls| {
            let calls = &calls.get_or_init(register).0;
            calls.store(calls.load(Relaxed).wrapping_add(1), Relaxed);
        });
    }
}

impl Drop for Running {
    #[inline]
    fn drop(&mut self) {
        Running::step();
    }
}

#[cold]
fn register() -> Arc<Calls> {
    let calls = Arc::new(Calls::default());
    let mut threads = THREADS.lock().unwrap_or_else(PoisonError::into_inner);
    threads.retain(|thread| thread.strong_count() > 0);
    threads.push(Arc::downgrade(&calls));
    calls
}

/// A budget in ticks, spent in two stages.
///
/// The epoch goes on while the system lets another thread run in the worker's place. A call of less than a microsecond would then find
/// its whole budget gone, so the first stage that runs out grants the second: only who is still running when that is spent as well, is
/// stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Deadline {
    first: u64,
    second: u64,
}

impl Deadline {
    /// At least `budget` in sum, since each stage may lose a tick that was under way; at most 2 ms more.
    fn new(budget: Duration) -> Deadline {
        let whole = budget
            .as_nanos()
            .div_ceil(TICK.as_nanos())
            .saturating_add(2);
        let ticks = whole.clamp(4, u128::from(u32::MAX)) as u64;
        Deadline {
            first: ticks - ticks / 2,
            second: ticks / 2,
        }
    }

    /// To be called once for a store.
    pub(super) fn prepare(store: &mut Store<HostState>) {
        store.epoch_deadline_callback(|mut call| {
            Ok(match std::mem::take(&mut call.data_mut().second_stage) {
                0 => UpdateDeadline::Interrupt,
                ticks => UpdateDeadline::Continue(ticks),
            })
        });
    }

    /// To be called before each call.
    #[inline]
    pub(super) fn arm(self, store: &mut Store<HostState>) {
        store.set_epoch_deadline(self.first);
        store.data_mut().second_stage = self.second;
    }
}

/// The handle to the ticker; dropping it ends the thread.
pub(super) struct Ticker {
    shared: Arc<Shared>,
    thread: Thread,
}

struct Shared {
    parked: AtomicBool,
    ended: AtomicBool,
}

impl Ticker {
    /// # Errors
    /// When the system has no thread left.
    pub(super) fn start(engine: wasmtime::Engine) -> std::io::Result<Ticker> {
        let shared = Arc::new(Shared {
            parked: AtomicBool::new(false),
            ended: AtomicBool::new(false),
        });
        let of_thread = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("plugin-ticker".to_owned())
            .spawn(move || of_thread.run(&engine))?;
        Ok(Ticker {
            shared,
            thread: thread.thread().clone(),
        })
    }

    /// Turns a budget into ticks.
    pub(super) fn deadline(&self, budget: Duration) -> Deadline {
        Deadline::new(budget)
    }

    /// To be called before each call of a guest, and kept until it has ended.
    #[inline]
    pub(super) fn enter(&self) -> Running {
        let running = Running::begin();
        if self.shared.parked.load(Relaxed) {
            self.wake();
        }
        running
    }

    #[cold]
    fn wake(&self) {
        self.thread.unpark();
    }

    #[cfg(test)]
    pub(super) fn is_parked(&self) -> bool {
        self.shared.parked.load(SeqCst)
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.ended.store(true, SeqCst);
        self.thread.unpark();
    }
}

impl Shared {
    fn run(&self, engine: &wasmtime::Engine) {
        let mut seen = Vec::new();
        let mut quiet = 0;
        while !self.ended.load(Relaxed) {
            thread::sleep(TICK * LOOK);
            match look(&mut seen) {
                Look::Overdue => {
                    (0..LOOK).for_each(|_| engine.increment_epoch());
                    self.tick(engine, &mut seen);
                    quiet = 0;
                }
                Look::Calls => quiet = 0,
                Look::Quiet if quiet < QUIET_LOOKS => quiet += 1,
                Look::Quiet => {
                    self.park(&seen);
                    quiet = 0;
                }
            }
        }
    }

    /// Until no call is overdue any more.
    fn tick(&self, engine: &wasmtime::Engine, seen: &mut Vec<(usize, u64)>) {
        while !self.ended.load(Relaxed) {
            thread::sleep(TICK);
            engine.increment_epoch();
            if look(seen) != Look::Overdue {
                return;
            }
        }
    }

    /// Until a caller wakes it. A caller that looked just before this says that it is parked does not: hence the bounded sleep.
    fn park(&self, seen: &[(usize, u64)]) {
        self.parked.store(true, SeqCst);
        while !self.ended.load(SeqCst) && snapshot() == seen {
            thread::park_timeout(SLEEP_MAX);
        }
        self.parked.store(false, SeqCst);
    }
}

/// What the ticker sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// Some thread is still in the call in which it was seen last.
    Overdue,
    /// Calls have been made since.
    Calls,
    Quiet,
}

/// Compares the threads' calls with those seen last.
fn look(seen: &mut Vec<(usize, u64)>) -> Look {
    let now = snapshot();
    let overdue = now
        .iter()
        .any(|thread| thread.1 % 2 == 1 && seen.contains(thread));
    let quiet = now == *seen;
    *seen = now;
    match (overdue, quiet) {
        (true, _) => Look::Overdue,
        (false, false) => Look::Calls,
        (false, true) => Look::Quiet,
    }
}

/// Which thread has made how many steps; a thread is told by its cell's address.
fn snapshot() -> Vec<(usize, u64)> {
    let threads = THREADS.lock().unwrap_or_else(PoisonError::into_inner);
    let living = threads.iter().filter_map(Weak::upgrade);
    living
        .map(|calls| (Arc::as_ptr(&calls).addr(), calls.0.load(Relaxed)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_stages_together_hold_the_budget_and_little_more() {
        for (budget, first, second) in [
            (0, 2, 2),
            (1, 2, 2),
            (2, 2, 2),
            (3, 3, 2),
            (5, 4, 3),
            (500, 251, 251),
        ] {
            let deadline = Deadline::new(Duration::from_millis(budget));
            assert_eq!(deadline, Deadline { first, second }, "{budget} ms");
        }
        assert_eq!(
            Deadline::new(Duration::from_micros(2_001)),
            Deadline::new(Duration::from_millis(3))
        );
        assert!(Deadline::new(Duration::MAX).first <= u64::from(u32::MAX));
    }
}
