//! What is sent again after a failure, and what is not.

use crate::harness::{Origin, Proxy, closed_port, config};

/// Answers the first request of its first connection and closes that connection at the second one, as an origin does whose idle timeout
/// passes at that moment; later connections work.
fn origin_that_closes_its_first_connection() -> Origin {
    Origin::start(|mut peer| {
        let most = if peer.number == 0 { 1 } else { usize::MAX };
        for _ in 0..most {
            if peer.request().is_none() {
                return;
            }
            peer.answer("ok");
        }
        peer.request();
    })
}

#[test]
fn a_request_that_meets_a_closing_pooled_connection_is_sent_again_on_a_new_one() {
    for request in ["GET", "DELETE", "OPTIONS"] {
        let origin = origin_that_closes_its_first_connection();
        let proxy = Proxy::before(&origin);
        let mut client = proxy.client();
        assert_eq!(client.get("/first").text(), "ok");
        let response = client.ask(request, "/second", "");
        assert_eq!(
            (response.status, response.text().as_str()),
            (200, "ok"),
            "{request}"
        );
        let line = proxy.line_of("/second");
        assert_eq!(
            (line.outcome(), line.number("attempts")),
            ("ok", 2),
            "{request}"
        );
        assert_eq!(origin.connections(), 2);
        let arrived: Vec<_> = origin
            .requests()
            .iter()
            .map(|request| (request.connection, request.head.target().to_owned()))
            .collect();
        assert_eq!(
            arrived,
            [
                (0, "/first".into()),
                (0, "/second".into()),
                (1, "/second".into())
            ]
        );
    }
}

#[test]
fn a_put_whose_body_is_in_hand_is_sent_again_whole() {
    let origin = origin_that_closes_its_first_connection();
    let proxy = Proxy::before(&origin);
    let mut client = proxy.client();
    assert_eq!(client.get("/first").text(), "ok");
    client.send("PUT /second HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nbody");
    assert_eq!(client.response().text(), "ok");
    let again = origin.request(2);
    assert_eq!((again.connection, again.body.as_slice()), (1, &b"body"[..]));
}

#[test]
fn a_post_is_never_sent_twice() {
    let origin = Origin::start(|mut peer| {
        while let Some(request) = peer.request() {
            if request.head.method() == "POST" {
                return;
            }
            peer.answer("ok");
        }
    });
    let proxy = Proxy::before(&origin);
    let mut client = proxy.client();
    assert_eq!(client.get("/first").text(), "ok");
    let response = client.post("/second", "body");
    assert_eq!(
        (response.status, response.text().as_str()),
        (502, "bad gateway\n")
    );
    let line = proxy.line_of("/second");
    assert_eq!(
        (line.outcome(), line.number("attempts")),
        ("upstream-reset", 1)
    );
    assert_eq!(client.get("/third").text(), "ok");
    let posts = origin
        .requests()
        .iter()
        .filter(|request| request.head.method() == "POST")
        .count();
    assert_eq!(posts, 1);
}

#[test]
fn a_new_connection_that_closes_without_an_answer_is_no_reason_to_try_again() {
    let origin = Origin::start(|mut peer| {
        peer.request();
    });
    let proxy = Proxy::before(&origin);
    assert_eq!(proxy.client().get("/").status, 502);
    assert_eq!(proxy.line_of("/").outcome(), "upstream-reset");
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn an_endpoint_that_refuses_is_passed_over_for_the_next_even_for_a_post() {
    let origin = Origin::named("a");
    let (_held, closed) = closed_port();
    let text = r#"
        listener "web" "127.0.0.1:0" { route { cluster "both" } }
        cluster "both" {
            endpoint "CLOSED"
            endpoint "ORIGIN"
        }"#;
    let proxy = Proxy::start(&config(text, &[("ORIGIN", &origin), ("CLOSED", &closed)]));
    let mut client = proxy.client();
    for path in ["/1", "/2", "/3", "/4"] {
        assert_eq!(client.post(path, "x").text(), "a");
        let line = proxy.line_of(path);
        assert_eq!(
            (line.outcome(), line.text("endpoint")),
            ("ok", origin.to_string().as_str())
        );
    }
    let attempts: Vec<_> = ["/1", "/2", "/3", "/4"]
        .map(|path| proxy.line_of(path).number("attempts"))
        .into();
    assert!(
        attempts.contains(&2),
        "the closed endpoint was never tried: {attempts:?}"
    );
    assert_eq!(origin.requests().len(), 4);
}

#[test]
fn a_pooled_connection_that_the_origin_has_closed_is_not_used_not_even_for_a_post() {
    let origin = Origin::start(|mut peer| {
        if peer.request().is_some() {
            peer.answer("ok");
        }
    });
    let proxy = Proxy::before(&origin);
    let mut client = proxy.client();
    for index in 0..10 {
        let path = format!("/{index}");
        assert_eq!(client.post(&path, "x").text(), "ok");
        assert_eq!(proxy.line_of(&path).number("attempts"), 1);
        origin.wait_for_ends(index + 1);
    }
    assert_eq!(origin.connections(), 10);
}

#[test]
fn a_post_is_not_sent_on_a_connection_that_was_idle_for_a_while() {
    let origin = Origin::named("ok");
    let silent = Origin::start(|mut peer| while peer.request().is_some() {});
    let text = r#"
        listener "web" "127.0.0.1:0" {
            route path="/silent" { cluster "silent" }
            route { cluster "origin" }
        }
        cluster "origin" { endpoint "ORIGIN" }
        cluster "silent" {
            endpoint "SILENT"
            timeouts response="1200ms"
        }"#;
    let proxy = Proxy::start(&config(text, &[("ORIGIN", &origin), ("SILENT", &silent)]));
    let mut client = proxy.client();
    assert_eq!(client.get("/1").text(), "ok");
    // A timeout of the proxy's own is the clock: longer than the second that a connection counts as fresh.
    assert_eq!(client.get("/silent").status, 504);
    assert_eq!(client.post("/2", "x").text(), "ok");
    assert_eq!(
        origin.request(1).connection,
        1,
        "it went on the idle connection"
    );
    assert_eq!(client.get("/3").text(), "ok");
    assert_eq!(origin.connections(), 2);
}
