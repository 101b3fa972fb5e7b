//! The first order, and how names are proved.

use super::{HANDSHAKE, Site, installed, web};
use crate::harness::{Authority, Identity, Proxy, TlsClient};

#[test]
fn names_are_proved_over_http_and_the_certificate_is_shown() {
    let site = Site::by_http();
    let names = r#"name "a.example"; name "b.example""#;
    let proxy = Proxy::start(&web(&site.directory(), "", names));
    site.look_at(proxy.address("plain"));
    let line = installed(&proxy);
    assert!(line.contains("\"names\":\"a.example b.example\""), "{line}");
    assert!(line.contains("\"expires\":\""), "{line}");
    for name in ["a.example", "b.example"] {
        let client = TlsClient::trusting(&site.authority.root(), name);
        let mut client = client.connect(proxy.address("web"));
        let path = format!("/{name}");
        let host = format!("Host: {name}\r\n");
        let response = client.ask("GET", &path, &host);
        assert_eq!((response.status, response.text().as_str()), (200, "web"));
        assert_eq!(proxy.line_of(&path).outcome(), "route-reply");
    }
    assert_eq!(site.authority.issued(), [["a.example", "b.example"]]);
    let proved = proxy.access_line(|line| line.text("target").contains("/acme-challenge/"));
    assert_eq!((proved.outcome(), proved.status()), ("route-reply", 200));
    assert_eq!(proved.text("listener"), "plain");
}

/// No listener in the clear is there, nor a route for the path.
#[test]
fn names_are_proved_in_the_handshake_and_the_certificate_is_shown() {
    let site = Site::by_handshake();
    let text = format!(
        "listener \"web\" \"127.0.0.1:0\" {{\n    tls {{ acme \"{}\" {{ terms-agreed #true; {HANDSHAKE} }} }}\n    route {{ respond 200 }}\n}}\n",
        site.directory()
    );
    let proxy = Proxy::start(&text);
    site.look_at(proxy.address("web"));
    installed(&proxy);
    let client = TlsClient::trusting(&site.authority.root(), "a.example");
    let mut client = client.connect(proxy.address("web"));
    let response = client.ask("GET", "/proved", "Host: a.example\r\n");
    assert_eq!(response.status, 200);
    assert_eq!(proxy.line_of("/proved").outcome(), "route-reply");
    assert_eq!(site.authority.issued(), [["a.example"]]);
}

#[test]
fn without_a_certificate_handshakes_fail_until_the_first_is_there() {
    let site = Site::by_handshake();
    let proxy = Proxy::start(&web(&site.directory(), "", HANDSHAKE));
    site.begun();
    site.shake(&proxy, "a.example").expect_err("there is none");
    site.look_at(proxy.address("web"));
    installed(&proxy);
    site.shake(&proxy, "a.example").expect("there is one");
}

#[test]
fn a_written_certificate_is_shown_until_the_ordered_one_is_there() {
    let (site, own) = (Site::by_handshake(), Authority::new());
    let text = web(&site.directory(), "certificate \"written.pem\"", HANDSHAKE);
    let proxy = start_with(&own.issue(&["a.example", "c.example"]), &text);
    let web = proxy.address("web");
    site.begun();
    let mut early = TlsClient::new(&own, "a.example").connect(web);
    site.look_at(web);
    installed(&proxy);
    site.shake(&proxy, "a.example").expect("the ordered one");
    let other = TlsClient::new(&own, "c.example").shake(web);
    other.expect("the written one is for the other name");
    let response = early.ask("GET", "/early", "Host: a.example\r\n");
    assert_eq!(response.status, 200, "a connection keeps what it has seen");
    assert_eq!(proxy.line_of("/early").outcome(), "route-reply");
}

#[test]
fn a_token_is_answered_in_the_clear_while_its_order_runs_and_no_other_ever() {
    let (site, own) = (Site::by_http(), Authority::new());
    let mut text = web(
        &site.directory(),
        "certificate \"written.pem\"",
        "name \"a.example\"",
    );
    text += "listener \"other\" \"127.0.0.1:0\" { route { respond 404 } }";
    let proxy = start_with(&own.issue(&["a.example"]), &text);
    let proof = site.begun();
    let path = format!("/.well-known/acme-challenge/{}", proof.token);
    for listener in ["plain", "other"] {
        let response = proxy.client_of(listener).get(&path);
        assert_eq!(response.status, 200, "{listener}");
        assert_eq!(response.text(), proof.key_authorization, "{listener}");
        let kind = response.header("content-type");
        assert_eq!(kind, Some("application/octet-stream"), "{listener}");
        let line = proxy.access_line(|line| line.text("listener") == listener);
        assert_eq!((line.outcome(), line.status()), ("route-reply", 200));
    }
    let unknown = [
        format!("{path}x"),
        path[..path.len() - 1].to_owned(),
        format!("{path}/"),
        "/.well-known/acme-challenge/".to_owned(),
        format!("/below{path}"),
    ];
    for path in &unknown {
        assert_eq!(proxy.client_of("plain").get(path).text(), "plain", "{path}");
    }
    let mut client = TlsClient::new(&own, "a.example").connect(proxy.address("web"));
    let response = client.ask("GET", &path, "Host: a.example\r\n");
    assert_eq!(response.text(), "web", "TLS proves nothing to it");
    site.look_at(proxy.address("plain"));
    installed(&proxy);
    assert_eq!(proxy.client_of("plain").get(&path).text(), "plain");
    assert_eq!(proxy.client_of("other").get(&path).status, 404);
}

fn start_with(written: &Identity, text: &str) -> Proxy {
    let directory = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(directory.path().join("written.pem"), written.both())
        .expect("a writable folder");
    Proxy::start_in(directory, text).expect("it is valid")
}
