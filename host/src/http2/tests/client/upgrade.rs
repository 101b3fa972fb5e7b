//! Upgrades, by extended CONNECT (RFC 8441).

use super::raw::{self, DATA, END_HEADERS, END_STREAM, HEADERS, Raw, block};
use super::{SETTINGS, connect, empty, exchange, open, read_to_end, sockets, within_worker};
use crate::http2::client::{Connection, is_not_processed};
use crate::net::stream::Stream;
use bytes::Bytes;
use std::future::poll_fn;
use std::task::Poll;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const UPGRADE: &str = "GET /chat?x=1 HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n";

const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

/// `SETTINGS_ENABLE_CONNECT_PROTOCOL` on.
const EXTENDED: (u16, u32) = (8, 1);

async fn read_head(stream: &mut Stream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a head"));
    }
    String::from_utf8(head).expect("text")
}

#[tokio::test]
async fn a_tunnel_carries_bytes_both_ways_and_ends_in_order() {
    let mut server = h2::server::Builder::new();
    server.enable_connect_protocol();
    within_worker(async {
        let connection = connect(SETTINGS, server, |request, mut respond| async move {
            let protocol = request.extensions().get::<h2::ext::Protocol>();
            assert_eq!(protocol.expect("extended").as_str(), "websocket");
            assert_eq!(request.method(), http::Method::CONNECT);
            assert_eq!(request.uri(), "http://a/chat?x=1");
            assert_eq!(request.headers().len(), 1, "{:?}", request.headers());
            assert_eq!(request.headers()["sec-websocket-version"], "13");
            let mut head = empty(200);
            let protocol = http::HeaderValue::from_static("chat");
            head.headers_mut()
                .insert("sec-websocket-protocol", protocol);
            let mut send = respond.send_response(head, false).expect("open");
            let mut body = request.into_body();
            while let Some(data) = body.data().await {
                let data = data.expect("in order");
                let released = body.flow_control().release_capacity(data.len());
                released.expect("received before");
                super::send_all(&mut send, data, false).await;
            }
            send.send_data(Bytes::from_static(b"bye"), true)
                .expect("open");
        })
        .await;
        let mut stream = open(&connection);
        for byte in UPGRADE.bytes() {
            stream.write_all(&[byte]).await.expect("sent");
        }
        let head = read_head(&mut stream).await;
        assert_eq!(
            head,
            format!("{SWITCH}sec-websocket-protocol: chat\r\n\r\n")
        );
        let message: Vec<u8> = (0..200_000_u32).map(|at| at as u8).collect();
        let mut echo = vec![0; message.len()];
        {
            let (mut read, mut write) = stream.split();
            let (sent, received) =
                tokio::join!(write.write_all(&message), read.read_exact(&mut echo));
            sent.expect("sent");
            received.expect("echoed");
        }
        assert!(echo == message);
        stream.shutdown().await.expect("never fails");
        assert_eq!(read_to_end(&mut stream, 99).await.expect("in order"), "bye");
    })
    .await;
}

#[tokio::test]
async fn a_peer_without_extended_connect_is_answered_for() {
    within_worker(async {
        let connection = connect(SETTINGS, h2::server::Builder::new(), |_, mut respond| {
            respond.send_response(empty(204), true).expect("open");
            async {}
        })
        .await;
        for piece in [1, UPGRADE.len()] {
            let answer = exchange(&connection, UPGRADE.as_bytes(), piece).await;
            let answer = answer.expect("an answer");
            assert!(
                answer.starts_with("HTTP/1.1 501 Not Implemented\r\n"),
                "{answer}"
            );
        }
        let other = exchange(&connection, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 99).await;
        assert_eq!(other.expect("an answer"), "HTTP/1.1 204 No Content\r\n\r\n");
    })
    .await;
}

#[tokio::test]
async fn another_status_is_an_ordinary_response_and_ends_the_request() {
    within_worker(async {
        let (connection, mut raw) = raw::connect(&[EXTENDED]).await;
        raw.sync().await;
        let mut stream = open(&connection);
        stream.write_all(UPGRADE.as_bytes()).await.expect("sent");
        let head = raw.next_of(HEADERS).await;
        assert_eq!(head.flags & END_STREAM, 0);
        let answer = block(&[], &[(":status", "403"), ("content-length", "2")]);
        raw.send(HEADERS, END_HEADERS, 1, &answer).await;
        raw.send(DATA, END_STREAM, 1, b"no").await;
        let text = read_to_end(&mut stream, 7).await.expect("an answer");
        assert_eq!(
            text,
            "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"
        );
        let end = raw.next_of(DATA).await;
        assert_eq!((end.payload.len(), end.flags), (0, END_STREAM));
    })
    .await;
}

/// A connection whose peer has not sent its SETTINGS.
async fn silent() -> (Connection, Raw) {
    let (stream, socket) = sockets().await;
    let connection = Connection::connect(stream, &SETTINGS, ()).await;
    (connection.expect("connects"), Raw { socket })
}

/// Writes an upgrade and sees that nothing comes of it yet.
async fn waiting(connection: &Connection) -> Stream {
    let mut stream = open(connection);
    stream.write_all(UPGRADE.as_bytes()).await.expect("taken");
    let closed = poll_fn(|cx| Poll::Ready(stream.poll_closed(cx))).await;
    assert!(closed.is_pending());
    stream
}

#[tokio::test]
async fn an_upgrade_waits_for_the_settings_of_the_peer() {
    for (settings, expected) in [(&[EXTENDED][..], SWITCH), (&[], "HTTP/1.1 501 ")] {
        within_worker(async {
            let (connection, mut raw) = silent().await;
            let mut stream = waiting(&connection).await;
            let answer = async {
                let mut preface = [0; 24];
                raw.socket
                    .read_exact(&mut preface)
                    .await
                    .expect("a preface");
                raw.send_settings(settings).await;
                if !settings.is_empty() {
                    raw.next_of(HEADERS).await;
                    raw.send(HEADERS, END_HEADERS, 1, &[0x88]).await;
                }
            };
            let (head, ()) = tokio::join!(read_head(&mut stream), answer);
            assert!(head.starts_with(expected), "{head}");
        })
        .await;
    }
}

#[tokio::test]
async fn an_upgrade_that_still_waits_when_the_connection_ends_was_not_processed() {
    within_worker(async {
        let (connection, raw) = silent().await;
        let mut stream = waiting(&connection).await;
        let (failed, ()) = tokio::join!(read_to_end(&mut stream, 99), async { drop(raw) });
        assert!(is_not_processed(&failed.expect_err("no answer")));
    })
    .await;
}
