//! Bodies handed over whole.

use super::{filtering, mode};
use crate::harness::{Origin, Proxy, config};
use crate::plugins::{folder, guests};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;

#[test]
fn a_whole_body_may_change_the_head_and_its_length_is_told() {
    let origin = Origin::saying(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
    );
    let proxy = filtering(&mode("whole"), &origin);
    let mut client = proxy.client();
    for turn in 0..2 {
        client.send("POST /x HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\nContent-Digest: x\r\n\r\n2\r\n12\r\n1\r\n3\r\n0\r\n\r\n");
        let response = client.response();
        assert_eq!(response.text(), "edcba");
        assert_eq!(response.header("content-length"), Some("5"));
        assert_eq!(response.header("x-response-bytes"), Some("5"));
        let request = origin.request(turn);
        assert_eq!(request.body, b"321");
        assert_eq!(request.head.header("content-length"), Some("3"));
        assert_eq!(request.head.header("x-request-bytes"), Some("3"));
        assert_eq!(request.head.header("content-digest"), None);
    }
    assert_eq!(origin.connections(), 1);
}

/// The guest takes 64 bytes.
#[test]
fn what_is_too_large_is_refused_or_goes_by() {
    let (fits, over) = ("a".repeat(64), "a".repeat(65));
    let chunked = |body: &str| {
        format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
            body.len()
        )
    };
    let fixed = |body: &str| {
        format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    for (filter, body, status) in [
        ("whole", &fits, 200),
        ("whole", &over, 502),
        ("whole-pass", &over, 200),
    ] {
        for answer in [chunked(body), fixed(body)] {
            let origin = Origin::saying(answer);
            let proxy = filtering(&mode(filter), &origin);
            let response = proxy.client().get("/x");
            assert_eq!(response.status, status, "{filter} {}", body.len());
            let by = (filter == "whole-pass").then_some(body.as_str());
            assert!(by.is_none_or(
                |body| response.text() == body && response.header("x-response-bytes").is_none()
            ));
            let outcome = match status {
                502 => "response-refused",
                _ => "ok",
            };
            assert_eq!(proxy.line_of("/x").outcome(), outcome);
        }
    }
    for (filter, body, status) in [
        ("whole", &fits, 200),
        ("whole", &over, 413),
        ("whole-pass", &over, 200),
    ] {
        let origin = Origin::named("ok");
        let proxy = filtering(&mode(filter), &origin);
        let response = proxy.client().post("/x", body);
        assert_eq!(response.status, status, "{filter} {}", body.len());
        if filter == "whole-pass" {
            assert_eq!(origin.request(0).body, body.as_bytes());
        }
    }
}

#[test]
fn a_client_that_waits_for_leave_to_send_gets_it() {
    let origin = Origin::named("ok");
    let proxy = filtering(&mode("whole"), &origin);
    let mut client = proxy.client();
    client.send(
        "POST /x HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n",
    );
    assert_eq!(client.response_head().status(), 100);
    client.send("abc");
    assert_eq!(client.response().status, 200);
    assert_eq!(origin.request(0).body, b"cba");
    assert_eq!(origin.request(0).head.header("expect"), None);
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).expect("into memory");
    encoder.finish().expect("into memory")
}

fn coded(coding: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

#[test]
fn a_filter_sees_what_a_coded_body_says() {
    let origin = Origin::saying(coded("gzip", &gzip("hello")));
    let proxy = filtering(&mode("decode"), &origin);
    let response = proxy.client().get("/x");
    assert_eq!(response.text(), "olleh");
    assert_eq!(response.header("content-encoding"), None);
    assert_eq!(response.header("content-length"), Some("5"));
    let mut client = proxy.client();
    let body = gzip("request");
    let head = format!(
        "POST /x HTTP/1.1\r\nHost: test\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    client.send([head.as_bytes(), &body].concat());
    assert_eq!(client.response().status, 200);
    assert_eq!(origin.request(1).body, b"tseuqer");
    assert_eq!(origin.request(1).head.header("content-encoding"), None);
}

#[test]
fn a_coding_that_cannot_be_undone_is_refused() {
    let bomb = gzip(&"a".repeat(100_000));
    for answer in [
        coded("compress", b"abc"),
        coded("gzip", b"no gzip"),
        coded("gzip, gzip", b""),
        coded("gzip", &bomb),
    ] {
        let origin = Origin::saying(answer);
        let proxy = filtering(&mode("decode"), &origin);
        let response = proxy.client().get("/x");
        // An empty body has no coding to undo.
        let expected = match response.header("content-length") {
            Some("0") => 200,
            _ => 502,
        };
        assert_eq!(response.status, expected);
    }
}

#[test]
fn a_filter_may_answer_when_it_has_seen_all() {
    let origin = Origin::saying("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\na secret in ");
    let proxy = filtering(&mode("secret"), &origin);
    let response = proxy.client().get("/x");
    assert_eq!(
        (response.status, response.text().as_str()),
        (451, "not this\n")
    );
    assert_eq!(proxy.line_of("/x").outcome(), "filter-reply");
    let response = proxy.client().post("/y", "another secret");
    assert_eq!(response.status, 451);
    // The second request was answered before it left.
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn an_upstream_that_breaks_off_is_a_bad_gateway() {
    let origin = Origin::start(|mut peer| {
        if peer.request().is_some() {
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        }
    });
    let proxy = filtering(&mode("whole"), &origin);
    let response = proxy.client().get("/x");
    assert_eq!((response.status, response.complete), (502, true));
    assert_eq!(proxy.line_of("/x").outcome(), "upstream-reset");
}

#[test]
fn a_header_only_filter_beside_it_changes_nothing() {
    let origin = Origin::named("abc");
    let filters = format!(
        "headers {{ response {{ set \"x-a\" \"1\" }} }}; {}",
        mode("whole")
    );
    let proxy = filtering(&filters, &origin);
    let response = proxy.client().get("/x");
    assert_eq!(
        (response.text().as_str(), response.header("x-a")),
        ("cba", Some("1"))
    );
}

#[test]
fn a_mirror_gets_what_the_filter_made() {
    let (origin, shadow) = (Origin::named("ok"), Origin::named("shadow"));
    let text = config(
        r#"
        plugin "bodies" "bodies.wasm"
        listener "web" "127.0.0.1:0" {
            route { filters { FILTER }; mirror "s"; cluster "c" }
        }
        cluster "c" { endpoint "ORIGIN" }
        cluster "s" { endpoint "SHADOW" }
        "#,
        &[
            ("FILTER", &mode("whole")),
            ("ORIGIN", &origin),
            ("SHADOW", &shadow),
        ],
    );
    let directory = folder(&[("bodies.wasm", &guests::bodies())]);
    let proxy = Proxy::start_in(directory, &text).expect("it starts");
    assert_eq!(proxy.client().post("/x", "abc").status, 200);
    assert_eq!(origin.request(0).body, b"cba");
    assert_eq!(shadow.request(0).body, b"cba");
}
