//! What a downstream sees of an origin that fails.

use crate::harness::{Gate, Origin, Proxy, closed_port, config, deaf_port};
use std::fmt::Display;

fn proxy(timeouts: &str, endpoint: &dyn Display) -> Proxy {
    let text = r#"
        listener "web" "127.0.0.1:0" {
            route "short" path="/short" {
                timeouts response="200ms"
                cluster "origin"
            }
            route { cluster "origin" }
        }
        cluster "origin" {
            endpoint "ENDPOINT"
            TIMEOUTS
        }"#;
    Proxy::start(&config(
        text,
        &[("ENDPOINT", endpoint), ("TIMEOUTS", &timeouts)],
    ))
}

#[test]
fn a_refused_connection_is_a_502() {
    let (_held, closed) = closed_port();
    let proxy = proxy("", &closed);
    let mut client = proxy.client();
    for path in ["/1", "/2"] {
        assert_eq!(client.get(path).status, 502);
        let line = proxy.line_of(path);
        assert_eq!(
            (line.outcome(), line.number("connect_us")),
            ("connect-failed", -1)
        );
    }
    proxy.log_line("connecting failed");
}

#[test]
fn a_connection_that_is_not_made_in_time_is_a_504() {
    let (_socket, _queued, deaf) = deaf_port();
    let proxy = proxy("timeouts connect=\"200ms\"", &deaf);
    assert_eq!(proxy.client().get("/").status, 504);
    assert_eq!(proxy.line_of("/").outcome(), "connect-timeout");
}

#[test]
fn an_answer_that_does_not_come_in_time_is_a_504_and_the_connection_is_closed() {
    let origin = Origin::start(|mut peer| while peer.request().is_some() {});
    let proxy = proxy("timeouts response=\"300ms\"", &origin);
    let mut client = proxy.client();
    for (index, path) in ["/", "/short"].into_iter().enumerate() {
        assert_eq!(client.get(path).status, 504);
        assert_eq!(proxy.line_of(path).outcome(), "response-timeout");
        origin.wait_for_ends(index + 1);
    }
    assert!(proxy.line_of("/").number("active_us") >= 300_000);
    assert!(proxy.line_of("/short").number("active_us") >= 200_000);
}

#[test]
fn the_timeout_of_a_route_counts_and_not_its_clusters() {
    let origin = Origin::start(|mut peer| while peer.request().is_some() {});
    let proxy = proxy("timeouts response=\"10m\"", &origin);
    assert_eq!(proxy.client().get("/short").status, 504);
    assert_eq!(proxy.line_of("/short").outcome(), "response-timeout");
}

#[test]
fn a_response_that_stalls_is_broken_off() {
    let origin = Origin::start(|mut peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf ");
        assert!(peer.is_at_end());
    });
    let proxy = proxy("timeouts response=\"300ms\"", &origin);
    let mut client = proxy.client();
    let response = client.get("/");
    assert_eq!(
        (response.text().as_str(), response.complete),
        ("half ", false)
    );
    let line = proxy.line_of("/");
    assert_eq!((line.outcome(), line.status()), ("upstream-stalled", 200));
    origin.wait_for_ends(1);
}

#[test]
fn a_response_that_ends_early_is_seen_as_broken_in_every_framing() {
    for (framing, part) in [
        ("Content-Length: 10", "half "),
        ("Transfer-Encoding: chunked", "5\r\nhalf \r\n"),
    ] {
        let origin = Origin::start(move |mut peer| {
            peer.request();
            peer.send(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n{part}"));
        });
        let proxy = proxy("", &origin);
        let mut client = proxy.client();
        let response = client.get("/1");
        assert_eq!(
            (response.text().as_str(), response.complete),
            ("half ", false),
            "{framing}"
        );
        assert_eq!(
            proxy.line_of("/1").outcome(),
            "upstream-aborted",
            "{framing}"
        );
        assert!(!proxy.client().get("/2").complete);
        assert_eq!(origin.connections(), 2, "{framing}");
    }
}

#[test]
fn a_reset_is_not_taken_for_the_end_of_a_response() {
    let seen = Gate::default();
    let gate = seen.clone();
    let origin = Origin::start(move |mut peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\n\r\nhalf ");
        gate.wait();
        peer.abort();
    });
    let proxy = proxy("", &origin);
    let mut client = proxy.client();
    client.send("GET /cut HTTP/1.1\r\nHost: a\r\n\r\n");
    client.response_head();
    assert_eq!(client.chunk().as_deref(), Some(&b"half "[..]));
    seen.open();
    assert_eq!(client.rest(), b"", "the last chunk was sent all the same");
    assert_eq!(proxy.line_of("/cut").outcome(), "upstream-aborted");
}

#[test]
fn a_downstream_without_chunks_sees_the_break_as_a_reset() {
    let origin = Origin::start(|mut peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhalf \r\n");
    });
    let proxy = proxy("", &origin);
    let mut client = proxy.client();
    client.send("GET /cut HTTP/1.0\r\nHost: a\r\n\r\n");
    while client.receive() > 0 {}
    assert!(
        client.was_reset(),
        "a body without a length must not end like a whole one"
    );
    assert_eq!(proxy.line_of("/cut").outcome(), "upstream-aborted");
}

#[test]
fn an_answer_that_is_no_http_is_a_502_and_its_connection_is_not_used_again() {
    let answers = [
        "SSH-2.0-OpenSSH_9.0\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 OK\r\n\r\n",
        "HTTP/1.1 99 Low\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        "HTTP/1.1 200 OK\r\nX-A: 1\r\n folded\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX A: 1\r\n\r\n",
    ];
    let origin = Origin::answering(move |request| {
        let index: usize = request.head.target()[1..].parse().expect("a number");
        answers[index].into()
    });
    let proxy = proxy("", &origin);
    let mut client = proxy.client();
    for (index, answer) in answers.iter().enumerate() {
        let path = format!("/{index}");
        let response = client.get(&path);
        assert_eq!(
            (response.status, response.text().as_str()),
            (502, "bad gateway\n"),
            "{answer:?}"
        );
        assert_eq!(
            proxy.line_of(&path).outcome(),
            "upstream-invalid",
            "{answer:?}"
        );
    }
    assert_eq!(origin.connections(), answers.len());
}

#[test]
fn endless_interim_responses_are_a_502() {
    let origin = Origin::saying("HTTP/1.1 102 Processing\r\n\r\n".repeat(50));
    let proxy = proxy("", &origin);
    assert_eq!(proxy.client().get("/").status, 502);
    assert_eq!(proxy.line_of("/").outcome(), "upstream-invalid");
}

#[test]
fn an_answer_that_breaks_off_in_its_head_is_a_502() {
    let origin = Origin::start(|mut peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-");
    });
    let proxy = proxy("", &origin);
    assert_eq!(proxy.client().get("/").status, 502);
    assert_eq!(proxy.line_of("/").outcome(), "upstream-reset");
}

#[test]
fn a_chunk_that_is_broken_breaks_the_response_off() {
    let broken = Origin::start(|mut peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n");
        peer.send("zz\r\n");
        peer.request();
    });
    let proxy = proxy("", &broken);
    let mut client = proxy.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = client.head();
    if let Some(head) = head.filter(|head| head.status() == 200) {
        assert!(!client.finish_response(head).complete);
    }
    assert_eq!(proxy.line_of("/").outcome(), "upstream-aborted");
}

#[test]
fn bytes_after_the_end_of_a_response_are_not_delivered_and_spoil_the_connection() {
    let origin = Origin::saying(
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
    );
    let proxy = proxy("", &origin);
    let mut client = proxy.client();
    for path in ["/1", "/2"] {
        assert_eq!(client.get(path).text(), "ok");
    }
    assert_eq!(origin.connections(), 2);
}

#[test]
fn an_answer_to_an_unfinished_request_is_delivered_and_ends_both_connections_at_once() {
    let origin = Origin::start(|mut peer| {
        peer.head();
        peer.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
        peer.rest();
    });
    let proxy = proxy("", &origin);
    let mut client = proxy.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nabc");
    let response = client.response();
    assert_eq!((response.status, response.text().as_str()), (403, "no"));
    assert!(client.is_at_end());
    origin.wait_for_ends(1);
}

#[test]
fn a_response_head_beyond_the_limits_is_a_502() {
    let long = format!(
        "HTTP/1.1 200 OK\r\nX: {}\r\nContent-Length: 0\r\n\r\n",
        "a".repeat(70 * 1024)
    );
    let many = format!(
        "HTTP/1.1 200 OK\r\n{}Content-Length: 0\r\n\r\n",
        "X: 1\r\n".repeat(200)
    );
    let origin = Origin::answering(move |request| {
        if request.head.target() == "/long" {
            long.clone()
        } else {
            many.clone()
        }
        .into()
    });
    let proxy = proxy("", &origin);
    let mut client = proxy.client();
    for path in ["/long", "/many"] {
        assert_eq!(client.get(path).status, 502, "{path}");
        assert_eq!(proxy.line_of(path).outcome(), "upstream-invalid", "{path}");
    }
}

#[test]
fn an_interim_response_alone_is_no_answer() {
    let origin = Origin::start(|mut peer| {
        peer.request();
        peer.send("HTTP/1.1 103 Early Hints\r\n\r\n");
    });
    let proxy = proxy("", &origin);
    let mut client = proxy.client();
    assert_eq!(client.get("/hint").status, 502);
    assert_eq!(proxy.line_of("/hint").outcome(), "upstream-reset");
    assert_eq!(origin.requests().len(), 1);
}
