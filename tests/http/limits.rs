//! What a downstream may send, and how long it may take.

use crate::harness::{Client, Origin, Proxy, config};

fn proxy(settings: &str, origin: &Origin) -> Proxy {
    let text = r#"
        listener "web" "127.0.0.1:0" {
            SETTINGS
            route { cluster "origin" }
        }
        cluster "origin" { endpoint "ORIGIN" }"#;
    Proxy::start(&config(
        text,
        &[("SETTINGS", &settings), ("ORIGIN", origin)],
    ))
}

fn assert_refused(proxy: &Proxy, client: &mut Client, status: u16, outcome: &str) {
    let response = client.response();
    assert_eq!(
        (response.status, response.header("connection")),
        (status, Some("close"))
    );
    assert!(client.is_at_end());
    let line = proxy.access_line(|line| line.status() == i64::from(status));
    assert_eq!(line.outcome(), outcome);
}

#[test]
fn a_head_may_have_so_many_bytes_and_not_one_more() {
    let origin = Origin::named("ok");
    let proxy = proxy("limits header-bytes-max=\"1KiB\"", &origin);
    let head = |size: usize| {
        let start = "GET / HTTP/1.1\r\nHost: test\r\nX-Fill: ";
        format!("{start}{}\r\n\r\n", "a".repeat(size - start.len() - 4))
    };
    let mut client = proxy.client();
    client.send(head(1024));
    assert_eq!(client.response().text(), "ok");
    client.send(head(1025));
    assert_refused(&proxy, &mut client, 431, "bad-request");
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn a_head_may_have_so_many_headers_and_not_one_more() {
    let origin = Origin::named("ok");
    let proxy = proxy("limits headers-max=5", &origin);
    let mut client = proxy.client();
    assert_eq!(client.ask("GET", "/", &"X: 1\r\n".repeat(4)).text(), "ok");
    client.send(format!(
        "GET / HTTP/1.1\r\nHost: test\r\n{}\r\n",
        "X: 1\r\n".repeat(5)
    ));
    assert_refused(&proxy, &mut client, 431, "bad-request");
}

#[test]
fn an_endless_head_and_an_endless_target_are_refused_before_they_end() {
    let origin = Origin::named("ok");
    let proxy = proxy("", &origin);
    let mut client = proxy.client();
    client.send(format!(
        "GET / HTTP/1.1\r\nHost: a\r\nX: {}",
        "a".repeat(65 * 1024)
    ));
    assert_refused(&proxy, &mut client, 431, "bad-request");
    let mut client = proxy.client();
    client.send(format!("GET /{}", "a".repeat(20 * 1024)));
    assert_refused(&proxy, &mut client, 414, "bad-request");
    assert_eq!(origin.connections(), 0);
}

#[test]
fn a_body_may_have_so_many_bytes_and_not_one_more() {
    let origin = Origin::echo();
    let proxy = proxy("limits body-bytes-max=\"4B\"", &origin);
    let mut client = proxy.client();
    assert!(client.post("/", "abcd").text().ends_with("abcd"));
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n");
    assert!(client.response().text().ends_with("abcd"));
    // By its announced length, before any of it is there.
    client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    assert_refused(&proxy, &mut client, 413, "body-too-large");
    assert_eq!(origin.requests().len(), 2);
    // By what arrives.
    let mut client = proxy.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n");
    client.send("3\r\ncde\r\n0\r\n\r\n");
    assert_refused(&proxy, &mut client, 413, "body-too-large");
}

#[test]
fn a_head_that_does_not_end_in_time_is_answered_with_408() {
    let origin = Origin::named("ok");
    let proxy = proxy("timeouts request-head=\"300ms\"", &origin);
    let mut client = proxy.client();
    assert_eq!(client.get("/").text(), "ok");
    client.send("GET / HTTP/1.1\r\nHost: te");
    assert_refused(&proxy, &mut client, 408, "head-timeout");
}

#[test]
fn an_idle_connection_is_closed_without_a_word() {
    let origin = Origin::named("ok");
    // Were it taken for the beginning of a request, it would last longer than this test is patient.
    let proxy = proxy("timeouts idle=\"300ms\" request-head=\"10m\"", &origin);
    let mut fresh = proxy.client();
    assert!(fresh.is_at_end());
    let mut used = proxy.client();
    assert_eq!(used.get("/").text(), "ok");
    assert!(used.is_at_end());
    proxy.line_of("/");
    assert_eq!(proxy.access_lines().len(), 1);
}

#[test]
fn a_body_that_stops_arriving_is_answered_with_408() {
    let origin = Origin::start(|mut peer| {
        peer.request();
    });
    let proxy = proxy("timeouts request-body=\"300ms\"", &origin);
    let mut client = proxy.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
    assert_refused(&proxy, &mut client, 408, "body-timeout");
    assert!(!origin.request(0).complete);
}

#[test]
fn a_connection_beyond_the_limit_is_closed() {
    let origin = Origin::named("ok");
    let proxy = proxy("limits connections-max=1", &origin);
    let mut first = proxy.client();
    assert_eq!(first.get("/").text(), "ok");
    assert!(proxy.client().is_at_end());
    proxy.log_line("connections-max is reached");
    assert_eq!(first.get("/").text(), "ok");
    first.finish();
    assert!(first.is_at_end());
}

#[test]
fn the_line_of_a_refused_request_does_not_wait_for_the_downstream_to_leave() {
    let origin = Origin::named("ok");
    let proxy = proxy("limits body-bytes-max=\"4B\"", &origin);
    let mut client = proxy.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
    assert_eq!(client.response().status, 413);
    // The proxy reads on for two seconds, so that the answer is not lost.
    let active = proxy
        .access_line(|line| line.status() == 413)
        .number("active_us");
    assert!(active < 1_900_000, "{active}");
    assert!(client.try_send("abcde"), "the connection was reset");
}
