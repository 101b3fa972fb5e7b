//! Who may be picked, then the balancer plugin's choice among them.
//!
//! The host decides eligibility (weight above zero, room under `requests-max`, not tried before for this request); the algorithm is the
//! plugin's. What a full endpoint means is one decision for every policy: the plugin is asked again a bounded number of times, then the
//! next endpoint with room in order is taken; with none, the pick fails as [`PickError::Full`]. A balancer that faults is passed over the
//! same way: traffic goes on, evenly, and the fault is counted and logged.

use crate::http::{ConnectionFacts, Exchange, Field};
use crate::plugin::{Balancer, EndpointTable, flatten_with};
use crate::upstream::{Endpoint, InFlight};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// How often a balancer is asked for one attempt before the host takes the next endpoint in order.
const ASKED_MAX: usize = 8;

/// Chooses endpoints of one cluster.
pub struct Picker {
    balancer: Arc<Balancer>,
    table: Arc<dyn EndpointTable>,
    eligible: Arc<Eligible>,
    /// Where to look next when the plugin has no usable answer.
    turn: AtomicU32,
}

/// The endpoints that may be picked, in the order of the configuration; their indices are what the plugin sees.
struct Eligible {
    endpoints: Arc<[Endpoint]>,
    /// Position in `endpoints` of each.
    positions: Vec<usize>,
    listed: Vec<(String, u32)>,
}

/// An endpoint with a place taken at it.
#[derive(Debug)]
pub struct Picked {
    /// Position among the cluster's endpoints.
    pub position: usize,
    pub place: InFlight,
}

/// Why no endpoint was picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PickError {
    /// No endpoint is eligible, or the balancer chose none.
    None,
    /// Every eligible endpoint is at its limit.
    Full,
}

impl Picker {
    /// A picker over a cluster's endpoints.
    pub fn new(balancer: Arc<Balancer>, endpoints: Arc<[Endpoint]>) -> Picker {
        let eligible = Arc::new(Eligible::new(endpoints));
        Picker {
            balancer,
            table: eligible.clone(),
            eligible,
            turn: AtomicU32::new(0),
        }
    }

    /// The plugin behind it.
    pub fn balancer(&self) -> &Arc<Balancer> {
        &self.balancer
    }

    /// The key of a request: a hash of the fields that the balancer asked for, 0 if it asked for none.
    pub fn key(&self, exchange: &Exchange) -> u64 {
        self.hash(|field, out| exchange.read(field, out))
    }

    /// The key of a connection, where there is no request.
    pub fn connection_key(&self, facts: &ConnectionFacts) -> u64 {
        self.hash(|field, out| facts.read(field, facts.accepted, out))
    }

    fn hash(&self, read: impl Fn(&Field, &mut Vec<u8>) -> bool) -> u64 {
        let fields = &self.balancer.needs().key;
        if fields.is_empty() {
            return 0;
        }
        let mut flat = Vec::new();
        flatten_with(fields, &mut flat, read);
        xxhash_rust::xxh3::xxh3_64(&flat)
    }

    /// Picks an endpoint that was not `tried` and takes a place at it. `key` is what the balancer asked to hash.
    pub fn pick(&self, key: u64, tried: &[usize]) -> Result<Picked, PickError> {
        for _ in 0..self.eligible.positions.len().min(ASKED_MAX) {
            match self.balancer.pick(&self.table, key) {
                Ok(Some(index)) => {
                    if let Some(picked) = self.eligible.enter(index as usize, tried) {
                        return Ok(picked);
                    }
                }
                Ok(None) => return Err(self.eligible.refusal(tried)),
                Err(_) => break,
            }
        }
        self.next_in_order(tried)
    }

    fn next_in_order(&self, tried: &[usize]) -> Result<Picked, PickError> {
        let count = self.eligible.positions.len();
        let first = self.turn.fetch_add(1, Ordering::Relaxed) as usize;
        let found = (0..count).find_map(|step| self.eligible.enter((first + step) % count, tried));
        found.ok_or_else(|| self.eligible.refusal(tried))
    }
}

impl std::fmt::Debug for Picker {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Picker")
            .field("endpoints", &self.eligible.listed)
            .finish_non_exhaustive()
    }
}

impl Eligible {
    fn new(endpoints: Arc<[Endpoint]>) -> Eligible {
        let positions: Vec<usize> = (0..endpoints.len())
            .filter(|&position| endpoints[position].weight > 0)
            .collect();
        let listed = positions
            .iter()
            .map(|&position| {
                (
                    endpoints[position].label.to_string(),
                    endpoints[position].weight,
                )
            })
            .collect();
        Eligible {
            endpoints,
            positions,
            listed,
        }
    }

    fn endpoint(&self, index: usize) -> Option<&Endpoint> {
        self.positions
            .get(index)
            .map(|&position| &self.endpoints[position])
    }

    fn enter(&self, index: usize, tried: &[usize]) -> Option<Picked> {
        let position = *self.positions.get(index)?;
        if tried.contains(&position) {
            return None;
        }
        let place = self.endpoints[position].enter()?;
        Some(Picked { position, place })
    }

    /// Why nothing was picked: whether some untried endpoint is only full.
    fn refusal(&self, tried: &[usize]) -> PickError {
        let mut untried = self
            .positions
            .iter()
            .filter(|position| !tried.contains(position))
            .map(|&position| &self.endpoints[position]);
        if untried.any(|endpoint| !endpoint.has_room()) {
            PickError::Full
        } else {
            PickError::None
        }
    }
}

impl EndpointTable for Eligible {
    fn endpoints(&self) -> &[(String, u32)] {
        &self.listed
    }

    fn load(&self, index: u32) -> u32 {
        match self.endpoint(index as usize) {
            Some(endpoint) if endpoint.has_room() => endpoint.state.in_flight(),
            _ => u32::MAX,
        }
    }
}
