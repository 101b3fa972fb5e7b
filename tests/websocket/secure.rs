//! WebSockets under TLS, on both sides of the proxy and on one.

use super::{Socket, before, echo_messages, echoes, secured};
use crate::harness::{Origin, TlsClient};
use crate::tcp::pattern;
use std::net::{SocketAddr, TcpListener};
use tokio_tungstenite::tungstenite::client::client;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Message, accept};

/// A WebSocket server that echoes; its address.
fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || echo_messages(accept(stream).expect("a handshake")));
        }
    });
    address
}

/// Opens a WebSocket under TLS.
fn open(tls: &TlsClient, address: SocketAddr) -> Socket {
    let connection = tls.connect(address);
    let stream = connection.stream().try_clone().expect("a second handle");
    let opened = client("ws://site.test/ws", stream).expect("it is switched");
    opened.0
}

#[test]
fn messages_pass_where_both_sides_speak_tls() {
    let address = server();
    let (proxy, tls, front) = secured(&address, "");
    let mut socket = open(&tls, proxy.address("web"));
    echoes(&mut socket, "grüße, 世界");
    let bytes = pattern(1 << 20);
    for _ in 0..3 {
        socket.send(Message::binary(bytes.clone())).expect("sends");
        assert!(socket.read().expect("an echo").into_data() == bytes);
    }
    socket.send(Message::Ping("there?".into())).expect("sends");
    let pong = socket.read().expect("an answer");
    assert_eq!(pong, Message::Pong("there?".into()));
    socket.close(None).expect("sends");
    while socket.read().is_ok() {}
    drop(socket);
    let line = proxy.line_of("/ws");
    assert_eq!((line.status(), line.outcome()), (101, "tunnel"));
    assert_eq!(line.text("tls_sni"), "site.test");
    assert_eq!(front.handshakes().len(), 1);
}

#[test]
fn close_codes_pass_both_ways_under_tls() {
    let address = server();
    let (proxy, tls, _front) = secured(&address, "");
    let mut socket = open(&tls, proxy.address("web"));
    echoes(&mut socket, "hello");
    let frame = CloseFrame {
        code: CloseCode::from(4001),
        reason: "a code of our own".into(),
    };
    socket.close(Some(frame)).expect("sends");
    match socket.read() {
        Ok(Message::Close(Some(frame))) => assert_eq!(u16::from(frame.code), 4001),
        other => panic!("no close: {other:?}"),
    }
    assert!(socket.read().is_err(), "and then the connection ends");
    drop(socket);
    assert_eq!(proxy.line_of("/ws").outcome(), "tunnel");
}

#[test]
fn a_silent_tunnel_under_tls_ends_at_its_timeout() {
    let address = server();
    let (proxy, tls, _front) = secured(&address, r#"timeouts tunnel="400ms" idle="100ms""#);
    let mut socket = open(&tls, proxy.address("web"));
    echoes(&mut socket, "hello");
    assert!(socket.read().is_err(), "the proxy ends it");
    let line = proxy.line_of("/ws");
    assert_eq!((line.status(), line.outcome()), (101, "idle-timeout"));
    assert!(line.number("active_us") >= 400_000, "{line:?}");
}

#[test]
fn what_the_upstream_sends_with_its_101_reaches_the_client_under_tls() {
    let origin = Origin::start(|mut peer| {
        peer.request();
        peer.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x05early");
        peer.rest();
    });
    let (proxy, tls, _front) = secured(&origin.address(), "");
    let mut client = tls.connect(proxy.address("web"));
    client.send(
        "GET /ws HTTP/1.1\r\nHost: site.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    );
    assert_eq!(client.response().status, 101);
    assert_eq!(client.take(7), b"\x81\x05early");
    drop(client);
    assert_eq!(proxy.line_of("/ws").outcome(), "tunnel");
}

#[test]
fn a_message_of_sixteen_mebibytes_arrives_whole() {
    let proxy = before(|stream| echo_messages(accept(stream).expect("a handshake")));
    let address = server();
    let (secured, tls, _front) = secured(&address, "");
    let sockets = [
        super::open(proxy.address("web")),
        open(&tls, secured.address("web")),
    ];
    let bytes = pattern(16 << 20);
    for mut socket in sockets {
        socket.send(Message::binary(bytes.clone())).expect("sends");
        let echoed = socket.read().expect("an echo").into_data();
        assert!(echoed == bytes, "{} bytes came back", echoed.len());
        socket.close(None).expect("sends");
        while socket.read().is_ok() {}
    }
    for proxy in [&proxy, &secured] {
        let line = proxy.line_of("/ws");
        assert_eq!((line.status(), line.outcome()), (101, "tunnel"));
        assert!(line.number("downstream_bytes") > 16 << 20, "{line:?}");
    }
}
