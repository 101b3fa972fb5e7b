use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use super::*;
use crate::http::{Limits, Scheme, parse_request};

const REQUEST: &[u8] = b"GET /cart?x=1 HTTP/1.1\r\nHost: Shop.example:8080\r\nX-User: ann\r\nX-List: a\r\nX-List: b\r\n\
    X-Empty:\r\nCookie: a=1; sid=\"s 1\"\r\nCookie: sid=2; none=\r\n\r\n";

fn exchange() -> Exchange {
    let peer: SocketAddr = "192.0.2.7:4000".parse().expect("a socket address");
    let mut facts = ConnectionFacts {
        id: 1,
        peer,
        local: peer,
        listener: "web".into(),
        scheme: Scheme::Https,
        http2: false,
        tls: None,
        proxy: None,
        accepted: Instant::now(),
        tags: Vec::new(),
        downstream_bytes: AtomicU64::new(0),
        upstream_bytes: AtomicU64::new(0),
    };
    facts.set_tag("sni", b"shop");
    let mut exchange = Exchange::new(Arc::new(facts));
    exchange.set_tag("tenant", b"t1");
    parse_request(REQUEST, &Limits::default(), &mut exchange.request).expect("a valid request");
    exchange
}

fn header(name: &str) -> KeyPart {
    KeyPart::Header(name.into())
}

fn cookie(name: &str) -> KeyPart {
    KeyPart::Cookie(name.into())
}

fn tag(name: &str) -> KeyPart {
    KeyPart::Tag(name.into())
}

fn fixed(text: &str) -> KeyPart {
    KeyPart::Text(text.into())
}

#[test]
fn the_key_of_a_request() {
    let table: [(&[KeyPart], Option<&str>); 20] = [
        (&[KeyPart::Source], Some("192.0.2.7")),
        (&[KeyPart::Method], Some("GET")),
        (&[KeyPart::Host], Some("shop.example")),
        (&[KeyPart::Path], Some("/cart")),
        (&[KeyPart::Query], Some("x=1")),
        (&[KeyPart::Scheme], Some("https")),
        (&[header("x-user")], Some("ann")),
        (&[header("x-list")], Some("a, b")),
        (&[header("x-empty")], None),
        (&[header("x-none")], None),
        (&[cookie("sid")], Some("\"s 1\"")),
        (&[cookie("SID")], None),
        (&[cookie("none")], None),
        (&[tag("tenant")], Some("t1")),
        (&[tag("sni")], Some("shop")),
        (&[tag("none")], None),
        (&[fixed("only text")], None),
        (&[], None),
        (
            &[KeyPart::Source, fixed("/"), header("x-none")],
            Some("192.0.2.7/"),
        ),
        (
            &[fixed("u:"), header("x-user"), fixed("@"), KeyPart::Host],
            Some("u:ann@shop.example"),
        ),
    ];
    for (parts, expected) in table {
        let key = KeyTemplate::new(parts).of_request(&exchange());
        assert_eq!(key.map(|key| key.text()).as_deref(), expected, "{parts:?}");
    }
}

#[test]
fn the_source_is_what_a_trusted_peer_said() {
    let mut exchange = exchange();
    exchange.client_address = "2001:db8::1".parse().expect("an address");
    let key = KeyTemplate::new(&[KeyPart::Source]).of_request(&exchange);
    assert_eq!(key, Some(Key::of(b"2001:db8::1")));
}

#[test]
fn the_key_of_a_connection_knows_no_message() {
    let exchange = exchange();
    let table: [(&[KeyPart], Option<&str>); 8] = [
        (&[KeyPart::Source], Some("192.0.2.7")),
        (
            &[KeyPart::Scheme, fixed(" "), tag("sni")],
            Some("https shop"),
        ),
        (&[tag("tenant")], None),
        (
            &[KeyPart::Source, fixed("/"), KeyPart::Host],
            Some("192.0.2.7/"),
        ),
        (&[KeyPart::Method], None),
        (&[KeyPart::Path, KeyPart::Query], None),
        (&[header("x-user")], None),
        (&[cookie("sid")], None),
    ];
    for (parts, expected) in table {
        let key = KeyTemplate::new(parts).of_connection(&exchange.connection);
        assert_eq!(key.map(|key| key.text()).as_deref(), expected, "{parts:?}");
    }
}

#[test]
fn a_long_key_is_kept_as_a_hash() {
    let (fits, long) = ([b'k'; KEY_BYTES_MAX], [b'k'; KEY_BYTES_MAX + 1]);
    assert_eq!(Key::of(&fits).text().as_bytes(), fits);
    // The first 16 bytes of the SHA-256 of 257 times "k".
    assert_eq!(
        Key::of(&long).text(),
        "sha256:a5de0e3c93b4322bf1d2e6cc13119219"
    );
    assert_eq!(Key::of(&long).0.len(), 17);
    let other = [&long[1..], b"l"].concat();
    assert_ne!(Key::of(&long), Key::of(&other));
    // The bytes of a hash as a key are another key.
    assert_ne!(Key::of(&Key::of(&long).0[1..]), Key::of(&long));
}
