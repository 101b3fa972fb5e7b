//! Where a cluster's endpoints come from when they are not written down: addresses of a name, SRV records, a watched file.
//!
//! ```text
//! config::Discovery -- look --> resolver (A, AAAA) | srv | file (json, kdl) --> Vec<Found>, when to look again
//!                       ^                                                            |
//!                       '------------- task: waits, keeps the last good list <-------'--> publish, when it differs
//! ```
//!
//! [`look`] looks once, for the start and for reloads; [`spawn`] goes on looking. A look that fails in any way — a time that is over, a
//! refusal, a name that does not exist, an answer or file without endpoints, a file that cannot be understood — leaves the last good list
//! in force: a fault of the directory must not become a fault of the service. (HAProxy forgets a server after its `hold` times; health
//! checks here find out who is really gone.) What failed is looked at again after 1 s, 2 s, 4 s and so on up to 30 s.
//!
//! The room knows no clusters beyond a name for the log, and nothing of health or balancing. Names are asked for by `hickory-resolver`
//! without its cache: the time to live of an answer, or `refresh`, decides when to look again.

mod entry;
mod error;
mod file;
mod found;
mod json;
mod kdl;
mod look;
mod resolver;
mod srv;
mod task;
#[cfg(test)]
mod tests;
mod watch;

pub use error::LookError;
pub use found::Found;
pub use look::look;
pub use task::{DiscoveryTask, spawn};

/// Endpoints of one source; a look that finds more has failed. Well above what a DNS message of 64 KiB can carry.
pub const ENDPOINTS_MAX: usize = 10_000;
