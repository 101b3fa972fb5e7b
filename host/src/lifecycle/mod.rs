//! Start, reload, drain, stop: owns signals and every long task.
//!
//! Start-up is a reload from the empty snapshot: build everything, swap once, retire the old; a failure at any step before the swap
//! changes nothing. Knows neither HTTP nor Wasm.

mod certificates;
mod control;
mod operations;
mod tend;
mod watch;
mod worker;

pub use control::{Options, run};
pub(crate) use control::{cache_dir, load};
