//! Who the client is, and telling the upstream: `X-Forwarded-For`, `-Proto`, `-Host` and `Forwarded` (RFC 7239).
//!
//! From a peer that is not trusted, whatever it sent of these is replaced, so that the upstream can believe what it reads (Caddy's rule).
//! From a trusted peer they are kept and added to, and the client is the last address in `X-Forwarded-For`, or else in `Forwarded`, that is
//! not itself trusted.

use crate::http::Exchange;
use ipnet::IpNet;
use std::net::IpAddr;

const PREFIX: &[u8] = b"x-forwarded-";
/// The longest text of an IPv6 address.
const ADDRESS_MAX: usize = 45;

/// Settles the client address and the forwarding headers of a request.
pub(super) fn apply(exchange: &mut Exchange, trusted: &[IpNet]) {
    let peer = exchange.connection.peer.ip().to_canonical();
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(&address));
    if is_trusted(peer) {
        believe(exchange, peer, &is_trusted);
    } else {
        replace(exchange, peer);
    }
}

fn replace(exchange: &mut Exchange, peer: IpAddr) {
    let mut said_forwarded = false;
    let fields = exchange.request.fields_mut();
    fields.retain(|name| match name.first() {
        Some(b'x' | b'X') => !is_forwarding(name),
        Some(b'f' | b'F') if name.eq_ignore_ascii_case(b"forwarded") => {
            said_forwarded = true;
            false
        }
        _ => true,
    });
    let scheme = exchange.connection.scheme.as_str();
    fields.put("x-forwarded-for", ADDRESS_MAX, |out| {
        write_address(peer, out)
    });
    fields.put("x-forwarded-proto", scheme.len(), |out| {
        out.extend_from_slice(scheme.as_bytes());
    });
    exchange.request.put_authority("x-forwarded-host");
    if said_forwarded {
        let element = element(peer, scheme);
        put(exchange, b"forwarded", element.as_bytes());
    }
}

fn is_forwarding(name: &[u8]) -> bool {
    name.len() > PREFIX.len() && name[..PREFIX.len()].eq_ignore_ascii_case(PREFIX)
}

/// As `Display` does it, which takes some ten times as long for the addresses that most clients have.
fn write_address(address: IpAddr, out: &mut Vec<u8>) {
    let IpAddr::V4(address) = address else {
        return out.extend_from_slice(address.to_string().as_bytes());
    };
    for (position, octet) in address.octets().into_iter().enumerate() {
        if position > 0 {
            out.push(b'.');
        }
        if octet >= 100 {
            out.push(b'0' + octet / 100);
        }
        if octet >= 10 {
            out.push(b'0' + octet / 10 % 10);
        }
        out.push(b'0' + octet % 10);
    }
}

fn believe(exchange: &mut Exchange, peer: IpAddr, is_trusted: &dyn Fn(IpAddr) -> bool) {
    let mut chain = Vec::new();
    let has_chain = exchange
        .request
        .fields()
        .joined(b"x-forwarded-for", &mut chain);
    let mut forwarded = Vec::new();
    let has_forwarded = exchange
        .request
        .fields()
        .joined(b"forwarded", &mut forwarded);
    let client = if has_chain {
        last_untrusted(elements(&chain).map(parse_address), is_trusted)
    } else {
        last_untrusted(elements(&forwarded).map(forwarded_for), is_trusted)
    };
    if let Some(client) = client {
        exchange.client_address = client;
        exchange.client_port = None;
    }
    let scheme = exchange.connection.scheme.as_str();
    append(&mut chain, &peer.to_string());
    put(exchange, b"x-forwarded-for", &chain);
    let _ = exchange
        .request
        .fields_mut()
        .set_if_absent(b"x-forwarded-proto", scheme.as_bytes());
    if !exchange.request.fields().contains(b"x-forwarded-host") {
        exchange.request.put_authority("x-forwarded-host");
    }
    if has_forwarded {
        append(&mut forwarded, &element(peer, scheme));
        put(exchange, b"forwarded", &forwarded);
    }
}

/// From the right: the first address that is not trusted, or the leftmost when all are. An element that is no address ends the search, since
/// what stands left of it cannot be believed.
fn last_untrusted(
    addresses: impl DoubleEndedIterator<Item = Option<IpAddr>>,
    is_trusted: &dyn Fn(IpAddr) -> bool,
) -> Option<IpAddr> {
    let mut client = None;
    for address in addresses.rev() {
        let address = address?;
        client = Some(address);
        if !is_trusted(address) {
            break;
        }
    }
    client
}

fn elements(list: &[u8]) -> impl DoubleEndedIterator<Item = &str> {
    let text = std::str::from_utf8(list).unwrap_or_default();
    text.split(',')
        .map(str::trim)
        .filter(|element| !element.is_empty())
}

/// An address, in brackets and with a port or without.
fn parse_address(text: &str) -> Option<IpAddr> {
    let text = text.trim_matches('"');
    let plain = match text.strip_prefix('[') {
        Some(rest) => rest.split(']').next()?,
        None if text.matches(':').count() == 1 => text.split(':').next()?,
        None => text,
    };
    plain
        .parse::<IpAddr>()
        .ok()
        .map(|address| address.to_canonical())
}

fn forwarded_for(element: &str) -> Option<IpAddr> {
    let value = element.split(';').find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        name.eq_ignore_ascii_case("for").then_some(value)
    })?;
    parse_address(value)
}

fn element(peer: IpAddr, scheme: &str) -> String {
    match peer {
        IpAddr::V4(address) => format!("for={address};proto={scheme}"),
        IpAddr::V6(address) => format!("for=\"[{address}]\";proto={scheme}"),
    }
}

fn append(list: &mut Vec<u8>, element: &str) {
    if !list.is_empty() {
        list.extend_from_slice(b", ");
    }
    list.extend_from_slice(element.as_bytes());
}

fn put(exchange: &mut Exchange, name: &[u8], value: &[u8]) {
    // These names are editable and the values valid, so it cannot be refused but for size.
    let _ = exchange.request.fields_mut().set(name, value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{ConnectionFacts, Limits, Scheme, parse_request};
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;
    use std::time::Instant;

    fn exchange(peer: &str, headers: &str) -> Exchange {
        let facts = ConnectionFacts {
            id: 1,
            peer: format!("{peer}:4000").parse().expect("an address"),
            local: "127.0.0.1:80".parse().expect("an address"),
            listener: "web".into(),
            scheme: Scheme::Http,
            http2: false,
            tls: None,
            proxy: None,
            accepted: Instant::now(),
            tags: Vec::new(),
            downstream_bytes: AtomicU64::new(0),
            upstream_bytes: AtomicU64::new(0),
        };
        let mut exchange = Exchange::new(Arc::new(facts));
        let text = format!("GET / HTTP/1.1\r\nHost: shop.test:81\r\n{headers}\r\n");
        parse_request(text.as_bytes(), &Limits::default(), &mut exchange.request)
            .expect("a valid request");
        exchange
    }

    fn header(exchange: &Exchange, name: &str) -> Option<String> {
        exchange
            .request
            .fields()
            .get(name.as_bytes())
            .map(|value| String::from_utf8_lossy(value).into_owned())
    }

    #[test]
    fn an_untrusted_peer_is_replaced_in_every_forwarding_header() {
        let sent = "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Prefix: /x\r\nForwarded: for=1.1.1.1\r\n";
        let mut exchange = exchange("192.0.2.9", sent);
        apply(&mut exchange, &[]);
        let expected = [
            ("x-forwarded-for", Some("192.0.2.9")),
            ("x-forwarded-proto", Some("http")),
            ("x-forwarded-host", Some("shop.test:81")),
            ("x-forwarded-prefix", None),
            ("forwarded", Some("for=192.0.2.9;proto=http")),
        ];
        for (name, value) in expected {
            assert_eq!(header(&exchange, name).as_deref(), value, "{name}");
        }
        assert_eq!(exchange.client_address.to_string(), "192.0.2.9");
    }

    #[test]
    fn addresses_are_written_as_everywhere() {
        for text in [
            "0.0.0.0",
            "9.10.99.100",
            "255.254.249.1",
            "2001:db8::1",
            "::ffff:0:0",
        ] {
            let address: IpAddr = text.parse().expect("an address");
            let mut out = Vec::new();
            write_address(address, &mut out);
            assert_eq!(String::from_utf8(out).expect("text"), address.to_string());
        }
    }

    #[test]
    fn a_trusted_peer_is_believed_up_to_the_last_untrusted_address() {
        let trusted: Vec<IpNet> = ["10.0.0.0/8".parse().expect("a network")].into();
        let cases = [
            (
                "X-Forwarded-For: 6.6.6.6, 198.51.100.7, 10.1.1.1\r\n",
                "198.51.100.7",
                "6.6.6.6, 198.51.100.7, 10.1.1.1, 10.0.0.1",
            ),
            (
                "X-Forwarded-For: 10.2.2.2\r\n",
                "10.2.2.2",
                "10.2.2.2, 10.0.0.1",
            ),
            (
                "X-Forwarded-For: garbage\r\n",
                "10.0.0.1",
                "garbage, 10.0.0.1",
            ),
            (
                "Forwarded: for=\"[2001:db8::1]:99\";proto=https\r\n",
                "2001:db8::1",
                "10.0.0.1",
            ),
            ("", "10.0.0.1", "10.0.0.1"),
        ];
        for (sent, client, chain) in cases {
            let mut exchange = exchange("10.0.0.1", sent);
            apply(&mut exchange, &trusted);
            assert_eq!(exchange.client_address.to_string(), client, "{sent}");
            assert_eq!(
                header(&exchange, "x-forwarded-for").as_deref(),
                Some(chain),
                "{sent}"
            );
        }
    }
}
