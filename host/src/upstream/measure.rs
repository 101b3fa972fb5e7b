//! How fast and how well an endpoint has answered lately, for balancers that ask.
//!
//! Latency is a peak-sensitive exponentially weighted moving average as in tower's `load/peak_ewma`: a sample above the average replaces it,
//! one below pulls it down, and so does the time in which nothing is measured. The share of failures is a plain moving average over the same
//! time constant. Workers write without locks; two that write at once may lose one of the two samples, which an average can bear.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The time in which the past loses all but 1/e of its weight.
const DECAY: Duration = Duration::from_secs(10);

static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The averages of one endpoint.
#[derive(Debug, Default)]
pub struct Measures {
    /// Latency in microseconds and share of failures, two `f32`; 0 before the first sample.
    averages: AtomicU64,
    /// Nanoseconds since [`BEGAN`] of the last sample.
    written: AtomicU64,
}

/// What is known of an endpoint at a moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// None: never measured.
    pub latency: Option<Duration>,
    /// 0 to 1.
    pub failure_share: f32,
}

impl Measures {
    /// Counts an attempt that took `latency` until the response head, or that failed; a failure that took no time leaves the latency alone.
    pub fn record(&self, latency: Option<Duration>, failed: bool, now: Instant) {
        let now = nanos(now);
        let old = self.averages.load(Ordering::Relaxed);
        let (old_latency, old_share) = unpack(old);
        let then = self.written.swap(now, Ordering::Relaxed);
        // The first sample stands for all time before, also when the process is young.
        let kept = if old == 0 {
            0.0
        } else {
            weight_kept(then, now)
        };
        let share = old_share * kept + if failed { 1.0 - kept } else { 0.0 };
        let new_latency = latency.map(|latency| latency.as_secs_f32() * 1e6);
        let latency = match new_latency {
            None => old_latency * kept,
            Some(sample) if sample >= old_latency * kept => sample,
            Some(sample) => old_latency * kept + sample * (1.0 - kept),
        };
        let packed = pack(latency.max(f32::MIN_POSITIVE), share);
        self.averages.store(packed, Ordering::Relaxed);
    }

    /// The averages as they stand now.
    pub fn read(&self, now: Instant) -> Reading {
        let packed = self.averages.load(Ordering::Relaxed);
        if packed == 0 {
            return Reading {
                latency: None,
                failure_share: 0.0,
            };
        }
        let (latency, share) = unpack(packed);
        let kept = weight_kept(self.written.load(Ordering::Relaxed), nanos(now));
        Reading {
            latency: Some(Duration::from_secs_f32(latency * kept / 1e6)),
            failure_share: share * kept,
        }
    }
}

fn nanos(now: Instant) -> u64 {
    now.saturating_duration_since(*BEGAN).as_nanos() as u64
}

fn weight_kept(then: u64, now: u64) -> f32 {
    let passed = now.saturating_sub(then) as f32;
    (-passed / DECAY.as_nanos() as f32).exp()
}

fn pack(latency: f32, share: f32) -> u64 {
    u64::from(latency.to_bits()) << 32 | u64::from(share.to_bits())
}

fn unpack(packed: u64) -> (f32, f32) {
    (
        f32::from_bits((packed >> 32) as u32),
        f32::from_bits(packed as u32),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(reading: Reading) -> f32 {
        reading.latency.expect("measured").as_secs_f32() * 1e3
    }

    #[test]
    fn a_peak_counts_at_once_and_is_forgotten_slowly() {
        let measures = Measures::default();
        let start = *BEGAN + Duration::from_secs(1);
        assert_eq!(measures.read(start).latency, None);
        measures.record(Some(Duration::from_millis(10)), false, start);
        assert!((millis(measures.read(start)) - 10.0).abs() < 0.1);
        measures.record(Some(Duration::from_millis(500)), false, start);
        assert!((millis(measures.read(start)) - 500.0).abs() < 1.0);
        measures.record(
            Some(Duration::from_millis(10)),
            false,
            start + Duration::from_secs(1),
        );
        let after = millis(measures.read(start + Duration::from_secs(1)));
        assert!((400.0..500.0).contains(&after), "{after}");
        let later = millis(measures.read(start + Duration::from_secs(11)));
        assert!((later - after / std::f32::consts::E).abs() < 2.0, "{later}");
    }

    #[test]
    fn the_first_sample_stands_for_all_time_before_however_little_that_was() {
        for age in [Duration::ZERO, Duration::from_secs(100)] {
            let measures = Measures::default();
            measures.record(None, true, *BEGAN + age);
            let share = measures.read(*BEGAN + age).failure_share;
            assert_eq!(share, 1.0, "{age:?} after the process began");
        }
    }

    #[test]
    fn failures_have_a_share_that_fades() {
        let measures = Measures::default();
        let start = *BEGAN + Duration::from_secs(100);
        measures.record(None, true, start);
        for step in 1..=200 {
            let at = start + Duration::from_millis(100 * step);
            measures.record(Some(Duration::from_millis(1)), false, at);
        }
        let left = measures.read(start + Duration::from_secs(20)).failure_share;
        assert!((0.1..0.2).contains(&left), "e^-2 of it is left: {left}");
    }
}
