//! Balancer `least-request`: the endpoint with the fewest requests in flight for its weight. The algorithm is in `least.rs`.

mod least;

use least::Least;
use tollgate_plugin_sdk::prelude::*;

/// No settings: weights stand at the endpoints.
#[derive(Settings)]
pub struct NoSettings {}

/// The balancer.
pub struct LeastRequest {
    least: Least,
}

impl Balancer for LeastRequest {
    type Settings = NoSettings;

    fn new(_: NoSettings) -> Result<Self, Errors> {
        Ok(LeastRequest {
            least: Least::default(),
        })
    }

    fn plan(&self) -> BalancerPlan {
        BalancerPlan::default().loads()
    }

    fn update(&mut self, endpoints: &[Endpoint]) {
        self.least
            .set_weights(endpoints.iter().map(|endpoint| endpoint.weight));
    }

    fn pick(&mut self, pick: &Pick) -> Option<usize> {
        self.least.next(pick.loads)
    }
}

balancer!(LeastRequest);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_loaded_is_picked_and_none_when_all_are_full() {
        let mut balancer = LeastRequest::new(NoSettings {}).expect("nothing can be wrong");
        balancer.update(&[
            Endpoint::new("127.0.0.1:1", 1),
            Endpoint::new("127.0.0.1:2", 1),
        ]);
        let mut pick = |loads: &[u32]| balancer.pick(&Pick { key: 0, loads });
        assert_eq!(pick(&[3, 2]), Some(1));
        assert_eq!(pick(&[3, u32::MAX]), Some(0));
        assert_eq!(pick(&[u32::MAX, u32::MAX]), None);
        assert_eq!(pick(&[]), None);
    }
}
