//! `body-rewrite`: what the downstream and the origin get.

use crate::harness::h2::H2Client;
use crate::harness::{Origin, Proxy, config};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;

fn rewriting(settings: &str, origin: &Origin) -> Proxy {
    let text = config(
        "listener \"web\" \"127.0.0.1:0\" {\n    route { filters { body-rewrite { SETTINGS } }; cluster \"c\" }\n}\ncluster \"c\" { endpoint \"ORIGIN\" }\n",
        &[("SETTINGS", &settings), ("ORIGIN", origin)],
    );
    Proxy::start(&text)
}

fn answer(headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{headers}\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

#[test]
fn texts_of_responses_are_replaced_in_bodies_of_the_listed_types() {
    let settings = r#"response { replace "internal" "public"; replace "a" "b"; type "text/html" }"#;
    for (headers, expected) in [
        (
            "Content-Type: text/html; charset=utf-8\r\nETag: \"1\"\r\n",
            "public b",
        ),
        ("Content-Type: TEXT/HTML\r\n", "public b"),
        ("Content-Type: application/json\r\n", "internal a"),
        ("", "internal a"),
    ] {
        let origin = Origin::saying(answer(headers, b"internal a"));
        let proxy = rewriting(settings, &origin);
        let mut client = proxy.client();
        for _ in 0..2 {
            let response = client.get("/x");
            assert_eq!(response.text(), expected, "{headers}");
            let length = expected.len().to_string();
            assert_eq!(response.header("content-length"), Some(length.as_str()));
        }
    }
}

#[test]
fn texts_of_requests_are_replaced() {
    let origin = Origin::named("internal");
    let proxy = rewriting(r#"request { replace "one" "two" }"#, &origin);
    let mut client = proxy.client();
    client.send("POST /x HTTP/1.1\r\nHost: test\r\nContent-Type: text/plain\r\nContent-Length: 7\r\n\r\none one");
    // Responses are none of its business.
    assert_eq!(client.response().text(), "internal");
    assert_eq!(origin.request(0).body, b"two two");
}

#[test]
fn a_compressed_body_is_looked_at_and_a_larger_one_is_not() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(b"internal").expect("into memory");
    let body = encoder.finish().expect("into memory");
    let origin = Origin::saying(answer(
        "Content-Type: text/html\r\nContent-Encoding: gzip\r\n",
        &body,
    ));
    let proxy = rewriting(r#"response { replace "internal" "public" }"#, &origin);
    assert_eq!(proxy.client().get("/x").text(), "public");

    let origin = Origin::saying(answer("Content-Type: text/html\r\n", b"internal"));
    let proxy = rewriting(
        r#"bytes-max "7B"; response { replace "internal" "public" }"#,
        &origin,
    );
    assert_eq!(proxy.client().get("/x").text(), "internal");
}

#[test]
fn bodies_in_http2_are_rewritten_too() {
    let origin = Origin::saying(answer("Content-Type: text/html\r\n", b"internal"));
    let proxy = rewriting(r#"response { replace "internal" "public" }"#, &origin);
    let response = H2Client::connect(proxy.address("web")).get("/x");
    assert_eq!(response.body, b"public");
}
