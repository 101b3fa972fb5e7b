//! How filters follow each other: strictly in order, responses in reverse, and only through those that the request has passed.

use super::{filtered, folder, guests};
use crate::harness::{Origin, Proxy, config};

#[test]
fn requests_pass_in_order_and_responses_in_reverse_listener_filters_outermost() {
    let origin = Origin::echo();
    let text = config(
        r#"
        listener "web" "127.0.0.1:0" {
            filters {
                headers { request { append "x-order" "listener 1" }; response { append "x-order" "listener 1" } }
                headers { request { append "x-order" "listener 2" }; response { append "x-order" "listener 2" } }
            }
            route path="/plain" { cluster "c" }
            route {
                filters {
                    headers { request { append "x-order" "route 1" }; response { append "x-order" "route 1" } }
                    headers { request { append "x-order" "route 2" }; response { append "x-order" "route 2" } }
                }
                cluster "c"
            }
        }
        cluster "c" { endpoint "ORIGIN" }
        "#,
        &[("ORIGIN", &origin)],
    );
    let proxy = Proxy::start(&text);
    let mut client = proxy.client();
    for (path, order) in [
        ("/plain", vec!["listener 1", "listener 2"]),
        ("/x", vec!["listener 1", "listener 2", "route 1", "route 2"]),
    ] {
        let response = client.get(path);
        assert_eq!(response.echoed().all("x-order"), order, "{path}");
        let reversed: Vec<_> = order.into_iter().rev().collect();
        assert_eq!(response.head.all("x-order"), reversed, "{path}");
    }
}

#[test]
fn a_reply_passes_back_through_the_filters_before_it_and_no_others() {
    let (proxy, origin) = filtered(
        r#"
        headers { response { set "x-first" "1" } }
        headers { response { set "x-second" "1" } }
        acl { rule "deny" status=418 { path "/no" } }
        headers { response { set "x-behind" "1" } }
        "#,
    );
    let mut client = proxy.client();
    let response = client.get("/no");
    assert_eq!(response.status, 418);
    assert_eq!(
        (
            response.header("x-first"),
            response.header("x-second"),
            response.header("x-behind")
        ),
        (Some("1"), Some("1"), None)
    );
    assert!(origin.requests().is_empty());
    let response = client.get("/yes");
    assert_eq!(
        (
            response.status,
            response.header("x-first"),
            response.header("x-behind")
        ),
        (200, Some("1"), Some("1"))
    );
}

#[test]
fn a_filter_sees_what_those_before_it_did_and_the_route_stays_chosen() {
    let (proxy, _origin) = filtered(
        r#"
        rewrite { prefix "/public" "/internal" }
        headers { request { set "x-role" "guest"; remove "x-debug" } }
        acl {
            rule "deny" status=401 { path "/public/*" }
            rule "deny" status=402 { header "x-debug" }
            rule "allow" { path "/internal/*"; header "x-role" "guest" }
            rule "deny" status=403
        }
        "#,
    );
    let mut client = proxy.client();
    let response = client.ask("GET", "/public/x", "X-Role: admin\r\nX-Debug: 1\r\n");
    assert_eq!(response.echoed().target(), "/internal/x");
    assert_eq!(client.get("/other").status, 403);
}

#[test]
fn a_fault_denies_or_is_skipped_as_the_filter_says() {
    let origin = Origin::echo();
    let text = config(
        r#"
        plugin "hostile" "hostile.wasm"
        listener "web" "127.0.0.1:0" {
            filters { headers { response { set "x-before" "1" } } }
            route path="/deny" { filters { hostile { mode "trap" }; request-id }; cluster "c" }
            route path="/skip" { filters { hostile on-fault="skip" { mode "trap" }; request-id }; cluster "c" }
            route path="/response/deny" { filters { hostile on-fault="deny" { mode "trap-response" } }; cluster "c" }
            route path="/response/skip" { filters { hostile on-fault="skip" { mode "trap-response" } }; cluster "c" }
        }
        cluster "c" { endpoint "ORIGIN" }
        "#,
        &[("ORIGIN", &origin)],
    );
    let proxy = Proxy::start_in(folder(&[("hostile.wasm", &guests::hostile())]), &text)
        .expect("it is valid");
    let mut client = proxy.client();

    let denied = client.get("/deny");
    assert_eq!(
        (denied.status, denied.text().as_str()),
        (500, "internal error\n"),
        "nothing of the fault is said to the client"
    );
    assert_eq!(denied.header("x-before"), Some("1"));
    let line = proxy.line_of("/deny");
    assert_eq!(
        (line.outcome(), line.text("filters"), line.text("endpoint")),
        ("filter-fault", "headers,hostile:fault", "")
    );

    let skipped = client.get("/skip");
    assert!(
        skipped.echoed().header("x-request-id").is_some(),
        "the filter behind it runs"
    );
    let line = proxy.line_of("/skip");
    assert_eq!(
        (line.status(), line.outcome(), line.text("filters")),
        (200, "ok", "headers,hostile:fault,request-id")
    );

    let denied = client.get("/response/deny");
    assert_eq!(
        (
            denied.status,
            denied.text().as_str(),
            denied.header("x-before")
        ),
        (500, "internal error\n", Some("1"))
    );
    let line = proxy.line_of("/response/deny");
    assert_eq!(
        (line.outcome(), line.text("filters"), line.text("endpoint")),
        (
            "filter-fault",
            "headers,hostile:fault",
            &*origin.to_string()
        )
    );

    let skipped = client.get("/response/skip");
    assert_eq!(skipped.echoed().target(), "/response/skip");
    let line = proxy.line_of("/response/skip");
    assert_eq!(
        (line.outcome(), line.text("filters")),
        ("ok", "headers,hostile:fault")
    );

    proxy.log_line("\"plugin\":\"hostile\",\"kind\":\"trap\",\"phase\":\"request\"");
    proxy.log_line("\"plugin\":\"hostile\",\"kind\":\"trap\",\"phase\":\"response\"");
}
