//! A downstream that leaves ends the work done for it.

use crate::harness::{Origin, Proxy, config};
use std::io::Write;

#[test]
fn leaving_while_waiting_for_an_answer_closes_the_upstream_connection() {
    let origin = Origin::start(|mut peer| while peer.request().is_some() {});
    let proxy = Proxy::before(&origin);
    let mut client = proxy.client();
    client.send("GET /left HTTP/1.1\r\nHost: a\r\n\r\n");
    origin.request(0);
    client.abort();
    origin.wait_for_ends(1);
    let line = proxy.line_of("/left");
    assert_eq!((line.outcome(), line.status()), ("downstream-aborted", 0));
}

#[test]
fn leaving_during_the_response_closes_the_upstream_connection() {
    for framing in ["Content-Length: 1000000000000", "Connection: close"] {
        let origin = Origin::start(move |mut peer| {
            peer.request();
            peer.send(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n"));
            while peer.stream().write_all(&[0; 16 * 1024]).is_ok() {}
        });
        let proxy = Proxy::before(&origin);
        let mut client = proxy.client();
        client.send("GET /left HTTP/1.1\r\nHost: a\r\n\r\n");
        client.response_head();
        client.take(100_000);
        client.abort();
        origin.wait_for_ends(1);
        let line = proxy.line_of("/left");
        assert_eq!(
            (line.outcome(), line.status()),
            ("downstream-aborted", 200),
            "{framing}"
        );
    }
}

#[test]
fn leaving_during_the_request_is_seen_by_the_origin_as_a_cut() {
    for framing in [
        "Content-Length: 10\r\n\r\nabc",
        "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ] {
        let origin = Origin::start(|mut peer| {
            peer.request();
        });
        let proxy = Proxy::before(&origin);
        let mut client = proxy.client();
        client.send(format!("POST /left HTTP/1.1\r\nHost: a\r\n{framing}"));
        origin.wait_for_connections(1);
        drop(client);
        let request = origin.request(0);
        assert_eq!(
            (request.body.as_slice(), request.complete),
            (&b"abc"[..], false),
            "{framing}"
        );
        assert_eq!(
            proxy.line_of("/left").outcome(),
            "downstream-aborted",
            "{framing}"
        );
        assert_eq!(origin.connections(), 1);
    }
}

#[test]
fn leaving_within_a_head_is_no_exchange() {
    let origin = Origin::named("ok");
    let proxy = Proxy::before(&origin);
    let mut client = proxy.client();
    client.send("GET /half HTTP/1.1\r\nHo");
    client.finish();
    assert!(client.is_at_end());
    assert_eq!(proxy.client().get("/after").text(), "ok");
    proxy.line_of("/after");
    assert_eq!(proxy.access_lines().len(), 1);
}

#[test]
fn a_downstream_that_takes_nothing_for_its_idle_timeout_is_left() {
    let origin = Origin::start(|mut peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n");
        while peer.stream().write_all(&[0; 16 * 1024]).is_ok() {}
    });
    let text = r#"
        listener "web" "127.0.0.1:0" {
            timeouts idle="300ms"
            route { cluster "origin" }
        }
        cluster "origin" { endpoint "ORIGIN" }"#;
    let proxy = Proxy::start(&config(text, &[("ORIGIN", &origin)]));
    let mut client = proxy.client();
    client.send("GET /stuck HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(proxy.line_of("/stuck").outcome(), "downstream-aborted");
    origin.wait_for_ends(1);
}

#[test]
fn a_downstream_that_leaves_a_silent_stream_is_noticed() {
    // The endpoint would be silent for the whole response timeout, which is longer than the harness waits.
    let upload = "POST /events HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n";
    for (head, rest) in [
        ("GET /events HTTP/1.1\r\nHost: a\r\n\r\n", ""),
        (upload, "ab"),
    ] {
        let origin = Origin::start(|mut peer| {
            peer.request();
            peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\ndata\n\r\n");
            peer.rest();
        });
        let proxy = Proxy::before(&origin);
        let mut client = proxy.client();
        client.send(head);
        client.send(rest);
        assert_eq!(client.response_head().status(), 200);
        drop(client);
        origin.wait_for_ends(1);
        assert_eq!(proxy.line_of("/events").outcome(), "downstream-aborted");
    }
}
