//! Frames at will: how many are too many.

use super::raw::{self, END_HEADERS, END_STREAM, HEADERS, PING, SETTINGS_FRAME, STATUS_204, block};
use super::{exchange, open, read_to_end, until, within_worker};
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test]
async fn floods_of_heads_and_of_control_frames_end_the_connection() {
    let interim = block(&[], &[(":status", "103")]);
    let floods = [
        (HEADERS, END_HEADERS, 1, interim),
        (PING, 0, 0, b"12345678".to_vec()),
        (SETTINGS_FRAME, 0, 0, Vec::new()),
        (200, 0, 0, Vec::new()),
    ];
    within_worker(async {
        for (kind, flags, number, payload) in floods {
            let (connection, mut raw) = raw::connect(&[]).await;
            let mut stream = open(&connection);
            stream.write_all(GET).await.expect("sent");
            raw.next_of(HEADERS).await;
            let mut flood = Vec::new();
            for _ in 0..20_000 {
                flood.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
                flood.extend_from_slice(&[kind, flags, 0, 0, 0, number]);
                flood.extend_from_slice(&payload);
            }
            let (mut read, mut write) = raw.socket.split();
            let mut ignored = Vec::new();
            let flooded =
                async { tokio::join!(write.write_all(&flood), read.read_to_end(&mut ignored)) };
            let ended = until(|| !connection.is_usable());
            let (_, ()) = tokio::join!(flooded, ended);
            let failed = read_to_end(&mut stream, 4096).await.expect_err("a flood");
            assert_eq!(
                failed.kind(),
                io::ErrorKind::InvalidData,
                "{kind}: {failed}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn the_interim_answers_that_the_spine_takes_are_no_flood() {
    within_worker(async {
        let (connection, mut raw) = raw::connect(&[]).await;
        for number in 0..100_u32 {
            let stream = 2 * number + 1;
            let answer = async {
                raw.next_of(HEADERS).await;
                for _ in 0..16 {
                    raw.send(
                        HEADERS,
                        END_HEADERS,
                        stream,
                        &block(&[], &[(":status", "103")]),
                    )
                    .await;
                }
                raw.send(HEADERS, END_HEADERS | END_STREAM, stream, STATUS_204)
                    .await;
            };
            let (text, ()) = tokio::join!(exchange(&connection, GET, 99), answer);
            assert_eq!(
                text.expect("an answer").matches("103 Early Hints").count(),
                16
            );
        }
    })
    .await;
}
