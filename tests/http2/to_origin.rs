//! What an origin that speaks HTTP/2 gets of a request, and what a downstream of HTTP/1.1 or HTTP/2 gets of its answer.

use super::{as_told, before_h2, client, ended, pattern};
use crate::harness::h2::{H2Origin, h2_request, h2_request_with};
use crate::harness::{Gate, Origin, Proxy, config};

#[test]
fn a_request_of_http1_arrives_as_one_of_http2() {
    let origin = H2Origin::named("here");
    let proxy = before_h2("", &origin);
    let headers = "Host: Named.Test:81\r\nConnection: keep-alive, X-Named\r\nX-Named: 1\r\nKeep-Alive: 5\r\nX-Kept: 2\r\n\
        Cookie: a=1; b=2\r\nTE: trailers, gzip\r\nProxy-Connection: x\r\n";
    let response = proxy.client().ask("GET", "/a/../b?c=d", headers);
    assert_eq!((response.status, response.text().as_str()), (200, "here"));
    let seen = origin.request(0);
    assert_eq!(seen.method, "GET");
    assert_eq!(seen.uri.to_ascii_lowercase(), "http://named.test:81/b?c=d");
    for name in [
        "host",
        "connection",
        "x-named",
        "keep-alive",
        "proxy-connection",
        "content-length",
    ] {
        assert!(!seen.headers.contains_key(name), "{name}");
    }
    assert_eq!(seen.headers["x-kept"], "2");
    assert_eq!(seen.headers["cookie"], "a=1; b=2");
    assert_eq!(seen.headers["te"], "trailers");
    assert_eq!(seen.headers["x-forwarded-for"], "127.0.0.1");
    assert_eq!(ended(&proxy, "/b?c=d"), as_told("ok", 200));
}

#[test]
fn an_answer_of_http2_arrives_as_one_of_http1() {
    let origin = H2Origin::start(|mut exchange| match exchange.path() {
        "/known" => {
            exchange.head(
                200,
                &[
                    ("content-length", "5"),
                    ("x-one", "1"),
                    ("set-cookie", "a"),
                    ("set-cookie", "b"),
                ],
                false,
            );
            exchange.send("known", true);
        }
        "/unknown" => {
            exchange.head(201, &[], false);
            exchange.send("un", false);
            exchange.send("known", true);
        }
        "/trailers" => {
            exchange.head(200, &[], false);
            exchange.send("body", false);
            exchange.send_trailers(&[("x-sum", "7")]);
        }
        "/204" => {
            exchange.head(204, &[], true);
        }
        "/304" => {
            exchange.head(304, &[("content-length", "9")], true);
        }
        "/head" => {
            exchange.head(200, &[("content-length", "1234")], true);
        }
        _ => {
            exchange.head(200, &[], true);
        }
    });
    let proxy = before_h2("", &origin);
    let mut client = proxy.client();
    let known = client.get("/known");
    assert_eq!((known.status, known.text().as_str()), (200, "known"));
    assert_eq!(known.header("content-length"), Some("5"));
    assert_eq!(known.head.all("set-cookie"), ["a", "b"]);
    let unknown = client.get("/unknown");
    assert_eq!((unknown.status, unknown.text().as_str()), (201, "unknown"));
    assert_eq!(unknown.header("transfer-encoding"), Some("chunked"));
    let trailers = client.get("/trailers");
    assert_eq!(trailers.text(), "body");
    assert_eq!(trailers.trailers, [("x-sum".to_owned(), "7".to_owned())]);
    assert_eq!(client.get("/204").status, 204);
    let unmodified = client.get("/304");
    assert_eq!(
        (unmodified.status, unmodified.header("content-length")),
        (304, Some("9"))
    );
    let head = client.ask("HEAD", "/head", "");
    assert_eq!(head.header("content-length"), Some("1234"));
    let empty = client.get("/empty");
    assert_eq!((empty.status, empty.body.len()), (200, 0));
    for (path, status) in [
        ("/known", 200),
        ("/trailers", 200),
        ("/204", 204),
        ("/304", 304),
        ("/head", 200),
        ("/empty", 200),
    ] {
        assert_eq!(ended(&proxy, path), as_told("ok", status), "{path}");
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn bodies_and_trailers_of_http1_arrive_at_an_origin_of_http2() {
    let origin = H2Origin::start(|mut exchange| {
        let length = exchange.request.headers.get("content-length").cloned();
        let body = exchange.body();
        let trailer = exchange
            .trailers()
            .and_then(|all| all.get("x-sum").cloned());
        let said = format!("{length:?} {trailer:?} {}", String::from_utf8_lossy(&body));
        exchange.answer(said);
    });
    let proxy = before_h2("", &origin);
    let mut client = proxy.client();
    assert_eq!(client.post("/", "foobar").text(), "Some(\"6\") None foobar");
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nfoo\r\n3\r\nbar\r\n0\r\nX-Sum: 7\r\n\r\n");
    assert_eq!(client.response().text(), "None Some(\"7\") foobar");
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    assert_eq!(client.response().text(), "None None ");
    assert_eq!(client.post("/end", "").text(), "Some(\"0\") None ");
    assert_eq!(ended(&proxy, "/end"), as_told("ok", 200));
}

/// Echoes body and trailers, in both directions at once.
fn echo() -> H2Origin {
    H2Origin::start(|mut exchange| {
        let length = exchange.request.headers.get("content-length");
        let length = length.map(|length| length.to_str().expect("ASCII").to_owned());
        let headers: Vec<_> = length
            .iter()
            .map(|length| ("content-length", &**length))
            .collect();
        exchange.head(200, &headers, false);
        while let Some(Ok(piece)) = exchange.data() {
            if !exchange.send(piece, false) {
                return;
            }
        }
        match exchange.trailers() {
            Some(trailers) => {
                let sum = trailers
                    .get("x-sum")
                    .map_or("", |sum| sum.to_str().expect("ASCII"));
                exchange.send_trailers(&[("x-sum", sum)]);
            }
            None => {
                exchange.send("", true);
            }
        }
    })
}

#[test]
fn http2_on_both_sides_passes_everything_through() {
    let origin = echo();
    let proxy = before_h2("", &origin);
    let client = client(&proxy);
    let mut stream = client.open(h2_request_with(
        "POST",
        "/both?x",
        &[("te", "trailers"), ("cookie", "a"), ("cookie", "b")],
    ));
    let head = stream.head().expect("an answer");
    // Messages go back and forth before either side has ended.
    for word in ["one", "two", "three"] {
        stream.send(word, false);
        assert_eq!(stream.take(word.len()), word.as_bytes());
    }
    stream.send_trailers(&[("x-sum", "9")]);
    let rest = stream.rest_behind(head);
    assert_eq!((rest.status, rest.trailer("x-sum")), (200, Some("9")));
    let seen = origin.request(0);
    assert_eq!((&*seen.method, &*seen.uri), ("POST", "http://test/both?x"));
    assert_eq!(
        (&seen.headers["te"], &seen.headers["cookie"]),
        (
            &"trailers".parse().expect("a value"),
            &"a; b".parse().expect("a value")
        )
    );
    assert_eq!(ended(&proxy, "/both?x"), as_told("ok", 200));
}

#[test]
fn several_mebibytes_pass_both_ways_to_the_byte() {
    let origin = echo();
    let proxy = before_h2("", &origin);
    let body = pattern(6 << 20);
    let by_http2 = client(&proxy);
    let length = body.len().to_string();
    for headers in [&[][..], &[("content-length", &*length)]] {
        let mut stream = by_http2.open(h2_request_with("POST", "/h2", headers));
        std::thread::scope(|scope| {
            let (mut writer, body) = (stream.split_send(), &body);
            scope.spawn(move || assert!(writer.send(body, true)));
            let response = stream.rest();
            assert!(response.error.is_none() && response.body == *body);
        });
    }
    let mut by_http1 = proxy.client();
    let mut writer = crate::harness::Client::over(by_http1.stream().try_clone().expect("a socket"));
    std::thread::scope(|scope| {
        let body = &body;
        scope.spawn(move || {
            let head = format!(
                "POST /h1 HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            writer.send([head.as_bytes(), body].concat());
        });
        let response = by_http1.response();
        assert!(response.complete && response.body == *body);
    });
    assert_eq!(ended(&proxy, "/h2"), as_told("ok", 200));
    assert_eq!(ended(&proxy, "/h1"), as_told("ok", 200));
}

#[test]
fn interim_answers_of_an_origin_of_http2_arrive() {
    let gate = Gate::default();
    let seen = gate.clone();
    let origin = H2Origin::start(move |mut exchange| {
        exchange.interim(100, &[]);
        exchange.body();
        exchange.interim(103, &[("link", "</a.css>")]);
        seen.wait();
        exchange.answer("page");
    });
    let proxy = before_h2("", &origin);
    let mut by_http1 = proxy.client();
    by_http1
        .send("POST /h1 HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    assert_eq!(by_http1.response_head().status(), 100);
    by_http1.send("body");
    let hint = by_http1.response_head();
    assert_eq!(
        (hint.status(), hint.header("link")),
        (103, Some("</a.css>"))
    );
    let by_http2 = client(&proxy);
    let mut stream = by_http2.open(h2_request_with(
        "POST",
        "/h2",
        &[("expect", "100-continue")],
    ));
    assert_eq!(stream.interim().expect("100").status(), 100);
    stream.send("body", true);
    assert_eq!(stream.interim().expect("103").headers()["link"], "</a.css>");
    gate.open();
    assert_eq!(by_http1.response().text(), "page");
    assert_eq!(stream.rest().text(), "page");
    assert_eq!(ended(&proxy, "/h1"), as_told("ok", 200));
    assert_eq!(ended(&proxy, "/h2"), as_told("ok", 200));
}

#[test]
fn an_early_answer_of_an_origin_of_http2_arrives_while_the_upload_goes_on() {
    let origin = H2Origin::start(|mut exchange| {
        exchange.head(413, &[("content-length", "3")], false);
        // Dropped behind its answer, it is reset with NO_ERROR.
        exchange.send("no!", true);
    });
    let proxy = before_h2("", &origin);
    let mut client = proxy.client();
    client.send("POST /h1 HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\na first part");
    let response = client.response();
    assert_eq!((response.status, response.text().as_str()), (413, "no!"));
    assert_eq!(ended(&proxy, "/h1"), as_told("ok", 413));
    let by_http2 = super::client(&proxy);
    let mut stream = by_http2.open(h2_request("POST", "/h2"));
    stream.send("a first part", false);
    let head = stream.head().expect("an answer");
    assert_eq!(stream.rest_behind(head).text(), "no!");
    assert_eq!(ended(&proxy, "/h2"), as_told("ok", 413));
}

#[test]
fn an_answer_that_is_not_as_long_as_it_says_is_cut_for_the_downstream_too() {
    let origin = H2Origin::start(|mut exchange| {
        exchange.head(200, &[("content-length", "10")], false);
        exchange.send("half", true);
    });
    let proxy = before_h2("", &origin);
    let by_http1 = proxy.client().get("/h1");
    assert!(!by_http1.complete);
    assert_eq!(ended(&proxy, "/h1"), as_told("upstream-aborted", 200));
    let by_http2 = client(&proxy).get("/h2");
    assert!(by_http2.reset().is_some());
    assert_eq!(ended(&proxy, "/h2"), as_told("upstream-aborted", 200));
}

#[test]
fn a_downstream_of_http_1_0_gets_an_answer_that_ends_with_its_connection() {
    let origin = H2Origin::start(|mut exchange| {
        exchange.head(200, &[], false);
        exchange.send("no length", true);
    });
    let proxy = before_h2("", &origin);
    let mut client = proxy.client();
    client.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    let response = client.response();
    assert_eq!(
        (response.status, response.text().as_str()),
        (200, "no length")
    );
    assert_eq!(response.header("transfer-encoding"), None);
    assert_eq!(ended(&proxy, "/"), as_told("ok", 200));
}

#[test]
fn what_an_origin_of_http2_may_not_say_is_an_invalid_answer() {
    let long = "x".repeat(5000);
    let origin = H2Origin::start(move |mut exchange| {
        match exchange.path() {
            "/long" => exchange.head(200, &[("x-long", &long)], true),
            "/lengths" => {
                let lengths = [("content-length", "3"), ("content-length", "4")];
                exchange.head(200, &lengths, false) && exchange.send("abc", true)
            }
            _ => exchange.head(200, &[], true),
        };
    });
    let text = r#"
        listener "web" "127.0.0.1:0" {
            limits header-bytes-max="4KiB"
            route { cluster "c" }
        }
        cluster "c" {
            protocol "h2"
            retry attempts=1
            endpoint "ORIGIN"
        }"#;
    let proxy = Proxy::start(&config(text, &[("ORIGIN", &origin)]));
    for path in ["/long", "/lengths"] {
        assert_eq!(proxy.client().get(path).status, 502, "{path}");
        let line = proxy.line_of(path);
        let outcome = line.outcome().to_owned();
        assert!(
            ["upstream-invalid", "upstream-reset"].contains(&&*outcome),
            "{path}: {outcome}"
        );
    }
    assert_eq!(proxy.client().get("/fine").status, 200);
    assert_eq!(ended(&proxy, "/fine"), as_told("ok", 200));
}

#[test]
fn an_origin_of_http1_in_a_cluster_of_http2_is_an_invalid_answer() {
    let origin = Origin::named("HTTP/1.1 only");
    let proxy: Proxy = before_h2("retry attempts=1", &origin);
    assert_eq!(proxy.client().get("/").status, 502);
    let line = proxy.line_of("/");
    assert_eq!(line.status(), 502);
    assert!(
        ["upstream-invalid", "upstream-reset"].contains(&line.outcome()),
        "{}",
        line.outcome()
    );
}
