//! HTTP/2 through the proxy: from downstreams, to upstreams, and both.

mod downstream;
mod drain;
mod floods;
mod multiplexed;
mod policies;
mod requests;
mod responses;
mod streams;
mod tls;
mod to_origin;
mod websocket;

use crate::harness::h2::H2Client;
use crate::harness::{Proxy, config};
use std::fmt::Display;

/// A proxy whose cluster "c" speaks HTTP/2 to `origin` and says `cluster` besides.
fn before_h2(cluster: &str, origin: &dyn Display) -> Proxy {
    let text = r#"
        admin "127.0.0.1:0"
        listener "web" "127.0.0.1:0" { route { cluster "c" } }
        cluster "c" {
            protocol "h2"
            CLUSTER
            endpoint "ORIGIN"
        }"#;
    Proxy::start(&config(text, &[("CLUSTER", &cluster), ("ORIGIN", origin)]))
}

/// A proxy whose listener says `listener`, before an origin that speaks HTTP/1.1, to which the cluster "c" says `cluster`.
fn before_h1(listener: &str, cluster: &str, origin: &dyn Display) -> Proxy {
    let text = r#"
        admin "127.0.0.1:0"
        listener "web" "127.0.0.1:0" {
            LISTENER
            route { cluster "c" }
        }
        cluster "c" {
            CLUSTER
            endpoint "ORIGIN"
        }"#;
    let values: &[(&str, &dyn Display)] = &[
        ("LISTENER", &listener),
        ("CLUSTER", &cluster),
        ("ORIGIN", origin),
    ];
    Proxy::start(&config(text, values))
}

fn client(proxy: &Proxy) -> H2Client {
    H2Client::connect(proxy.address("web"))
}

/// Outcome and status of the line of a target.
fn ended(proxy: &Proxy, target: &str) -> (String, i64) {
    let line = proxy.line_of(target);
    (line.outcome().to_owned(), line.status())
}

fn as_told(outcome: &str, status: i64) -> (String, i64) {
    (outcome.to_owned(), status)
}

/// Bytes that do not repeat soon.
fn pattern(count: usize) -> Vec<u8> {
    (0..count as u32)
        .map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect()
}
