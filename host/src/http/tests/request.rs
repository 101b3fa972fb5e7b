//! What is accepted as a request, what it is understood to say, and what is refused as what.

use super::*;

#[test]
fn a_request_is_understood() {
    let head = request(
        "POST /a/b?c=d&e HTTP/1.1\r\nHost: Shop.Example:8080\r\nContent-Length: 12\r\nExpect: 100-continue\r\n\
         X-Two:\t one  \r\nx-two: two\r\nEmpty:\r\n\r\n",
    );
    assert_eq!(
        (head.method(), head.path(), head.query()),
        ("POST", "/a/b", Some("c=d&e"))
    );
    assert_eq!(head.target(), "/a/b?c=d&e");
    assert_eq!(
        (head.host(), head.authority()),
        ("shop.example", "Shop.Example:8080")
    );
    assert_eq!(
        (head.version(), head.form()),
        (Version::Http11, TargetForm::Origin)
    );
    assert_eq!(head.body(), BodyLength::Fixed(12));
    assert!(head.keep_alive() && head.expect_continue() && !head.is_idempotent());
    assert_eq!(head.upgrade(), None);
    assert_eq!(
        head.fields().get_all(b"X-TWO").collect::<Vec<_>>(),
        [&b"one"[..], b"two"]
    );
    assert_eq!(head.fields().get(b"empty"), Some(&b""[..]));
    assert_eq!(head.fields().get(b"host"), Some(&b"Shop.Example:8080"[..]));
    assert_eq!(head.fields().get(b"content-length"), Some(&b"12"[..]));
}

#[test]
fn request_lines() {
    let table: [(&str, u16, &str); 25] = [
        ("GET  / HTTP/1.1", 400, "target-form"),
        ("GET /  HTTP/1.1", 400, "target-character"),
        ("GET /a b HTTP/1.1", 400, "target-character"),
        ("GET\t/ HTTP/1.1", 400, "invalid-method"),
        (" GET / HTTP/1.1", 400, "invalid-method"),
        ("G(T / HTTP/1.1", 400, "invalid-method"),
        ("GET /", 400, "request-line"),
        ("GET", 400, "request-line"),
        ("GET ", 400, "request-line"),
        ("GET / ", 400, "request-line"),
        ("GET / http/1.1", 400, "request-line"),
        ("GET / HTTP/1.1 ", 400, "request-line"),
        ("GET / HTTP/1.", 400, "request-line"),
        ("GET / HTTP/11", 400, "request-line"),
        ("GET / HTTP/1.2", 505, "version"),
        ("GET / HTTP/0.9", 505, "version"),
        ("GET / HTTP/2.0", 505, "version"),
        ("PRI * HTTP/2.0", 505, "version"),
        ("GET * HTTP/1.1", 400, "target-form"),
        ("GET a HTTP/1.1", 400, "target-form"),
        ("GET ?a HTTP/1.1", 400, "target-form"),
        ("GET a:80 HTTP/1.1", 400, "target-form"),
        ("GET /a#b HTTP/1.1", 400, "target-character"),
        ("GET /a\\b HTTP/1.1", 400, "target-character"),
        ("GET /\u{e9} HTTP/1.1", 400, "target-character"),
    ];
    for (line, status, reason) in table {
        let text = format!("{line}\r\nHost: a\r\n\r\n");
        assert_eq!(refusal(text.as_bytes()), (status, reason), "{line:?}");
    }
}

#[test]
fn methods_are_tokens_of_up_to_32_bytes() {
    let longest = "M".repeat(32);
    for method in ["get", "M-SEARCH", "X_!", &longest] {
        assert_eq!(
            request(&format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n")).method(),
            method
        );
    }
    assert_eq!(
        refusal(format!("{longest}M / HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()),
        (400, "invalid-method")
    );
}

#[test]
fn header_lines() {
    let table: [(&[u8], &str); 20] = [
        (b"A: b\n", "bare-line-feed"),
        (b"A: b\r\r\n", "control-character"),
        (b"A: b\rc\r\n", "control-character"),
        (b"A: b\0\r\n", "control-character"),
        (b"A: b\x0bc\r\n", "control-character"),
        (b"A: \x7f\r\n", "control-character"),
        (b"A: b\r\n c\r\n", "folded-line"),
        (b"A: b\r\n\tc\r\n", "folded-line"),
        (b" A: b\r\n", "folded-line"),
        (b"A : b\r\n", "blank-before-colon"),
        (b"A\t: b\r\n", "blank-before-colon"),
        (b": b\r\n", "empty-name"),
        (b"A\r\n", "no-colon"),
        (b"A b\r\n", "blank-before-colon"),
        (b"A\0: b\r\n", "invalid-name"),
        (b"A(: b\r\n", "invalid-name"),
        (b"\xc3\xa9: b\r\n", "invalid-name"),
        (b"\"A\": b\r\n", "invalid-name"),
        (b"\rA: b\r\n", "invalid-name"),
        (b"A\r: b\r\n", "invalid-name"),
    ];
    for (lines, reason) in table {
        for (before, after) in [("", ""), ("B: c\r\n", ""), ("", "B: c\r\n")] {
            let text = [
                b"GET / HTTP/1.1\r\nHost: a\r\n",
                before.as_bytes(),
                lines,
                after.as_bytes(),
                b"\r\n",
            ]
            .concat();
            assert_eq!(
                refusal(&text),
                (400, reason),
                "{:?}",
                String::from_utf8_lossy(&text)
            );
        }
    }
}

#[test]
fn a_blank_line_start_before_the_first_header_is_refused() {
    assert_eq!(
        refusal(b"GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
        (400, "folded-line")
    );
}

#[test]
fn values_may_hold_tabs_and_bytes_beyond_ascii() {
    let text = b"GET / HTTP/1.1\r\nHost: a\r\nA: b\tc \xff\xfe\r\n\r\n";
    let mut head = RequestHead::new();
    assert!(matches!(
        parse_request(text, &Limits::default(), &mut head),
        Ok(Parsed::Complete { .. })
    ));
    assert_eq!(head.fields().get(b"a"), Some(&b"b\tc \xff\xfe"[..]));
}

#[test]
fn one_empty_line_in_front_is_skipped() {
    let head = request("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((head.method(), head.host()), ("GET", "a"));
    assert_eq!(
        refusal(b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "empty-lines")
    );
    assert_eq!(
        refusal(b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "bare-line-feed")
    );
}

#[test]
fn other_protocols_are_refused_by_their_first_byte() {
    assert_eq!(refusal(b"\x16\x03\x01\x02\x00"), (400, "invalid-method"));
    assert_eq!(refusal(b"\0"), (400, "invalid-method"));
    assert_eq!(
        refusal(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        (505, "version")
    );
}

#[test]
fn hosts() {
    let table: [(&str, &str); 8] = [
        ("", "missing-host"),
        ("Host:\r\n", "invalid-host"),
        ("Host: a\r\nHost: a\r\n", "duplicate-host"),
        ("Host: a\r\nhOST: b\r\n", "duplicate-host"),
        ("Host: a, b\r\n", "invalid-host"),
        ("Host: user@a\r\n", "invalid-host"),
        ("Host: a:x\r\n", "invalid-host"),
        ("Host: a/b\r\n", "invalid-host"),
    ];
    for (lines, reason) in table {
        assert_eq!(
            refusal(format!("GET / HTTP/1.1\r\n{lines}\r\n").as_bytes()),
            (400, reason),
            "{lines:?}"
        );
    }
    let old = request("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(
        (old.host(), old.authority(), old.version()),
        ("", "", Version::Http10)
    );
    assert_eq!(request("GET / HTTP/1.0\r\nHost: B:80\r\n\r\n").host(), "b");
    assert_eq!(
        refusal(b"GET / HTTP/1.0\r\nHost: a b\r\n\r\n"),
        (400, "invalid-host")
    );
}

#[test]
fn absolute_targets_become_origin_form() {
    let table = [
        ("http://a:80/b/../c?d", "/c", Some("d")),
        ("HTTPS://A:80/b", "/b", None),
        ("http://a:80", "/", None),
        ("http://a:80?q", "/", Some("q")),
        ("http://a:80/", "/", None),
    ];
    for (target, path, query) in table {
        let head = request(&format!("GET {target} HTTP/1.1\r\nHost: a:80\r\n\r\n"));
        assert_eq!(
            (head.path(), head.query(), head.host()),
            (path, query, "a"),
            "{target}"
        );
        assert_eq!(head.form(), TargetForm::Origin);
    }
    for target in [
        "http://b:80/",
        "http://a/",
        "http://user@a:80/",
        "ftp://a:80/",
        "http:/a",
        "http:///",
        "http://",
    ] {
        let text = format!("GET {target} HTTP/1.1\r\nHost: a:80\r\n\r\n");
        assert_eq!(refusal(text.as_bytes()), (400, "target-form"), "{target}");
    }
    let old = request("GET http://B:8080/x HTTP/1.0\r\n\r\n");
    assert_eq!(
        (old.host(), old.authority(), old.path()),
        ("b", "B:8080", "/x")
    );
    assert_eq!(
        refusal(b"GET http://a/ HTTP/1.1\r\n\r\n"),
        (400, "missing-host")
    );
    assert_eq!(
        refusal(b"GET http://a?b\\ HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "target-character")
    );
}

#[test]
fn asterisk_and_authority_forms() {
    let options = request("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(
        (options.form(), options.path(), options.query()),
        (TargetForm::Asterisk, "*", None)
    );
    let connect = request("CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n");
    assert_eq!(
        (connect.form(), connect.path(), connect.target()),
        (TargetForm::Authority, "", "b:443")
    );
    for target in ["/", "b", "*", "http://b/", "b:0"] {
        let text = format!("CONNECT {target} HTTP/1.1\r\nHost: b\r\n\r\n");
        assert_eq!(refusal(text.as_bytes()), (400, "target-form"), "{target}");
    }
}

#[test]
fn bodies() {
    let table = [
        ("", BodyLength::None),
        ("Content-Length: 0\r\n", BodyLength::Fixed(0)),
        (
            "Content-Length: 18446744073709551615\r\n",
            BodyLength::Fixed(u64::MAX),
        ),
        (
            "Content-Length: 5\r\nContent-Length: 5\r\n",
            BodyLength::Fixed(5),
        ),
        ("Transfer-Encoding: chunked\r\n", BodyLength::Chunked),
        ("transfer-encoding: \tCHUNKED \r\n", BodyLength::Chunked),
    ];
    for (lines, body) in table {
        assert_eq!(request(&with_lines(lines)).body(), body, "{lines:?}");
    }
}

#[test]
fn a_repeated_length_counts_once() {
    let head = request(&with_lines("Content-Length: 5\r\nContent-Length: 05\r\n"));
    assert_eq!(head.body(), BodyLength::Fixed(5));
    assert_eq!(
        head.fields().get_all(b"content-length").collect::<Vec<_>>(),
        [b"5"]
    );
}

#[test]
fn framing_that_two_readers_could_read_differently_is_refused() {
    let table: [(&str, u16, &str); 25] = [
        ("Content-Length:\r\n", 400, "content-length"),
        ("Content-Length: +5\r\n", 400, "content-length"),
        ("Content-Length: -5\r\n", 400, "content-length"),
        ("Content-Length: 0x5\r\n", 400, "content-length"),
        ("Content-Length: 5 5\r\n", 400, "content-length"),
        ("Content-Length: 5, 5\r\n", 400, "content-length"),
        ("Content-Length: 5;\r\n", 400, "content-length"),
        (
            "Content-Length: 18446744073709551616\r\n",
            400,
            "content-length",
        ),
        (
            "Content-Length: 5\r\nContent-Length: 6\r\n",
            400,
            "content-length-conflict",
        ),
        (
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            400,
            "transfer-encoding-and-content-length",
        ),
        (
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            400,
            "transfer-encoding-and-content-length",
        ),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            400,
            "duplicate-transfer-encoding",
        ),
        (
            "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
            400,
            "duplicate-transfer-encoding",
        ),
        ("Transfer-Encoding:\r\n", 400, "transfer-encoding"),
        ("Transfer-Encoding: identity\r\n", 400, "transfer-encoding"),
        ("Transfer-Encoding: gzip\r\n", 400, "transfer-encoding"),
        (
            "Transfer-Encoding: chunked, gzip\r\n",
            400,
            "transfer-encoding",
        ),
        (
            "Transfer-Encoding: chunked, chunked\r\n",
            400,
            "transfer-encoding",
        ),
        ("Transfer-Encoding: ,chunked\r\n", 400, "transfer-encoding"),
        ("Transfer-Encoding: chunked,\r\n", 400, "transfer-encoding"),
        ("Transfer-Encoding: xchunked\r\n", 400, "transfer-encoding"),
        (
            "Transfer-Encoding: \"chunked\"\r\n",
            400,
            "transfer-encoding",
        ),
        (
            "Transfer-Encoding: chunked;q=1\r\n",
            400,
            "transfer-encoding",
        ),
        (
            "Transfer-Encoding: gzip, chunked\r\n",
            501,
            "transfer-encoding",
        ),
        ("Transfer-Encoding : chunked\r\n", 400, "blank-before-colon"),
    ];
    for (lines, status, reason) in table {
        assert_eq!(
            refusal(with_lines(lines).as_bytes()),
            (status, reason),
            "{lines:?}"
        );
    }
    let old = b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(refusal(old), (400, "transfer-encoding-on-1.0"));
}

#[test]
fn a_framing_header_nominated_for_removal_still_frames() {
    let head = request(&with_lines(
        "Connection: content-length, transfer-encoding\r\nContent-Length: 5\r\n",
    ));
    assert_eq!(head.body(), BodyLength::Fixed(5));
    let head = request(&with_lines(
        "Connection: transfer-encoding\r\nTransfer-Encoding: chunked\r\n",
    ));
    assert_eq!(head.body(), BodyLength::Chunked);
}

#[test]
fn persistence_by_version() {
    let table = [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: Keep-Alive, CLOSE\r\n", false),
        ("1.1", "Connection: x\r\nConnection: close\r\n", false),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive\r\n", true),
        ("1.0", "Connection: keep-alive, close\r\n", false),
    ];
    for (version, lines, keep_alive) in table {
        let head = request(&format!("GET / HTTP/{version}\r\nHost: a\r\n{lines}\r\n"));
        assert_eq!(head.keep_alive(), keep_alive, "{version} {lines:?}");
    }
}

#[test]
fn expectations_count_on_1_1_only() {
    assert!(request(&with_lines("Expect: 100-Continue\r\n")).expect_continue());
    assert!(!request(&with_lines("Expect: x\r\n")).expect_continue());
    let old =
        request("POST / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n");
    assert!(!old.expect_continue() && !old.fields().contains(b"expect"));
}

#[test]
fn idempotent_methods() {
    for (method, idempotent) in [
        ("GET", true),
        ("HEAD", true),
        ("PUT", true),
        ("DELETE", true),
        ("POST", false),
        ("get", false),
    ] {
        assert_eq!(
            request(&format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n")).is_idempotent(),
            idempotent,
            "{method}"
        );
    }
}

#[test]
fn the_authority_can_be_replaced_by_a_valid_one_only() {
    let mut head = request("GET / HTTP/1.0\r\n\r\n");
    assert!(head.set_authority(b"Up.Stream:81"));
    assert_eq!(
        (head.authority(), head.host()),
        ("Up.Stream:81", "up.stream")
    );
    for bad in [&b""[..], b"a\r\nb", b"a b", b"a:"] {
        assert!(!head.set_authority(bad), "{bad:?}");
    }
    assert_eq!(head.authority(), "Up.Stream:81");
}
