//! Byte streams, buffers and time for the data path: what a worker lends to a connection while it has something to do.
//!
//! Knows sockets and tokio; does not know HTTP, routes, clusters or plugins.

pub mod address;
pub mod buffer;
mod calls;
pub mod copy;
pub mod prefixed;
pub mod socket;
pub mod stream;
pub mod timer;
pub mod transport;
mod turn;
