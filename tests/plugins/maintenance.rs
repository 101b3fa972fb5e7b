//! `maintenance`: who gets the page, and who passes.

use super::{filtered, filtered_http2};
use crate::harness::h2::h2_request_with;

const SHOP: &str = r#"maintenance {
    path "/shop/*"
    not { method "OPTIONS" }
    body "<h1>soon</h1>"
    content-type "text/html; charset=utf-8"
    retry-after "10m"
    except { source "10.0.0.0/8" }
    except { header "x-preview" "s3cret" }
    except { cookie "preview" "s3cret"; method "GET" }
}"#;

#[test]
fn the_page_is_sent_whole_and_nothing_reaches_the_origin() {
    let (proxy, origin) = filtered(SHOP);
    let mut client = proxy.client();
    let response = client.get("/shop/x");
    assert_eq!(
        (response.status, response.text().as_str()),
        (503, "<h1>soon</h1>")
    );
    for (name, value) in [
        ("content-type", "text/html; charset=utf-8"),
        ("retry-after", "600"),
        ("cache-control", "no-store"),
        ("content-length", "13"),
    ] {
        assert_eq!(response.head.all(name), [value], "{name}");
    }
    let head = client.ask("HEAD", "/shop/x", "");
    assert_eq!(
        (head.status, head.header("content-length")),
        (503, Some("13")),
        "a HEAD is told the same, without the page"
    );
    assert_eq!(client.post("/shop/x", "order").status, 503);
    assert_eq!(client.get("/shop/../shop/%78").status, 503);
    assert!(origin.requests().is_empty());
    assert_eq!(client.get("/other").status, 200);
    assert_eq!(client.ask("OPTIONS", "/shop/x", "").status, 200);
    let line = proxy.access_line(|line| line.status() == 503);
    assert_eq!(
        (line.outcome(), line.text("filters"), line.text("endpoint")),
        ("filter-reply", "maintenance", "")
    );
}

#[test]
fn only_those_pass_who_fit_an_exception_as_a_whole() {
    let (proxy, _origin) = filtered(SHOP);
    let mut client = proxy.client();
    for (method, headers, status) in [
        ("GET", "X-Preview: s3cret\r\n", 200),
        ("POST", "X-Preview: s3cret\r\nContent-Length: 0\r\n", 200),
        ("GET", "X-Preview: S3CRET\r\n", 503),
        ("GET", "X-Preview:\r\n", 503),
        ("GET", "X-Preview: wrong\r\nX-Preview: s3cret\r\n", 200),
        ("GET", "Cookie: a=1; preview=s3cret; b=2\r\n", 200),
        ("GET", "Cookie: preview=\"s3cret\"\r\n", 200),
        ("GET", "Cookie: preview=wrong; preview=s3cret\r\n", 200),
        ("GET", "Cookie: a=1\r\nCookie: preview=s3cret\r\n", 200),
        (
            "POST",
            "Cookie: preview=s3cret\r\nContent-Length: 0\r\n",
            503,
        ),
        ("GET", "Cookie: preview=s3cret2\r\n", 503),
        ("GET", "Cookie: xpreview=s3cret\r\n", 503),
        ("GET", "Cookie: a=preview=s3cret\r\n", 503),
        ("GET", "Cookie: a=\"; preview=s3cre\"\r\n", 503),
        ("GET", "Cookie: ;;;===\r\n", 503),
        ("GET", "Cookie: preview\r\n", 503),
        ("GET", "X-Forwarded-For: 10.0.0.1\r\n", 503),
    ] {
        let response = client.ask(method, "/shop/x", headers);
        assert_eq!(response.status, status, "{method} {headers:?}");
    }
}

#[test]
fn by_default_everything_is_down_but_for_a_network() {
    let (proxy, _origin) = filtered("maintenance");
    let response = proxy.client().get("/");
    assert_eq!(
        (response.status, response.text().as_str()),
        (503, "down for maintenance")
    );
    assert_eq!(
        response.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    assert_eq!(response.header("retry-after"), None);
    let (proxy, _origin) =
        filtered(r#"maintenance status=500 { except { source "127.0.0.0/8" } }"#);
    assert_eq!(proxy.client().get("/").status, 200);
    let (proxy, _origin) = filtered(r#"maintenance status=500 { except { source "10.0.0.0/8" } }"#);
    assert_eq!(proxy.client().get("/").status, 500);
}

#[test]
fn over_http2_a_cookie_may_come_in_crumbs() {
    let (_proxy, _origin, client) = filtered_http2(SHOP);
    for (cookies, status) in [
        (&["a=1", "preview=s3cret"][..], 200),
        (&["a=1", "preview=wrong"], 503),
        (&[], 503),
    ] {
        let headers: Vec<_> = cookies.iter().map(|cookie| ("cookie", *cookie)).collect();
        let response = client.ask(h2_request_with("GET", "/shop/x", &headers));
        assert_eq!(response.status, status, "{cookies:?}");
    }
}
