//! What is accepted as a response, what it is understood to say, and what is refused as what.

use super::*;

fn response_refusal(text: &str) -> &'static str {
    match parse_response(
        text.as_bytes(),
        "GET",
        &Limits::default(),
        &mut ResponseHead::new(),
    ) {
        Err(bad) => bad.reason,
        Ok(parsed) => panic!("{parsed:?}: {text:?}"),
    }
}

#[test]
fn a_response_is_understood() {
    let head = response(
        "HTTP/1.1 404 Not  Here\r\nContent-Length: 7\r\nServer: x\r\na_b: 1\r\n\r\n",
        "GET",
    );
    assert_eq!(
        (head.status(), head.reason(), head.version()),
        (404, &b"Not  Here"[..], Version::Http11)
    );
    assert_eq!(
        (head.body(), head.content_length(), head.keep_alive()),
        (BodyLength::Fixed(7), Some(7), true)
    );
    assert_eq!(
        lines_of(head.fields()),
        ["Content-Length: 7", "Server: x", "a_b: 1"]
    );
}

#[test]
fn status_lines() {
    for (line, status, reason) in [
        ("HTTP/1.1 200", 200, ""),
        ("HTTP/1.1 200 ", 200, ""),
        ("HTTP/1.0 599 a b", 599, "a b"),
        ("HTTP/1.1 200  x", 200, " x"),
    ] {
        let head = response(&format!("{line}\r\n\r\n"), "GET");
        assert_eq!(
            (head.status(), head.reason()),
            (status, reason.as_bytes()),
            "{line:?}"
        );
    }
    for line in [
        "HTTP/1.2 200 OK",
        "HTTP/2 200 OK",
        "http/1.1 200 OK",
        "HTTP/1.1  200 OK",
        "HTTP/1.1 20 OK",
        "HTTP/1.1 2000 OK",
        "HTTP/1.1 099 OK",
        "HTTP/1.1 600 OK",
        "HTTP/1.1 +20 OK",
        "HTTP/1.1 20x OK",
        "HTTP/1.1 200\tOK",
        "HTTP/1.1",
        "HTTP/1.1 ",
        "200 OK",
    ] {
        assert_eq!(
            response_refusal(&format!("{line}\r\n\r\n")),
            "status-line",
            "{line:?}"
        );
    }
}

#[test]
fn bodies_by_method_status_and_headers() {
    let table: [(&str, &str, BodyLength); 14] = [
        ("GET", "200 OK\r\n", BodyLength::UntilClose),
        (
            "GET",
            "200 OK\r\nContent-Length: 0\r\n",
            BodyLength::Fixed(0),
        ),
        (
            "GET",
            "200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n",
            BodyLength::Fixed(5),
        ),
        (
            "GET",
            "200 OK\r\nTransfer-Encoding: Chunked\r\n",
            BodyLength::Chunked,
        ),
        ("HEAD", "200 OK\r\nContent-Length: 5\r\n", BodyLength::None),
        (
            "HEAD",
            "200 OK\r\nTransfer-Encoding: chunked\r\n",
            BodyLength::None,
        ),
        (
            "head",
            "200 OK\r\nContent-Length: 5\r\n",
            BodyLength::Fixed(5),
        ),
        ("GET", "204 No Content\r\n", BodyLength::None),
        (
            "GET",
            "204 No Content\r\nContent-Length: 0\r\n",
            BodyLength::None,
        ),
        (
            "GET",
            "304 Not Modified\r\nContent-Length: 5\r\n",
            BodyLength::None,
        ),
        ("GET", "100 Continue\r\n", BodyLength::None),
        ("GET", "103 Early Hints\r\nLink: x\r\n", BodyLength::None),
        (
            "GET",
            "205 Reset Content\r\nContent-Length: 0\r\n",
            BodyLength::Fixed(0),
        ),
        (
            "GET",
            "500 No\r\nContent-Length: 5\r\n",
            BodyLength::Fixed(5),
        ),
    ];
    for (method, rest, body) in table {
        let head = response(&format!("HTTP/1.1 {rest}\r\n"), method);
        assert_eq!(head.body(), body, "{method} {rest:?}");
    }
}

#[test]
fn the_connection_is_used_again_only_when_the_end_is_certain() {
    let table = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n", true),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n",
            false,
        ),
        ("HTTP/1.1 200 OK\r\n", false),
        ("HTTP/1.1 204 No Content\r\n", true),
        ("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n", true),
        ("HTTP/1.1 204 No Content\r\nContent-Length: 1\r\n", false),
        (
            "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n",
            false,
        ),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n", true),
        ("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n", false),
        (
            "HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n",
            true,
        ),
        ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n", false),
    ];
    for (text, keep_alive) in table {
        assert_eq!(
            response(&format!("{text}\r\n"), "GET").keep_alive(),
            keep_alive,
            "{text:?}"
        );
    }
}

#[test]
fn framing_that_two_readers_could_read_differently_is_refused() {
    let table = [
        (
            "HTTP/1.1",
            "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n",
            "transfer-encoding-and-content-length",
        ),
        (
            "HTTP/1.1",
            "Content-Length: 1\r\nContent-Length: 2\r\n",
            "content-length-conflict",
        ),
        ("HTTP/1.1", "Content-Length: 1, 1\r\n", "content-length"),
        (
            "HTTP/1.1",
            "Transfer-Encoding: gzip, chunked\r\n",
            "transfer-encoding",
        ),
        (
            "HTTP/1.1",
            "Transfer-Encoding: identity\r\n",
            "transfer-encoding",
        ),
        (
            "HTTP/1.0",
            "Transfer-Encoding: chunked\r\n",
            "transfer-encoding-on-1.0",
        ),
        ("HTTP/1.1", "A: b\n", "bare-line-feed"),
        ("HTTP/1.1", "A: b\r\n c\r\n", "folded-line"),
        ("HTTP/1.1", "A : b\r\n", "blank-before-colon"),
        ("HTTP/1.1", "A: b\x00\r\n", "control-character"),
    ];
    for (version, lines, reason) in table {
        assert_eq!(
            response_refusal(&format!("{version} 200 OK\r\n{lines}\r\n")),
            reason,
            "{lines:?}"
        );
    }
}

#[test]
fn hop_by_hop_and_nominated_headers_are_gone() {
    let head = response(
        "HTTP/1.1 200 OK\r\nConnection: p, keep-alive, set-cookie\r\nP: 1\r\nKeep-Alive: 5\r\nUpgrade: h2\r\n\
         Set-Cookie: a\r\nTransfer-Encoding: chunked\r\nTrailer: x\r\nProxy-Authenticate: x\r\n\r\n",
        "GET",
    );
    assert_eq!(lines_of(head.fields()), ["Set-Cookie: a", "Trailer: x"]);
}

#[test]
fn switching_protocols_needs_both_headers() {
    let head = response(
        "HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        "GET",
    );
    assert_eq!(
        (head.upgrade(), head.body(), head.is_interim()),
        (Some("websocket"), BodyLength::None, false)
    );
    for lines in [
        "",
        "Upgrade: websocket\r\n",
        "Connection: upgrade\r\n",
        "Connection: upgrade\r\nUpgrade: h2c\r\n",
    ] {
        assert_eq!(
            response_refusal(&format!("HTTP/1.1 101 Go\r\n{lines}\r\n")),
            "switching-without-upgrade"
        );
    }
    let asked = response(
        "HTTP/1.1 426 No\r\nConnection: upgrade\r\nUpgrade: a/2\r\nContent-Length: 0\r\n\r\n",
        "GET",
    );
    assert_eq!(asked.upgrade(), Some("a/2"));
    let mut changed = asked;
    assert!(changed.set_status(400));
    assert_eq!(changed.upgrade(), None);
}

#[test]
fn interim_responses_announce_no_body() {
    for lines in ["Content-Length: 1\r\n", "Transfer-Encoding: chunked\r\n"] {
        let text = format!("HTTP/1.1 103 x\r\n{lines}\r\n");
        assert_eq!(response_refusal(&text), "interim-with-body");
    }
    response("HTTP/1.1 100 Continue\r\nContent-Length: 0\r\n\r\n", "GET");
}

#[test]
fn interim_responses_are_told_from_final_ones() {
    for (status, interim) in [
        (100, true),
        (101, false),
        (102, true),
        (103, true),
        (199, true),
        (200, false),
    ] {
        let upgrade = "Connection: upgrade\r\nUpgrade: x\r\n";
        let head = response(&format!("HTTP/1.1 {status} x\r\n{upgrade}\r\n"), "GET");
        assert_eq!(head.is_interim(), interim, "{status}");
    }
}

#[test]
fn a_response_may_arrive_in_any_two_pieces() {
    let text = "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 3\r\n\r\n";
    for cut in 0..text.len() {
        let mut head = ResponseHead::new();
        let limits = Limits::default();
        assert_eq!(
            parse_response(&text.as_bytes()[..cut], "GET", &limits, &mut head),
            Ok(Parsed::Partial)
        );
        let parsed = parse_response(text.as_bytes(), "GET", &limits, &mut head);
        assert_eq!(
            parsed,
            Ok(Parsed::Complete {
                head_len: text.len()
            })
        );
        assert_eq!(
            (head.body(), lines_of(head.fields()).len()),
            (BodyLength::Fixed(3), 2)
        );
    }
}

#[test]
fn garbage_is_refused_by_its_first_byte() {
    assert_eq!(response_refusal("220 smtp ready"), "status-line");
    assert_eq!(
        response_refusal("\r\nHTTP/1.1 200 OK\r\n\r\n"),
        "status-line"
    );
}

#[test]
fn own_responses_have_the_usual_reason_and_keep_their_kind() {
    let mut head = response(
        "HTTP/1.1 200 Fine\r\nA: b\r\nContent-Length: 3\r\n\r\n",
        "GET",
    );
    assert!(head.set_status(404));
    assert_eq!((head.status(), head.reason()), (404, &b"Not Found"[..]));
    for (status, done) in [
        (99, false),
        (100, false),
        (204, false),
        (304, false),
        (600, false),
        (599, true),
        (200, true),
    ] {
        assert_eq!(head.set_status(status), done, "{status}");
    }
    head.begin(204);
    assert_eq!(
        (head.status(), head.body(), head.keep_alive()),
        (204, BodyLength::None, true)
    );
    assert!(head.fields().is_empty() && !head.set_status(200) && head.set_status(304));
    for (status, begun) in [(100, 100), (599, 599), (99, 500), (600, 500), (0, 500)] {
        head.begin(status);
        assert_eq!(head.status(), begun);
    }
    head.begin(103);
    assert!(!head.set_status(100) && !head.set_status(200));
    assert!(
        !ResponseHead::new().set_status(200),
        "an empty head has no status to replace"
    );
}
