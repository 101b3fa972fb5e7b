//! Limits, at the limit and one beyond it, and heads that arrive in pieces.

use super::*;

const REQUEST: &str = "\r\nPOST /a%2db/?c HTTP/1.1\r\nHost: Example.com\r\nA: b\r\nConnection: x\r\nX: 1\r\nContent-Length: 3\r\n\r\n";

#[test]
fn a_head_may_arrive_in_any_two_pieces() {
    for cut in 0..REQUEST.len() {
        let mut head = RequestHead::new();
        let first = parse_request(&REQUEST.as_bytes()[..cut], &Limits::default(), &mut head);
        assert_eq!(first, Ok(Parsed::Partial), "{cut}");
        let second = parse_request(
            format!("{REQUEST}abc").as_bytes(),
            &Limits::default(),
            &mut head,
        );
        assert_eq!(
            second,
            Ok(Parsed::Complete {
                head_len: REQUEST.len()
            }),
            "{cut}"
        );
        assert_eq!(
            (head.path(), head.host(), head.body()),
            ("/a-b/", "example.com", BodyLength::Fixed(3))
        );
        assert_eq!(
            lines_of(head.fields()),
            ["Host: Example.com", "A: b", "Content-Length: 3"]
        );
    }
}

#[test]
fn a_head_may_arrive_byte_by_byte() {
    let mut head = RequestHead::new();
    for end in 0..REQUEST.len() {
        assert_eq!(
            parse_request(&REQUEST.as_bytes()[..end], &Limits::default(), &mut head),
            Ok(Parsed::Partial)
        );
    }
    let parsed = parse_request(REQUEST.as_bytes(), &Limits::default(), &mut head);
    assert_eq!(
        parsed,
        Ok(Parsed::Complete {
            head_len: REQUEST.len()
        })
    );
    assert_eq!(
        lines_of(head.fields()),
        ["Host: Example.com", "A: b", "Content-Length: 3"]
    );
}

#[test]
fn a_fault_is_found_as_soon_as_its_line_is_there() {
    for (start, reason) in [
        ("GET / HTTP/1.1\n", "bare-line-feed"),
        ("GET / HTTP/1.1\r\nA B\r\n", "blank-before-colon"),
    ] {
        assert_eq!(refusal(start.as_bytes()), (400, reason));
    }
}

#[test]
fn a_head_is_used_again_without_clearing_after_success_and_after_refusal() {
    let mut head = request(REQUEST);
    let limits = Limits::default();
    let next = b"GET /n HTTP/1.1\r\nHost: n\r\nB: 1\r\n\r\n";
    assert!(matches!(
        parse_request(next, &limits, &mut head),
        Ok(Parsed::Complete { .. })
    ));
    assert_eq!(
        (head.path(), head.host(), head.body()),
        ("/n", "n", BodyLength::None)
    );
    let longer = with_lines(&"C: 1\r\n".repeat(20));
    assert!(matches!(
        parse_request(longer.as_bytes(), &limits, &mut head),
        Ok(Parsed::Complete { .. })
    ));
    assert_eq!((head.path(), head.fields().len()), ("/", 21));
    assert!(parse_request(b"GET / HTTP/1.1\r\nHost: a\r\nbad\r\n", &limits, &mut head).is_err());
    assert!(head.fields().is_empty() && head.method().is_empty());
    assert!(matches!(
        parse_request(next, &limits, &mut head),
        Ok(Parsed::Complete { .. })
    ));
    assert_eq!(lines_of(head.fields()), ["Host: n", "B: 1"]);
}

#[test]
fn fewer_bytes_than_before_start_a_new_request() {
    let mut head = RequestHead::new();
    let limits = Limits::default();
    assert_eq!(
        parse_request(&REQUEST.as_bytes()[..60], &limits, &mut head),
        Ok(Parsed::Partial)
    );
    assert_eq!(parse_request(b"", &limits, &mut head), Ok(Parsed::Partial));
    let parsed = parse_request(b"GET /n HTTP/1.1\r\nHost: a\r\n\r\n", &limits, &mut head);
    assert_eq!(parsed, Ok(Parsed::Complete { head_len: 28 }));
    assert_eq!((head.path(), head.fields().len()), ("/n", 1));
}

#[test]
fn the_head_limit_is_inclusive() {
    let text = with_lines("A: 12345\r\n");
    for (limit, fits) in [
        (text.len(), true),
        (text.len() - 1, false),
        (text.len() + 1, true),
    ] {
        let limits = Limits {
            head_bytes_max: limit,
            ..Limits::default()
        };
        let with_body = format!("{text}body");
        let parsed = parse_request(with_body.as_bytes(), &limits, &mut RequestHead::new());
        assert_eq!(parsed.is_ok(), fits, "{limit}");
        assert_eq!(
            parsed.err().map(|bad| (bad.status, bad.reason)),
            (!fits).then_some((431, "head-too-large"))
        );
    }
}

#[test]
fn a_head_without_end_is_refused_when_the_limit_is_full() {
    let limits = Limits {
        head_bytes_max: 100,
        ..Limits::default()
    };
    let text = format!("GET / HTTP/1.1\r\nHost: a\r\nA: {}", "b".repeat(100));
    assert_eq!(
        parse_request(&text.as_bytes()[..99], &limits, &mut RequestHead::new()),
        Ok(Parsed::Partial)
    );
    let bad = parse_request(&text.as_bytes()[..100], &limits, &mut RequestHead::new())
        .expect_err("too large");
    assert_eq!((bad.status, bad.reason), (431, "head-too-large"));
    let bad = parse_request(&[b'G'; 100], &limits, &mut RequestHead::new()).expect_err("too large");
    assert_eq!((bad.status, bad.reason), (414, "target-too-long"));
}

#[test]
fn targets_are_limited_to_16_kib() {
    let of_len = |len: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(len - 1));
    assert_eq!(request(&of_len(16 * 1024)).path().len(), 16 * 1024);
    assert_eq!(
        refusal(of_len(16 * 1024 + 1).as_bytes()),
        (414, "target-too-long")
    );
    assert_eq!(refusal(&[b'G'; 17 * 1024]), (414, "target-too-long"));
}

#[test]
fn header_lines_are_counted_dropped_ones_too() {
    for line in ["A: b\r\n", "a_b: c\r\n"] {
        let limits = Limits {
            headers_max: 5,
            ..Limits::default()
        };
        let five = with_lines(&line.repeat(4));
        let six = with_lines(&line.repeat(5));
        assert!(parse_request(five.as_bytes(), &limits, &mut RequestHead::new()).is_ok());
        let bad =
            parse_request(six.as_bytes(), &limits, &mut RequestHead::new()).expect_err("too many");
        assert_eq!((bad.status, bad.reason), (431, "too-many-headers"));
    }
}

#[test]
fn names_beyond_the_index_are_refused_not_cut() {
    let limits = Limits {
        head_bytes_max: 200_000,
        ..Limits::default()
    };
    let text = with_lines(&format!("{}: b\r\n", "a".repeat(65_536)));
    let bad =
        parse_request(text.as_bytes(), &limits, &mut RequestHead::new()).expect_err("too long");
    assert_eq!((bad.status, bad.reason), (431, "head-too-large"));
}

#[test]
fn underscores_are_dropped_kept_or_refused() {
    let text = with_lines("X_User: 1\r\nX-User: 2\r\n");
    let parse = |underscores| {
        let mut head = RequestHead::new();
        let limits = Limits {
            underscores,
            ..Limits::default()
        };
        parse_request(text.as_bytes(), &limits, &mut head).map(|_| lines_of(head.fields()))
    };
    assert_eq!(
        parse(Underscores::Drop).expect("accepted"),
        ["Host: a", "X-User: 2"]
    );
    assert_eq!(
        parse(Underscores::Keep).expect("accepted"),
        ["Host: a", "X_User: 1", "X-User: 2"]
    );
    assert_eq!(
        parse(Underscores::Reject).expect_err("refused").reason,
        "underscore-in-name"
    );
}

#[test]
fn refusals_name_the_place() {
    let text = "GET / HTTP/1.1\r\nHost: a\r\nA: b\x01c\r\n\r\n";
    let bad = parse_request(text.as_bytes(), &Limits::default(), &mut RequestHead::new())
        .expect_err("refused");
    assert_eq!(text.as_bytes()[bad.offset], 1);
    assert_eq!(
        bad.to_string(),
        format!("control-character at byte {}", bad.offset)
    );
}
