//! One series: a number or a histogram that all workers write to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::{BadUse, Family, Labels, MetricKind};

/// Writers of the first 16 threads meet in no cache line, then they share.
const SHARDS: usize = 16;

#[derive(Debug)]
pub(super) struct Series {
    pub(super) family: Arc<Family>,
    pub(super) labels: Labels,
    cells: Cells,
}

#[derive(Debug)]
enum Cells {
    Counter(Box<[Padded]>),
    /// One for all, since it can be set.
    Gauge(Sum),
    Histogram(Box<[Shard]>),
}

/// What a series shows.
#[derive(Debug, PartialEq)]
pub(super) enum Reading {
    Number(f64),
    Histogram {
        sum: f64,
        /// By upper bound, the last one being infinite; not cumulative.
        counts: Vec<(f64, u64)>,
    },
}

impl Series {
    pub(super) fn new(family: Arc<Family>, labels: Labels) -> Series {
        let cells = match &family.kind {
            MetricKind::Counter => Cells::Counter((0..SHARDS).map(|_| Padded::default()).collect()),
            MetricKind::Gauge => Cells::Gauge(Sum::default()),
            MetricKind::Histogram(bounds) => {
                Cells::Histogram((0..SHARDS).map(|_| Shard::new(bounds.len())).collect())
            }
        };
        Series {
            family,
            labels,
            cells,
        }
    }

    pub(super) fn add(&self, amount: f64, shard: usize) -> Result<(), BadUse> {
        match &self.cells {
            Cells::Counter(_) if !(amount.is_finite() && amount >= 0.0) => Err(BadUse::BadValue),
            Cells::Gauge(_) if !amount.is_finite() => Err(BadUse::BadValue),
            Cells::Counter(shards) => {
                shards[shard % SHARDS].0.add(amount);
                Ok(())
            }
            Cells::Gauge(value) => {
                value.add(amount);
                Ok(())
            }
            Cells::Histogram(_) => Err(BadUse::WrongKind),
        }
    }

    pub(super) fn set(&self, value: f64) -> Result<(), BadUse> {
        match &self.cells {
            Cells::Gauge(_) if !value.is_finite() => Err(BadUse::BadValue),
            Cells::Gauge(gauge) => {
                gauge.0.store(value.to_bits(), Relaxed);
                Ok(())
            }
            Cells::Counter(_) | Cells::Histogram(_) => Err(BadUse::WrongKind),
        }
    }

    pub(super) fn observe(&self, value: f64, shard: usize) -> Result<(), BadUse> {
        let (Cells::Histogram(shards), MetricKind::Histogram(bounds)) =
            (&self.cells, &self.family.kind)
        else {
            return Err(BadUse::WrongKind);
        };
        if !value.is_finite() {
            return Err(BadUse::BadValue);
        }
        let shard = &shards[shard % SHARDS];
        shard.sum.add(value);
        // A bound is part of its bucket.
        let bucket = bounds.partition_point(|bound| *bound < value);
        shard.counts[bucket].fetch_add(1, Relaxed);
        Ok(())
    }

    pub(super) fn read(&self) -> Reading {
        let shards = match (&self.cells, &self.family.kind) {
            (Cells::Counter(shards), _) => {
                return Reading::Number(shards.iter().map(|shard| shard.0.read()).sum());
            }
            (Cells::Gauge(value), _) => return Reading::Number(value.read()),
            (Cells::Histogram(shards), _) => shards,
        };
        let bounds = match &self.family.kind {
            MetricKind::Histogram(bounds) => bounds.as_slice(),
            MetricKind::Counter | MetricKind::Gauge => &[],
        };
        let bounds = bounds.iter().copied().chain([f64::INFINITY]);
        let count = |bucket: usize| {
            let counts = shards.iter().map(|shard| &shard.counts[bucket]);
            counts.map(|count| count.load(Relaxed)).sum()
        };
        Reading::Histogram {
            sum: shards.iter().map(|shard| shard.sum.read()).sum(),
            counts: bounds
                .enumerate()
                .map(|(bucket, bound)| (bound, count(bucket)))
                .collect(),
        }
    }
}

/// A number that is added to, as its bits.
#[derive(Debug, Default)]
struct Sum(AtomicU64);

impl Sum {
    fn add(&self, amount: f64) {
        let sum = |bits| Some((f64::from_bits(bits) + amount).to_bits());
        let _ = self.0.fetch_update(Relaxed, Relaxed, sum);
    }

    fn read(&self) -> f64 {
        f64::from_bits(self.0.load(Relaxed))
    }
}

#[derive(Debug, Default)]
#[repr(align(64))]
struct Padded(Sum);

/// A thread's share of a histogram.
#[derive(Debug)]
#[repr(align(64))]
struct Shard {
    sum: Sum,
    counts: Box<[AtomicU64]>,
}

impl Shard {
    fn new(bounds: usize) -> Shard {
        Shard {
            sum: Sum::default(),
            counts: (0..=bounds).map(|_| AtomicU64::new(0)).collect(),
        }
    }
}
