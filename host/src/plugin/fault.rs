//! What can go wrong in a call of a plugin, and the counters that remember it.

use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use wasmtime::Trap;

/// One call lost. The filter's `on-fault` decides how the exchange goes on; the instance is gone and is replaced by the next call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub kind: FaultKind,
    /// For the log, never for a peer.
    pub message: Cow<'static, str>,
}

/// Why a call was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// The guest trapped, by itself or in a call that the host refused.
    Trap,
    /// `time-max` was spent.
    Time,
    /// `memory-max` was spent.
    Memory,
    /// The guest recursed too deeply.
    StackOverflow,
    /// The answer breaks the contract.
    BadOutput,
    /// No call was made: the plugin is backing off after faults in a row, or the instance pool is full.
    Unavailable,
}

impl FaultKind {
    pub const ALL: [FaultKind; 6] = [
        FaultKind::Trap,
        FaultKind::Time,
        FaultKind::Memory,
        FaultKind::StackOverflow,
        FaultKind::BadOutput,
        FaultKind::Unavailable,
    ];

    /// The word for it in logs and metrics.
    pub fn token(self) -> &'static str {
        match self {
            FaultKind::Trap => "trap",
            FaultKind::Time => "time",
            FaultKind::Memory => "memory",
            FaultKind::StackOverflow => "stack-overflow",
            FaultKind::BadOutput => "bad-output",
            FaultKind::Unavailable => "unavailable",
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.token())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.message)
    }
}

impl std::error::Error for Fault {}

impl Fault {
    pub(super) fn new(kind: FaultKind, message: impl Into<Cow<'static, str>>) -> Fault {
        let message = message.into();
        Fault { kind, message }
    }

    /// The answer breaks the contract in the way that `message` says.
    pub fn bad_output(message: impl Into<Cow<'static, str>>) -> Fault {
        Fault::new(FaultKind::BadOutput, message)
    }

    pub(super) fn unavailable(message: &'static str) -> Fault {
        Fault::new(FaultKind::Unavailable, message)
    }

    /// Classifies what wasmtime answered. `memory_spent` says that the memory limit was hit during the call: the guest then traps in
    /// whatever way its allocator does.
    pub(super) fn from_wasmtime(error: &wasmtime::Error, memory_spent: bool) -> Fault {
        Fault::new(classify(error, memory_spent), format!("{error:#}"))
    }
}

fn classify(error: &wasmtime::Error, memory_spent: bool) -> FaultKind {
    if memory_spent {
        return FaultKind::Memory;
    }
    if error.is::<wasmtime::PoolConcurrencyLimitError>() {
        return FaultKind::Unavailable;
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => FaultKind::Time,
        Some(Trap::StackOverflow) => FaultKind::StackOverflow,
        Some(_) => FaultKind::Trap,
        None if error.is::<Refusal>() => FaultKind::Trap,
        // Neither a trap nor a refusal: the canonical ABI found the answer malformed (text that is not UTF-8, a pointer outside).
        None => FaultKind::BadOutput,
    }
}

/// A host function that the guest may not use here; ends the call.
#[derive(Debug)]
pub(super) struct Refusal(pub(super) Cow<'static, str>);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refusal {}

/// Counts of one filter or balancer since it was configured, over all workers.
#[derive(Debug, Default)]
pub struct Stats {
    calls: Sharded,
    guard_misses: Sharded,
    faults: [AtomicU64; FaultKind::ALL.len()],
}

impl Stats {
    /// Calls made into the guest.
    pub fn calls(&self) -> u64 {
        self.calls.sum()
    }

    /// Exchanges or connections that the guard kept from the guest.
    pub fn guard_misses(&self) -> u64 {
        self.guard_misses.sum()
    }

    pub fn faults(&self, kind: FaultKind) -> u64 {
        self.faults[kind as usize].load(Relaxed)
    }

    /// To be called by whoever evaluates the guard.
    pub fn guard_missed(&self) {
        self.guard_misses.add(shard());
    }

    pub(super) fn called(&self, shard: usize) {
        self.calls.add(shard);
    }

    pub(super) fn faulted(&self, kind: FaultKind) {
        self.faults[kind as usize].fetch_add(1, Relaxed);
    }
}

const SHARDS: usize = 16;

/// A counter whose writers do not share a cache line: one shard for each of the first 16 threads, then they share.
#[derive(Debug, Default)]
struct Sharded([Shard; SHARDS]);

#[derive(Debug, Default)]
#[repr(align(64))]
struct Shard(AtomicU64);

impl Sharded {
    fn add(&self, shard: usize) {
        self.0[shard % SHARDS].0.fetch_add(1, Relaxed);
    }

    fn sum(&self) -> u64 {
        self.0.iter().map(|shard| shard.0.load(Relaxed)).sum()
    }
}

/// The shard of this thread.
pub(super) fn shard() -> usize {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    thread_local! {
        static SHARD: usize = NEXT.fetch_add(1, Relaxed) as usize % SHARDS;
    }
    SHARD.with(|shard| *shard)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_add_up_over_threads() {
        let stats = Stats::default();
        std::thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| stats.called(shard()));
            }
        });
        assert_eq!(stats.calls(), 20);
    }

    #[test]
    fn kinds_and_tokens_are_distinct() {
        for (index, kind) in FaultKind::ALL.iter().enumerate() {
            assert_eq!(*kind as usize, index);
            assert_eq!(
                FaultKind::ALL
                    .iter()
                    .filter(|other| other.token() == kind.token())
                    .count(),
                1
            );
        }
    }
}
