//! Smooth weighted round robin, as nginx's `ngx_http_upstream_get_peer`, without its effective weights: every current weight grows by its
//! weight, the greatest is picked and falls by the total. An endpoint of weight 5 among ones is picked 5 times in a round, but not 5
//! times in a row.
//!
//! A pick costs one pass over the endpoints. When all weights are equal that pass finds plain turns, so then it is only counted.

/// Whose turn it is.
#[derive(Debug, Default)]
pub(crate) struct Smooth {
    endpoints: Vec<Share>,
    total: i64,
    /// Set when all weights are equal.
    plain: Option<usize>,
}

#[derive(Clone, Copy, Debug)]
struct Share {
    weight: i64,
    current: i64,
}

impl Smooth {
    /// Starts anew with these weights.
    pub(crate) fn set_weights(&mut self, weights: impl Iterator<Item = u32>) {
        self.endpoints = weights
            .map(|weight| Share {
                weight: i64::from(weight),
                current: 0,
            })
            .collect();
        self.total = self.endpoints.iter().map(|share| share.weight).sum();
        let equal = self
            .endpoints
            .windows(2)
            .all(|pair| pair[0].weight == pair[1].weight);
        self.plain = equal.then_some(0);
    }

    /// The next in turn; none when there are no endpoints. Of equals the first.
    pub(crate) fn next(&mut self) -> Option<usize> {
        match &mut self.plain {
            Some(turn) => {
                let picked = *turn;
                let next = picked + 1;
                *turn = if next < self.endpoints.len() { next } else { 0 };
                (picked < self.endpoints.len()).then_some(picked)
            }
            None => self.next_by_weight(),
        }
    }

    fn next_by_weight(&mut self) -> Option<usize> {
        let mut best: Option<(usize, i64)> = None;
        for (index, share) in self.endpoints.iter_mut().enumerate() {
            share.current += share.weight;
            if best.is_none_or(|(_, current)| share.current > current) {
                best = Some((index, share.current));
            }
        }
        let (index, _) = best?;
        self.endpoints[index].current -= self.total;
        Some(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picks(weights: &[u32], count: usize) -> Vec<usize> {
        let mut smooth = Smooth::default();
        smooth.set_weights(weights.iter().copied());
        (0..count).filter_map(|_| smooth.next()).collect()
    }

    #[test]
    fn turns_are_those_of_the_known_sequence() {
        assert_eq!(picks(&[5, 1, 1], 7), [0, 0, 1, 0, 2, 0, 0]);
        assert_eq!(picks(&[1, 1, 1], 4), [0, 1, 2, 0]);
        assert_eq!(picks(&[3], 2), [0, 0]);
    }

    #[test]
    fn every_round_gives_each_its_weight() {
        for weights in [&[1, 2][..], &[7, 3, 2, 256], &[4, 4, 4], &[256, 1]] {
            let total = weights.iter().sum::<u32>() as usize;
            for (index, weight) in weights.iter().enumerate() {
                let picked = picks(weights, total * 2);
                let share = picked.iter().filter(|picked| **picked == index).count();
                assert_eq!(share, 2 * *weight as usize, "{weights:?}");
            }
        }
    }

    #[test]
    fn equal_weights_take_the_same_turns_either_way() {
        let mut by_weight = Smooth::default();
        by_weight.set_weights([2, 2, 2].into_iter());
        by_weight.plain = None;
        let slow: Vec<_> = (0..9).filter_map(|_| by_weight.next()).collect();
        assert_eq!(picks(&[2, 2, 2], 9), slow);
    }
}
