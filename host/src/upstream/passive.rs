//! What an endpoint's answers say about its health: failures in a row, and the success rate in an interval. As Envoy's outlier detection
//! (SEMANTICS 39 and 40): here the counting, in `ClusterState` the ejecting.

use crate::config::OutlierDetection;
use std::sync::atomic::{AtomicU32, Ordering};

/// How an attempt at an endpoint went, as far as the endpoint is to be judged by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// An answer with this status.
    Answered(u16),
    /// No connection was made.
    ConnectFailed,
    /// The connection ended, or the answer broke the protocol.
    Reset,
    TimedOut,
}

impl Verdict {
    /// Whether this counts against the endpoint.
    pub fn is_failure(self) -> bool {
        !matches!(self, Verdict::Answered(status) if status < 500)
    }

    fn is_gateway_failure(self) -> bool {
        match self {
            Verdict::Answered(status) => matches!(status, 502..=504),
            Verdict::ConnectFailed | Verdict::Reset | Verdict::TimedOut => true,
        }
    }
}

/// The counters of one endpoint, over all workers.
#[derive(Debug, Default)]
pub struct Passive {
    failures: AtomicU32,
    gateway_failures: AtomicU32,
    connect_failures: AtomicU32,
    /// In the interval that runs now.
    requests: AtomicU32,
    successes: AtomicU32,
}

impl Passive {
    /// Counts an attempt; answers why the endpoint is to be ejected now, if it is.
    pub fn count(&self, verdict: Verdict, policy: &OutlierDetection) -> Option<&'static str> {
        if policy.success_rate.is_some() {
            self.requests.fetch_add(1, Ordering::Relaxed);
            if !verdict.is_failure() {
                self.successes.fetch_add(1, Ordering::Relaxed);
            }
        }
        let connect_failed = verdict == Verdict::ConnectFailed;
        let rules = [
            (
                &self.failures,
                verdict.is_failure(),
                policy.consecutive_failures,
                "consecutive failures",
            ),
            (
                &self.gateway_failures,
                verdict.is_gateway_failure(),
                policy.consecutive_gateway_failures,
                "consecutive gateway failures",
            ),
            (
                &self.connect_failures,
                connect_failed,
                policy.consecutive_connect_failures,
                "consecutive connect failures",
            ),
        ];
        let mut reason = None;
        for (counter, failed, most, what) in rules {
            let Some(most) = most else { continue };
            if one_more(counter, failed) >= most {
                reason = Some(what);
            }
        }
        reason
    }

    /// Forgets what led to an ejection.
    pub fn reset(&self) {
        for counter in [
            &self.failures,
            &self.gateway_failures,
            &self.connect_failures,
        ] {
            counter.store(0, Ordering::Relaxed);
        }
    }

    /// Requests and successes since the last call.
    pub fn take_interval(&self) -> (u32, u32) {
        let requests = self.requests.swap(0, Ordering::Relaxed);
        (requests, self.successes.swap(0, Ordering::Relaxed))
    }
}

/// Failures in a row, this one included. A success writes only if there is something to forget.
fn one_more(counter: &AtomicU32, failed: bool) -> u32 {
    if failed {
        return counter.fetch_add(1, Ordering::Relaxed).saturating_add(1);
    }
    if counter.load(Ordering::Relaxed) != 0 {
        counter.store(0, Ordering::Relaxed);
    }
    0
}

/// Which endpoints succeed so much more seldom than the mean that they are outliers: those below `mean - deviations × standard deviation`,
/// among those with enough requests, if there are enough such endpoints (Envoy's `success_rate` mode).
pub(super) fn outliers(
    intervals: &[(u32, u32)],
    policy: &crate::config::SuccessRate,
) -> Vec<usize> {
    let rates: Vec<(usize, f64)> = intervals
        .iter()
        .enumerate()
        .filter(|(_, (requests, _))| *requests > 0 && *requests >= policy.requests_min)
        .map(|(index, (requests, successes))| (index, f64::from(*successes) / f64::from(*requests)))
        .collect();
    if rates.is_empty() || rates.len() < policy.endpoints_min as usize {
        return Vec::new();
    }
    let count = rates.len() as f64;
    let mean = rates.iter().map(|(_, rate)| rate).sum::<f64>() / count;
    let variance = rates
        .iter()
        .map(|(_, rate)| (rate - mean) * (rate - mean))
        .sum::<f64>()
        / count;
    let least = mean - policy.deviations.factor() * variance.sqrt();
    let below = rates.into_iter().filter(|(_, rate)| *rate < least);
    below.map(|(index, _)| index).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Percent, SuccessRate};
    use std::time::Duration;

    fn policy(
        failures: Option<u32>,
        gateway: Option<u32>,
        connect: Option<u32>,
    ) -> OutlierDetection {
        OutlierDetection {
            consecutive_failures: failures,
            consecutive_gateway_failures: gateway,
            consecutive_connect_failures: connect,
            ejection: Duration::from_secs(30),
            ejection_max: Duration::from_secs(300),
            ejected_max: Percent(1_000),
            interval: Duration::from_secs(10),
            success_rate: None,
        }
    }

    #[test]
    fn each_rule_counts_what_it_is_about_and_a_success_starts_anew() {
        use Verdict::{Answered, ConnectFailed, Reset, TimedOut};
        type Case = (OutlierDetection, Vec<Verdict>, Option<&'static str>);
        let all = "consecutive failures";
        let cases: Vec<Case> = vec![
            (
                policy(Some(3), None, None),
                vec![Answered(500), Reset, TimedOut],
                Some(all),
            ),
            (
                policy(Some(3), None, None),
                vec![Answered(500), Answered(499), Reset, TimedOut],
                None,
            ),
            (
                policy(None, Some(2), None),
                vec![Answered(502), Answered(504)],
                Some("consecutive gateway failures"),
            ),
            (
                policy(None, Some(2), None),
                vec![Answered(502), Answered(500), Answered(503)],
                None,
            ),
            (
                policy(None, None, Some(2)),
                vec![ConnectFailed, ConnectFailed],
                Some("consecutive connect failures"),
            ),
            (
                policy(None, None, Some(2)),
                vec![ConnectFailed, Reset, ConnectFailed],
                None,
            ),
            (policy(None, None, None), vec![ConnectFailed; 9], None),
        ];
        for (policy, verdicts, expected) in cases {
            let passive = Passive::default();
            let last = verdicts
                .iter()
                .map(|verdict| passive.count(*verdict, &policy))
                .last();
            assert_eq!(last, Some(expected), "{verdicts:?}");
        }
    }

    #[test]
    fn who_succeeds_far_more_seldom_than_the_mean_is_an_outlier() {
        let rule = |requests_min, endpoints_min| SuccessRate {
            requests_min,
            endpoints_min,
            deviations: Percent(19_000),
        };
        let mut intervals = vec![(100, 99); 9];
        intervals.push((100, 40));
        assert_eq!(outliers(&intervals, &rule(100, 5)), [9]);
        assert_eq!(
            outliers(&intervals, &rule(101, 5)),
            [0; 0],
            "too few requests"
        );
        assert_eq!(
            outliers(&intervals, &rule(100, 11)),
            [0; 0],
            "too few endpoints"
        );
        assert_eq!(
            outliers(&[(100, 50); 10], &rule(100, 5)),
            [0; 0],
            "all alike"
        );
        assert_eq!(outliers(&[], &rule(0, 0)), [0; 0]);
    }
}
