//! Active health checks: one counter per endpoint, the probes that move it, and the task that runs them.
//!
//! [`Counter`] is pure and knows neither time nor sockets. [`Prober`] makes one check of one address. [`spawn`] repeats it at the pace
//! that the [`Subject`] asks for and hands over each result; what a result means for traffic is the subject's business. Checks travel as the
//! requests of the cluster do ([`Transport`]). The room knows neither clusters, plugins nor filters. It runs on the control thread, never on a
//! worker.

mod connect;
mod counter;
mod deadline;
mod exchange;
mod failure;
mod grpc;
mod http;
mod http2;
mod pace;
mod prober;
mod target;
mod task;
#[cfg(test)]
mod tests;
mod tls;
mod transport;

pub use counter::{Counter, Transition};
pub use failure::{Failure, Stage};
pub use pace::Pace;
pub use prober::{Passed, Prober};
pub use target::Target;
pub use task::{Check, CheckTask, Subject, spawn};
pub use transport::Transport;
