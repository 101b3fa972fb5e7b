//! Every framing in both directions.

use crate::harness::{Origin, Proxy};

/// Bytes of which no two stretches are alike.
fn pattern(length: usize) -> Vec<u8> {
    (0..length as u32)
        .map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect()
}

#[test]
fn large_bodies_pass_unchanged_in_every_framing() {
    let body = pattern(3_000_000);
    let sent = body.clone();
    let origin = Origin::answering(move |request| {
        assert!(request.body == sent, "the request body arrived changed");
        match request.head.target() {
            "/fixed" => [
                format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", sent.len()).as_bytes(),
                &sent,
            ]
            .concat(),
            _ => [
                &b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"[..],
                &chunked(&sent, 70_000),
            ]
            .concat(),
        }
    });
    let proxy = Proxy::before(&origin);
    let mut client = proxy.client();
    for target in ["/fixed", "/chunked"] {
        assert!(client.post(target, &body).body == body, "{target}");
        let head =
            format!("POST {target} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        client.send([head.as_bytes(), &chunked(&body, 100_000)].concat());
        assert!(client.response().body == body, "{target}");
        assert_eq!(proxy.line_of(target).outcome(), "ok");
    }
    assert_eq!(origin.connections(), 1);
}

fn chunked(body: &[u8], size: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for chunk in body.chunks(size) {
        out.extend(format!("{:X};note=1\r\n", chunk.len()).bytes());
        out.extend(chunk);
        out.extend(b"\r\n");
    }
    out.extend(b"0\r\n\r\n");
    out
}

#[test]
fn a_request_keeps_its_framing() {
    let origin = Origin::named("ok");
    let proxy = Proxy::before(&origin);
    let mut client = proxy.client();
    client.post("/fixed", "abc");
    client.send("POST /chunked HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: CHUNKED\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    client.response();
    client.send("POST /empty HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    client.response();
    client.get("/none");
    for (index, length, coding) in [
        (0, Some("3"), None),
        (1, None, Some("chunked")),
        (2, Some("0"), None),
        (3, None, None),
    ] {
        let head = origin.request(index).head;
        assert_eq!(
            (
                head.header("content-length"),
                head.header("transfer-encoding")
            ),
            (length, coding),
            "{}",
            head.raw
        );
    }
}

#[test]
fn trailers_pass_both_ways_without_those_that_would_change_the_message() {
    let origin = Origin::saying(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: grpc-status\r\n\r\n\
         2\r\nok\r\n0\r\ngrpc-status: 0\r\ncontent-length: 5\r\nset-cookie: a=b\r\n\r\n",
    );
    let proxy = Proxy::before(&origin);
    let mut client = proxy.client();
    client.send(
        "POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n\
         2\r\nhi\r\n0\r\nx-sum: 42\r\nhost: evil\r\nx-forwarded-for: 1.1.1.1\r\n\r\n",
    );
    let response = client.response();
    assert_eq!((response.text().as_str(), response.complete), ("ok", true));
    assert_eq!(
        response.trailers,
        [("grpc-status".to_owned(), "0".to_owned())]
    );
    assert_eq!(response.header("trailer"), Some("grpc-status"));
    let request = origin.request(0);
    assert_eq!(request.trailers, [("x-sum".to_owned(), "42".to_owned())]);
    assert_eq!(
        (request.body.as_slice(), request.head.header("trailer")),
        (&b"hi"[..], Some("x-sum"))
    );
}

#[test]
fn a_response_that_ends_with_its_connection_becomes_chunked() {
    let origin = Origin::start(|mut peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\n\r\nuntil the end");
    });
    let proxy = Proxy::before(&origin);
    let mut client = proxy.client();
    for path in ["/1", "/2"] {
        let response = client.get(path);
        assert_eq!(
            (response.text().as_str(), response.complete),
            ("until the end", true)
        );
        assert_eq!(response.header("transfer-encoding"), Some("chunked"));
        assert_eq!(proxy.line_of(path).outcome(), "ok");
    }
    assert_eq!(origin.connections(), 2);
}

#[test]
fn head_204_and_304_have_no_body_and_keep_the_connection() {
    let origin = Origin::answering(|request| match request.head.target() {
        "/head" => "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n".into(),
        "/head-chunked" => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".into(),
        "/204" => "HTTP/1.1 204 No Content\r\n\r\n".into(),
        "/304" => "HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\nETag: \"a\"\r\n\r\n".into(),
        _ => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".into(),
    });
    let proxy = Proxy::before(&origin);
    let mut client = proxy.client();
    for (method, target, status, length) in [
        ("HEAD", "/head", 200, Some("1000")),
        ("HEAD", "/head-chunked", 200, None),
        ("GET", "/204", 204, None),
        ("GET", "/304", 304, Some("1000")),
    ] {
        let response = client.ask(method, target, "");
        assert_eq!(
            (response.status, response.header("content-length")),
            (status, length),
            "{target}"
        );
        assert_eq!(client.get("/after").text(), "ok", "{target}");
        assert_eq!(
            (
                proxy.line_of(target).outcome(),
                proxy.line_of(target).status()
            ),
            ("ok", i64::from(status))
        );
    }
    assert_eq!(origin.connections(), 1);
}
