//! Windows and numbers of streams: what bounds a connection.

use super::raw::{self, DATA, END_HEADERS, END_STREAM, HEADERS, PING, Raw, STATUS_200};
use super::{SETTINGS, connect, empty, open, read_to_end, send_all, sockets, within_worker};
use crate::http::Scheme;
use crate::http2::client::{Connection, Settings, is_not_processed};
use crate::net::stream::Stream;
use crate::net::transport::Transport;
use bytes::Bytes;
use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadBuf};

const WINDOW_UPDATE: u8 = 8;
/// `SETTINGS_MAX_CONCURRENT_STREAMS`.
const STREAMS: u16 = 3;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// Sends every body back, with its trailers.
async fn echo(
    request: http::Request<h2::RecvStream>,
    mut respond: h2::server::SendResponse<Bytes>,
) {
    let length = request.headers().get("content-length").cloned();
    let mut head = empty(200);
    head.headers_mut()
        .extend(length.map(|length| (http::header::CONTENT_LENGTH, length)));
    let mut send = respond.send_response(head, false).expect("open");
    let mut body = request.into_body();
    while let Some(data) = body.data().await {
        let data = data.expect("whole");
        body.flow_control()
            .release_capacity(data.len())
            .expect("received");
        send_all(&mut send, data, false).await;
    }
    send.send_data(Bytes::new(), true).expect("open");
}

#[tokio::test]
async fn bodies_of_a_mebibyte_pass_both_ways_at_the_same_time() {
    within_worker(async {
        let connection = connect(SETTINGS, h2::server::Builder::new(), echo).await;
        let body: Vec<u8> = (0..1_u32 << 20).map(|at| b'a' + (at % 23) as u8).collect();
        for (framing, piece) in [
            ("Content-Length: 1048576", 100_000),
            ("Transfer-Encoding: chunked", 9_999),
        ] {
            let mut text = format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n").into_bytes();
            if framing.starts_with('T') {
                for part in body.chunks(70_001) {
                    text.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
                    text.extend_from_slice(part);
                    text.extend_from_slice(b"\r\n");
                }
                text.extend_from_slice(b"0\r\n\r\n");
            } else {
                text.extend_from_slice(&body);
            }
            let mut stream = open(&connection);
            let mut answer = Vec::new();
            let (mut read, mut write) = stream.split();
            let upload = async {
                for part in text.chunks(piece) {
                    write.write_all(part).await.expect("taken");
                }
            };
            let ((), received) = tokio::join!(upload, read.read_to_end(&mut answer));
            received.expect("whole");
            assert!(unframed(&answer) == body, "{framing}");
        }
    })
    .await;
}

/// The body of a response.
fn unframed(text: &[u8]) -> Vec<u8> {
    let end = text
        .windows(4)
        .position(|part| part == b"\r\n\r\n")
        .expect("a head");
    let (head, mut rest) = text.split_at(end + 4);
    if !String::from_utf8_lossy(head).contains("chunked") {
        return rest.to_vec();
    }
    let mut decoder = crate::http::ChunkedDecoder::new();
    let mut body = Vec::new();
    while !rest.is_empty() {
        let step = decoder.decode(rest).expect("chunks");
        body.extend_from_slice(&rest[step.data]);
        rest = &rest[step.consumed..];
    }
    assert!(decoder.is_done());
    body
}

#[tokio::test]
async fn an_upload_is_taken_only_as_far_as_the_window_of_the_peer_goes() {
    const WINDOW: usize = 65_535;
    const BODY: usize = 300_000;
    let body = vec![b'b'; BODY];
    let fixed = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {BODY}\r\n\r\n");
    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n493e0\r\n";
    within_worker(async {
        for (head, end) in [(&fixed[..], ""), (chunked, "\r\n0\r\n\r\n")] {
            let (connection, mut raw) = raw::connect(&[]).await;
            let mut stream = open(&connection);
            stream.write_all(head.as_bytes()).await.expect("taken");
            let taken = Cell::new(0);
            let upload = async {
                while taken.get() < BODY {
                    let count = stream.write(&body[taken.get()..]).await.expect("taken");
                    taken.set(taken.get() + count);
                }
                stream.write_all(end.as_bytes()).await.expect("taken");
            };
            let download = async {
                let mut received = 0;
                while received < WINDOW {
                    received += raw.next_of(DATA).await.payload.len();
                }
                raw.sync().await;
                assert_eq!(received, WINDOW);
                // One byte of chunked data is read ahead.
                assert!(taken.get() <= WINDOW + 1, "{} taken", taken.get());
                let update = (BODY as u32).to_be_bytes();
                raw.send(WINDOW_UPDATE, 0, 0, &update).await;
                raw.send(WINDOW_UPDATE, 0, 1, &update).await;
                loop {
                    let data = raw.next_of(DATA).await;
                    received += data.payload.len();
                    if data.flags & END_STREAM != 0 {
                        assert_eq!(received, BODY);
                        return;
                    }
                }
            };
            tokio::join!(upload, download);
        }
    })
    .await;
}

#[tokio::test]
async fn the_end_of_a_chunked_body_needs_no_window() {
    within_worker(async {
        for trailers in ["", "x: y\r\n"] {
            let (connection, mut raw) = raw::connect(&[]).await;
            let mut stream = open(&connection);
            let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n";
            let end = format!("\r\n0\r\n{trailers}\r\n");
            for part in [head.as_bytes(), &[b'b'; 65_535], end.as_bytes()] {
                stream.write_all(part).await.expect("taken");
            }
            raw.next_of(HEADERS).await;
            let mut last = raw.next_of(DATA).await;
            while last.flags & END_STREAM == 0 {
                last = raw.next().await.expect("goes on");
            }
            let is_trailers = last.kind == HEADERS;
            assert_eq!(is_trailers, !trailers.is_empty());
        }
    })
    .await;
}

#[tokio::test]
async fn a_response_that_is_not_read_gets_no_more_window() {
    within_worker(async {
        let (connection, mut raw) = raw::connect(&[]).await;
        let mut stream = open(&connection);
        stream.write_all(GET).await.expect("sent");
        raw.next_of(HEADERS).await;
        raw.send(HEADERS, END_HEADERS, 1, STATUS_200).await;
        for _ in 0..4 {
            raw.send(DATA, 0, 1, &[b'd'; 16_000]).await;
        }
        raw.send(PING, 0, 0, b"all sent").await;
        let mut frame = raw.next().await.expect("goes on");
        while frame.kind != PING {
            let is_update = frame.kind == WINDOW_UPDATE && frame.stream == 1;
            assert!(!is_update, "nothing was read");
            frame = raw.next().await.expect("goes on");
        }
        let mut buffer = vec![0; 50_000];
        stream.read_exact(&mut buffer).await.expect("data");
        let mut update = raw.next_of(WINDOW_UPDATE).await;
        while update.stream != 1 {
            update = raw.next_of(WINDOW_UPDATE).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_window_full_of_small_unread_messages_is_no_flood() {
    const MESSAGES: usize = 65_535 / 16;
    within_worker(async {
        let (connection, mut raw) = raw::connect(&[]).await;
        let mut slow = open(&connection);
        slow.write_all(GET).await.expect("sent");
        raw.next_of(HEADERS).await;
        raw.send(HEADERS, END_HEADERS, 1, STATUS_200).await;
        for _ in 0..MESSAGES {
            raw.send(DATA, 0, 1, &[b'm'; 16]).await;
        }
        raw.sync().await;
        assert!(connection.is_usable());
        raw.send(DATA, END_STREAM, 1, b"").await;
        let text = read_to_end(&mut slow, 4096).await.expect("whole");
        assert_eq!(unframed(text.as_bytes()).len(), MESSAGES * 16);
    })
    .await;
}

#[tokio::test]
async fn twenty_exchanges_run_at_once_and_do_not_mix() {
    within_worker(async {
        let connection = connect(SETTINGS, h2::server::Builder::new(), echo).await;
        let mut exchanges = tokio::task::JoinSet::new();
        for number in 0..20_usize {
            let connection = connection.clone();
            exchanges.spawn_local(async move {
                let body = format!("{number:04}").repeat(10_000);
                let head = format!(
                    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                );
                let text = format!("{head}{body}");
                let mut stream = open(&connection);
                let (mut read, mut write) = stream.split();
                let mut answer = Vec::new();
                let (sent, received) = tokio::join!(
                    write.write_all(text.as_bytes()),
                    read.read_to_end(&mut answer)
                );
                sent.and(received.map(|_| ())).expect("a whole exchange");
                assert!(unframed(&answer) == body.as_bytes());
            });
        }
        while let Some(ended) = exchanges.join_next().await {
            ended.expect("no panic");
        }
        assert_eq!(connection.open_streams(), 0);
        assert!(connection.is_usable() && connection.has_room());
    })
    .await;
}

#[tokio::test]
async fn there_is_room_for_as_many_streams_as_both_sides_allow() {
    let ours = Settings {
        streams_max: 3,
        ..SETTINGS
    };
    within_worker(async {
        // The peer's limit, and how many may be open then.
        for (theirs, most) in [
            (Some(2), 2),
            (Some(3), 3),
            (Some(4), 3),
            (None, 3),
            (Some(0), 0),
        ] {
            let settings: Vec<_> = theirs.map(|most| (STREAMS, most)).into_iter().collect();
            let (connection, mut raw) = raw::connect_with(ours, &settings).await;
            raw.sync().await;
            let mut open: Vec<Stream> =
                std::iter::from_fn(|| connection.open(Scheme::Http)).collect();
            assert_eq!(
                (open.len(), connection.open_streams()),
                (most, most),
                "{theirs:?}"
            );
            assert!(!connection.has_room());
            if open.pop().is_some() {
                assert!(connection.has_room() && connection.open(Scheme::Http).is_some());
            }
        }
    })
    .await;
}

#[tokio::test]
async fn before_the_settings_of_the_peer_a_hundred_streams_are_opened_on_trust() {
    let ours = Settings {
        streams_max: 1000,
        ..SETTINGS
    };
    within_worker(async {
        let (stream, _peer) = super::sockets().await;
        let connection = Connection::connect(stream, &ours, ())
            .await
            .expect("connects");
        let open: Vec<Stream> = std::iter::from_fn(|| connection.open(Scheme::Http)).collect();
        assert_eq!(open.len(), 100);
    })
    .await;
}

#[tokio::test]
async fn what_was_opened_on_trust_leaves_before_the_settings_are_read() {
    within_worker(async {
        let (ours, socket) = sockets().await;
        let mut raw = Raw { socket };
        raw.send_settings(&[(STREAMS, 1)]).await;
        let Stream::Tcp(socket) = &ours else {
            panic!("not a socket")
        };
        socket.readable().await.expect("open");
        let connection = Connection::connect(ours, &SETTINGS, ());
        let connection = connection.await.expect("connects");
        let mut streams = Vec::new();
        for _ in 0..3 {
            let mut stream = open(&connection);
            stream.write_all(GET).await.expect("taken");
            streams.push(stream);
        }
        let mut preface = [0; 24];
        let taken = raw.socket.read_exact(&mut preface).await;
        taken.expect("a preface");
        for number in [1, 3, 5] {
            assert_eq!(raw.next_of(HEADERS).await.stream, number);
        }
        assert!(!connection.has_room());
    })
    .await;
}

#[tokio::test]
async fn room_follows_the_limit_of_the_peer_and_a_stream_over_it_is_not_queued() {
    within_worker(async {
        let (connection, mut raw) = raw::connect(&[(STREAMS, 2)]).await;
        raw.sync().await;
        let mut one = open(&connection);
        one.write_all(GET).await.expect("sent");
        let mut two = open(&connection);
        raw.send_settings(&[(STREAMS, 1)]).await;
        raw.sync().await;
        assert!(!connection.has_room() && connection.is_usable());
        let failed = two.write_all(GET).await.expect_err("over the limit");
        assert!(is_not_processed(&failed), "{failed}");
        let failed = read_to_end(&mut two, 99).await.expect_err("over the limit");
        assert!(is_not_processed(&failed), "{failed}");
        raw.send_settings(&[(STREAMS, 5)]).await;
        raw.sync().await;
        assert!(connection.has_room());
    })
    .await;
}

#[tokio::test]
async fn a_connection_is_idle_since_its_last_stream_was_dropped() {
    within_worker(async {
        let (connection, _raw) = raw::connect(&[]).await;
        assert!(connection.idle_since().is_some());
        let (one, two) = (open(&connection), open(&connection));
        assert_eq!(connection.idle_since(), None);
        drop(one);
        assert_eq!(
            (connection.open_streams(), connection.idle_since()),
            (1, None)
        );
        drop(two);
        assert!(connection.idle_since().expect("idle") <= crate::net::timer::coarse_now());
    })
    .await;
}

/// A peer that takes the preface and then nothing more, and says nothing.
#[derive(Debug)]
struct Stuck {
    writes_left: Cell<usize>,
}

impl Transport for Stuck {
    fn poll_read(&self, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }

    fn poll_write(&self, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.writes_left.get().checked_sub(1) {
            Some(left) => {
                self.writes_left.set(left);
                Poll::Ready(Ok(bytes.len()))
            }
            None => Poll::Pending,
        }
    }

    fn poll_flush(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }

    fn poll_readable(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }

    fn poll_peek(&self, _: &mut Context<'_>) -> Poll<io::Result<usize>> {
        Poll::Pending
    }

    fn is_read_closed(&self) -> bool {
        false
    }

    fn is_stale(&self) -> bool {
        false
    }

    fn reset_on_close(&self) {}
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_no_goodbye_is_left_after_a_while() {
    within_worker(async {
        let held = Rc::new(());
        let stuck = Stuck {
            writes_left: Cell::new(1),
        };
        let stream = Stream::Layered(Box::new(stuck));
        let connection = Connection::connect(stream, &SETTINGS, Rc::clone(&held));
        let connection = connection.await.expect("connects");
        let stream = open(&connection);
        connection.close();
        tokio::time::sleep(std::time::Duration::from_secs(30)).await;
        assert_eq!(Rc::strong_count(&held), 2, "a stream is open");
        drop(stream);
        tokio::time::sleep(std::time::Duration::from_secs(4)).await;
        assert_eq!(Rc::strong_count(&held), 2, "it has 5 seconds");
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        assert_eq!(Rc::strong_count(&held), 1);
    })
    .await;
}
