//! No endpoint to pick, and endpoints that are full.

use crate::harness::{Gate, Origin, Proxy, config};

#[test]
fn a_cluster_without_weight_is_a_503() {
    let origin = Origin::named("never");
    let text = r#"
        listener "web" "127.0.0.1:0" { route { cluster "origin" } }
        cluster "origin" { endpoint "ORIGIN" weight=0 }"#;
    let proxy = Proxy::start(&config(text, &[("ORIGIN", &origin)]));
    let mut client = proxy.client();
    for path in ["/1", "/2"] {
        assert_eq!(client.get(path).status, 503);
        let line = proxy.line_of(path);
        assert_eq!(
            (
                line.outcome(),
                line.text("endpoint"),
                line.number("attempts")
            ),
            ("no-endpoint", "", 0)
        );
    }
    assert_eq!(origin.connections(), 0);
}

#[test]
fn a_full_endpoint_takes_no_more_until_a_request_ends() {
    let finish = Gate::default();
    let gate = finish.clone();
    let origin = Origin::start(move |mut peer| {
        while let Some(request) = peer.request() {
            if request.head.target() == "/slow" {
                gate.wait();
            }
            peer.answer("ok");
        }
    });
    let text = r#"
        process {
            workers 2
            log format="json"
        }
        listener "web" "127.0.0.1:0" { route { cluster "origin" } }
        cluster "origin" { endpoint "ORIGIN" requests-max=1; queue requests-max=0 }"#;
    let text = text.replace("\n        ", "\n");
    let proxy = Proxy::start(&config(&text, &[("ORIGIN", &origin)]));
    let mut slow = proxy.client();
    slow.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    origin.request(0);
    for attempt in 0..4 {
        let path = format!("/full-{attempt}");
        assert_eq!(proxy.client().get(&path).status, 503);
        assert_eq!(proxy.line_of(&path).outcome(), "endpoints-full");
    }
    finish.open();
    assert_eq!(slow.response().text(), "ok");
    proxy.line_of("/slow");
    assert_eq!(proxy.client().get("/after").text(), "ok");
}

#[test]
fn a_full_endpoint_is_passed_over_for_one_with_room() {
    let finish = Gate::default();
    let gate = finish.clone();
    let full = Origin::start(move |mut peer| {
        peer.request();
        gate.wait();
        peer.answer("full");
    });
    let room = Origin::named("room");
    let text = r#"
        listener "web" "127.0.0.1:0" { route { cluster "both" } }
        cluster "both" {
            endpoint "FULL" requests-max=1
            endpoint "ROOM"
        }"#;
    let proxy = Proxy::start(&config(text, &[("FULL", &full), ("ROOM", &room)]));
    let mut slow = proxy.client();
    let mut client = proxy.client();
    slow.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    full.request(0);
    for _ in 0..4 {
        assert_eq!(client.get("/").text(), "room");
    }
    finish.open();
    assert_eq!(slow.response().text(), "full");
    assert_eq!(full.connections(), 1);
}
