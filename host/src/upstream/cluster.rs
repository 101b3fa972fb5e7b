//! A cluster as it runs.

use super::live::{EndpointState, InFlight};
use crate::balance::Picker;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// A named set of endpoints with shared settings.
#[derive(Debug)]
pub struct Cluster {
    pub name: Arc<str>,
    pub endpoints: Arc<[Endpoint]>,
    pub picker: Picker,
    /// Establishing one connection.
    pub connect_timeout: Duration,
    /// From the request having been sent to the response head, and between parts of the response body.
    pub response_timeout: Duration,
    /// How long an unused connection stays in the pool.
    pub idle_timeout: Duration,
}

/// One address of a cluster.
#[derive(Debug)]
pub struct Endpoint {
    pub address: SocketAddr,
    /// As written, a host name included; names the endpoint in logs.
    pub label: Arc<str>,
    /// 0 to 256; 0 takes no traffic.
    pub weight: u32,
    /// Concurrent requests, across all workers; none: unlimited.
    pub requests_max: Option<u32>,
    pub state: Arc<EndpointState>,
}

impl Endpoint {
    /// Takes a place for one request, unless the endpoint is at its limit.
    pub fn enter(&self) -> Option<InFlight> {
        InFlight::enter(&self.state, self.requests_max)
    }

    /// Logs what is wrong with it: at most once a second, with how often something was.
    pub fn report(&self, cluster: &str, what: &str, error: &dyn std::fmt::Display) {
        if let Some(failures) = self.state.failures.count() {
            tracing::warn!(cluster, endpoint = %self.label, %error, failures, "{what}");
        }
    }

    /// Whether [`Endpoint::enter`] would succeed now.
    pub fn has_room(&self) -> bool {
        self.requests_max
            .is_none_or(|most| self.state.in_flight() < most)
    }
}
