//! Least requests: minimises (requests in flight + 1) / weight, as HAProxy's `leastconn` (`src/lb_fwlc.c`). Among equals it goes round:
//! the search starts behind the endpoint picked last, so that an idle cluster is used evenly.
//!
//! A pick costs one pass over the endpoints.

/// An endpoint with this load cannot take the request.
const UNAVAILABLE: u32 = u32::MAX;

/// Weights, and where the next search starts.
#[derive(Debug, Default)]
pub(crate) struct Least {
    weights: Vec<u32>,
    start: usize,
}

impl Least {
    /// Starts anew with these weights.
    pub(crate) fn set_weights(&mut self, weights: impl Iterator<Item = u32>) {
        self.weights = weights.collect();
        self.start = 0;
    }

    /// The endpoint with the least load for its weight; none when none is available. `loads` stands beside the weights.
    pub(crate) fn next(&mut self, loads: &[u32]) -> Option<usize> {
        let count = self.weights.len().min(loads.len());
        let (behind, before) = (self.start.min(count)..count, 0..self.start.min(count));
        let mut best: Option<(usize, u64, u64)> = None;
        for index in behind.chain(before) {
            let (load, weight) = (loads[index], u64::from(self.weights[index]));
            if load == UNAVAILABLE {
                continue;
            }
            let after = u64::from(load) + 1;
            // after / weight < best_after / best_weight, without division
            if best.is_none_or(|(_, best_after, best_weight)| {
                after * best_weight < best_after * weight
            }) {
                best = Some((index, after, weight));
            }
        }
        let (index, ..) = best?;
        self.start = if index + 1 < count { index + 1 } else { 0 };
        Some(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn least(weights: &[u32]) -> Least {
        let mut least = Least::default();
        least.set_weights(weights.iter().copied());
        least
    }

    #[test]
    fn load_counts_by_weight() {
        let cases: [(&[u32], &[u32], Option<usize>); 8] = [
            (&[1, 1, 1], &[2, 0, 1], Some(1)),
            (&[1, 4], &[0, 3], Some(0)),
            (&[1, 4], &[0, 2], Some(1)),
            (&[1, 256], &[0, 254], Some(1)),
            (&[1, 256], &[0, 255], Some(0)),
            (&[1, 1], &[u32::MAX, u32::MAX - 1], Some(1)),
            (&[1, 1], &[u32::MAX, u32::MAX], None),
            (&[], &[], None),
        ];
        for (weights, loads, expected) in cases {
            assert_eq!(
                least(weights).next(loads),
                expected,
                "{weights:?} {loads:?}"
            );
        }
    }

    #[test]
    fn equals_take_turns() {
        let mut least = least(&[1, 1, 1]);
        let picked: Vec<_> = (0..5).map(|_| least.next(&[4, 4, 4])).collect();
        assert_eq!(picked, [0, 1, 2, 0, 1].map(Some));
    }

    #[test]
    fn requests_that_stay_spread_by_weight() {
        let weights = [1, 2, 5];
        let (mut least, mut loads) = (least(&weights), [0; 3]);
        for _ in 0..80 {
            loads[least.next(&loads).expect("all are available")] += 1;
        }
        assert_eq!(loads, [10, 20, 50]);
    }

    #[test]
    fn fewer_loads_than_endpoints_are_no_harm() {
        let mut least = least(&[1, 1, 1]);
        assert_eq!(least.next(&[0, 0, 0]), Some(0));
        assert_eq!(least.next(&[0, 0, 0]), Some(1));
        assert_eq!(least.next(&[0]), Some(0));
    }
}
