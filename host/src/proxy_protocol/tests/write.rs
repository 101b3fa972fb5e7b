//! Headers that are made, byte for byte and by reading them again.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::super::{HEADER_BYTES_MAX, Header, write};
use super::{address, whole};
use crate::config::ProxyVersion::{self, V1, V2};

fn header(version: ProxyVersion, addresses: Option<(&str, &str)>) -> Header<'static> {
    Header {
        version,
        source: addresses.map(|(source, _)| address(source)),
        destination: addresses.map(|(_, destination)| address(destination)),
        values: &[],
        checksum: false,
    }
}

fn written(header: &Header<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    write(header, &mut out);
    out
}

#[test]
fn lines_of_version_1() {
    let cases = [
        (
            Some(("192.168.0.1:56324", "192.168.0.11:443")),
            "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n",
        ),
        (
            Some(("[2001:db8::1]:1", "[::1]:65535")),
            "PROXY TCP6 2001:db8::1 ::1 1 65535\r\n",
        ),
        (
            Some(("10.1.2.3:1", "[2001:db8::1]:2")),
            "PROXY TCP6 ::ffff:a01:203 2001:db8::1 1 2\r\n",
        ),
        (
            Some(("[2001:db8::1]:2", "10.0.0.1:1")),
            "PROXY TCP6 2001:db8::1 ::ffff:a00:1 2 1\r\n",
        ),
        (
            Some(("[::ffff:10.0.0.1]:1", "10.0.0.2:2")),
            "PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n",
        ),
        (None, "PROXY UNKNOWN\r\n"),
    ];
    for (addresses, expected) in cases {
        let line = written(&header(V1, addresses));
        assert_eq!(String::from_utf8_lossy(&line), expected);
    }
    let values: &[(u8, &[u8])] = &[(0xea, b"x")];
    let checked = Header {
        values,
        checksum: true,
        ..header(V1, None)
    };
    assert_eq!(
        written(&checked),
        b"PROXY UNKNOWN\r\n",
        "there is no place for more"
    );
}

#[test]
fn headers_of_version_2() {
    const START: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21";
    let ipv4 = header(V2, Some(("192.168.0.1:56324", "192.168.0.11:443")));
    let expected = [
        START,
        b"\x11\0\x0c\xc0\xa8\0\x01\xc0\xa8\0\x0b\xdc\x04\x01\xbb",
    ]
    .concat();
    assert_eq!(written(&ipv4), expected);
    let mixed = header(V2, Some(("10.0.0.1:1", "[::1]:2")));
    let mapped = b"\x21\0\x24\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\x01";
    let loopback = b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\x01\0\x02";
    assert_eq!(written(&mixed), [START, mapped, loopback].concat());
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
    assert_eq!(written(&header(V2, None)), local);
    let values: &[(u8, &[u8])] = &[(1, b"h2"), (0xea, b"")];
    let valued = Header { values, ..ipv4 };
    let found = written(&valued);
    assert_eq!(found[14..16], [0, 20], "addresses and values");
    assert_eq!(found[28..], *b"\x01\0\x02h2\xea\0\0");
    let valued = Header {
        values,
        ..header(V2, None)
    };
    assert_eq!(
        written(&valued),
        local,
        "values are about what has addresses"
    );
}

#[test]
fn one_address_says_nothing() {
    for version in [V1, V2] {
        let whole = header(version, Some(("10.0.0.1:1", "10.0.0.2:2")));
        let unknown = written(&header(version, None));
        assert_eq!(
            written(&Header {
                source: None,
                ..whole
            }),
            unknown
        );
        assert_eq!(
            written(&Header {
                destination: None,
                ..whole
            }),
            unknown
        );
    }
}

#[test]
fn what_stands_before_it_stays() {
    let mut out = b"before".to_vec();
    let checked = Header {
        checksum: true,
        ..header(V2, Some(("10.0.0.1:1", "10.0.0.2:2")))
    };
    write(&checked, &mut out);
    assert_eq!(out.strip_prefix(b"before"), Some(&*written(&checked)));
}

#[test]
fn what_does_not_fit_is_left_out() {
    let ipv4 = header(V2, Some(("10.0.0.1:1", "10.0.0.2:2")));
    // Beside the fixed part there are addresses, two heads of values, and the checksum.
    let room = HEADER_BYTES_MAX - 16 - 12 - 3 - 3;
    for (checksum, room) in [(false, room), (true, room - 7)] {
        for (length, kept) in [(room, 2), (room + 1, 1), (70_000, 1)] {
            let large = vec![b'x'; length];
            let values: &[(u8, &[u8])] = &[(0xe1, &large), (0xe2, b"")];
            let bytes = written(&Header {
                values,
                checksum,
                ..ipv4
            });
            let found = whole(&bytes).expect("it is one").facts.values;
            assert_eq!(found.len(), kept, "{length} {checksum}");
            assert!(bytes.len() <= HEADER_BYTES_MAX);
        }
    }
    let values: &[(u8, &[u8])] = &[(3, b"abcd"), (0xe2, b"x")];
    let bytes = written(&Header { values, ..ipv4 });
    let found = whole(&bytes).expect("it is one").facts.values;
    let kept: [(u8, Box<[u8]>); 1] = [(0xe2, (*b"x").into())];
    assert_eq!(found, kept, "a checksum is not for others to say");
}

fn any_address(random: &mut fastrand::Rng) -> SocketAddr {
    let ip: IpAddr = match random.u8(0..4) {
        0 => Ipv6Addr::from(random.u128(..)).into(),
        1 => Ipv6Addr::from(random.u128(..) & 0xffff).into(),
        2 => Ipv4Addr::from(random.u32(..)).to_ipv6_mapped().into(),
        _ => Ipv4Addr::from(random.u32(..)).into(),
    };
    SocketAddr::new(ip, random.u16(..))
}

#[test]
fn what_is_written_is_read_again() {
    let mut random = fastrand::Rng::with_seed(7);
    for round in 0..2000 {
        let addresses =
            (random.u8(0..8) > 0).then(|| (any_address(&mut random), any_address(&mut random)));
        let mut value = || -> (u8, Vec<u8>) {
            // Neither a checksum nor padding, which are not kept.
            let kind = random
                .choice([1, 2, 5, 0x20, 0xe0, 0xef, 0xff])
                .unwrap_or_default();
            (
                kind,
                (0..random.usize(0..100)).map(|_| random.u8(..)).collect(),
            )
        };
        let values: Vec<_> = (0..round % 5).map(|_| value()).collect();
        let borrowed: Vec<(u8, &[u8])> = values
            .iter()
            .map(|(kind, value)| (*kind, &**value))
            .collect();
        for version in [V1, V2] {
            let bytes = written(&Header {
                version,
                source: addresses.map(|(source, _)| source),
                destination: addresses.map(|(_, destination)| destination),
                values: &borrowed,
                checksum: round % 2 == 0,
            });
            let found = whole(&bytes).expect("it is one");
            let canonical =
                |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
            assert_eq!(found.source, addresses.map(|(source, _)| canonical(source)));
            assert_eq!(
                found.destination,
                addresses.map(|(_, destination)| canonical(destination))
            );
            let kept: Vec<_> = found
                .facts
                .values
                .iter()
                .map(|(kind, value)| (*kind, &**value))
                .collect();
            let all = version == V2 && addresses.is_some();
            assert_eq!(kept, if all { &*borrowed } else { &[] });
        }
    }
}
