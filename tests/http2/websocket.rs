//! WebSocket and other upgrades where one side or both speak HTTP/2 (RFC 8441).

use super::{as_told, before_h1, before_h2, client, ended};
use crate::harness::h2::{H2Client, H2Origin, H2Stream, h2_request};
use crate::harness::{Admin, Client, Gate, Origin, Proxy};
use ::h2::Reason;
use ::h2::ext::Protocol;

/// The key and its answer of RFC 6455 section 1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// An extended CONNECT.
fn connect(client: &H2Client, protocol: &'static str, path: &str) -> H2Stream {
    // The peer has said by then what it takes.
    client.get("/first");
    assert!(client.takes_extended_connect());
    let mut request = h2_request("CONNECT", path);
    request
        .extensions_mut()
        .insert(Protocol::from_static(protocol));
    let headers = request.headers_mut();
    headers.insert("sec-websocket-version", "13".parse().expect("a value"));
    headers.insert("sec-websocket-protocol", "chat".parse().expect("a value"));
    client.open(request)
}

/// Switches, then sends back what it receives, in upper case, and "bye" at the end.
fn shouting_h1() -> Origin {
    Origin::start(|mut peer| {
        while let Some(request) = peer.request() {
            let Some(protocol) = request.head.header("upgrade") else {
                peer.answer("plain");
                continue;
            };
            peer.send(format!(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: {protocol}\r\nSec-WebSocket-Protocol: chat\r\n\r\nhello"
            ));
            loop {
                let byte = peer.take(1);
                if byte.is_empty() {
                    return peer.send("bye");
                }
                peer.send(byte.to_ascii_uppercase());
            }
        }
    })
}

fn shouting_h2() -> H2Origin {
    H2Origin::start(|mut exchange| {
        if exchange.request.extensions.get::<Protocol>().is_none() {
            return exchange.answer("plain");
        }
        exchange.head(200, &[("sec-websocket-protocol", "chat")], false);
        exchange.send("hello", false);
        while let Some(Ok(piece)) = exchange.data() {
            exchange.send(piece.to_ascii_uppercase(), false);
        }
        exchange.send("bye", true);
    })
}

/// Talks through a tunnel and ends it.
fn talk(mut stream: H2Stream) {
    let head = stream.head().expect("an answer");
    assert_eq!(head.status(), 200);
    assert_eq!(head.headers()["sec-websocket-protocol"], "chat");
    for name in ["upgrade", "connection", "sec-websocket-accept"] {
        assert!(!head.headers().contains_key(name), "{name}");
    }
    assert_eq!(stream.take(5), b"hello");
    for word in ["one", "two"] {
        stream.send(word, false);
        assert_eq!(stream.take(3), word.to_ascii_uppercase().as_bytes());
    }
    stream.send("", true);
    let rest = stream.rest_behind(head);
    assert_eq!((rest.text().as_str(), rest.reset()), ("bye", None));
}

fn talk_h1(client: &mut Client) {
    client.send(format!(
        "GET /ws HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
    ));
    let head = client.response_head();
    assert_eq!(
        (head.status(), head.header("upgrade")),
        (101, Some("websocket"))
    );
    assert_eq!(head.header("sec-websocket-accept"), Some(ACCEPT));
    assert_eq!(client.take(5), b"hello");
    for word in ["one", "two"] {
        client.send(word);
        assert_eq!(client.take(3), word.to_ascii_uppercase().as_bytes());
    }
    client.finish();
    assert_eq!(client.rest(), b"bye");
}

#[test]
fn an_extended_connect_becomes_an_upgrade_of_http1() {
    let origin = shouting_h1();
    let proxy = Proxy::before(&origin);
    talk(connect(&client(&proxy), "websocket", "/ws"));
    assert_eq!(ended(&proxy, "/ws"), as_told("tunnel", 101));
    let request = origin.request(1).head;
    assert_eq!(request.start_line, "GET /ws HTTP/1.1");
    assert_eq!(request.header("upgrade"), Some("websocket"));
    assert_eq!(request.header("connection"), Some("upgrade"));
    assert_eq!(request.header("host"), Some("test"));
    assert_eq!(request.header("sec-websocket-version"), Some("13"));
    let key = request.header("sec-websocket-key").expect("a key");
    assert_eq!(key.len(), KEY.len());
    assert_eq!(proxy.line_of("/ws").text("protocol"), "HTTP/2");
}

#[test]
fn an_upgrade_of_http1_becomes_an_extended_connect() {
    let origin = shouting_h2();
    let proxy = before_h2("", &origin);
    talk_h1(&mut proxy.client());
    assert_eq!(ended(&proxy, "/ws"), as_told("tunnel", 101));
    let seen = origin.request(0);
    assert_eq!((&*seen.method, &*seen.uri), ("CONNECT", "http://test/ws"));
    for name in ["upgrade", "connection", "sec-websocket-key"] {
        assert!(!seen.headers.contains_key(name), "{name}");
    }
    assert_eq!(seen.headers["sec-websocket-version"], "13");
}

#[test]
fn an_extended_connect_passes_through_http2_on_both_sides() {
    let origin = shouting_h2();
    let proxy = before_h2("", &origin);
    let client = client(&proxy);
    let tunnel = connect(&client, "websocket", "/ws");
    assert_eq!(client.get("/beside").text(), "plain");
    talk(tunnel);
    assert_eq!(ended(&proxy, "/ws"), as_told("tunnel", 101));
    assert_eq!(origin.connections(), 1, "beside the tunnel there is room");
}

#[test]
fn other_protocols_than_websocket_are_upgraded_to_as_well() {
    let origin = shouting_h1();
    let proxy = Proxy::before(&origin);
    talk(connect(&client(&proxy), "connect-udp", "/udp"));
    let request = origin.request(1).head;
    assert_eq!(request.header("upgrade"), Some("connect-udp"));
    assert_eq!(request.header("sec-websocket-key"), None);
    assert_eq!(ended(&proxy, "/udp"), as_told("tunnel", 101));
}

#[test]
fn a_refused_upgrade_is_an_ordinary_answer() {
    let origin = Origin::answering(|request| {
        let status = if request.head.target() == "/ws" {
            "426 Upgrade Required"
        } else {
            "200 OK"
        };
        format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nno").into()
    });
    let proxy = Proxy::before(&origin);
    let client = client(&proxy);
    let mut stream = connect(&client, "websocket", "/ws");
    stream.send("early", false);
    let head = stream.head().expect("an answer");
    let rest = stream.rest_behind(head);
    assert_eq!((rest.status, rest.text().as_str()), (426, "no"));
    assert_eq!(ended(&proxy, "/ws"), as_told("ok", 426));
    assert_eq!(client.get("/after").status, 200);
}

#[test]
fn an_origin_of_http2_that_takes_no_extended_connect_is_not_asked() {
    // A client's frames before its SETTINGS say nothing of this: an origin without the setting.
    let origin = Origin::start(|mut peer| {
        use crate::harness::h2::frames;
        peer.take(frames::PREFACE.len());
        peer.send(frames::settings());
        while let Some(frame) = frames::next(&mut peer) {
            assert_ne!(frame.kind, frames::HEADERS, "it is asked all the same");
            if frame.kind == frames::SETTINGS && frame.flags & frames::ACK == 0 {
                peer.send(frames::frame(frames::SETTINGS, frames::ACK, 0, &[]));
            }
        }
    });
    let proxy = before_h2("", &origin);
    let response = proxy.client().ask(
        "GET",
        "/ws",
        &format!("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: {KEY}\r\n"),
    );
    assert_eq!(response.status, 501);
    assert_eq!(ended(&proxy, "/ws"), as_told("ok", 501));
}

#[test]
fn a_reset_of_either_side_ends_a_tunnel_for_the_other() {
    let was_reset = Gate::default();
    let told = was_reset.clone();
    let origin = H2Origin::start(move |mut exchange| {
        if exchange.request.extensions.get::<Protocol>().is_none() {
            return exchange.answer("plain");
        }
        exchange.head(200, &[], false);
        exchange.send("hello", false);
        if exchange.path() == "/theirs" {
            exchange.data();
            return exchange.reset(Reason::INTERNAL_ERROR);
        }
        exchange.wait_for_reset();
        told.open();
    });
    let proxy = before_h2("", &origin);
    let client = client(&proxy);
    let mut ours = connect(&client, "websocket", "/ours");
    ours.head().expect("an answer");
    assert_eq!(ours.take(5), b"hello");
    ours.reset(Reason::CANCEL);
    was_reset.wait();
    let mut theirs = connect(&client, "websocket", "/theirs");
    let head = theirs.head().expect("an answer");
    theirs.send("now", false);
    assert!(theirs.rest_behind(head).reset().is_some());
    for path in ["/ours", "/theirs"] {
        let line = proxy.line_of(path);
        assert_eq!(line.status(), 101);
        let outcome = line.outcome();
        let expected = ["tunnel", "downstream-aborted", "upstream-aborted"];
        assert!(expected.contains(&outcome), "{path}: {outcome}");
    }
    let admin = Admin::of(&proxy);
    admin.wait_for_endpoint("c", &origin, |report| report["requests"] == 0);
}

#[test]
fn a_silent_tunnel_is_closed() {
    let origin = shouting_h1();
    let proxy = before_h1("timeouts tunnel=\"200ms\"", "", &origin);
    let client = client(&proxy);
    let mut stream = connect(&client, "websocket", "/ws");
    let head = stream.head().expect("an answer");
    assert_eq!(stream.take(5), b"hello");
    stream.rest_behind(head);
    assert_eq!(ended(&proxy, "/ws"), as_told("idle-timeout", 101));
    assert_eq!(client.get("/after").text(), "plain");
}
