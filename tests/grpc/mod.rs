//! gRPC through the proxy, with clients and servers of another implementation than ours.

mod calls;
mod errors;
mod service;

use crate::harness::{Proxy, config};
use std::fmt::Display;

/// A proxy that forwards everything on "web" to the cluster "c", which speaks HTTP/2 to `server`; `listener` and `cluster` say more.
fn before(listener: &str, cluster: &str, server: &dyn Display) -> Proxy {
    let text = r#"
        admin "127.0.0.1:0"
        listener "web" "127.0.0.1:0" {
            LISTENER
            route path="/words.Words/*" { cluster "c" }
            route path="/grpc.health.v1.Health/*" { cluster "c" }
        }
        cluster "c" {
            protocol "h2"
            CLUSTER
            endpoint "SERVER"
        }"#;
    let values: &[(&str, &dyn Display)] = &[
        ("LISTENER", &listener),
        ("CLUSTER", &cluster),
        ("SERVER", server),
    ];
    Proxy::start(&config(text, values))
}
