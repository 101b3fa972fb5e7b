//! The parts that a cluster's endpoints are put together from, and the view that comes of them.

use super::cluster::Spec;
use super::live::{EndpointState, UNLIMITED};
use super::state::lock;
use super::view::{Choice, Endpoint, View};
use crate::affinity::Members;
use crate::balance::{Candidate, LevelPolicy, levels};
use crate::config::{self, OutlierDetection, Percent};
use crate::net::address::Address;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Slow start goes up in this many steps, but in none shorter than [`STEP_MIN`] or longer than [`STEP_MAX`].
const SLOW_START_STEPS: u32 = 20;
const STEP_MIN: Duration = Duration::from_millis(100);
const STEP_MAX: Duration = Duration::from_secs(1);
/// The share that an endpoint begins with (as Envoy's `min_weight_percent`).
const SLOW_START_LEAST: f64 = 0.1;
/// How long what an operator has said about an endpoint is kept when the endpoint is gone.
const ORDERS_KEPT: Duration = Duration::from_secs(600);

/// What a generation says about who may be picked.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    pub levels: LevelPolicy,
    pub zone: Option<String>,
    pub slow_start: Option<Duration>,
    /// Of the circuit breaker.
    pub endpoint_requests_max: Option<u32>,
    /// Of the circuit breaker.
    pub connections_max: Option<u32>,
    /// Of the circuit breaker.
    pub endpoint_connections_max: Option<u32>,
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
    pub(super) written: Vec<Spec>,
    /// By source.
    pub(super) found: HashMap<String, Vec<Spec>>,
    pub(super) sources: Vec<String>,
    /// At run time. Bounded by what the operator adds.
    pub(super) added: Vec<Spec>,
    pub(super) removed: HashSet<Address>,
    pub(super) overrides: HashMap<Address, Override>,
    /// Since when there are orders about nobody.
    gone: HashMap<Address, Instant>,
    pub(super) members: Vec<Member>,
    /// What affinity knows of them, kept while nothing of that changes.
    affinity: Option<Arc<Members>>,
    /// Endpoints that come later come into a cluster that is running.
    pub(super) running: bool,
    pub(super) stepped: Option<Instant>,
    pub(super) compared: Option<Instant>,
    pub(super) swept: Option<Instant>,
}

#[derive(Debug)]
pub(super) struct Member {
    pub(super) spec: Spec,
    pub(super) state: Arc<EndpointState>,
}

impl Shape {
    pub(super) fn said(&self, address: &Address) -> Override {
        self.overrides.get(address).copied().unwrap_or_default()
    }

    /// The weight that is in force, slow start aside.
    pub(super) fn weight(&self, spec: &Spec) -> u32 {
        match self.said(&spec.address).weight {
            Some(weight) => weight.of(spec.weight),
            None => spec.weight,
        }
    }

    /// The list of endpoints: what is written, found and added, each address once, without what was removed.
    pub(super) fn list(&mut self) -> Vec<Spec> {
        self.forget_old_orders();
        let found = self
            .sources
            .iter()
            .filter_map(|source| self.found.get(source))
            .flatten();
        let named: Vec<&Spec> = self.written.iter().chain(found).collect();
        let added = self.added.iter().map(|spec| (spec.address.clone(), spec));
        let added: HashMap<Address, &Spec> = added.collect();
        let mut listed = HashSet::new();
        let all = named.into_iter().chain(&self.added);
        let list = all
            .filter(|spec| {
                listed.insert(spec.address.clone()) && !self.removed.contains(&spec.address)
            })
            // What was said last, at run time, counts.
            .map(|spec| added.get(&spec.address).copied().unwrap_or(spec).clone())
            .collect();
        self.note_gone(&listed);
        self.affinity = None;
        list
    }

    /// Orders outlast their endpoint for a time: a name may answer with some of its addresses only. After that another one may have the address.
    fn forget_old_orders(&mut self) {
        let now = Instant::now();
        let is_old = |since: &mut Instant| now.duration_since(*since) >= ORDERS_KEPT;
        for (address, _) in self.gone.extract_if(|_, since| is_old(since)) {
            self.overrides.remove(&address);
            self.removed.remove(&address);
        }
    }

    /// Notes since when there are orders about nobody.
    fn note_gone(&mut self, listed: &HashSet<Address>) {
        let now = Instant::now();
        self.gone.retain(|address, _| !listed.contains(address));
        for address in self.overrides.keys().chain(&self.removed) {
            if !listed.contains(address) {
                self.gone.entry(address.clone()).or_insert(now);
            }
        }
    }

    /// What affinity knows of the members.
    fn affinity(&mut self, cluster: &str) -> Arc<Members> {
        let (settings, members) = (self.rules.affinity.as_ref(), &self.members);
        let made = self.affinity.get_or_insert_with(|| {
            let ids = members
                .iter()
                .map(|member| member.spec.affinity_id().to_owned());
            Arc::new(Members::new(settings, cluster, ids))
        });
        made.clone()
    }

    pub(super) fn view(&mut self, cluster: &str, now: Instant) -> View {
        let affinity = self.affinity(cluster);
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
        let mut open = vec![false; self.members.len()];
        for &position in levels.primary.iter().chain(&levels.spill) {
            open[position] = true;
        }
        for (position, member) in self.members.iter().enumerate() {
            let state = &member.state;
            state.set_limit(self.limit(&member.spec, shares[position]));
            state.set_connections_max(self.rules.endpoint_connections_max);
            // Who no longer takes requests closes when the view without it is in force.
            if open[position] {
                state.set_open(true);
            }
            let service = self.said(&member.spec.address).service;
            let is_up = lock(state).is_up();
            state.set_unwell(!is_up || service == Service::Maintenance);
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
        View {
            members: affinity,
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
            ready: self.said(&member.spec.address).service == Service::Ready,
            healthy: lock(&member.state).is_healthy(),
            backup: member.spec.backup,
            local: self.rules.zone.is_some() && member.spec.zone == self.rules.zone,
        }
    }

    fn endpoint(&self, member: &Member, now: Instant) -> Endpoint {
        let in_service = match self.said(&member.spec.address).service {
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
    pub(super) fn is_stepping(&self, now: Instant) -> bool {
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
    pub(super) fn drains_ended(&mut self, now: Instant) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(port: u16) -> Spec {
        let address = Address::Ip(([127, 0, 0, 1], port).into());
        Spec {
            label: address.to_string().into(),
            address,
            weight: 1,
            requests_max: None,
            backup: false,
            zone: None,
            id: None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn orders_outlast_their_endpoint_for_ten_minutes() {
        for (away, kept) in [(599, true), (600, false)] {
            let (one, other) = (spec(1), spec(2));
            let mut shape = Shape {
                written: vec![one.clone(), other.clone()],
                removed: HashSet::from([one.address.clone()]),
                ..Shape::default()
            };
            let service = Service::Maintenance;
            shape.overrides.insert(
                other.address.clone(),
                Override {
                    service,
                    weight: None,
                },
            );
            assert_eq!(shape.list(), std::slice::from_ref(&other));
            shape.written.clear();
            assert_eq!(shape.list(), []);
            tokio::time::advance(Duration::from_secs(away)).await;
            shape.written = vec![one.clone(), other.clone()];
            let expected = if kept {
                vec![other.clone()]
            } else {
                vec![one, other.clone()]
            };
            assert_eq!(shape.list(), expected, "{away} s");
            assert_eq!(
                shape.said(&other.address).service == service,
                kept,
                "{away} s"
            );
        }
    }

    #[test]
    fn what_is_added_counts_before_what_is_written_at_the_same_address() {
        let mut shape = Shape {
            written: vec![spec(1), spec(2)],
            added: vec![
                Spec {
                    weight: 9,
                    ..spec(1)
                },
                spec(3),
            ],
            ..Shape::default()
        };
        let list: Vec<_> = shape
            .list()
            .iter()
            .map(|spec| (spec.address.as_peer().port(), spec.weight))
            .collect();
        assert_eq!(list, [(1, 9), (2, 1), (3, 1)]);
    }
}
