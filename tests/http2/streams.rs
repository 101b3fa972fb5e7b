//! Many requests on one connection: each has its own life, line and end.

use super::{as_told, before_h1, before_h2, client, ended};
use crate::harness::h2::frames::{self, HEADERS};
use crate::harness::h2::{H2Client, H2Origin, h2_request};
use crate::harness::{Admin, Gate, Origin, Proxy, config};
use ::h2::Reason;
use std::sync::atomic::{AtomicBool, Ordering};

/// Answers each request with its target, below `/held/` once the gate is open.
fn gated(gate: &Gate) -> Origin {
    let gate = gate.clone();
    Origin::start(move |mut peer| {
        while let Some(request) = peer.request() {
            let target = request.head.target().to_owned();
            if target.starts_with("/held/") {
                gate.wait();
            }
            peer.answer(&target);
        }
    })
}

#[test]
fn a_slow_stream_does_not_hold_up_the_others() {
    let gate = Gate::default();
    let origin = gated(&gate);
    let proxy = Proxy::before(&origin);
    let client = client(&proxy);
    let slow = client.begin(h2_request("GET", "/held/slow"), true);
    origin.request(0);
    let paths: Vec<String> = (0..60).map(|number| format!("/{number}")).collect();
    let streams: Vec<_> = paths
        .iter()
        .map(|path| client.begin(h2_request("GET", path), true))
        .collect();
    for (stream, path) in streams.into_iter().zip(&paths) {
        assert_eq!(stream.rest().text(), *path);
    }
    gate.open();
    assert_eq!(slow.rest().text(), "/held/slow");
    let connection = proxy.line_of("/held/slow").number("connection");
    for path in &paths {
        let line = proxy.line_of(path);
        assert_eq!((line.outcome(), line.text("protocol")), ("ok", "HTTP/2"));
        assert_eq!(line.number("connection"), connection, "one connection");
    }
    assert_eq!(proxy.access_lines().len(), paths.len() + 1);
}

#[test]
fn a_downstream_that_does_not_read_one_stream_reads_the_others() {
    let big = vec![b'x'; 1 << 20];
    let origin = Origin::answering(move |request| {
        let body: &[u8] = if request.head.target() == "/big" {
            &big
        } else {
            b"small"
        };
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        [head.as_bytes(), body].concat()
    });
    let proxy = Proxy::before(&origin);
    let client = H2Client::with(proxy.address("web"), |builder| {
        builder.initial_connection_window_size(1 << 20);
    });
    let mut big = client.begin(h2_request("GET", "/big"), true);
    let head = big.head().expect("an answer");
    for _ in 0..20 {
        assert_eq!(client.get("/small").text(), "small");
    }
    assert_eq!(big.rest_behind(head).body.len(), 1 << 20);
    assert_eq!(ended(&proxy, "/big"), as_told("ok", 200));
}

/// A proxy with one place at `origin`.
fn one_place(protocol: &str, origin: &dyn std::fmt::Display) -> Proxy {
    let text = r#"
        admin "127.0.0.1:0"
        listener "web" "127.0.0.1:0" { route { cluster "c" } }
        cluster "c" {
            protocol "PROTOCOL"
            queue timeout="20s"
            endpoint "ORIGIN" requests-max=1
        }"#;
    Proxy::start(&config(
        text,
        &[("PROTOCOL", &protocol), ("ORIGIN", origin)],
    ))
}

#[test]
fn a_stream_that_the_client_resets_gives_its_place_back_and_aborts_the_request_upstream() {
    let origin = Origin::start(|mut peer| {
        while let Some(request) = peer.request() {
            if request.head.target() == "/left" {
                assert!(peer.is_at_end(), "the proxy closes");
                return;
            }
            peer.answer("next");
        }
    });
    let proxy = one_place("http/1.1", &origin);
    let client = client(&proxy);
    let mut left = client.begin(h2_request("GET", "/left"), true);
    origin.request(0);
    left.reset(Reason::CANCEL);
    origin.wait_for_ends(1);
    assert_eq!(client.get("/next").text(), "next");
    assert_eq!(ended(&proxy, "/left"), as_told("downstream-aborted", 0));
    let admin = Admin::of(&proxy);
    admin.wait_for_endpoint("c", &origin, |report| report["requests"] == 0);
}

#[test]
fn a_reset_within_the_answer_aborts_the_request_upstream() {
    let origin = Origin::start(|mut peer| {
        while let Some(request) = peer.request() {
            if request.head.target() == "/left" {
                peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\na part");
                peer.is_at_end();
                return;
            }
            peer.answer("next");
        }
    });
    let proxy = one_place("http/1.1", &origin);
    let client = client(&proxy);
    let mut left = client.begin(h2_request("GET", "/left"), true);
    assert_eq!(left.head().expect("an answer").status(), 200);
    assert_eq!(left.take(6), b"a part");
    left.reset(Reason::CANCEL);
    origin.wait_for_ends(1);
    assert_eq!(client.get("/next").text(), "next");
    assert_eq!(ended(&proxy, "/left"), as_told("downstream-aborted", 200));
}

/// As a unary call of gRPC is: the end of the request comes by itself.
#[test]
fn a_reset_behind_the_body_of_the_request_aborts_it_upstream() {
    let origin = Origin::start(|mut peer| {
        while let Some(request) = peer.request() {
            match request.head.target() {
                "/silent" => assert!(peer.is_at_end(), "the proxy closes"),
                "/answered" => {
                    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\na part");
                    peer.is_at_end();
                }
                _ => peer.answer("next"),
            }
        }
    });
    let proxy = one_place("http/1.1", &origin);
    let client = client(&proxy);
    for (number, path) in ["/silent", "/answered"].into_iter().enumerate() {
        let mut left = client.open(h2_request("POST", path));
        left.send("some", false);
        left.send("thing", true);
        origin.request(number);
        if path == "/answered" {
            left.head().expect("an answer");
            assert_eq!(left.take(6), b"a part");
        }
        left.reset(Reason::CANCEL);
        origin.wait_for_ends(number + 1);
        let status = if path == "/answered" { 200 } else { 0 };
        assert_eq!(ended(&proxy, path), as_told("downstream-aborted", status));
    }
    assert_eq!(client.get("/next").text(), "next");
}

#[test]
fn a_reset_reaches_an_origin_of_http2_as_a_reset_of_its_stream_alone() {
    let (was_reset, tell) = (Gate::default(), Gate::default());
    let told = was_reset.clone();
    let waits = tell.clone();
    let origin = H2Origin::start(move |mut exchange| {
        if exchange.path() == "/left" {
            tell.open();
            assert_eq!(exchange.wait_for_reset(), Some(Reason::CANCEL));
            told.open();
        } else {
            exchange.answer("next");
        }
    });
    let proxy = one_place("h2", &origin);
    let client = client(&proxy);
    let mut left = client.begin(h2_request("GET", "/left"), true);
    waits.wait();
    left.reset(Reason::CANCEL);
    was_reset.wait();
    assert_eq!(client.get("/next").text(), "next");
    assert_eq!(origin.connections(), 1);
    assert_eq!(ended(&proxy, "/left"), as_told("downstream-aborted", 0));
}

#[test]
fn the_end_of_a_connection_aborts_all_its_streams() {
    let gate = Gate::default();
    let origin = gated(&gate);
    let proxy = before_h1("", "", &origin);
    let mut client = proxy.client();
    client.send(frames::preface());
    for (stream, path) in [(1, "/held/a"), (3, "/held/b"), (5, "/held/c")] {
        client.send(frames::get(stream, path));
    }
    origin.request(2);
    client.abort();
    for path in ["/held/a", "/held/b", "/held/c"] {
        assert_eq!(ended(&proxy, path), as_told("downstream-aborted", 0));
    }
    gate.open();
    let admin = Admin::of(&proxy);
    admin.wait_for_endpoint("c", &origin, |report| {
        report["requests"] == 0 && report["connections"] == 0
    });
}

#[test]
fn a_downstream_without_a_window_is_cut_after_the_idle_timeout() {
    let origin = Origin::saying(
        "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n".to_owned() + &"x".repeat(1_000_000),
    );
    let proxy = before_h1("timeouts idle=\"200ms\"", "", &origin);
    let mut client = proxy.client();
    // SETTINGS_INITIAL_WINDOW_SIZE 0
    let settings = frames::frame(frames::SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]);
    client.send([frames::PREFACE, &settings, &frames::get(1, "/")].concat());
    let head = frames::next_of(&mut client, HEADERS).expect("an answer");
    assert_eq!(head.payload[0], 0x88);
    assert_eq!(ended(&proxy, "/"), as_told("downstream-aborted", 200));
    let reset = frames::next_of(&mut client, frames::RST_STREAM).expect("a reset");
    assert_eq!(reset.stream, 1);
    let admin = Admin::of(&proxy);
    admin.wait_for_endpoint("c", &origin, |report| report["requests"] == 0);
}

#[test]
fn a_body_that_stops_arriving_is_answered_with_408() {
    let origin = Origin::named("here");
    let proxy = before_h1("timeouts request-body=\"200ms\"", "", &origin);
    let client = client(&proxy);
    let mut stream = client.open(h2_request("POST", "/"));
    stream.send("a part", false);
    assert_eq!(stream.head().expect("an answer").status(), 408);
    assert_eq!(ended(&proxy, "/"), as_told("body-timeout", 408));
    assert_eq!(client.get("/next").text(), "here");
}

#[test]
fn reloads_under_load_lose_no_stream() {
    let origin = H2Origin::named("here");
    let text = |number: usize| {
        format!(
            "listener \"web\" \"127.0.0.1:0\" {{ route \"r{number}\" {{ cluster \"c\" }} }}\ncluster \"c\" {{ protocol \"h2\"; endpoint \"{origin}\" }}\n"
        )
    };
    let proxy = Proxy::start(&text(0));
    let address = proxy.address("web");
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let loads: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let client = H2Client::connect(address);
                    let mut served = 0;
                    while !over.load(Ordering::SeqCst) {
                        let streams = [(); 8].map(|()| client.begin(h2_request("GET", "/"), true));
                        for stream in streams {
                            let response = stream.rest();
                            assert_eq!((response.status, response.text().as_str()), (200, "here"));
                            served += 1;
                        }
                    }
                    served
                })
            })
            .collect();
        for number in 1..=5 {
            proxy.reload(&text(number)).expect("good");
            proxy.access_line(|line| line.text("route") == format!("r{number}"));
        }
        over.store(true, Ordering::SeqCst);
        for load in loads {
            assert!(load.join().expect("no stream is lost") > 0);
        }
    });
}

#[test]
fn bytes_are_counted_for_each_stream_by_itself() {
    let origin = Origin::answering(|request| {
        let body = "x".repeat(request.body.len() * 2);
        format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .into()
    });
    let proxy = Proxy::before(&origin);
    let client = client(&proxy);
    for (path, count) in [("/small", 10), ("/large", 100_000), ("/again", 10)] {
        let response = client.post(path, vec![b'x'; count]);
        assert_eq!(response.body.len(), 2 * count);
        let line = proxy.line_of(path);
        for (name, bytes) in [("downstream_bytes", count), ("upstream_bytes", 2 * count)] {
            let counted = line.number(name) as usize;
            // With the head, and what delimits a body.
            assert!(
                (bytes..bytes + 2000).contains(&counted),
                "{path} {name}: {counted}"
            );
        }
    }
}

#[test]
fn streams_of_many_connections_are_served_over_http2_upstreams() {
    let origin = H2Origin::start(|mut exchange| {
        let path = exchange.path().to_owned();
        exchange.answer(path);
    });
    let proxy = before_h2("", &origin);
    let clients: Vec<H2Client> = (0..5).map(|_| client(&proxy)).collect();
    let mut streams = Vec::new();
    for round in 0..10 {
        for (index, client) in clients.iter().enumerate() {
            let path = format!("/{index}/{round}");
            streams.push((client.begin(h2_request("GET", &path), true), path));
        }
    }
    for (stream, path) in streams {
        assert_eq!(stream.rest().text(), path);
        assert_eq!(ended(&proxy, &path), as_told("ok", 200));
    }
    assert_eq!(origin.connections(), 1);
}
