//! The power of two choices (Mitzenmacher 2001), by weight: two different endpoints are drawn with the chance of their weights, and the one
//! with fewer requests in flight for its weight is picked; of equals the first drawn, which keeps the shares of an idle cluster by weight.
//!
//! A draw costs a binary search in the running sums of the weights, whatever the number of endpoints.

use tollgate_plugin_sdk::random::Generator;

/// An endpoint with this load cannot take the request.
const UNAVAILABLE: u32 = u32::MAX;

/// Weights as running sums.
#[derive(Debug, Default)]
pub(crate) struct Choices {
    sums: Vec<u32>,
}

impl Choices {
    pub(crate) fn set_weights(&mut self, weights: impl Iterator<Item = u32>) {
        let running = |sum: &mut u32, weight: u32| {
            *sum = sum.saturating_add(weight);
            Some(*sum)
        };
        self.sums = weights.scan(0, running).collect();
    }

    /// Two different endpoints; the same twice when there is but one; none without any.
    pub(crate) fn draw(&self, generator: &mut Generator) -> Option<(usize, usize)> {
        let total = *self.sums.last()?;
        let first = self.at(generator.below(total));
        let weight = self.weight(first);
        if total == weight {
            return Some((first, first));
        }
        // The second is drawn from what is left when the first is cut out of the sums.
        let point = generator.below(total - weight);
        let second = self.at(if point < self.start(first) {
            point
        } else {
            point + weight
        });
        Some((first, second))
    }

    /// The one with the lower load / weight; the first of equals. One that is full loses.
    pub(crate) fn better(&self, first: (usize, u32), second: (usize, u32)) -> usize {
        if first.1 == UNAVAILABLE || second.1 == UNAVAILABLE {
            return if first.1 == UNAVAILABLE {
                second.0
            } else {
                first.0
            };
        }
        let first_cost = u64::from(first.1) * u64::from(self.weight(second.0));
        let second_cost = u64::from(second.1) * u64::from(self.weight(first.0));
        if second_cost < first_cost {
            second.0
        } else {
            first.0
        }
    }

    /// The endpoint whose share of the sums holds this point; the last when the point lies beyond.
    fn at(&self, point: u32) -> usize {
        self.sums
            .partition_point(|sum| *sum <= point)
            .min(self.sums.len() - 1)
    }

    fn start(&self, index: usize) -> u32 {
        index.checked_sub(1).map_or(0, |before| self.sums[before])
    }

    fn weight(&self, index: usize) -> u32 {
        self.sums[index] - self.start(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choices(weights: &[u32]) -> Choices {
        let mut choices = Choices::default();
        choices.set_weights(weights.iter().copied());
        choices
    }

    #[test]
    fn the_two_differ_and_the_first_follows_the_weights() {
        let choices = choices(&[1, 2, 7]);
        let mut generator = Generator::seeded(3);
        let mut firsts = [0; 3];
        for _ in 0..10_000 {
            let (first, second) = choices.draw(&mut generator).expect("there are endpoints");
            assert_ne!(first, second);
            firsts[first] += 1;
        }
        for (share, expected) in firsts.iter().zip([1000, 2000, 7000]) {
            assert!(
                (expected - 200..expected + 200).contains(share),
                "{firsts:?}"
            );
        }
    }

    #[test]
    fn few_endpoints_are_no_special_case_for_the_caller() {
        let mut generator = Generator::seeded(3);
        assert_eq!(choices(&[]).draw(&mut generator), None);
        assert_eq!(choices(&[5]).draw(&mut generator), Some((0, 0)));
    }

    #[test]
    fn the_lower_load_for_its_weight_wins_and_the_first_of_equals() {
        let choices = choices(&[1, 4]);
        let cases = [
            ((0, 0), (1, 0), 0),
            ((1, 0), (0, 0), 1),
            ((0, 1), (1, 4), 0),
            ((0, 1), (1, 3), 1),
            ((0, UNAVAILABLE), (1, 1000), 1),
            ((0, 1000), (1, UNAVAILABLE), 0),
            ((0, UNAVAILABLE), (1, UNAVAILABLE), 1),
        ];
        for (first, second, expected) in cases {
            assert_eq!(
                choices.better(first, second),
                expected,
                "{first:?} {second:?}"
            );
        }
    }
}
