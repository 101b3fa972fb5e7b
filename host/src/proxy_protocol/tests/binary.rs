//! Headers of version 2.

use super::super::{BadHeader, HEADER_BYTES_MAX, Parsed, parse};
use super::{received, whole};

const SIGNATURE: &[u8] = b"\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a";

const IPV4: &[u8] = &[192, 168, 0, 1, 192, 168, 0, 11, 0xdc, 0x04, 0x01, 0xbb];

/// Signature, the two bytes behind it, and the rest with its length before it.
fn header(command: u8, kind: u8, rest: &[&[u8]]) -> Vec<u8> {
    let rest = rest.concat();
    let length = u16::try_from(rest.len()).expect("short").to_be_bytes();
    [SIGNATURE, &[command, kind], &length, &rest].concat()
}

/// CRC-32C bit by bit: the polynomial of RFC 3720, reflected.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            (sum >> 1) ^ (0x82f6_3b78 * (sum & 1))
        })
    })
}

#[test]
fn a_header_in_full_is_read() {
    // PROXY, TCP over IPv4, 20 bytes: 127.0.0.1:42 to 127.0.0.1:1337, and an authority.
    let bytes = b"\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a\x21\x11\x00\x14\
        \x7f\x00\x00\x01\x7f\x00\x00\x01\x00\x2a\x05\x39\
        \x02\x00\x05\x31\x32\x33\x34\x35";
    let addresses = Some(("127.0.0.1:42", "127.0.0.1:1337"));
    assert_eq!(whole(bytes), Ok(received(2, addresses, &[(2, b"12345")])));
}

#[test]
fn each_family_and_transport_is_taken_for_what_it_is() {
    let mut ipv6 = [0; 36];
    ipv6[..2].copy_from_slice(&[0x20, 0x01]);
    ipv6[15] = 1;
    ipv6[31] = 2;
    ipv6[32..].copy_from_slice(&[0, 80, 1, 187]);
    let mut mapped = [0; 36];
    mapped[10..16].copy_from_slice(&[0xff, 0xff, 10, 0, 0, 1]);
    mapped[26..32].copy_from_slice(&[0xff, 0xff, 10, 0, 0, 2]);
    let unix = [b'/'; 216];
    let ipv4_addresses = Some(("192.168.0.1:56324", "192.168.0.11:443"));
    let ipv6_addresses = Some(("[2001::1]:80", "[::2]:443"));
    let none: &[u8] = &[];
    let cases = [
        (0x11, IPV4, ipv4_addresses),
        (0x12, IPV4, ipv4_addresses),
        (0x10, IPV4, None),
        (0x21, &ipv6, ipv6_addresses),
        (0x22, &ipv6, ipv6_addresses),
        (0x20, &ipv6, None),
        (0x21, &mapped, Some(("10.0.0.1:0", "10.0.0.2:0"))),
        (0x31, &unix, None),
        (0x32, &unix, None),
        (0x30, &unix, None),
        (0x00, none, None),
        (0x01, none, None),
        (0x02, none, None),
    ];
    for (kind, addresses, expected) in cases {
        let plain = header(0x21, kind, &[addresses]);
        assert_eq!(whole(&plain), Ok(received(2, expected, &[])), "{kind:#x}");
        let with_value = header(0x21, kind, &[addresses, b"\xea\x00\x01x"]);
        let values: &[(u8, &[u8])] = &[(0xea, b"x")];
        assert_eq!(
            whole(&with_value),
            Ok(received(2, expected, values)),
            "{kind:#x}"
        );
        if let Some((_, short)) = addresses.split_last() {
            let short = header(0x21, kind, &[short]);
            assert_eq!(whole(&short), Err(BadHeader::NoAddresses), "{kind:#x}");
        }
    }
}

#[test]
fn what_is_unknown_is_refused_as_soon_as_it_is_there() {
    for byte in 0..=u8::MAX {
        let start = [SIGNATURE, &[byte]].concat();
        let expected = match byte {
            0x20 | 0x21 => Ok(Parsed::Partial),
            0x22..=0x2f => Err(BadHeader::Command(byte & 0x0f)),
            _ => Err(BadHeader::Version(byte >> 4)),
        };
        assert_eq!(parse(&start), expected, "{byte:#x}");
    }
    for kind in 0..=u8::MAX {
        let known = kind >> 4 <= 3 && kind & 0x0f <= 2;
        let expected = if known {
            Ok(Parsed::Partial)
        } else {
            Err(BadHeader::Family(kind))
        };
        assert_eq!(
            parse(&[SIGNATURE, &[0x21, kind]].concat()),
            expected,
            "{kind:#x}"
        );
        // Which does not matter for LOCAL.
        assert_eq!(
            parse(&[SIGNATURE, &[0x20, kind]].concat()),
            Ok(Parsed::Partial),
            "{kind:#x}"
        );
    }
}

#[test]
fn local_is_taken_and_what_it_holds_is_not() {
    let local = || Ok(received(2, None, &[]));
    for rest in [
        &b""[..],
        IPV4,
        b"\xea\x00\x01x",
        b"\xff\xff",
        b"\x03\x00\x04\0\0\0\0",
    ] {
        for kind in [0x00, 0x11, 0xff] {
            assert_eq!(
                whole(&header(0x20, kind, &[rest])),
                local(),
                "{kind:#x} {rest:?}"
            );
        }
    }
}

#[test]
fn values_are_kept_in_order_without_padding() {
    let rest: [&[u8]; 7] = [
        IPV4,
        b"\x01\x00\x02h2",
        b"\x04\x00\x05.....",
        b"\xea\x00\x00",
        b"\x99\x00\x01a",
        b"\x04\x00\x00",
        b"\xea\x00\x01b",
    ];
    let values: [(u8, &[u8]); 4] = [(1, b"h2"), (0xea, b""), (0x99, b"a"), (0xea, b"b")];
    let addresses = Some(("192.168.0.1:56324", "192.168.0.11:443"));
    assert_eq!(
        whole(&header(0x21, 0x11, &rest)),
        Ok(received(2, addresses, &values))
    );
}

#[test]
fn malformed_values_are_refused() {
    let long_id = [&b"\x05\x00\x81"[..], &[b'x'; 129]].concat();
    let cases: [(&[u8], u8); 11] = [
        (b"\x02", 2),
        (b"\x02\x00", 2),
        (b"\x02\x00\x01", 2),
        (b"\x02\x00\x02a", 2),
        (b"\x02\xff\xffa", 2),
        (b"\x04\x00\x02a", 4),
        (b"\x02\x00\x01a\xea", 0xea),
        (b"\x03\x00\x03abc", 3),
        (b"\x03\x00\x05abcde", 3),
        (b"\x03\x00\x00", 3),
        (&long_id, 5),
    ];
    for (value, kind) in cases {
        let bytes = header(0x21, 0x11, &[IPV4, value]);
        assert_eq!(whole(&bytes), Err(BadHeader::Value(kind)), "{value:?}");
    }
    let id = [&b"\x05\x00\x80"[..], &[b'x'; 128]].concat();
    assert!(whole(&header(0x21, 0x11, &[IPV4, &id])).is_ok());
}

#[test]
fn a_checksum_is_verified_wherever_it_stands() {
    assert_eq!(
        crc32c(b"123456789"),
        0xe306_9283,
        "the check value of CRC-32C"
    );
    let zero: &[u8] = b"\x03\x00\x04\0\0\0\0";
    let value: &[u8] = b"\xea\x00\x01x";
    let cases: [(&[&[u8]], usize); 3] = [
        (&[IPV4, zero], 31),
        (&[IPV4, zero, value], 31),
        (&[IPV4, value, zero], 35),
    ];
    for (rest, at) in cases {
        let mut bytes = header(0x21, 0x11, rest);
        assert_eq!(whole(&bytes), Err(BadHeader::Checksum), "{rest:?}");
        let sum = crc32c(&bytes);
        bytes[at..at + 4].copy_from_slice(&sum.to_be_bytes());
        assert!(whole(&bytes).is_ok(), "{rest:?}");
        // With another type it would be no checksum.
        for place in (16..bytes.len()).filter(|place| *place != at - 3) {
            let mut other = bytes.clone();
            other[place] ^= 1;
            assert!(parse(&other).is_err(), "{place} of {rest:?}");
        }
    }
    // None of two could be right.
    let twice = header(0x21, 0x11, &[IPV4, zero, zero]);
    assert_eq!(whole(&twice), Err(BadHeader::Value(3)));
}

#[test]
fn a_header_is_at_most_4_kib_longer_than_its_fixed_part() {
    let of = |bytes: usize| header(0x20, 0, &[&vec![0; bytes - 16]]);
    assert_eq!(HEADER_BYTES_MAX, 16 + 4096);
    assert!(whole(&of(HEADER_BYTES_MAX)).is_ok());
    // Before a byte of it has come.
    assert_eq!(parse(&of(HEADER_BYTES_MAX + 1)[..15]), Ok(Parsed::Partial));
    assert_eq!(
        parse(&of(HEADER_BYTES_MAX + 1)[..16]),
        Err(BadHeader::Length(4097))
    );
    assert_eq!(
        parse(&[SIGNATURE, b"\x21\x11\xff\xff"].concat()),
        Err(BadHeader::Length(u16::MAX))
    );
}
