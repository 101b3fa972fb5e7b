//! A cluster as one generation runs it: what is written about it, and the way to its live state.

use super::live::EndpointState;
use super::passive::Verdict;
use super::state::ClusterState;
use super::transport::Transport;
use crate::affinity::Affinity;
use crate::balance::Picker;
use crate::config::{CircuitBreaker, Discovery, OnDown, OutlierDetection, Queue, Retry};
use crate::health;
use crate::net::address::Address;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A named set of endpoints with shared settings.
#[derive(Debug)]
pub struct Cluster {
    pub name: Arc<str>,
    /// Its endpoints with their health, and who waits for them; goes on when the configuration changes.
    pub live: Arc<ClusterState>,
    pub picker: Picker,
    /// How its endpoints are spoken to below HTTP/1.1.
    pub transport: Arc<Transport>,
    /// [`Transport::identity`], which is asked for with every request.
    pub identity: u64,
    /// There is nothing between socket and HTTP/1.1.
    pub is_plain: bool,
    /// Establishing one connection, with all handshakes.
    pub connect_timeout: Duration,
    /// From the request having been sent to the response head, over all attempts, and between parts of the response body.
    pub response_timeout: Duration,
    /// How long an unused connection stays in the pool.
    pub idle_timeout: Duration,
    pub queue: Queue,
    pub retry: Retry,
    pub breaker: CircuitBreaker,
    pub outlier_detection: Option<OutlierDetection>,
    pub on_down: OnDown,
    pub affinity: Option<Affinity>,
    pub health_check: Option<Arc<health::Check>>,
    pub discovery: Vec<Discovery>,
    /// The endpoints that are written down.
    pub endpoints: Vec<Spec>,
    pub rules: super::shape::Rules,
}

/// An endpoint as written or found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    pub address: Address,
    /// As written, a host name included; names the endpoint in logs.
    pub label: Arc<str>,
    /// 0 to 256; 0 takes only what is bound to it.
    pub weight: u32,
    /// Concurrent requests, across all workers; none: unlimited.
    pub requests_max: Option<u32>,
    pub backup: bool,
    pub zone: Option<String>,
    /// What affinity knows it by; none: the label.
    pub id: Option<String>,
}

impl Spec {
    /// What affinity knows it by.
    pub fn affinity_id(&self) -> &str {
        self.id.as_deref().unwrap_or(&self.label)
    }
}

impl Cluster {
    /// Puts what this generation says into force, with what new sources of endpoints have found.
    pub fn activate(&self, looked: Vec<(Discovery, Vec<Spec>)>) {
        let live = &self.live;
        live.activate(&self.rules, &self.endpoints, &self.discovery, looked);
    }

    /// How long a request may wait for a place.
    pub fn queue_timeout(&self) -> Duration {
        self.queue.timeout.unwrap_or(self.connect_timeout)
    }

    /// Counts how an attempt went: for the balancer that measures, and against an endpoint that fails too often.
    pub fn judge(
        &self,
        endpoint: &Arc<EndpointState>,
        verdict: Verdict,
        latency: Option<Duration>,
    ) {
        if self.picker.wants_measures() {
            let now = Instant::now();
            endpoint.measures.record(latency, verdict.is_failure(), now);
        }
        if let Some(policy) = &self.outlier_detection
            && let Some(reason) = endpoint.passive.count(verdict, policy)
        {
            self.live.eject(endpoint, policy, reason);
        }
    }
}
