//! What several benches start from: an exchange, and a configuration compiled as at start-up.

#![allow(dead_code, reason = "each bench takes a part of it")]

use std::fs;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use tollgate::config;
use tollgate::http::{ConnectionFacts, Exchange, Limits, Scheme, parse_request};
use tollgate::plugin::Engine;
use tollgate::route::RouteTable;
use tollgate::snapshot::{Catalog, Protocol, Route, Snapshot, compile};

/// One engine for all benches of a process: each would reserve its own terabytes.
pub(crate) fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| Engine::new(None).expect("an engine"))
}

/// A small request of some downstream.
pub(crate) fn exchange() -> Box<Exchange> {
    exchange_for("shop.example.com", "/api/items")
}

/// A small request for this path of this host.
pub(crate) fn exchange_for(host: &str, path: &str) -> Box<Exchange> {
    let facts = ConnectionFacts {
        id: 7,
        peer: "10.1.2.3:4567".parse().expect("an address"),
        local: "127.0.0.1:80".parse().expect("an address"),
        listener: "web".into(),
        scheme: Scheme::Http,
        http2: false,
        tls: None,
        proxy: None,
        accepted: Instant::now(),
        tags: Vec::new(),
        downstream_bytes: 0.into(),
        upstream_bytes: 0.into(),
    };
    let mut exchange = Box::new(Exchange::new(Arc::new(facts)));
    let head =
        format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nx-a: one two three\r\naccept: */*\r\n\r\n");
    parse_request(head.as_bytes(), &Limits::default(), &mut exchange.request)
        .expect("a valid request");
    exchange
}

/// The configuration that `text` writes, with its clusters in force.
pub(crate) fn snapshot(text: &str) -> Snapshot {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("config.kdl");
    fs::write(&file, text).expect("the folder can be written");
    let loaded = config::load(&file, &Catalog, &|_| None)
        .unwrap_or_else(|refused| panic!("{}", refused.render(false)));
    let snapshot = compile(&loaded.config, 1, engine(), None)
        .unwrap_or_else(|errors| panic!("{}", errors.render(&loaded.sources, false)));
    for cluster in &snapshot.clusters {
        cluster.activate(Vec::new());
    }
    snapshot
}

/// The routes of its first listener, which speaks HTTP.
pub(crate) fn routes(snapshot: &Snapshot) -> &RouteTable<Arc<Route>> {
    match &snapshot.listeners[0].protocol {
        Protocol::Http(http) => &http.routes,
        Protocol::Tcp(_) => panic!("the first listener speaks HTTP"),
    }
}
