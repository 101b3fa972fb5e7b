//! The power of two choices: of two endpoints, drawn with the chance of their weights, the one with fewer requests in flight for its weight is
//! picked; of equals the first drawn, which keeps the shares of an idle cluster by weight.

use tollgate_plugin_sdk::random::Weights;

/// An endpoint with this load cannot take the request.
const UNAVAILABLE: u32 = u32::MAX;

/// The lower of two loads, each for its weight; the first of equals. One that is full loses.
pub(crate) fn better(weights: &Weights, first: (usize, u32), second: (usize, u32)) -> usize {
    if first.1 == UNAVAILABLE || second.1 == UNAVAILABLE {
        return if first.1 == UNAVAILABLE {
            second.0
        } else {
            first.0
        };
    }
    let first_cost = u64::from(first.1) * u64::from(weights.weight(second.0));
    let second_cost = u64::from(second.1) * u64::from(weights.weight(first.0));
    if second_cost < first_cost {
        second.0
    } else {
        first.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lower_load_for_its_weight_wins_and_the_first_of_equals() {
        let weights = Weights::new([1, 4]);
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
                better(&weights, first, second),
                expected,
                "{first:?} {second:?}"
            );
        }
    }
}
