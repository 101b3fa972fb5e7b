//! What is agreed on, and what is said to those who do not speak TLS.

use super::{HELLO, Http2, served};
use crate::harness::{Authority, Proxy, TlsClient};
use rustls::version::{TLS12, TLS13};

#[test]
fn both_versions_are_spoken_and_the_exchange_of_keys_is_post_quantum() {
    let (authority, proxy) = served("", HELLO, "");
    for (versions, version) in [(&[&TLS13, &TLS12][..], "TLSv1_3"), (&[&TLS12], "TLSv1_2")] {
        let client = TlsClient::versions(&authority, "test", versions);
        let (mut client, seen) = client.shake(proxy.address("web")).expect("a handshake");
        assert_eq!(seen.version, version);
        if version == "TLSv1_3" {
            assert_eq!(seen.group, "X25519MLKEM768");
        }
        assert_eq!(client.get("/").text(), "hello");
    }
}

#[test]
fn versions_that_are_not_allowed_are_refused() {
    for (allowed, other, version) in [("1.2", &TLS13, "TLSv1_2"), ("1.3", &TLS12, "TLSv1_3")] {
        let (authority, proxy) = served(&format!("versions \"{allowed}\""), HELLO, "");
        let client = TlsClient::new(&authority, "test");
        let (_, seen) = client.shake(proxy.address("web")).expect("a handshake");
        assert_eq!(seen.version, version);
        let refused = TlsClient::versions(&authority, "test", &[other]);
        let refused = refused.shake(proxy.address("web")).err();
        let refused = refused.expect("it speaks the other one").to_string();
        assert!(refused.contains("ProtocolVersion"), "{refused}");
    }
}

#[test]
fn ciphers_are_those_of_the_listener_in_its_order() {
    let (authority, proxy) = served(
        r#"ciphers "TLS_CHACHA20_POLY1305_SHA256" "TLS13_AES_128_GCM_SHA256" "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256""#,
        HELLO,
        "",
    );
    for (versions, cipher) in [
        (&[&TLS13, &TLS12][..], "TLS13_CHACHA20_POLY1305_SHA256"),
        (&[&TLS12], "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"),
    ] {
        let client = TlsClient::versions(&authority, "test", versions);
        let (mut client, seen) = client.shake(proxy.address("web")).expect("a handshake");
        assert_eq!(seen.cipher, cipher);
        assert_eq!(client.get(&format!("/{cipher}")).status, 200);
        let line = proxy.line_of(&format!("/{cipher}"));
        assert_eq!(line.text("tls_cipher"), cipher);
    }
}

fn agreed(
    authority: &Authority,
    proxy: &Proxy,
    offered: &[&str],
) -> Result<Option<String>, String> {
    let client = TlsClient::new(authority, "test").alpn(offered);
    let shaken = client.shake(proxy.address("web"));
    let shaken = shaken.map(|(_, seen)| seen.alpn);
    shaken.map_err(|error| error.to_string())
}

#[test]
fn an_http_listener_prefers_http_2_and_agrees_on_nothing_else_than_http() {
    let (authority, proxy) = served("", HELLO, "");
    for (offered, expected) in [
        (&["http/1.1", "h2"][..], Some("h2")),
        (&["h2"], Some("h2")),
        (&["spdy/3", "http/1.1"], Some("http/1.1")),
        (&[], None),
    ] {
        let found = agreed(&authority, &proxy, offered);
        assert_eq!(found, Ok(expected.map(str::to_owned)), "{offered:?}");
    }
    let refused = agreed(&authority, &proxy, &["spdy/3"]).expect_err("nothing in common");
    assert!(refused.contains("NoApplicationProtocol"), "{refused}");

    let client = TlsClient::new(&authority, "test").alpn(&["h2"]);
    let client = client.connect(proxy.address("web"));
    let answer = Http2::over(&client).get("test", "/second");
    assert_eq!(answer, (200, "hello".to_owned()));
    let line = proxy.line_of("/second");
    assert_eq!(
        (line.text("protocol"), line.outcome(), line.status()),
        ("HTTP/2", "route-reply", 200)
    );
}

#[test]
fn the_protocols_of_a_listener_may_be_chosen() {
    for (tls, listener, expected) in [
        ("alpn \"http/1.1\" \"h2\"", "", "http/1.1"),
        ("alpn \"http/1.1\"", "", "http/1.1"),
        ("alpn \"h2\"", "", "h2"),
        ("", "http2 enabled=#false; ", "http/1.1"),
    ] {
        let (authority, proxy) = served(tls, &format!("{listener}{HELLO}"), "");
        let found = agreed(&authority, &proxy, &["h2", "http/1.1"]);
        assert_eq!(found, Ok(Some(expected.to_owned())), "{tls}{listener}");
    }
}

#[test]
fn plain_http_on_a_port_for_tls_is_told_so() {
    let (authority, proxy) = served("", HELLO, "");
    let long = format!(
        "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 200000\r\n\r\n{}",
        "x".repeat(200_000)
    );
    for request in [
        "GET / HTTP/1.1\r\nHost: test\r\n\r\n",
        &long,
        "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nbody",
        "G",
    ] {
        let mut client = proxy.client();
        client.send(request);
        let response = client.response();
        assert_eq!(response.status, 400);
        assert!(response.text().contains("HTTPS"), "{}", response.text());
        assert_eq!(response.header("connection"), Some("close"));
        assert!(client.is_at_end());
        assert!(!client.was_reset());
    }
    let client = TlsClient::new(&authority, "test");
    assert_eq!(client.connect(proxy.address("web")).get("/").status, 200);
}

#[test]
fn what_is_no_hello_gets_an_alert_and_harms_nobody() {
    let (authority, proxy) = served("handshake timeout=\"1m\"", HELLO, "");
    for bytes in [
        // A record of an unknown type; a hello that is none; another protocol.
        &[0, 1, 2, 3, 4, 5, 6, 7][..],
        &[22, 3, 1, 0, 5, 1, 0, 0, 1, 9],
        b"\x80\x2e\x01\x03\x01 SSL 2",
    ] {
        let mut client = proxy.client();
        client.send(bytes);
        let answer = client.rest();
        // A record of two bytes: fatal, and why.
        assert_eq!(answer.len(), 7, "{bytes:?}: {answer:?}");
        assert_eq!((answer[0], answer[5]), (21, 2), "{bytes:?}: {answer:?}");
        assert!(!client.was_reset(), "{bytes:?}");
    }
    let client = TlsClient::new(&authority, "test");
    assert_eq!(client.connect(proxy.address("web")).get("/").status, 200);
}

#[test]
fn a_hello_that_is_too_long_or_breaks_off_ends_the_connection() {
    let (authority, proxy) = served("handshake timeout=\"1m\"", HELLO, "");
    for length in [[0, 0xff, 0xff], [0xff, 0xff, 0xff]] {
        // A message of this length, in as many full records as it takes to have enough.
        let mut client = proxy.client();
        for number in 0..8 {
            let mut record = vec![22, 3, 1, 0x40, 0];
            record.resize(5 + 0x4000, 0);
            if number == 0 {
                record[5] = 1;
                record[6..9].copy_from_slice(&length);
            }
            client.send(record);
        }
        client.rest();
    }
    for bytes in [&[22, 3, 1, 2, 0, 1][..], &[23, 3, 3, 0, 2, 1, 2], &[]] {
        let mut client = proxy.client();
        client.send(bytes);
        client.finish();
        assert_eq!(client.rest(), b"", "{bytes:?}");
    }
    let client = TlsClient::new(&authority, "test");
    assert_eq!(client.connect(proxy.address("web")).get("/").status, 200);
}
