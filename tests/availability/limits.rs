//! `requests-max`: what counts, over all workers, and that every place comes back.

use super::scene::{Crowd, Gates, asking, before, cluster, start, until, until_idle, until_queue};
use crate::harness::{Client, Origin, Proxy};
use std::thread;
use std::time::Duration;

#[test]
fn requests_max_counts_requests_and_not_connections() {
    let gates = Gates::default();
    let origin = gates.origin("ok");
    let proxy = before(2, &format!("endpoint \"{origin}\" requests-max=1"));
    // Idle connections stay on both sides, so some of each.
    let mut idle: Vec<Client> = (0..12).map(|_| proxy.client()).collect();
    for client in &mut idle {
        assert_eq!(client.get("/idle").status, 200);
    }
    let mut held = asking(&proxy, "/held/a");
    origin.request(12);
    let mut waiting = asking(&proxy, "/waits");
    until_queue(&proxy, 1);
    assert_eq!(cluster(&proxy)["endpoints"][0]["requests"], 1);
    assert_eq!(origin.requests().len(), 13, "who waits is not sent");
    gates.open("/held/a");
    assert_eq!(held.response().status, 200);
    assert_eq!(waiting.response().status, 200);
    let line = proxy.line_of("/waits");
    assert_eq!(line.outcome(), "ok");
    assert!(line.number("queue_us") > 0, "{line:?}");
    assert!(proxy.line_of("/held/a").number("queue_us") >= 0);
}

#[test]
fn a_crowd_of_requests_goes_through_two_places_across_workers() {
    let crowd = Crowd::default();
    let inside = crowd.clone();
    let origin = Origin::start(move |mut peer| {
        loop {
            // A request counts from its first byte on.
            let Some(head) = peer.head() else { return };
            inside.enter();
            peer.finish_request(head);
            // What serving it takes, so that there is a crowd.
            thread::sleep(Duration::from_millis(1));
            inside.leave();
            peer.answer("ok");
        }
    });
    let proxy = before(
        2,
        &format!("endpoint \"{origin}\" requests-max=2\nqueue timeout=\"20s\""),
    );
    let address = proxy.address("web");
    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                for _ in 0..10 {
                    assert_eq!(Client::connect(address).get("/crowd").status, 200);
                }
            });
        }
    });
    assert_eq!(origin.requests().len(), 200);
    assert!((1..=2).contains(&crowd.most()), "{} at once", crowd.most());
    let bad = |line: &String| !line.contains("\"outcome\":\"ok\"");
    assert!(!proxy.access_lines().iter().any(bad));
    until_idle(&proxy);
}

/// Answers by the target: each is another way for a request to end badly.
fn unreliable(gates: &Gates) -> Origin {
    let gates = gates.clone();
    Origin::start(move |mut peer| {
        while let Some(request) = peer.request() {
            match request.head.target() {
                "/ok" => peer.answer("ok"),
                "/held/never" => gates.of("/held/never").wait(),
                "/close" => return,
                "/reset" => return peer.abort(),
                "/cut" => return peer.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab"),
                "/nonsense" => return peer.send("nonsense\r\n\r\n"),
                "/silent" => drop(peer.rest()),
                "/half" => {
                    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab");
                    peer.rest();
                }
                _ => {
                    peer.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
                    peer.rest();
                }
            }
        }
    })
}

/// One request that ends like this, in the one place that there is.
fn ends(proxy: &Proxy, target: &str, outcome: &str) {
    let mut client = proxy.client();
    let upgrade = "Connection: upgrade\r\nUpgrade: x\r\n";
    let extra = if target == "/switch" { upgrade } else { "" };
    client.send(format!(
        "GET {target} HTTP/1.1\r\nHost: test\r\n{extra}\r\n"
    ));
    match outcome {
        "downstream-aborted" => {
            until("the request to be under way", || {
                cluster(proxy)["endpoints"][0]["requests"] == 1
            });
            client.abort();
        }
        "tunnel" => {
            assert_eq!(client.response_head().status(), 101);
            client.finish();
        }
        _ => {
            client.response();
        }
    }
    assert_eq!(proxy.line_of(target).outcome(), outcome, "{target}");
}

#[test]
fn no_end_of_a_request_keeps_its_place() {
    let gates = Gates::default();
    let origin = unreliable(&gates);
    let proxy = before(
        1,
        &format!(
            "endpoint \"{origin}\" requests-max=1\nqueue timeout=\"20s\"\ntimeouts response=\"100ms\""
        ),
    );
    for (target, outcome) in [
        ("/close", "upstream-reset"),
        ("/reset", "upstream-reset"),
        ("/cut", "upstream-aborted"),
        ("/nonsense", "upstream-invalid"),
        ("/silent", "response-timeout"),
        ("/half", "upstream-stalled"),
        ("/switch", "tunnel"),
    ] {
        ends(&proxy, target, outcome);
        assert_eq!(proxy.client().get("/ok").text(), "ok", "after {target}");
        until_idle(&proxy);
    }
}

#[test]
fn a_downstream_that_leaves_gives_its_place_back() {
    let gates = Gates::default();
    let origin = unreliable(&gates);
    let proxy = before(1, &format!("endpoint \"{origin}\" requests-max=1"));
    ends(&proxy, "/held/never", "downstream-aborted");
    assert_eq!(proxy.client().get("/ok").text(), "ok");
    gates.open("/held/never");
    until_idle(&proxy);
}

#[test]
fn a_refused_connection_keeps_no_place() {
    let (socket, gone) = crate::harness::closed_port();
    let proxy = before(
        1,
        &format!("endpoint \"{gone}\" requests-max=1\nretry attempts=2 backoff=\"1ms\""),
    );
    for attempt in ["/1", "/2", "/3"] {
        assert_eq!(proxy.client().get(attempt).status, 502);
        let line = proxy.line_of(attempt);
        assert_eq!(
            (line.outcome(), line.number("attempts")),
            ("connect-failed", 2)
        );
    }
    until_idle(&proxy);
    drop(socket);
}

#[test]
fn a_request_that_waits_to_be_tried_again_holds_no_place() {
    let (_socket, gone) = crate::harness::closed_port();
    let proxy = start(
        1,
        &format!(
            r#"listener "web" "127.0.0.1:0" {{
    route path="/backs-off" {{ retry attempts=2 backoff="1h" backoff-max="1h"; cluster "c" }}
    route {{ retry attempts=1; cluster "c" }}
}}
cluster "c" {{ endpoint "{gone}" requests-max=1; queue timeout="2s" }}
"#
        ),
    );
    let waits = asking(&proxy, "/backs-off");
    proxy.log_line("connecting failed");
    assert_eq!(proxy.client().get("/meanwhile").status, 502);
    assert_eq!(proxy.line_of("/meanwhile").outcome(), "connect-failed");
    waits.abort();
    let line = proxy.line_of("/backs-off");
    assert_eq!(line.outcome(), "downstream-aborted");
}
