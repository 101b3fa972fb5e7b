//! Messages of every kind arrive as they were sent.

use super::{echoes, open, proxy, try_open};
use crate::tcp::pattern;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::{Error, Message};

#[test]
fn text_and_binary_come_back_and_the_tunnel_has_one_access_line() {
    let proxy = proxy("");
    let (mut socket, response) = try_open(proxy.address("web")).expect("it is switched");
    assert_eq!(response.status(), 101);
    echoes(&mut socket, "grüße, 世界");
    echoes(&mut socket, "");
    let bytes: Vec<u8> = (0..=255).collect();
    socket.send(Message::binary(bytes.clone())).expect("sends");
    assert_eq!(socket.read().expect("an echo"), Message::binary(bytes));
    socket.close(None).expect("sends");
    while socket.read().is_ok() {}
    drop(socket);

    let line = proxy.line_of("/ws");
    assert_eq!((line.status(), line.outcome()), (101, "tunnel"));
    assert_eq!((line.text("route"), line.text("cluster")), ("all", "demo"));
    assert!(
        line.number("downstream_bytes") > 256 && line.number("upstream_bytes") > 256,
        "{line:?}"
    );
}

#[test]
fn a_message_in_fragments_with_a_ping_between_them_is_one_message() {
    let proxy = proxy("");
    let mut socket = open(proxy.address("web"));
    let part = |text: &str, code, last| {
        Message::Frame(Frame::message(
            text.as_bytes().to_vec(),
            OpCode::Data(code),
            last,
        ))
    };
    socket.send(part("one ", Data::Text, false)).expect("sends");
    socket
        .send(Message::Ping("are you there".into()))
        .expect("sends");
    assert_eq!(
        socket.read().expect("an answer"),
        Message::Pong("are you there".into())
    );
    socket
        .send(part("two ", Data::Continue, false))
        .expect("sends");
    socket
        .send(part("three", Data::Continue, true))
        .expect("sends");
    assert_eq!(
        socket.read().expect("an echo"),
        Message::text("one two three")
    );
}

#[test]
fn a_message_of_a_mebibyte_arrives_whole() {
    let proxy = proxy("");
    let mut socket = open(proxy.address("web"));
    for _ in 0..3 {
        let bytes = pattern(1 << 20);
        socket.send(Message::binary(bytes.clone())).expect("sends");
        let echoed = socket.read().expect("an echo").into_data();
        assert!(
            echoed == bytes,
            "{} bytes came back, or came back changed",
            echoed.len()
        );
    }
}

#[test]
fn close_codes_pass_and_are_answered() {
    let proxy = proxy("");
    for (code, reason) in [(1000, ""), (1001, "going"), (4001, "a code of our own")] {
        let mut socket = open(proxy.address("web"));
        echoes(&mut socket, "hello");
        let frame = CloseFrame {
            code: CloseCode::from(code),
            reason: reason.into(),
        };
        socket.close(Some(frame)).expect("sends");
        match socket.read() {
            Ok(Message::Close(Some(frame))) => assert_eq!(u16::from(frame.code), code),
            other => panic!("no close: {other:?}"),
        }
        assert!(
            matches!(socket.read(), Err(Error::ConnectionClosed)),
            "and then the connection ends"
        );
    }
}

#[test]
fn many_sockets_at_once_do_not_mix() {
    let proxy = proxy("");
    let address = proxy.address("web");
    std::thread::scope(|scope| {
        for number in 0..16 {
            scope.spawn(move || {
                let mut socket = open(address);
                (0..20)
                    .for_each(|turn| echoes(&mut socket, &format!("socket {number}, turn {turn}")));
            });
        }
    });
}
