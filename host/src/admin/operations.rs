//! What can be asked of the running proxy.

use super::Weight;
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;

/// The running proxy, as the admin listener sees it.
///
/// Called on the control thread, between other work of it: an implementation answers from memory and does not block. An `endpoint` is
/// named by what is written of it, by its address, or by its id for affinity. `by` says who asks, for the log and the endpoint's history.
pub trait Operations: Send + Sync {
    /// Whether new work is welcome: false while starting, and from the moment the process was told to stop.
    fn is_ready(&self) -> bool;

    /// Every cluster, as an array of objects with the members `cluster`, `queue`, `panic` and `endpoints`.
    fn clusters(&self) -> Value;

    /// One of them; none when there is no such cluster.
    fn cluster(&self, name: &str) -> Option<Value>;

    /// Who is bound to which endpoint, at most `limit` entries; none when there is no such cluster.
    fn affinity(&self, cluster: &str, limit: usize) -> Option<Value>;

    /// The metrics of every plugin, as text for Prometheus, and the media type of that.
    fn metrics(&self) -> (&'static str, String);

    /// The metrics of one plugin, as an array; none when no such plugin is in use.
    fn plugin_metrics(&self, plugin: &str) -> Option<Value>;

    /// Takes an endpoint out of service or back.
    ///
    /// # Errors
    /// As [`Refusal`] says; nothing has changed then. The same holds for the other changes.
    fn set_service(
        &self,
        cluster: &str,
        endpoint: &str,
        service: Service,
        by: &str,
    ) -> Result<(), Refusal>;

    /// Changes an endpoint's weight until the next change; 100 % takes the written one again.
    fn set_weight(
        &self,
        cluster: &str,
        endpoint: &str,
        weight: Weight,
        by: &str,
    ) -> Result<(), Refusal>;

    /// Adds an endpoint to a cluster.
    fn add(&self, cluster: &str, endpoint: NewEndpoint, by: &str) -> Result<(), Refusal>;

    /// Takes an endpoint off the list; what it serves goes on.
    fn remove(&self, cluster: &str, endpoint: &str, by: &str) -> Result<(), Refusal>;
}

/// Whether an endpoint is to be in service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    Ready,
    /// It keeps what is bound to it for `timeout`, by default the cluster's own.
    Drain {
        timeout: Option<Duration>,
    },
    /// Nothing goes to it, and it is not checked.
    Maintain,
}

/// An endpoint to add; each part is as strict as in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEndpoint {
    /// With a port above 0.
    pub address: SocketAddr,
    /// 0 to 256, by default 1.
    pub weight: u32,
    /// Concurrent requests; none: unlimited.
    pub requests_max: Option<u32>,
    pub backup: bool,
    pub zone: Option<String>,
    /// What affinity knows it by; none: its address.
    pub id: Option<String>,
}

/// Why a change was not made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    NoSuchCluster,
    NoSuchEndpoint,
    /// The endpoint is there already.
    Exists,
    /// It makes no sense, as the words say.
    Invalid(String),
}
