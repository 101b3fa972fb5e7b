//! Streams that end before their time, on either side.

use super::raw::{DATA, END_STREAM, GET, RST_STREAM, frame};
use super::*;
use futures_util::FutureExt;
use std::future::poll_fn;
use std::io::ErrorKind;
use tokio::sync::mpsc::unbounded_channel;

const NO_CONTENT: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// What the peer sees of a spine that drops the stream. The request is not over, so nothing ends by itself.
#[tokio::test]
async fn the_code_of_a_drop_says_how_far_it_got() {
    type Spine = fn(Stream) -> AnyFuture;
    let table: &[(&str, Spine, &str)] = &[
        (
            "not read",
            |stream| Box::pin(async move { drop(stream) }),
            "RST(7)",
        ),
        (
            "not answered",
            |mut stream| {
                Box::pin(async move {
                    stream.read_u8().await.expect("reads");
                })
            },
            "RST(8)",
        ),
        (
            "half a head",
            |mut stream| {
                Box::pin(async move {
                    stream.read_u8().await.expect("reads");
                    stream.write_all(&OK[..10]).await.expect("is taken");
                })
            },
            "RST(8)",
        ),
        (
            "answered",
            |mut stream| {
                Box::pin(async move {
                    stream.write_all(NO_CONTENT).await.expect("is taken");
                })
            },
            "HEADERS+E RST(0)",
        ),
        (
            "answered with a body",
            |mut stream| {
                Box::pin(async move {
                    stream.write_all(OK).await.expect("is taken");
                })
            },
            "HEADERS DATA(2)+E RST(0)",
        ),
        (
            "answered and shut down",
            |mut stream| {
                Box::pin(async move {
                    stream.write_all(OK).await.expect("is taken");
                    stream.shutdown().await.expect("ends");
                    let mut rest = Vec::new();
                    stream.read_to_end(&mut rest).await.expect("is at the end");
                    assert!(rest.is_empty());
                })
            },
            "HEADERS DATA(2)+E RST(0)",
        ),
        (
            "half a body",
            |mut stream| {
                Box::pin(async move {
                    stream
                        .write_all(&OK[..OK.len() - 2])
                        .await
                        .expect("is taken");
                    Box::pin(tokio::task::yield_now()).await;
                })
            },
            "RST(2)",
        ),
        (
            "reset on close",
            |mut stream| {
                Box::pin(async move {
                    stream.read_u8().await.expect("reads");
                    stream
                        .write_all(&OK[..OK.len() - 1])
                        .await
                        .expect("is taken");
                    stream.reset_on_close();
                })
            },
            "RST(2)",
        ),
    ];
    on_worker(async {
        for (name, spine, expected) in table {
            let mut served = serve(SETTINGS, spine).await;
            let mut raw = served.raw().await;
            raw.request(1, 0, &GET).await;
            let mut found = raw.summary(1).await;
            if found.ends_with("+E") {
                found = format!("{found} {}", raw.summary(1).await);
            }
            // Whether head and data left before the reset is a matter of time.
            let codes = found.strip_prefix("HEADERS ").unwrap_or(&found);
            let codes = codes.strip_prefix("DATA(1) ").unwrap_or(codes);
            let found = if expected.starts_with("RST") {
                codes
            } else {
                &found
            };
            assert_eq!(found, *expected, "{name}");
            assert_eq!(served.open_streams.get(), 0, "{name}");
        }
    })
    .await;
}

/// A peer that resets the stream, or closes the connection, is seen in every way there is to look.
#[tokio::test]
async fn a_peer_that_leaves_is_noticed() {
    on_worker(async {
        for leaves_by_reset in [true, false] {
            let (reports, mut received) = unbounded_channel();
            let mut served = serve(SETTINGS, move |mut stream| {
                let reports = reports.clone();
                async move {
                    read_request(&mut stream, 4096).await.expect("a request");
                    // The request is whole, and that is not leaving.
                    assert_eq!(poll_fn(|cx| stream.poll_closed(cx)).now_or_never(), None);
                    assert!(!stream.is_read_closed());
                    let _ = reports.send(());
                    assert!(poll_fn(|cx| stream.poll_closed(cx)).await);
                    assert!(stream.is_read_closed());
                    assert!(stream.is_stale());
                    stream.readable().await.expect("is ready");
                    let written = stream.write_all(OK).await;

                    assert_eq!(
                        written.map_err(|error| error.kind()),
                        Err(ErrorKind::ConnectionReset)
                    );
                    let _ = reports.send(());
                }
            })
            .await;
            let mut raw = served.raw().await;
            raw.request(1, END_STREAM, &GET).await;
            received.recv().await.expect("waits");
            if leaves_by_reset {
                raw.send(&frame(RST_STREAM, 0, 1, &8_u32.to_be_bytes()))
                    .await;
            } else {
                drop(raw);
            }
            received.recv().await.expect("noticed");
            served.settle().await;
            assert_eq!(served.open_streams.get(), 0);
        }
    })
    .await;
}

#[tokio::test]
async fn a_body_cut_short_is_an_error_and_no_end() {
    on_worker(async {
        for fields in [&[][..], &[("content-length", "9")]] {
            let (reports, mut received) = unbounded_channel();
            let mut served = serve(SETTINGS, move |mut stream| {
                let reports = reports.clone();
                async move {
                    let mut text = Vec::new();
                    while !text.ends_with(b"part") && !text.ends_with(b"part\r\n") {
                        stream.read_buf(&mut text).await.expect("reads");
                    }
                    let _ = reports.send(None);
                    let end = stream.read_to_end(&mut text).await;
                    let again = stream.read_to_end(&mut text).await;
                    let kinds = [end, again].map(|end| end.map_err(|error| error.kind()).err());
                    let _ = reports.send(Some(kinds));
                }
            })
            .await;
            let mut raw = served.raw().await;
            let mut all = GET.to_vec();
            all.extend(fields);
            raw.request(1, 0, &all).await;
            raw.send(&frame(DATA, 0, 1, b"part")).await;
            received.recv().await.expect("read a part");
            raw.send(&frame(RST_STREAM, 0, 1, &8_u32.to_be_bytes()))
                .await;
            let kinds = received.recv().await.flatten();
            assert_eq!(
                kinds,
                Some([Some(ErrorKind::ConnectionReset); 2]),
                "{fields:?}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn bytes_that_wait_are_seen_without_being_taken() {
    on_worker(async {
        let (reports, mut received) = unbounded_channel();
        let mut served = serve(SETTINGS, move |mut stream| {
            let reports = reports.clone();
            async move {
                // The head is there from the first moment.
                assert_eq!(
                    poll_fn(|cx| stream.poll_closed(cx)).now_or_never(),
                    Some(false)
                );
                assert!(stream.readable().now_or_never().is_some());
                let mut text = vec![0; 4096];
                let count = stream.read(&mut text).await.expect("reads");
                assert!(text[..count].ends_with(b"\r\n\r\n"));
                assert!(stream.readable().now_or_never().is_none());
                let _ = reports.send(());
                assert!(!poll_fn(|cx| stream.poll_closed(cx)).await);
                assert!(!poll_fn(|cx| stream.poll_closed(cx)).await);
                let rest = read_rest(&mut stream).await;
                assert_eq!(rest, b"4\r\nbody\r\n0\r\n\r\n");
                stream.write_all(NO_CONTENT).await.expect("is taken");
                // One exchange a stream.
                assert!(stream.is_stale());
                assert_eq!(stream.read(&mut text).await.expect("reads"), 0);
                let _ = reports.send(());
            }
        })
        .await;
        let mut raw = served.raw().await;
        raw.request(1, 0, &GET).await;
        received.recv().await.expect("waits");
        raw.send(&frame(DATA, END_STREAM, 1, b"body")).await;
        received.recv().await.expect("is done");
    })
    .await;
}

async fn read_rest(stream: &mut Stream) -> Vec<u8> {
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.expect("reads");
    rest
}
