//! Version 2: a signature, four bytes, addresses, and type-length-values (`doc/proxy-protocol.txt`, section 2.2).

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::{BadHeader, HEADER_BYTES_MAX, Parsed, Received};
use crate::http::ProxyFacts;

pub(super) const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// Signature, version and command, family and transport, and how much follows.
pub(super) const FIXED_BYTES: usize = 16;

/// In the high half of the byte behind the signature.
pub(super) const VERSION: u8 = 2;

/// Commands, in its low half.
pub(super) const LOCAL: u8 = 0;
pub(super) const PROXY: u8 = 1;

/// Families, in the high half of the next byte.
pub(super) const UNSPECIFIED: u8 = 0;
pub(super) const IPV4: u8 = 1;
pub(super) const IPV6: u8 = 2;
const UNIX: u8 = 3;

/// Transports, in its low half.
pub(super) const STREAM: u8 = 1;
const DATAGRAM: u8 = 2;

/// Types of values.
pub(super) const ALPN: u8 = 0x01;
pub(super) const AUTHORITY: u8 = 0x02;
pub(super) const CHECKSUM: u8 = 0x03;
const PADDING: u8 = 0x04;
pub(super) const UNIQUE_ID: u8 = 0x05;
pub(super) const SSL: u8 = 0x20;

/// The longest unique id.
pub(super) const UNIQUE_ID_BYTES_MAX: usize = 128;

pub(super) fn parse(bytes: &[u8]) -> Result<Parsed, BadHeader> {
    check_start(bytes)?;
    let Some((fixed, _)) = bytes.split_first_chunk::<FIXED_BYTES>() else {
        return Ok(Parsed::Partial);
    };
    let length = FIXED_BYTES + rest_length(fixed)?;
    let Some(header) = bytes.get(..length) else {
        return Ok(Parsed::Partial);
    };
    let received = read(header, command(fixed), fixed[13])?;
    Ok(Parsed::Complete { received, length })
}

/// How many bytes the header has at least. Never more than it has.
pub(super) fn length_min(bytes: &[u8]) -> usize {
    match bytes.split_first_chunk::<FIXED_BYTES>() {
        Some((fixed, _)) => FIXED_BYTES + usize::from(announced(fixed)),
        // A line of version 1 may be shorter than this, but does not begin like this.
        None => FIXED_BYTES,
    }
}

/// Whether the bytes so far may become a header, as far as the length.
fn check_start(bytes: &[u8]) -> Result<(), BadHeader> {
    if bytes
        .iter()
        .zip(SIGNATURE)
        .any(|(byte, expected)| *byte != expected)
    {
        return Err(BadHeader::NoHeader);
    }
    let Some(first) = bytes.get(12) else {
        return Ok(());
    };
    match (first >> 4, first & 0x0f) {
        (VERSION, LOCAL) => Ok(()),
        (VERSION, PROXY) => bytes
            .get(13)
            .map_or(Ok(()), |kind| address_bytes(*kind).map(drop)),
        (VERSION, command) => Err(BadHeader::Command(command)),
        (version, _) => Err(BadHeader::Version(version)),
    }
}

/// How much follows the fixed part, if that may be.
fn rest_length(fixed: &[u8; FIXED_BYTES]) -> Result<usize, BadHeader> {
    let announced = announced(fixed);
    let length = usize::from(announced);
    if length > HEADER_BYTES_MAX - FIXED_BYTES {
        return Err(BadHeader::Length(announced));
    }
    if command(fixed) == PROXY && length < address_bytes(fixed[13])? {
        return Err(BadHeader::NoAddresses);
    }
    Ok(length)
}

fn announced(fixed: &[u8; FIXED_BYTES]) -> u16 {
    u16::from_be_bytes([fixed[14], fixed[15]])
}

fn command(fixed: &[u8; FIXED_BYTES]) -> u8 {
    fixed[12] & 0x0f
}

/// How long the addresses of a family are, ports included; whether the transport is a known one too.
fn address_bytes(kind: u8) -> Result<usize, BadHeader> {
    let (family, transport) = (kind >> 4, kind & 0x0f);
    match family {
        _ if transport > DATAGRAM => Err(BadHeader::Family(kind)),
        UNSPECIFIED => Ok(0),
        IPV4 => Ok(2 * 4 + 2 * 2),
        IPV6 => Ok(2 * 16 + 2 * 2),
        UNIX => Ok(2 * 108),
        _ => Err(BadHeader::Family(kind)),
    }
}

/// Reads a whole header.
fn read(header: &[u8], command: u8, kind: u8) -> Result<Received, BadHeader> {
    let facts = ProxyFacts {
        version: VERSION,
        ..ProxyFacts::default()
    };
    let mut received = Received {
        source: None,
        destination: None,
        facts,
    };
    // The protocol: "must use the real connection endpoints and discard the protocol block including the family".
    if command == LOCAL {
        return Ok(received);
    }
    let values_at = FIXED_BYTES + address_bytes(kind)?;
    if let Some((source, destination)) = addresses(kind, &header[FIXED_BYTES..values_at]) {
        received.source = Some(source);
        received.destination = Some(destination);
    }
    received.facts.values = values(header, values_at)?;
    Ok(received)
}

/// `None` for what has no IP addresses, and for a transport that has no ports that we know of.
fn addresses(kind: u8, bytes: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    if !matches!(kind & 0x0f, STREAM | DATAGRAM) {
        return None;
    }
    match kind >> 4 {
        IPV4 => pair(bytes, |bytes: [u8; 4]| IpAddr::from(bytes)),
        IPV6 => pair(bytes, |bytes: [u8; 16]| {
            Ipv6Addr::from(bytes).to_canonical()
        }),
        _ => None,
    }
}

/// Both addresses, then both ports.
fn pair<const N: usize>(
    bytes: &[u8],
    address: impl Fn([u8; N]) -> IpAddr,
) -> Option<(SocketAddr, SocketAddr)> {
    let (source, rest) = bytes.split_first_chunk::<N>()?;
    let (destination, rest) = rest.split_first_chunk::<N>()?;
    let (source_port, rest) = rest.split_first_chunk::<2>()?;
    let destination_port = rest.first_chunk::<2>()?;
    let socket = |ip, port| SocketAddr::new(address(ip), u16::from_be_bytes(port));
    Some((
        socket(*source, *source_port),
        socket(*destination, *destination_port),
    ))
}

/// As [`ProxyFacts`] has them.
type Values = Vec<(u8, Box<[u8]>)>;

/// The values from `at` to the end of the header, less checksum and padding.
fn values(header: &[u8], at: usize) -> Result<Values, BadHeader> {
    // Bounded by the header: each takes at least three bytes of it.
    let mut values = Values::new();
    let mut checksum_at = None;
    let mut rest = &header[at..];
    while let Some((&kind, behind)) = rest.split_first() {
        let (value, behind) = split_value(behind).ok_or(BadHeader::Value(kind))?;
        match kind {
            CHECKSUM if checksum_at.is_some() || value.len() != 4 => {
                return Err(BadHeader::Value(kind));
            }
            CHECKSUM => checksum_at = Some(header.len() - behind.len() - value.len()),
            PADDING => {}
            UNIQUE_ID if value.len() > UNIQUE_ID_BYTES_MAX => return Err(BadHeader::Value(kind)),
            _ => values.push((kind, value.into())),
        }
        rest = behind;
    }
    match checksum_at {
        Some(at) if !is_sum_of(header, at) => Err(BadHeader::Checksum),
        _ => Ok(values),
    }
}

/// From behind the type: the value, and what follows it.
fn split_value(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(u16::from_be_bytes(*length).into())
}

/// Whether the four bytes at `at` are the CRC32C of the header with zeros in their place.
fn is_sum_of(header: &[u8], at: usize) -> bool {
    let (before, behind) = header.split_at(at);
    let Some((sum, behind)) = behind.split_first_chunk::<4>() else {
        return false;
    };
    let sum_with_zeros = crc32c::crc32c_append(crc32c::crc32c(before), &[0; 4]);
    crc32c::crc32c_append(sum_with_zeros, behind) == u32::from_be_bytes(*sum)
}
