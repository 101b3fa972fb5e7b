//! What an endpoint keeps across reloads, found by (cluster, address, label).

use super::measure::Measures;
use super::passive::Passive;
use super::queue::Queue;
use super::status::Status;
use crate::net::address::Address;
use crate::observe::seldom::Seldom;
use dashmap::DashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, Weak};
use tokio::sync::Notify;

/// No limit.
pub(super) const UNLIMITED: u32 = u32::MAX;

/// The live side of an endpoint, shared by all workers and all generations that name it.
#[derive(Debug)]
pub struct EndpointState {
    id: u64,
    pub address: Address,
    /// As written, a host name included; names the endpoint in logs.
    pub label: Arc<str>,
    in_flight: AtomicU32,
    /// Most requests in flight at present, or [`UNLIMITED`].
    limit: AtomicU32,
    /// Whether it takes requests that are bound to nobody.
    open: AtomicBool,
    /// Whether it is down or in maintenance.
    unwell: AtomicBool,
    /// Upstream connections, idle ones included.
    connections: AtomicU32,
    /// Most of them, or [`UNLIMITED`].
    connections_max: AtomicU32,
    /// Its sessions were told that they are to be closed.
    was_cut: AtomicBool,
    /// Who waits in its cluster.
    queue: Arc<Queue>,
    /// Failures of the endpoint, for the log.
    pub(super) failures: Seldom,
    /// What its answers say about its health.
    pub passive: Passive,
    /// How fast and how well it has answered lately.
    pub measures: Measures,
    pub(super) status: Mutex<Status>,
    /// Woken when its sessions are to be closed.
    pub cut: Notify,
}

type Key = (Arc<str>, Address, Arc<str>);

/// Bounded by the endpoints of the generations alive: see [`forget_gone`].
static STATES: LazyLock<DashMap<Key, Weak<EndpointState>>> = LazyLock::new(DashMap::new);
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// The live state of an endpoint: the existing one while anybody holds it, else a fresh one. For the slow path only.
pub(super) fn endpoint_state(
    cluster: &Arc<str>,
    address: &Address,
    label: &Arc<str>,
    queue: &Arc<Queue>,
) -> Arc<EndpointState> {
    let key = (cluster.clone(), address.clone(), label.clone());
    let mut entry = STATES.entry(key).or_default();
    // An idle connection may have outlived the cluster that the endpoint was of; its queue is not ours.
    let of_this = |state: &Arc<EndpointState>| Arc::ptr_eq(&state.queue, queue);
    if let Some(state) = entry.upgrade().filter(of_this) {
        return state;
    }
    let state = Arc::new(EndpointState::new(
        address.clone(),
        label.clone(),
        queue.clone(),
    ));
    *entry = Arc::downgrade(&state);
    state
}

/// Drops the entries whose endpoint is gone. To be called with each change of a list.
pub(super) fn forget_gone() {
    STATES.retain(|_, state| state.strong_count() > 0);
}

impl EndpointState {
    fn new(address: Address, label: Arc<str>, queue: Arc<Queue>) -> EndpointState {
        EndpointState {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            address,
            label,
            in_flight: AtomicU32::new(0),
            limit: AtomicU32::new(UNLIMITED),
            open: AtomicBool::new(false),
            unwell: AtomicBool::new(false),
            connections: AtomicU32::new(0),
            connections_max: AtomicU32::new(UNLIMITED),
            was_cut: AtomicBool::new(false),
            queue,
            failures: Seldom::new(),
            passive: Passive::default(),
            measures: Measures::default(),
            status: Mutex::default(),
            cut: Notify::new(),
        }
    }

    /// Unique during the life of the process; the key of each worker's connection pool.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Requests and TCP connections being served by this endpoint now.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::SeqCst)
    }

    /// Upstream connections, idle ones included.
    pub fn connections(&self) -> u32 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Most requests in flight at present, or `u32::MAX` for no limit.
    pub fn limit(&self) -> u32 {
        self.limit.load(Ordering::SeqCst)
    }

    pub(super) fn set_limit(&self, limit: u32) {
        self.limit.store(limit, Ordering::SeqCst);
    }

    /// Whether it takes requests that are bound to nobody. Who has taken a place looks here before it uses it, and who closes an endpoint
    /// looks at the places afterwards; both in one order for all, so one of them sees the other.
    pub fn is_open(&self) -> bool {
        self.open.load(Ordering::SeqCst)
    }

    pub(super) fn set_open(&self, open: bool) {
        self.open.store(open, Ordering::SeqCst);
    }

    /// Whether its sessions are to be closed where going down does that: it is unwell, and not used all the same.
    pub fn is_cut(&self) -> bool {
        self.unwell.load(Ordering::Relaxed) && !self.is_open()
    }

    /// Tells its sessions when that begins to be so. To be called when the view is in force.
    pub(super) fn tell_cut(&self) {
        let cut = self.is_cut();
        if !self.was_cut.swap(cut, Ordering::Relaxed) && cut {
            self.cut.notify_waiters();
        }
    }

    pub(super) fn set_unwell(&self, unwell: bool) {
        self.unwell.store(unwell, Ordering::Relaxed);
    }

    /// Whether [`EndpointState::enter`] would succeed now.
    pub fn has_room(&self) -> bool {
        self.in_flight() < self.limit()
    }

    /// Takes a place for one request, unless the endpoint is at its limit. Never over the limit, also with many workers entering at once.
    pub fn enter(self: &Arc<Self>) -> Option<Place> {
        let limit = self.limit();
        if limit == UNLIMITED {
            self.in_flight.fetch_add(1, Ordering::SeqCst);
            return Some(Place(self.clone()));
        }
        let entered = self
            .in_flight
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |count| {
                (count < limit).then_some(count + 1)
            });
        entered.ok().map(|_| Place(self.clone()))
    }

    /// Requests that are bound to this endpoint and wait for it.
    pub fn waiting(&self) -> usize {
        self.queue.waiting_for(self.id)
    }

    pub(super) fn set_connections_max(&self, most: Option<u32>) {
        let most = most.unwrap_or(UNLIMITED);
        self.connections_max.store(most, Ordering::Relaxed);
    }

    /// One more upstream connection, unless there are as many as there may be.
    pub(super) fn count_connection(self: &Arc<Self>) -> Option<ConnectionCount> {
        let most = self.connections_max.load(Ordering::Relaxed);
        let counted =
            self.connections
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
                    (count < most).then_some(count + 1)
                });
        counted.ok().map(|_| ConnectionCount(self.clone()))
    }

    /// Logs what is wrong with it: at most once a second, with how often something was.
    pub fn report(&self, cluster: &str, what: &str, error: &dyn std::fmt::Display) {
        if let Some(failures) = self.failures.count() {
            tracing::warn!(cluster, endpoint = %self.label, %error, failures, "{what}");
        }
    }
}

/// A place at an endpoint. When dropped it is given back, and goes to whoever waits for it.
#[derive(Debug)]
pub struct Place(Arc<EndpointState>);

impl Place {
    /// Whose place it is.
    pub fn endpoint(&self) -> &Arc<EndpointState> {
        &self.0
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
        if !self.0.queue.is_empty() {
            self.0.queue.serve(&self.0);
        }
    }
}

/// An upstream connection that is counted at its endpoint for as long as it is there.
#[derive(Debug)]
pub(super) struct ConnectionCount(Arc<EndpointState>);

impl ConnectionCount {
    pub(super) fn endpoint(&self) -> &Arc<EndpointState> {
        &self.0
    }

    /// Whether there are as many as there may be.
    pub(super) fn is_crowded(&self) -> bool {
        self.0.connections() >= self.0.connections_max.load(Ordering::Relaxed)
    }
}

impl Drop for ConnectionCount {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
pub(super) fn test_endpoint(queue: &Arc<Queue>, limit: u32) -> Arc<EndpointState> {
    test_endpoint_at(([127, 0, 0, 1], 9).into(), queue, limit)
}

/// An endpoint of its own, in no cluster.
#[cfg(test)]
pub(crate) fn test_endpoint_at(
    address: std::net::SocketAddr,
    queue: &Arc<Queue>,
    limit: u32,
) -> Arc<EndpointState> {
    let state = Arc::new(EndpointState::new(
        address.into(),
        "test".into(),
        queue.clone(),
    ));
    state.set_limit(limit);
    state.set_open(true);
    state
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(cluster: &str) -> Arc<EndpointState> {
        let address = Address::Ip(([127, 0, 0, 1], 9).into());
        forget_gone();
        endpoint_state(&cluster.into(), &address, &"a".into(), &queue())
    }

    /// The one queue of all clusters of these tests.
    fn queue() -> Arc<Queue> {
        static QUEUE: LazyLock<Arc<Queue>> = LazyLock::new(Arc::default);
        QUEUE.clone()
    }

    #[test]
    fn state_of_a_cluster_that_is_gone_is_not_taken_over() {
        let first = state("live-queue");
        let address = first.address.clone();
        let other = endpoint_state(&"live-queue".into(), &address, &"a".into(), &Arc::default());
        assert_ne!(other.id(), first.id());
    }

    #[test]
    fn state_is_found_again_while_it_is_held_and_fresh_afterwards() {
        let first = state("live-a");
        let place = first.enter();
        assert_eq!(state("live-a").in_flight(), 1);
        assert_ne!(state("live-b").id(), first.id());
        let id = first.id();
        drop((first, place));
        assert_ne!(state("live-a").id(), id);
    }

    #[test]
    fn the_limit_holds_at_the_limit_and_places_come_back() {
        let state = state("live-limit");
        state.set_limit(3);
        let places: Vec<_> = (0..3).map(|_| state.enter()).collect();
        assert!(places.iter().all(Option::is_some));
        assert!(state.enter().is_none() && !state.has_room());
        drop(places);
        assert_eq!(state.in_flight(), 0);
    }

    #[test]
    fn the_limit_holds_across_threads() {
        let state = state("live-threads");
        state.set_limit(2);
        let highest = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        let place = state.enter();
                        highest.fetch_max(state.in_flight(), Ordering::Relaxed);
                        drop(place);
                    }
                });
            }
        });
        assert!(highest.into_inner() <= 2);
        assert_eq!(state.in_flight(), 0);
    }

    #[test]
    fn connections_are_counted_up_to_a_limit() {
        let state = state("live-connections");
        state.set_connections_max(Some(1));
        let first = state.count_connection();
        assert!(first.is_some() && state.count_connection().is_none());
        drop(first);
        assert_eq!(state.connections(), 0);
    }
}
