//! The PROXY protocol: headers that the proxy believes, and headers that it sends.

mod incoming;
mod outgoing;
mod values;

use crate::harness::{Origin, Peer, Proxy, config};
use std::fmt::Display;
use std::net::SocketAddr;

/// A listener "web" that believes headers of this machine, with more settings in it, before `origin`.
fn believing(settings: &str, origin: &dyn Display) -> Proxy {
    Proxy::start(&config(
        r#"
        process { workers 1; log level="debug" format="json" }
        listener "web" "127.0.0.1:0" {
            proxy-protocol "10.0.0.0/8" "127.0.0.0/8"
            SETTINGS
            route { cluster "origin" }
        }
        cluster "origin" { endpoint "ORIGIN" }
        "#
        .trim_start(),
        &[("SETTINGS", &settings), ("ORIGIN", origin)],
    ))
}

/// A proxy whose cluster "origin" begins connections as `protocol` says; more may be in listener and cluster.
fn saying(listener: &str, cluster: &str, origin: &dyn Display) -> Proxy {
    Proxy::start(&config(
        r#"
        listener "web" "127.0.0.1:0" {
            LISTENER
            route { cluster "origin" }
        }
        cluster "origin" {
            endpoint "ORIGIN"
            CLUSTER
        }
        "#,
        &[
            ("ORIGIN", origin),
            ("LISTENER", &listener),
            ("CLUSTER", &cluster),
        ],
    ))
}

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// A header of version 2 as the protocol lays it out: command, family and transport, addresses, values.
fn v2(command: u8, family: u8, addresses: &[u8], values: &[(u8, &[u8])]) -> Vec<u8> {
    let mut rest = addresses.to_vec();
    for (kind, value) in values {
        rest.push(*kind);
        rest.extend(length(value.len()));
        rest.extend(*value);
    }
    let fixed = [&[0x20 | command, family][..], &length(rest.len())].concat();
    [SIGNATURE, &fixed, &rest].concat()
}

fn length(length: usize) -> [u8; 2] {
    u16::try_from(length).expect("short").to_be_bytes()
}

/// Says that this connection is of `source`, to `destination`.
fn v2_of(source: SocketAddr, destination: SocketAddr, values: &[(u8, &[u8])]) -> Vec<u8> {
    let (family, mut addresses) = match (source, destination) {
        (SocketAddr::V4(source), SocketAddr::V4(destination)) => {
            let both = [source.ip().octets(), destination.ip().octets()];
            (0x11, both.concat())
        }
        (SocketAddr::V6(source), SocketAddr::V6(destination)) => {
            let both = [source.ip().octets(), destination.ip().octets()];
            (0x21, both.concat())
        }
        both => panic!("of two families: {both:?}"),
    };
    addresses.extend(source.port().to_be_bytes());
    addresses.extend(destination.port().to_be_bytes());
    v2(1, family, &addresses, values)
}

/// The same header with a CRC32C at its end.
fn with_checksum(header: &[u8]) -> Vec<u8> {
    let rest = [&header[16..], &[3, 0, 4, 0, 0, 0, 0]].concat();
    let mut whole = [&header[..14], &length(rest.len()), &rest].concat();
    let sum = crc32c::crc32c(&whole).to_be_bytes();
    let at = whole.len() - 4;
    whole[at..].copy_from_slice(&sum);
    whole
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// Takes the header off a connection, in either version.
fn header(peer: &mut Peer) -> Vec<u8> {
    let mut header = peer.take(12);
    if header == SIGNATURE {
        header.extend(peer.take(4));
        let rest = usize::from(u16::from_be_bytes([header[14], header[15]]));
        header.extend(peer.take(rest));
    } else {
        let line = peer.line().unwrap_or_default();
        header.extend(line.as_bytes());
        header.extend(b"\r\n");
    }
    header
}

/// Takes a header off each connection, and answers each request on it with that header.
fn headed() -> Origin {
    Origin::start(|mut peer| {
        let header = header(&mut peer);
        while peer.request().is_some() {
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
                header.len()
            );
            peer.send([head.as_bytes(), &header].concat());
        }
    })
}

/// The values in a header of version 2.
fn values_of(header: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let addresses = match header[13] {
        0x11 => 12,
        0x21 => 36,
        _ => 0,
    };
    split_values(&header[16 + addresses..])
}

fn split_values(mut rest: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut values = Vec::new();
    while let [kind, high, low, behind @ ..] = rest {
        let (value, behind) = behind.split_at(usize::from(u16::from_be_bytes([*high, *low])));
        values.push((*kind, value.to_vec()));
        rest = behind;
    }
    values
}
