//! What tests of availability have in common: origins whose answers wait for the test, and the admin API.

use crate::harness::{Client, Gate, Origin, PATIENCE, Proxy, Response};
use serde_json::Value;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// One gate for each target below `/held/`.
#[derive(Clone, Default)]
pub(super) struct Gates(Arc<Mutex<HashMap<String, Gate>>>);

impl Gates {
    /// The gate of a target.
    pub(super) fn of(&self, target: &str) -> Gate {
        let mut gates = self.0.lock().expect("nobody panics holding it");
        gates.entry(target.to_owned()).or_default().clone()
    }

    /// Lets the request for this target be answered.
    pub(super) fn open(&self, target: &str) {
        self.of(target).open();
    }

    /// An origin that answers with its name, a target below `/held/` once its gate is open.
    pub(super) fn origin(&self, name: &'static str) -> Origin {
        let gates = self.clone();
        Origin::start(move |mut peer| {
            while let Some(request) = peer.request() {
                let target = request.head.target();
                if target.starts_with("/held/") {
                    gates.of(target).wait();
                }
                peer.answer(name);
            }
        })
    }
}

/// Counts who is inside, and the most that ever were.
#[derive(Clone, Default)]
pub(super) struct Crowd(Arc<(AtomicUsize, AtomicUsize)>);

impl Crowd {
    pub(super) fn enter(&self) {
        let inside = self.0.0.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.1.fetch_max(inside, Ordering::SeqCst);
    }

    pub(super) fn leave(&self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }

    pub(super) fn most(&self) -> usize {
        self.0.1.load(Ordering::SeqCst)
    }
}

/// A proxy with an admin API and these workers; the rest of the configuration is `text`.
pub(super) fn start(workers: u32, text: &str) -> Proxy {
    Proxy::start(&whole(workers, text))
}

/// The configuration that [`start`] makes of it.
pub(super) fn whole(workers: u32, text: &str) -> String {
    format!(
        "process {{\n    workers {workers}\n    log level=\"info\" format=\"json\"\n}}\nadmin \"127.0.0.1:0\"\n{text}"
    )
}

/// As [`start`], with everything on "web" forwarded to the cluster "c", which is `cluster`.
pub(super) fn before(workers: u32, cluster: &str) -> Proxy {
    start(workers, &plain(cluster))
}

/// The configuration of [`before`], without the process.
pub(super) fn plain(cluster: &str) -> String {
    format!(
        "listener \"web\" \"127.0.0.1:0\" {{ route {{ cluster \"c\" }} }}\ncluster \"c\" {{\n{cluster}\n}}\n"
    )
}

/// A request for this target that is on its way.
pub(super) fn asking(proxy: &Proxy, target: &str) -> Client {
    let mut client = proxy.client();
    client.send(format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n"));
    client
}

/// As [`asking`], and it waits in the queue as the last of `count`.
pub(super) fn queued(proxy: &Proxy, target: &str, count: u64) -> Client {
    let client = asking(proxy, target);
    until_queue(proxy, count);
    client
}

/// Until so many wait in the cluster "c".
pub(super) fn until_queue(proxy: &Proxy, count: u64) {
    until("the queue to be as long as that", || {
        cluster(proxy)["queue"] == count
    });
}

/// Until nothing is under way at any endpoint of the cluster "c", and nobody waits.
pub(super) fn until_idle(proxy: &Proxy) {
    until("the cluster to be idle", || {
        let report = cluster(proxy);
        let mut endpoints = report["endpoints"].as_array().into_iter().flatten();
        report["queue"] == 0 && endpoints.all(|endpoint| endpoint["requests"] == 0)
    });
}

/// Polls until `condition` holds.
pub(super) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::yield_now();
    }
}

/// Tries, with the number of the try, until there is a result.
pub(super) fn settled<T>(mut attempt: impl FnMut(u32) -> Option<T>) -> T {
    let (mut turn, mut result) = (0, None);
    until("a result", || {
        turn += 1;
        result = attempt(turn);
        result.is_some()
    });
    result.expect("there was one")
}

/// What the admin API reports of the cluster "c".
pub(super) fn cluster(proxy: &Proxy) -> Value {
    let report = admin(proxy, "GET", "/api/v1/clusters/c");
    assert_eq!(report.status, 200, "{}", report.text());
    serde_json::from_slice(&report.body).expect("it answers in JSON")
}

/// Takes an endpoint of the cluster "c" out of service or back: `drain`, `maintain` or `ready`.
pub(super) fn put(proxy: &Proxy, endpoint: &str, verb: &str) {
    let path = format!("/api/v1/clusters/c/endpoints/{endpoint}/{verb}");
    let answer = admin(proxy, "POST", &path);
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// An answer of the admin API.
pub(super) fn admin(proxy: &Proxy, method: &str, path: &str) -> Response {
    let line = proxy.log_line("admin API is listening");
    let line: Value = serde_json::from_str(&line).expect("the log is in JSON");
    let address = line["address"].as_str().expect("it says where");
    let address: SocketAddr = address.parse().expect("an address");
    Client::connect(address).ask(method, path, "Host: localhost\r\nContent-Length: 0\r\n")
}
