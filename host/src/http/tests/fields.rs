//! Reading and editing a header section.

use super::*;

fn fields(lines: &str) -> RequestHead {
    request(&with_lines(lines))
}

#[test]
fn look_up_ignores_case_and_takes_whole_names() {
    let head = fields("X-Ab: 1\r\nx-aB: 2\r\n");
    assert_eq!(head.fields().get(b"x-ab"), Some(&b"1"[..]));
    assert_eq!(head.fields().get_all(b"X-AB").count(), 2);
    assert!(
        head.fields().contains(b"X-ab")
            && !head.fields().contains(b"X-a")
            && !head.fields().contains(b"")
    );
    assert_eq!(
        head.fields().names().collect::<Vec<_>>(),
        [&b"Host"[..], b"X-Ab", b"x-aB"]
    );
    assert_eq!((head.fields().len(), head.fields().is_empty()), (3, false));
}

#[test]
fn edits_take_effect_in_order() {
    let mut head = fields("A: 1\r\nB: 2\r\na: 3\r\n");
    let section = head.fields_mut();
    assert_eq!(section.set(b"a", b"4"), Ok(()));
    assert_eq!(section.append(b"b", b" 5 "), Ok(()));
    assert_eq!(section.set_if_absent(b"B", b"6"), Ok(false));
    assert_eq!(section.set_if_absent(b"c", b""), Ok(true));
    assert!(!section.remove(b"none") && section.remove(b"C"));
    assert_eq!(section.set(b"d", b"7"), Ok(()));
    assert_eq!(section.set(b"D", b"8"), Ok(()));
    assert_eq!(
        lines_of(section),
        ["Host: a", "B: 2", "a: 4", "b: 5", "D: 8"]
    );
}

#[test]
fn lines_that_are_not_valid_or_not_ours_to_give_are_refused() {
    let mut head = fields("A: 1\r\nContent-Length: 1\r\n");
    let section = head.fields_mut();
    let table: [(&[u8], &[u8], BadField); 11] = [
        (b"", b"x", BadField::Name),
        (b"a b", b"x", BadField::Name),
        (b"a:", b"x", BadField::Name),
        (b"a\r\nb", b"x", BadField::Name),
        (b"a", b"x\r\nb: c", BadField::Value),
        (b"a", b"x\n", BadField::Value),
        (b"a", b"\0", BadField::Value),
        (b"Content-Length", b"2", BadField::Framing),
        (b"transfer-encoding", b"chunked", BadField::Framing),
        (b"HOST", b"b", BadField::Framing),
        (b"connection", b"close", BadField::Framing),
    ];
    for (name, value, error) in table {
        assert_eq!(section.set(name, value), Err(error));
        assert_eq!(section.append(name, value), Err(error));
        assert_eq!(section.set_if_absent(name, value), Err(error));
    }
    assert!(!section.remove(b"content-length") && !section.remove(b"Host"));
    assert_eq!(lines_of(section), ["Host: a", "A: 1", "Content-Length: 1"]);
}

#[test]
fn a_section_cannot_grow_without_end() {
    let mut section = Fields::new();
    let value = vec![b'v'; 1024 * 1024];
    let refused = (0..40)
        .map(|_| section.set(b"a", &value))
        .filter(Result::is_err)
        .count();
    assert_eq!(refused, 9, "32 MiB hold 31 such lines");
    assert_eq!(section.get_all(b"a").count(), 1);
    section.clear();
    assert_eq!(section.set(b"a", &value), Ok(()));
}

#[test]
fn several_lines_join_by_the_rule_of_the_name() {
    let head =
        fields("A: 1\r\nA: 2\r\nCookie: a=1\r\ncookie: b=2\r\nSet-Cookie: x\r\nSet-Cookie: y\r\n");
    for (name, joined) in [
        ("a", "1, 2"),
        ("COOKIE", "a=1; b=2"),
        ("set-cookie", "x"),
        ("host", "a"),
    ] {
        let mut out = b"<".to_vec();
        assert!(head.fields().joined(name.as_bytes(), &mut out));
        assert_eq!(out, format!("<{joined}").into_bytes());
    }
    let mut out = Vec::new();
    assert!(!head.fields().joined(b"none", &mut out) && out.is_empty());
}
