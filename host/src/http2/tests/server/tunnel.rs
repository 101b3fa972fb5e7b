//! Extended CONNECT (RFC 8441) as an upgrade.

use super::raw::{DATA, END_STREAM, frame};
use super::*;
use ::http::Request;
use h2::ext::Protocol;
use tokio::sync::mpsc::unbounded_channel;

const CONNECT: [(&str, &str); 7] = [
    (":method", "CONNECT"),
    (":protocol", "websocket"),
    (":scheme", "http"),
    (":authority", "a.test"),
    (":path", "/chat?x=1"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "is left out"),
];

const SWITCHING: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\nSec-WebSocket-Protocol: chat\r\n\r\n";

/// A request for a tunnel, once the peer has said that it takes one.
async fn connect(client: &SendRequest<Bytes>) -> Request<()> {
    while !client.is_extended_connect_protocol_enabled() {
        tokio::task::yield_now().await;
    }
    let request = Request::builder()
        .method("CONNECT")
        .uri("http://a.test/chat");
    let request = request.extension(Protocol::from_static("websocket"));
    request.body(()).expect("valid")
}

#[tokio::test]
async fn a_tunnel_echoes_and_closes_by_halves() {
    on_worker(async {
        let mut served = serve(SETTINGS, |mut stream| async move {
            read_request(&mut stream, 4096).await.expect("a request");
            stream.write_all(SWITCHING).await.expect("is taken");
            let mut all = Vec::new();
            stream.read_to_end(&mut all).await.expect("reads");
            stream.write_all(&all).await.expect("is taken");
            stream.shutdown().await.expect("ends");
        })
        .await;
        let mut client = served.client().await;
        let request = connect(&client).await;
        let (response, mut sending) = client.send_request(request, false).expect("is sent");
        let response = response.await.expect("an answer");
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers().len(), 1, "{response:?}");
        assert_eq!(response.headers()["sec-websocket-protocol"], "chat");
        sending
            .send_data(Bytes::from_static(b"ping"), false)
            .expect("is sent");
        sending
            .send_data(Bytes::from_static(b"pong"), true)
            .expect("is sent");
        let mut body = response.into_body();
        let mut echoed = Vec::new();
        while let Some(data) = body.data().await {
            echoed.extend_from_slice(&data.expect("data"));
        }
        assert_eq!(echoed, b"pingpong");
    })
    .await;
}

#[tokio::test]
async fn the_request_reads_as_an_upgrade_with_a_fresh_key() {
    on_worker(async {
        let (texts, mut received) = unbounded_channel();
        let mut served = serve(SETTINGS, move |mut stream| {
            let texts = texts.clone();
            async move {
                let text = read_request(&mut stream, 4096).await.expect("a request");
                let _ = texts.send(String::from_utf8(text).expect("is text"));
            }
        })
        .await;
        let mut raw = served.raw().await;
        let mut keys = Vec::new();
        for stream in [1, 3] {
            raw.request(stream, 0, &CONNECT).await;
            let text = received.recv().await.expect("a text");
            let (start, key) = text.split_once("Sec-WebSocket-Key: ").expect("a key");
            assert_eq!(
                start,
                "GET /chat?x=1 HTTP/1.1\r\nHost: a.test\r\nsec-websocket-version: 13\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            );
            assert_eq!(key.len(), "dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".len());
            let mut head = crate::http::RequestHead::new();
            let parsed = crate::http::parse_request(text.as_bytes(), &crate::http::Limits::default(), &mut head);
            assert!(parsed.is_ok());
            assert_eq!(head.upgrade(), Some("websocket"));
            keys.push(key.to_owned());
        }
        assert_ne!(keys[0], keys[1]);
    })
    .await;
}

/// What is sent before the tunnel is there, read in the same moment as the head, must not be taken for a next request.
#[tokio::test]
async fn early_bytes_wait_for_the_tunnel_and_vanish_without_it() {
    async fn early(answer: &'static [u8]) -> (String, Vec<u8>) {
        let (texts, mut received) = unbounded_channel();
        let mut served = serve(SETTINGS, move |mut stream| {
            let texts = texts.clone();
            async move {
                let mut buffer = vec![0; 4096];
                let count = stream.read(&mut buffer).await.expect("a request");
                assert!(
                    buffer[..count].ends_with(b"\r\n\r\n"),
                    "more than the head was read"
                );
                stream.write_all(answer).await.expect("is taken");
                let mut rest = Vec::new();
                stream.read_to_end(&mut rest).await.expect("reads");
                let _ = texts.send(rest);
                stream.shutdown().await.expect("ends");
            }
        })
        .await;
        let mut raw = served.raw().await;
        let mut bytes = frame(raw::HEADERS, raw::END_HEADERS, 1, &raw::block(&CONNECT));
        bytes.extend(frame(DATA, END_STREAM, 1, b"GET /admin HTTP/1.1\r\n\r\n"));
        raw.send(&bytes).await;
        let summary = raw.summary(1).await;
        (summary, received.recv().await.expect("was read"))
    }
    on_worker(async {
        let (summary, rest) = early(SWITCHING).await;
        assert_eq!(summary, "HEADERS DATA(0)+E");
        assert_eq!(rest, b"GET /admin HTTP/1.1\r\n\r\n");
        let (summary, rest) = early(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").await;
        assert_eq!(summary, "HEADERS+E");
        assert_eq!(rest, b"");
    })
    .await;
}

#[tokio::test]
async fn a_2xx_that_is_no_101_opens_no_tunnel() {
    on_worker(async {
        for (answer, status) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 502),
            ("HTTP/1.1 204 No Content\r\n\r\n", 502),
            ("HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n", 302),
            (
                "HTTP/1.1 501 Not Implemented\r\nContent-Length: 0\r\n\r\n",
                501,
            ),
        ] {
            let mut served = serve(SETTINGS, answering(answer, usize::MAX)).await;
            let mut client = served.client().await;
            let request = connect(&client).await;
            let (response, _sending) = client.send_request(request, false).expect("is sent");
            let response = response.await.expect("an answer");
            assert_eq!(response.status(), status, "{answer:?}");
            assert!(response.body().is_end_stream(), "{answer:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_tunnel_that_is_dropped_is_reset() {
    on_worker(async {
        let mut served = serve(SETTINGS, |mut stream| async move {
            read_request(&mut stream, 4096).await.expect("a request");
            stream.write_all(SWITCHING).await.expect("is taken");
        })
        .await;
        let mut raw = served.raw().await;
        raw.request(1, 0, &CONNECT).await;
        let summary = raw.summary(1).await;
        assert!(
            matches!(&*summary, "HEADERS RST(10)" | "RST(10)"),
            "{summary}"
        );
    })
    .await;
}
