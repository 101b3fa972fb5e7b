//! Bounded loads (Mirrokni, Thorup, Zadimoghaddam: "Consistent hashing with bounded loads", 2016), by weight as HAProxy's
//! `hash-balance-factor`: with `f` the factor, `w` the weight of an endpoint, `W` all weights and `m` all requests in flight, none may
//! hold more than ⌈f × (m + 1) × w / W⌉ requests, the new one among them.
//!
//! `W` and `m` are sums over the endpoints that can take the request, since those share it. The factor is above 1, so one of them has room.

use tollgate_plugin_sdk::loads::UNAVAILABLE;

/// The factor, and the weights in the order of the loads.
#[derive(Debug)]
pub(crate) struct Bound {
    factor_percent: u32,
    weights: Vec<u32>,
}

impl Bound {
    pub(crate) fn new(factor_percent: u32) -> Self {
        Bound {
            factor_percent,
            weights: Vec::new(),
        }
    }

    pub(crate) fn set_weights(&mut self, weights: impl Iterator<Item = u32>) {
        self.weights = weights.collect();
    }

    /// What holds with these loads. Costs a pass over the endpoints.
    pub(crate) fn round<'a>(&'a self, loads: &'a [u32]) -> Round<'a> {
        let able = loads
            .iter()
            .zip(&self.weights)
            .filter(|(load, _)| **load != UNAVAILABLE);
        let (requests, weight) = able.fold((0, 0), |(requests, weight), (load, of_it)| {
            (requests + u64::from(*load), weight + u64::from(*of_it))
        });
        Round {
            loads,
            weights: &self.weights,
            allowed: u128::from(self.factor_percent) * u128::from(requests + 1),
            weight: 100 * u128::from(weight),
        }
    }
}

/// One pick: who has room.
pub(crate) struct Round<'a> {
    loads: &'a [u32],
    weights: &'a [u32],
    /// Factor × requests, in percent.
    allowed: u128,
    /// Sum of the weights × 100.
    weight: u128,
}

impl Round<'_> {
    /// Whether the endpoint can take one more request: load < ⌈allowed × its weight / weight⌉, without division.
    pub(crate) fn has_room(&self, endpoint: usize) -> bool {
        match (self.loads.get(endpoint), self.weights.get(endpoint)) {
            (Some(&load), Some(&weight)) if load != UNAVAILABLE => {
                u128::from(load) * self.weight < self.allowed * u128::from(weight)
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use tollgate_plugin_sdk::random::Generator;

    use super::*;

    /// Factor in percent, weights, loads, and who has room.
    type Case = (u32, &'static [u32], &'static [u32], &'static [usize]);

    fn bound(factor_percent: u32, weights: &[u32]) -> Bound {
        let mut bound = Bound::new(factor_percent);
        bound.set_weights(weights.iter().copied());
        bound
    }

    fn with_room(factor_percent: u32, weights: &[u32], loads: &[u32]) -> Vec<usize> {
        let bound = bound(factor_percent, weights);
        let round = bound.round(loads);
        (0..=weights.len())
            .filter(|index| round.has_room(*index))
            .collect()
    }

    #[test]
    fn room_is_a_share_by_weight_rounded_up() {
        const FULL: u32 = UNAVAILABLE;
        let cases: [Case; 9] = [
            (125, &[1, 1], &[0, 0], &[0, 1]),
            // ⌈1.25 × 9 / 2⌉ = 6
            (125, &[1, 1], &[5, 3], &[0, 1]),
            (125, &[1, 1], &[6, 2], &[1]),
            // 1.5 × 8 / 3 is exactly 4.
            (150, &[1, 1, 1], &[3, 3, 1], &[0, 1, 2]),
            (150, &[1, 1, 1], &[4, 2, 1], &[1, 2]),
            // ⌈1.5 × 8 × 3 / 4⌉ = 9 and 3
            (150, &[300, 100], &[4, 3], &[0]),
            (101, &[1], &[1_000_000], &[0]),
            (125, &[1, 1, 1], &[FULL, 1, FULL], &[1]),
            (125, &[1, 1], &[FULL, FULL], &[]),
        ];
        for (factor, weights, loads, expected) in cases {
            assert_eq!(
                with_room(factor, weights, loads),
                expected,
                "{factor} {weights:?} {loads:?}"
            );
        }
        assert_eq!(with_room(125, &[1, 1, 1], &[0]), [0], "loads may be fewer");
    }

    #[test]
    fn someone_has_room_while_someone_can_take_the_request() {
        let mut generator = Generator::seeded(23);
        for _ in 0..5000 {
            let count = 1 + generator.below(20) as usize;
            let weights: Vec<u32> = (0..count).map(|_| 1 + generator.below(25_600)).collect();
            let load = |generator: &mut Generator| match generator.below(4) {
                0 => UNAVAILABLE,
                1 => generator.below(UNAVAILABLE),
                _ => generator.below(100),
            };
            let loads: Vec<u32> = (0..count).map(|_| load(&mut generator)).collect();
            let factor = 101 + generator.below(900);
            let open = with_room(factor, &weights, &loads);
            assert_eq!(
                open.is_empty(),
                loads.iter().all(|load| *load == UNAVAILABLE)
            );
            assert!(open.iter().all(|index| loads[*index] != UNAVAILABLE));
        }
    }
}
