//! What the head of a compressed response says.

use super::{TEXT, accepting, compressing, decoded, serving, text};
use crate::harness::{Origin, Proxy, config};

#[test]
fn the_head_says_nothing_that_is_no_longer_true() {
    let head = format!(
        "{TEXT}ETag: \"abc\"\r\nAccept-Ranges: bytes\r\nContent-MD5: x\r\nRepr-Digest: sha-256=:eA==:\r\nLast-Modified: Sat, 01 Jan 2000 00:00:00 GMT\r\n"
    );
    let origin = serving(&head, text(5000));
    let proxy = compressing("compress", &origin);
    let response = proxy.client().ask("GET", "/x", &accepting("gzip"));
    for (name, expected) in [
        ("content-encoding", Some("gzip")),
        ("vary", Some("Accept-Encoding")),
        ("etag", Some("W/\"abc\"")),
        ("content-length", None),
        ("transfer-encoding", Some("chunked")),
        ("accept-ranges", None),
        ("content-md5", None),
        ("repr-digest", None),
        ("content-type", Some("text/plain")),
        ("last-modified", Some("Sat, 01 Jan 2000 00:00:00 GMT")),
    ] {
        assert_eq!(response.header(name), expected, "{name}");
    }
    assert_eq!(proxy.line_of("/x").outcome(), "ok");
}

#[test]
fn a_weak_etag_stays_and_vary_is_added_to() {
    for (sent, vary) in [
        ("Vary: Origin\r\n", vec!["Origin", "Accept-Encoding"]),
        (
            "Vary: origin, accept-encoding\r\n",
            vec!["origin, accept-encoding"],
        ),
        ("Vary: *\r\n", vec!["*"]),
    ] {
        let origin = serving(&format!("{TEXT}ETag: W/\"abc\"\r\n{sent}"), text(5000));
        let proxy = compressing("compress", &origin);
        let response = proxy.client().ask("GET", "/x", &accepting("gzip"));
        assert_eq!(response.header("content-encoding"), Some("gzip"));
        assert_eq!(response.header("etag"), Some("W/\"abc\""));
        assert_eq!(response.head.all("vary"), vary);
        assert_eq!(proxy.line_of("/x").outcome(), "ok");
    }
}

#[test]
fn the_answer_to_head_says_what_get_would_have_said() {
    let head = format!("{TEXT}ETag: \"abc\"\r\nContent-Length: 5000\r\n\r\n");
    let origin = Origin::answering(move |request| match request.head.method() {
        "HEAD" => head.clone().into_bytes(),
        _ => [head.as_bytes(), &text(5000)].concat(),
    });
    let proxy = compressing("compress", &origin);
    let mut client = proxy.client();
    let of_head = client.ask("HEAD", "/head", &accepting("br"));
    // On the same connection: nothing came behind the head.
    let of_get = client.ask("GET", "/get", &accepting("br"));
    assert_eq!(decoded(&of_get), text(5000));
    for name in [
        "content-encoding",
        "vary",
        "etag",
        "content-type",
        "content-length",
    ] {
        assert_eq!(of_head.header(name), of_get.header(name), "{name}");
    }
    assert_eq!(of_head.header("content-encoding"), Some("br"));
    for target in ["/head", "/get"] {
        assert_eq!(proxy.line_of(target).outcome(), "ok");
    }
}

#[test]
fn what_response_filters_say_stays_and_counts() {
    let body = text(5000);
    let origin = serving(
        "HTTP/1.1 200 OK\r\nContent-Type: x/y\r\nETag: \"abc\"\r\n",
        &body,
    );
    let proxy = Proxy::start(&config(
        r#"
        listener "web" "127.0.0.1:0" {
            filters { headers { response { set "x-by" "listener" } } }
            route path="/no/*" {
                compress
                filters { headers { response { set "cache-control" "no-transform"; set "content-type" "text/html" } } }
                cluster "origin"
            }
            route {
                compress
                filters { headers { response { set "content-type" "text/html"; set "vary" "Origin" } } }
                cluster "origin"
            }
        }
        cluster "origin" { endpoint "ORIGIN" }
        "#,
        &[("ORIGIN", &origin)],
    ));
    for (target, coding, vary) in [
        ("/x", Some("zstd"), vec!["Origin", "Accept-Encoding"]),
        ("/no/x", None, vec![]),
    ] {
        let response = proxy.client().ask("GET", target, &accepting("zstd"));
        assert_eq!(response.header("content-encoding"), coding, "{target}");
        assert_eq!(response.header("x-by"), Some("listener"));
        assert_eq!(response.header("content-type"), Some("text/html"));
        assert_eq!(response.head.all("vary"), vary);
        assert!(decoded(&response) == body);
        assert_eq!(proxy.line_of(target).outcome(), "ok");
    }
}

#[test]
fn the_origin_still_hears_what_the_client_accepts() {
    let origin = Origin::echo();
    let proxy = compressing("compress", &origin);
    let seen = proxy
        .client()
        .ask("GET", "/x", &accepting("gzip;q=0.3, br"));
    assert_eq!(
        seen.echoed().header("accept-encoding"),
        Some("gzip;q=0.3, br")
    );
    assert_eq!(proxy.line_of("/x").outcome(), "ok");
}
