//! Messages whose end two readers could see at different places are refused, and nothing of them reaches an origin.

use crate::harness::{Origin, Proxy};
use std::cell::Cell;

/// What stands after the request in each case: if it is ever served, the end was seen at the wrong place.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn conflicting_or_malformed_requests_are_refused_before_an_origin_sees_them() {
    let origin = Origin::echo();
    let proxy = Proxy::before(&origin);
    let mut refused = 0;
    for (request, status) in cases() {
        let mut client = proxy.client();
        client.send([&request, SMUGGLED.as_bytes()].concat());
        let request = String::from_utf8_lossy(&request).into_owned();
        let response = client.response();
        assert_eq!(response.status, status, "{request:?}");
        assert_eq!(response.header("connection"), Some("close"), "{request:?}");
        assert!(client.is_at_end(), "{request:?}");
        refused += 1;
    }
    let logged = Cell::new(0);
    proxy.access_line(|line| {
        assert!(
            matches!(line.outcome(), "bad-request" | "bad-body"),
            "{line:?}"
        );
        logged.set(logged.get() + 1);
        logged.get() == refused
    });
    assert_eq!(origin.connections(), 0, "{:?}", origin.requests());
}

fn cases() -> Vec<(Vec<u8>, u16)> {
    let post = |headers: &str, body: &str| {
        format!("POST / HTTP/1.1\r\nHost: a\r\n{headers}\r\n{body}").into_bytes()
    };
    let get = |headers: &str| format!("GET / HTTP/1.1\r\nHost: a\r\n{headers}\r\n").into_bytes();
    let line = |line: &str| format!("{line}\r\nHost: a\r\n\r\n").into_bytes();
    let mut cases: Vec<(Vec<u8>, u16)> = [
        post(
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "0\r\n\r\n",
        ),
        post(
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            "0\r\n\r\n",
        ),
        post("Content-Length: 3\r\nContent-Length: 5\r\n", "abcde"),
        post("Content-Length: 3, 3\r\n", "abc"),
        post("Content-Length: +3\r\n", "abc"),
        post("Content-Length: -1\r\n", ""),
        post("Content-Length: 0x3\r\n", "abc"),
        post("Content-Length: 3 3\r\n", "abc"),
        post("Content-Length:\r\n", ""),
        post("Content-Length: 99999999999999999999\r\n", ""),
        post("Content-Length : 3\r\n", "abc"),
        post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"),
        post("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"),
        post("Transfer-Encoding: identity\r\n", "abc"),
        post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
        post(
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "0\r\n\r\n",
        ),
        post("Transfer-Encoding: \x0bchunked\r\n", "0\r\n\r\n"),
        b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_vec(),
        b"GET / HTTP/1.1\nHost: a\n\n".to_vec(),
        b"GET / HTTP/1.1\r\nHost: a\n\r\n".to_vec(),
        get("X-A: 1\r\n folded\r\n"),
        get(" X-A: leading\r\n"),
        get("X A: blank\r\n"),
        get("X-A\r\n"),
        get(": empty\r\n"),
        get("X-A: a\rb\r\n"),
        get("X-A: a\0b\r\n"),
        get("X(A): 1\r\n"),
        get("Host: b\r\n"),
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n".to_vec(),
        b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n".to_vec(),
        b"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
        line("GET  / HTTP/1.1"),
        line("GET /a b HTTP/1.1"),
        line("GET / http/1.1"),
        line("GET /"),
        line("G@T / HTTP/1.1"),
        line("GET x HTTP/1.1"),
        line("GET /#f HTTP/1.1"),
        line("GET /\u{e9} HTTP/1.1"),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec(),
    ]
    .map(|request| (request, 400))
    .into();
    for body in [
        "x\r\nabc\r\n0\r\n\r\n",
        "\r\n",
        "3\r\nabcd\r\n0\r\n\r\n",
        "3\nabc\r\n0\r\n\r\n",
        "0x3\r\nabc\r\n0\r\n\r\n",
        "11111111111111111\r\n",
        "3 \r\nabc\r\n0\r\n\r\n",
        "-1\r\n",
        "0\r\nbad trailer\r\n\r\n",
    ] {
        cases.push((post("Transfer-Encoding: chunked\r\n", body), 400));
    }
    cases.push((
        post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"),
        501,
    ));
    cases.push((line("GET / HTTP/2.0"), 505));
    cases.push((line("GET / HTTP/1.2"), 505));
    cases
}

#[test]
fn equal_lengths_count_as_one_and_frame_one_message() {
    let origin = Origin::echo();
    let proxy = Proxy::before(&origin);
    let mut client = proxy.client();
    client.send("POST /one HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabcGET /two HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(client.response().text().ends_with("\r\n\r\nabc"));
    assert_eq!(client.response().echoed().target(), "/two");
    assert_eq!(origin.request(0).head.all("content-length"), ["3"]);
}

#[test]
fn a_body_is_never_taken_for_a_request() {
    let origin = Origin::echo();
    let proxy = Proxy::before(&origin);
    let mut client = proxy.client();
    assert!(client.post("/one", SMUGGLED).text().ends_with(SMUGGLED));
    client.send(format!(
        "GET /two HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{SMUGGLED}\r\n0\r\n\r\n",
        SMUGGLED.len()
    ));
    assert!(client.response().text().ends_with(SMUGGLED));
    assert_eq!(client.get("/three").echoed().target(), "/three");
    let targets: Vec<_> = origin
        .requests()
        .iter()
        .map(|request| request.head.target().to_owned())
        .collect();
    assert_eq!(targets, ["/one", "/two", "/three"]);
}

#[test]
fn a_chunk_that_turns_out_broken_later_cuts_the_request_upstream() {
    let origin = Origin::start(|mut peer| {
        let head = peer.head().expect("a request");
        let request = peer.finish_request(head);
        assert!(!request.complete);
    });
    let proxy = Proxy::before(&origin);
    let mut client = proxy.client();
    client.send("POST /cut HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    origin.wait_for_connections(1);
    client.send("zz\r\n");
    let response = client.response();
    assert_eq!(
        (response.status, response.header("connection")),
        (400, Some("close"))
    );
    assert!(client.is_at_end());
    assert_eq!(proxy.line_of("/cut").outcome(), "bad-body");
    let request = origin.request(0);
    assert_eq!(
        (request.body.as_slice(), request.complete),
        (&b"abc"[..], false)
    );
}

#[test]
fn what_follows_a_local_reply_is_the_next_request() {
    let proxy =
        Proxy::start(r#"listener "web" "127.0.0.1:0" { route { respond 200 body="{path}" } }"#);
    let mut client = proxy.client();
    client.send(format!("POST /one HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{SMUGGLED}GET /two HTTP/1.1\r\nHost: a\r\n\r\n", SMUGGLED.len()));
    assert_eq!(client.response().text(), "/one");
    assert_eq!(client.response().text(), "/two");
    // With a body that is still to come, there is no next request.
    client.send("POST /three HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n");
    let response = client.response();
    assert_eq!(
        (response.text().as_str(), response.header("connection")),
        ("/three", Some("close"))
    );
    client.send(SMUGGLED);
    assert!(client.is_at_end());
}
