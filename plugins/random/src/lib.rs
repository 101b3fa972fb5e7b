//! Balancer `random`: two endpoints by chance and weight, then the less busy one. The algorithm is in `choices.rs`.

mod choices;

use choices::better;
use tollgate_plugin_sdk::loads;
use tollgate_plugin_sdk::prelude::*;
use tollgate_plugin_sdk::random::{Generator, Weights};

/// No settings: weights stand at the endpoints.
#[derive(Settings)]
pub struct NoSettings {}

/// The balancer.
pub struct Random {
    weights: Weights,
    generator: Generator,
}

impl Balancer for Random {
    type Settings = NoSettings;

    fn new(_: NoSettings) -> Result<Self, Errors> {
        Ok(Random {
            weights: Weights::default(),
            generator: Generator::new(),
        })
    }

    fn update(&mut self, endpoints: &[Endpoint]) {
        self.weights = Weights::new(endpoints.iter().map(|endpoint| endpoint.weight));
    }

    fn pick(&mut self, _: &Pick) -> Option<usize> {
        let (first, second) = self.weights.two(&mut self.generator)?;
        if first == second {
            return Some(first);
        }
        let (first_load, second_load) = loads::pair(first as u32, second as u32);
        Some(better(
            &self.weights,
            (first, first_load),
            (second, second_load),
        ))
    }
}

balancer!(Random);

#[cfg(test)]
mod tests {
    use tollgate_plugin_sdk::testing::with_host;

    use super::*;

    fn shares(weights: &[u32], loads: &[u32]) -> Vec<usize> {
        with_host(|host| host.loads = loads.to_vec());
        let mut balancer = Random::new(NoSettings {}).expect("nothing can be wrong");
        let endpoints: Vec<_> = weights
            .iter()
            .map(|weight| Endpoint::new("127.0.0.1:1", *weight))
            .collect();
        balancer.update(&endpoints);
        let mut shares = vec![0; weights.len()];
        for _ in 0..10_000 {
            shares[balancer
                .pick(&Pick { key: 0, loads: &[] })
                .expect("there are endpoints")] += 1;
        }
        shares
    }

    #[test]
    fn idle_endpoints_share_by_chance() {
        let shares = shares(&[1, 1, 1, 1], &[0, 0, 0, 0]);
        assert!(
            shares.iter().all(|share| (2300..2700).contains(share)),
            "{shares:?}"
        );
    }

    #[test]
    fn the_busiest_is_never_picked_and_the_full_neither() {
        assert_eq!(shares(&[1, 1, 1], &[9, 1, 0])[0], 0);
        assert_eq!(shares(&[5, 1, 1], &[u32::MAX, 100, 0])[0], 0);
        assert_eq!(shares(&[1], &[u32::MAX]), [10_000]);
    }

    #[test]
    fn without_endpoints_nothing_is_picked() {
        let mut balancer = Random::new(NoSettings {}).expect("nothing can be wrong");
        assert_eq!(balancer.pick(&Pick { key: 0, loads: &[] }), None);
    }
}
