//! The admin listener: what the running proxy tells about itself and lets be changed, for this machine only.
//!
//! One HTTP/1.1 listener on a loopback address. [`serve`] runs it; what it shows and changes is behind [`Operations`], so the room knows
//! neither clusters nor snapshots. The way of a request: `server` reads it within limits, `browser` refuses what another site's page could
//! have sent, `resource` says what its path names, `api` does it, `answer` is the response. The bodies of requests are in `change`.
//! [`Client`] is the other end, for the commands.
//!
//! It runs on the control thread, never on a worker.

mod answer;
mod api;
mod browser;
mod change;
mod client;
mod operations;
mod resource;
mod server;
mod stall;
#[cfg(test)]
pub(crate) mod tests;
mod weight;

pub use change::parse_address;
pub use client::{Client, ClientError, Reply};
pub use operations::{NewEndpoint, Operations, Refusal, Service};
pub use resource::encode_segment;
pub use server::serve;
pub use weight::Weight;
