//! Clusters and their endpoints: what is written about them, and the live state that survives a reload.
//!
//! [`Cluster`] is an immutable part of a snapshot. Its [`ClusterState`] is found again by name while a snapshot is compiled, the
//! [`EndpointState`]s in it by (cluster, address, label), so health, requests in flight, queues and pooled connections outlive the
//! configuration they began under. A [`View`] is the cluster's endpoints at a moment. Knows no filters and no routes.

mod budget;
mod cluster;
mod connections;
mod dial;
mod heal;
mod live;
mod measure;
mod multiplexed;
mod passive;
pub mod pool;
mod queue;
mod runtime;
mod shape;
mod state;
mod status;
mod transport;
mod view;

pub use budget::RetryBudget;
pub use cluster::{Cluster, Spec};
pub use connections::Connections;
pub use dial::{DialError, Dialled, checkout, dial, open_stream};
#[cfg(test)]
pub(crate) use live::test_endpoint_at;
pub use live::{EndpointState, Place};
pub use passive::Verdict;
pub use queue::{PRIORITY_MAX, PRIORITY_MIN, Queue, QueueFull, Waiter, Wish};
pub use runtime::{Ask, ChangeReport, ClusterReport, EndpointReport, RuntimeError};
pub use shape::{Rules, Service, Weight};
pub use state::{ClusterState, Counted, cluster_state};
pub use transport::Transport;
pub use view::{Choice, Endpoint, View};
