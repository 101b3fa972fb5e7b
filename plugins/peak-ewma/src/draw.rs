//! Two different endpoints, drawn with the chance of their weights: the power of two choices (Mitzenmacher 2001).
//!
//! Drawn evenly, an endpoint of weight 100 among ninety-nine of weight 1 would be looked at by only two requests in a hundred, and could
//! never get its half. A draw costs a binary search in the running sums of the weights.

use tollgate_plugin_sdk::random::Generator;

/// Weights as running sums.
#[derive(Debug, Default)]
pub(crate) struct Draw {
    sums: Vec<u32>,
}

impl Draw {
    pub(crate) fn set_weights(&mut self, weights: impl Iterator<Item = u32>) {
        let running = |sum: &mut u32, weight: u32| {
            *sum = sum.saturating_add(weight);
            Some(*sum)
        };
        self.sums = weights.scan(0, running).collect();
    }

    pub(crate) fn count(&self) -> usize {
        self.sums.len()
    }

    pub(crate) fn weight(&self, index: usize) -> u32 {
        self.sums[index] - self.start(index)
    }

    /// Two different endpoints; the same twice when there is but one; none without any.
    pub(crate) fn two(&self, generator: &mut Generator) -> Option<(usize, usize)> {
        let total = *self.sums.last()?;
        let first = self.at(generator.below(total));
        let weight = self.weight(first);
        if total == weight {
            return Some((first, first));
        }
        // The second is drawn from what is left when the first is cut out of the sums.
        let point = generator.below(total - weight);
        let cut = if point < self.start(first) { 0 } else { weight };
        Some((first, self.at(point + cut)))
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
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(weights: &[u32]) -> Draw {
        let mut draw = Draw::default();
        draw.set_weights(weights.iter().copied());
        draw
    }

    #[test]
    fn the_two_differ_and_the_first_follows_the_weights() {
        for weights in [[1, 2, 7], [100, 200, 700]] {
            let draw = draw(&weights);
            let mut generator = Generator::seeded(5);
            let mut firsts = [0; 3];
            for _ in 0..10_000 {
                let (first, second) = draw.two(&mut generator).expect("there are endpoints");
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
    }

    #[test]
    fn any_weights_give_endpoints_of_the_list() {
        let mut generator = Generator::seeded(9);
        assert_eq!(draw(&[]).two(&mut generator), None);
        assert_eq!(draw(&[5]).two(&mut generator), Some((0, 0)));
        for _ in 0..1000 {
            let count = 1 + generator.below(9) as usize;
            let weights: Vec<u32> = (0..count).map(|_| 1 + generator.below(25_600)).collect();
            let (first, second) = draw(&weights).two(&mut generator).expect("some");
            assert!(first < count && second < count && (count == 1 || first != second));
        }
    }
}
