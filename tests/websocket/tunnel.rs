//! The upgrade itself, and what may end a tunnel.

use super::{before, echo_messages, echoes, open, proxy, try_open};
use crate::harness::{Origin, Proxy};
use std::net::TcpStream;
use tokio_tungstenite::tungstenite::client::{IntoClientRequest, client};
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Message, accept, accept_hdr};

#[test]
fn a_silent_tunnel_ends_at_its_own_timeout_and_not_at_the_idle_timeout() {
    let proxy = proxy(r#"timeouts tunnel="400ms" idle="100ms""#);
    let mut socket = open(proxy.address("web"));
    echoes(&mut socket, "hello");
    assert!(socket.read().is_err(), "the proxy ends it");
    let line = proxy.line_of("/ws");
    assert_eq!((line.status(), line.outcome()), (101, "idle-timeout"));
    assert!(line.number("active_us") >= 400_000, "{line:?}");
}

#[test]
fn the_upstream_may_close_with_a_code_of_its_own() {
    let proxy = before(|stream| {
        let mut socket = accept(stream).expect("a handshake");
        let frame = CloseFrame {
            code: CloseCode::Restart,
            reason: "come back".into(),
        };
        socket.close(Some(frame)).expect("sends");
        while socket.read().is_ok() {}
    });
    let mut socket = open(proxy.address("web"));
    match socket.read() {
        Ok(Message::Close(Some(frame))) => assert_eq!(
            (u16::from(frame.code), frame.reason.as_str()),
            (1012, "come back")
        ),
        other => panic!("no close: {other:?}"),
    }
    assert!(socket.read().is_err());
    drop(socket);
    assert_eq!(proxy.line_of("/ws").outcome(), "tunnel");
}

#[test]
fn what_the_upstream_sends_with_its_101_reaches_the_client() {
    let origin = Origin::start(|mut peer| {
        peer.request();
        // An unmasked text frame right behind the head.
        peer.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x05early");
        peer.rest();
    });
    let proxy = Proxy::before(&origin);
    let mut client = proxy.client();
    client.send(
        "GET /ws HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    );
    assert_eq!(client.response().status, 101);
    assert_eq!(client.take(7), b"\x81\x05early");
}

#[test]
fn what_the_client_sends_before_the_101_reaches_the_upstream() {
    let origin = Origin::start(|mut peer| {
        peer.request();
        peer.send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        );
        let eager = peer.take(5);
        peer.send(eager);
    });
    let proxy = Proxy::before(&origin);
    let mut client = proxy.client();
    client.send(
        "GET /ws HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\neager",
    );
    assert_eq!(client.response().status, 101);
    assert_eq!(client.rest(), b"eager");
}

#[test]
fn a_filter_may_refuse_the_upgrade() {
    let proxy =
        proxy(r#"filters { acl { rule "deny" status=401 { header "upgrade" "websocket" } } }"#);
    assert_eq!(try_open(proxy.address("web")).err(), Some(401));
    assert_eq!(proxy.line_of("/ws").outcome(), "filter-reply");
}

#[test]
fn an_upstream_may_refuse_the_upgrade() {
    let origin = Origin::named("no sockets here");
    let proxy = Proxy::before(&origin);
    assert_eq!(try_open(proxy.address("web")).err(), Some(200));
    assert_eq!(proxy.line_of("/ws").outcome(), "ok");
}

#[test]
fn filters_see_and_edit_the_head_of_an_upgrade() {
    let proxy = before(|stream| {
        #[expect(clippy::result_large_err, reason = "the library's type")]
        let check = |request: &Request, mut response: Response| {
            let tenant = request
                .headers()
                .get("x-tenant")
                .cloned()
                .expect("the filter has set it");
            response.headers_mut().insert("x-seen", tenant);
            Ok(response)
        };
        let mut socket = accept_hdr(stream, check).expect("a handshake");
        while let Ok(message) = socket.read() {
            if message.is_text() {
                socket.send(message).expect("sends");
            }
        }
    });
    let address = proxy.address("web");
    let text = std::fs::read_to_string(proxy.directory().join("config.kdl"))
        .expect("the harness wrote it");
    let filtered = text.replace(
        "route \"all\" {",
        "route \"all\" {\n filters { headers { request { set \"x-tenant\" \"shop\" } } }\n",
    );
    assert_ne!(text, filtered);
    proxy.reload(&filtered).expect("it is valid");
    let (mut socket, response) = try_open(address).expect("it is switched");
    assert_eq!(response.headers()["x-seen"], "shop");
    echoes(&mut socket, "hello");
}

#[test]
fn a_client_that_vanishes_ends_the_upstream_connection() {
    let (tell, told) = std::sync::mpsc::channel();
    let proxy = before(move |stream| {
        let mut socket = accept(stream).expect("a handshake");
        while socket.read().is_ok() {}
        tell.send(()).expect("the test waits");
    });
    let socket = open(proxy.address("web"));
    drop(socket);
    told.recv_timeout(crate::harness::PATIENCE)
        .expect("the upstream connection ends");
    proxy.line_of("/ws");
}

#[test]
fn the_sub_protocol_is_agreed_on_between_client_and_server() {
    let proxy = before(|stream| {
        #[expect(clippy::result_large_err, reason = "the library's type")]
        let choose = |request: &Request, mut response: Response| {
            let offered = &request.headers()["sec-websocket-protocol"];
            assert_eq!(offered, "chat, superchat");
            let headers = response.headers_mut();
            headers.insert(
                "sec-websocket-protocol",
                "superchat".parse().expect("valid"),
            );
            Ok(response)
        };
        echo_messages(accept_hdr(stream, choose).expect("a handshake"));
    });
    let address = proxy.address("web");
    let mut request = format!("ws://{address}/ws")
        .into_client_request()
        .expect("an address");
    let offer = "chat, superchat".parse().expect("valid");
    request
        .headers_mut()
        .insert("sec-websocket-protocol", offer);
    let stream = TcpStream::connect(address).expect("the proxy listens");
    let (mut socket, response) = client(request, stream).expect("it is switched");
    assert_eq!(response.headers()["sec-websocket-protocol"], "superchat");
    echoes(&mut socket, "hello");
    drop(socket);
    assert_eq!(proxy.line_of("/ws").status(), 101);
}
