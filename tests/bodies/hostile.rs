//! Filters that misbehave with bodies: their exchange is lost, or goes on without them, and no other one.

use super::filtering;
use crate::harness::{Origin, Proxy};

fn node(mode: &str, on_fault: &str) -> String {
    format!("bodies on-fault=\"{on_fault}\" {{ mode \"{mode}\" }}")
}

/// A route without the filter works as ever.
fn others_work(proxy: &Proxy) {
    assert_eq!(proxy.client().get("/plain").status, 200);
}

#[test]
fn a_fault_denies_or_is_as_if_the_filter_were_not_there() {
    for mode in ["trap", "spin", "bomb", "late-edits"] {
        let origin = Origin::named("ok");
        let proxy = filtering(&node(mode, "deny"), &origin);
        let response = proxy.client().post("/x", "body");
        assert_eq!(response.status, 500, "{mode}");
        assert_eq!(proxy.line_of("/x").outcome(), "filter-fault", "{mode}");
        assert_eq!(proxy.line_of("/x").text("filters"), "bodies:fault");
        others_work(&proxy);

        let origin = Origin::named("ok");
        let proxy = filtering(&node(mode, "skip"), &origin);
        let response = proxy.client().post("/x", "body");
        assert_eq!(
            (response.status, response.text().as_str()),
            (200, "ok"),
            "{mode}"
        );
        assert_eq!(origin.request(0).body, b"body", "{mode}");
        others_work(&proxy);
    }
}

#[test]
fn a_fault_in_a_response_that_has_begun_cuts_it_short() {
    let origin = Origin::named("ok");
    let proxy = filtering(&node("late-edits", "deny"), &origin);
    let mut client = proxy.client();
    client.send("GET /x HTTP/1.1\r\nHost: test\r\n\r\n");
    // Nothing may look like a whole response.
    if let Some(head) = client.head() {
        assert!(!client.finish_response(head).complete);
    }
    assert_eq!(proxy.line_of("/x").outcome(), "filter-fault");
    others_work(&proxy);
}

#[test]
fn a_filter_may_close() {
    let origin = Origin::named("ok");
    let proxy = filtering(&node("close", "deny"), &origin);
    let mut client = proxy.client();
    client.send("POST /x HTTP/1.1\r\nHost: test\r\nContent-Length: 1\r\n\r\na");
    assert!(client.head().is_none());
    assert_eq!(proxy.line_of("/x").outcome(), "filter-close");
}

#[test]
fn more_exchanges_than_instances_are_a_fault_of_those_beyond() {
    let origin = Origin::echo();
    let proxy = filtering(&node("upper", "deny"), &origin);
    let mut held: Vec<_> = (0..8).map(|_| proxy.client()).collect();
    for client in &mut held {
        client.send("POST /held HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\n\r\na");
    }
    origin.wait_for_connections(8);
    assert_eq!(proxy.client().post("/x", "b").status, 500);
    others_work(&proxy);
    for client in &mut held {
        client.send("a");
        assert!(client.response().body.ends_with(b"AA"));
    }
    let again = proxy.client().post("/x", "b");
    assert!(again.body.ends_with(b"B"));
}

#[test]
fn a_plan_that_cannot_be_carried_out_is_refused_when_it_is_loaded() {
    let origin = Origin::named("ok");
    let started = std::panic::catch_unwind(|| filtering(&node("too-large", "deny"), &origin));
    assert!(started.is_err());
}
