//! Lines of version 1.

use super::super::{BadHeader, LINE_BYTES_MAX, Parsed, parse};
use super::{received, whole};

const LONGEST_IPV6: &str = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";

#[test]
fn lines_of_the_protocol_are_read() {
    let longest = format!("PROXY TCP6 {LONGEST_IPV6} {LONGEST_IPV6} 65535 65535\r\n");
    let longest_unknown = format!("PROXY UNKNOWN {LONGEST_IPV6} {LONGEST_IPV6} 65535 65535\r\n");
    assert_eq!(
        (longest.len(), longest_unknown.len()),
        (104, LINE_BYTES_MAX)
    );
    let longest_address = format!("[{LONGEST_IPV6}]:65535");
    let cases = [
        (
            "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n",
            Some(("192.168.0.1:56324", "192.168.0.11:443")),
        ),
        (
            "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
            Some(("255.255.255.255:65535", "255.255.255.255:65535")),
        ),
        (
            "PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n",
            Some(("0.0.0.0:0", "0.0.0.0:0")),
        ),
        ("PROXY TCP6 :: ::1 0 1\r\n", Some(("[::]:0", "[::1]:1"))),
        (
            "PROXY TCP6 2001:DB8::a 2001:0db8:0:0:0:0:0:b 1024 443\r\n",
            Some(("[2001:db8::a]:1024", "[2001:db8::b]:443")),
        ),
        (&longest, Some((&longest_address, &longest_address))),
        // As nginx and others write a client that came over IPv4 to an IPv6 socket.
        (
            "PROXY TCP6 ::ffff:10.0.0.1 ::ffff:a00:2 1 2\r\n",
            Some(("10.0.0.1:1", "10.0.0.2:2")),
        ),
        ("PROXY UNKNOWN\r\n", None),
        ("PROXY UNKNOWN \r\n", None),
        ("PROXY UNKNOWN what\0ever it \u{e9} says\r\n", None),
        (&longest_unknown, None),
    ];
    for (line, addresses) in cases {
        assert_eq!(
            whole(line.as_bytes()),
            Ok(received(1, addresses, &[])),
            "{line:?}"
        );
    }
}

#[test]
fn all_else_is_refused() {
    use BadHeader::{Line, LineEnd, NoHeader};
    let cases = [
        ("PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n", NoHeader),
        ("PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n", NoHeader),
        ("PROXY tcp4 1.2.3.4 1.2.3.4 1 2\r\n", NoHeader),
        ("PROXY UNKNOWNS\r\n", NoHeader),
        ("PROXY\r\n", NoHeader),
        ("PROXY \r\n", NoHeader),
        ("PROXY TCP4\r\n", NoHeader),
        ("PROXY TCP4 \r\n", Line),
        ("PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n", Line),
        ("PROXY TCP4 1.2.3.4  1.2.3.4 1 2\r\n", Line),
        ("PROXY TCP4 1.2.3.4\t1.2.3.4 1 2\r\n", Line),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", Line),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 \r\n", Line),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n", Line),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n", Line),
        // The family must fit, on both sides.
        ("PROXY TCP4 ::1 ::1 1 2\r\n", Line),
        ("PROXY TCP4 1.2.3.4 ::1 1 2\r\n", Line),
        ("PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n", Line),
        ("PROXY TCP6 ::1 1.2.3.4 1 2\r\n", Line),
        // Numbers in canonical form.
        ("PROXY TCP4 01.2.3.4 1.2.3.4 1 2\r\n", Line),
        ("PROXY TCP4 1.2.3.004 1.2.3.4 1 2\r\n", Line),
        ("PROXY TCP4 256.2.3.4 1.2.3.4 1 2\r\n", Line),
        ("PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n", Line),
        ("PROXY TCP4 1.2.3.4.5 1.2.3.4 1 2\r\n", Line),
        ("PROXY TCP4 0x1.2.3.4 1.2.3.4 1 2\r\n", Line),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n", Line),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 00 2\r\n", Line),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n", Line),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n", Line),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n", Line),
        (
            "PROXY TCP4 1.2.3.4 1.2.3.4 1 99999999999999999999\r\n",
            Line,
        ),
        ("PROXY TCP6 ::1:: ::1 1 2\r\n", Line),
        ("PROXY TCP6 1:2:3:4:5:6:7 ::1 1 2\r\n", Line),
        ("PROXY TCP6 1:2:3:4:5:6:7:8:9 ::1 1 2\r\n", Line),
        ("PROXY TCP6 12345::1 ::1 1 2\r\n", Line),
        ("PROXY TCP6 ::1%lo ::1 1 2\r\n", Line),
        ("PROXY TCP6 [::1] ::1 1 2\r\n", Line),
        // One line end, and that one whole.
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n", LineEnd),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\r\n", LineEnd),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\rGET", LineEnd),
        ("PROXY TCP4 1.2.3.4\n1.2.3.4 1 2\r\n", LineEnd),
        ("PROXY UNKNOWN\n", LineEnd),
        ("PROXY UNKNOWN x\ny\r\n", LineEnd),
        ("PROXY UNKNOWN x\ry\r\n", LineEnd),
    ];
    for (line, expected) in cases {
        assert_eq!(whole(line.as_bytes()), Err(expected), "{line:?}");
    }
}

#[test]
fn a_line_is_at_most_107_bytes_long() {
    let unknown = |bytes: usize| {
        let padding = "x".repeat(bytes - "PROXY UNKNOWN \r\n".len());
        format!("PROXY UNKNOWN {padding}\r\n").into_bytes()
    };
    assert_eq!(whole(&unknown(106)), Ok(received(1, None, &[])));
    assert_eq!(whole(&unknown(107)), Ok(received(1, None, &[])));
    assert_eq!(whole(&unknown(108)), Err(BadHeader::LongLine));
    // As soon as there is no room left for its end.
    assert_eq!(parse(&unknown(120)[..106]), Ok(Parsed::Partial));
    assert_eq!(parse(&unknown(120)[..107]), Err(BadHeader::LongLine));
    // The end must fit as well, not begin within.
    assert_eq!(parse(&unknown(108)[..107]), Err(BadHeader::LongLine));
}

#[test]
fn what_cannot_be_an_address_is_refused_before_the_line_ends() {
    for line in [
        "PROXY TCP4 a",
        "PROXY TCP4 GET",
        "PROXY TCP6 g",
        "PROXY TCP4 1:",
    ] {
        assert_eq!(parse(line.as_bytes()), Err(BadHeader::Line), "{line:?}");
    }
    assert_eq!(parse(b"PROXY TCP6 a"), Ok(Parsed::Partial));
}
