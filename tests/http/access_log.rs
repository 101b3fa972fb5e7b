//! The line that an exchange leaves, in both formats.

use crate::harness::{Origin, Proxy, config};
use rustix::process::Signal;

const FILTERED: &str = r#"
listener "web" "127.0.0.1:0" {
    filters { request-id }
    route "guarded" path="/guarded/*" {
        filters {
            acl { rule "deny" { path "/guarded/no" } }
            rewrite { strip-prefix "/guarded" }
        }
        cluster "origin"
    }
    route "fixed" { respond 200 body="fixed" }
}
cluster "origin" { endpoint "ORIGIN" }
"#;

#[test]
fn a_line_says_where_a_request_went_how_long_it_took_and_how_it_ended() {
    let origin = Origin::named("ok");
    let proxy = Proxy::start(&config(FILTERED, &[("ORIGIN", &origin)]));
    let mut client = proxy.client();
    client.post("/guarded/x", "body");
    let line = proxy.access_line(|line| line.text("method") == "POST");
    for (name, value) in [
        ("kind", "http"),
        ("client", "127.0.0.1"),
        ("listener", "web"),
        ("route", "guarded"),
        ("cluster", "origin"),
        ("endpoint", origin.to_string().as_str()),
        ("host", "test"),
        ("target", "/x"),
        ("outcome", "ok"),
        ("filters", "request-id,rewrite"),
    ] {
        assert_eq!(line.text(name), value, "{name}");
    }
    assert_eq!(
        (
            line.status(),
            line.number("attempts"),
            line.number("generation")
        ),
        (200, 1, 1)
    );
    assert!(line.number("downstream_bytes") > 4 && line.number("upstream_bytes") > 2);
    let timers = [
        "request_head_us",
        "connect_us",
        "response_head_us",
        "data_us",
    ]
    .map(|name| line.number(name));
    assert!(timers.iter().all(|&timer| timer >= 0), "{timers:?}");
    assert!(
        timers.iter().sum::<i64>() <= line.number("active_us"),
        "{timers:?} of {}",
        line.number("active_us")
    );
}

#[test]
fn a_line_names_the_filter_that_answered_and_no_stage_that_was_not_reached() {
    let origin = Origin::named("never");
    let proxy = Proxy::start(&config(FILTERED, &[("ORIGIN", &origin)]));
    let mut client = proxy.client();
    assert_eq!(client.get("/guarded/no").status, 403);
    let line = proxy.line_of("/guarded/no");
    assert_eq!(
        (
            line.outcome(),
            line.text("filters"),
            line.text("cluster"),
            line.text("endpoint")
        ),
        ("filter-reply", "request-id,acl", "", "")
    );
    for timer in ["connect_us", "response_head_us", "data_us"] {
        assert_eq!(line.number(timer), -1, "{timer}");
    }
    assert_eq!(line.number("attempts"), 0);
    client.get("/other");
    let line = proxy.line_of("/other");
    assert_eq!(
        (line.outcome(), line.text("route"), line.text("filters")),
        ("route-reply", "fixed", "request-id")
    );
    assert_eq!(origin.connections(), 0);
}

#[test]
fn the_text_form_has_the_same_fields() {
    let proxy = Proxy::start(
        r#"
process {
    workers 1
    log level="info" format="text"
}
listener "web" "127.0.0.1:0" { route "fixed" { respond 200 body="fixed" } }
"#,
    );
    proxy.client().get("/page?x=y");
    let line = proxy.access_text(|line| line.contains("/page"));
    for field in [
        "client=127.0.0.1",
        "listener=\"web\"",
        "route=\"fixed\"",
        "method=\"GET\"",
        "target=\"/page?x=y\"",
        "status=200",
        "outcome=\"route-reply\"",
        "connect_us=-1",
        "active_us=",
    ] {
        assert!(line.contains(field), "no {field} in {line}");
    }
}

#[test]
fn what_a_downstream_sends_cannot_forge_a_line() {
    let proxy = Proxy::start(
        r#"
process {
    workers 1
    log level="info" format="text"
}
listener "web" "127.0.0.1:0" { route "fixed" { respond 200 } }
"#,
    );
    proxy.client().get("/%0a\"outcome=\"ok\"");
    let line = proxy.access_text(|line| line.contains("outcome"));
    assert!(line.contains(r#"target="/%0A\"outcome=\"ok\"""#), "{line}");
    assert_eq!(proxy.access_lines().len(), 1);
}

#[test]
fn a_quiet_level_writes_no_access_lines() {
    let text = r#"
process {
    workers 1
    log level="LEVEL" format="json"
}
listener "web" "127.0.0.1:0" { route "fixed" { respond STATUS } }
"#;
    let mut proxy = Proxy::start(&config(text, &[("LEVEL", &"info"), ("STATUS", &200)]));
    let mut client = proxy.client();
    assert_eq!(client.get("/heard").status, 200);
    proxy.line_of("/heard");
    proxy.replace_file(
        "config.kdl",
        config(text, &[("LEVEL", &"warn"), ("STATUS", &404)]).as_bytes(),
    );
    // At that level nothing says that it is in force but what it changes.
    while client.ask("GET", "/", "").status == 200 {}
    assert_eq!(client.get("/unheard").status, 404);
    proxy.signal(Signal::TERM);
    proxy.wait();
    assert!(
        !proxy
            .access_lines()
            .iter()
            .any(|line| line.contains("/unheard"))
    );
    assert!(
        !proxy.log_lines().iter().any(|line| line.contains("/heard")),
        "an access line in the log"
    );
}
