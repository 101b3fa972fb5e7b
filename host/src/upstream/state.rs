//! A cluster's live side: its endpoints as they come and go, their service state and health, and who waits for them.
//!
//! Everything that changes who may be picked ends in [`ClusterState::refresh`], which makes a new [`View`] and hands free places to those who
//! wait. Requests load the view and take no lock; what changes it takes one. Found by name while anybody holds it, so it outlives the
//! configuration under which it began.

use super::budget::RetryBudget;
use super::cluster::Spec;
use super::connections::Connections;
use super::live::{EndpointState, endpoint_state, forget_gone};
use super::queue::Queue;
use super::shape::{Member, Rules, Service, Shape};
use super::view::View;
use crate::affinity::Table;
use crate::config::{self, Discovery};
use crate::health::Counter;
use crate::net::address::Address;
use arc_swap::ArcSwap;
use dashmap::DashMap;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, Weak};
use tokio::sync::watch;
use tokio::time::Instant;

/// Bounded by the clusters of the generations alive: each look-up drops the entries whose cluster is gone.
static STATES: LazyLock<DashMap<Arc<str>, Weak<ClusterState>>> = LazyLock::new(DashMap::new);

/// The live state of a cluster: the existing one while anybody holds it, else a fresh one. For the slow path only.
pub fn cluster_state(name: &Arc<str>) -> Arc<ClusterState> {
    STATES.retain(|_, state| state.strong_count() > 0);
    let mut entry = STATES.entry(name.clone()).or_default();
    if let Some(state) = entry.upgrade() {
        return state;
    }
    let state = Arc::new(ClusterState::new(name.clone()));
    *entry = Arc::downgrade(&state);
    state
}

/// The live side of a cluster.
#[derive(Debug)]
pub struct ClusterState {
    pub name: Arc<str>,
    view: ArcSwap<View>,
    pub queue: Arc<Queue>,
    pub budget: RetryBudget,
    /// Which client is on which endpoint, for affinity by a key.
    pub table: Arc<Table>,
    /// Requests being served, counted where a circuit breaker wants to know.
    pub requests: Arc<AtomicU32>,
    /// Requests waiting for a place or a connection, counted likewise.
    pub pending: Arc<AtomicU32>,
    /// Upstream connections, idle ones included.
    pub connections: Arc<Connections>,
    /// Endpoints ejected now, and how many there are: for a look before the lock.
    pub(super) ejected: AtomicU32,
    pub(super) count: AtomicU32,
    shape: Mutex<Shape>,
    /// Counts the changes of the list of endpoints.
    membership: watch::Sender<u64>,
}

impl ClusterState {
    fn new(name: Arc<str>) -> ClusterState {
        ClusterState {
            name,
            view: ArcSwap::from_pointee(View::empty()),
            queue: Arc::default(),
            budget: RetryBudget::new(),
            table: Arc::new(Table::new()),
            requests: Arc::default(),
            pending: Arc::default(),
            connections: Arc::default(),
            ejected: AtomicU32::new(0),
            count: AtomicU32::new(0),
            shape: Mutex::default(),
            membership: watch::Sender::new(0),
        }
    }

    /// The endpoints as they stand now. Costs no lock; not to be held over an `.await`.
    pub fn view(&self) -> arc_swap::Guard<Arc<View>> {
        self.view.load()
    }

    /// Tells of each change of the list of endpoints.
    pub fn membership(&self) -> watch::Receiver<u64> {
        self.membership.subscribe()
    }

    pub(super) fn shape(&self) -> MutexGuard<'_, Shape> {
        self.shape
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Puts a generation's list of endpoints and its rules into force. What was added at run time stays, and what its sources found before; `looked`
    /// is what new sources have found.
    pub fn activate(
        &self,
        rules: &Rules,
        written: &[Spec],
        discovery: &[Discovery],
        looked: Vec<(Discovery, Vec<Spec>)>,
    ) {
        self.connections.set_most(rules.connections_max);
        if let Some(config::Affinity::Table(table)) = &rules.affinity {
            self.table.configure(table.size, table.expiry);
        }
        let mut shape = self.shape();
        shape.rules = rules.clone();
        shape.written = written.to_vec();
        shape.sources = discovery.iter().map(source_name).collect();
        let sources: HashSet<_> = shape.sources.iter().cloned().collect();
        shape.found.retain(|source, _| sources.contains(source));
        let looked = looked.into_iter();
        shape
            .found
            .extend(looked.map(|(source, found)| (source_name(&source), found)));
        for spec in written {
            if shape.removed.contains(&spec.address) {
                tracing::info!(cluster = %self.name, endpoint = %spec.label, "stays out: it was removed at run time");
            }
        }
        self.rebuild(&mut shape);
        shape.running = true;
    }

    /// Takes a new list of a source of endpoints.
    pub fn discovered(&self, source: &Discovery, found: Vec<Spec>) {
        let mut shape = self.shape();
        let source = source_name(source);
        if !shape.sources.contains(&source) || shape.found.get(&source) == Some(&found) {
            return;
        }
        shape.found.insert(source, found);
        self.rebuild(&mut shape);
    }

    /// Whether a source has answered before.
    pub fn has_discovered(&self, source: &Discovery) -> bool {
        self.shape().found.contains_key(&source_name(source))
    }

    /// The list of endpoints anew.
    pub(super) fn rebuild(&self, shape: &mut Shape) {
        let known = shape.members.iter();
        let known: HashMap<Address, u64> = known
            .map(|member| (member.spec.address.clone(), member.state.id()))
            .collect();
        forget_gone();
        let specs = shape.list();
        let members: Vec<Member> = specs
            .into_iter()
            .map(|spec| self.member(spec, &known, shape))
            .collect();
        let staying: HashSet<u64> = members.iter().map(|member| member.state.id()).collect();
        let before = std::mem::replace(&mut shape.members, members);
        self.refresh(shape);
        let gone = before.iter();
        for gone in gone.filter(|old| !staying.contains(&old.state.id())) {
            gone.state.set_open(false);
            self.queue.dissolve(gone.state.id());
        }
        self.members_changed();
    }

    /// Lets those know who check the endpoints.
    pub(super) fn members_changed(&self) {
        self.membership.send_modify(|count| *count += 1);
    }

    fn member(&self, spec: Spec, known: &HashMap<Address, u64>, shape: &Shape) -> Member {
        let state = endpoint_state(&self.name, &spec.address, &spec.label, &self.queue);
        let mut status = lock(&state);
        let is_new = known.get(&spec.address) != Some(&state.id());
        if is_new && shape.running {
            status.came = Some(Instant::now());
        }
        let counter = status.counter.take();
        status.counter = shape
            .rules
            .health
            .map(|(rise, fall, initial)| match counter {
                Some(counter) => counter.with_limits(rise, fall),
                None => Counter::new(rise, fall, initial),
            });
        drop(status);
        Member { spec, state }
    }

    /// A new view of the endpoints as they are.
    pub(super) fn refresh(&self, shape: &mut Shape) {
        let now = Instant::now();
        shape.stepped = Some(now);
        let view = shape.view(&self.name, now);
        let ejected = shape.members.iter();
        let ejected = ejected
            .filter(|member| lock(&member.state).is_ejected())
            .count();
        self.ejected.store(ejected as u32, Ordering::Relaxed);
        self.count
            .store(shape.members.len() as u32, Ordering::Relaxed);
        let panic = view.panic;
        let was_panic = self.view.swap(Arc::new(view)).panic;
        self.close_others();
        if panic != was_panic {
            tracing::warn!(cluster = %self.name, panic, "the share of healthy endpoints passed the panic threshold");
        }
        if !self.queue.is_empty() {
            self.serve_all();
        }
    }

    /// Closes who does not take requests by the view that is in force now: a request that chose one before looks again.
    fn close_others(&self) {
        let view = self.view();
        let open = view.choice.endpoints.iter().chain(&view.spill);
        let open: HashSet<u64> = open.map(|endpoint| endpoint.id()).collect();
        let others = view.endpoints.iter();
        others
            .filter(|endpoint| !open.contains(&endpoint.state.id()))
            .for_each(|endpoint| endpoint.state.set_open(false));
        for endpoint in &view.endpoints {
            endpoint.state.tell_cut();
        }
    }

    /// Those who wait, by the view as it is now: some wait for nobody any more, some may have somebody again.
    fn serve_all(&self) {
        let view = self.view();
        for lost in view
            .endpoints
            .iter()
            .filter(|endpoint| !endpoint.keeps_bound)
        {
            self.queue.dissolve(lost.state.id());
        }
        let open = view.choice.endpoints.iter().chain(&view.spill);
        let open: Vec<u64> = open.map(|endpoint| endpoint.id()).collect();
        self.queue.forgive(&open);
        for endpoint in &view.endpoints {
            self.queue.serve(&endpoint.state);
        }
    }

    /// Endpoints to be checked: all but those in maintenance.
    pub fn to_check(&self) -> Vec<Arc<EndpointState>> {
        let shape = self.shape();
        let members = shape.members.iter();
        members
            .filter(|member| shape.said(&member.spec.address).service != Service::Maintenance)
            .map(|member| member.state.clone())
            .collect()
    }
}

pub(super) fn lock(state: &EndpointState) -> MutexGuard<'_, super::status::Status> {
    state
        .status
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// What a source is called, so that its list is found again in the next generation.
fn source_name(source: &Discovery) -> String {
    format!("{:?} {:?}", source.source.value, source.nameservers)
}

/// A count that is given back when dropped.
#[derive(Debug)]
pub struct Counted(Arc<AtomicU32>);

impl Counted {
    /// One more, unless there are `most` already.
    pub fn take(count: &Arc<AtomicU32>, most: u32) -> Option<Counted> {
        let taken = count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
            (count < most).then_some(count + 1)
        });
        taken.ok().map(|_| Counted(count.clone()))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
