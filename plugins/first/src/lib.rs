//! Balancer `first`: the first endpoint with room. The algorithm is in `order.rs`.

mod order;

use tollgate_plugin_sdk::prelude::*;

/// No settings: the order stands in the cluster.
#[derive(Settings)]
pub struct NoSettings {}

/// The balancer.
pub struct First;

impl Balancer for First {
    type Settings = NoSettings;

    fn new(_: NoSettings) -> Result<Self, Errors> {
        Ok(First)
    }

    fn plan(&self) -> BalancerPlan {
        BalancerPlan::default().loads()
    }

    fn update(&mut self, _: &[Endpoint]) {}

    fn pick(&mut self, pick: &Pick) -> Option<usize> {
        order::first(pick.loads)
    }
}

balancer!(First);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loads_are_asked_for_and_the_first_with_room_is_picked() {
        let mut balancer = First::new(NoSettings {}).expect("nothing can be wrong");
        assert_eq!(balancer.plan(), BalancerPlan::default().loads());
        balancer.update(&[
            Endpoint::new("127.0.0.1:1", 1),
            Endpoint::new("127.0.0.1:2", 256),
        ]);
        let mut pick = |loads: &[u32]| balancer.pick(&Pick { key: 0, loads });
        assert_eq!(pick(&[99, 0]), Some(0), "neither load nor weight counts");
        assert_eq!(pick(&[u32::MAX, 5]), Some(1));
        assert_eq!(pick(&[u32::MAX, u32::MAX]), None);
    }
}
