//! Who may be picked, then the balancer plugin's choice among them.
//!
//! The host decides eligibility ([`levels`]: health, service, backups, zones; then room under the limit, and not tried before for this request);
//! the algorithm is the plugin's. What a full endpoint means is one decision for every policy: the plugin is asked again a bounded number of
//! times, then the next endpoint with room in order is taken, then one that takes what does not fit; with none, the pick fails as
//! [`PickError::Full`] and the request may wait. A balancer that faults is passed over the same way: traffic goes on, evenly, and the fault is
//! counted and logged.

mod levels;

pub use levels::{Candidate, LevelPolicy, Levels, levels};

use crate::http::{ConnectionFacts, Exchange, Field};
use crate::plugin::{Balancer, flatten_with};
use crate::upstream::{EndpointState, Place, View};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// How often a balancer is asked for one attempt before the host takes the next endpoint in order.
const ASKED_MAX: usize = 8;

/// How often a balancer must name none while there is one with room, until that is its answer.
const DECLINED_MAX: usize = 3;

/// Chooses endpoints of one cluster.
pub struct Picker {
    balancer: Arc<Balancer>,
    wants_measures: bool,
    /// Where to look next when the plugin has no usable answer.
    turn: AtomicU32,
}

/// Why no endpoint was picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PickError {
    /// No endpoint is eligible, or the balancer chose none.
    None,
    /// Every eligible endpoint is at its limit; a place may become free.
    Full,
    /// Every eligible endpoint is at the limit of its circuit breaker.
    Broken,
}

impl Picker {
    /// A picker by this balancer.
    pub fn new(balancer: Arc<Balancer>) -> Picker {
        Picker {
            wants_measures: balancer.wants_measures(),
            balancer,
            turn: AtomicU32::new(0),
        }
    }

    /// The plugin behind it.
    pub fn balancer(&self) -> &Arc<Balancer> {
        &self.balancer
    }

    /// Whether the plugin looks at how fast and how well endpoints answer.
    pub fn wants_measures(&self) -> bool {
        self.wants_measures
    }

    /// The key of a request: a hash of the fields that the balancer asked for, 0 if it asked for none or none is there.
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
        match flatten_with(fields, &mut flat, read) {
            true => xxhash_rust::xxh3::xxh3_64(&flat).max(1),
            false => 0,
        }
    }

    /// Picks an endpoint of `view` whose number is not in `tried`, and takes a place at it. `key` is what the balancer asked to hash.
    ///
    /// # Errors
    /// [`PickError`].
    pub fn pick(&self, view: &View, key: u64, tried: &[u64]) -> Result<Place, PickError> {
        let endpoints = &view.choice.endpoints;
        let mut refused = positions_of(tried, endpoints);
        let mut declined = 0;
        for _ in 0..endpoints.len().clamp(DECLINED_MAX, ASKED_MAX) {
            match self.balancer.pick(&view.table, key, &refused) {
                Ok(Some(index)) => {
                    let picked = endpoints.get(index as usize);
                    if let Some(place) = picked.and_then(|endpoint| enter(endpoint, tried)) {
                        return Ok(place);
                    }
                    refused.push(index);
                }
                // Its word counts where it had a choice. It may have seen all of them full a moment ago, so it is asked more than once.
                Ok(None) if endpoints.iter().any(|endpoint| has_room(endpoint, tried)) => {
                    declined += 1;
                    if declined == DECLINED_MAX {
                        return Err(PickError::None);
                    }
                }
                Ok(None) | Err(_) => break,
            }
        }
        self.next_in_order(view, tried)
    }

    fn next_in_order(&self, view: &View, tried: &[u64]) -> Result<Place, PickError> {
        let first = self.turn.fetch_add(1, Ordering::Relaxed) as usize;
        let turned = |endpoints: &[Arc<EndpointState>]| {
            let count = endpoints.len();
            (0..count).find_map(|step| enter(&endpoints[(first + step) % count], tried))
        };
        turned(&view.choice.endpoints)
            .or_else(|| turned(&view.spill))
            .ok_or_else(|| refusal(view, tried))
    }
}

impl std::fmt::Debug for Picker {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Picker")
            .field("balancer", &self.balancer)
            .finish_non_exhaustive()
    }
}

/// Positions of those who have failed the request already; nothing is allocated while nobody has.
fn positions_of(tried: &[u64], endpoints: &[Arc<EndpointState>]) -> Vec<u32> {
    if tried.is_empty() {
        return Vec::new();
    }
    let numbered = (0..).zip(endpoints);
    numbered
        .filter(|(_, endpoint)| tried.contains(&endpoint.id()))
        .map(|(position, _)| position)
        .collect()
}

fn enter(endpoint: &Arc<EndpointState>, tried: &[u64]) -> Option<Place> {
    if tried.contains(&endpoint.id()) {
        return None;
    }
    endpoint.enter()
}

fn has_room(endpoint: &EndpointState, tried: &[u64]) -> bool {
    endpoint.has_room() && !tried.contains(&endpoint.id())
}

/// Why nothing was picked: whether some untried endpoint is only full.
fn refusal(view: &View, tried: &[u64]) -> PickError {
    let all = view.choice.endpoints.iter().chain(&view.spill);
    let full = all.filter(|endpoint| !tried.contains(&endpoint.id()) && !endpoint.has_room());
    let waits = |endpoint: &Arc<EndpointState>| {
        view.endpoint(endpoint)
            .is_some_and(|endpoint| endpoint.waits)
    };
    let mut refusal = PickError::None;
    for endpoint in full {
        if waits(endpoint) {
            return PickError::Full;
        }
        refusal = PickError::Broken;
    }
    refusal
}

#[cfg(test)]
mod simulation;
