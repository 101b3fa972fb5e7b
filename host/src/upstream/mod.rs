//! Clusters and their endpoints: what is written about them, and the live state that survives a reload.
//!
//! [`Cluster`] and [`Endpoint`] are immutable parts of a snapshot; [`EndpointState`] is found again by (cluster, address) while a snapshot is
//! compiled, so requests in flight and pooled connections outlive the configuration they began under. Knows no filters and no routes.

mod cluster;
mod dial;
mod live;
pub mod pool;

pub use cluster::{Cluster, Endpoint};
pub use dial::{DialError, Dialled, checkout, dial};
pub use live::{EndpointState, InFlight, endpoint_state};
