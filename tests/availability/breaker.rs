//! The circuit breaker: beyond each of its limits a request fails at once, and no longer than that.

use super::scene::{Gates, asking, before, cluster, put, start, until_idle, until_queue};
use crate::harness::{Client, Origin, Proxy};
use crate::tcp::{connect, echo, end, ends_by_reset, established, line_of, server};

/// Refused at once, with nothing tried; the queue is never the reason, for it would keep anybody for an hour.
fn assert_open(proxy: &Proxy, target: &str) {
    let response = proxy.client().get(target);
    assert_eq!(response.status, 503);
    assert_eq!(proxy.line_of(target).outcome(), "circuit-open");
}

fn finish(clients: impl IntoIterator<Item = Client>) {
    for mut client in clients {
        assert_eq!(client.response().status, 200);
    }
}

#[test]
fn a_breaker_opens_at_its_requests_and_closes_when_one_ends() {
    let gates = Gates::default();
    let origin = gates.origin("ok");
    let proxy = before(
        2,
        &format!("endpoint \"{origin}\"\ncircuit-breaker requests-max=2\nqueue timeout=\"1h\""),
    );
    let (one, two) = (asking(&proxy, "/held/1"), asking(&proxy, "/held/2"));
    origin.request(1);
    assert_open(&proxy, "/open");
    assert_eq!(proxy.line_of("/open").number("attempts"), 0);
    gates.open("/held/1");
    finish([one]);
    proxy.line_of("/held/1");
    assert_eq!(proxy.client().get("/closed").status, 200);
    gates.open("/held/2");
    finish([two]);
    let served = origin.requests().len();
    assert_eq!(served, 3, "the refused one was not sent");
}

#[test]
fn requests_that_wait_count_for_the_breaker_too() {
    let gates = Gates::default();
    let origin = gates.origin("ok");
    let proxy = before(
        1,
        &format!(
            "endpoint \"{origin}\" requests-max=1\ncircuit-breaker requests-max=2\nqueue timeout=\"1h\""
        ),
    );
    let served = asking(&proxy, "/held/1");
    origin.request(0);
    let waits = asking(&proxy, "/waits");
    until_queue(&proxy, 1);
    assert_open(&proxy, "/open");
    gates.open("/held/1");
    finish([served, waits]);
}

#[test]
fn a_breaker_opens_at_those_who_wait() {
    let gates = Gates::default();
    let origin = gates.origin("ok");
    let proxy = before(
        2,
        &format!(
            "endpoint \"{origin}\" requests-max=1\ncircuit-breaker pending-max=1\nqueue timeout=\"1h\""
        ),
    );
    let served = asking(&proxy, "/held/1");
    origin.request(0);
    let waits = asking(&proxy, "/waits");
    until_queue(&proxy, 1);
    assert_open(&proxy, "/open");
    gates.open("/held/1");
    finish([served, waits]);
    until_idle(&proxy);
    assert_eq!(proxy.client().get("/closed").status, 200);
}

#[test]
fn an_endpoint_at_its_breaker_is_passed_over_and_not_waited_for() {
    let gates = Gates::default();
    let (a, b) = (gates.origin("a"), gates.origin("b"));
    let proxy = before(
        2,
        &format!(
            "balancer \"first\"\nendpoint \"{a}\" requests-max=100\nendpoint \"{b}\"\ncircuit-breaker endpoint-requests-max=1\nqueue timeout=\"1h\""
        ),
    );
    let one = asking(&proxy, "/held/1");
    a.request(0);
    assert_eq!(proxy.client().get("/passed").text(), "b");
    proxy.line_of("/passed");
    let two = asking(&proxy, "/held/2");
    b.request(1);
    assert_open(&proxy, "/open");
    gates.open("/held/1");
    finish([one]);
    proxy.line_of("/held/1");
    assert_eq!(proxy.client().get("/closed").text(), "a");
    gates.open("/held/2");
    finish([two]);
}

#[test]
fn a_request_that_is_bound_to_an_endpoint_at_its_breaker_goes_elsewhere() {
    let gates = Gates::default();
    let (a, b) = (gates.origin("a"), gates.origin("b"));
    let proxy = before(
        1,
        &format!(
            "balancer \"first\"\nendpoint \"{a}\"\nendpoint \"{b}\"\naffinity source=#true\ncircuit-breaker endpoint-requests-max=1\nqueue timeout=\"1h\""
        ),
    );
    assert_eq!(proxy.client().get("/learn").text(), "a");
    proxy.line_of("/learn");
    let one = asking(&proxy, "/held/1");
    a.request(1);
    assert_eq!(proxy.client().get("/passed").text(), "b");
    assert_eq!(proxy.line_of("/passed").text("affinity"), "valid");
    let two = asking(&proxy, "/held/2");
    b.request(1);
    assert_open(&proxy, "/open");
    gates.open("/held/1");
    gates.open("/held/2");
    finish([one, two]);
}

#[test]
fn an_idle_connection_counts_and_is_closed_for_one_that_is_needed() {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let proxy = before(
        1,
        &format!(
            "balancer \"first\"\nendpoint \"{a}\" id=\"a\"\nendpoint \"{b}\"\ncircuit-breaker connections-max=1\ntimeouts idle=\"1h\""
        ),
    );
    assert_eq!(proxy.client().get("/a").text(), "a");
    proxy.line_of("/a");
    put(&proxy, "a", "maintain");
    assert_eq!(proxy.client().get("/b").text(), "b");
    a.wait_for_ends(1);
    assert_eq!(cluster(&proxy)["endpoints"][0]["connections"], 0);
}

#[test]
fn a_breaker_opens_at_the_connections_of_the_cluster() {
    let gates = Gates::default();
    let origin = gates.origin("ok");
    let proxy = before(
        2,
        &format!("endpoint \"{origin}\"\ncircuit-breaker connections-max=2"),
    );
    let (one, two) = (asking(&proxy, "/held/1"), asking(&proxy, "/held/2"));
    origin.request(1);
    assert_open(&proxy, "/open");
    assert_eq!(origin.connections(), 2);
    gates.open("/held/1");
    gates.open("/held/2");
    finish([one, two]);
}

#[test]
fn an_endpoint_at_its_connections_is_passed_over() {
    let gates = Gates::default();
    let (a, b) = (gates.origin("a"), gates.origin("b"));
    let proxy = before(
        1,
        &format!(
            "balancer \"first\"\nendpoint \"{a}\"\nendpoint \"{b}\"\ncircuit-breaker endpoint-connections-max=1"
        ),
    );
    let one = asking(&proxy, "/held/1");
    a.request(0);
    assert_eq!(proxy.client().get("/passed").text(), "b");
    assert_eq!(proxy.line_of("/passed").outcome(), "ok");
    let two = asking(&proxy, "/held/2");
    b.request(1);
    assert_open(&proxy, "/open");
    assert_eq!((a.connections(), b.connections()), (1, 1));
    gates.open("/held/1");
    finish([one]);
    proxy.line_of("/held/1");
    assert_eq!(proxy.client().get("/closed").text(), "a");
    gates.open("/held/2");
    finish([two]);
}

#[test]
fn a_breaker_counts_tcp_connections() {
    let (a, b) = (server(echo), server(echo));
    let proxy = start(
        2,
        &format!(
            r#"listener "raw" "127.0.0.1:0" {{ protocol "tcp"; route {{ cluster "c" }} }}
cluster "c" {{
    endpoint "{a}"
    endpoint "{b}"
    circuit-breaker connections-max=3 endpoint-connections-max=2
}}
"#
        ),
    );
    let mut held: Vec<_> = (0..3).map(|_| established(proxy.address("raw"))).collect();
    let mut refused = connect(proxy.address("raw"));
    assert!(ends_by_reset(&mut refused));
    assert_eq!(line_of(&proxy, &refused).outcome(), "circuit-open");
    end(&proxy, held.remove(0));
    held.push(established(proxy.address("raw")));
    for client in held {
        end(&proxy, client);
    }
}
