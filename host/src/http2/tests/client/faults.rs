//! Exchanges and connections that end early, and what may be sent again then.

use super::raw::{
    self, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, RST_STREAM, Raw, STATUS_200,
    STATUS_204, block, code_of,
};
use super::{SETTINGS, open, read_to_end, sockets, until, within_worker};
use crate::http::Scheme;
use crate::http2::client::{Connection, is_not_processed};
use crate::net::stream::Stream;
use h2::Reason;
use std::io::{self, ErrorKind};
use std::rc::Rc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// `SETTINGS_MAX_CONCURRENT_STREAMS`.
const STREAMS: u16 = 3;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const POST: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc";

/// A stream whose request the peer has got.
async fn sent(connection: &Connection, raw: &mut Raw, text: &[u8]) -> Stream {
    let mut stream = open(connection);
    stream.write_all(text).await.expect("sent");
    raw.next_of(HEADERS).await;
    stream
}

async fn failure(stream: &mut Stream) -> io::Error {
    read_to_end(stream, 4096).await.expect_err("fails")
}

#[tokio::test]
async fn a_reset_stream_is_told_apart_by_what_its_peer_has_done() {
    let interim = block(&[], &[(":status", "103")]);
    let head = block(STATUS_200, &[("content-length", "3")]);
    // What came before the reset, its code, the kind of error, whether it was not processed.
    let table = [
        (
            None,
            Reason::REFUSED_STREAM,
            ErrorKind::ConnectionRefused,
            true,
        ),
        (
            Some(&interim),
            Reason::REFUSED_STREAM,
            ErrorKind::ConnectionReset,
            false,
        ),
        (
            Some(&head),
            Reason::REFUSED_STREAM,
            ErrorKind::ConnectionReset,
            false,
        ),
        (
            None,
            Reason::INTERNAL_ERROR,
            ErrorKind::ConnectionReset,
            false,
        ),
        (None, Reason::NO_ERROR, ErrorKind::ConnectionReset, false),
        (
            Some(&head),
            Reason::NO_ERROR,
            ErrorKind::ConnectionReset,
            false,
        ),
        (
            Some(&head),
            Reason::CANCEL,
            ErrorKind::ConnectionReset,
            false,
        ),
    ];
    within_worker(async {
        for (before, code, kind, not_processed) in table {
            let (connection, mut raw) = raw::connect(&[]).await;
            let mut stream = sent(&connection, &mut raw, POST).await;
            if let Some(before) = before {
                raw.send(HEADERS, END_HEADERS, 1, before).await;
            }
            raw.send_reset(1, code).await;
            raw.sync().await;
            let error = failure(&mut stream).await;
            assert_eq!(
                (error.kind(), is_not_processed(&error)),
                (kind, not_processed),
                "{code:?} {error}"
            );
            let again = failure(&mut stream).await;
            assert_eq!(again.kind(), kind, "a failure stays");
            let write = stream.write_all(b"def").await.expect_err("fails too");
            assert_eq!(
                (write.kind(), is_not_processed(&write)),
                (kind, not_processed),
                "{code:?} {write}"
            );
            assert!(connection.is_usable());
        }
    })
    .await;
}

#[tokio::test]
async fn a_reset_without_error_behind_a_whole_response_only_stops_the_request() {
    within_worker(async {
        for head in [STATUS_204.to_vec(), block(STATUS_200, &[("x", "y")])] {
            let (connection, mut raw) = raw::connect(&[]).await;
            let mut stream = sent(&connection, &mut raw, POST).await;
            raw.send(HEADERS, END_HEADERS | END_STREAM, 1, &head).await;
            raw.send_reset(1, Reason::NO_ERROR).await;
            raw.sync().await;
            let failed = stream.write_all(b"def").await.expect_err("not wanted");
            assert_eq!(failed.kind(), ErrorKind::BrokenPipe);
            let text = read_to_end(&mut stream, 4096)
                .await
                .expect("a whole response");
            assert!(text.ends_with("\r\n\r\n"), "{text}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_goaway_fails_what_was_not_processed_and_lets_the_rest_finish() {
    within_worker(async {
        let (stream, socket) = sockets().await;
        let held = Rc::new(());
        let connection = Connection::connect(stream, &SETTINGS, Rc::clone(&held))
            .await
            .expect("connects");
        let mut raw = Raw { socket };
        raw.socket
            .read_exact(&mut [0; 24])
            .await
            .expect("a preface");
        raw.send_settings(&[]).await;
        let mut one = sent(&connection, &mut raw, GET).await;
        let mut three = sent(&connection, &mut raw, POST).await;
        let mut unsent = open(&connection);
        raw.send_goaway(1, Reason::NO_ERROR).await;
        raw.sync().await;
        assert!(!connection.is_usable() && !connection.has_room());
        assert!(connection.open(Scheme::Http).is_none());
        for stream in [&mut three, &mut unsent] {
            let failed = stream.write_all(GET).await.expect_err("not processed");
            assert!(is_not_processed(&failed), "{failed}");
            assert!(is_not_processed(&failure(stream).await));
        }
        assert_eq!(Rc::strong_count(&held), 2);
        raw.send(HEADERS, END_HEADERS, 1, STATUS_200).await;
        raw.send(DATA, END_STREAM, 1, b"a").await;
        let text = read_to_end(&mut one, 4096).await.expect("goes on");
        assert!(text.ends_with("1\r\na\r\n0\r\n\r\n"), "{text}");
        assert_eq!(code_of_goaway(&mut raw).await, Some(Reason::NO_ERROR));
        until(|| Rc::strong_count(&held) == 1).await;
    })
    .await;
}

/// The code of the GOAWAY that is the last frame of the connection.
async fn code_of_goaway(raw: &mut Raw) -> Option<Reason> {
    let mut last = None;
    while let Some(frame) = raw.next().await {
        last = Some(frame);
    }
    last.filter(|frame| frame.kind == GOAWAY)
        .map(|frame| code_of(&frame))
}

#[tokio::test]
async fn the_first_goaway_of_two_fails_nobody() {
    within_worker(async {
        let (connection, mut raw) = raw::connect(&[]).await;
        let mut stream = sent(&connection, &mut raw, GET).await;
        raw.send_goaway((1 << 31) - 1, Reason::NO_ERROR).await;
        raw.sync().await;
        assert!(!connection.is_usable());
        raw.send_goaway(1, Reason::NO_ERROR).await;
        raw.send(HEADERS, END_HEADERS | END_STREAM, 1, STATUS_204)
            .await;
        read_to_end(&mut stream, 4096).await.expect("goes on");
    })
    .await;
}

#[tokio::test]
async fn a_lost_connection_fails_its_streams_as_cut_off() {
    let length = block(STATUS_200, &[("content-length", "9")]);
    within_worker(async {
        for head in [None, Some(STATUS_200), Some(&length[..])] {
            let (connection, mut raw) = raw::connect(&[]).await;
            let mut stream = sent(&connection, &mut raw, GET).await;
            if let Some(head) = head {
                raw.send(HEADERS, END_HEADERS, 1, head).await;
                raw.send(DATA, 0, 1, b"abc").await;
                raw.sync().await;
            }
            drop(raw);
            let error = failure(&mut stream).await;
            assert!(!is_not_processed(&error));
            assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{head:?}: {error}");
            until(|| !connection.is_usable()).await;
            assert!(connection.open(Scheme::Http).is_none());
        }
    })
    .await;
}

#[tokio::test]
async fn a_request_that_meets_a_lost_connection_was_not_processed() {
    within_worker(async {
        let (connection, raw) = raw::connect(&[]).await;
        let mut stream = open(&connection);
        drop(raw);
        until(|| !connection.is_usable()).await;
        assert!(stream.is_stale());
        let failed = stream.write_all(GET).await.expect_err("lost");
        assert!(is_not_processed(&failed), "{failed}");
    })
    .await;
}

#[tokio::test]
async fn an_incomplete_exchange_that_is_dropped_is_cancelled() {
    within_worker(async {
        for head in [None, Some(STATUS_200)] {
            let (connection, mut raw) = raw::connect(&[]).await;
            let mut stream = sent(&connection, &mut raw, GET).await;
            if let Some(head) = head {
                raw.send(HEADERS, END_HEADERS, 1, head).await;
                raw.send(DATA, 0, 1, b"abc").await;
                stream.read_exact(&mut [0; 20]).await.expect("a head");
            }
            stream.reset_on_close();
            drop(stream);
            let reset = raw.next_of(RST_STREAM).await;
            assert_eq!((reset.stream, code_of(&reset)), (1, Reason::CANCEL));
            assert!(connection.is_usable() && connection.has_room());
        }
    })
    .await;
}

#[tokio::test]
async fn a_dropped_upload_is_cancelled_though_the_peer_gives_no_window() {
    within_worker(async {
        // SETTINGS_INITIAL_WINDOW_SIZE.
        let (connection, mut raw) = raw::connect(&[(4, 10)]).await;
        raw.sync().await;
        let mut stream = open(&connection);
        let head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n0123456789";
        stream.write_all(head).await.expect("taken");
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        let write = std::pin::Pin::new(&mut stream);
        assert!(tokio::io::AsyncWrite::poll_write(write, &mut cx, b"more").is_pending());
        drop(stream);
        assert_eq!(code_of(&raw.next_of(RST_STREAM).await), Reason::CANCEL);
    })
    .await;
}

#[tokio::test]
async fn a_complete_exchange_is_not_reset_even_if_its_end_comes_late() {
    let length = block(STATUS_200, &[("content-length", "3")]);
    within_worker(async {
        for late in [false, true] {
            let (connection, mut raw) = raw::connect(&[(STREAMS, 1)]).await;
            let mut stream = sent(&connection, &mut raw, GET).await;
            raw.send(HEADERS, END_HEADERS, 1, &length).await;
            raw.send(DATA, if late { 0 } else { END_STREAM }, 1, b"abc")
                .await;
            raw.sync().await;
            let text = read_to_end(&mut stream, 4096).await.expect("whole");
            assert!(text.ends_with("\r\n\r\nabc"), "{text}");
            drop(stream);
            assert_eq!(
                (connection.open_streams(), connection.has_room()),
                (0, !late)
            );
            if late {
                raw.send(DATA, END_STREAM, 1, b"").await;
            }
            raw.sync().await;
            assert!(connection.has_room());
            connection.close();
            while let Some(frame) = raw.next().await {
                assert_ne!(frame.kind, RST_STREAM, "late: {late}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn the_late_ends_of_sixty_four_streams_are_waited_for_and_one_more_resets_the_first() {
    let length = block(STATUS_200, &[("content-length", "3")]);
    within_worker(async {
        let (connection, mut raw) = raw::connect(&[]).await;
        for number in 0..65_u32 {
            let id = 2 * number + 1;
            let mut stream = sent(&connection, &mut raw, GET).await;
            raw.send(HEADERS, END_HEADERS, id, &length).await;
            raw.send(DATA, 0, id, b"abc").await;
            read_to_end(&mut stream, 4096).await.expect("whole");
        }
        let reset = raw.next_of(RST_STREAM).await;
        assert_eq!((reset.stream, code_of(&reset)), (1, Reason::CANCEL));
        raw.send(PING, 0, 0, b"and then").await;
        let next = raw.next().await.expect("goes on");
        assert_eq!(next.kind, PING, "one was enough");
    })
    .await;
}

#[tokio::test]
async fn a_closed_connection_says_goodbye_after_its_last_stream() {
    within_worker(async {
        for drops_handle in [false, true] {
            let (connection, mut raw) = raw::connect(&[]).await;
            let mut stream = sent(&connection, &mut raw, GET).await;
            if drops_handle {
                drop(connection);
            } else {
                connection.close();
                assert!(!connection.is_usable() && !connection.has_room());
                assert!(connection.open(Scheme::Http).is_none());
            }
            raw.sync().await;
            raw.send(HEADERS, END_HEADERS | END_STREAM, 1, STATUS_204)
                .await;
            read_to_end(&mut stream, 4096).await.expect("goes on");
            drop(stream);
            assert_eq!(code_of_goaway(&mut raw).await, Some(Reason::NO_ERROR));
        }
    })
    .await;
}

#[tokio::test]
async fn an_idle_connection_closes_at_once() {
    within_worker(async {
        let (connection, mut raw) = raw::connect(&[]).await;
        raw.sync().await;
        connection.close();
        assert_eq!(code_of_goaway(&mut raw).await, Some(Reason::NO_ERROR));
    })
    .await;
}

#[tokio::test]
async fn a_peer_that_speaks_something_else_is_invalid() {
    within_worker(async {
        let (stream, mut socket) = sockets().await;
        let connection = Connection::connect(stream, &SETTINGS, ())
            .await
            .expect("connects");
        let mut stream = open(&connection);
        stream.write_all(GET).await.expect("taken");
        let answer = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
        socket.write_all(answer).await.expect("sent");
        let error = failure(&mut stream).await;
        assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
        until(|| !connection.is_usable()).await;
    })
    .await;
}
