//! A normalised target is a fixed point, holds no dot segment, even if an application decodes it once more, and cannot break out of its line.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tollgate_fuzz::http::{EscapedSlashes, Limits, RequestHead, parse_request};

fuzz_target!(|input: (bool, bool, &[u8])| {
    let (keep, merge, target) = input;
    let escaped_slashes = if keep {
        EscapedSlashes::Keep
    } else {
        EscapedSlashes::Reject
    };
    let limits = Limits {
        escaped_slashes,
        merge_slashes: merge,
        ..Limits::default()
    };
    let mut head = RequestHead::new();
    parse_request(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", &limits, &mut head)
        .expect("a valid request");
    if head.set_target(target).is_err() {
        assert_eq!(head.target(), "/");
        return;
    }
    let normal = head.target().to_owned();
    assert!(normal.starts_with('/') && normal.bytes().all(|byte| byte.is_ascii_graphic()));
    check_path(head.path(), keep, merge);
    head.set_target(normal.as_bytes())
        .expect("the normal form is accepted");
    assert_eq!(head.target(), normal);

    let received = [b"GET ", normal.as_bytes(), b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
    parse_request(&received, &limits, &mut head).expect("the normal form is accepted on the wire");
    assert_eq!(head.target(), normal);
});

fn check_path(path: &str, keep: bool, merge: bool) {
    let decoded = path.replace("%2F", "/").replace("%5C", "/");
    assert!(keep || decoded == path);
    assert!(!merge || !path.contains("//"));
    assert!(
        !decoded
            .split('/')
            .any(|segment| matches!(segment.split(';').next(), Some("." | ".."))),
        "{path}"
    );
    assert!(!path.contains("%00") && !path.contains("%2e") && !path.contains("%2E"));
}
