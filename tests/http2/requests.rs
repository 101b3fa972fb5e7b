//! What of an HTTP/2 request arrives at an origin that speaks HTTP/1.1, and what does not.

use super::{as_told, before_h1, client, ended, pattern};
use crate::harness::h2::frames::{self, DATA, END_STREAM, GOAWAY, HEADERS, RST_STREAM};
use crate::harness::h2::{h2_request, h2_request_with};
use crate::harness::{Client, Head, Origin, Proxy};
use ::h2::Reason;

const PROTOCOL_ERROR: u32 = 1;

fn echoed(text: &str) -> Head {
    Head::parse(text.as_bytes())
}

#[test]
fn a_request_arrives_as_one_of_http1() {
    let origin = Origin::echo();
    let proxy = Proxy::before(&origin);
    let client = client(&proxy);
    let request = h2_request_with(
        "GET",
        "/path?query=1",
        &[
            ("x-one", "1"),
            ("x-many", "a"),
            ("x-many", "b"),
            ("te", "trailers"),
            ("host", "TEST"),
        ],
    );
    let head = echoed(&client.ask(request).text());
    assert_eq!(head.start_line, "GET /path?query=1 HTTP/1.1");
    assert_eq!(head.all("host"), ["test"]);
    assert_eq!(head.header("x-one"), Some("1"));
    assert_eq!(head.all("x-many"), ["a", "b"]);
    assert_eq!(head.header("te"), Some("trailers"));
    assert_eq!(head.header("content-length"), None);
    assert_eq!(head.header("transfer-encoding"), None);
    assert_eq!(head.header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(ended(&proxy, "/path?query=1"), as_told("ok", 200));
}

#[test]
fn an_authority_and_a_host_that_differ_are_refused() {
    let origin = Origin::echo();
    let proxy = Proxy::before(&origin);
    let client = client(&proxy);
    let request = h2_request_with("GET", "/", &[("host", "other")]);
    assert_eq!(client.ask(request).status, 400);
    let line = proxy.access_line(|_| true);
    assert_eq!((line.outcome(), line.status()), ("bad-request", 400));
    // It is the stream that is refused, not the connection.
    assert_eq!(client.get("/next").status, 200);
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn a_host_alone_is_enough_and_none_is_not() {
    let origin = Origin::echo();
    let proxy = Proxy::before(&origin);
    let mut client = proxy.client();
    client.send(frames::preface());
    let pseudo = [(":method", "GET"), (":scheme", "http"), (":path", "/alone")];
    let named = [&pseudo[..], &[("host", "named")]].concat();
    for (stream, fields) in [(1, &named[..]), (3, &pseudo[..])] {
        let flags = frames::END_HEADERS | END_STREAM;
        client.send(frames::frame(
            HEADERS,
            flags,
            stream,
            &frames::block(fields),
        ));
        let answer = frames::next_of(&mut client, HEADERS).expect("an answer");
        let status = if stream == 1 { 0x88 } else { 0x8c };
        assert_eq!((answer.stream, answer.payload[0]), (stream, status));
    }
    assert_eq!(proxy.line_of("/alone").text("host"), "named");
    assert_eq!(origin.request(0).head.header("host"), Some("named"));
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn crumbs_of_cookies_become_one_header() {
    let origin = Origin::echo();
    let proxy = Proxy::before(&origin);
    let crumbs = [("cookie", "a=1"), ("x", "y"), ("cookie", "b=2; c=3")];
    let response = client(&proxy).ask(h2_request_with("GET", "/", &crumbs));
    let head = echoed(&response.text());
    assert_eq!(head.all("cookie"), ["a=1; b=2; c=3"]);
    assert_eq!(ended(&proxy, "/"), as_told("ok", 200));
}

/// The reason of the reset of stream 1, which carries this request; a later stream is served.
fn reset_of(proxy: &Proxy, request: Vec<u8>) -> u32 {
    let mut client: Client = proxy.client();
    client.send([frames::preface(), request.clone()].concat());
    let Some(reset) = frames::next_of(&mut client, RST_STREAM) else {
        panic!("no reset: {:?}", String::from_utf8_lossy(&request))
    };
    assert_eq!(reset.stream, 1);
    client.send(frames::get(3, "/later"));
    let later = frames::next_of(&mut client, HEADERS).expect("an answer");
    assert_eq!((later.stream, later.payload[0]), (3, 0x88));
    reset.reason()
}

#[test]
fn what_http2_does_not_know_is_reset_and_never_forwarded() {
    let origin = Origin::named("here");
    let proxy = Proxy::before(&origin);
    let cases: [(&str, &str); 7] = [
        ("connection", "keep-alive"),
        ("connection", "x-secret"),
        ("proxy-connection", "close"),
        ("keep-alive", "1"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "websocket"),
        ("te", "gzip"),
    ];
    for (name, value) in cases {
        let request = frames::request(1, "GET", "/bad", &[(name, value)], END_STREAM);
        assert_eq!(reset_of(&proxy, request), PROTOCOL_ERROR, "{name}: {value}");
    }
    for path in ["", "bad", "http://bad/"] {
        let request = frames::request(1, "GET", path, &[], END_STREAM);
        assert_eq!(reset_of(&proxy, request), PROTOCOL_ERROR, "{path}");
    }
    let seen = origin.requests();
    assert!(seen.iter().all(|request| request.head.target() == "/later"));
    assert_eq!(seen.len(), cases.len() + 3);
}

#[test]
fn names_and_values_that_no_header_can_have_end_the_connection() {
    let origin = Origin::named("here");
    let proxy = Proxy::before(&origin);
    for (name, value) in [("X-Upper", "1"), ("x-line", "a\r\nx: y"), ("x-nul", "a\0b")] {
        let mut client = proxy.client();
        let request = frames::request(1, "GET", "/bad", &[(name, value)], END_STREAM);
        client.send([frames::preface(), request].concat());
        let goodbye = frames::next_of(&mut client, GOAWAY).expect("GOAWAY");
        assert_ne!(goodbye.reason(), 0, "{name}");
    }
    assert!(origin.requests().is_empty());
}

/// Whether the first stream is refused, in whatever way: reset, with the connection, or by a 4xx or 5xx.
fn is_refused(proxy: &Proxy, fields: &[(&str, &str)]) -> bool {
    let mut client = proxy.client();
    let flags = frames::END_HEADERS | END_STREAM;
    let request = frames::frame(HEADERS, flags, 1, &frames::block(fields));
    client.send([frames::preface(), request].concat());
    while let Some(frame) = frames::next(&mut client) {
        match frame.kind {
            RST_STREAM | GOAWAY => return true,
            // :status 400, 404 and 500 are in the static table; others are spelled out.
            HEADERS => return !matches!(frame.payload[0], 0x88..=0x8b),
            _ => {}
        }
    }
    false
}

#[test]
fn pseudo_headers_stand_first_and_once_and_are_the_known_ones() {
    let origin = Origin::named("here");
    let proxy = Proxy::before(&origin);
    let (method, scheme) = ((":method", "GET"), (":scheme", "http"));
    let (authority, path) = ((":authority", "test"), (":path", "/x"));
    for fields in [
        &[method, scheme, authority, path, path][..],
        &[method, scheme, authority, path, (":path", "/y")],
        &[method, method, scheme, authority, path],
        &[method, scheme, authority, (":authority", "other"), path],
        &[method, scheme, authority, path, (":other", "1")],
        &[method, scheme, authority, path, (":status", "200")],
        &[method, scheme, authority, ("x-early", "1"), path],
        &[scheme, authority, path],
        &[method, authority, path],
        &[method, scheme, authority],
        &[method, scheme, authority, path, (":protocol", "websocket")],
    ] {
        assert!(is_refused(&proxy, fields), "{fields:?}");
    }
    assert!(!is_refused(&proxy, &[method, scheme, authority, path]));
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn no_part_of_a_head_can_become_another_line() {
    const MORE: &str = " HTTP/1.1\r\nHost: a\r\nX: smuggled";
    let origin = Origin::named("here");
    let proxy = Proxy::before(&origin);
    let with_more = |text: &str| format!("{text}{MORE}");
    let [path, authority, method, scheme, value] =
        ["/x", "test", "GET", "http", "1"].map(with_more);
    let (method_ok, path_ok) = ((":method", "GET"), (":path", "/x"));
    let (scheme_ok, authority_ok) = ((":scheme", "http"), (":authority", "test"));
    for fields in [
        &[method_ok, scheme_ok, authority_ok, (":path", &*path)][..],
        &[method_ok, scheme_ok, authority_ok, (":path", "/x y")],
        &[method_ok, scheme_ok, authority_ok, (":path", "/x\ty")],
        &[method_ok, scheme_ok, authority_ok, (":path", "/x\0y")],
        &[method_ok, scheme_ok, (":authority", &*authority), path_ok],
        &[method_ok, scheme_ok, (":authority", "a b"), path_ok],
        &[method_ok, scheme_ok, (":authority", "user@test"), path_ok],
        &[method_ok, scheme_ok, (":authority", "a/b"), path_ok],
        &[method_ok, scheme_ok, (":authority", "a, b"), path_ok],
        &[(":method", &*method), scheme_ok, authority_ok, path_ok],
        &[(":method", "G T"), scheme_ok, authority_ok, path_ok],
        &[(":method", ""), scheme_ok, authority_ok, path_ok],
        &[method_ok, (":scheme", &*scheme), authority_ok, path_ok],
        &[method_ok, scheme_ok, authority_ok, path_ok, ("x", &*value)],
        &[method_ok, scheme_ok, authority_ok, path_ok, ("x y", "1")],
        &[method_ok, scheme_ok, authority_ok, path_ok, ("x:y", "1")],
        &[method_ok, scheme_ok, authority_ok, path_ok, ("", "1")],
        &[
            method_ok,
            scheme_ok,
            authority_ok,
            path_ok,
            ("cookie", "a\r\nb: c"),
        ],
    ] {
        assert!(is_refused(&proxy, fields), "{fields:?}");
    }
    assert_eq!(origin.connections(), 0);
}

#[test]
fn a_length_is_kept_and_a_body_without_one_is_chunked() {
    let origin = Origin::echo();
    let proxy = Proxy::before(&origin);
    let client = client(&proxy);
    let mut known = client.open(h2_request_with("POST", "/", &[("content-length", "6")]));
    known.send("foo", false);
    known.send("bar", true);
    assert!(known.rest().text().ends_with("\r\n\r\nfoobar"));
    let mut unknown = client.open(h2_request("POST", "/"));
    unknown.send("foo", false);
    unknown.send("bar", true);
    assert!(unknown.rest().text().ends_with("\r\n\r\nfoobar"));
    let heads = [origin.request(0).head, origin.request(1).head];
    let framing = heads.each_ref().map(|head| {
        (
            head.header("content-length"),
            head.header("transfer-encoding"),
        )
    });
    assert_eq!(framing, [(Some("6"), None), (None, Some("chunked"))]);
}

#[test]
fn empty_bodies_are_empty() {
    let origin = Origin::echo();
    let proxy = Proxy::before(&origin);
    let client = client(&proxy);
    client.ask(h2_request("POST", "/none"));
    client.post("/empty", "");
    client.ask(h2_request("GET", "/get"));
    client.ask(h2_request_with("POST", "/zero", &[("content-length", "0")]));
    let of = |index: usize| origin.request(index).head;
    assert_eq!(of(0).header("content-length"), Some("0"));
    assert_eq!(of(1).header("transfer-encoding"), Some("chunked"));
    assert_eq!(of(2).header("content-length"), None);
    assert_eq!(of(3).header("content-length"), Some("0"));
    for (index, target) in ["/none", "/empty", "/get", "/zero"].iter().enumerate() {
        let request = origin.request(index);
        assert_eq!(
            (request.head.target(), &request.body[..]),
            (*target, &b""[..])
        );
        assert_eq!(ended(&proxy, target), as_told("ok", 200));
    }
}

#[test]
fn a_body_that_is_not_as_long_as_it_says_is_reset_and_smuggles_nothing() {
    let origin = Origin::named("here");
    let proxy = Proxy::before(&origin);
    let next = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    for (length, body) in [("60", "short"), ("3", next), ("0", next)] {
        let head = frames::request(1, "POST", "/x", &[("content-length", length)], 0);
        let data = frames::frame(DATA, END_STREAM, 1, body.as_bytes());
        assert_eq!(reset_of(&proxy, [head, data].concat()), PROTOCOL_ERROR);
    }
    // With the end in the head, too.
    let head = frames::request(1, "POST", "/x", &[("content-length", "5")], END_STREAM);
    assert_eq!(reset_of(&proxy, head), PROTOCOL_ERROR);
    for request in origin.requests() {
        // One that says it has no body is whole with its head.
        let is_bodiless = request.head.header("content-length") == Some("0");
        assert!(request.head.target() == "/later" || !request.complete || is_bodiless);
    }
    let received = (0..origin.connections()).flat_map(|number| origin.received(number));
    let received: Vec<u8> = received.collect();
    assert!(!String::from_utf8_lossy(&received).contains("smuggled HTTP"));
}

#[test]
fn lengths_that_contradict_each_other_are_reset() {
    let origin = Origin::named("here");
    let proxy = Proxy::before(&origin);
    for (one, other) in [("3", "4"), ("3", "03x"), ("-1", "-1"), ("3, 3", "3")] {
        let lengths = [("content-length", one), ("content-length", other)];
        let head = frames::request(1, "POST", "/x", &lengths, 0);
        let data = frames::frame(DATA, END_STREAM, 1, b"abc");
        let mut client = proxy.client();
        client.send([frames::preface(), head, data].concat());
        let refused = loop {
            let frame = frames::next(&mut client).expect("an answer");
            match frame.kind {
                RST_STREAM => break true,
                // :status 400
                HEADERS => break frame.payload[0] == 0x8c,
                _ => {}
            }
        };
        assert!(refused, "{one} and {other}");
    }
    assert!(origin.requests().is_empty());
}

#[test]
fn trailers_of_a_request_arrive() {
    let origin = Origin::named("here");
    let proxy = Proxy::before(&origin);
    let client = client(&proxy);
    let mut stream = client.open(h2_request_with("POST", "/", &[("te", "trailers")]));
    stream.send("body", false);
    stream.send_trailers(&[("x-sum", "7"), ("x-more", "8")]);
    assert_eq!(stream.rest().text(), "here");
    let request = origin.request(0);
    assert_eq!(request.body, b"body");
    let trailers = request.trailers.iter();
    let trailers: Vec<_> = trailers.map(|(name, value)| (&**name, &**value)).collect();
    assert_eq!(trailers, [("x-sum", "7"), ("x-more", "8")]);
    assert_eq!(ended(&proxy, "/"), as_told("ok", 200));
}

#[test]
fn several_mebibytes_arrive_to_the_byte() {
    let origin = Origin::answering(|request| {
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
            request.body.len()
        );
        [head.as_bytes(), &request.body].concat()
    });
    let proxy = Proxy::before(&origin);
    let client = client(&proxy);
    let body = pattern(6 << 20);
    let length = body.len().to_string();
    for headers in [&[][..], &[("content-length", &*length)]] {
        let mut stream = client.open(h2_request_with("POST", "/big", headers));
        assert!(stream.send(&body, true));
        let response = stream.rest();
        assert!(response.body == body && response.error.is_none());
        assert_eq!(response.header("content-length"), Some(&*length));
    }
    assert!(origin.request(0).body == body && origin.request(1).body == body);
    assert_eq!(ended(&proxy, "/big"), as_told("ok", 200));
}

#[test]
fn the_rules_of_paths_and_headers_hold() {
    let origin = Origin::echo();
    let proxy = Proxy::before(&origin);
    let client = client(&proxy);
    for (sent, forwarded) in [
        ("/a/./b", "/a/b"),
        ("/a/../b", "/b"),
        ("/a/%2e%2e/b", "/b"),
        ("//a///b", "/a/b"),
        ("/%61%2D%7e", "/a-~"),
        ("/a?x=/../%61//", "/a?x=/../%61//"),
    ] {
        let head = echoed(&client.get(sent).text());
        assert_eq!(head.target(), forwarded, "{sent}");
        assert_eq!(ended(&proxy, forwarded), as_told("ok", 200));
    }
    for path in ["/..", "/a%2fb", "/a%00", "/a%", "/..;/b"] {
        assert_eq!(client.get(path).status, 400, "{path}");
    }
    let request = h2_request_with("GET", "/", &[("x_user", "1"), ("x-user", "2")]);
    let head = echoed(&client.ask(request).text());
    assert_eq!(
        (head.header("x_user"), head.header("x-user")),
        (None, Some("2"))
    );
}

#[test]
fn routes_look_at_the_authority_and_the_normal_path() {
    let text = r#"
        listener "web" "127.0.0.1:0" {
            route "host" host="named.test" { respond 200 body="host" }
            route "admin" path="/admin/*" { respond 401 }
            route "rest" { respond 200 body="rest" }
        }"#;
    let proxy = Proxy::start(text);
    let client = client(&proxy);
    let mut named = h2_request("GET", "/named");
    *named.uri_mut() = "http://Named.Test:80/named".parse().expect("a URI");
    assert_eq!(client.ask(named).text(), "host");
    assert_eq!(client.get("/x/..//admin/%61").status, 401);
    assert_eq!(client.get("/rest").text(), "rest");
    let line = proxy.line_of("/rest");
    assert_eq!(
        (line.outcome(), line.text("route")),
        ("route-reply", "rest")
    );
}

#[test]
fn heads_that_are_too_large_are_answered_with_431() {
    let origin = Origin::named("here");
    let limits = "limits header-bytes-max=\"4KiB\" headers-max=10";
    let proxy = before_h1(limits, "", &origin);
    let client = client(&proxy);
    let long = "x".repeat(5000);
    let large = h2_request_with("GET", "/large", &[("x-long", &long)]);
    assert_eq!(client.ask(large).status, 431);
    let names: Vec<String> = (0..11).map(|number| format!("x-{number}")).collect();
    let many: Vec<_> = names.iter().map(|name| (&**name, "1")).collect();
    assert_eq!(
        client.ask(h2_request_with("GET", "/many", &many)).status,
        431
    );
    // With the host just as many as there may be.
    assert_eq!(
        client
            .ask(h2_request_with("GET", "/fits", &many[..9]))
            .text(),
        "here"
    );
    let refused = proxy.access_line(|line| line.status() == 431);
    assert_eq!(refused.outcome(), "bad-request");
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn a_body_beyond_the_limit_is_answered_with_413() {
    let origin = Origin::named("here");
    let proxy = before_h1("limits body-bytes-max=\"10B\"", "", &origin);
    let client = client(&proxy);
    let mut known = client.open(h2_request_with(
        "POST",
        "/known",
        &[("content-length", "11")],
    ));
    assert_eq!(known.head().expect("an answer").status(), 413);
    assert_eq!(ended(&proxy, "/known"), as_told("body-too-large", 413));
    let mut unknown = client.open(h2_request("POST", "/unknown"));
    unknown.send("12345678901", false);
    assert_eq!(unknown.head().expect("an answer").status(), 413);
    assert_eq!(ended(&proxy, "/unknown"), as_told("body-too-large", 413));
    assert_eq!(client.post("/fits", "1234567890").text(), "here");
}

#[test]
fn connect_is_refused() {
    let origin = Origin::named("here");
    let proxy = Proxy::before(&origin);
    let client = client(&proxy);
    let mut request = ::http::Request::new(());
    *request.method_mut() = ::http::Method::CONNECT;
    *request.uri_mut() = "other.test:443".parse().expect("an authority");
    let response = client.begin(request, false).rest();
    assert_eq!(response.status, 405);
    let line = proxy.access_line(|_| true);
    assert_eq!((line.outcome(), line.status()), ("connect-refused", 405));
    assert_eq!(origin.connections(), 0);
}

#[test]
fn filters_are_told_of_http2_and_change_what_passes() {
    let origin = Origin::echo();
    let filters = r#"filters { headers {
        request { set "x-where" "{scheme}|{host}|{protocol}" }
        response { set "x-answered" "{status}" }
    } }"#;
    let proxy = before_h1(filters, "", &origin);
    let response = client(&proxy).get("/filtered");
    let head = echoed(&response.text());
    assert_eq!(head.header("x-where"), Some("http|test|HTTP/2"));
    assert_eq!(response.header("x-answered"), Some("200"));
    assert_eq!(ended(&proxy, "/filtered"), as_told("ok", 200));
}

#[test]
fn a_filter_denies_one_stream_and_the_others_go_on() {
    let origin = Origin::named("here");
    let filters = r#"filters { acl { rule "deny" { method "POST" } } }"#;
    let proxy = before_h1(filters, "", &origin);
    let client = client(&proxy);
    let mut denied = client.open(h2_request("POST", "/denied"));
    denied.send("a part", false);
    let head = denied.head().expect("an answer");
    assert_eq!(head.status(), 403);
    let rest = denied.rest_behind(head);
    assert!(matches!(rest.reset(), None | Some(Reason::NO_ERROR)));
    assert_eq!(ended(&proxy, "/denied"), as_told("filter-reply", 403));
    assert_eq!(client.get("/fine").text(), "here");
}
