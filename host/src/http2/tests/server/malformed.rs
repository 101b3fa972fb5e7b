//! Requests that are reset, or left for the parser to refuse.

use super::raw::{DATA, END_STREAM, frame};
use super::*;
use ::http::Request;
use tokio::sync::mpsc::unbounded_channel;

type Fields = &'static [(&'static str, &'static str)];

#[tokio::test]
async fn what_http_1_1_cannot_carry_is_malformed() {
    const PROTOCOL_ERROR: u32 = 1;
    let table: &[(Fields, Option<(&str, Fields)>)] = &[
        (&[("x-a", " blank")], None),
        (&[("x-a", "blank\t")], None),
        (&[("cookie", "a=1 ")], None),
        (&[("host", " a.test")], None),
        (&[("content-length", "5")], Some(("shor", &[]))),
        (&[("content-length", "5")], Some(("longer", &[]))),
        (&[("content-length", "x")], Some(("x", &[]))),
    ];
    on_worker(async {
        for (fields, body) in table {
            let (texts, mut received) = unbounded_channel();
            let mut served = serve(SETTINGS, move |mut stream| {
                let texts = texts.clone();
                async move {
                    let _ = texts.send(read_request(&mut stream, 4096).await.is_ok());
                }
            })
            .await;
            let mut raw = served.raw().await;
            let mut all = raw::GET.to_vec();
            all[0].1 = "POST";
            all.extend(*fields);
            raw.request(1, if body.is_none() { END_STREAM } else { 0 }, &all)
                .await;
            if let Some((data, _)) = body {
                raw.send(&frame(DATA, END_STREAM, 1, data.as_bytes())).await;
            }
            assert_eq!(
                raw.summary(1).await,
                format!("RST({PROTOCOL_ERROR})"),
                "{fields:?}"
            );
            drop(raw);
            served.end.await.expect("no panic");
            // A body of the wrong length may have been handed out before that was known, but never as a whole one.
            assert_ne!(received.recv().await, Some(true), "{fields:?}");
        }
    })
    .await;
}

/// Pseudo fields that a client library does not let through: the summary of the answer, and the first line that the spine has read.
#[tokio::test]
async fn odd_pseudo_fields() {
    let table: &[(Fields, &str, &str)] = &[
        (
            &[
                (":method", "GET"),
                (":scheme", "http"),
                (":path", "/"),
                ("host", "a.test"),
            ],
            "HEADERS+E",
            "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
        ),
        (
            &[
                (":method", "GET"),
                (":scheme", "http"),
                (":path", "/"),
                ("host", "a.test"),
                ("host", "b.test"),
            ],
            "HEADERS+E",
            "GET / HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n",
        ),
        (
            &[(":method", "GET"), (":scheme", "http"), (":path", "/")],
            "HEADERS+E",
            "GET / HTTP/1.1\r\n\r\n",
        ),
        (
            &[
                (":method", "OPTIONS"),
                (":scheme", "http"),
                (":authority", "a.test"),
                (":path", "*"),
            ],
            "HEADERS+E",
            "OPTIONS * HTTP/1.1\r\nHost: a.test\r\n\r\n",
        ),
        (
            &[
                (":method", "GET"),
                (":scheme", "http"),
                (":authority", "a.test"),
                (":path", "x"),
            ],
            "RST(1)",
            "",
        ),
        (
            &[
                (":method", "GET"),
                (":scheme", "http"),
                (":authority", "a.test"),
                (":path", "http://a.test/"),
            ],
            "RST(1)",
            "",
        ),
        (
            &[
                (":method", "GET"),
                (":scheme", "http"),
                (":authority", "a.test"),
                (":path", "/ HTTP/1.1\r\nx: y"),
            ],
            "RST(1)",
            "",
        ),
        (
            &[
                (":method", "GET"),
                (":scheme", "http"),
                (":authority", "a.test"),
                (":path", ""),
            ],
            "RST(1)",
            "",
        ),
        (
            &[
                (":method", "GET"),
                (":scheme", "http"),
                (":authority", "a.test"),
            ],
            "RST(1)",
            "",
        ),
        (&[(":method", "GET"), (":scheme", "http")], "RST(1)", ""),
        (
            &[
                (":method", "GET"),
                (":scheme", "http"),
                (":authority", "a\r\nb"),
                (":path", "/"),
            ],
            "RST(1)",
            "",
        ),
        (&[(":method", "CONNECT")], "RST(1)", ""),
        (
            &[
                (":method", "CONNECT"),
                (":protocol", "a b"),
                (":scheme", "http"),
                (":authority", "a.test"),
                (":path", "/"),
            ],
            "RST(1)",
            "",
        ),
        (
            &[
                (":method", "CONNECT"),
                (":protocol", "a\r\nx: y"),
                (":scheme", "http"),
                (":authority", "a.test"),
                (":path", "/"),
            ],
            "RST(1)",
            "",
        ),
        (
            &[
                (":method", "CONNECT"),
                (":protocol", "websocket"),
                (":scheme", "http"),
                (":authority", "a.test"),
                (":path", "/"),
                ("content-length", "0"),
            ],
            "RST(1)",
            "",
        ),
        (
            &[
                (":method", "GET"),
                (":scheme", "http"),
                (":authority", "a.test"),
                (":path", "/"),
                ("connection", "close"),
            ],
            "RST(1)",
            "",
        ),
        (
            &[
                (":method", "GET"),
                (":scheme", "http"),
                (":authority", "a.test"),
                (":path", "/"),
                ("transfer-encoding", "chunked"),
            ],
            "RST(1)",
            "",
        ),
        (
            &[
                (":method", "GET"),
                (":scheme", "http"),
                (":authority", "a.test"),
                (":path", "/"),
                ("te", "gzip"),
            ],
            "RST(1)",
            "",
        ),
        (
            &[
                (":method", "GET"),
                (":scheme", "http"),
                (":authority", "a.test"),
                (":path", "/"),
                ("X-Upper", "1"),
            ],
            "GOAWAY(1)",
            "",
        ),
    ];
    on_worker(async {
        for (fields, summary, text) in table {
            let (texts, mut received) = unbounded_channel();
            let mut served = serve(SETTINGS, move |mut stream| {
                let texts = texts.clone();
                async move {
                    let _ = texts.send(read_request(&mut stream, 4096).await.expect("reads"));
                    let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
                }
            })
            .await;
            let mut raw = served.raw().await;
            raw.request(1, END_STREAM, fields).await;
            assert_eq!(raw.summary(1).await, *summary, "{fields:?}");
            drop(raw);
            served.end.await.expect("no panic");
            let read = received.recv().await.unwrap_or_default();
            assert_eq!(String::from_utf8_lossy(&read), *text, "{fields:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn more_lines_than_allowed_are_refused_by_the_parser() {
    on_worker(async {
        for (extra, refused) in [
            (SETTINGS.headers_max - 1, None),
            (SETTINGS.headers_max, Some(431)),
        ] {
            let (texts, mut received) = unbounded_channel();
            let mut served = serve(SETTINGS, move |mut stream| {
                let texts = texts.clone();
                async move {
                    let mut text = Vec::with_capacity(4096);
                    // The end of the request, or of what there is of its head.
                    stream.read_buf(&mut text).await.expect("reads");
                    let _ = texts.send(text);
                }
            })
            .await;
            let mut raw = served.raw().await;
            let mut fields = raw::GET.to_vec();
            fields.extend(vec![("x-a", "1"); extra]);
            fields.extend([("cookie", "a=1"); 3]);
            fields.truncate(raw::GET.len() + extra);
            raw.request(1, END_STREAM, &fields).await;
            let text = received.recv().await.expect("a text");
            let limits = crate::http::Limits {
                headers_max: SETTINGS.headers_max,
                ..crate::http::Limits::default()
            };
            let parsed =
                crate::http::parse_request(&text, &limits, &mut crate::http::RequestHead::new());
            assert_eq!(parsed.err().map(|bad| bad.status), refused, "{extra} lines");
            assert_eq!(text.ends_with(b"\r\n\r\n"), refused.is_none());
        }
    })
    .await;
}

#[tokio::test]
async fn a_header_section_that_is_too_large_is_answered_with_431() {
    on_worker(async {
        let mut served = serve(SETTINGS, answering("", 1)).await;
        let mut client = served.client().await;
        let value = "v".repeat(15_000);
        let request = Request::builder()
            .uri("http://a.test/")
            .header("x-a", &value)
            .header("x-b", &value);
        let sent = client.send_request(request.body(()).expect("valid"), true);
        let response = sent.expect("is sent").0.await.expect("an answer");
        assert_eq!(response.status(), 431);
    })
    .await;
}
