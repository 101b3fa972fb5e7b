//! Upgrades become tunnels; what is no upgrade stays HTTP.

use crate::harness::{Client, Origin, Proxy};

const REQUEST: &str = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: abc\r\n\r\n";
const SWITCHING: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";

/// Switches, then sends back what it receives, in upper case.
fn shouting_origin() -> Origin {
    Origin::start(|mut peer| {
        if peer.request().is_none() {
            return;
        }
        peer.send(format!("{SWITCHING}hello"));
        loop {
            let byte = peer.take(1);
            if byte.is_empty() {
                return peer.send("bye");
            }
            peer.send(byte.to_ascii_uppercase());
        }
    })
}

fn assert_tunnel(client: &mut Client) {
    let head = client.response_head();
    assert_eq!(
        (head.status(), head.header("upgrade")),
        (101, Some("websocket"))
    );
    assert!(
        head.header("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("upgrade"))
    );
    assert_eq!(client.take(5), b"hello");
}

#[test]
fn bytes_pass_both_ways_after_a_101() {
    let origin = shouting_origin();
    let proxy = Proxy::before(&origin);
    let mut client = proxy.client();
    client.send(REQUEST);
    assert_tunnel(&mut client);
    for word in ["one", "two"] {
        client.send(word);
        assert_eq!(client.take(3), word.to_ascii_uppercase().as_bytes());
    }
    client.finish();
    assert_eq!(client.rest(), b"bye");
    let line = proxy.line_of("/ws");
    assert_eq!((line.outcome(), line.status()), ("tunnel", 101));
    let request = origin.request(0).head;
    assert_eq!(
        (request.header("upgrade"), request.header("connection")),
        (Some("websocket"), Some("upgrade"))
    );
    assert_eq!(request.header("sec-websocket-key"), Some("abc"));
}

#[test]
fn bytes_sent_before_the_101_are_not_lost() {
    let origin = shouting_origin();
    let proxy = Proxy::before(&origin);
    let mut client = proxy.client();
    client.send(format!("{REQUEST}eager"));
    assert_tunnel(&mut client);
    assert_eq!(client.take(5), b"EAGER");
}

#[test]
fn any_other_answer_keeps_http_on_both_sides() {
    let origin = Origin::answering(|request| {
        let status = if request.head.target() == "/ws" {
            "426 Upgrade Required"
        } else {
            "200 OK"
        };
        format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nok").into()
    });
    let proxy = Proxy::before(&origin);
    let mut client = proxy.client();
    client.send(REQUEST);
    assert_eq!(client.response().status, 426);
    assert_eq!(client.get("/after").text(), "ok");
    assert_eq!(origin.connections(), 1);
    assert_eq!(
        (
            proxy.line_of("/ws").outcome(),
            proxy.line_of("/after").outcome()
        ),
        ("ok", "ok")
    );
}

#[test]
fn h2c_and_upgrades_that_connection_does_not_name_are_not_passed_on() {
    let origin = Origin::echo();
    let proxy = Proxy::before(&origin);
    let mut client = proxy.client();
    for headers in [
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
        "Connection: upgrade\r\nUpgrade: H2C\r\n",
        "Upgrade: websocket\r\n",
        "Connection: upgrade\r\nUpgrade: websocket, h2c\r\n",
    ] {
        let request = client.ask("GET", "/", headers).echoed();
        for name in ["upgrade", "connection", "http2-settings"] {
            assert_eq!(request.header(name), None, "{headers:?}");
        }
    }
}

#[test]
fn a_101_that_nobody_asked_for_is_an_error() {
    let origin = Origin::saying(SWITCHING);
    let proxy = Proxy::before(&origin);
    let mut client = proxy.client();
    for (path, headers) in [
        ("/none", ""),
        ("/other", "Connection: upgrade\r\nUpgrade: other\r\n"),
    ] {
        assert_eq!(client.ask("GET", path, headers).status, 502);
        assert_eq!(proxy.line_of(path).outcome(), "upstream-invalid");
    }
    assert_eq!(origin.connections(), 2);
}

#[test]
fn a_silent_tunnel_is_closed() {
    let origin = shouting_origin();
    let text = r#"
        listener "web" "127.0.0.1:0" {
            timeouts tunnel="300ms"
            route { cluster "origin" }
        }
        cluster "origin" { endpoint "ORIGIN" }"#;
    let proxy = Proxy::start(&crate::harness::config(text, &[("ORIGIN", &origin)]));
    let mut client = proxy.client();
    client.send(REQUEST);
    assert_tunnel(&mut client);
    assert!(client.is_at_end());
    assert_eq!(proxy.line_of("/ws").outcome(), "idle-timeout");
    origin.wait_for_ends(1);
}

#[test]
fn connect_is_refused_before_any_route() {
    let origin = Origin::echo();
    let proxy = Proxy::before(&origin);
    let mut client = proxy.client();
    client.send("CONNECT other:443 HTTP/1.1\r\nHost: other:443\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
    let response = client.response();
    assert_eq!(
        (response.status, response.header("connection")),
        (405, Some("close"))
    );
    assert!(
        response
            .header("allow")
            .is_some_and(|allowed| !allowed.contains("CONNECT"))
    );
    assert!(client.is_at_end());
    let line = proxy.access_line(|line| line.text("method") == "CONNECT");
    assert_eq!(
        (line.outcome(), line.text("route")),
        ("connect-refused", "")
    );
    assert_eq!(origin.connections(), 0);
}
