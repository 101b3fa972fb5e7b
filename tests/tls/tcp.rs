//! TCP listeners that end TLS: routes by what was agreed on, and bytes both ways.

use super::start;
use crate::harness::{AccessLine, Authority, Client, Origin, Proxy, TlsClient, config};

/// Says its name, then sends back what it gets.
pub(super) fn greeter(name: &'static str) -> Origin {
    Origin::start(move |mut peer| {
        peer.send(name);
        loop {
            let byte = peer.take(1);
            if byte.is_empty() {
                return;
            }
            peer.send(byte);
        }
    })
}

/// Sends a word to a [`greeter`], ends the connection and gives its access line, which is that of `route`.
pub(super) fn converse(proxy: &Proxy, client: &mut Client, name: &str, route: &str) -> AccessLine {
    assert_eq!(String::from_utf8_lossy(&client.take(name.len())), name);
    client.send("ping");
    assert_eq!(client.take(4), b"ping");
    client.finish();
    assert!(client.is_at_end());
    assert!(!client.was_reset());
    let line = proxy.access_line(|line| line.text("route") == route);
    assert_eq!(line.outcome(), "ok", "{line:?}");
    line
}

const TEXT: &str = r#"
listener "raw" "127.0.0.1:0" {
    protocol "tcp"
    tls { certificate "site.pem"; PROTOCOLS; client-certificate "optional" ca="ca.pem" }
    route "both" sni="db.test" alpn="postgresql" { cluster "a" }
    route "wild" { sni "*.wild.test" "other.test"; cluster "b" }
    route "alpn" { alpn "redis" "postgresql"; cluster "b" }
    REST
}
cluster "a" { endpoint "FIRST" }
cluster "b" { endpoint "SECOND" }
"#;

fn started(protocols: &str, rest: &str) -> (Authority, Proxy, [Origin; 2]) {
    let authority = Authority::new();
    let origins = [greeter("a"), greeter("b")];
    let text = config(
        TEXT,
        &[
            ("PROTOCOLS", &protocols),
            ("REST", &rest),
            ("FIRST", &origins[0]),
            ("SECOND", &origins[1]),
        ],
    );
    let names = ["db.test", "*.wild.test", "plain.test"];
    let site = authority.issue(&names).both();
    let proxy = start(&text, &[("site.pem", &site), ("ca.pem", &authority.pem())]);
    (authority, proxy, origins)
}

#[test]
fn connections_go_by_name_and_protocol_of_their_handshake() {
    let rest = "route \"rest\" { cluster \"a\" }";
    for (name, alpn, origin, route) in [
        ("db.test", &["postgresql"][..], "a", "both"),
        ("db.test", &["redis"], "b", "alpn"),
        ("DB.test", &[], "a", "rest"),
        ("x.wild.test", &["postgresql"], "b", "wild"),
        // Offered by the client, and not what was agreed on.
        ("plain.test", &["postgresql", "redis"], "b", "alpn"),
        ("plain.test", &[], "a", "rest"),
    ] {
        let (authority, proxy, _origins) = started("alpn \"redis\" \"postgresql\"", rest);
        let identity = authority.issue(&["app"]);
        let client = TlsClient::showing(&authority, name, &identity).alpn(alpn);
        let (mut client, seen) = client.shake(proxy.address("raw")).expect("a handshake");
        assert_eq!(seen.alpn.is_some(), !alpn.is_empty());
        let line = converse(&proxy, &mut client, origin, route);
        for (field, value) in [
            ("kind", "tcp"),
            ("cluster", origin),
            ("tls_version", "TLSv1.3"),
            ("tls_cipher", seen.cipher.as_str()),
            ("tls_sni", name.to_ascii_lowercase().as_str()),
            ("tls_client", "CN=app"),
        ] {
            assert_eq!(line.text(field), value, "{name} {field}");
        }
        assert_eq!(
            (
                line.number("downstream_bytes"),
                line.number("upstream_bytes")
            ),
            (4, 5)
        );
    }
}

#[test]
fn a_tcp_listener_agrees_on_the_protocols_it_is_told_of() {
    let rest = "route \"rest\" { cluster \"a\" }";
    let (authority, proxy, _origins) = started("alpn \"redis\"", rest);
    let client = TlsClient::new(&authority, "plain.test");
    let shake = |offered: &[&str]| {
        let shaken = client.clone().alpn(offered).shake(proxy.address("raw"));
        shaken
            .map(|(_, seen)| seen.alpn)
            .map_err(|error| error.to_string())
    };
    assert_eq!(shake(&["h2", "redis"]), Ok(Some("redis".to_owned())));
    let refused = shake(&["postgresql"]).expect_err("nothing in common");
    assert!(refused.contains("NoApplicationProtocol"), "{refused}");
    // Told of none, it agrees on none and refuses nobody.
    let (authority, proxy, _origins) = started("tickets #true", rest);
    let client = TlsClient::new(&authority, "plain.test").alpn(&["postgresql"]);
    let (_, seen) = client.shake(proxy.address("raw")).expect("a handshake");
    assert_eq!(seen.alpn, None);
}

#[test]
fn a_connection_that_no_route_takes_is_closed() {
    let (authority, proxy, origins) = started("alpn \"redis\" \"postgresql\"", "");
    let mut client = TlsClient::new(&authority, "plain.test").connect(proxy.address("raw"));
    assert!(client.is_at_end());
    let line = proxy.access_line(|line| line.outcome() == "no-route");
    assert_eq!(
        (line.text("kind"), line.text("route"), line.text("tls_sni")),
        ("tcp", "", "plain.test")
    );
    assert_eq!(origins[0].connections() + origins[1].connections(), 0);
}
