//! A cluster's live side: its endpoints as they come and go, their service state and health, and who waits for them.
//!
//! Everything that changes who may be picked ends in [`ClusterState::refresh`], which makes a new [`View`] and hands free places to those who
//! wait. Requests load the view and take no lock; what changes it takes one. Found by name while anybody holds it, so it outlives the
//! configuration under which it began.

use super::budget::RetryBudget;
use super::cluster::Spec;
use super::live::{EndpointState, UNLIMITED, endpoint_state};
use super::passive::outliers;
use super::queue::Queue;
use super::view::{Choice, Endpoint, View};
use crate::affinity::{Members, Table};
use crate::balance::{Candidate, LevelPolicy, levels};
use crate::config::{self, Discovery, OutlierDetection, Percent};
use crate::health::{Counter, Pace, Transition};
use arc_swap::ArcSwap;
use dashmap::DashMap;
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, Weak};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// Slow start goes up in this many steps, but in none shorter than [`STEP_MIN`] or longer than [`STEP_MAX`].
const SLOW_START_STEPS: u32 = 20;
const STEP_MIN: Duration = Duration::from_millis(100);
const STEP_MAX: Duration = Duration::from_secs(1);
/// The share that an endpoint begins with (as Envoy's `min_weight_percent`).
const SLOW_START_LEAST: f64 = 0.1;

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
    /// Upstream connections, counted likewise.
    pub connections: Arc<AtomicU32>,
    shape: Mutex<Shape>,
    /// Counts the changes of the list of endpoints.
    membership: watch::Sender<u64>,
}

/// What a generation says about who may be picked.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    pub levels: LevelPolicy,
    pub zone: Option<String>,
    pub slow_start: Option<Duration>,
    /// Of the circuit breaker.
    pub endpoint_requests_max: Option<u32>,
    pub outlier_detection: Option<OutlierDetection>,
    /// `rise`, `fall` and the state before the first check, where endpoints are checked.
    pub health: Option<(u32, u32, config::InitialHealth)>,
    /// How long a draining endpoint keeps what is bound to it.
    pub drain_timeout: Option<Duration>,
    pub affinity: Option<config::Affinity>,
}

/// What an operator has said about an endpoint at run time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Override {
    pub(super) service: Service,
    pub(super) weight: Option<Weight>,
}

/// Whether an endpoint is in service.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Service {
    #[default]
    Ready,
    /// It takes only what is bound to it, and from `until` on nothing.
    Draining { until: Option<Instant> },
    /// It takes nothing and is not checked.
    Maintenance,
}

/// A weight set at run time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    Absolute(u32),
    /// Of the weight that is written down.
    Relative(Percent),
}

impl Weight {
    fn of(self, written: u32) -> u32 {
        match self {
            Weight::Absolute(weight) => weight,
            Weight::Relative(share) => {
                ((f64::from(written) * share.factor()).round() as u32).min(256)
            }
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Shape {
    pub(super) rules: Rules,
    written: Vec<Spec>,
    /// By source.
    found: HashMap<String, Vec<Spec>>,
    sources: Vec<String>,
    /// At run time. Bounded by what the operator adds.
    pub(super) added: Vec<Spec>,
    /// Of those that were written or found then; who was added is just gone.
    pub(super) removed: HashSet<SocketAddr>,
    pub(super) overrides: HashMap<SocketAddr, Override>,
    pub(super) members: Vec<Member>,
    /// Endpoints that come later come into a cluster that is running.
    running: bool,
    stepped: Option<Instant>,
    compared: Option<Instant>,
}

#[derive(Debug)]
pub(super) struct Member {
    pub(super) spec: Spec,
    pub(super) state: Arc<EndpointState>,
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

    /// Puts a generation's list of endpoints and its rules into force. What was found or added at run time stays.
    pub fn activate(&self, rules: &Rules, written: &[Spec], discovery: &[Discovery]) {
        if let Some(config::Affinity::Table(table)) = &rules.affinity {
            self.table.configure(table.size, table.expiry);
        }
        let mut shape = self.shape();
        shape.rules = rules.clone();
        shape.written = written.to_vec();
        shape.sources = discovery.iter().map(source_name).collect();
        let sources: HashSet<_> = shape.sources.iter().cloned().collect();
        shape.found.retain(|source, _| sources.contains(source));
        self.rebuild(&mut shape);
        shape.running = true;
    }

    /// Takes a new list of a source of endpoints.
    pub fn discovered(&self, source: &Discovery, found: Vec<Spec>) {
        let mut shape = self.shape();
        let source = source_name(source);
        if shape.running && !shape.sources.contains(&source) {
            return;
        }
        if shape.found.get(&source) == Some(&found) {
            return;
        }
        shape.found.insert(source, found);
        self.rebuild(&mut shape);
    }

    /// Whether a source has answered before.
    pub fn has_discovered(&self, source: &Discovery) -> bool {
        self.shape().found.contains_key(&source_name(source))
    }

    /// The list of endpoints anew: what is written or found and was not removed, and what was added, each address once.
    pub(super) fn rebuild(&self, shape: &mut Shape) {
        let mut known: HashMap<SocketAddr, Arc<EndpointState>> = HashMap::new();
        for member in &shape.members {
            known.insert(member.spec.address, member.state.clone());
        }
        let stays = |spec: &&Spec| !shape.removed.contains(&spec.address);
        let specs = shape.listed().filter(stays).chain(&shape.added);
        let mut seen = HashSet::new();
        let specs: Vec<Spec> = specs
            .filter(|spec| seen.insert(spec.address))
            .cloned()
            .collect();
        let members: Vec<Member> = specs
            .into_iter()
            .map(|spec| self.member(spec, &known, shape))
            .collect();
        let staying: HashSet<u64> = members.iter().map(|member| member.state.id()).collect();
        for gone in shape
            .members
            .iter()
            .filter(|old| !staying.contains(&old.state.id()))
        {
            gone.state.set_open(false);
            self.queue.dissolve(gone.state.id());
        }
        shape.members = members;
        self.refresh(shape);
        self.members_changed();
    }

    /// Lets those know who check the endpoints.
    pub(super) fn members_changed(&self) {
        self.membership.send_modify(|count| *count += 1);
    }

    fn member(
        &self,
        spec: Spec,
        known: &HashMap<SocketAddr, Arc<EndpointState>>,
        shape: &Shape,
    ) -> Member {
        let state = endpoint_state(&self.name, spec.address, &spec.label, &self.queue);
        let mut status = lock(&state);
        let is_new = known
            .get(&spec.address)
            .is_none_or(|known| known.id() != state.id());
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
        let serving: Vec<_> = view
            .endpoints
            .iter()
            .map(|endpoint| endpoint.state.clone())
            .collect();
        for endpoint in view
            .endpoints
            .iter()
            .filter(|endpoint| !endpoint.keeps_bound)
        {
            self.queue.dissolve(endpoint.state.id());
        }
        let (panic, taking) = (view.panic, view.taking());
        let was_panic = self.view.swap(Arc::new(view)).panic;
        if panic != was_panic {
            tracing::warn!(cluster = %self.name, panic, "the share of healthy endpoints passed the panic threshold");
        }
        if !self.queue.is_empty() {
            self.queue.forgive(&taking);
            serving
                .iter()
                .for_each(|endpoint| self.queue.serve(endpoint));
        }
    }

    /// Lets time pass: steps of slow start, ends of ejections and drains, comparison of success rates. To be called several times a second.
    pub fn tick(&self) {
        self.table.sweep(Instant::now());
        let mut shape = self.shape();
        let now = Instant::now();
        let mut changed = self.readmit(&shape);
        changed |= self.compare(&mut shape, now);
        changed |= shape.drains_ended(now);
        changed |= shape.is_stepping(now);
        if changed {
            self.refresh(&mut shape);
        }
    }

    fn readmit(&self, shape: &Shape) -> bool {
        let mut changed = false;
        for member in &shape.members {
            if lock(&member.state).readmit(false, "ejection is over") {
                tracing::info!(cluster = %self.name, endpoint = %member.state.label, "ejection is over");
                changed = true;
            }
        }
        changed
    }

    /// Compares success rates once an interval, and forgives those who gave no reason.
    fn compare(&self, shape: &mut Shape, now: Instant) -> bool {
        let Some(policy) = shape.rules.outlier_detection.clone() else {
            return false;
        };
        let since = *shape.compared.get_or_insert(now);
        if now.duration_since(since) < policy.interval {
            return false;
        }
        shape.compared = Some(now);
        let intervals: Vec<_> = shape
            .members
            .iter()
            .map(|member| member.state.passive.take_interval())
            .collect();
        let found = policy
            .success_rate
            .as_ref()
            .map_or(Vec::new(), |rule| outliers(&intervals, rule));
        let mut changed = false;
        for (position, member) in shape.members.iter().enumerate() {
            if found.contains(&position) {
                changed |= self.eject_member(shape, &member.state, &policy, "success rate");
            } else {
                lock(&member.state).forgive();
            }
        }
        changed
    }

    /// Takes an endpoint out of traffic for a time, unless too many are out already.
    pub fn eject(&self, endpoint: &Arc<EndpointState>, policy: &OutlierDetection, reason: &str) {
        let mut shape = self.shape();
        if self.eject_member(&shape, endpoint, policy, reason) {
            self.refresh(&mut shape);
        }
    }

    fn eject_member(
        &self,
        shape: &Shape,
        endpoint: &Arc<EndpointState>,
        policy: &OutlierDetection,
        reason: &str,
    ) -> bool {
        endpoint.passive.reset();
        let ejected = shape
            .members
            .iter()
            .filter(|member| lock(&member.state).is_ejected())
            .count();
        let is_member = shape
            .members
            .iter()
            .any(|member| member.state.id() == endpoint.id());
        let one_more = (ejected as u64 + 1) * 10_000;
        let too_many = one_more > shape.members.len() as u64 * u64::from(policy.ejected_max.0);
        let mut status = lock(endpoint);
        // At least one may be ejected whatever the share (SEMANTICS 39).
        if !is_member || status.is_ejected() || (ejected > 0 && too_many) {
            return false;
        }
        let time = status.eject(policy.ejection, policy.ejection_max, reason);
        tracing::warn!(
            cluster = %self.name, endpoint = %endpoint.label, reason, seconds = time.as_secs_f64(), "endpoint ejected"
        );
        true
    }

    /// Takes the result of a health check: words for what was seen. Answers how soon to check again.
    pub fn checked(&self, endpoint: &Arc<EndpointState>, result: Result<&str, &str>) -> Pace {
        let mut status = lock(endpoint);
        let transition = status.checked(result);
        let passed = result.is_ok();
        let returned = passed && status.is_up() && status.readmit(true, "a health check passed");
        let pace = status.counter.as_ref().map_or(Pace::Stop, Counter::pace);
        drop(status);
        if let Some(transition) = transition {
            self.log_transition(endpoint, transition, result);
        }
        if transition.is_some() || returned {
            self.refresh(&mut self.shape());
        }
        if transition == Some(Transition::Down) {
            endpoint.cut.notify_waiters();
        }
        pace
    }

    /// How soon to check the endpoint again.
    pub fn pace(&self, endpoint: &EndpointState) -> Pace {
        lock(endpoint)
            .counter
            .as_ref()
            .map_or(Pace::Stop, Counter::pace)
    }

    fn log_transition(
        &self,
        endpoint: &EndpointState,
        transition: Transition,
        result: Result<&str, &str>,
    ) {
        let reason = result.unwrap_or_else(|failure| failure);
        match transition {
            Transition::Up => {
                tracing::info!(cluster = %self.name, endpoint = %endpoint.label, reason, "endpoint is up");
            }
            Transition::Down => {
                tracing::warn!(cluster = %self.name, endpoint = %endpoint.label, reason, "endpoint is down");
            }
        }
    }

    /// Endpoints to be checked: all but those in maintenance.
    pub fn to_check(&self) -> Vec<Arc<EndpointState>> {
        let shape = self.shape();
        let members = shape.members.iter();
        members
            .filter(|member| shape.said(member.spec.address).service != Service::Maintenance)
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

impl Shape {
    /// What is written or found, in the order of the configuration.
    fn listed(&self) -> impl Iterator<Item = &Spec> {
        let sources = self.sources.iter();
        let found = sources.filter_map(|source| self.found.get(source));
        self.written.iter().chain(found.flatten())
    }

    pub(super) fn is_listed(&self, address: SocketAddr) -> bool {
        self.listed().any(|spec| spec.address == address)
    }

    pub(super) fn said(&self, address: SocketAddr) -> Override {
        self.overrides.get(&address).copied().unwrap_or_default()
    }

    /// The weight that is in force, slow start aside.
    pub(super) fn weight(&self, spec: &Spec) -> u32 {
        match self.said(spec.address).weight {
            Some(weight) => weight.of(spec.weight),
            None => spec.weight,
        }
    }

    fn view(&self, cluster: &str, now: Instant) -> View {
        let candidates: Vec<_> = self
            .members
            .iter()
            .map(|member| self.candidate(member))
            .collect();
        let levels = levels(&candidates, self.rules.levels);
        let shares: Vec<f64> = self
            .members
            .iter()
            .map(|member| self.share(member, now))
            .collect();
        let endpoints: Vec<_> = self
            .members
            .iter()
            .map(|member| self.endpoint(member, now))
            .collect();
        for (position, member) in self.members.iter().enumerate() {
            let open = levels.primary.contains(&position) || levels.spill.contains(&position);
            member
                .state
                .set_limit(self.limit(&member.spec, shares[position]));
            member.state.set_open(open);
        }
        let slow = levels
            .primary
            .iter()
            .any(|&position| shares[position] < 1.0);
        let weighted = |&position: &usize| {
            let weight = candidates[position].weight;
            let weight = match slow {
                true => ((f64::from(weight * 100) * shares[position]) as u32).max(1),
                false => weight,
            };
            (self.members[position].state.clone(), weight)
        };
        let waits = levels
            .primary
            .iter()
            .chain(&levels.spill)
            .any(|&position| endpoints[position].waits);
        let choice = Arc::new(Choice::new(
            levels.primary.iter().map(weighted).collect(),
            waits,
        ));
        let ids = self
            .members
            .iter()
            .map(|member| member.spec.affinity_id().to_owned());
        View {
            members: Members::new(self.rules.affinity.as_ref(), cluster, ids),
            positions: self
                .members
                .iter()
                .enumerate()
                .map(|(position, member)| (member.state.id(), position))
                .collect(),
            endpoints,
            table: choice.clone(),
            choice,
            spill: levels
                .spill
                .iter()
                .map(|&position| self.members[position].state.clone())
                .collect(),
            panic: levels.panic,
        }
    }

    fn candidate(&self, member: &Member) -> Candidate {
        Candidate {
            weight: self.weight(&member.spec),
            ready: self.said(member.spec.address).service == Service::Ready,
            healthy: lock(&member.state).is_healthy(),
            backup: member.spec.backup,
            local: self.rules.zone.is_some() && member.spec.zone == self.rules.zone,
        }
    }

    fn endpoint(&self, member: &Member, now: Instant) -> Endpoint {
        let in_service = match self.said(member.spec.address).service {
            Service::Ready => true,
            Service::Draining { until } => until.is_none_or(|until| now < until),
            Service::Maintenance => false,
        };
        let breaker = self.rules.endpoint_requests_max.unwrap_or(UNLIMITED);
        Endpoint {
            spec: member.spec.clone(),
            state: member.state.clone(),
            keeps_bound: in_service && lock(&member.state).is_healthy(),
            waits: member.spec.requests_max.unwrap_or(UNLIMITED) < breaker,
        }
    }

    fn limit(&self, spec: &Spec, share: f64) -> u32 {
        let written = spec
            .requests_max
            .map_or(UNLIMITED, |most| ((f64::from(most) * share) as u32).max(1));
        written.min(self.rules.endpoint_requests_max.unwrap_or(UNLIMITED))
    }

    /// The share of its weight and limit that an endpoint has while it starts slowly: linear over the time, from a tenth on (SEMANTICS 20 and 36).
    fn share(&self, member: &Member, now: Instant) -> f64 {
        let Some(slow_start) = self.rules.slow_start else {
            return 1.0;
        };
        let Some(came) = lock(&member.state).came else {
            return 1.0;
        };
        let passed = now.saturating_duration_since(came).as_secs_f64();
        (passed / slow_start.as_secs_f64()).clamp(SLOW_START_LEAST, 1.0)
    }

    /// Whether the next step of somebody's slow start is due. An endpoint that has reached its whole share is forgotten with that step.
    fn is_stepping(&self, now: Instant) -> bool {
        let Some(slow_start) = self.rules.slow_start else {
            return false;
        };
        let step = (slow_start / SLOW_START_STEPS).clamp(STEP_MIN, STEP_MAX);
        if self
            .stepped
            .is_some_and(|stepped| now.duration_since(stepped) < step)
        {
            return false;
        }
        let mut stepping = false;
        for member in &self.members {
            let mut status = lock(&member.state);
            if let Some(came) = status.came {
                stepping = true;
                if now.saturating_duration_since(came) >= slow_start {
                    status.came = None;
                }
            }
        }
        stepping
    }

    /// Whether some drain's time is over just now. What was bound to it is bound to nobody from now on.
    fn drains_ended(&mut self, now: Instant) -> bool {
        let mut ended = false;
        for said in self.overrides.values_mut() {
            if let Service::Draining { until: Some(until) } = said.service
                && until <= now
                && self.stepped.is_none_or(|stepped| stepped < until)
            {
                ended = true;
            }
        }
        ended
    }
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
