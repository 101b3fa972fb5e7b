//! Bodies handed over part by part.

use super::{filtering, mode};
use crate::harness::Origin;

#[test]
fn both_bodies_pass_the_filter_and_are_framed_anew() {
    let origin = Origin::saying(
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: \"a\"\r\nAccept-Ranges: bytes\r\n\r\nhello",
    );
    let proxy = filtering(&mode("upper"), &origin);
    let mut client = proxy.client();
    for turn in 0..3 {
        let response = client.post("/x", "some text");
        assert_eq!(response.text(), "HELLO");
        assert_eq!(response.header("content-length"), None);
        assert_eq!(response.header("etag"), Some("W/\"a\""));
        assert_eq!(response.header("accept-ranges"), None);
        let request = origin.request(turn);
        assert_eq!(request.body, b"SOME TEXT");
        assert_eq!(request.head.header("content-length"), None);
        assert_eq!(request.head.header("transfer-encoding"), Some("chunked"));
    }
    // Whatever the filter made of them, both connections went on.
    assert_eq!(origin.connections(), 1);
    assert_eq!(proxy.line_of("/x").text("filters"), "bodies");
}

#[test]
fn messages_without_a_body_are_left_alone() {
    let origin = Origin::saying("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nETag: \"a\"\r\n\r\n");
    let proxy = filtering(&mode("count"), &origin);
    let response = proxy.client().get("/x");
    assert_eq!(
        (response.text().as_str(), response.header("etag")),
        ("", Some("\"a\""))
    );
    assert_eq!(response.header("content-length"), Some("0"));
    assert_eq!(origin.request(0).body, b"");
}

#[test]
fn an_answer_to_head_is_left_alone() {
    let origin = Origin::saying("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    let proxy = filtering(&mode("upper"), &origin);
    let response = proxy.client().ask("HEAD", "/x", "");
    assert_eq!(response.header("content-length"), Some("5"));
}

#[test]
fn a_part_is_passed_on_before_the_next_one_comes() {
    let origin = Origin::start(|mut peer| {
        let _ = peer.request();
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n");
        // Only what came through lets the downstream go on.
        let _ = peer.request();
    });
    let proxy = filtering(&mode("upper"), &origin);
    let mut client = proxy.client();
    client.send("GET /x HTTP/1.1\r\nHost: test\r\n\r\n");
    let head = client.response_head();
    assert_eq!(head.header("transfer-encoding"), Some("chunked"));
    assert_eq!(client.chunk().as_deref(), Some(&b"ONE"[..]));
}

#[test]
fn exchanges_that_overlap_do_not_share_an_instance() {
    let origin = Origin::echo();
    let proxy = filtering(&mode("count"), &origin);
    let mut clients: Vec<_> = (0..4).map(|_| proxy.client()).collect();
    let head =
        |number| format!("POST /{number} HTTP/1.1\r\nHost: test\r\nContent-Length: 6\r\n\r\n");
    for (number, client) in clients.iter_mut().enumerate() {
        client.send([head(number).as_bytes(), b"abc"].concat());
    }
    origin.wait_for_connections(4);
    for client in &mut clients {
        client.send("def");
    }
    for (number, client) in clients.iter_mut().enumerate() {
        let text = client.response().text();
        assert!(text.contains(&format!("abcdef|/{number} 6")), "{text}");
    }
}

#[test]
fn filters_pass_requests_on_in_order_and_responses_in_reverse() {
    let origin = Origin::saying("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab");
    let filters = format!("{}; {}", mode("count"), mode("upper"));
    let proxy = filtering(&filters, &origin);
    let response = proxy.client().post("/x", "cd");
    // In the request `upper` comes after `count`, in the response before it.
    assert_eq!(origin.request(0).body, b"CD|/X 2");
    assert_eq!(response.text(), "AB|/x 2");
}

#[test]
fn trailers_are_read_and_edited() {
    let origin = Origin::saying(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX-Sum: 1\r\nContent-Digest: x\r\n\r\n",
    );
    let trailers = |mode_name: &str| {
        let proxy = filtering(&mode(mode_name), &origin);
        let response = proxy.client().get("/x");
        assert_eq!(response.text().to_ascii_lowercase(), "ab");
        let lower = |(name, value): (String, String)| (name.to_ascii_lowercase(), value);
        response.trailers.into_iter().map(lower).collect::<Vec<_>>()
    };
    let line = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        trailers("trailers"),
        [
            line("x-sum", "1"),
            line("content-digest", "x"),
            line("x-bytes", "2")
        ]
    );
    assert_eq!(trailers("drop-trailers"), []);
}

#[test]
fn a_filter_answers_while_the_request_still_comes() {
    let origin = Origin::start(|mut peer| {
        // The head comes, the end of the body does not.
        assert!(peer.request().is_none_or(|request| !request.complete));
    });
    let proxy = filtering(&mode("evil"), &origin);
    let mut client = proxy.client();
    client
        .send("POST /x HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n");
    origin.wait_for_connections(1);
    client.send("4\r\nevil\r\n");
    let response = client.response();
    assert_eq!(
        (response.status, response.text().as_str()),
        (451, "not this\n")
    );
    assert_eq!(response.header("x-why"), Some("body"));
    let line = proxy.line_of("/x");
    assert_eq!((line.outcome(), line.status()), ("filter-reply", 451));
}

#[test]
fn a_body_until_the_end_of_the_connection_passes_whole() {
    let origin = Origin::start(|mut peer| {
        if peer.request().is_some() {
            peer.send("HTTP/1.0 200 OK\r\n\r\nuntil the end");
        }
    });
    let proxy = filtering(&mode("count"), &origin);
    assert_eq!(proxy.client().get("/x").text(), "until the end|/x 13");
}

#[test]
fn large_bodies_pass_in_both_directions() {
    let origin = Origin::echo();
    let proxy = filtering(&mode("upper"), &origin);
    let body = b"abcdefgh".repeat(200_000);
    let response = proxy.client().post("/x", &body);
    assert!(response.body.ends_with(&body.to_ascii_uppercase()));
    assert!(origin.request(0).body == body.to_ascii_uppercase());
}

#[test]
fn a_response_that_is_filtered_and_compressed_is_both() {
    let body = "some text ".repeat(400);
    let origin = Origin::saying(format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    let filters = format!("{} }}; compress {{ type \"text/plain\"", mode("upper"));
    let proxy = filtering(&filters, &origin);
    let response = proxy.client().ask("GET", "/x", "Accept-Encoding: gzip\r\n");
    assert_eq!(response.header("content-encoding"), Some("gzip"));
    assert!(crate::compress::decoded(&response) == body.to_ascii_uppercase().into_bytes());
}
