//! What is sent of the facts of a downstream.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use super::super::{write_for, write_local};
use super::{address, received, whole};
use crate::config::ProxyValue::{self, Alpn, Authority, Custom, Ssl, UniqueId};
use crate::config::ProxyVersion::{V1, V2};
use crate::config::{ProxyProtocolOut, ProxyVersion};
use crate::http::{ClientCertificate, ConnectionFacts, ProxyFacts, Scheme, TlsFacts};
use crate::net::address::LOCAL_PEER;

const ALL: [ProxyValue; 5] = [Authority, Alpn, Ssl, UniqueId, Custom];

fn facts(tls: Option<TlsFacts>, proxy: Option<ProxyFacts>) -> ConnectionFacts {
    ConnectionFacts {
        id: 42,
        peer: address("192.0.2.1:5000"),
        local: address("192.0.2.2:443"),
        listener: "web".into(),
        scheme: Scheme::Https,
        http2: false,
        tls: tls.map(Arc::new),
        proxy: proxy.map(Arc::new),
        accepted: Instant::now(),
        tags: Vec::new(),
        downstream_bytes: AtomicU64::new(0),
        upstream_bytes: AtomicU64::new(0),
    }
}

fn tls() -> TlsFacts {
    TlsFacts {
        version: "TLSv1.3",
        cipher: "TLS13_AES_256_GCM_SHA384",
        sni: Some("app.test".into()),
        alpn: Some("h2".into()),
        ..TlsFacts::default()
    }
}

/// What a header holds that was written for `facts`.
fn sent(values: &[ProxyValue], facts: &ConnectionFacts) -> Vec<(u8, Vec<u8>)> {
    let settings = ProxyProtocolOut {
        version: V2,
        values: values.to_vec(),
        checksum: true,
    };
    let mut out = Vec::new();
    write_for(&settings, facts, &mut out);
    let found = whole(&out).expect("a header");
    assert_eq!(found.source, Some(facts.peer));
    assert_eq!(found.destination, Some(facts.local));
    let values = found.facts.values.into_iter();
    values.map(|(kind, value)| (kind, value.into())).collect()
}

fn pairs(expected: &[(u8, &[u8])]) -> Vec<(u8, Vec<u8>)> {
    expected
        .iter()
        .map(|(kind, value)| (*kind, value.to_vec()))
        .collect()
}

#[test]
fn only_what_is_asked_for_and_there_is_sent() {
    let plain = facts(None, None);
    assert_eq!(sent(&[], &facts(Some(tls()), None)), []);
    assert_eq!(sent(&[Authority, Alpn, Ssl, Custom], &plain), []);
    assert_eq!(sent(&[UniqueId], &plain), pairs(&[(5, b"42")]));
    let found = sent(&[Alpn, Authority], &facts(Some(tls()), None));
    assert_eq!(
        found,
        pairs(&[(1, b"h2"), (2, b"app.test")]),
        "in the order of the settings"
    );
}

#[test]
fn what_was_received_goes_on_where_there_is_nothing_of_our_own() {
    let values: [(u8, &[u8]); 9] = [
        (2, b"received.test"),
        (2, b"second.test"),
        (1, b"http/1.1"),
        (0x20, b"\x01\0\0\0\0"),
        (5, b"first-number"),
        (0xe0, b"a"),
        (0x99, b"unknown"),
        (0xef, b"b"),
        (0xf0, b"experiment"),
    ];
    let proxy = received(2, None, &values).facts;
    let custom: [(u8, &[u8]); 2] = [(0xe0, b"a"), (0xef, b"b")];
    let expected: [(u8, &[u8]); 4] = [
        (2, b"received.test"),
        (1, b"http/1.1"),
        (0x20, b"\x01\0\0\0\0"),
        (5, b"first-number"),
    ];
    let found = sent(&ALL, &facts(None, Some(proxy.clone())));
    assert_eq!(found, [pairs(&expected), pairs(&custom)].concat());

    let found = sent(
        &[Authority, Alpn, UniqueId],
        &facts(Some(tls()), Some(proxy)),
    );
    assert_eq!(
        found,
        pairs(&[(2, b"app.test"), (1, b"h2"), (5, b"first-number")])
    );
}

#[test]
fn tls_is_told_with_its_version_cipher_and_client() {
    let client = |subject: &str| {
        Some(ClientCertificate {
            subject: subject.into(),
            ..ClientCertificate::default()
        })
    };
    let cipher_12 = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256";
    let cases: [(TlsFacts, &[u8]); 4] = [
        (
            tls(),
            b"\x01\0\0\0\x01\x21\0\x07TLSv1.3\x23\0\x16TLS_AES_256_GCM_SHA384",
        ),
        (
            TlsFacts {
                client: client("CN=jane,O=x"),
                version: "TLSv1.2",
                cipher: cipher_12,
                ..tls()
            },
            b"\x07\0\0\0\0\x21\0\x07TLSv1.2\x22\0\x04jane\x23\0\x1bECDHE-RSA-AES128-GCM-SHA256",
        ),
        (
            TlsFacts {
                client: client("O=x"),
                resumed: true,
                ..tls()
            },
            b"\x05\0\0\0\0\x21\0\x07TLSv1.3\x23\0\x16TLS_AES_256_GCM_SHA384",
        ),
        (
            TlsFacts {
                cipher: "TLS_NEW",
                ..tls()
            },
            b"\x01\0\0\0\x01\x21\0\x07TLSv1.3\x23\0\x07TLS_NEW",
        ),
    ];
    for (tls, expected) in cases {
        let found = sent(&[Ssl], &facts(Some(tls), None));
        assert_eq!(found, pairs(&[(0x20, expected)]));
    }
}

#[test]
fn a_name_that_is_too_long_leaves_the_rest_whole() {
    for (length, sent_too) in [(256, true), (257, false), (70_000, false)] {
        let name = "x".repeat(length);
        let subject = format!("CN={name}").into();
        let client = Some(ClientCertificate {
            subject,
            ..ClientCertificate::default()
        });
        let found = sent(
            &[Ssl, Authority],
            &facts(Some(TlsFacts { client, ..tls() }), None),
        );
        let name = [b"\x22\x01\0", name.as_bytes()].concat();
        let name: &[u8] = if sent_too { &name } else { b"" };
        let start: &[u8] = b"\x07\0\0\0\0\x21\0\x07TLSv1.3";
        let ssl = [start, name, b"\x23\0\x16TLS_AES_256_GCM_SHA384"].concat();
        assert_eq!(found, pairs(&[(0x20, &ssl), (2, b"app.test")]), "{length}");
    }
}

#[test]
fn a_downstream_on_a_unix_socket_has_no_address() {
    let mut facts = facts(None, None);
    facts.peer = LOCAL_PEER;
    facts.local = LOCAL_PEER;
    let of = |version: ProxyVersion| {
        let settings = ProxyProtocolOut {
            version,
            values: ALL.to_vec(),
            checksum: false,
        };
        let mut out = Vec::new();
        write_for(&settings, &facts, &mut out);
        out
    };
    assert_eq!(of(V1), b"PROXY UNKNOWN\r\n");
    assert_eq!(of(V2), b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0");
}

#[test]
fn our_own_connections_say_so() {
    let of = |version: ProxyVersion, checksum: bool| {
        let settings = ProxyProtocolOut {
            version,
            values: ALL.to_vec(),
            checksum,
        };
        let mut out = Vec::new();
        write_local(&settings, &mut out);
        out
    };
    assert_eq!(of(V1, false), b"PROXY UNKNOWN\r\n");
    assert_eq!(of(V2, false), b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0");
    let checked = of(V2, true);
    assert_eq!(
        checked[..19],
        *b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\x07\x03\0\x04"
    );
    assert_eq!(checked.len(), 23);
}
