//! The data path: one spine per protocol, and the steps they share.
//!
//! [`http`] is the page to read first; [`tcp`] is its layer-4 sibling. Knows neither KDL nor wasmtime.

mod attempt;
mod body;
mod bounds;
mod connect;
mod connection;
mod context;
mod ending;
mod exchange;
mod filtered;
mod forwarded;
mod grpc;
mod hedge;
mod hello;
pub mod http;
mod http2;
mod local_reply;
mod mirror;
mod outcome;
mod payload;
mod request_body;
mod response;
mod retry;
pub mod tcp;
mod tunnel;

pub use connection::{Connection, Connections, Registration};
pub use context::next_number;
pub use outcome::{Outcome, Stop};
