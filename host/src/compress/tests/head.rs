use super::super::{begin, describes_bytes};
use super::{response, settings};
use crate::config::Coding;
use crate::http::{BodyLength, Limits, ResponseHead, Version, parse_response, write_response};

/// What became of a response, in one word.
fn fate(accept: Option<&str>, method: &str, response: &mut ResponseHead) -> &'static str {
    let settings = settings(&["text/*", "application/json"]);
    let encoder = begin(&settings, accept.map(str::as_bytes), method, response);
    let varies = response.fields().contains(b"vary");
    match (encoder, varies) {
        (Some(_), true) => "compressed",
        (None, true) => "varies",
        (None, false) => "alone",
        (Some(_), false) => "wrong",
    }
}

#[test]
fn what_may_be_compressed() {
    const OK: &str = "HTTP/1.1 200 OK";
    const HTML: &str = "Content-Type: text/html";
    const CHUNKED: &str = "Transfer-Encoding: chunked";
    let table: &[(&[&str], &str)] = &[
        (&[OK, HTML, CHUNKED], "compressed"),
        (&[OK, HTML], "compressed"),
        // Length.
        (&[OK, HTML, "Content-Length: 1024"], "compressed"),
        (&[OK, HTML, "Content-Length: 1023"], "alone"),
        (&[OK, HTML, "Content-Length: 0"], "alone"),
        // Status.
        (&["HTTP/1.1 201 Created", HTML, CHUNKED], "compressed"),
        (&["HTTP/1.1 404 Not Found", HTML, CHUNKED], "compressed"),
        (&["HTTP/1.1 500 Oh", HTML, CHUNKED], "compressed"),
        (&["HTTP/1.1 103 Early Hints", HTML], "alone"),
        (&["HTTP/1.1 204 No Content", HTML], "alone"),
        (&["HTTP/1.1 205 Reset Content", HTML, CHUNKED], "alone"),
        (&["HTTP/1.1 206 Partial Content", HTML, CHUNKED], "alone"),
        (&["HTTP/1.1 304 Not Modified", HTML], "alone"),
        (
            &[
                "HTTP/1.1 101 Switching Protocols",
                "Connection: upgrade",
                "Upgrade: x",
                HTML,
            ],
            "alone",
        ),
        (&[OK, HTML, CHUNKED, "Content-Range: bytes 0-9/10"], "alone"),
        // Type.
        (&[OK, CHUNKED], "alone"),
        (&[OK, CHUNKED, "Content-Type:"], "alone"),
        (&[OK, CHUNKED, "Content-Type: text"], "alone"),
        (&[OK, CHUNKED, "Content-Type: image/png"], "alone"),
        (&[OK, CHUNKED, "Content-Type: application/jsonp"], "alone"),
        (
            &[OK, CHUNKED, "Content-Type: application/json"],
            "compressed",
        ),
        (
            &[
                OK,
                CHUNKED,
                "Content-Type: Application/JSON ; charset=utf-8",
            ],
            "compressed",
        ),
        (&[OK, CHUNKED, "Content-Type: TEXT/CSS;x=y"], "compressed"),
        (&[OK, CHUNKED, HTML, "Content-Type: text/css"], "alone"),
        (&[OK, CHUNKED, "Content-Type: text/event-stream"], "alone"),
        (
            &[OK, CHUNKED, "Content-Type: text/Event-Stream;charset=utf-8"],
            "alone",
        ),
        // Encoded already.
        (&[OK, HTML, CHUNKED, "Content-Encoding: gzip"], "alone"),
        (&[OK, HTML, CHUNKED, "Content-Encoding: x-own"], "alone"),
        (
            &[OK, HTML, CHUNKED, "Content-Encoding: identity, br"],
            "alone",
        ),
        (
            &[OK, HTML, CHUNKED, "Content-Encoding: Identity"],
            "compressed",
        ),
        (&[OK, HTML, CHUNKED, "Content-Encoding:"], "compressed"),
        // Not to be transformed.
        (&[OK, HTML, CHUNKED, "Cache-Control: no-transform"], "alone"),
        (
            &[
                OK,
                HTML,
                CHUNKED,
                "Cache-Control: max-age=1",
                "Cache-Control: public , NO-transform",
            ],
            "alone",
        ),
        (
            &[OK, HTML, CHUNKED, "Cache-Control: no-store, no-transforms"],
            "compressed",
        ),
    ];
    for &(lines, expected) in table {
        let mut head = response(lines);
        assert_eq!(fate(Some("gzip"), "GET", &mut head), expected, "{lines:?}");
        assert_eq!(
            head.fields().get(b"content-encoding") == Some(b"gzip".as_slice())
                && head.body() == BodyLength::Chunked
                && head.content_length().is_none(),
            expected == "compressed" || lines.contains(&"Content-Encoding: gzip"),
            "{lines:?}"
        );
    }
}

#[test]
fn what_the_request_decides() {
    let table: &[(Option<&str>, &str, &str)] = &[
        (Some("gzip"), "GET", "compressed"),
        (Some("gzip"), "POST", "compressed"),
        (Some("gzip"), "CONNECT", "alone"),
        (None, "GET", "varies"),
        (Some(""), "GET", "varies"),
        (Some("identity"), "GET", "varies"),
        (Some("gzip;q=nonsense"), "GET", "varies"),
        (Some("deflate"), "GET", "varies"),
    ];
    for &(accept, method, expected) in table {
        let mut head = response(&[
            "HTTP/1.1 200 OK",
            "Content-Type: text/plain",
            "Content-Length: 5000",
            "ETag: \"a\"",
        ]);
        assert_eq!(fate(accept, method, &mut head), expected, "{accept:?}");
        if expected != "compressed" {
            assert_eq!(head.body(), BodyLength::Fixed(5000), "{accept:?}");
            assert_eq!(head.fields().get(b"etag"), Some(b"\"a\"".as_slice()));
        }
    }
}

#[test]
fn an_answer_to_head_says_what_one_to_get_would() {
    let mut head = ResponseHead::new();
    let text = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5000\r\nETag: \"a\"\r\n\r\n";
    parse_response(text.as_bytes(), "HEAD", &Limits::default(), &mut head).expect("valid");
    let encoder = begin(&settings(&["text/*"]), Some(b"gzip"), "HEAD", &mut head);
    assert!(encoder.is_none(), "there is nothing to compress");
    assert_eq!(
        head.fields().get(b"content-encoding"),
        Some(b"gzip".as_slice())
    );
    assert_eq!(head.fields().get(b"etag"), Some(b"W/\"a\"".as_slice()));
    assert_eq!(
        (head.body(), head.content_length()),
        (BodyLength::None, None)
    );
}

#[test]
fn a_type_that_stars_leave_out_may_be_listed_in_full() {
    let cases = [
        (&["text/event-stream"][..], "text/event-stream", true),
        (&["text/*"], "text/event-stream", false),
        (&["text/*", "text/event-stream"], "text/event-stream", true),
        (&["application/*"], "application/wasm", true),
        (&["application/*"], "application/grpc", false),
        (&["application/grpc"], "application/grpc", false),
        (&["application/*"], "application/grpc+proto", false),
        (&["application/*"], "application/gRPC-web", false),
        (&["application/*"], "applications/x", false),
    ];
    for (types, media_type, expected) in cases {
        let line = format!("Content-Type: {media_type}");
        let mut head = response(&["HTTP/1.1 200 OK", &line]);
        let encoder = begin(&settings(types), Some(b"br"), "GET", &mut head);
        assert_eq!(encoder.is_some(), expected, "{types:?} {media_type}");
    }
}

#[test]
fn vary_is_added_once() {
    let table: &[(&[&str], &[&str])] = &[
        (&[], &["Accept-Encoding"]),
        (&["Vary: Origin"], &["Origin", "Accept-Encoding"]),
        (&["Vary: accept-encoding"], &["accept-encoding"]),
        (
            &["Vary: Origin, ACCEPT-Encoding"],
            &["Origin, ACCEPT-Encoding"],
        ),
        (
            &["Vary: Origin", "Vary: Accept-Encoding"],
            &["Origin", "Accept-Encoding"],
        ),
        (&["Vary: *"], &["*"]),
        (
            &["Vary: Accept-Encodings"],
            &["Accept-Encodings", "Accept-Encoding"],
        ),
    ];
    for accept in [None, Some(b"zstd".as_slice())] {
        for &(lines, expected) in table {
            let mut all = vec!["HTTP/1.1 200 OK", "Content-Type: text/plain"];
            all.extend(lines);
            let mut head = response(&all);
            let _encoder = begin(&settings(&["text/plain"]), accept, "GET", &mut head);
            let found: Vec<_> = head.fields().get_all(b"vary").collect();
            let expected: Vec<_> = expected.iter().map(|value| value.as_bytes()).collect();
            assert_eq!(found, expected, "{lines:?}");
        }
    }
}

#[test]
fn the_entity_tag_becomes_weak() {
    let table = [
        ("\"a\"", Some("W/\"a\"")),
        ("\"\"", Some("W/\"\"")),
        ("W/\"a\"", Some("W/\"a\"")),
        ("bare", None),
        ("w/\"a\"", None),
        ("W/a", None),
    ];
    for (tag, expected) in table {
        let line = format!("ETag: {tag}");
        let mut head = response(&["HTTP/1.1 200 OK", "Content-Type: text/plain", &line]);
        assert_eq!(fate(Some("br"), "GET", &mut head), "compressed");
        let found = head.fields().get(b"etag");
        assert_eq!(found, expected.map(str::as_bytes), "{tag}");
    }
}

#[test]
fn the_written_head_tells_the_truth_about_the_compressed_body() {
    let mut head = response(&[
        "HTTP/1.1 200 OK",
        "Content-Type: text/plain",
        "Content-Encoding: identity",
        "Content-Length: 4000",
        "Accept-Ranges: bytes",
        "Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==",
        "Digest: sha-256=AA==",
        "Content-Digest: sha-256=:AA==:",
        "Repr-Digest: sha-256=:AA==:",
        "ETag: \"v1\"",
        "X-Other: stays",
    ]);
    let encoder = begin(&settings(&["text/*"]), Some(b"br"), "GET", &mut head);
    assert_eq!(
        encoder.map(|encoder| encoder.coding()),
        Some(Coding::Brotli)
    );
    let mut out = Vec::new();
    write_response(&head, head.body(), true, Version::Http11, &mut out);
    let text = String::from_utf8(out).expect("ASCII");
    assert_eq!(
        text,
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Other: stays\r\nVary: Accept-Encoding\r\n\
         ETag: W/\"v1\"\r\nContent-Encoding: br\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
}

#[test]
fn a_response_made_here_has_no_body_by_its_head() {
    let mut head = ResponseHead::new();
    head.begin(200);
    head.fields_mut()
        .append(b"Content-Type", b"text/plain")
        .expect("a valid line");
    assert_eq!(fate(Some("gzip"), "GET", &mut head), "alone");
}

#[test]
fn digests_describe_bytes() {
    let cases = [
        ("content-digest", true),
        ("Repr-Digest", true),
        ("DIGEST", true),
        ("content-md5", true),
        ("want-digest", false),
        ("grpc-status", false),
    ];
    for (name, expected) in cases {
        assert_eq!(describes_bytes(name.as_bytes()), expected, "{name}");
    }
}
