//! Making a header.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::HEADER_BYTES_MAX;
use super::binary::{
    CHECKSUM, FIXED_BYTES, IPV4, IPV6, LOCAL, PROXY, SIGNATURE, STREAM, UNSPECIFIED, VERSION,
};
use crate::config::ProxyVersion;

/// What is said about a relayed connection.
#[derive(Debug, Clone, Copy)]
pub struct Header<'a> {
    pub version: ProxyVersion,
    /// Who opened the connection, and what it was opened to. If either lacks nothing is said about the connection but that it has no other
    /// addresses than its own: `UNKNOWN` in version 1, `LOCAL` in version 2, without values. Version 2 could also send values with addresses
    /// of no family, which receivers may refuse, and HAProxy does. If one is IPv4 and the other IPv6, the first is mapped into IPv6.
    pub source: Option<SocketAddr>,
    pub destination: Option<SocketAddr>,
    /// Types and values in order, for version 2; version 1 has no place for them. Whatever would make the header longer than
    /// [`HEADER_BYTES_MAX`] is left out, and so is a checksum among them.
    pub values: &'a [(u8, &'a [u8])],
    /// A CRC32C, for version 2.
    pub checksum: bool,
}

/// Appends `header` to `out`. To be sent at once, before anything else on the connection.
pub fn write(header: &Header<'_>, out: &mut Vec<u8>) {
    let addresses = Addresses::new(header.source, header.destination);
    match header.version {
        ProxyVersion::V1 => write_line(&addresses, out),
        ProxyVersion::V2 => write_binary(&addresses, header, out),
    }
}

/// Both of one family, source first.
enum Addresses {
    Unknown,
    Ipv4([Ipv4Addr; 2], [u16; 2]),
    Ipv6([Ipv6Addr; 2], [u16; 2]),
}

impl Addresses {
    fn new(source: Option<SocketAddr>, destination: Option<SocketAddr>) -> Addresses {
        let (Some(source), Some(destination)) = (source, destination) else {
            return Addresses::Unknown;
        };
        let ports = [source.port(), destination.port()];
        match (source.ip().to_canonical(), destination.ip().to_canonical()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                Addresses::Ipv4([source, destination], ports)
            }
            (source, destination) => {
                Addresses::Ipv6([in_ipv6(source), in_ipv6(destination)], ports)
            }
        }
    }
}

fn in_ipv6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

fn write_line(addresses: &Addresses, out: &mut Vec<u8>) {
    let line = match addresses {
        Addresses::Unknown => "PROXY UNKNOWN\r\n".to_owned(),
        Addresses::Ipv4([source, destination], [from, to]) => {
            format!("PROXY TCP4 {source} {destination} {from} {to}\r\n")
        }
        Addresses::Ipv6([source, destination], [from, to]) => {
            let (source, destination) = (hexadecimal(source), hexadecimal(destination));
            format!("PROXY TCP6 {source} {destination} {from} {to}\r\n")
        }
    };
    out.extend_from_slice(line.as_bytes());
}

/// Without the dotted form that Rust, as others, gives to mapped addresses: the protocol knows hexadecimal digits only.
fn hexadecimal(address: &Ipv6Addr) -> String {
    let [.., high, low] = address.segments();
    match address.to_ipv4_mapped() {
        Some(_) => format!("::ffff:{high:x}:{low:x}"),
        None => address.to_string(),
    }
}

fn write_binary(addresses: &Addresses, header: &Header<'_>, out: &mut Vec<u8>) {
    let start = out.len();
    let checksum = header.checksum;
    let (command, values) = match addresses {
        Addresses::Unknown => (LOCAL, &[][..]),
        Addresses::Ipv4(..) | Addresses::Ipv6(..) => (PROXY, header.values),
    };
    out.extend_from_slice(&SIGNATURE);
    out.push(VERSION << 4 | command);
    out.extend_from_slice(&[0; FIXED_BYTES - SIGNATURE.len() - 1]);
    let kind = write_addresses(addresses, out);
    let checksum_bytes = if checksum { VALUE_HEAD_BYTES + 4 } else { 0 };
    for (kind, value) in values.iter().filter(|(kind, _)| *kind != CHECKSUM) {
        let length = out.len() - start + VALUE_HEAD_BYTES + value.len();
        if length + checksum_bytes <= HEADER_BYTES_MAX {
            write_value(*kind, value, out);
        }
    }
    if checksum {
        write_value(CHECKSUM, &[0; 4], out);
    }
    complete(&mut out[start..], kind, checksum);
}

/// Type and length.
const VALUE_HEAD_BYTES: usize = 3;

/// Appends the addresses and says which family they are, of a stream.
fn write_addresses(addresses: &Addresses, out: &mut Vec<u8>) -> u8 {
    let (family, ports) = match addresses {
        Addresses::Unknown => return UNSPECIFIED,
        Addresses::Ipv4(ips, ports) => {
            ips.iter()
                .for_each(|ip| out.extend_from_slice(&ip.octets()));
            (IPV4, ports)
        }
        Addresses::Ipv6(ips, ports) => {
            ips.iter()
                .for_each(|ip| out.extend_from_slice(&ip.octets()));
            (IPV6, ports)
        }
    };
    ports
        .iter()
        .for_each(|port| out.extend_from_slice(&port.to_be_bytes()));
    family << 4 | STREAM
}

/// Appends a value, or nothing if it is longer than a value can be.
pub(super) fn write_value(kind: u8, value: &[u8], out: &mut Vec<u8>) {
    if let Ok(length) = u16::try_from(value.len()) {
        out.push(kind);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(value);
    }
}

/// Fills in what is known once all else is there.
fn complete(header: &mut [u8], kind: u8, checksum: bool) {
    header[13] = kind;
    // At most `HEADER_BYTES_MAX`, see there.
    let length = u16::try_from(header.len() - FIXED_BYTES).unwrap_or(u16::MAX);
    header[14..FIXED_BYTES].copy_from_slice(&length.to_be_bytes());
    if checksum {
        let sum = crc32c::crc32c(header).to_be_bytes();
        let at = header.len() - sum.len();
        header[at..].copy_from_slice(&sum);
    }
}
