//! Headers for one hop: what is removed before anything sees a head, and what is kept of it.

use super::*;

#[test]
fn hop_by_hop_and_nominated_headers_are_gone() {
    let head = request(&with_lines(
        "Connection: X-Private, keep-alive\r\nKeep-Alive: 5\r\nx-private: 1\r\nX-PRIVATE: 2\r\nProxy-Connection: x\r\n\
         TE: gzip, trailers\r\nProxy-Authorization: x\r\nProxy-Authenticate: x\r\nTransfer-Encoding: chunked\r\nTrailer: a\r\n\
         Upgrade: websocket\r\nHTTP2-Settings: x\r\nConnection: other\r\nOther: 1\r\nKept: 1\r\n",
    ));
    assert_eq!(
        lines_of(head.fields()),
        ["Host: a", "Trailer: a", "Kept: 1"]
    );
    assert!(head.te_trailers());
}

#[test]
fn a_nomination_may_come_before_or_after_the_header() {
    for lines in [
        "Connection: p\r\nP: 1\r\n",
        "P: 1\r\nConnection: p\r\n",
        "P: 1\r\nConnection: \t p ,\r\nP: 2\r\n",
    ] {
        assert!(
            !request(&with_lines(lines)).fields().contains(b"p"),
            "{lines:?}"
        );
    }
}

#[test]
fn what_routes_frames_or_authenticates_cannot_be_nominated() {
    let table = [
        "Cookie",
        "Authorization",
        "Forwarded",
        "X-Forwarded-For",
        "x-forwarded-anything",
        "X-Real-IP",
    ];
    for name in table {
        let head = request(&with_lines(&format!(
            "Connection: {name}, host\r\n{name}: 1\r\n"
        )));
        assert_eq!(
            lines_of(head.fields()),
            ["Host: a".to_owned(), format!("{name}: 1")]
        );
    }
}

#[test]
fn connection_options_are_tokens_and_fewer_than_ten() {
    let nine = ["x"; 9].join(", ");
    let ten = ["x"; 10].join(", ");
    request(&with_lines(&format!("Connection: {nine}\r\n")));
    request(&with_lines("Connection: ,,,,,,,,\r\n"));
    for lines in [
        format!("Connection: {ten}\r\n"),
        format!("Connection: {nine}\r\nConnection: y\r\n"),
        "Connection: ,,,,,,,,,\r\n".into(),
    ] {
        assert_eq!(
            refusal(with_lines(&lines).as_bytes()),
            (400, "too-many-connection-options"),
            "{lines:?}"
        );
    }
    for option in ["a b", "a;b", "\"a\"", "a=b"] {
        let text = with_lines(&format!("Connection: {option}\r\n"));
        assert_eq!(
            refusal(text.as_bytes()),
            (400, "connection-option"),
            "{option:?}"
        );
    }
}

#[test]
fn an_upgrade_needs_both_headers_one_protocol_and_no_body() {
    let table = [
        (
            "Connection: Upgrade\r\nUpgrade: websocket\r\n",
            Some("websocket"),
        ),
        (
            "Connection: keep-alive, upgrade\r\nUpgrade: a/1.0\r\n",
            Some("a/1.0"),
        ),
        ("Upgrade: websocket\r\n", None),
        ("Connection: upgrade\r\n", None),
        ("Connection: upgrade\r\nUpgrade: h2c\r\n", None),
        ("Connection: upgrade\r\nUpgrade: H2C/1\r\n", None),
        ("Connection: upgrade\r\nUpgrade: h2c, websocket\r\n", None),
        ("Connection: upgrade\r\nUpgrade: websocket, h2c\r\n", None),
        ("Connection: upgrade\r\nUpgrade: a\r\nUpgrade: a\r\n", None),
        (
            "Connection: upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n",
            None,
        ),
        ("Connection: upgrade\r\nUpgrade:\r\n", None),
        ("Connection: upgrade\r\nUpgrade: /\r\n", None),
        (
            "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n",
            Some("websocket"),
        ),
        (
            "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n",
            None,
        ),
        (
            "Connection: upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n",
            None,
        ),
    ];
    for (lines, upgrade) in table {
        let head = request(&with_lines(lines));
        assert_eq!(head.upgrade(), upgrade, "{lines:?}");
        assert_eq!(
            head.fields().get(b"upgrade"),
            upgrade.map(str::as_bytes),
            "{lines:?}"
        );
        assert!(!head.fields().contains(b"connection"));
    }
    let old =
        request("GET / HTTP/1.0\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
    assert_eq!(old.upgrade(), None);
}
