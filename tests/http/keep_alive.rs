//! Connections that carry more than one exchange, on both sides.

use crate::harness::{Origin, Proxy, config};

#[test]
fn requests_on_one_downstream_connection_share_one_upstream_connection() {
    let origin = Origin::echo();
    let proxy = Proxy::before(&origin);
    let mut client = proxy.client();
    for path in ["/1", "/2", "/3"] {
        assert_eq!(client.get(path).echoed().target(), path);
        let line = proxy.line_of(path);
        assert_eq!((line.outcome(), line.status()), ("ok", 200));
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn an_upstream_connection_is_reused_for_another_downstream() {
    let origin = Origin::named("a");
    let proxy = Proxy::before(&origin);
    for path in ["/1", "/2"] {
        assert_eq!(proxy.client().get(path).text(), "a");
        assert_eq!(proxy.line_of(path).outcome(), "ok");
    }
    assert_eq!(origin.connections(), 1);
    assert_eq!(proxy.line_of("/2").number("connect_us"), 0);
}

#[test]
fn a_downstream_that_asks_for_it_is_closed_and_the_upstream_connection_stays() {
    let origin = Origin::echo();
    let proxy = Proxy::before(&origin);
    let mut client = proxy.client();
    let response = client.ask("GET", "/1", "Connection: close\r\n");
    assert_eq!(response.header("connection"), Some("close"));
    assert_eq!(response.echoed().header("connection"), None);
    assert!(client.is_at_end());
    assert_eq!(proxy.client().get("/2").status, 200);
    assert_eq!(origin.connections(), 1);
}

#[test]
fn an_upstream_that_closes_is_not_used_again_and_the_downstream_stays() {
    let origin =
        Origin::saying("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
    let proxy = Proxy::before(&origin);
    let mut client = proxy.client();
    for path in ["/1", "/2"] {
        let response = client.get(path);
        assert_eq!(
            (response.text().as_str(), response.header("connection")),
            ("ok", None)
        );
        assert_eq!(proxy.line_of(path).outcome(), "ok");
    }
    assert_eq!(origin.connections(), 2);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let origin = Origin::echo();
    let proxy = Proxy::before(&origin);
    let mut client = proxy.client();
    client.send(
        "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n\
         POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc\
         POST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ndef\r\n0\r\n\r\n\
         GET /4 HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    for (start, end) in [
        ("GET /1 ", "\r\n\r\n"),
        ("POST /2 ", "abc"),
        ("POST /3 ", "def"),
        ("GET /4 ", "\r\n\r\n"),
    ] {
        let text = client.response().text();
        assert!(text.starts_with(start) && text.ends_with(end), "{text}");
    }
    assert_eq!(origin.requests().len(), 4);
}

#[test]
fn a_pipelined_request_that_arrives_during_the_response_is_not_lost() {
    let origin = Origin::echo();
    let proxy = Proxy::before(&origin);
    let mut client = proxy.client();
    client.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HT");
    assert_eq!(client.response().echoed().target(), "/1");
    client.send("TP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.response().echoed().target(), "/2");
}

#[test]
fn an_idle_upstream_connection_is_closed_after_its_timeout() {
    let origin = Origin::echo();
    let text = r#"
        listener "web" "127.0.0.1:0" { route { cluster "origin" } }
        cluster "origin" {
            endpoint "ORIGIN"
            timeouts idle="300ms"
        }"#;
    let proxy = Proxy::start(&config(text, &[("ORIGIN", &origin)]));
    let mut client = proxy.client();
    assert_eq!(client.get("/1").status, 200);
    origin.wait_for_ends(1);
    assert_eq!(client.get("/2").status, 200);
    assert_eq!(origin.connections(), 2);
}
