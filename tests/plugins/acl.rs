//! `acl`: the first rule that matches decides.

use super::filtered;
use crate::harness::Proxy;

/// The status of each request, sent on a connection of its own; 0 when the connection is closed without an answer.
fn statuses(proxy: &Proxy, requests: &[(&str, &str, &str, i64)]) {
    for (number, (method, path, headers, expected)) in requests.iter().enumerate() {
        let mut client = proxy.client();
        let separator = if path.contains('?') { '&' } else { '?' };
        let target = format!("{path}{separator}n={number}");
        client.send(format!(
            "{method} {target} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n"
        ));
        let answer = String::from_utf8(client.rest()).expect("text");
        let status = answer
            .split(' ')
            .nth(1)
            .map_or(0, |status| status.parse().expect("a status"));
        assert_eq!(status, *expected, "{method} {path} {headers:?}");
        let line = proxy.line_of(&target);
        let (outcome, acted) = match expected {
            200 => ("ok", ""),
            0 => ("filter-close", "acl"),
            _ => ("filter-reply", "acl"),
        };
        assert_eq!(
            (line.status(), line.outcome(), line.text("filters")),
            (*expected, outcome, acted),
            "{method} {path} {headers:?}"
        );
    }
}

const HOST: &str = "Host: shop.example.com\r\n";

#[test]
fn rules_are_tried_in_order_and_each_action_does_what_it_says() {
    let (proxy, origin) = filtered(
        r#"acl {
            rule "allow" { path "/admin/health" }
            rule "deny" status=404 body="not here" { path "/admin/*"; not { source "10.0.0.0/8" } }
            rule "close" { method "TRACE" "PURGE" }
            rule "deny" { path "/denied" }
        }"#,
    );
    statuses(
        &proxy,
        &[
            ("GET", "/admin/health", HOST, 200),
            ("GET", "/admin/healthy", HOST, 404),
            ("GET", "/admin/", HOST, 404),
            ("GET", "/administration", HOST, 200),
            ("PURGE", "/x", HOST, 0),
            ("POST", "/x", HOST, 200),
            ("GET", "/denied", HOST, 403),
            ("GET", "/", HOST, 200),
        ],
    );
    let response = proxy.client().get("/admin/secret");
    assert_eq!(
        (response.status, response.text().as_str()),
        (404, "not here")
    );
    assert!(
        response
            .header("content-type")
            .is_some_and(|kind| kind.starts_with("text/plain"))
    );
    assert_eq!(
        proxy.client().get("/x/../admin/secret").status,
        404,
        "the path that decides is the normalised one"
    );
    assert_eq!(
        origin.requests().len(),
        4,
        "what is denied does not reach the origin"
    );
}

#[test]
fn every_matcher_matches_what_it_names() {
    let (proxy, _origin) = filtered(
        r##"acl {
            rule "deny" status=401 { path-regex #"^/v[0-9]+/secret$"# }
            rule "deny" status=402 { host "*.example.org" "exact.example.net" }
            rule "deny" status=405 { header "x-kind" "bad"; header "x-kind" "worse" }
            rule "deny" status=406 { header "x-any" }
            rule "deny" status=409 { query "debug" "1" }
            rule "deny" status=410 { any { header "x-one" "1"; query "two" } }
            rule "deny" status=411 { method "DELETE"; path "/only/*" }
        }"##,
    );
    statuses(
        &proxy,
        &[
            ("GET", "/v12/secret", HOST, 401),
            ("GET", "/v/secret", HOST, 200),
            ("GET", "/", "Host: a.example.org\r\n", 402),
            ("GET", "/", "Host: A.Example.ORG:80\r\n", 402),
            ("GET", "/", "Host: example.org\r\n", 200),
            ("GET", "/", "Host: exact.example.net\r\n", 402),
            ("GET", "/", "Host: a\r\nX-Kind: worse\r\n", 405),
            (
                "GET",
                "/",
                "Host: a\r\nX-Kind: fine\r\nX-Kind: bad\r\n",
                405,
            ),
            ("GET", "/", "Host: a\r\nX-Kind: badly\r\n", 200),
            ("GET", "/", "Host: a\r\nX-Any: \r\n", 406),
            ("GET", "/?debug=1", HOST, 409),
            ("GET", "/?de%62ug=%31", HOST, 409),
            ("GET", "/?debug=0", HOST, 200),
            ("GET", "/", "Host: a\r\nX-One: 1\r\n", 410),
            ("GET", "/?two", HOST, 410),
            ("DELETE", "/only/x", HOST, 411),
            ("DELETE", "/other", HOST, 200),
            ("GET", "/only/x", HOST, 200),
        ],
    );
}

#[test]
fn sources_are_the_clients_addresses_and_what_is_missing_never_matches() {
    let denying = |rule: &str| filtered(&format!("acl {{ {rule} }}"));
    let table = [
        (r#"rule "deny" { source "127.0.0.0/8" }"#, "", 403),
        (r#"rule "deny" { source "10.0.0.0/8" "::1" }"#, "", 200),
        (r#"rule "deny" { not { source "127.0.0.1" } }"#, "", 200),
        (
            r#"rule "deny" { not { header "x-token" "secret" } }"#,
            "",
            403,
        ),
        (
            r#"rule "deny" { not { header "x-token" "secret" } }"#,
            "X-Token: secret\r\n",
            200,
        ),
        (
            r#"rule "allow" { not { header "x-token" "bad" } }; rule "deny""#,
            "",
            403,
        ),
        (
            r#"rule "allow" { not { header "x-token" "bad" } }; rule "deny""#,
            "X-Token: good\r\n",
            200,
        ),
    ];
    for (rule, headers, expected) in table {
        let (proxy, _origin) = denying(rule);
        statuses(
            &proxy,
            &[("GET", "/", &format!("{HOST}{headers}"), expected)],
        );
    }
}
