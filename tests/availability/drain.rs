//! The end of the process, as those see it who send it traffic.

use super::admin::{ask_until, more, text, wait_until_refused};
use crate::harness::{Admin, Gate, Origin, Proxy, config, wait};
use rustix::process::Signal;
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const TEXT: &str = r#"
process {
    workers 2
    log format="json"
    drain-delay "DELAY"
    drain-timeout "TIMEOUT"
}
admin "127.0.0.1:0"
listener "web" "127.0.0.1:0" {
    route path="/ping" { respond 200 body="pong" }
    route { cluster "c" }
}
cluster "c" { endpoint "ORIGIN" }
"#;

fn whole(delay: &str, timeout: &str, origin: &Origin) -> String {
    let values: [(&str, &dyn std::fmt::Display); 3] =
        [("DELAY", &delay), ("TIMEOUT", &timeout), ("ORIGIN", origin)];
    config(TEXT, &values)
}

/// A proxy with an admin API, before an origin that answers when the gate opens.
fn start(delay: &str, timeout: &str, gate: &Gate) -> (Proxy, Admin, Origin) {
    let gate = gate.clone();
    let origin = Origin::start(move |mut peer| {
        while peer.request().is_some() {
            gate.wait();
            peer.answer("late");
        }
    });
    let proxy = Proxy::start(&whole(delay, timeout, &origin));
    let admin = Admin::of(&proxy);
    (proxy, admin, origin)
}

#[test]
fn during_the_drain_delay_all_is_served_and_ready_says_503() {
    let gate = Gate::default();
    let (mut proxy, admin, origin) = start("10m", "1h", &gate);
    let address = proxy.address("web");
    let mut kept = proxy.client();
    assert_eq!(kept.get("/ping").text(), "pong");
    assert_eq!(admin.ready(), 200);
    proxy.signal(Signal::TERM);
    proxy.log_line("not ready any more");
    assert_eq!(admin.ready(), 503);
    assert_eq!(admin.ask("GET", "/live", "").status, 200);
    let answer = kept.get("/ping");
    assert_eq!(
        (answer.text().as_str(), answer.header("connection")),
        ("pong", None)
    );
    let mut fresh = proxy.client();
    assert_eq!(fresh.get("/ping").text(), "pong", "a new connection");
    fresh.send("GET /late HTTP/1.1\r\nHost: test\r\n\r\n");
    origin.request(0);
    assert_eq!(admin.endpoint("c", &origin)["requests"], 1);

    // A second signal ends the delay, not what is under way.
    proxy.signal(Signal::TERM);
    proxy.log_line("\"draining\"");
    assert!(kept.is_at_end());
    wait_until_refused(address);
    assert_eq!(admin.ready(), 503);
    gate.open();
    let answer = fresh.response();
    assert_eq!((answer.status, answer.text().as_str()), (200, "late"));
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(fresh.is_at_end());
    assert_eq!(proxy.wait().code(), Some(0));
    assert_eq!(proxy.line_of("/late").outcome(), "ok");
}

#[test]
fn the_drain_begins_after_the_delay_by_itself() {
    let (mut proxy, _admin, origin) = start("10m", "1h", &Gate::default());
    let shorter = whole("300ms", "1h", &origin);
    proxy.reload(&shorter).expect("it is valid");
    let told = Instant::now();
    proxy.signal(Signal::TERM);
    assert_eq!(proxy.wait().code(), Some(0));
    assert!(told.elapsed() >= Duration::from_millis(300));
    let lines = proxy.log_lines();
    let place = |words: &str| lines.iter().position(|line| line.contains(words));
    let places = ["not ready any more", "\"draining\"", "\"drained\""].map(place);
    assert!(
        places.iter().all(Option::is_some) && places.is_sorted(),
        "{places:?}"
    );
}

#[test]
fn the_drain_timeout_counts_from_the_end_of_the_delay() {
    let gate = Gate::default();
    let (mut proxy, admin, origin) = start("10m", "100ms", &gate);
    let mut busy = proxy.client();
    busy.send("GET /never HTTP/1.1\r\nHost: test\r\n\r\n");
    origin.request(0);
    proxy.signal(Signal::TERM);
    wait(|| match admin.ready() {
        503 => Ok(()),
        status => Err(status.to_string()),
    });
    assert_eq!(proxy.client().get("/ping").text(), "pong", "not yet");
    proxy.signal(Signal::INT);
    proxy.log_line("drain timeout");
    assert_eq!(busy.rest(), b"");
    assert_eq!(proxy.wait().code(), Some(0));
    gate.open();
}

/// A port that is free at both of these addresses, which nobody else uses: a node that comes back must find it again.
fn free_port(ips: [&str; 2]) -> u16 {
    // Bounded by luck, see the name.
    for _ in 0..100 {
        let first = TcpListener::bind((ips[0], 0)).expect("a free port");
        let port = first.local_addr().expect("bound").port();
        if TcpListener::bind((ips[1], port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free at both addresses");
}

/// One of several proxies behind another one: it waits with its drain until the one before it has noticed.
fn node(ip: &str, web: u16, admin: u16, name: &str) -> Proxy {
    Proxy::start(&format!(
        "process {{\nworkers 1\nlog format=\"json\"\ndrain-delay \"1s\"\n}}\nadmin \"{ip}:{admin}\"\nlistener \"web\" \"{ip}:{web}\" {{ route {{ respond 200 body=\"{name}\" }} }}\n"
    ))
}

/// The nodes stop and are started anew one after the other, while others ask without a pause.
#[test]
fn nodes_are_replaced_in_turn_and_nobody_notices() {
    let ips = ["127.0.0.3", "127.0.0.4"];
    let (web, ready) = (free_port(ips), free_port(ips));
    let mut nodes = ips.map(|ip| node(ip, web, ready, "old"));
    // Checks go to the admin port of each; what meets a node that is gone already is tried again elsewhere.
    let front = Proxy::start(&text(&format!(
        "endpoint \"127.0.0.3:{web}\"\nendpoint \"127.0.0.4:{web}\"\nhealth-check interval=\"20ms\" timeout=\"10s\" fall=1 rise=1 port={ready} {{ http \"/ready\" }}"
    )));
    let admin = Admin::of(&front);
    let (over, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let askers: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| ask_until(&front, &over, &asked)))
            .collect();
        for (node_now, ip) in nodes.iter_mut().zip(ips) {
            let endpoint = format!("{ip}:{web}");
            node_now.signal(Signal::TERM);
            admin.wait_for_endpoint("c", &endpoint, |report| report["state"] == "down");
            assert_eq!(node_now.wait().code(), Some(0));
            node_now.log_line("\"drained\"");
            more(&asked, 10);
            *node_now = node(ip, web, ready, "new");
            admin.wait_for_endpoint("c", &endpoint, |report| report["state"] == "up");
            more(&asked, 10);
        }
        over.store(true, Ordering::Relaxed);
        for asker in askers {
            let failed: Vec<String> = asker.join().expect("it asks and counts");
            assert_eq!(failed, Vec::<String>::new());
        }
    });
    assert_eq!(front.client().get("/").text(), "new");
}

#[test]
fn admin_answers_until_the_end() {
    let gate = Gate::default();
    let (mut proxy, admin, origin) = start("0s", "1h", &gate);
    let mut busy = proxy.client();
    busy.send("GET /late HTTP/1.1\r\nHost: test\r\n\r\n");
    origin.request(0);
    proxy.signal(Signal::TERM);
    proxy.log_line("\"draining\"");
    assert_eq!(admin.ready(), 503);
    assert_eq!(admin.endpoint("c", &origin)["requests"], 1, "what is left");
    gate.open();
    assert_eq!(busy.response().text(), "late");
    assert_eq!(proxy.wait().code(), Some(0));
    wait_until_refused(admin.address());
}
