//! Headers that concern one hop stay there, and a peer cannot use them against what the proxy adds.

use crate::harness::{Origin, Proxy, config};

#[test]
fn hop_by_hop_and_nominated_request_headers_are_not_forwarded() {
    let origin = Origin::echo();
    let proxy = Proxy::before(&origin);
    let headers = "Connection: keep-alive, X-Private\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\n\
                   Proxy-Authorization: Basic abc\r\nTE: gzip\r\nX-Private: 1\r\nX-Public: 2\r\n";
    let request = proxy.client().ask("GET", "/", headers).echoed();
    for name in [
        "connection",
        "keep-alive",
        "proxy-connection",
        "proxy-authorization",
        "te",
        "x-private",
    ] {
        assert_eq!(request.header(name), None, "{}", request.raw);
    }
    assert_eq!(request.header("x-public"), Some("2"));
}

#[test]
fn te_trailers_is_kept_and_other_codings_are_not() {
    let origin = Origin::echo();
    let proxy = Proxy::before(&origin);
    let request = proxy
        .client()
        .ask(
            "GET",
            "/",
            "TE: gzip, trailers;q=0.5, trailers\r\nConnection: TE\r\n",
        )
        .echoed();
    assert_eq!(
        (request.header("te"), request.header("connection")),
        (Some("trailers"), Some("TE"))
    );
}

#[test]
fn a_nomination_removes_neither_what_a_filter_adds_nor_what_routes_a_message() {
    let origin = Origin::echo();
    let text = r#"
        listener "web" "127.0.0.1:0" {
            route {
                filters {
                    headers {
                        request {
                            set "x-seen" "{header:x-user}"
                            set "x-user" "set by the proxy"
                        }
                    }
                }
                cluster "origin"
            }
        }
        cluster "origin" { endpoint "ORIGIN" }"#;
    let proxy = Proxy::start(&config(text, &[("ORIGIN", &origin)]));
    let nominated = "Connection: x-user, host, x-forwarded-for, authorization, cookie\r\nX-User: forged\r\nAuthorization: a\r\nCookie: b=c\r\n";
    let request = proxy.client().ask("GET", "/", nominated).echoed();
    assert_eq!(request.header("x-user"), Some("set by the proxy"));
    assert_eq!(
        request.header("x-seen").unwrap_or_default(),
        "",
        "the filter saw a header that was nominated for removal"
    );
    assert_eq!(request.header("host"), Some("test"));
    assert_eq!(request.header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(
        (request.header("authorization"), request.header("cookie")),
        (Some("a"), Some("b=c"))
    );
}

#[test]
fn hop_by_hop_and_nominated_response_headers_are_not_passed_on() {
    let origin = Origin::saying(
        "HTTP/1.1 200 OK\r\nConnection: x-internal, keep-alive\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\n\
         Proxy-Authenticate: Basic\r\nX-Internal: 1\r\nUpgrade: h2\r\nX-Public: 2\r\nContent-Length: 2\r\n\r\nok",
    );
    let proxy = Proxy::before(&origin);
    let response = proxy.client().get("/");
    for name in [
        "connection",
        "keep-alive",
        "proxy-connection",
        "proxy-authenticate",
        "x-internal",
        "upgrade",
    ] {
        assert_eq!(response.header(name), None, "{}", response.head.raw);
    }
    assert_eq!(
        (response.header("x-public"), response.text().as_str()),
        (Some("2"), "ok")
    );
}

#[test]
fn many_nominations_are_refused() {
    let origin = Origin::echo();
    let proxy = Proxy::before(&origin);
    let list = (0..20)
        .map(|index| format!("x-{index}"))
        .collect::<Vec<_>>()
        .join(", ");
    assert_eq!(
        proxy
            .client()
            .ask("GET", "/", &format!("Connection: {list}\r\n"))
            .status,
        400
    );
    assert_eq!(proxy.access_line(|_| true).outcome(), "bad-request");
    assert_eq!(origin.connections(), 0);
}

#[test]
fn other_headers_pass_in_order_and_to_the_byte() {
    let origin = Origin::echo();
    let proxy = Proxy::before(&origin);
    let headers = "X-Odd:   spaced value \r\nx-LOWER: \u{e4}\r\nX-Twice: 1\r\nX-Between: -\r\nX-Twice: 2\r\nX-Empty:\r\n";
    let request = proxy.client().ask("GET", "/", headers).echoed();
    let passed: Vec<_> = request
        .headers
        .iter()
        .filter(|(name, _)| {
            name.to_ascii_lowercase().starts_with("x-")
                && !name.to_ascii_lowercase().starts_with("x-forwarded")
        })
        .collect();
    let expected = [
        ("X-Odd", "spaced value"),
        ("x-LOWER", "\u{e4}"),
        ("X-Twice", "1"),
        ("X-Between", "-"),
        ("X-Twice", "2"),
        ("X-Empty", ""),
    ];
    let passed: Vec<_> = passed
        .into_iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(passed, expected);
}
