//! What the handshake has shown: for routes, filters, headers and the access line.

use super::{Http2, start};
use crate::harness::{Authority, Origin, Proxy, TlsClient, config};
use crate::plugins::guests;
use rustls::version::TLS12;

fn sites() -> (Authority, Proxy) {
    let authority = Authority::new();
    let proxy = start(
        r#"
listener "web" "127.0.0.1:0" {
    tls { certificate "ab.pem"; certificate "wild.pem" }
    route "a" sni="a.test" { respond 200 }
    route "wild" { sni "*.wild.test" "other.test"; respond 200 }
    route "rest" { respond 200 }
}
"#,
        &[
            ("ab.pem", &authority.issue(&["a.test", "b.test"]).both()),
            ("wild.pem", &authority.issue(&["*.wild.test"]).both()),
        ],
    );
    (authority, proxy)
}

#[test]
fn a_request_for_another_host_than_its_connection_is_misdirected() {
    let (authority, proxy) = sites();
    for (name, host, status) in [
        ("a.test", "a.test", 200),
        ("A.test", "A.TEST:443", 200),
        ("a.test", "b.test", 200),
        ("a.test", "x.wild.test", 421),
        ("a.test", "unknown.test", 421),
        ("x.wild.test", "y.wild.test", 200),
        ("x.wild.test", "wild.test", 421),
        ("x.wild.test", "a.b.wild.test", 421),
        ("x.wild.test", "a.test", 421),
    ] {
        let client = TlsClient::new(&authority, name);
        let target = format!("/{name}/{host}");
        let headers = format!("Host: {host}\r\n");
        let mut first = client.connect(proxy.address("web"));
        let response = first.ask("GET", &target, &headers);
        assert_eq!(response.status, status, "{target}");
        let mut second = Http2::over(&client.alpn(&["h2"]).connect(proxy.address("web")));
        let (found, _) = second.get(host, &format!("{target}/2"));
        assert_eq!(found, status, "{target} by HTTP/2");
        let expected = if status == 421 {
            "misdirected"
        } else {
            "route-reply"
        };
        for target in [target.clone(), format!("{target}/2")] {
            let line = proxy.line_of(&target);
            assert_eq!(
                (line.outcome(), line.status()),
                (expected, i64::from(status))
            );
            assert_eq!(line.text("tls_sni"), name.to_ascii_lowercase());
        }
        if status == 421 && !host.contains("wild") {
            // The connection is still good for what it is for.
            let own = first.ask("GET", "/own", &format!("Host: {name}\r\n"));
            assert_eq!(own.status, 200, "{target}");
        }
    }
}

#[test]
fn without_a_name_in_the_handshake_every_host_may_be_asked_for() {
    let (authority, proxy) = sites();
    let client = TlsClient::new(&authority, "a.test").without_sni();
    let mut client = client.connect(proxy.address("web"));
    let response = client.ask("GET", "/nameless", "Host: whatever.test\r\n");
    assert_eq!(response.status, 200);
    let line = proxy.line_of("/nameless");
    assert_eq!((line.outcome(), line.text("tls_sni")), ("route-reply", ""));
    assert_eq!(line.text("route"), "rest", "no name, no route by name");
}

#[test]
fn a_route_may_ask_for_the_name_of_the_handshake() {
    let (authority, proxy) = sites();
    for (name, host, route) in [
        ("a.test", "a.test", "a"),
        ("a.test", "b.test", "a"),
        ("b.test", "a.test", "rest"),
        ("x.wild.test", "x.wild.test", "wild"),
    ] {
        let mut client = TlsClient::new(&authority, name).connect(proxy.address("web"));
        let target = format!("/{name}/{host}");
        client.ask("GET", &target, &format!("Host: {host}\r\n"));
        let line = proxy.line_of(&target);
        assert_eq!((line.text("route"), line.outcome()), (route, "route-reply"));
    }
}

const TAGS: &str = r#"
listener "web" "127.0.0.1:0" {
    tls { certificate "site.pem"; client-certificate "optional" ca="ca.pem" }
    filters { headers { request {
        set "x-version" "{tag:tls.version}"
        set "x-cipher" "{tag:tls.cipher}"
        set "x-sni" "{tag:tls.sni}"
        set "x-alpn" "{tag:tls.alpn}"
        set "x-client" "{tag:tls.client}"
        set "x-subject" "{tag:tls.client.subject}"
        set "x-issuer" "{tag:tls.client.issuer}"
        set "x-serial" "{tag:tls.client.serial}"
        set "x-names" "{tag:tls.client.names}"
        set "x-none" "<{tag:tls.misspelt}>"
    } } }
    route { cluster "c" }
}
cluster "c" { endpoint "ORIGIN" }
"#;

#[test]
fn filters_read_what_the_handshake_has_shown_as_tags() {
    let authority = Authority::new();
    let origin = Origin::echo();
    let proxy = start(
        &config(TAGS, &[("ORIGIN", &origin)]),
        &[
            ("site.pem", &authority.issue(&["test"]).both()),
            ("ca.pem", &authority.pem()),
        ],
    );
    let app = authority.issue(&["app.test", "192.0.2.1"]);
    let client = TlsClient::showing(&authority, "test", &app).alpn(&["http/1.1"]);
    let (mut client, handshake) = client.shake(proxy.address("web")).expect("a handshake");
    // What a client writes there is not believed.
    let seen = client.ask("GET", "/shown", "X-Sni: forged\r\n").echoed();
    let serial: String = app
        .serial
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let serial = serial.trim_start_matches('0');
    for (name, value) in [
        ("x-version", "TLSv1.3"),
        ("x-cipher", handshake.cipher.as_str()),
        ("x-sni", "test"),
        ("x-alpn", "http/1.1"),
        ("x-client", "verified"),
        ("x-subject", "CN=app.test"),
        ("x-issuer", "CN=Test Authority"),
        ("x-names", "DNS:app.test, IP:192.0.2.1"),
        ("x-none", "<>"),
        ("x-forwarded-proto", "https"),
    ] {
        assert_eq!(seen.header(name), Some(value), "{name}");
    }
    let shown = seen.header("x-serial").expect("a serial number");
    assert_eq!(shown.trim_start_matches('0'), serial);
    let line = proxy.line_of("/shown");
    for (name, value) in [
        ("outcome", "ok"),
        ("protocol", "HTTP/1.1"),
        ("tls_version", "TLSv1.3"),
        ("tls_cipher", handshake.cipher.as_str()),
        ("tls_sni", "test"),
        ("tls_client", "CN=app.test"),
    ] {
        assert_eq!(line.text(name), value, "{name}");
    }
    let old = TlsClient::versions(&authority, "test", &[&TLS12]);
    let seen = old.connect(proxy.address("web")).get("/old").echoed();
    assert_eq!(seen.header("x-version"), Some("TLSv1.2"));
    assert_eq!(seen.header("x-client").unwrap_or_default(), "");
    assert_eq!(proxy.line_of("/old").text("tls_version"), "TLSv1.2");
}

#[test]
fn a_plain_connection_has_none_of_these_facts() {
    let origin = Origin::echo();
    let proxy = Proxy::before(&origin);
    let seen = proxy.client().get("/plain").echoed();
    assert_eq!(seen.header("x-forwarded-proto"), Some("http"));
    let line = proxy.line_of("/plain");
    for name in ["tls_version", "tls_cipher", "tls_sni", "tls_client"] {
        assert_eq!(line.text(name), "", "{name}");
    }
}

#[test]
fn no_plugin_can_forge_what_the_handshake_has_shown() {
    let authority = Authority::new();
    let folder = super::folder(&[("site.pem", &authority.issue(&["test"]).both())]);
    std::fs::copy(guests::hostile(), folder.path().join("hostile.wasm")).expect("it was built");
    let text = r#"
plugin "hostile" "hostile.wasm"
listener "web" "127.0.0.1:0" {
    tls { certificate "site.pem" }
    route path="/own" {
        filters { hostile { mode "tag" }; headers { response { set "x-tag" "{tag:tls-sni}" } } }
        respond 200
    }
    route {
        filters { hostile on-fault="skip" { mode "forge" }; headers { response { set "x-tag" "{tag:tls.sni}" } } }
        respond 200
    }
}
"#;
    let proxy = Proxy::start_in(folder, text).expect("it is valid");
    let mut client = TlsClient::new(&authority, "test").connect(proxy.address("web"));
    assert_eq!(client.get("/own").header("x-tag"), Some("forged"));
    assert_eq!(client.get("/").header("x-tag"), Some("test"));
    proxy.log_line("\"plugin\":\"hostile\",\"kind\":\"bad-output\"");
}

#[test]
fn the_scheme_is_https_for_redirects_and_templates() {
    let (authority, proxy) = super::served(
        "",
        "route path=\"/to\" { redirect \"{scheme}://{host}/there\" }; route { respond 200 body=\"{scheme}\" }",
        "",
    );
    let mut client = TlsClient::new(&authority, "test").connect(proxy.address("web"));
    let response = client.get("/to");
    assert_eq!(response.header("location"), Some("https://test/there"));
    assert_eq!(client.get("/").text(), "https");
    assert_eq!(proxy.line_of("/to").outcome(), "route-reply");
}

#[test]
fn a_network_filter_refuses_before_any_handshake() {
    let (authority, proxy) = super::served(
        "handshake timeout=\"1m\"",
        "network-filters { ip-acl { deny \"127.0.0.0/8\" } }; route { respond 200 }",
        "",
    );
    assert!(proxy.client().is_at_end());
    let refused = TlsClient::new(&authority, "test").shake(proxy.address("web"));
    assert!(refused.is_err());
}
