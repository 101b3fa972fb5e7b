//! Smooth weighted round robin, as nginx's `ngx_http_upstream_get_peer`, without its effective weights: every current weight grows by its
//! weight, the greatest is picked and falls by the total. An endpoint of weight 5 among ones is picked 5 times in a round, but not 5
//! times in a row.
//!
//! A pick costs one pass over the endpoints. When all weights are equal that pass finds plain turns, so then it is only counted.

use std::collections::HashMap;

/// Whose turn it is.
#[derive(Debug, Default)]
pub(crate) struct Smooth {
    endpoints: Vec<Share>,
    total: i64,
    /// Set when all weights are equal.
    plain: Option<usize>,
}

#[derive(Clone, Debug)]
struct Share {
    address: String,
    weight: i64,
    current: i64,
}

impl Smooth {
    /// Goes on with these addresses and weights: who stays keeps its turn, who is new has no turn to catch up with.
    /// An endpoint that starts slowly changes the weights many times, and its turns must not begin anew with each step.
    pub(crate) fn set_endpoints<'a>(&mut self, endpoints: impl Iterator<Item = (&'a str, u32)>) {
        let (before, total_before) = (self.standing(), self.total.max(1));
        let weighted: Vec<_> = endpoints.collect();
        self.total = weighted.iter().map(|(_, weight)| i64::from(*weight)).sum();
        let current = |address: &str| {
            let current = before.get(address).copied().unwrap_or_default();
            // Of the old total to the new one; weights are small enough for the product.
            current * self.total / total_before
        };
        self.endpoints = weighted
            .iter()
            .map(|(address, weight)| Share {
                address: (*address).to_owned(),
                weight: i64::from(*weight),
                current: current(address),
            })
            .collect();
        let equal = weighted.windows(2).all(|pair| pair[0].1 == pair[1].1);
        self.plain = equal.then(|| self.first_in_turn());
    }

    /// The current weight of each endpoint by address.
    fn standing(&mut self) -> HashMap<String, i64> {
        let turn = self.plain.unwrap_or_default() as i64;
        let (plain, total) = (self.plain.is_some(), self.total);
        let shares = self.endpoints.drain(..).enumerate();
        shares
            .map(|(index, share)| {
                // In plain turns what a pass would have added up, and taken off those that had their turn.
                let had_turn = if (index as i64) < turn { total } else { 0 };
                let counted = share.weight * turn - had_turn;
                let current = if plain { counted } else { share.current };
                (share.address, current)
            })
            .collect()
    }

    /// The first of those with the greatest current weight.
    fn first_in_turn(&self) -> usize {
        let greatest = self.endpoints.iter().map(|share| share.current).max();
        let is_first = |share: &Share| Some(share.current) == greatest;
        self.endpoints.iter().position(is_first).unwrap_or_default()
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

    fn set_weights(smooth: &mut Smooth, weights: &[u32]) {
        let names: Vec<_> = (0..weights.len()).map(|index| index.to_string()).collect();
        smooth.set_endpoints(
            names
                .iter()
                .map(String::as_str)
                .zip(weights.iter().copied()),
        );
    }

    fn picks(weights: &[u32], count: usize) -> Vec<usize> {
        let mut smooth = Smooth::default();
        set_weights(&mut smooth, weights);
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
        set_weights(&mut by_weight, &[2, 2, 2]);
        by_weight.plain = None;
        let slow: Vec<_> = (0..9).filter_map(|_| by_weight.next()).collect();
        assert_eq!(picks(&[2, 2, 2], 9), slow);
    }

    /// One pick between two changes, as at a low rate of requests while an endpoint starts slowly: everybody still gets a share.
    #[test]
    fn turns_go_on_when_weights_change() {
        for weights in [
            [100, 100, 100, 10],
            [100, 100, 100, 100],
            [100, 400, 100, 50],
        ] {
            let mut smooth = Smooth::default();
            let mut picked = [0; 4];
            let total: u32 = weights.iter().sum();
            for step in 0..total {
                // The same shares at another scale.
                let scale = 1 + step % 3;
                set_weights(&mut smooth, &weights.map(|weight| weight * scale));
                picked[smooth.next().expect("there are endpoints")] += 1;
            }
            for (picked, weight) in picked.into_iter().zip(weights) {
                assert!(
                    picked + 2 >= weight && picked <= weight + 2,
                    "{picked} of {weight}"
                );
            }
        }
    }

    #[test]
    fn turns_go_on_when_endpoints_come_and_go() {
        let mut smooth = Smooth::default();
        smooth.set_endpoints([("a", 1), ("b", 1), ("c", 1)].into_iter());
        assert_eq!(smooth.next(), Some(0));
        smooth.set_endpoints([("b", 1), ("c", 1), ("d", 1)].into_iter());
        assert_eq!([smooth.next(), smooth.next()], [Some(0), Some(1)]);
        smooth.set_endpoints(std::iter::empty());
        assert_eq!(smooth.next(), None);
    }
}
