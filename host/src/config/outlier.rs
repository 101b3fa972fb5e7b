//! A cluster's `outlier-detection` and `panic-threshold`.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::decode::Decoder;
use super::listener::TIMEOUT_RANGE;
use super::syntax::{Item, Node, Scalar};
use super::{OutlierDetection, Percent, SuccessRate};

const FAILURES_MAX: u32 = 1_000_000;
const INTERVAL_RANGE: RangeInclusive<Duration> =
    Duration::from_millis(10)..=Duration::from_secs(24 * 3600);
const SHARE_RANGE: RangeInclusive<Percent> = Percent(0)..=Percent(10_000);
/// "off" says what 0 % would.
const PANIC_RANGE: RangeInclusive<Percent> = Percent(1)..=Percent(10_000);
/// A tenth of a standard deviation to ten.
const DEVIATIONS_RANGE: RangeInclusive<Percent> = Percent(1_000)..=Percent(100_000);

impl Decoder<'_> {
    pub(super) fn outlier_detection(&mut self, cluster: &Node) -> Option<OutlierDetection> {
        let node = cluster.child("outlier-detection")?;
        let default = OutlierDetection::default();
        let of = |name| node.property(name);
        let detection = OutlierDetection {
            consecutive_failures: match of("consecutive-failures") {
                None => default.consecutive_failures,
                item => self.failures(item),
            },
            consecutive_gateway_failures: self.failures(of("consecutive-gateway-failures")),
            consecutive_connect_failures: self.failures(of("consecutive-connect-failures")),
            ejection: self.duration(of("ejection"), TIMEOUT_RANGE, default.ejection),
            ejection_max: self.duration(of("ejection-max"), TIMEOUT_RANGE, default.ejection_max),
            ejected_max: self.percent(of("ejected-max"), SHARE_RANGE, default.ejected_max),
            interval: self.duration(of("interval"), INTERVAL_RANGE, default.interval),
            success_rate: node
                .child("success-rate")
                .map(|node| self.success_rate(node)),
        };
        self.check_outlier_detection(node, &detection);
        Some(detection)
    }

    /// 0 turns this one off.
    fn failures(&mut self, item: Option<&Item>) -> Option<u32> {
        let found = self.optional_integer(item, 0..=FAILURES_MAX);
        found.filter(|count| *count > 0)
    }

    fn success_rate(&mut self, node: &Node) -> SuccessRate {
        let default = SuccessRate::default();
        let of = |name| node.property(name);
        SuccessRate {
            requests_min: self.integer(of("requests-min"), 1..=FAILURES_MAX, default.requests_min),
            endpoints_min: self.integer(of("endpoints-min"), 2..=10_000, default.endpoints_min),
            deviations: self.percent(of("deviations"), DEVIATIONS_RANGE, default.deviations),
        }
    }

    fn check_outlier_detection(&mut self, node: &Node, detection: &OutlierDetection) {
        self.ordered(
            node,
            ("ejection", detection.ejection),
            ("ejection-max", detection.ejection_max),
        );
        let nothing = detection.consecutive_failures.is_none()
            && detection.consecutive_gateway_failures.is_none()
            && detection.consecutive_connect_failures.is_none()
            && detection.success_rate.is_none();
        let zero = |item: &Item| item.value == Scalar::Integer(0);
        // A value that could not be read gives nothing either, and was reported already.
        if nothing && node.property("consecutive-failures").is_some_and(zero) {
            let help = "leave `outlier-detection` out, or say what ejects an endpoint";
            self.error_help(node.place(), "this detects nothing", help);
        }
    }

    /// Absent and "off": never.
    pub(super) fn panic_threshold(&mut self, cluster: &Node) -> Option<Percent> {
        let item = cluster.child_argument("panic-threshold")?;
        match &item.value {
            Scalar::Text(word) if word == "off" => None,
            Scalar::Text(word) if !word.ends_with('%') => {
                let message = "expected a share such as \"50%\", or \"off\"";
                self.error(item.place, message);
                None
            }
            _ => Some(self.percent(Some(item), PANIC_RANGE, *PANIC_RANGE.start())),
        }
    }
}
