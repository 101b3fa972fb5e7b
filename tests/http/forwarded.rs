//! Who the client is: forwarding headers from peers that are trusted and from others, and the host.

use crate::harness::{Head, Origin, Proxy, config};

const CLAIMS: &str = "X-Forwarded-For: 198.51.100.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.example\r\n\
                      X-Forwarded-Prefix: /x\r\nForwarded: for=198.51.100.7;proto=https\r\n";

const TRUSTING: &str = r#"
    listener "web" "127.0.0.1:0" {
        trust-forwarded from="127.0.0.0/8"
        route {
            filters { acl { rule "deny" { source "203.0.113.0/24" } } }
            cluster "origin"
        }
    }
    cluster "origin" { endpoint "ORIGIN" }"#;

fn forwarding(request: &Head) -> [Option<&str>; 5] {
    [
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-host",
        "x-forwarded-prefix",
        "forwarded",
    ]
    .map(|name| request.header(name))
}

#[test]
fn a_peer_that_is_not_trusted_is_replaced_in_every_forwarding_header() {
    let origin = Origin::echo();
    let proxy = Proxy::before(&origin);
    let request = proxy.client().ask("GET", "/", CLAIMS).echoed();
    let expected = [
        Some("127.0.0.1"),
        Some("http"),
        Some("test"),
        None,
        Some("for=127.0.0.1;proto=http"),
    ];
    assert_eq!(forwarding(&request), expected);
    assert_eq!(proxy.line_of("/").text("client"), "127.0.0.1");
}

#[test]
fn a_trusted_peer_is_believed_and_added_to() {
    let origin = Origin::echo();
    let proxy = Proxy::start(&config(TRUSTING, &[("ORIGIN", &origin)]));
    let request = proxy.client().ask("GET", "/", CLAIMS).echoed();
    let expected = [
        Some("198.51.100.7, 127.0.0.1"),
        Some("https"),
        Some("shop.example"),
        Some("/x"),
        Some("for=198.51.100.7;proto=https, for=127.0.0.1;proto=http"),
    ];
    assert_eq!(forwarding(&request), expected);
    assert_eq!(proxy.line_of("/").text("client"), "198.51.100.7");
}

#[test]
fn filters_judge_the_client_that_a_trusted_peer_names() {
    let origin = Origin::named("ok");
    let proxy = Proxy::start(&config(TRUSTING, &[("ORIGIN", &origin)]));
    let mut client = proxy.client();
    for (path, chain, status) in [
        ("/denied", "203.0.113.9", 403),
        ("/passed", "203.0.113.9, 198.51.100.7", 200),
        ("/trusted-last", "203.0.113.9, 127.0.0.2", 403),
    ] {
        assert_eq!(
            client
                .ask("GET", path, &format!("X-Forwarded-For: {chain}\r\n"))
                .status,
            status,
            "{chain}"
        );
    }
    assert_eq!(proxy.line_of("/denied").outcome(), "filter-reply");
}

#[test]
fn without_claims_the_headers_name_the_peer_and_forwarded_is_not_made_up() {
    let origin = Origin::echo();
    let proxy = Proxy::start(&config(TRUSTING, &[("ORIGIN", &origin)]));
    let request = proxy
        .client()
        .ask("GET", "/", "Host: Shop.Example:8080\r\n")
        .echoed();
    assert_eq!(
        forwarding(&request),
        [
            Some("127.0.0.1"),
            Some("http"),
            Some("Shop.Example:8080"),
            None,
            None
        ]
    );
    assert_eq!(request.header("host"), Some("Shop.Example:8080"));
    assert_eq!(proxy.line_of("/").text("host"), "shop.example");
}

#[test]
fn several_lines_of_a_chain_are_one_chain() {
    let origin = Origin::echo();
    let proxy = Proxy::start(&config(TRUSTING, &[("ORIGIN", &origin)]));
    let lines = "X-Forwarded-For: 203.0.113.9\r\nX-Other: 1\r\nX-Forwarded-For: 198.51.100.7\r\n";
    let request = proxy.client().ask("GET", "/", lines).echoed();
    assert_eq!(
        request.header("x-forwarded-for"),
        Some("203.0.113.9, 198.51.100.7, 127.0.0.1")
    );
    assert_eq!(proxy.line_of("/").text("client"), "198.51.100.7");
}
