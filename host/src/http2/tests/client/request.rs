//! Requests, from HTTP/1.1 text to frames.

use super::raw::{self, DATA, END_STREAM, HEADERS, RST_STREAM, code_of};
use super::{SETTINGS, collect, connect, empty, exchange, open, within_worker};
use crate::http::Scheme;
use http::HeaderMap;
use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use tokio::io::AsyncWriteExt;

/// What a peer saw, as text: pseudo-headers, lines, whether the head ended the stream, body, trailers.
async fn seen(text: &str, piece: usize) -> String {
    let seen = Rc::new(RefCell::new(String::new()));
    let into = Rc::clone(&seen);
    let connection = connect(
        SETTINGS,
        h2::server::Builder::new(),
        move |request, mut respond| {
            let into = Rc::clone(&into);
            async move {
                let (head, body) = request.into_parts();
                let mut text = format!("{} {}{}", head.method, head.uri, lines(&head.headers));
                if body.is_end_stream() {
                    text += "|END";
                }
                let (data, trailers) = collect(body).await.expect("a whole body");
                text += &format!("|{}", String::from_utf8_lossy(&data));
                text += &trailers.as_ref().map(lines).unwrap_or_default();
                *into.borrow_mut() = text;
                respond.send_response(empty(204), true).expect("open");
            }
        },
    )
    .await;
    let response = exchange(&connection, text.as_bytes(), piece).await;
    assert_eq!(
        response.expect("an answer"),
        "HTTP/1.1 204 No Content\r\n\r\n"
    );
    seen.take()
}

fn lines(headers: &HeaderMap) -> String {
    let line = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        format!(" {name}={}", String::from_utf8_lossy(value.as_bytes()))
    };
    headers.iter().map(line).collect()
}

#[tokio::test]
async fn a_request_means_the_same_in_frames() {
    let table = [
        (
            "GET /a?b=c HTTP/1.1\r\nHost: shop.example:81\r\n\r\n",
            "GET http://shop.example:81/a?b=c|END|",
        ),
        (
            "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
            "OPTIONS http://a*|END|",
        ),
        (
            "HEAD / HTTP/1.1\r\nHost: [::1]:80\r\nX-UP_per: V\tv\r\nCookie: a=1; b=2\r\n\r\n",
            "HEAD http://[::1]:80/ x-up_per=V\tv cookie=a=1; b=2|END|",
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\nx: 2\r\nEmpty:\r\n\r\n",
            "GET http://a/ x=1 x=2 empty=|END|",
        ),
        (
            "GET /a%2Fb//c<d>?`{e}|\"f\" HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET http://a/a%2Fb//c%3Cd%3E?%60%7Be%7D%7C%22f%22|END|",
        ),
        (
            "POST /p HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\nContent-Length: 5\r\n\r\nhello",
            "POST http://a/p content-length=5 te=trailers|hello",
        ),
        (
            "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
            "POST http://a/p content-length=0|END|",
        ),
        (
            "PUT /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n\
             3\r\nabc\r\nB;x=y\r\ndefghijklmn\r\n0\r\n\r\n",
            "PUT http://a/p expect=100-continue|abcdefghijklmn",
        ),
        (
            "POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
             2\r\nab\r\n0\r\nX-Sum: 7\r\nx-sum: 8\r\n\r\n",
            "POST http://a/p|ab x-sum=7 x-sum=8",
        ),
        (
            "POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Sum: 7\r\n\r\n",
            "POST http://a/p| x-sum=7",
        ),
    ];
    within_worker(async {
        for (text, expected) in table {
            for piece in [1, 2, 7, text.len()] {
                assert_eq!(seen(text, piece).await, expected, "in pieces of {piece}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn an_empty_chunked_body_that_comes_with_the_head_ends_the_stream_with_it() {
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    within_worker(async {
        let whole = format!("{head}0\r\n\r\n");
        assert_eq!(seen(&whole, whole.len()).await, "POST http://a/|END|");
        assert_eq!(seen(&whole, head.len()).await, "POST http://a/|");
    })
    .await;
}

#[tokio::test]
async fn the_scheme_is_the_one_the_stream_was_opened_with() {
    within_worker(async {
        let connection = connect(
            SETTINGS,
            h2::server::Builder::new(),
            |request, mut respond| {
                let status = if request.uri().scheme_str() == Some("https") {
                    204
                } else {
                    500
                };
                respond.send_response(empty(status), true).expect("open");
                async {}
            },
        )
        .await;
        let mut stream = connection.open(Scheme::Https).expect("room");
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .expect("sent");
        let response = super::read_to_end(&mut stream, 99)
            .await
            .expect("an answer");
        assert!(response.starts_with("HTTP/1.1 204 "), "{response}");
    })
    .await;
}

#[tokio::test]
async fn a_request_that_cannot_be_said_is_refused_and_nothing_is_sent() {
    let table = [
        "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ];
    within_worker(async {
        for text in table {
            let (connection, mut raw) = raw::connect(&[]).await;
            let failed = exchange(&connection, text.as_bytes(), text.len()).await;
            let kind = failed.expect_err("refused").kind();
            assert_eq!(kind, io::ErrorKind::InvalidInput, "{text:?}");
            assert_eq!(connection.open_streams(), 0);
            connection.close();
            while let Some(frame) = raw.next().await {
                assert_ne!(frame.kind, HEADERS, "{text:?}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_head_beyond_the_limits_is_refused() {
    within_worker(async {
        let (connection, _raw) = raw::connect(&[]).await;
        let text = format!(
            "GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n",
            "v".repeat(200_000)
        );
        let failed = exchange(&connection, text.as_bytes(), 10_000).await;
        let kind = failed.expect_err("refused").kind();
        assert_eq!(kind, io::ErrorKind::InvalidInput);
    })
    .await;
}

#[tokio::test]
async fn half_a_request_is_reset_not_ended() {
    let heads = [
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ];
    within_worker(async {
        for (head, shuts_down) in heads
            .into_iter()
            .flat_map(|head| [(head, false), (head, true)])
        {
            let (connection, mut raw) = raw::connect(&[]).await;
            let mut stream = open(&connection);
            stream.write_all(head.as_bytes()).await.expect("sent");
            let headers = raw.next_of(HEADERS).await;
            assert_eq!(headers.flags & END_STREAM, 0);
            let data = raw.next_of(DATA).await;
            assert_eq!(
                (data.flags & END_STREAM, &data.payload[..]),
                (0, &b"abc"[..])
            );
            if shuts_down {
                stream.shutdown().await.expect("never fails");
            } else {
                drop(stream);
            }
            assert_eq!(code_of(&raw.next_of(RST_STREAM).await), h2::Reason::CANCEL);
        }
    })
    .await;
}
