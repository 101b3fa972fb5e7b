//! The room against headers written by hand from the protocol's text, and against itself.

mod binary;
mod receive;
mod text;
mod values;
mod write;

use std::net::SocketAddr;

use super::{BadHeader, Parsed, Received, parse};
use crate::http::ProxyFacts;

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn received(version: u8, addresses: Option<(&str, &str)>, values: &[(u8, &[u8])]) -> Received {
    Received {
        source: addresses.map(|(source, _)| address(source)),
        destination: addresses.map(|(_, destination)| address(destination)),
        facts: ProxyFacts {
            version,
            sender: None,
            values: values
                .iter()
                .map(|(kind, value)| (*kind, (*value).into()))
                .collect(),
        },
    }
}

/// What a header is that comes whole, alone or before other bytes, and that must be partial when it is cut anywhere.
fn whole(header: &[u8]) -> Result<Received, BadHeader> {
    for cut in 0..header.len() {
        let parsed = parse(&header[..cut])?;
        assert_eq!(parsed, Parsed::Partial, "{cut} of {header:?}");
    }
    let Parsed::Complete { received, length } = parse(header)? else {
        panic!("partial: {header:?}");
    };
    for cut in 0..header.len() {
        let least = super::length_min(&header[..cut]);
        assert!(cut < least && least <= length, "{cut} of {header:?}");
    }
    assert_eq!(length, header.len(), "{header:?}");
    let before = [header, b"GET / HTTP/1.1\r\n"].concat();
    let parsed = parse(&before);
    let expected = received.clone();
    assert_eq!(
        parsed,
        Ok(Parsed::Complete {
            received: expected,
            length
        })
    );
    Ok(received)
}

#[test]
fn the_first_byte_tells_other_protocols() {
    for first in 0..=u8::MAX {
        let expected = match first {
            b'P' | b'\r' => Ok(Parsed::Partial),
            _ => Err(BadHeader::NoHeader),
        };
        assert_eq!(parse(&[first]), expected, "{first}");
    }
    assert_eq!(parse(b""), Ok(Parsed::Partial));
}

#[test]
fn the_first_byte_that_does_not_fit_is_refused() {
    let starts: [&[u8]; 4] = [
        b"PROXY TCP4 ",
        b"PROXY TCP6 ",
        b"PROXY UNKNOWN\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11",
    ];
    for start in starts {
        for at in 0..start.len() {
            // No header has such a byte anywhere in these places.
            let bytes = [&start[..at], b"\xff"].concat();
            assert!(parse(&bytes).is_err(), "{bytes:?}");
        }
        assert!(parse(start).is_ok());
    }
    for other in [
        "POST / HTTP/1.1",
        "PRI * HTTP/2.0",
        "\r\nGET /",
        "PROXYTCP4",
        "PROXY  TCP4",
        "proxy tcp4",
    ] {
        assert_eq!(
            parse(other.as_bytes()),
            Err(BadHeader::NoHeader),
            "{other:?}"
        );
    }
}

#[test]
fn no_bytes_make_it_panic_or_claim_more_than_there_is() {
    let mut random = fastrand::Rng::with_seed(6);
    let starts: [&[u8]; 5] = [
        b"",
        b"PROXY TCP4 ",
        b"PROXY TCP6 ",
        b"PROXY UNKNOWN ",
        b"\r\n\r\n\0\r\nQUIT\n\x21",
    ];
    let likely = b"0123456789abcdef:. \r\n\0\x01\x02\x03\x04\x05\x11\x21";
    for _ in 0..50_000 {
        let mut bytes = random.choice(starts).unwrap_or_default().to_vec();
        for _ in 0..random.usize(0..120) {
            let byte = random.choice(likely).copied().unwrap_or_default();
            bytes.push(if random.u8(0..20) == 0 {
                random.u8(..)
            } else {
                byte
            });
        }
        match parse(&bytes) {
            Ok(Parsed::Complete { length, .. }) => assert!(length <= bytes.len()),
            Ok(Parsed::Partial) => assert!(super::length_min(&bytes) > bytes.len(), "{bytes:?}"),
            Err(_) => {}
        }
    }
}
