//! The WebAssembly host: from the bytes of a component to verdicts and picks. The only room that knows wasmtime.
//!
//! An [`Engine`] loads a [`Component`]; [`HttpFilter`], [`NetworkFilter`] and [`Balancer`] are components configured with settings. Each
//! states its needs ([`HttpNeeds`]): what to hand over, when not to call at all ([`Guard`]), which edits need no call. A call runs in the
//! worker's own warm instance (`slots.rs`), within its [`Budgets`], and answers a checked [`Verdict`] or a [`Fault`]: then the instance is
//! gone and the next call gets a new one, or, after faults in a row, none for a while (`health.rs`). What guests may import is in
//! `imports.rs` (the larger capabilities in `store.rs` and `metrics.rs`) and, for what language toolchains add by themselves, in `wasi.rs`;
//! what of it has to be granted by name is in `grants.rs`.
//!
//! This room knows neither routes nor clusters nor sockets, and does not decide how an exchange goes on after a fault.

mod balancer;
mod bindings;
mod body_plan;
mod component;
mod configured;
mod constant;
mod edits;
mod engine;
mod fault;
mod grants;
mod guard;
mod health;
mod http_filter;
mod imports;
mod inspect;
mod measure;
mod metrics;
mod needs;
mod network_filter;
mod networks;

mod slots;
mod state;
mod store;
mod ticker;
mod verdict;
mod wasi;

pub use balancer::{Balancer, EndpointTable};
pub use body_plan::BodyPlan;
pub use component::{Component, LoadError};
pub use configured::{ConfigureError, SettingsError};
pub use constant::ConstantEdit;
pub use edits::{Edit, Edits};
pub use engine::{Budgets, Engine, EngineError};
pub use fault::{Fault, FaultKind, Stats};
pub use grants::{Allowance, Grants};
pub use guard::Guard;
pub use http_filter::{Direction, HttpFilter, Lease};
pub use inspect::{Inspection, Kind, Manifest, inspect};
pub use measure::Measure;
pub use needs::{
    BalancerNeeds, Decision, EditGroup, HttpNeeds, NetworkNeeds, flatten, flatten_with,
};
pub use network_filter::{ConnectionPhase, NetworkFilter};
pub use state::Usage;
pub use verdict::{BodyVerdict, NetworkVerdict, Reply, Verdict};

use configured::Role;

/// The line of a configuration, inside a plugin's block, that grants a capability by this name.
pub fn grant_line(capability: &str, name: &str) -> String {
    format!("grant {{ {capability} \"{name}\" }}")
}

/// Drops this worker's warm instances of plugins that nothing uses any more. Each worker calls it after a snapshot swap; without it they
/// would stay until their slot is used again.
pub fn retire_worker_instances() {
    HttpNeeds::slots().with_borrow_mut(|slots| slots.retire());
    NetworkNeeds::slots().with_borrow_mut(|slots| slots.retire());
    BalancerNeeds::slots().with_borrow_mut(|slots| slots.retire());
}

#[cfg(test)]
pub(crate) mod tests;
