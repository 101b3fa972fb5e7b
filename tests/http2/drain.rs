//! SIGTERM and connections of HTTP/2: what has begun ends in good order.

use super::client;
use crate::harness::h2::frames::{self, GOAWAY, HEADERS};
use crate::harness::h2::{H2Origin, h2_request};
use crate::harness::{Gate, Origin, Proxy, config};
use rustix::process::Signal;
use std::fmt::Display;

const TEXT: &str = r#"
process {
    workers 1
    log format="json"
    drain-timeout "20s"
}
listener "web" "127.0.0.1:0" { route { cluster "c" } }
cluster "c" {
    protocol "PROTOCOL"
    endpoint "ORIGIN"
}
"#;

fn start(protocol: &str, origin: &dyn Display) -> Proxy {
    Proxy::start(&config(
        TEXT,
        &[("PROTOCOL", &protocol), ("ORIGIN", origin)],
    ))
}

fn gated(gate: &Gate) -> Origin {
    let gate = gate.clone();
    Origin::start(move |mut peer| {
        while peer.request().is_some() {
            gate.wait();
            peer.answer("late");
        }
    })
}

#[test]
fn a_stream_that_has_begun_ends_and_then_the_process() {
    let gate = Gate::default();
    let origin = gated(&gate);
    let mut proxy = start("http/1.1", &origin);
    let client = client(&proxy);
    let busy = client.begin(h2_request("GET", "/late"), true);
    origin.request(0);
    proxy.signal(Signal::TERM);
    proxy.log_line("\"draining\"");
    gate.open();
    assert_eq!(busy.rest().text(), "late");
    client.end().expect("an end in order");
    assert!(proxy.wait().success());
    let line = proxy.line_of("/late");
    assert_eq!((line.outcome(), line.status()), ("ok", 200));
}

/// A first GOAWAY names no stream as the last one, so what is on its way is served; only the second one does.
#[test]
fn going_away_is_said_twice_and_what_comes_between_is_served() {
    const NONE: u32 = (1 << 31) - 1;
    let gate = Gate::default();
    let origin = gated(&gate);
    let mut proxy = start("http/1.1", &origin);
    let mut client = proxy.client();
    client.send([frames::preface(), frames::get(1, "/first")].concat());
    origin.request(0);
    proxy.signal(Signal::TERM);
    let mut last_streams = Vec::new();
    let mut answers = Vec::new();
    while let Some(frame) = frames::next(&mut client) {
        match frame.kind {
            GOAWAY => {
                let last = frame.payload[..4].try_into().expect("four bytes");
                assert_eq!(frame.reason(), 0);
                last_streams.push(u32::from_be_bytes(last));
                if last_streams.len() == 1 {
                    // It was sent before we knew.
                    client.send(frames::get(3, "/between"));
                }
            }
            frames::PING if frame.flags & frames::ACK == 0 => {
                client.send(frames::frame(frames::PING, frames::ACK, 0, &frame.payload));
                gate.open();
            }
            HEADERS => answers.push((frame.stream, frame.payload[0])),
            _ => {}
        }
    }
    client.finish();
    answers.sort_unstable();
    assert_eq!(answers, [(1, 0x88), (3, 0x88)]);
    assert_eq!(
        (last_streams.first(), last_streams.last()),
        (Some(&NONE), Some(&3))
    );
    assert!(proxy.wait().success());
    for path in ["/first", "/between"] {
        assert_eq!(proxy.line_of(path).outcome(), "ok");
    }
}

#[test]
fn an_idle_connection_does_not_hold_up_the_end() {
    let origin = H2Origin::named("here");
    let mut proxy = start("h2", &origin);
    let client = client(&proxy);
    assert_eq!(client.get("/").text(), "here");
    proxy.signal(Signal::TERM);
    client.end().expect("an end in order");
    assert!(proxy.wait().success());
    origin.wait_for_ends(1);
}

#[test]
fn a_stream_to_an_origin_of_http2_ends_while_draining() {
    let gate = Gate::default();
    let waits = gate.clone();
    let origin = H2Origin::start(move |mut exchange| {
        exchange.head(200, &[], false);
        exchange.send("early ", false);
        waits.wait();
        exchange.send("late", true);
    });
    let mut proxy = start("h2", &origin);
    let client = client(&proxy);
    let mut busy = client.begin(h2_request("GET", "/"), true);
    let head = busy.head().expect("an answer");
    assert_eq!(busy.take(6), b"early ");
    proxy.signal(Signal::TERM);
    proxy.log_line("\"draining\"");
    gate.open();
    assert_eq!(busy.rest_behind(head).text(), "late");
    assert!(proxy.wait().success());
    assert_eq!(proxy.line_of("/").outcome(), "ok");
}
