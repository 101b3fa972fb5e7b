//! What of an HTTP/1.1 response arrives at a downstream that speaks HTTP/2.

use super::{as_told, client, ended, pattern};
use crate::harness::h2::{h2_request, h2_request_with};
use crate::harness::{Gate, Origin, Proxy};
use ::h2::Reason;

#[test]
fn headers_of_one_connection_are_left_out_and_others_arrive() {
    let origin = Origin::saying(
        "HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Named\r\nKeep-Alive: timeout=5\r\nX-Named: 1\r\nProxy-Connection: x\r\n\
        X-Kept: 2\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 2\r\n\r\nok",
    );
    let proxy = Proxy::before(&origin);
    let response = client(&proxy).get("/");
    for name in ["connection", "keep-alive", "x-named", "proxy-connection"] {
        assert_eq!(response.header(name), None, "{name}");
    }
    assert_eq!(response.header("x-kept"), Some("2"));
    assert_eq!(response.header("content-length"), Some("2"));
    let cookies: Vec<_> = response.headers.get_all("set-cookie").iter().collect();
    assert_eq!(cookies, ["a", "b"]);
    assert_eq!(ended(&proxy, "/"), as_told("ok", 200));
}

#[test]
fn chunks_become_data_and_trailers_arrive() {
    let origin = Origin::saying(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3\r\nfoo\r\n3\r\nbar\r\n0\r\nX-Sum: 7\r\n\r\n",
    );
    let proxy = Proxy::before(&origin);
    let response = client(&proxy).get("/");
    assert_eq!(response.text(), "foobar");
    assert_eq!(response.trailer("x-sum"), Some("7"));
    assert_eq!(response.header("transfer-encoding"), None);
    assert_eq!(response.header("trailer"), Some("X-Sum"));
    assert_eq!(ended(&proxy, "/"), as_told("ok", 200));
}

#[test]
fn a_body_that_ends_with_its_connection_ends_the_stream() {
    let origin = Origin::start(|mut peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\n\r\nuntil the end");
    });
    let proxy = Proxy::before(&origin);
    let response = client(&proxy).get("/");
    assert_eq!(response.text(), "until the end");
    assert!(response.error.is_none());
    assert_eq!(ended(&proxy, "/"), as_told("ok", 200));
}

#[test]
fn answers_without_a_body_have_none() {
    let origin = Origin::answering(|request| match request.head.target() {
        "/204" => "HTTP/1.1 204 No Content\r\n\r\n".into(),
        "/304" => "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\nETag: x\r\n\r\n".into(),
        "/head" => "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n".into(),
        _ => "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".into(),
    });
    let proxy = Proxy::before(&origin);
    let client = client(&proxy);
    for (method, path, status, length) in [
        ("GET", "/204", 204, None),
        ("GET", "/304", 304, Some("9")),
        ("HEAD", "/head", 200, Some("1234")),
        ("GET", "/empty", 200, Some("0")),
    ] {
        let response = client.ask(h2_request(method, path));
        assert!(response.error.is_none(), "{path}: {:?}", response.error);
        assert_eq!(
            (response.status, response.body.len()),
            (status, 0),
            "{path}"
        );
        assert_eq!(response.header("content-length"), length, "{path}");
        assert_eq!(ended(&proxy, path), as_told("ok", i64::from(status)));
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn early_hints_arrive_before_the_answer() {
    let seen = Gate::default();
    let gate = seen.clone();
    let origin = Origin::start(move |mut peer| {
        peer.request();
        peer.send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </b.css>\r\n\r\n");
        gate.wait();
        peer.answer("page");
        peer.request();
    });
    let proxy = Proxy::before(&origin);
    let client = client(&proxy);
    let mut stream = client.begin(h2_request("GET", "/"), true);
    for link in ["</a.css>", "</b.css>"] {
        let hint = stream.interim().expect("a hint");
        assert_eq!(hint.status(), 103);
        assert_eq!(hint.headers()["link"], link);
    }
    seen.open();
    let response = stream.rest();
    assert_eq!(
        (response.text().as_str(), response.header("link")),
        ("page", None)
    );
    assert_eq!(ended(&proxy, "/"), as_told("ok", 200));
}

#[test]
fn the_origin_says_whether_the_body_is_wanted() {
    let origin = Origin::start(|mut peer| {
        let head = peer.head().expect("a request");
        assert_eq!(head.header("expect"), Some("100-continue"));
        peer.send("HTTP/1.1 100 Continue\r\n\r\n");
        let request = peer.finish_request(head);
        peer.answer(&String::from_utf8_lossy(&request.body));
        peer.request();
    });
    let proxy = Proxy::before(&origin);
    let client = client(&proxy);
    let headers = [("expect", "100-continue"), ("content-length", "4")];
    let mut stream = client.open(h2_request_with("POST", "/upload", &headers));
    let interim = stream.interim().expect("100");
    assert_eq!(interim.status(), 100);
    stream.send("body", true);
    assert_eq!(stream.rest().text(), "body");
    assert_eq!(ended(&proxy, "/upload"), as_told("ok", 200));
}

#[test]
fn an_answer_arrives_before_the_upload_has_ended() {
    let origin = Origin::start(|mut peer| {
        peer.head();
        peer.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nno!");
        peer.is_at_end();
    });
    let proxy = Proxy::before(&origin);
    let client = client(&proxy);
    let mut stream = client.open(h2_request("POST", "/upload"));
    stream.send("a first part", false);
    let head = stream.head().expect("an answer");
    assert_eq!(head.status(), 413);
    let response = stream.rest_behind(head);
    assert_eq!(response.text(), "no!");
    // "Stop sending", or nothing: the answer is whole (RFC 9113 section 8.1).
    assert!(matches!(response.reset(), None | Some(Reason::NO_ERROR)));
    assert_eq!(ended(&proxy, "/upload"), as_told("ok", 413));
    origin.wait_for_ends(1);
}

#[test]
fn a_response_that_breaks_off_is_reset_and_not_ended() {
    let seen = Gate::default();
    let gate = seen.clone();
    let origin = Origin::start(move |mut peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        gate.wait();
    });
    let proxy = Proxy::before(&origin);
    let client = client(&proxy);
    let mut stream = client.begin(h2_request("GET", "/"), true);
    let head = stream.head().expect("an answer");
    assert_eq!(stream.take(4), b"half");
    seen.open();
    let rest = stream.rest_behind(head);
    assert_eq!((rest.status, rest.text().as_str()), (200, ""));
    assert!(
        rest.reset()
            .is_some_and(|reason| reason != Reason::NO_ERROR)
    );
    assert_eq!(ended(&proxy, "/"), as_told("upstream-aborted", 200));
}

#[test]
fn what_came_before_the_break_arrives() {
    let origin = Origin::start(|mut peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    });
    let proxy = Proxy::before(&origin);
    let client = client(&proxy);
    for number in 0..50 {
        let path = format!("/{number}");
        let response = client.get(&path);
        assert_eq!((response.status, response.text().as_str()), (200, "half"));
        assert!(
            response
                .reset()
                .is_some_and(|reason| reason != Reason::NO_ERROR)
        );
        assert_eq!(ended(&proxy, &path), as_told("upstream-aborted", 200));
    }
}

#[test]
fn several_mebibytes_of_unknown_length_arrive_to_the_byte() {
    let body = pattern(5 << 20);
    let sent = body.clone();
    let origin = Origin::start(move |mut peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        for part in sent.chunks(100_000) {
            peer.send([format!("{:x}\r\n", part.len()).as_bytes(), part, b"\r\n"].concat());
        }
        peer.send("0\r\n\r\n");
        peer.request();
    });
    let proxy = Proxy::before(&origin);
    let response = client(&proxy).get("/");
    assert!(response.error.is_none());
    assert!(response.body == body);
    assert_eq!(ended(&proxy, "/"), as_told("ok", 200));
}

#[test]
fn answers_of_the_proxy_itself_are_answers_of_http2() {
    let text = r#"
        listener "web" "127.0.0.1:0" {
            route path="/fixed" { respond 418 body="teapot" }
            route path="/moved" { redirect "http://else.test/" status=308 }
        }"#;
    let proxy = Proxy::start(text);
    let client = client(&proxy);
    let fixed = client.get("/fixed");
    assert_eq!((fixed.status, fixed.text().as_str()), (418, "teapot"));
    let moved = client.get("/moved");
    assert_eq!(
        (moved.status, moved.header("location")),
        (308, Some("http://else.test/"))
    );
    assert_eq!(client.get("/none").status, 404);
    assert_eq!(ended(&proxy, "/fixed"), as_told("route-reply", 418));
    assert_eq!(ended(&proxy, "/moved"), as_told("route-reply", 308));
    assert_eq!(ended(&proxy, "/none"), as_told("no-route", 404));
}
