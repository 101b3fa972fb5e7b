//! Integration tests: the real binary, over real sockets.
//!
//! One test binary with a folder for each feature; `harness` says how to start a proxy, an origin and a client in a few words. Every test has
//! its own proxy process on ports the system chose, and waits for what happens, never for time to pass.

mod acme;
mod availability;
mod bodies;
mod cli;
mod compress;
mod grpc;
mod harness;
mod hot_load;
mod http;
mod http2;
mod keys;
mod plugins;
mod proxy_protocol;
mod scaffold;
mod sockets;
mod tcp;
mod tls;
mod websocket;
