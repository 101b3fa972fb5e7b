//! Balancer `round-robin`: endpoints in turn, by weight. The algorithm is in `smooth.rs`.

mod smooth;

use smooth::Smooth;
use tollgate_plugin_sdk::prelude::*;

/// No settings: weights stand at the endpoints.
#[derive(Settings)]
pub struct NoSettings {}

/// The balancer.
pub struct RoundRobin {
    turn: Smooth,
}

impl Balancer for RoundRobin {
    type Settings = NoSettings;

    fn new(_: NoSettings) -> Result<Self, Errors> {
        Ok(RoundRobin {
            turn: Smooth::default(),
        })
    }

    fn update(&mut self, endpoints: &[Endpoint]) {
        let endpoints = endpoints.iter();
        self.turn
            .set_endpoints(endpoints.map(|endpoint| (&*endpoint.address, endpoint.weight)));
    }

    fn pick(&mut self, _: &Pick) -> Option<usize> {
        self.turn.next()
    }
}

balancer!(RoundRobin);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_picked_by_weight() {
        let mut balancer = RoundRobin::new(NoSettings {}).expect("nothing can be wrong");
        balancer.update(&[
            Endpoint::new("127.0.0.1:1", 2),
            Endpoint::new("127.0.0.1:2", 1),
        ]);
        let pick = Pick { key: 0, loads: &[] };
        let picked: Vec<_> = (0..6).map(|_| balancer.pick(&pick)).collect();
        assert_eq!(picked, [0, 1, 0, 0, 1, 0].map(Some));
    }

    #[test]
    fn without_endpoints_nothing_is_picked() {
        let mut balancer = RoundRobin::new(NoSettings {}).expect("nothing can be wrong");
        assert_eq!(balancer.pick(&Pick { key: 0, loads: &[] }), None);
        balancer.update(&[]);
        assert_eq!(balancer.pick(&Pick { key: 0, loads: &[] }), None);
    }
}
