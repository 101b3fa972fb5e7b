//! `cors`: what browsers are told of other origins, and what never reaches the origin server.

use super::{filtered, filtered_http2};
use crate::harness::h2::h2_request_with;
use crate::harness::{Client, Origin, Proxy, Response, config};

/// A proxy with this filter before an origin server that has a policy of its own.
fn before_a_policy(filter: &str) -> (Proxy, Origin) {
    let origin = Origin::saying(
        "HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nAccess-Control-Allow-Origin: https://inner.test\r\n\
         Access-Control-Allow-Credentials: true\r\nAccess-Control-Expose-Headers: x-inner\r\nAccess-Control-Max-Age: 9\r\n\
         Vary: Accept\r\nContent-Length: 2\r\n\r\nok",
    );
    let text = config(
        "listener \"web\" \"127.0.0.1:0\" {\n    route { filters { FILTER }; cluster \"c\" }\n}\ncluster \"c\" { endpoint \"ORIGIN\" }\n",
        &[("ORIGIN", &origin), ("FILTER", &filter)],
    );
    (Proxy::start(&text), origin)
}

/// Every `access-control-…` line as `name: value` without that beginning, sorted.
fn permissions(response: &Response) -> Vec<String> {
    let lines = response.head.raw.lines().filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        let name = name.to_ascii_lowercase();
        let rest = name.strip_prefix("access-control-")?;
        Some(format!("{rest}: {}", value.trim()))
    });
    let mut lines: Vec<_> = lines.collect();
    lines.sort();
    lines
}

fn ask(client: &mut Client, origin: &str) -> Response {
    let headers = match origin {
        "" => String::new(),
        origin => format!("Origin: {origin}\r\n"),
    };
    client.ask("GET", "/", &headers)
}

#[test]
fn one_policy_is_told_to_those_who_may_ask_and_vary_to_all() {
    let exact = r#"cors {
        origin "https://a.test" "http://localhost:3000"
        expose "x-total" "x-next"; credentials #true
    }"#;
    let pattern = exact.replace(
        "\"https://a.test\"",
        "\"https://a.test\" \"https://*.b.test\"",
    );
    for (filter, has_pattern) in [(exact, false), (&pattern, true)] {
        let (proxy, _origin) = before_a_policy(filter);
        let mut client = proxy.client();
        for (origin, allowed) in [
            ("https://a.test", true),
            ("http://localhost:3000", true),
            ("https://x.b.test", has_pattern),
            ("https://x.y.b.test", has_pattern),
            ("https://b.test", false),
            ("https://evil.test/.b.test", false),
            ("https://evil.test:1.b.test", false),
            ("https://a.test.evil.test", false),
            ("https://a.test:444", false),
            ("HTTPS://A.TEST", false),
            ("http://a.test", false),
            ("null", false),
            ("*", false),
            ("", false),
        ] {
            let response = ask(&mut client, origin);
            assert_eq!((response.status, response.text().as_str()), (200, "ok"));
            assert_eq!(response.head.all("vary"), ["Accept", "Origin"], "{origin}");
            let expected = match allowed {
                true => vec![
                    "allow-credentials: true".to_owned(),
                    format!("allow-origin: {origin}"),
                    "expose-headers: x-total, x-next".to_owned(),
                ],
                false => Vec::new(),
            };
            assert_eq!(permissions(&response), expected, "{filter} {origin}");
        }
    }
}

#[test]
fn a_star_is_for_everybody_and_varies_by_nothing() {
    let (proxy, _origin) = before_a_policy(r#"cors { origin "*"; expose "*" }"#);
    for origin in ["", "https://a.test", "null"] {
        let response = ask(&mut proxy.client(), origin);
        assert_eq!(
            permissions(&response),
            ["allow-origin: *", "expose-headers: *"]
        );
        assert_eq!(response.head.all("vary"), ["Accept"]);
    }
}

#[test]
fn preflights_are_answered_by_the_filter() {
    let (proxy, origin) = before_a_policy(
        r#"cors {
            origin "https://a.test" "https://*.b.test"
            method "PUT" "DELETE"; header "content-type" "x-key"; max-age "2h"; private-network #true
        }"#,
    );
    let mut client = proxy.client();
    let vary = "Origin, Access-Control-Request-Private-Network";
    let permitted = |origin: &str, extra: &[&str]| {
        let mut lines = vec![
            "allow-headers: content-type, x-key".to_owned(),
            "allow-methods: PUT, DELETE".to_owned(),
            format!("allow-origin: {origin}"),
            "max-age: 7200".to_owned(),
        ];
        lines.extend(extra.iter().map(|line| (*line).to_owned()));
        lines.sort();
        lines
    };
    let network = "Access-Control-Request-Private-Network: true\r\n";
    for (asking, extra, expected) in [
        ("https://a.test", "", permitted("https://a.test", &[])),
        ("https://x.b.test", "", permitted("https://x.b.test", &[])),
        (
            "https://a.test",
            network,
            permitted("https://a.test", &["allow-private-network: true"]),
        ),
        ("https://evil.test", network, vec![]),
        ("null", "", vec![]),
        ("https://a.test, https://evil.test", "", vec![]),
    ] {
        let headers = format!("Origin: {asking}\r\nAccess-Control-Request-Method: PUT\r\n{extra}");
        let response = client.ask("OPTIONS", "/x", &headers);
        assert_eq!((response.status, response.body.len()), (204, 0), "{asking}");
        assert_eq!(permissions(&response), expected, "{asking}");
        assert_eq!(response.head.all("vary"), [vary], "{asking}");
    }
    assert!(
        origin.requests().is_empty(),
        "no preflight reaches the origin server"
    );
    let line = proxy.line_of("/x");
    assert_eq!(
        (line.status(), line.outcome(), line.text("filters")),
        (204, "filter-reply", "cors")
    );
    for headers in [
        "Origin: https://a.test\r\n",
        "Access-Control-Request-Method: PUT\r\n",
        "",
    ] {
        assert_eq!(
            client.ask("OPTIONS", "/y", headers).status,
            200,
            "{headers}"
        );
    }
    assert_eq!(origin.requests().len(), 3, "other OPTIONS requests pass");
}

#[test]
fn with_credentials_a_star_repeats_what_is_asked_for_when_it_is_sound() {
    let (proxy, _origin) = before_a_policy(
        r#"cors { origin "https://a.test"; method "*"; header "*"; credentials #true }"#,
    );
    let mut client = proxy.client();
    for (method, asked, expected) in [
        (
            "PATCH",
            "x-a,X-B",
            vec!["allow-headers: x-a, X-B", "allow-methods: PATCH"],
        ),
        ("PATCH", "x a", vec!["allow-methods: PATCH"]),
        ("P@TCH", "x-a, <b>", vec![]),
        ("P@TCH", ",", vec![]),
    ] {
        let headers = format!(
            "Origin: https://a.test\r\nAccess-Control-Request-Method: {method}\r\nAccess-Control-Request-Headers: {asked}\r\n"
        );
        let response = client.ask("OPTIONS", "/", &headers);
        let mut wanted = vec!["allow-credentials: true", "allow-origin: https://a.test"];
        wanted.extend(expected);
        wanted.sort_unstable();
        assert_eq!(permissions(&response), wanted, "{method} {asked}");
        assert_eq!(
            response.head.all("vary"),
            ["Origin, Access-Control-Request-Method, Access-Control-Request-Headers"]
        );
    }
}

#[test]
fn other_origins_can_be_denied_and_the_site_itself_never_is() {
    for origins in [
        r#""https://a.test""#,
        r#""https://a.test" "https://*.b.test""#,
    ] {
        let (proxy, origin) = before_a_policy(&format!(
            r#"cors {{ origin {origins}; disallowed "deny" }}"#
        ));
        let mut client = proxy.client();
        for (headers, status) in [
            ("", 200),
            ("Origin: https://a.test\r\n", 200),
            ("Origin: https://evil.test\r\n", 403),
            ("Origin: null\r\n", 403),
            ("Origin:\r\n", 403),
            ("Host: site.test:81\r\nOrigin: http://site.test:81\r\n", 200),
            ("Host: site.test:81\r\nOrigin: http://site.test\r\n", 403),
            ("Host: Site.test\r\nOrigin: https://site.test\r\n", 200),
            (
                "Host: site.test\r\nX-Forwarded-Host: evil.test\r\nOrigin: https://evil.test\r\n",
                403,
            ),
        ] {
            let response = client.ask("GET", "/", headers);
            assert_eq!(response.status, status, "{headers:?}");
            let vary = response.head.all("vary");
            assert_eq!(vary.last(), Some(&"Origin"), "{headers:?}");
            if status == 403 {
                assert!(permissions(&response).is_empty(), "{headers:?}");
            }
        }
        let passed = origin.requests().len();
        let preflight = "Origin: https://evil.test\r\nAccess-Control-Request-Method: PUT\r\n";
        assert_eq!(client.ask("OPTIONS", "/", preflight).status, 403);
        assert_eq!((passed, origin.requests().len()), (4, 4));
    }
}

#[test]
fn what_a_filter_behind_does_to_the_origin_header_changes_nothing() {
    let (proxy, _origin) = filtered(
        r#"
        cors { origin "https://*.b.test" "https://a.test" }
        headers { request { remove "origin" } }
        acl { rule "deny" { path "/no" } }
        "#,
    );
    let mut client = proxy.client();
    for (path, status) in [("/", 200), ("/no", 403)] {
        let response = client.ask("GET", path, "Origin: https://x.b.test\r\n");
        assert_eq!(response.status, status);
        assert_eq!(
            permissions(&response),
            ["allow-origin: https://x.b.test"],
            "{path}"
        );
    }
    let response = client.ask("GET", "/", "Origin: https://a.test\r\n");
    assert_eq!(response.echoed().header("origin"), None);
    assert_eq!(permissions(&response), ["allow-origin: https://a.test"]);
}

#[test]
fn over_http2_the_same_holds() {
    let (_proxy, origin, client) =
        filtered_http2(r#"cors { origin "https://*.b.test"; disallowed "deny" }"#);
    let asked = ("access-control-request-method", "GET");
    for (method, headers, status, allowed) in [
        ("GET", &[("origin", "https://x.b.test")][..], 200, true),
        ("GET", &[("origin", "https://test")], 200, false),
        ("GET", &[("origin", "https://evil.test")], 403, false),
        (
            "OPTIONS",
            &[("origin", "https://x.b.test"), asked],
            204,
            true,
        ),
        (
            "OPTIONS",
            &[("origin", "https://evil.test"), asked],
            403,
            false,
        ),
    ] {
        let response = client.ask(h2_request_with(method, "/", headers));
        let found = response.headers.get("access-control-allow-origin");
        assert_eq!(
            (
                response.status,
                found.is_some_and(|value| value == "https://x.b.test")
            ),
            (status, allowed),
            "{method} {headers:?}"
        );
        assert_eq!(
            response.headers.get("vary").map(|value| value.as_bytes()),
            Some(&b"Origin"[..])
        );
    }
    assert_eq!(origin.requests().len(), 2);
}
