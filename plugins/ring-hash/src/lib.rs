//! Balancer `ring-hash`: equal keys go to the same endpoint. The ring is in `ring.rs`, the bound on loads in `bound.rs`.

mod bound;
mod ring;

use bound::Bound;
use ring::Ring;
use tollgate_plugin_sdk::hashing::Key;
use tollgate_plugin_sdk::loads::{self, UNAVAILABLE};
use tollgate_plugin_sdk::prelude::*;
use tollgate_plugin_sdk::random::Generator;

/// Its settings.
#[derive(Settings)]
pub struct RingHashSettings {
    /// What to hash; the client address when absent.
    key: Option<Key>,
    /// Positions on the ring of the endpoints with the greatest weight; others have their share of it.
    #[setting(default = 256, range = 16..=4096)]
    positions: u32,
    /// Most requests in flight at an endpoint, in percent of its fair share; no bound when absent.
    #[setting(range = 101..=1000)]
    load_factor: Option<u32>,
}

/// The balancer.
pub struct RingHash {
    key: Vec<Field>,
    ring: Ring,
    bound: Option<Bound>,
    generator: Generator,
}

impl Balancer for RingHash {
    type Settings = RingHashSettings;

    fn new(settings: RingHashSettings) -> Result<Self, Errors> {
        let mut errors = Errors::new();
        let key = settings.key.unwrap_or_default();
        let key = errors.inside("key", |errors| key.fields(errors));
        errors.finish(RingHash {
            key,
            ring: Ring::new(settings.positions),
            bound: settings.load_factor.map(Bound::new),
            generator: Generator::new(),
        })
    }

    fn plan(&self) -> BalancerPlan {
        let plan = BalancerPlan::default().key(self.key.iter().cloned());
        match self.bound {
            Some(_) => plan.loads(),
            None => plan,
        }
    }

    fn update(&mut self, endpoints: &[Endpoint]) {
        self.ring.set_endpoints(endpoints);
        if let Some(bound) = &mut self.bound {
            bound.set_weights(endpoints.iter().map(|endpoint| endpoint.weight));
        }
    }

    fn pick(&mut self, pick: &Pick) -> Option<usize> {
        // Without anything to hash: a place by chance, so that the weights hold.
        let key = match pick.key {
            0 => self.generator.draw(),
            key => key,
        };
        match &self.bound {
            Some(bound) => {
                let round = bound.round(pick.loads);
                self.ring.next(key, |endpoint| round.has_room(endpoint))
            }
            None => self.ring.next(key, can_take),
        }
    }
}

/// Whether the endpoint can take the request: the host says no of one that it has refused, so that asking again leads on along the ring.
fn can_take(endpoint: usize) -> bool {
    u32::try_from(endpoint).is_ok_and(|index| loads::pair(index, index).0 != UNAVAILABLE)
}

balancer!(RingHash);

#[cfg(test)]
mod tests;
