//! Requests over the endpoints of a cluster.

use crate::harness::{Origin, Proxy, config};

const TWO: &str = r#"
listener "web" "127.0.0.1:0" { route { cluster "both" } }
cluster "both" {
    BALANCER
    endpoint "FIRST" weight=3
    endpoint "SECOND"
    endpoint "DRAINED" weight=0
}
"#;

fn turns(balancer: &str, count: usize) -> Vec<String> {
    let (one, two, none) = (Origin::named("1"), Origin::named("2"), Origin::named("0"));
    let proxy = Proxy::start(&config(
        TWO,
        &[
            ("BALANCER", &balancer),
            ("FIRST", &one),
            ("SECOND", &two),
            ("DRAINED", &none),
        ],
    ));
    let mut client = proxy.client();
    let turns = (0..count).map(|_| client.get("/").text()).collect();
    let line = proxy.access_line(|line| line.text("endpoint") == two.to_string());
    assert_eq!((line.outcome(), line.text("cluster")), ("ok", "both"));
    turns
}

#[test]
fn round_robin_is_the_default_and_spreads_by_weight_smoothly() {
    for balancer in ["", "balancer \"round-robin\""] {
        assert_eq!(turns(balancer, 8).concat(), "11211121");
    }
}

#[test]
fn random_picks_every_endpoint_with_weight() {
    let turns = turns("balancer \"random\"", 100);
    assert!(!turns.contains(&"0".to_owned()));
    assert!(
        turns.iter().filter(|turn| *turn == "1").count()
            > turns.iter().filter(|turn| *turn == "2").count()
    );
}

#[test]
fn least_request_avoids_an_endpoint_that_is_busy() {
    let busy = Origin::start(|mut peer| while peer.request().is_some() {});
    let free = Origin::named("free");
    let text = r#"
        listener "web" "127.0.0.1:0" {
            route path="/busy" { cluster "both" }
            route { cluster "both" }
        }
        cluster "both" {
            balancer "least-request"
            endpoint "BUSY"
            endpoint "FREE"
        }"#;
    let proxy = Proxy::start(&config(text, &[("BUSY", &busy), ("FREE", &free)]));
    let mut held = proxy.client();
    let mut client = proxy.client();
    held.send("GET /busy HTTP/1.1\r\nHost: a\r\n\r\n");
    if !wait_for_first(&busy, &free) {
        // The first pick was the free one, which has answered; the next is the busy one's.
        held.response();
        held.send("GET /busy HTTP/1.1\r\nHost: a\r\n\r\n");
        busy.request(0);
    }
    for _ in 0..10 {
        assert_eq!(client.get("/").text(), "free");
    }
    assert_eq!(busy.requests().len(), 1);
}

/// Whether the first request went to `busy`.
fn wait_for_first(busy: &Origin, free: &Origin) -> bool {
    while busy.requests().is_empty() && free.requests().is_empty() {
        std::thread::yield_now();
    }
    !busy.requests().is_empty()
}
