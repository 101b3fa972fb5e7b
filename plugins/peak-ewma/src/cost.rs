//! What a request costs at an endpoint: (latency + penalty × failure share) × (requests in flight + 1) / weight.
//!
//! Latency times requests in flight is tower's `load/peak_ewma.rs`, after Finagle; the host measures the latency as that does, so that one slow
//! answer counts at once. The penalty is ours: without it an endpoint that fails fast looks fast and draws the traffic. The divisor lets
//! an endpoint of twice the weight hold twice the requests at the same cost.
//!
//! An endpoint that was never measured costs nothing while it serves nothing, so that it is measured; from then on until its first answer it
//! is taken for one of the default latency. So a new endpoint gets one request to show what it can, neither a flood nor, beside fast ones,
//! nothing at all.

use std::time::Duration;

use tollgate_plugin_sdk::measures::Measure;

/// Least latency to reckon with, the step in which the host measures: a cost of nothing would hide all requests in flight.
pub(crate) const LATENCY_MIN: Duration = Duration::from_micros(1);

/// How costs are reckoned.
#[derive(Debug)]
pub(crate) struct Cost {
    default_latency: Duration,
    /// Seconds.
    penalty: f64,
}

impl Cost {
    pub(crate) fn new(default_latency: Duration, penalty: Duration) -> Self {
        Cost {
            default_latency,
            penalty: penalty.as_secs_f64(),
        }
    }

    /// In seconds per weight; none when the endpoint cannot take the request. Always finite: measures, settings and weights are bounded.
    pub(crate) fn of(&self, measure: &Measure, weight: u32) -> Option<f64> {
        let requests = f64::from(measure.requests?) + 1.0;
        let latency = match measure.latency {
            Some(latency) => latency,
            None if measure.requests == Some(0) => Duration::ZERO,
            None => self.default_latency,
        };
        let charged = latency.as_secs_f64() + self.penalty * measure.failure_share;
        Some(charged * requests / f64::from(weight.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measure(latency_millis: u64, failure_share: f64, requests: u32) -> Measure {
        Measure {
            latency: Some(Duration::from_millis(latency_millis)),
            failure_share,
            requests: Some(requests),
        }
    }

    fn unmeasured(requests: u32) -> Measure {
        Measure {
            requests: Some(requests),
            ..Measure::UNKNOWN
        }
    }

    #[test]
    fn costs_are_those_of_the_formula() {
        let cost = Cost::new(Duration::from_millis(30), Duration::from_secs(1));
        let cases = [
            (measure(10, 0.0, 0), 1, Some(0.010)),
            (measure(10, 0.0, 9), 1, Some(0.100)),
            (measure(10, 0.0, 9), 4, Some(0.025)),
            (measure(10, 0.2, 0), 1, Some(0.210)),
            (measure(10, 1.0, 1), 2, Some(1.010)),
            (Measure::UNKNOWN, 1, Some(0.0)),
            (unmeasured(1), 1, Some(0.060)),
            (unmeasured(1), 0, Some(0.060)),
            (Measure::UNAVAILABLE, 1, None),
        ];
        for (measure, weight, expected) in cases {
            let found = cost.of(&measure, weight);
            let close = |(found, expected): (f64, f64)| (found - expected).abs() < 1e-9;
            assert_eq!(found.is_some(), expected.is_some(), "{measure:?}");
            assert!(
                found.zip(expected).is_none_or(close),
                "{measure:?}: {found:?}"
            );
        }
    }

    #[test]
    fn the_greatest_values_stay_finite_and_in_order() {
        let longest = Duration::from_nanos(u64::MAX);
        let cost = Cost::new(longest, longest);
        let worst = Measure {
            latency: None,
            failure_share: 1.0,
            requests: Some(u32::MAX),
        };
        let better = Measure {
            requests: Some(u32::MAX - 1),
            ..worst
        };
        let (worst, better) = (cost.of(&worst, 1), cost.of(&better, 1));
        assert!(worst.is_some_and(f64::is_finite));
        assert!(better < worst);
    }

    #[test]
    fn a_fast_failure_costs_more_than_a_slow_answer() {
        let cost = Cost::new(Duration::from_millis(30), Duration::from_secs(1));
        assert!(cost.of(&measure(1, 0.5, 0), 1) > cost.of(&measure(400, 0.0, 0), 1));
        let lenient = Cost::new(Duration::from_millis(30), Duration::ZERO);
        assert!(lenient.of(&measure(1, 0.5, 0), 1) < lenient.of(&measure(400, 0.0, 0), 1));
    }
}
