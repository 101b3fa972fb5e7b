//! Which responses are compressed, and how.

use super::{TEXT, accepting, compressing, decoded, serving, text};
use crate::harness::Origin;

#[test]
fn the_client_chooses_and_the_order_of_the_codings_decides_between_equals() {
    let body = text(10_000);
    let origin = serving(TEXT, &body);
    let all = compressing("compress", &origin);
    let own = compressing(r#"compress "gzip" "br""#, &origin);
    let cases = [
        ("gzip, br, zstd", Some("zstd"), Some("gzip")),
        ("br, gzip", Some("br"), Some("gzip")),
        ("gzip", Some("gzip"), Some("gzip")),
        ("x-gzip", Some("gzip"), Some("gzip")),
        ("GZIP", Some("gzip"), Some("gzip")),
        ("gzip;q=0.5, br;q=0.8, zstd;q=0.1", Some("br"), Some("br")),
        ("gzip;q=1, br;q=0.001, zstd;q=0", Some("gzip"), Some("gzip")),
        ("*", Some("zstd"), Some("gzip")),
        ("*;q=0.5, zstd;q=0, gzip;q=0.4", Some("br"), Some("br")),
        ("zstd", Some("zstd"), None),
        ("identity, gzip;q=0.5", None, None),
        ("gzip;q=0", None, None),
        ("deflate", None, None),
        ("gzip;q=2", None, None),
        ("", None, None),
    ];
    for (number, (accept, of_all, of_own)) in cases.into_iter().enumerate() {
        for (proxy, expected) in [(&all, of_all), (&own, of_own)] {
            let target = format!("/{number}");
            let response = proxy.client().ask("GET", &target, &accepting(accept));
            assert_eq!(response.header("content-encoding"), expected, "{accept:?}");
            assert!(decoded(&response) == body, "{accept:?}");
            assert_eq!(response.header("vary"), Some("Accept-Encoding"));
            let line = proxy.line_of(&target);
            assert_eq!((line.status(), line.outcome()), (200, "ok"));
        }
    }
    let response = all.client().get("/silent");
    assert_eq!(response.header("content-encoding"), None);
    assert_eq!(response.header("vary"), Some("Accept-Encoding"));
}

#[test]
fn wishes_on_several_lines_are_one() {
    let origin = serving(TEXT, text(10_000));
    let proxy = compressing("compress", &origin);
    let lines = "Accept-Encoding: gzip;q=0.1\r\nAccept-Encoding: br\r\n";
    let response = proxy.client().ask("GET", "/x", lines);
    assert_eq!(response.header("content-encoding"), Some("br"));
    assert_eq!(proxy.line_of("/x").outcome(), "ok");
}

#[test]
fn a_body_below_min_size_is_left_alone() {
    let origin = Origin::answering(|request| {
        let length: usize = request.head.target()[1..].parse().expect("a length");
        let head = format!("{TEXT}Content-Length: {length}\r\n\r\n");
        [head.as_bytes(), &text(length)].concat()
    });
    let cases = [
        ("compress", 1024),
        (r#"compress min-size="500B""#, 500),
        (r#"compress min-size="64KiB""#, 65_536),
        (r#"compress min-size="0B""#, 1),
    ];
    for (settings, least) in cases {
        let proxy = compressing(settings, &origin);
        for (length, is_compressed) in [(least - 1, false), (least, true)] {
            let target = format!("/{length}");
            let response = proxy.client().ask("GET", &target, &accepting("gzip"));
            let coding = response.header("content-encoding");
            assert_eq!(coding.is_some(), is_compressed, "{settings}: {length}");
            assert_eq!(response.header("vary").is_some(), is_compressed);
            assert!(decoded(&response) == text(length));
            assert_eq!(proxy.line_of(&target).outcome(), "ok");
        }
    }
}

#[test]
fn the_listed_types_are_compressed_and_no_others() {
    let origin = Origin::answering(|request| {
        let media_type = request.head.header("x-type").unwrap_or_default();
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\nContent-Length: 5000\r\n\r\n"
        );
        [head.as_bytes(), &text(5000)].concat()
    });
    let usual = compressing("compress", &origin);
    let own = compressing(
        r#"compress { type "application/x-own" "font/*"; type "text/event-stream" }"#,
        &origin,
    );
    for (media_type, by_default, by_own) in [
        ("text/html; charset=utf-8", true, false),
        ("TEXT/CSS", true, false),
        ("application/json", true, false),
        ("application/problem+json", true, false),
        ("image/svg+xml", true, false),
        ("application/x-own", false, true),
        ("font/ttf", true, true),
        ("font/woff2", false, true),
        ("image/png", false, false),
        ("application/octet-stream", false, false),
        ("application/grpc", false, false),
        ("application/grpc+proto", false, false),
        ("text/event-stream", false, true),
    ] {
        for (proxy, expected) in [(&usual, by_default), (&own, by_own)] {
            let wish = format!("{}X-Type: {media_type}\r\n", accepting("br"));
            let response = proxy.client().ask("GET", "/x", &wish);
            let coding = response.header("content-encoding");
            assert_eq!(coding.is_some(), expected, "{media_type}");
            assert!(decoded(&response) == text(5000), "{media_type}");
        }
    }
    assert_eq!(usual.line_of("/x").outcome(), "ok");
}

#[test]
fn what_must_not_be_changed_is_left_alone() {
    let body = text(5000);
    for lines in [
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Encoding: x-own\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nCache-Control: public, no-transform\r\n",
        "HTTP/1.1 206 Partial Content\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-4999/9000\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\n",
        "HTTP/1.1 200 OK\r\n",
    ] {
        let lines = format!("{lines}ETag: \"strong\"\r\nAccept-Ranges: bytes\r\n");
        let origin = serving(&lines, &body);
        let proxy = compressing("compress", &origin);
        let response = proxy.client().ask("GET", "/x", &accepting("gzip"));
        let coding = response.header("content-encoding");
        assert!(matches!(coding, None | Some("x-own")), "{lines}");
        assert!(response.body == body, "{lines}");
        assert_eq!(response.header("etag"), Some("\"strong\""));
        assert_eq!(response.header("accept-ranges"), Some("bytes"));
        assert_eq!(response.header("content-length"), Some("5000"));
        assert_eq!(response.header("vary"), None, "{lines}");
        assert_eq!(proxy.line_of("/x").outcome(), "ok");
    }
}

#[test]
fn responses_without_a_body_stay_so() {
    for status in ["204 No Content", "304 Not Modified"] {
        let head = format!("HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nETag: \"a\"\r\n\r\n");
        let origin = Origin::saying(head);
        let proxy = compressing(r#"compress min-size="0B""#, &origin);
        let mut client = proxy.client();
        for target in ["/x", "/y"] {
            let response = client.ask("GET", target, &accepting("gzip"));
            assert_eq!(response.header("content-encoding"), None);
            assert_eq!(response.header("etag"), Some("\"a\""));
            assert_eq!(response.header("transfer-encoding"), None);
            assert_eq!(proxy.line_of(target).outcome(), "ok");
        }
    }
}

#[test]
fn a_route_that_does_not_ask_for_it_compresses_nothing() {
    let body = text(10_000);
    let origin = serving(TEXT, &body);
    let proxy = compressing("compress", &origin);
    for (target, coding) in [("/plain/x", None), ("/x", Some("gzip"))] {
        let response = proxy.client().ask("GET", target, &accepting("gzip"));
        assert_eq!(response.header("content-encoding"), coding);
        assert_eq!(response.header("vary").is_some(), coding.is_some());
        assert!(decoded(&response) == body);
        assert_eq!(proxy.line_of(target).outcome(), "ok");
    }
}

#[test]
fn answers_of_the_proxy_itself_are_left_alone() {
    let origin = Origin::start(drop);
    let proxy = compressing(r#"compress min-size="0B""#, &origin);
    let response = proxy.client().ask("GET", "/x", &accepting("gzip"));
    assert_eq!(response.status, 502);
    assert_eq!(response.header("content-encoding"), None);
    assert_ne!(proxy.line_of("/x").outcome(), "ok");
}
