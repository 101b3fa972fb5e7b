//! `security-headers`: what browsers are told, and when.

use super::filtered;
use crate::harness::{Authority, Origin, Proxy, Response, TlsClient, config};
use crate::tls::start;

const NAMES: [&str; 10] = [
    "x-content-type-options",
    "x-frame-options",
    "referrer-policy",
    "strict-transport-security",
    "content-security-policy",
    "content-security-policy-report-only",
    "permissions-policy",
    "cross-origin-opener-policy",
    "cross-origin-embedder-policy",
    "cross-origin-resource-policy",
];

/// Exactly these of the filter's headers, each on one line.
fn assert_sent(response: &Response, expected: &[(&str, &str)]) {
    for name in NAMES {
        let wanted: Vec<&str> = expected
            .iter()
            .filter(|(known, _)| *known == name)
            .map(|(_, value)| *value)
            .collect();
        assert_eq!(response.head.all(name), wanted, "{name}");
    }
}

const PLAIN: [(&str, &str); 3] = [
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "SAMEORIGIN"),
    ("referrer-policy", "strict-origin-when-cross-origin"),
];
const HSTS: (&str, &str) = ("strict-transport-security", "max-age=31536000");

#[test]
fn with_nothing_set_there_is_a_sensible_set_and_hsts_over_https_alone() {
    let (proxy, _origin) = filtered("security-headers");
    let mut client = proxy.client();
    assert_sent(&client.get("/"), &PLAIN);
    let lied = client.ask("GET", "/", "X-Forwarded-Proto: https\r\n");
    assert_sent(&lied, &PLAIN);

    let authority = Authority::new();
    let text = r#"
        listener "web" "127.0.0.1:0" {
            tls { certificate "site.pem" }
            filters { security-headers }
            route { respond 200 body="secure" }
        }
        "#;
    let proxy = start(text, &[("site.pem", &authority.issue(&["test"]).both())]);
    let mut client = TlsClient::new(&authority, "test").connect(proxy.address("web"));
    let response = client.ask("GET", "/", "X-Forwarded-Proto: http\r\n");
    assert_sent(&response, &[&PLAIN[..], &[HSTS]].concat());
}

#[test]
fn a_trusted_peer_says_how_the_client_came() {
    let origin = Origin::echo();
    let text = config(
        r#"
        listener "web" "127.0.0.1:0" {
            trust-forwarded "127.0.0.0/8"
            route { filters { security-headers { hsts max-age="1h" include-subdomains=#true } }; cluster "c" }
        }
        cluster "c" { endpoint "ORIGIN" }
        "#,
        &[("ORIGIN", &origin)],
    );
    let proxy = Proxy::start(&text);
    let mut client = proxy.client();
    let hsts = (
        "strict-transport-security",
        "max-age=3600; includeSubDomains",
    );
    for (headers, secure) in [
        ("", false),
        ("X-Forwarded-Proto: http\r\n", false),
        ("X-Forwarded-Proto: https\r\n", true),
    ] {
        let response = client.ask("GET", "/", headers);
        let mut expected = PLAIN.to_vec();
        expected.extend(secure.then_some(hsts));
        assert_sent(&response, &expected);
    }
}

#[test]
fn what_the_origin_says_is_replaced_kept_or_left_alone() {
    let origin = Origin::saying(
        "HTTP/1.1 200 OK\r\nX-Frame-Options: DENY\r\nX-Frame-Options: DENY\r\nReferrer-Policy: unsafe-url\r\n\
         Content-Security-Policy: default-src *\r\nX-Content-Type-Options: theirs\r\nContent-Length: 2\r\n\r\nok",
    );
    let text = config(
        r#"
        listener "web" "127.0.0.1:0" {
            route {
                filters {
                    security-headers {
                        content-security-policy """
                            default-src 'self';
                            frame-ancestors 'none'
                            """
                        content-security-policy-report-only "default-src 'none'"
                        permissions-policy "camera=()"
                        cross-origin-opener-policy "same-origin"
                        cross-origin-embedder-policy "require-corp"
                        cross-origin-resource-policy "same-site"
                        if-absent "referrer-policy" "permissions-policy"
                        off "content-type-options"
                    }
                }
                cluster "c"
            }
        }
        cluster "c" { endpoint "ORIGIN" }
        "#,
        &[("ORIGIN", &origin)],
    );
    let proxy = Proxy::start(&text);
    let response = proxy.client().get("/");
    assert_eq!(response.text(), "ok");
    assert_sent(
        &response,
        &[
            ("x-content-type-options", "theirs"),
            ("x-frame-options", "SAMEORIGIN"),
            ("referrer-policy", "unsafe-url"),
            (
                "content-security-policy",
                "default-src 'self'; frame-ancestors 'none'",
            ),
            ("content-security-policy-report-only", "default-src 'none'"),
            ("permissions-policy", "camera=()"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-embedder-policy", "require-corp"),
            ("cross-origin-resource-policy", "same-site"),
        ],
    );
}

#[test]
fn answers_of_the_proxy_and_of_filters_behind_carry_them_too() {
    let proxy = Proxy::start(
        r#"
        listener "web" "127.0.0.1:0" {
            filters { security-headers; acl { rule "deny" { path "/no" } } }
            route path="/moved" { redirect "/there" }
            route path="/no" { respond 200 }
            route { cluster "c" }
        }
        cluster "c" { endpoint "127.0.0.1:9" weight=0 }
        "#,
    );
    let mut client = proxy.client();
    for (path, status) in [("/moved", 302), ("/no", 403), ("/x", 503)] {
        let response = client.get(path);
        assert_eq!(response.status, status, "{path}");
        assert_sent(&response, &PLAIN);
    }
}
