//! Floods, each of which ends with GOAWAY(ENHANCE_YOUR_CALM).

use super::raw::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, GET, GOAWAY, HEADERS, PING, RST_STREAM,
    SETTINGS as SETTINGS_FRAME, WINDOW_UPDATE, block, frame,
};
use super::*;

const ENHANCE_YOUR_CALM: u32 = 11;
/// An extension frame (RFC 9218).
const PRIORITY_UPDATE: u8 = 0x10;
const PRIORITY: u8 = 2;

fn get(stream: u32, flags: u8) -> Vec<u8> {
    frame(HEADERS, flags | END_HEADERS, stream, &block(&GET))
}

/// `count` times what `each` makes of the number of a stream.
fn times(count: u32, each: impl Fn(u32) -> Vec<u8>) -> Vec<u8> {
    (0..count).flat_map(|at| each(2 * at + 1)).collect()
}

/// How a connection ends on which a client sends `bytes`: what it is told, and what the server's side says.
async fn end_of(bytes: Vec<u8>) -> (Option<u32>, Option<ConnectionError>) {
    let mut served = serve(SETTINGS, |mut stream| async move {
        let _ = read_request(&mut stream, 4096).await;
        let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
    })
    .await;
    let frames = served.raw().await.flood(bytes).await;
    let told = frames.iter().rev().find(|frame| frame.kind == GOAWAY);
    let end = served.end.await.expect("no panic");
    (told.map(raw::Frame::code), end)
}

#[tokio::test]
async fn floods_end_the_connection() {
    let opened = |frames: Vec<u8>| [get(1, 0), frames].concat();
    let table = [
        (
            "RST_STREAM",
            times(3000, |stream| {
                [
                    get(stream, END_STREAM),
                    frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]),
                ]
                .concat()
            }),
        ),
        ("PING", times(5000, |_| frame(PING, 0, 0, &[0; 8]))),
        (
            "SETTINGS",
            times(5000, |_| frame(SETTINGS_FRAME, 0, 0, &[])),
        ),
        (
            "PRIORITY",
            times(10_000, |stream| {
                frame(PRIORITY, 0, stream, &[0, 0, 0, 0, 1])
            }),
        ),
        (
            "WINDOW_UPDATE",
            times(5000, |_| frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])),
        ),
        (
            "unknown",
            times(10_000, |_| frame(PRIORITY_UPDATE, 0, 0, &[0, 0, 0, 1])),
        ),
        ("empty DATA", opened(times(500, |_| frame(DATA, 0, 1, &[])))),
        (
            "CONTINUATION",
            [
                frame(HEADERS, END_STREAM, 1, &block(&GET)),
                times(1000, |_| frame(CONTINUATION, 0, 1, &block(&[("x-a", "1")]))),
            ]
            .concat(),
        ),
        (
            "empty CONTINUATION",
            [
                frame(HEADERS, END_STREAM, 1, &block(&GET)),
                times(1000, |_| frame(CONTINUATION, 0, 1, &[])),
            ]
            .concat(),
        ),
    ];
    on_worker(async {
        for (name, bytes) in table {
            let (told, end) = end_of(bytes).await;
            assert_eq!(told, Some(ENHANCE_YOUR_CALM), "{name}");
            assert!(end.is_some(), "{name}");
        }
    })
    .await;
}

/// Tiny DATA frames that nobody reads would cost more memory than their window says.
#[tokio::test]
async fn tiny_data_that_piles_up_ends_the_connection() {
    on_worker(async {
        let mut served = serve(SETTINGS, |mut stream| async move {
            let _ = stream.read_u8().await;
            let closed = std::future::poll_fn(|cx| stream.poll_readable(cx));
            let _ = closed.await;
            std::future::pending::<()>().await;
        })
        .await;
        let bytes = [get(1, 0), times(20_000, |_| frame(DATA, 0, 1, b"x"))].concat();
        let frames = served.raw().await.flood(bytes).await;
        let told = frames.iter().rev().find(|frame| frame.kind == GOAWAY);
        assert_eq!(told.map(raw::Frame::code), Some(ENHANCE_YOUR_CALM));
    })
    .await;
}

#[tokio::test]
async fn what_proper_clients_do_is_no_flood() {
    let bye = || frame(GOAWAY, 0, 0, &[0; 8]);
    let table = [
        (
            "a page that is left",
            times(100, |stream| {
                [
                    get(stream, END_STREAM),
                    frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]),
                ]
                .concat()
            }),
        ),
        ("keep-alives", times(200, |_| frame(PING, 0, 0, &[0; 8]))),
        (
            "a browser's priorities",
            times(500, |stream| frame(PRIORITY, 0, stream, &[0, 0, 0, 0, 1])),
        ),
        (
            "windows given back",
            times(5000, |_| frame(WINDOW_UPDATE, 0, 0, &[0, 0, 8, 0])),
        ),
        ("requests", times(300, |stream| get(stream, END_STREAM))),
    ];
    on_worker(async {
        for (name, bytes) in table {
            let (told, end) = end_of([bytes, bye()].concat()).await;
            assert!(matches!(told, None | Some(0)), "{name}: {told:?}");
            assert!(end.is_none(), "{name}: {end:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn no_bytes_make_it_panic() {
    on_worker(async {
        let mut random = fastrand::Rng::with_seed(1);
        for round in 0..60 {
            let mut bytes = times(3, |stream| get(stream, 0));
            for _ in 0..40 {
                let length = random.usize(..40);
                let payload: Vec<u8> = (0..length).map(|_| random.u8(..)).collect();
                let stream = random.u32(..8);
                bytes.extend(frame(random.u8(..11), random.u8(..), stream, &payload));
            }
            if round % 3 == 0 {
                let at = random.usize(..bytes.len());
                bytes[at] ^= 1 << random.u8(..8);
            }
            bytes.extend(frame(GOAWAY, 0, 0, &[0; 8]));
            let mut served = serve(SETTINGS, |mut stream| async move {
                let _ = read_request(&mut stream, 64).await;
                let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
            })
            .await;
            let mut raw = served.raw().await;
            raw.send(&bytes).await;
            drop(raw);
            served.end.await.expect("no panic");
        }
    })
    .await;
}
