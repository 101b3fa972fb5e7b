//! What a balancer may know of how an endpoint has answered, in the one number that crosses the boundary (`wit/measures.wit`).

/// What is known of one endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measure {
    /// From an attempt's request having been sent to the response head, in microseconds; 0: never measured.
    pub latency_micros: u32,
    /// The share of attempts that failed lately: 0 none, 255 all.
    pub failures: u8,
    /// In flight; `None`: the endpoint cannot take the request now.
    pub requests: Option<u32>,
}

impl Measure {
    /// The requests of an endpoint that cannot take one more.
    const REQUESTS_NONE: u32 = 0xff_ffff;

    /// An endpoint that cannot take the request, or is not there, and of which nothing else is known.
    pub const UNAVAILABLE: Measure = Measure {
        latency_micros: 0,
        failures: 0,
        requests: None,
    };

    /// The form that plugins read. More requests than its 24 bits can tell are cut to the most that they can.
    pub fn packed(self) -> u64 {
        let requests = self.requests.map_or(Self::REQUESTS_NONE, |requests| {
            requests.min(Self::REQUESTS_NONE - 1)
        });
        u64::from(self.latency_micros) << 32 | u64::from(self.failures) << 24 | u64::from(requests)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_packed_form_is_that_of_the_contract() {
        let measure = |latency_micros, failures, requests| Measure {
            latency_micros,
            failures,
            requests,
        };
        let table = [
            (measure(0, 0, Some(0)), 0),
            (Measure::UNAVAILABLE, 0x00ff_ffff),
            (measure(1_500, 51, Some(7)), 0x0000_05dc_3300_0007),
            (measure(1, 0, Some(0xff_fffe)), 0x0000_0001_00ff_fffe),
            (measure(1, 0, Some(0xff_ffff)), 0x0000_0001_00ff_fffe),
            (measure(1, 0, Some(u32::MAX)), 0x0000_0001_00ff_fffe),
            (measure(u32::MAX, 255, None), u64::MAX),
        ];
        for (measure, packed) in table {
            assert_eq!(measure.packed(), packed, "{measure:?}");
        }
    }
}
