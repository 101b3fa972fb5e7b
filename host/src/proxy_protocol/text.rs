//! Version 1: one line of ASCII (`doc/proxy-protocol.txt`, section 2.1).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{BadHeader, LINE_BYTES_MAX, Parsed, Received};
use crate::http::ProxyFacts;

/// What each kind of line begins with. No other line may.
const IPV4: &[u8] = b"PROXY TCP4 ";
const IPV6: &[u8] = b"PROXY TCP6 ";
/// Followed by the end of the line, or by a space and what does not matter.
const UNKNOWN: &[u8] = b"PROXY UNKNOWN";

const END: &[u8] = b"\r\n";

/// The shortest line: `UNKNOWN` alone.
pub(super) const BYTES_MIN: usize = UNKNOWN.len() + END.len();

pub(super) fn parse(bytes: &[u8]) -> Result<Parsed, BadHeader> {
    check_start(bytes)?;
    let Some(length) = line_length(bytes)? else {
        return Ok(Parsed::Partial);
    };
    let line = &bytes[..length - END.len()];
    let (source, destination) = match addresses(line)? {
        Some((source, destination)) => (Some(source), Some(destination)),
        None => (None, None),
    };
    let facts = ProxyFacts {
        version: 1,
        ..ProxyFacts::default()
    };
    let received = Received {
        source,
        destination,
        facts,
    };
    Ok(Parsed::Complete { received, length })
}

/// How many bytes the line has at least, the end included. Never more than it has, so that reading that many takes nothing from behind it.
pub(super) fn length_min(bytes: &[u8]) -> usize {
    if bytes.ends_with(b"\r") {
        return bytes.len() + 1;
    }
    let Some((family, fields)) = family(bytes) else {
        return BYTES_MIN.max(bytes.len() + END.len());
    };
    let address = family.address_bytes_min();
    // An address and a port have at least one byte, and a space goes before each but the first.
    let missing = match fields.iter().filter(|byte| **byte == b' ').count() {
        0 => 1 + address + 2 + 2,
        1 => 2 + 2,
        2 => 2,
        _ => 0,
    };
    let shortest = IPV4.len() + 2 * address + 5 + END.len();
    shortest.max(bytes.len() + missing + END.len())
}

/// What the addresses of a line are.
#[derive(Clone, Copy)]
enum Family {
    Ipv4,
    Ipv6,
}

impl Family {
    /// `0.0.0.0` and `::`.
    fn address_bytes_min(self) -> usize {
        match self {
            Family::Ipv4 => 7,
            Family::Ipv6 => 2,
        }
    }

    /// Whether a byte may be part of an address, a port, or between them.
    fn has(self, byte: u8) -> bool {
        match self {
            Family::Ipv4 => matches!(byte, b'0'..=b'9' | b'.' | b' '),
            Family::Ipv6 => byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.' | b' '),
        }
    }
}

/// Of a line with addresses, and what stands behind it.
fn family(bytes: &[u8]) -> Option<(Family, &[u8])> {
    let ipv4 = bytes
        .strip_prefix(IPV4)
        .map(|fields| (Family::Ipv4, fields));
    ipv4.or_else(|| {
        bytes
            .strip_prefix(IPV6)
            .map(|fields| (Family::Ipv6, fields))
    })
}

/// Whether the bytes so far may become one of the three kinds of lines.
fn check_start(bytes: &[u8]) -> Result<(), BadHeader> {
    let fits = |start: &[u8]| {
        bytes
            .iter()
            .zip(start)
            .all(|(byte, expected)| byte == expected)
    };
    if !(fits(IPV4) || fits(IPV6) || fits(UNKNOWN)) {
        return Err(BadHeader::NoHeader);
    }
    match bytes.strip_prefix(UNKNOWN).and_then(<[u8]>::first) {
        None | Some(b' ' | b'\r') => Ok(()),
        Some(b'\n') => Err(BadHeader::LineEnd),
        Some(_) => Err(BadHeader::NoHeader),
    }
}

/// With the CRLF; `None` while it has not come. A CR or an LF by itself is refused even where the rest of the line does not matter: who takes
/// it for the end would read on at another place than we do.
fn line_length(bytes: &[u8]) -> Result<Option<usize>, BadHeader> {
    let scanned = &bytes[..bytes.len().min(LINE_BYTES_MAX)];
    let whole = scanned.len() == LINE_BYTES_MAX;
    let at = scanned
        .iter()
        .position(|byte| matches!(byte, b'\r' | b'\n'));
    check_fields(&scanned[..at.unwrap_or(scanned.len())])?;
    match at.map(|at| &scanned[at..]) {
        Some([b'\r', b'\n', ..]) => Ok(at.map(|at| at + END.len())),
        None | Some([b'\r']) if whole => Err(BadHeader::LongLine),
        None | Some([b'\r']) => Ok(None),
        Some(_) => Err(BadHeader::LineEnd),
    }
}

/// Whether what stands behind the family may be addresses and ports; tells another text before its end has come.
fn check_fields(line: &[u8]) -> Result<(), BadHeader> {
    match family(line) {
        Some((family, fields)) if !fields.iter().all(|byte| family.has(*byte)) => {
            Err(BadHeader::Line)
        }
        _ => Ok(()),
    }
}

/// Of a line without its end; `None` for an unknown protocol.
fn addresses(line: &[u8]) -> Result<Option<(SocketAddr, SocketAddr)>, BadHeader> {
    if line.starts_with(UNKNOWN) {
        return Ok(None);
    }
    let (family, text) = family(line).ok_or(BadHeader::Line)?;
    let text = std::str::from_utf8(text).map_err(|_| BadHeader::Line)?;
    let found = match family {
        Family::Ipv4 => fields(text, |text| text.parse::<Ipv4Addr>().ok()),
        Family::Ipv6 => fields(text, |text| text.parse::<Ipv6Addr>().ok()),
    };
    found.map(Some).ok_or(BadHeader::Line)
}

/// `source destination source-port destination-port` with one space between.
fn fields<A: Into<IpAddr>>(
    text: &str,
    address: impl Fn(&str) -> Option<A>,
) -> Option<(SocketAddr, SocketAddr)> {
    let mut fields = text.split(' ');
    let mut address =
        || -> Option<IpAddr> { address(fields.next()?).map(|found| found.into().to_canonical()) };
    let (source, destination) = (address()?, address()?);
    let (source_port, destination_port) = (port(fields.next()?)?, port(fields.next()?)?);
    let all = fields.next().is_none();
    let source = SocketAddr::new(source, source_port);
    all.then(|| (source, SocketAddr::new(destination, destination_port)))
}

/// Decimal, without sign and leading zeros.
fn port(text: &str) -> Option<u16> {
    let canonical = text == "0" || text.starts_with(|first: char| matches!(first, '1'..='9'));
    canonical.then(|| text.parse().ok()).flatten()
}
