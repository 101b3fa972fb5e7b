//! How endpoints have answered lately, across all workers. For balancers only: other plugins lack the import.
//!
//! The host measures only for clusters whose balancer reads here, and what it measures does not depend on which worker sent the requests.
//!
//! ```
//! use std::time::Duration;
//! use tollgate_plugin_sdk::measures::{self, Measure};
//! use tollgate_plugin_sdk::testing::with_host;
//!
//! let answered = Measure { latency: Some(Duration::from_millis(3)), failure_share: 0.0, requests: Some(2) };
//! with_host(|host| host.measures = vec![answered]);
//! assert_eq!(measures::read(0), answered);
//! ```

use std::time::Duration;

use crate::host;

/// Stands for an endpoint that cannot take the request now.
const REQUESTS_NONE: u64 = 0xff_ffff;
/// Stands for a failure share of 1.
const SHARE_ALL: f64 = 255.0;

/// What the host knows of one endpoint.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measure {
    /// From an attempt's request having been sent to the response head, to the microsecond; a moving average in which a slower answer counts
    /// at once, and faster ones and the passing of time with a time constant of 10 s. `None`: never measured.
    pub latency: Option<Duration>,
    /// The share of attempts that failed lately, 0 none to 1 all, in steps of 1/255; a moving average with the same time constant. A failure is
    /// a 5xx answer, a reset, a timeout or a failed connect.
    pub failure_share: f64,
    /// Requests in flight; `None`: the endpoint cannot take the request now.
    pub requests: Option<u32>,
}

impl Measure {
    /// What an endpoint has of which nothing is known yet: no latency, no failure, no request.
    pub const UNKNOWN: Self = Measure {
        latency: None,
        failure_share: 0.0,
        requests: Some(0),
    };

    /// What an endpoint has that cannot take the request now, and of which nothing else is known.
    pub const UNAVAILABLE: Self = Measure {
        requests: None,
        ..Self::UNKNOWN
    };

    /// Reads the packed form of the contract's `measures.read`.
    fn from_packed(packed: u64) -> Self {
        let (micros, share, requests) =
            (packed >> 32, (packed >> 24) as u8, packed & REQUESTS_NONE);
        Measure {
            latency: (micros > 0).then(|| Duration::from_micros(micros)),
            failure_share: f64::from(share) / SHARE_ALL,
            requests: (requests != REQUESTS_NONE).then_some(requests as u32),
        }
    }

    /// The packed form, as the host makes it: what does not fit is cut to the nearest that does.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn packed(&self) -> u64 {
        let micros = self.latency.map_or(0, |latency| {
            latency.as_micros().clamp(1, u128::from(u32::MAX)) as u64
        });
        let share = (self.failure_share.clamp(0.0, 1.0) * SHARE_ALL).round() as u64;
        let requests = self.requests.map_or(REQUESTS_NONE, |requests| {
            u64::from(requests).min(REQUESTS_NONE - 1)
        });
        micros << 32 | share << 24 | requests
    }
}

/// What is known of the endpoint with this index; [`Measure::UNAVAILABLE`] where there is none. One call to the host.
#[must_use]
pub fn read(index: u32) -> Measure {
    Measure::from_packed(host::measure(index))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::with_host;

    #[test]
    fn the_packed_form_is_that_of_the_contract() {
        let table = [
            (0, Measure::UNKNOWN),
            (0xff_ffff, Measure::UNAVAILABLE),
            (
                1_500 << 32 | 51 << 24 | 7,
                Measure {
                    latency: Some(Duration::from_micros(1_500)),
                    failure_share: 0.2,
                    requests: Some(7),
                },
            ),
            (
                u64::MAX - 1,
                Measure {
                    latency: Some(Duration::from_micros(u32::MAX.into())),
                    failure_share: 1.0,
                    requests: Some(0xff_fffe),
                },
            ),
        ];
        for (packed, measure) in table {
            assert_eq!(Measure::from_packed(packed), measure, "{packed:#x}");
            assert_eq!(measure.packed(), packed, "{measure:?}");
        }
    }

    #[test]
    fn what_does_not_fit_is_cut() {
        let measure = |latency, failure_share, requests| Measure {
            latency: Some(latency),
            failure_share,
            requests: Some(requests),
        };
        let table = [
            (measure(Duration::from_nanos(1), -1.0, 0), 1 << 32),
            (
                measure(Duration::MAX, 2.0, u32::MAX),
                u64::from(u32::MAX) << 32 | 0xff << 24 | 0xff_fffe,
            ),
            (measure(Duration::from_micros(9), f64::NAN, 1), 9 << 32 | 1),
        ];
        for (measure, packed) in table {
            assert_eq!(measure.packed(), packed, "{measure:?}");
        }
    }

    #[test]
    fn reads_come_from_the_fake_host() {
        assert_eq!(read(0), Measure::UNAVAILABLE);
        with_host(|host| host.measures = vec![Measure::UNKNOWN; 2]);
        assert_eq!(read(1), Measure::UNKNOWN);
        assert_eq!(read(2), Measure::UNAVAILABLE);
    }
}
