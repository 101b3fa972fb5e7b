//! Path normalisation and replaced targets.

use super::*;

/// Path and query after replacing the target, under `limits`.
fn replaced(target: &[u8], limits: &Limits) -> Result<(String, Option<String>), BadTarget> {
    let mut head = RequestHead::new();
    parse_request(b"GET /old?q HTTP/1.1\r\nHost: a\r\n\r\n", limits, &mut head)
        .expect("a valid request");
    let result = head.set_target(target);
    if result.is_err() {
        assert_eq!(head.target(), "/old?q");
    }
    result.map(|()| (head.path().to_owned(), head.query().map(str::to_owned)))
}

fn normal(path: &str) -> Result<String, BadTarget> {
    replaced(path.as_bytes(), &Limits::default()).map(|(path, _)| path)
}

#[test]
fn paths_become_normal_on_the_wire_and_when_replaced() {
    let table = [
        ("/", "/"),
        ("/a", "/a"),
        ("/a/", "/a/"),
        ("/.", "/"),
        ("/./", "/"),
        ("/a/.", "/a/"),
        ("/a/./b", "/a/b"),
        ("/a/..", "/"),
        ("/a/../", "/"),
        ("/a/../b", "/b"),
        ("/a/b/../../c", "/c"),
        ("/a/b/..", "/a/"),
        ("/.a", "/.a"),
        ("/..a", "/..a"),
        ("/a..", "/a.."),
        ("/...", "/..."),
        ("/a.b/.well-known/c", "/a.b/.well-known/c"),
        ("//", "/"),
        ("//a//b//", "/a/b/"),
        ("/a//../b", "/b"),
        ("/%61%2D%2e%5F%7e", "/a-._~"),
        ("/%2e%2e.", "/..."),
        ("/a/%2e%2E/b", "/b"),
        ("/a/.%2e/b", "/b"),
        ("/a/%2e/b", "/a/b"),
        ("/%c3%a9", "/%C3%A9"),
        ("/a%20b", "/a%20b"),
        ("/%252e%252e/", "/%252e%252e/"),
        ("/a%3fb%23", "/a%3Fb%23"),
        ("/;a=b/c;d", "/;a=b/c;d"),
        ("/a%0d%0a", "/a%0D%0A"),
    ];
    for (path, expected) in table {
        assert_eq!(normal(path).as_deref(), Ok(expected), "{path}");
        assert_eq!(
            normal(expected).as_deref(),
            Ok(expected),
            "{expected} is a fixed point"
        );
        assert_eq!(
            request(&format!("GET {path}?q HTTP/1.1\r\nHost: a\r\n\r\n")).target(),
            format!("{expected}?q")
        );
    }
}

#[test]
fn disguised_paths_are_refused() {
    let table = [
        ("/..", BadTarget::DotSegments),
        ("/../a", BadTarget::DotSegments),
        ("/a/../..", BadTarget::DotSegments),
        ("/%2e%2e/", BadTarget::DotSegments),
        ("//..", BadTarget::DotSegments),
        ("/a/..;/b", BadTarget::DotSegments),
        ("/a/.;x/b", BadTarget::DotSegments),
        ("/a/%2e%2e;x=y", BadTarget::DotSegments),
        ("/a%2fb", BadTarget::EscapedSlash),
        ("/a%5Cb", BadTarget::EscapedSlash),
        ("/%00", BadTarget::Escape),
        ("/%", BadTarget::Escape),
        ("/%4", BadTarget::Escape),
        ("/%4/", BadTarget::Escape),
        ("/%4g", BadTarget::Escape),
        ("/%+1", BadTarget::Escape),
        ("/a b", BadTarget::Character),
        ("/a\r\n", BadTarget::Character),
        ("/a\\b", BadTarget::Character),
        ("/a#b", BadTarget::Character),
        ("/\u{e9}", BadTarget::Character),
        ("/a?\u{7f}", BadTarget::Character),
        ("", BadTarget::Form),
        ("a", BadTarget::Form),
        ("?a", BadTarget::Form),
        ("*", BadTarget::Form),
        ("http://a/", BadTarget::Form),
    ];
    for (path, error) in table {
        assert_eq!(normal(path), Err(error), "{path:?}");
    }
}

#[test]
fn every_fault_of_a_path_refuses_a_request() {
    for (path, reason) in [
        ("/../a", "target-dot-segments"),
        ("/a%2fb", "target-escaped-slash"),
        ("/%00", "target-escape"),
        ("/a\\b", "target-character"),
    ] {
        assert_eq!(
            refusal(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()),
            (400, reason)
        );
    }
}

#[test]
fn escaped_slashes_may_be_kept_but_hide_no_dot_segment() {
    let limits = Limits {
        escaped_slashes: EscapedSlashes::Keep,
        ..Limits::default()
    };
    let path = |path: &str| replaced(path.as_bytes(), &limits).map(|(path, _)| path);
    assert_eq!(path("/a%2fb%5c/../c%2F").as_deref(), Ok("/c%2F"));
    assert_eq!(path("/a%2fb%5cc").as_deref(), Ok("/a%2Fb%5Cc"));
    assert_eq!(path("/a..%2f..b").as_deref(), Ok("/a..%2F..b"));
    for hidden in [
        "/a/..%2fb",
        "/a%2f..",
        "/a%2f..%2fb",
        "/a%5c.%5Cb",
        "/%2f%2e%2e",
        "/a%2f..;x",
        "/a%2f..;x%2fb",
    ] {
        assert_eq!(path(hidden), Err(BadTarget::DotSegments), "{hidden}");
    }
}

#[test]
fn slashes_may_be_left_apart() {
    let limits = Limits {
        merge_slashes: false,
        ..Limits::default()
    };
    for (path, expected) in [
        ("//a//b//", "//a//b//"),
        ("/a//../b", "/a/b"),
        ("/a/.//b", "/a//b"),
    ] {
        assert_eq!(
            replaced(path.as_bytes(), &limits),
            Ok((expected.to_owned(), None)),
            "{path}"
        );
    }
}

#[test]
fn the_query_passes_as_it_is() {
    for (target, query) in [
        ("/a?", Some("")),
        ("/a", None),
        ("/a?/../%zz?%2e", Some("/../%zz?%2e")),
    ] {
        let expected = Ok(("/a".to_owned(), query.map(str::to_owned)));
        assert_eq!(
            replaced(target.as_bytes(), &Limits::default()),
            expected,
            "{target}"
        );
    }
}

#[test]
fn replaced_targets_are_limited_to_16_kib() {
    let of_len = |len: usize| [b"/", "a".repeat(len - 1).as_bytes()].concat();
    assert!(replaced(&of_len(16 * 1024), &Limits::default()).is_ok());
    assert_eq!(
        replaced(&of_len(16 * 1024 + 1), &Limits::default()),
        Err(BadTarget::TooLong)
    );
}

#[test]
fn the_forms_without_a_path_stay_within_their_method() {
    let mut options = request("OPTIONS /a HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(options.set_target(b"*"), Ok(()));
    assert_eq!(
        (options.path(), options.form()),
        ("*", TargetForm::Asterisk)
    );
    assert_eq!(options.set_target(b"/b"), Ok(()));
    assert_eq!((options.path(), options.form()), ("/b", TargetForm::Origin));
    let mut connect = request("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n");
    assert_eq!(connect.set_target(b"/"), Err(BadTarget::Form));
}

#[test]
fn targets_that_are_refused_take_no_room_and_the_others_not_without_end() {
    let mut head = request(&with_lines(""));
    let filling = vec![b'v'; 1024 * 1024];
    while head.fields_mut().append(b"a", &filling).is_ok() {}
    let bad = [&b"/"[..], &[b'a'; 16_000], b"/%zz"].concat();
    let good = [&b"/"[..], &[b'a'; 16_000], b"/./"].concat();
    for _ in 0..100 {
        assert_eq!(head.set_target(&bad), Err(BadTarget::Escape));
    }
    let accepted = (0..100).filter(|_| head.set_target(&good).is_ok()).count();
    assert!((60..70).contains(&accepted), "1 MiB holds 65: {accepted}");
    assert_eq!(head.path().len(), 16_002);
}

#[test]
fn an_absolute_target_without_path_is_limited_too() {
    let limits = Limits::default();
    let parse = |query: usize| {
        let text = format!(
            "GET http://a?{} HTTP/1.1\r\nHost: a\r\n\r\n",
            "q".repeat(query)
        );
        parse_request(text.as_bytes(), &limits, &mut RequestHead::new()).map_err(|bad| bad.status)
    };
    assert!(parse(16 * 1024 - 2).is_ok());
    assert_eq!(parse(16 * 1024 - 1), Err(414));
}
