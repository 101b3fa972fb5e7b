//! Hellos that are looked at in passing.

use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use super::{NO_NAME, anyone};
use crate::tls::{HELLO_BYTES_MAX, Hello, HelloRead, read_hello};

fn hello_of(config: ClientConfig, name: &str) -> Vec<u8> {
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let mut client = ClientConnection::new(Arc::new(config), name).expect("a client");
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).expect("written");
    bytes
}

fn offering(protocols: &[&[u8]]) -> ClientConfig {
    let mut config = anyone();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    config
}

#[test]
fn name_and_protocols_are_read_however_the_bytes_are_split() {
    let bytes = hello_of(offering(&[b"h2", b"http/1.1"]), "App.Test");
    let expected = HelloRead::Hello(Hello {
        sni: Some("app.test".into()),
        alpns: vec!["h2".into(), "http/1.1".into()],
    });
    for end in 0..bytes.len() {
        assert_eq!(read_hello(&bytes[..end]), HelloRead::Partial, "{end} bytes");
    }
    assert_eq!(read_hello(&bytes), expected);
    let more = [&bytes[..], b"and what comes after"].concat();
    assert_eq!(read_hello(&more), expected);
}

#[test]
fn a_hello_in_many_records_is_one() {
    let bytes = hello_of(offering(&[b"h2"]), "app.test");
    let mut records = Vec::new();
    for piece in bytes[5..].chunks(100) {
        records.extend_from_slice(&[22, 3, 1]);
        records.extend_from_slice(&(piece.len() as u16).to_be_bytes());
        records.extend_from_slice(piece);
    }
    assert_eq!(read_hello(&records), read_hello(&bytes));
    assert!(matches!(read_hello(&records), HelloRead::Hello(_)));
}

#[test]
fn what_is_not_asked_for_is_absent() {
    let bytes = hello_of(anyone(), NO_NAME);
    assert_eq!(read_hello(&bytes), HelloRead::Hello(Hello::default()));
    let bytes = hello_of(offering(&[b"\xfa\xfa", b"h2"]), "a.test");
    let HelloRead::Hello(hello) = read_hello(&bytes) else {
        panic!("a hello");
    };
    assert_eq!(hello.alpns, ["h2".into()], "what is no text is left out");
}

#[test]
fn other_protocols_garbage_and_endless_hellos_are_told_apart() {
    let mut cut_inside = hello_of(anyone(), "a.test");
    // The session id claims more than the message has.
    cut_inside[43] = 0xff;
    let endless = |records: usize| {
        let mut bytes = vec![22, 3, 1, 0x40, 0, 1, 0, 0xff, 0];
        bytes.resize(5 + 0x4000, 0);
        for _ in 1..records {
            bytes.extend_from_slice(&[22, 3, 1, 0x40, 0]);
            bytes.resize(bytes.len() + 0x4000, 0);
        }
        bytes
    };
    for (what, bytes, expected) in [
        ("nothing yet", Vec::new(), HelloRead::Partial),
        ("HTTP", b"GET / HTTP/1.1\r\n".to_vec(), HelloRead::NotTls),
        ("SSH", b"S".to_vec(), HelloRead::NotTls),
        ("another version", vec![22, 2], HelloRead::NotTls),
        ("an alert", vec![21, 3, 1], HelloRead::NotTls),
        (
            "no client hello",
            vec![22, 3, 1, 0, 4, 2, 0, 0, 0],
            HelloRead::Bad,
        ),
        (
            "an empty hello",
            vec![22, 3, 1, 0, 4, 1, 0, 0, 0],
            HelloRead::Bad,
        ),
        ("a wrong length inside", cut_inside, HelloRead::Bad),
        ("an endless one so far", endless(1), HelloRead::Partial),
        ("an endless one", endless(2), HelloRead::Bad),
        ("an endless one after more", endless(9), HelloRead::Bad),
    ] {
        assert_eq!(read_hello(&bytes), expected, "{what}");
    }
}

#[test]
fn the_longest_hello_of_today_fits_many_times() {
    assert!(hello_of(offering(&[b"h2", b"http/1.1"]), "a.test").len() * 8 < HELLO_BYTES_MAX);
}

#[test]
fn no_single_wrong_byte_is_more_than_a_bad_hello() {
    let bytes = hello_of(offering(&[b"h2"]), "a.test");
    for at in 0..bytes.len().min(400) {
        for value in [0, 1, 0x7f, 0xff] {
            let mut wrong = bytes.clone();
            wrong[at] = value;
            // Any answer will do, as long as there is one.
            let _ = read_hello(&wrong);
        }
    }
}
