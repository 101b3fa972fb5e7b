//! HTTP/2 by TLS: who speaks it is agreed on in the handshake (ALPN).

use super::{as_told, ended};
use crate::harness::h2::{H2Client, H2Origin};
use crate::harness::{Authority, Origin, Proxy, TlsClient, TlsFront, config};
use std::fmt::Display;

/// A proxy with TLS on the listener "web", whose files are `site.pem` and `ca.pem`.
fn secure(authority: &Authority, text: &str, values: &[(&str, &dyn Display)]) -> Proxy {
    let directory = tempfile::tempdir().expect("a temporary folder");
    let identity = authority.issue(&["test"]);
    std::fs::write(directory.path().join("site.pem"), identity.both()).expect("writable");
    std::fs::write(directory.path().join("ca.pem"), authority.pem()).expect("writable");
    Proxy::start_in(directory, &config(text, values)).unwrap_or_else(|said| panic!("{said}"))
}

const LISTENER: &str = r#"
    listener "web" "127.0.0.1:0" {
        HTTP2
        tls { certificate "site.pem" }
        route { cluster "c" }
    }
    cluster "c" { endpoint "ORIGIN" }"#;

#[test]
fn a_client_that_offers_both_gets_http2() {
    let authority = Authority::new();
    let origin = Origin::echo();
    let proxy = secure(&authority, LISTENER, &[("HTTP2", &""), ("ORIGIN", &origin)]);
    let tls = TlsClient::new(&authority, "test");
    let both = tls.clone().alpn(&["http/1.1", "h2"]);
    let (_, handshake) = both.shake(proxy.address("web")).expect("shaken");
    assert_eq!(handshake.alpn.as_deref(), Some("h2"));
    let (client, handshake) = H2Client::tls(&tls, proxy.address("web"));
    assert_eq!(handshake.alpn.as_deref(), Some("h2"));
    assert_eq!(client.get("/h2").status, 200);
    let line = proxy.line_of("/h2");
    assert_eq!((line.outcome(), line.text("protocol")), ("ok", "HTTP/2"));
    assert_eq!((line.status(), line.text("tls_sni")), (200, "test"));
    // Who offers nothing speaks HTTP/1.1.
    assert_eq!(tls.connect(proxy.address("web")).get("/h1").status, 200);
    assert_eq!(proxy.line_of("/h1").text("protocol"), "HTTP/1.1");
}

#[test]
fn a_listener_without_http2_does_not_agree_on_it() {
    let authority = Authority::new();
    let origin = Origin::named("here");
    let off = "http2 enabled=#false";
    let proxy = secure(
        &authority,
        LISTENER,
        &[("HTTP2", &off), ("ORIGIN", &origin)],
    );
    let tls = TlsClient::new(&authority, "test").alpn(&["h2", "http/1.1"]);
    let (mut client, handshake) = tls.shake(proxy.address("web")).expect("shaken");
    assert_eq!(handshake.alpn.as_deref(), Some("http/1.1"));
    assert_eq!(client.get("/").text(), "here");
    assert_eq!(ended(&proxy, "/"), as_told("ok", 200));
}

#[test]
fn a_stream_for_a_host_that_the_connection_is_not_for_is_misdirected() {
    let authority = Authority::new();
    let origin = Origin::named("here");
    let proxy = secure(&authority, LISTENER, &[("HTTP2", &""), ("ORIGIN", &origin)]);
    let (client, _) = H2Client::tls(&TlsClient::new(&authority, "test"), proxy.address("web"));
    let mut other = crate::harness::h2::h2_request("GET", "/other");
    *other.uri_mut() = "https://other.test/other".parse().expect("a URI");
    assert_eq!(client.ask(other).status, 421);
    assert_eq!(ended(&proxy, "/other"), as_told("misdirected", 421));
    assert_eq!(client.get("/right").text(), "here");
}

const CLUSTER: &str = r#"
    listener "web" "127.0.0.1:0" { route { cluster "c" } }
    cluster "c" {
        protocol "h2"
        retry attempts=1
        tls server-name="test" ca="ca.pem"
        endpoint "ORIGIN"
    }"#;

#[test]
fn http2_is_agreed_on_with_an_endpoint() {
    let authority = Authority::new();
    let origin = H2Origin::named("here");
    let identity = authority.issue(&["test"]);
    let front = TlsFront::before(&origin, &identity, &["h2", "http/1.1"], None);
    let proxy = secure(&authority, CLUSTER, &[("ORIGIN", &front)]);
    for path in ["/1", "/2"] {
        assert_eq!(proxy.client().get(path).text(), "here");
        assert_eq!(ended(&proxy, path), as_told("ok", 200));
    }
    let handshakes = front.handshakes();
    assert_eq!(handshakes.len(), 1);
    assert_eq!(handshakes[0].alpn.as_deref(), Some("h2"));
    assert_eq!(origin.request(0).uri, "https://test/1");
}

#[test]
fn an_endpoint_that_agrees_on_something_else_is_not_spoken_to() {
    let authority = Authority::new();
    let origin = Origin::named("HTTP/1.1");
    let identity = authority.issue(&["test"]);
    for alpn in [&["http/1.1"][..], &[]] {
        let front = TlsFront::before(&origin, &identity, alpn, None);
        let proxy = secure(&authority, CLUSTER, &[("ORIGIN", &front)]);
        assert_eq!(proxy.client().get("/").status, 502);
        assert_eq!(ended(&proxy, "/"), as_told("connect-failed", 502));
        let said = proxy.log_line("connecting failed");
        // A server that refuses says so itself.
        let reason = ["(ALPN h2)", "NoApplicationProtocol"][usize::from(!alpn.is_empty())];
        assert!(said.contains(reason), "{said}");
    }
    assert!(origin.requests().is_empty());
}

#[test]
fn large_bodies_pass_by_tls_and_http2_on_both_sides() {
    let authority = Authority::new();
    let origin = H2Origin::start(|mut exchange| {
        let body = exchange.body();
        exchange.answer(body);
    });
    let front = TlsFront::before(&origin, &authority.issue(&["test"]), &["h2"], None);
    let text = r#"
        listener "web" "127.0.0.1:0" {
            tls { certificate "site.pem" }
            route { cluster "c" }
        }
        cluster "c" {
            protocol "h2"
            tls server-name="test" ca="ca.pem"
            endpoint "ORIGIN"
        }"#;
    let proxy = secure(&authority, text, &[("ORIGIN", &front)]);
    let (client, _) = H2Client::tls(&TlsClient::new(&authority, "test"), proxy.address("web"));
    let body = super::pattern(3 << 20);
    let response = client.post("/", &body);
    assert!(response.error.is_none() && response.body == body);
    assert_eq!(ended(&proxy, "/"), as_told("ok", 200));
}
