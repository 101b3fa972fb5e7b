//! The endpoints of a cluster at a moment, ready to be picked from. Immutable; a change makes a new one.

use super::cluster::Spec;
use super::live::EndpointState;
use crate::affinity::Members;
use crate::plugin::{EndpointTable, Measure};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a request sees of a cluster.
pub struct View {
    /// All of them, in the order of the file, then as found, then as added.
    pub endpoints: Vec<Endpoint>,
    /// Where each stands among them, by its number.
    pub positions: HashMap<u64, usize>,
    /// What affinity knows about them; the positions are those of `endpoints`.
    pub members: Arc<Members>,
    /// Who may be picked; what the balancer sees.
    pub choice: Arc<Choice>,
    /// The same, as the balancer takes it.
    pub table: Arc<dyn EndpointTable>,
    /// Who takes what the others have no room for, in order.
    pub spill: Vec<Arc<EndpointState>>,
    /// Health is being ignored, since too few are healthy.
    pub panic: bool,
}

/// An endpoint as it stands.
#[derive(Debug, Clone)]
pub struct Endpoint {
    pub spec: Spec,
    pub state: Arc<EndpointState>,
    /// Whether a request that is bound to it goes to it: it is healthy and not out of service, though it may be draining.
    pub keeps_bound: bool,
    /// Whether waiting for a place at it makes sense: a circuit breaker does not have it fail at its limit.
    pub waits: bool,
}

/// The endpoints that may be picked; their positions are what the plugin sees.
#[derive(Debug, Default)]
pub struct Choice {
    pub endpoints: Vec<Arc<EndpointState>>,
    /// Whether a place at some of them is worth waiting for.
    pub waits: bool,
    listed: Vec<(String, u32)>,
}

impl Choice {
    /// Endpoints with the weights that they have now.
    pub fn new(endpoints: Vec<(Arc<EndpointState>, u32)>, waits: bool) -> Choice {
        let listed = endpoints
            .iter()
            .map(|(state, weight)| (state.address.to_string(), *weight))
            .collect();
        Choice {
            endpoints: endpoints.into_iter().map(|(state, _)| state).collect(),
            waits,
            listed,
        }
    }

    fn available(&self, index: u32) -> Option<&Arc<EndpointState>> {
        let endpoint = self.endpoints.get(index as usize)?;
        endpoint.has_room().then_some(endpoint)
    }

    /// [`EndpointTable::measure`], as it stands at `now`.
    pub(crate) fn measure_at(&self, index: u32, now: Instant) -> u64 {
        let Some(endpoint) = self.endpoints.get(index as usize) else {
            return Measure::UNAVAILABLE.packed();
        };
        let reading = endpoint.measures.read(now);
        let micros = |latency: Duration| u32::try_from(latency.as_micros()).unwrap_or(u32::MAX);
        let measure = Measure {
            latency_micros: reading.latency.map_or(0, |latency| micros(latency).max(1)),
            failures: (reading.failure_share * 255.0).round() as u8,
            requests: endpoint.has_room().then(|| endpoint.in_flight()),
        };
        measure.packed()
    }
}

impl EndpointTable for Choice {
    fn endpoints(&self) -> &[(String, u32)] {
        &self.listed
    }

    fn load(&self, index: u32) -> u32 {
        self.available(index)
            .map_or(u32::MAX, |endpoint| endpoint.in_flight())
    }

    fn measure(&self, index: u32) -> u64 {
        self.measure_at(index, Instant::now())
    }
}

impl std::fmt::Debug for View {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("View")
            .field("endpoints", &self.endpoints)
            .field("choice", &self.choice)
            .field("panic", &self.panic)
            .finish_non_exhaustive()
    }
}

impl View {
    /// A cluster without endpoints.
    pub fn empty() -> View {
        let choice = Arc::new(Choice::default());
        View {
            endpoints: Vec::new(),
            positions: HashMap::new(),
            members: Arc::new(Members::new(None, "", std::iter::empty())),
            table: choice.clone(),
            choice,
            spill: Vec::new(),
            panic: false,
        }
    }

    /// What is known of an endpoint, if it is still among them.
    pub fn endpoint(&self, state: &EndpointState) -> Option<&Endpoint> {
        self.endpoints.get(*self.positions.get(&state.id())?)
    }

    /// What is known of an endpoint that keeps what is bound to it.
    pub fn keeps_bound(&self, state: &EndpointState) -> Option<&Endpoint> {
        self.endpoint(state).filter(|endpoint| endpoint.keeps_bound)
    }

    /// The endpoint that a request is bound to, if it may have it.
    pub fn bound(&self, position: Option<usize>) -> Option<&Endpoint> {
        let endpoint = self.endpoints.get(position?)?;
        endpoint.keeps_bound.then_some(endpoint)
    }
}
