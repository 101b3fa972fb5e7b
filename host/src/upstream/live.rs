//! What an endpoint keeps across reloads, found by (cluster, address).

use crate::observe::seldom::Seldom;
use dashmap::DashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Weak};

/// The live side of an endpoint, shared by all workers and all generations that name it.
#[derive(Debug)]
pub struct EndpointState {
    id: u64,
    in_flight: AtomicU32,
    /// Failures of the endpoint, for the log.
    pub(super) failures: Seldom,
}

type Key = (Arc<str>, SocketAddr);

/// Bounded by the endpoints of the generations alive: each look-up drops the entries whose endpoint is gone.
static STATES: LazyLock<DashMap<Key, Weak<EndpointState>>> = LazyLock::new(DashMap::new);
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// The live state of an endpoint: the existing one while any generation holds it, else a fresh one. For the slow path only.
pub fn endpoint_state(cluster: &Arc<str>, address: SocketAddr) -> Arc<EndpointState> {
    STATES.retain(|_, state| state.strong_count() > 0);
    let mut entry = STATES.entry((cluster.clone(), address)).or_default();
    if let Some(state) = entry.upgrade() {
        return state;
    }
    let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
    let state = Arc::new(EndpointState {
        id,
        in_flight: AtomicU32::new(0),
        failures: Seldom::new(),
    });
    *entry = Arc::downgrade(&state);
    state
}

impl EndpointState {
    /// Unique during the life of the process; the key of each worker's connection pool.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Requests and TCP connections being served by this endpoint now.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }
}

/// A place at an endpoint; given back when dropped.
#[derive(Debug)]
pub struct InFlight(Arc<EndpointState>);

impl InFlight {
    /// One more request at the endpoint, unless it has `most` already. Never over the limit, also with many workers entering at once.
    pub fn enter(state: &Arc<EndpointState>, most: Option<u32>) -> Option<InFlight> {
        let Some(most) = most else {
            state.in_flight.fetch_add(1, Ordering::Relaxed);
            return Some(InFlight(state.clone()));
        };
        let entered = state
            .in_flight
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
                (count < most).then_some(count + 1)
            });
        entered.ok().map(|_| InFlight(state.clone()))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(cluster: &str) -> Arc<EndpointState> {
        endpoint_state(&cluster.into(), "127.0.0.1:9".parse().expect("an address"))
    }

    #[test]
    fn state_is_found_again_while_it_is_held_and_fresh_afterwards() {
        let first = state("live-a");
        let place = InFlight::enter(&first, None);
        assert_eq!(state("live-a").in_flight(), 1);
        assert_ne!(state("live-b").id(), first.id());
        let id = first.id();
        drop((first, place));
        assert_ne!(state("live-a").id(), id);
    }

    #[test]
    fn the_limit_holds_at_the_limit_and_places_come_back() {
        let state = state("live-limit");
        let places: Vec<_> = (0..3).map(|_| InFlight::enter(&state, Some(3))).collect();
        assert!(places.iter().all(Option::is_some));
        assert!(InFlight::enter(&state, Some(3)).is_none());
        drop(places);
        assert_eq!(state.in_flight(), 0);
    }

    #[test]
    fn the_limit_holds_across_threads() {
        let state = state("live-threads");
        let highest = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        let place = InFlight::enter(&state, Some(2));
                        highest.fetch_max(state.in_flight(), Ordering::Relaxed);
                        drop(place);
                    }
                });
            }
        });
        assert!(highest.into_inner() <= 2);
        assert_eq!(state.in_flight(), 0);
    }
}
