//! Edits are read back, applied, and refused as the contract says.

use super::*;

fn flat(edits: &[(u8, &[u8], &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (operation, name, value) in edits {
        out.push(*operation);
        out.extend_from_slice(&(name.len() as u16).to_le_bytes());
        out.extend_from_slice(name);
        out.extend_from_slice(&(value.len() as u32).to_le_bytes());
        out.extend_from_slice(value);
    }
    out
}

#[test]
fn each_operation_is_read_back_in_order() {
    let bytes = flat(&[
        (1, b"x-a", b"1"),
        (2, b"X-B", b" two "),
        (3, b"x-c", b""),
        (4, b"x-d", b"ignored"),
        (5, b"", b"/p?q=1"),
        (7, b"user", b"ann"),
        (8, b"", b"-20"),
    ]);
    let edits = Edits::check(bytes, Phase::Request).expect("valid edits");
    let found: Vec<Edit<'_>> = edits.iter().collect();
    let expected = [
        Edit::Set {
            name: b"x-a",
            value: b"1",
        },
        Edit::Append {
            name: b"X-B",
            value: b"two",
        },
        Edit::SetIfAbsent {
            name: b"x-c",
            value: b"",
        },
        Edit::Remove { name: b"x-d" },
        Edit::Target(b"/p?q=1"),
        Edit::Tag {
            name: "user",
            value: b"ann",
        },
        Edit::Priority(-20),
    ];
    assert_eq!(found, expected);
}

#[test]
fn what_the_contract_forbids_is_a_fault() {
    type Case<'a> = (&'a str, Phase, Vec<(u8, &'a [u8], &'a [u8])>);
    let table: Vec<Case<'_>> = vec![
        ("unknown operation", Phase::Request, vec![(9, b"a", b"b")]),
        ("operation 0", Phase::Request, vec![(0, b"a", b"b")]),
        ("empty name", Phase::Request, vec![(1, b"", b"b")]),
        ("name with a blank", Phase::Request, vec![(1, b"a b", b"b")]),
        (
            "line break in a value",
            Phase::Response,
            vec![(1, b"a", b"b\r\nc: d")],
        ),
        ("NUL in a value", Phase::Response, vec![(2, b"a", b"\0")]),
        (
            "framing header",
            Phase::Request,
            vec![(1, b"Content-Length", b"0")],
        ),
        (
            "framing header removed",
            Phase::Request,
            vec![(4, b"transfer-encoding", b"")],
        ),
        ("host", Phase::Request, vec![(3, b"host", b"a")]),
        (
            "target in the response phase",
            Phase::Response,
            vec![(5, b"", b"/")],
        ),
        (
            "target twice",
            Phase::Request,
            vec![(5, b"", b"/"), (5, b"", b"/")],
        ),
        ("target with a name", Phase::Request, vec![(5, b"a", b"/")]),
        (
            "target without slash",
            Phase::Request,
            vec![(5, b"", b"http://a/")],
        ),
        (
            "target with a blank",
            Phase::Request,
            vec![(5, b"", b"/a b")],
        ),
        (
            "target with a fragment",
            Phase::Request,
            vec![(5, b"", b"/a#b")],
        ),
        (
            "status in the request phase",
            Phase::Request,
            vec![(6, b"", b"200")],
        ),
        ("status 199", Phase::Response, vec![(6, b"", b"199")]),
        ("status 600", Phase::Response, vec![(6, b"", b"600")]),
        (
            "status not a number",
            Phase::Response,
            vec![(6, b"", b"2 0")],
        ),
        (
            "status of four digits",
            Phase::Response,
            vec![(6, b"", b"2000")],
        ),
        (
            "header in a network phase",
            Phase::Accept,
            vec![(1, b"a", b"b")],
        ),
        (
            "tag name not UTF-8",
            Phase::Accept,
            vec![(7, b"\xff", b"b")],
        ),
        (
            "tag value with a line break",
            Phase::Accept,
            vec![(7, b"a", b"\n")],
        ),
        ("priority empty", Phase::Request, vec![(8, b"", b"")]),
        (
            "priority without digits",
            Phase::Request,
            vec![(8, b"", b"-")],
        ),
        (
            "priority with a plus",
            Phase::Request,
            vec![(8, b"", b"+1")],
        ),
        (
            "priority with a blank",
            Phase::Request,
            vec![(8, b"", b" 1")],
        ),
        (
            "priority with two signs",
            Phase::Request,
            vec![(8, b"", b"--1")],
        ),
        (
            "priority not a number",
            Phase::Request,
            vec![(8, b"", b"low")],
        ),
        ("priority not text", Phase::Request, vec![(8, b"", b"\xff")]),
        (
            "priority with a fraction",
            Phase::Request,
            vec![(8, b"", b"1.5")],
        ),
        (
            "priority of five digits",
            Phase::Request,
            vec![(8, b"", b"00001")],
        ),
        (
            "priority with a name",
            Phase::Request,
            vec![(8, b"a", b"1")],
        ),
        (
            "priority twice",
            Phase::Request,
            vec![(8, b"", b"1"), (8, b"", b"1")],
        ),
        (
            "priority in the response phase",
            Phase::Response,
            vec![(8, b"", b"1")],
        ),
        (
            "priority in a network phase",
            Phase::Accept,
            vec![(8, b"", b"1")],
        ),
        ("257 edits", Phase::Request, vec![(1, b"a", b"b"); 257]),
    ];
    for (what, phase, edits) in table {
        let fault = Edits::check(flat(&edits), phase).expect_err(what);
        assert_eq!(fault.kind, crate::plugin::FaultKind::BadOutput, "{what}");
    }
}

#[test]
fn limits_hold_at_their_boundary() {
    assert!(Edits::check(flat(&vec![(1, &b"a"[..], &b"b"[..]); 256]), Phase::Request).is_ok());
    for (status, sound) in [(199, false), (200, true), (599, true), (600, false)] {
        assert_eq!(check_status(status).is_ok(), sound, "{status}");
    }
    let priorities = [
        ("-2048", None),
        ("-2047", Some(-2047)),
        ("-0", Some(0)),
        ("0", Some(0)),
        ("0007", Some(7)),
        ("2047", Some(2047)),
        ("2048", None),
        ("9999", None),
    ];
    for (text, expected) in priorities {
        let edits = Edits::check(flat(&[(8, b"", text.as_bytes())]), Phase::Request);
        let found = edits.ok().and_then(|edits| match edits.iter().next() {
            Some(Edit::Priority(priority)) => Some(priority),
            _ => None,
        });
        assert_eq!(found, expected, "{text}");
    }
    let large = vec![b'a'; EDIT_BYTES_MAX - 8];
    assert!(Edits::check(flat(&[(1, b"a", &large)]), Phase::Request).is_ok());
    let larger = vec![b'a'; EDIT_BYTES_MAX - 7];
    assert!(Edits::check(flat(&[(1, b"a", &larger)]), Phase::Request).is_err());
}

#[test]
fn every_cut_of_the_flat_form_is_a_fault() {
    let bytes = flat(&[(1, b"x-a", b"value")]);
    for end in 1..bytes.len() {
        assert!(
            Edits::check(bytes[..end].to_vec(), Phase::Request).is_err(),
            "{end}"
        );
    }
    assert!(
        Edits::check(Vec::new(), Phase::Request)
            .expect("no edits")
            .is_empty()
    );
}

#[test]
fn any_bytes_at_all_are_read_or_refused() {
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..20_000 {
        let bytes: Vec<u8> = (0..random.usize(0..40)).map(|_| random.u8(0..10)).collect();
        let length = bytes.len();
        if let Ok(edits) = Edits::check(bytes, Phase::Request) {
            assert!(edits.iter().count() <= length);
        }
    }
}
