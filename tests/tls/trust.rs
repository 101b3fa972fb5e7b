//! Whom the proxy believes to be an endpoint.

use super::start;
use crate::harness::{Authority, Identity, Origin, Proxy, TlsFront, config};
use rcgen::date_time_ymd;

const TEXT: &str = r#"
listener "web" "127.0.0.1:0" { route { cluster "c" } }
cluster "c" {
    endpoint "ENDPOINT"
    TLS
}
"#;

/// A proxy before an origin that shows `identity`; its address in the configuration is what `endpoint` makes of it.
fn before(
    identity: &Identity,
    ca: &Authority,
    tls: &str,
    endpoint: impl Fn(&TlsFront) -> String,
) -> (Proxy, TlsFront, Origin) {
    let origin = Origin::named("secret");
    let front = TlsFront::before(&origin, identity, &[], None);
    let text = config(TEXT, &[("ENDPOINT", &endpoint(&front)), ("TLS", &tls)]);
    let proxy = start(&text, &[("ca.pem", &ca.pem())]);
    (proxy, front, origin)
}

fn by_address(front: &TlsFront) -> String {
    front.to_string()
}

fn by_name(front: &TlsFront) -> String {
    format!("localhost:{}", front.address().port())
}

#[test]
fn an_endpoint_is_verified_by_its_authority_and_name() {
    let ca = Authority::new();
    for (names, endpoint, tls, asked) in [
        (
            "127.0.0.1",
            by_address as fn(&TlsFront) -> String,
            "tls ca=\"ca.pem\"",
            None,
        ),
        ("localhost", by_name, "tls ca=\"ca.pem\"", Some("localhost")),
        (
            "api.test",
            by_address,
            "tls ca=\"ca.pem\" server-name=\"api.test\"",
            Some("api.test"),
        ),
        (
            "api.test",
            by_name,
            "tls ca=\"ca.pem\" server-name=\"api.test\" verify=#true",
            Some("api.test"),
        ),
        (
            "192.0.2.1",
            by_name,
            "tls ca=\"ca.pem\" server-name=\"192.0.2.1\"",
            None,
        ),
    ] {
        let (proxy, front, origin) = before(&ca.issue(&[names]), &ca, tls, endpoint);
        assert_eq!(proxy.client().get("/").text(), "secret", "{tls}");
        assert_eq!(proxy.line_of("/").outcome(), "ok");
        let accepted = &front.handshakes()[0];
        assert_eq!((accepted.sni.as_deref(), &accepted.alpn), (asked, &None));
        let request = origin.request(0);
        assert!(!request.head.raw.contains("secret"), "it came as bytes");
    }
}

#[test]
fn an_endpoint_that_cannot_be_verified_gets_nothing() {
    let (ca, other) = (Authority::new(), Authority::named("Other"));
    let expired = ca.issue_with(&["127.0.0.1", "api.test"], |params| {
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(2020, 1, 1);
    });
    for (identity, tls, reason) in [
        (
            other.issue(&["127.0.0.1"]),
            "tls ca=\"ca.pem\"",
            "UnknownIssuer",
        ),
        // The roots of the system do not have it either.
        (ca.issue(&["127.0.0.1"]), "tls", "UnknownIssuer"),
        (
            ca.issue(&["192.0.2.9"]),
            "tls ca=\"ca.pem\"",
            "not valid for name",
        ),
        (
            ca.issue(&["127.0.0.1"]),
            "tls ca=\"ca.pem\" server-name=\"api.test\"",
            "not valid for name",
        ),
        (expired, "tls ca=\"ca.pem\"", "expired"),
    ] {
        let (proxy, front, origin) = before(&identity, &ca, tls, by_address);
        let response = proxy.client().get("/refused");
        assert_eq!(response.status, 502, "{reason}");
        let line = proxy.line_of("/refused");
        assert_eq!((line.outcome(), line.status()), ("connect-failed", 502));
        let said = proxy.log_line(reason);
        assert!(said.contains(&front.to_string()), "{said}");
        assert_eq!(origin.requests().len(), 0);
        assert_eq!(front.handshakes(), []);
    }
}

#[test]
fn without_verification_any_certificate_will_do() {
    let (ca, other) = (Authority::new(), Authority::named("Other"));
    let expired = other.issue_with(&["whatever.test"], |params| {
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(2020, 1, 1);
    });
    let tls = "tls verify=#false server-name=\"asked.test\"";
    let (proxy, front, _origin) = before(&expired, &ca, tls, by_address);
    assert_eq!(proxy.client().get("/").text(), "secret");
    assert_eq!(proxy.line_of("/").outcome(), "ok");
    assert_eq!(front.handshakes()[0].sni.as_deref(), Some("asked.test"));
}

#[test]
fn an_endpoint_that_speaks_no_tls_has_not_taken_the_connection() {
    let origin = Origin::start(|mut peer| {
        peer.take(1);
        peer.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    });
    let text = config(
        TEXT,
        &[("ENDPOINT", &origin), ("TLS", &"tls verify=#false")],
    );
    let proxy = Proxy::start(&text);
    assert_eq!(proxy.client().get("/plain").status, 502);
    assert_eq!(proxy.line_of("/plain").outcome(), "connect-failed");
    assert_eq!(origin.received(0)[0], 22, "a hello is what it got");
}

#[test]
fn a_handshake_that_does_not_end_is_under_the_connect_timeout() {
    let origin = Origin::start(|mut peer| {
        peer.rest();
    });
    let tls = "tls verify=#false; timeouts connect=\"100ms\"";
    let text = config(TEXT, &[("ENDPOINT", &origin), ("TLS", &tls)]);
    let proxy = Proxy::start(&text);
    assert_eq!(proxy.client().get("/silent").status, 504);
    let line = proxy.line_of("/silent");
    assert_eq!((line.outcome(), line.status()), ("connect-timeout", 504));
}
