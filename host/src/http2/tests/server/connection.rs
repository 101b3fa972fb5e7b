//! The connection as a whole: limits of streams, draining, closing, idleness.

use super::raw::{END_STREAM, GET, GOAWAY, PING, RST_STREAM, frame};
use super::*;
use crate::net::timer::Timer;
use ::http::Request;
use std::time::Duration;
use tokio::sync::Notify;

const NO_CONTENT: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";

/// A spine that answers when it is told to.
fn held(go: &Rc<Notify>) -> impl Fn(Stream) -> AnyFuture + use<> {
    let go = go.clone();
    move |mut stream| {
        let go = go.clone();
        Box::pin(async move {
            read_request(&mut stream, 4096).await.expect("a request");
            go.notified().await;
            stream.write_all(NO_CONTENT).await.expect("is taken");
        })
    }
}

fn request() -> Request<()> {
    Request::builder()
        .uri("http://a.test/")
        .body(())
        .expect("valid")
}

#[tokio::test]
async fn streams_run_side_by_side_up_to_the_limit() {
    on_worker(async {
        let go = Rc::new(Notify::new());
        let settings = Settings {
            streams_max: 3,
            ..SETTINGS
        };
        let mut served = serve(settings, held(&go)).await;
        let mut raw = served.raw().await;
        for stream in [1, 3, 5, 7] {
            raw.request(stream, END_STREAM, &GET).await;
        }
        let refused = raw.next().await.expect("a frame");
        assert_eq!(
            (refused.kind, refused.stream, refused.code()),
            (RST_STREAM, 7, 7)
        );
        served.settle().await;
        assert_eq!(served.open_streams.get(), 3);
        go.notify_waiters();
        let mut ended = Vec::new();
        for _ in 0..3 {
            let frame = raw.next().await.expect("a frame");
            assert!(frame.is_end());
            ended.push(frame.stream);
        }
        ended.sort_unstable();
        assert_eq!(ended, [1, 3, 5]);
        raw.request(9, END_STREAM, &GET).await;
        served.settle().await;
        go.notify_one();
        assert_eq!(raw.summary(9).await, "HEADERS+E");
    })
    .await;
}

/// Streams that the peer has reset, while the spine has not noticed yet.
#[tokio::test]
async fn streams_that_linger_after_a_reset_are_bounded() {
    on_worker(async {
        let go = Rc::new(Notify::new());
        let settings = Settings {
            streams_max: 3,
            ..SETTINGS
        };
        let mut served = serve(settings, held(&go)).await;
        let mut raw = served.raw().await;
        for at in 0..6 {
            let stream = 2 * at + 1;
            raw.request(stream, END_STREAM, &GET).await;
            served.settle().await;
            raw.send(&frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])).await;
        }
        raw.request(13, END_STREAM, &GET).await;
        assert_eq!(raw.summary(13).await, "RST(7)");
    })
    .await;
}

/// What was begun before the second GOAWAY is served, what comes after it is not.
#[tokio::test]
async fn a_drain_finishes_what_was_begun() {
    on_worker(async {
        let go = Rc::new(Notify::new());
        let mut served = serve(SETTINGS, held(&go)).await;
        let mut raw = served.raw().await;
        raw.request(1, END_STREAM, &GET).await;
        served.settle().await;
        let _ = served.commands.send(Command::Drain);
        let first = raw.next().await.expect("a frame");
        assert_eq!(first.kind, GOAWAY);
        assert_eq!(&first.payload[..4], [0x7f, 0xff, 0xff, 0xff]);
        let ping = raw.next().await.expect("a frame");
        assert_eq!(ping.kind, PING);
        // On its way when the first GOAWAY was.
        raw.request(3, END_STREAM, &GET).await;
        raw.send(&frame(PING, 1, 0, &ping.payload)).await;
        let second = raw.next().await.expect("a frame");
        assert_eq!((second.kind, second.code()), (GOAWAY, 0));
        assert_eq!(&second.payload[..4], [0, 0, 0, 3]);
        raw.request(5, END_STREAM, &GET).await;
        served.settle().await;
        go.notify_waiters();
        let mut frames = Vec::new();
        while let Some(frame) = raw.next().await {
            frames.push((frame.stream, frame.kind));
        }
        frames.sort_unstable();
        assert_eq!(frames, [(1, raw::HEADERS), (3, raw::HEADERS)]);
        let end = served.end.await.expect("no panic");
        assert!(end.is_none(), "{end:?}");
    })
    .await;
}

#[tokio::test]
async fn an_idle_connection_drains_at_once() {
    on_worker(async {
        let mut served = serve(SETTINGS, answering("", 1)).await;
        let client = served.client().await;
        let _ = served.commands.send(Command::Drain);
        let end = served.end.await.expect("no panic");
        assert!(end.is_none(), "{end:?}");
        drop(client);
    })
    .await;
}

#[tokio::test]
async fn closing_says_why_and_ends_the_streams() {
    on_worker(async {
        for (why, code) in [
            (CloseReason::Idle, 0),
            (CloseReason::Drained, 0),
            (CloseReason::Flood, 11),
        ] {
            let go = Rc::new(Notify::new());
            let (left, mut gone) = tokio::sync::mpsc::unbounded_channel();
            let mut served = serve(SETTINGS, move |mut stream| {
                let left = left.clone();
                async move {
                    read_request(&mut stream, 4096).await.expect("a request");
                    let _ = left.send(false);
                    let closed = std::future::poll_fn(|cx| stream.poll_closed(cx)).await;
                    let _ = left.send(closed);
                }
            })
            .await;
            let mut raw = served.raw().await;
            raw.request(1, END_STREAM, &GET).await;
            assert_eq!(gone.recv().await, Some(false));
            let _ = served.commands.send(Command::Close(why));
            let told = raw.next().await.expect("a frame");
            assert_eq!((told.kind, told.code()), (GOAWAY, code));
            assert_eq!(gone.recv().await, Some(true));
            assert!(raw.next().await.is_none());
            drop((raw, go));
            let end = served.end.await.expect("no panic");
            assert!(end.is_none(), "{end:?}");
        }
    })
    .await;
}

/// A peer that reads nothing does not keep a closed connection.
#[tokio::test(start_paused = true)]
async fn closing_takes_no_longer_than_its_timeout() {
    on_worker(async {
        let mut served = serve(SETTINGS, |mut stream| async move {
            let head = b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n";
            stream.write_all(head).await.expect("is taken");
            let written = stream.write_all(&vec![0; 9_999_999]).await;
            assert!(written.is_err());
        })
        .await;
        let mut raw = served.raw().await;
        // Windows for more than the pipe holds.
        raw.send(&frame(raw::SETTINGS, 0, 0, &[0, 4, 0, 0xff, 0, 0]))
            .await;
        raw.send(&frame(raw::WINDOW_UPDATE, 0, 0, &[0, 0xff, 0, 0]))
            .await;
        raw.request(1, END_STREAM, &GET).await;
        served.settle().await;
        let begun = tokio::time::Instant::now();
        let _ = served.commands.send(Command::Close(CloseReason::Drained));
        assert!(served.end.await.expect("no panic").is_none());
        let lasted = begun.elapsed();
        let expected = Duration::from_secs(2)..Duration::from_secs(3);
        assert!(expected.contains(&lasted), "{lasted:?}");
        drop(raw);
    })
    .await;
}

/// Pings are no activity, streams are; and the time begins with the last stream's end.
#[tokio::test(start_paused = true)]
async fn the_idle_time_runs_while_no_stream_is_open() {
    on_worker(async {
        let patience = Duration::from_secs(30);
        let (ours, theirs) = pipe::Pipe::pair();
        let stream = Stream::Layered(ours);
        let server = spawn_local(async move {
            let mut connection = ServerConnection::handshake(stream, &SETTINGS, Scheme::Http)
                .await
                .expect("begins");
            let (activity, timer) = (connection.activity(), Timer::new());
            loop {
                let accepted = tokio::select! {
                    accepted = connection.accept() => accepted,
                    () = activity.idle(&timer, patience) => {
                        connection.close(CloseReason::Idle);
                        continue;
                    }
                };
                let Some(stream) = accepted else { break };
                let mut stream = stream.expect("a stream");
                spawn_local(async move {
                    read_request(&mut stream, 4096).await.expect("a request");
                    tokio::time::sleep(Duration::from_secs(100)).await;
                    stream.write_all(NO_CONTENT).await.expect("is taken");
                });
            }
        });
        let begun = tokio::time::Instant::now();
        let (mut client, connection) = h2::client::handshake(theirs).await.expect("begins");
        let mut connection = connection;
        let mut pings = connection.ping_pong().expect("once");
        let connection = spawn_local(connection);
        tokio::time::sleep(Duration::from_secs(20)).await;

        let (response, _) = client.send_request(request(), true).expect("is sent");
        assert_eq!(response.await.expect("an answer").status(), 204);
        tokio::time::sleep(Duration::from_secs(20)).await;
        pings.ping(h2::Ping::opaque()).await.expect("a pong");
        assert!(connection.await.expect("no panic").is_ok());
        let lasted = begun.elapsed();
        let expected = Duration::from_secs(20 + 100) + patience;
        assert!(
            (expected..expected + Duration::from_secs(2)).contains(&lasted),
            "{lasted:?}"
        );
        server.await.expect("no panic");
    })
    .await;
}

#[tokio::test]
async fn a_peer_that_speaks_something_else_is_turned_away() {
    on_worker(async {
        for bytes in [
            &b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"[..],
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\x00",
        ] {
            let mut served = serve(SETTINGS, answering("", 1)).await;
            let mut socket = served.socket.take().expect("one client");
            socket.write_all(bytes).await.expect("is sent");
            let end = served.end.await.expect("no panic");
            assert!(matches!(end, Some(ConnectionError::Lost(_))), "{end:?}");
        }
    })
    .await;
}
