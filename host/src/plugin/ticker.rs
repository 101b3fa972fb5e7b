//! The clock of budgets: a thread that advances the engine's epoch once a millisecond while plugins are being called, and sleeps
//! otherwise, so that an idle proxy does not wake a thousand times a second.

use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Relaxed, SeqCst},
};
use std::thread::{self, Thread};
use std::time::Duration;

use wasmtime::{Store, UpdateDeadline};

use super::state::HostState;

/// One tick.
const TICK: Duration = Duration::from_millis(1);
/// How often the ticker looks whether calls are still being made, in ticks.
const WINDOW: u64 = 64;

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
    /// Set by callers, taken back by the ticker once a window: on the hot path it is read and nearly never written.
    active: AtomicBool,
    parked: AtomicBool,
    ended: AtomicBool,
    /// The longest budget given out, in ticks: the ticker outlasts any call that began before it looked.
    longest: AtomicU64,
}

impl Ticker {
    /// # Errors
    /// When the system has no thread left.
    pub(super) fn start(engine: wasmtime::Engine) -> std::io::Result<Ticker> {
        let shared = Arc::new(Shared {
            active: AtomicBool::new(false),
            parked: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            longest: AtomicU64::new(0),
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

    /// Turns a budget into ticks; from now on the ticker outlasts it.
    pub(super) fn deadline(&self, budget: Duration) -> Deadline {
        let deadline = Deadline::new(budget);
        let ticks = deadline.first + deadline.second;
        self.shared.longest.fetch_max(ticks, SeqCst);
        deadline
    }

    /// To be called before each call of a guest. Two reads of memory that nobody else writes, in the usual case one.
    #[inline]
    pub(super) fn wake(&self) {
        if !self.shared.active.load(Relaxed) {
            self.wake_slowly();
        }
    }

    #[cold]
    fn wake_slowly(&self) {
        self.shared.active.store(true, SeqCst);
        if self.shared.parked.load(SeqCst) {
            self.thread.unpark();
        }
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
        let mut idle = 0;
        while !self.ended.load(SeqCst) {
            for _ in 0..WINDOW {
                if self.ended.load(Relaxed) {
                    return;
                }
                thread::sleep(TICK);
                engine.increment_epoch();
            }
            idle = if self.active.swap(false, SeqCst) {
                0
            } else {
                idle + WINDOW
            };
            if idle > self.longest.load(SeqCst) {
                self.park();
                idle = 0;
            }
        }
    }

    /// Either the caller sees `parked`, or this sees `active`: both are sequentially consistent.
    fn park(&self) {
        self.parked.store(true, SeqCst);
        while !self.active.load(SeqCst) && !self.ended.load(SeqCst) {
            thread::park();
        }
        self.parked.store(false, SeqCst);
    }
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
