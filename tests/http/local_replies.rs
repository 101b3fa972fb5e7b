//! What the proxy answers by itself is short and says nothing about the inside.

use crate::harness::{Origin, Proxy, Response, closed_port, config};

/// A local reply has these headers and no other.
fn assert_discreet(response: &Response, status: u16, text: &str) {
    assert_eq!((response.status, response.text().as_str()), (status, text));
    for (name, _) in &response.head.headers {
        let name = name.to_ascii_lowercase();
        let is_known = [
            "content-type",
            "content-length",
            "date",
            "connection",
            "allow",
        ]
        .contains(&name.as_str());
        assert!(is_known, "{}", response.head.raw);
    }
    let date = response.header("date").expect("a date");
    assert!(date.ends_with(" GMT") && date.len() == 29, "{date}");
    let raw = response.head.raw.to_ascii_lowercase();
    assert!(
        !raw.contains("tollgate") && !raw.contains("127.0.0.1"),
        "{raw}"
    );
}

#[test]
fn every_error_is_a_short_text_with_a_date() {
    let (_held, closed) = closed_port();
    let invalid = Origin::saying("nonsense of the inside\r\n\r\n");
    let silent = Origin::start(|mut peer| while peer.request().is_some() {});
    let text = r#"
        listener "web" "127.0.0.1:0" {
            limits body-bytes-max="4B"
            timeouts request-head="300ms"
            route path="/refused" { cluster "closed" }
            route path="/invalid" { cluster "invalid" }
            route path="/silent" { cluster "silent" }
            route path="/drained" { cluster "drained" }
            route path="/denied" {
                filters { acl { rule "deny" } }
                respond 200
            }
        }
        cluster "closed" { endpoint "CLOSED" }
        cluster "drained" { endpoint "CLOSED" weight=0 }
        cluster "invalid" { endpoint "INVALID" }
        cluster "silent" {
            endpoint "SILENT"
            timeouts response="200ms"
        }"#;
    let proxy = Proxy::start(&config(
        text,
        &[
            ("CLOSED", &closed),
            ("INVALID", &invalid),
            ("SILENT", &silent),
        ],
    ));
    for (request, status, text) in [
        (
            "GET /refused HTTP/1.1\r\nHost: a\r\n\r\n",
            502,
            "bad gateway\n",
        ),
        (
            "GET /invalid HTTP/1.1\r\nHost: a\r\n\r\n",
            502,
            "bad gateway\n",
        ),
        (
            "GET /silent HTTP/1.1\r\nHost: a\r\n\r\n",
            504,
            "gateway timeout\n",
        ),
        (
            "GET /drained HTTP/1.1\r\nHost: a\r\n\r\n",
            503,
            "service unavailable\n",
        ),
        (
            "GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n",
            404,
            "not found\n",
        ),
        ("GET /nowhere HTTP/1.0\r\n\r\n", 404, "not found\n"),
        ("GET /denied HTTP/1.1\r\nHost: a\r\n\r\n", 403, ""),
        (
            "POST /refused HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n",
            413,
            "content too large\n",
        ),
        (
            "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
            405,
            "method not allowed\n",
        ),
        (
            "GET / HTTP/9.9\r\nHost: a\r\n\r\n",
            505,
            "http version not supported\n",
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            400,
            "bad request\n",
        ),
        ("GET / HTTP/1.1\r\nHo", 408, "request timeout\n"),
    ] {
        let mut client = proxy.client();
        client.send(request);
        assert_discreet(&client.response(), status, text);
    }
}

#[test]
fn an_error_upstream_leaves_the_downstream_connection_open() {
    let (_held, closed) = closed_port();
    let proxy = Proxy::before(&closed);
    let mut client = proxy.client();
    for path in ["/1", "/2"] {
        let response = client.get(path);
        assert_eq!(
            (response.status, response.header("connection")),
            (502, None)
        );
        assert_eq!(
            proxy.line_of(path).number("connection"),
            proxy.line_of("/1").number("connection")
        );
    }
}

#[test]
fn an_error_passes_back_through_the_response_filters() {
    let (_held, closed) = closed_port();
    let text = r#"
        listener "web" "127.0.0.1:0" {
            route {
                filters { headers { response { set "x-frame-options" "DENY" } } }
                cluster "closed"
            }
        }
        cluster "closed" { endpoint "CLOSED" }"#;
    let proxy = Proxy::start(&config(text, &[("CLOSED", &closed)]));
    let response = proxy.client().get("/");
    assert_eq!(
        (response.status, response.header("x-frame-options")),
        (502, Some("DENY"))
    );
}

#[test]
fn a_response_from_upstream_keeps_its_own_date_and_gains_no_header() {
    let origin = Origin::saying(
        "HTTP/1.1 200 Fine\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nServer: own\r\nContent-Length: 2\r\n\r\nok",
    );
    let proxy = Proxy::before(&origin);
    let response = proxy.client().get("/");
    assert_eq!(response.head.start_line, "HTTP/1.1 200 Fine");
    assert_eq!(response.head.headers.len(), 3, "{}", response.head.raw);
    assert_eq!(
        (response.header("date"), response.header("server")),
        (Some("Thu, 01 Jan 1970 00:00:00 GMT"), Some("own"))
    );
}
