//! The stream in the clear: ends, idle connections, back-pressure.

use std::io;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio_rustls::client;

use super::authority::{Authority, named};
use super::{Files, anyone, server, settings, shake, worker};
use crate::net::stream::Stream;

/// A server's stream and its client.
async fn pair() -> (Stream, client::TlsStream<UnixStream>) {
    let files = Files::new();
    let own = files.certificate("own", &Authority::new("ca").issue(&named(&["a.test"])));
    let server = server(&settings(vec![own]));
    let shaken = worker(shake(&server, &Arc::new(anyone()), "a.test")).await;
    (
        shaken.server.expect("accepted").0,
        shaken.client.expect("connected"),
    )
}

async fn closed(stream: &Stream) -> bool {
    std::future::poll_fn(|cx| stream.poll_closed(cx)).await
}

#[tokio::test]
async fn a_regular_end_is_an_end_and_leaves_the_other_direction_open() {
    let (mut stream, mut client) = pair().await;
    client.write_all(b"last words").await.expect("writes");
    client.shutdown().await.expect("shuts down");
    stream.readable().await.expect("is readable");
    assert!(!closed(&stream).await, "there is something to read");
    let mut read = Vec::new();
    stream.read_to_end(&mut read).await.expect("a clean end");
    assert_eq!(read, b"last words");
    assert!(closed(&stream).await && stream.is_read_closed());
    stream.write_all(b"answer").await.expect("writes");
    stream.shutdown().await.expect("shuts down");
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.expect("a clean end");
    assert_eq!(answer, b"answer");
}

#[tokio::test]
async fn an_end_without_goodbye_is_an_error_behind_what_came_before() {
    let (mut stream, client) = pair().await;
    let (mut socket, mut session) = client.into_inner();
    io::Write::write_all(&mut session.writer(), b"the first half").expect("buffered");
    let mut bytes = Vec::new();
    session.write_tls(&mut bytes).expect("written");
    socket.write_all(&bytes).await.expect("writes");
    drop(socket);
    let mut read = Vec::new();
    let error = stream.read_to_end(&mut read).await.expect_err("cut off");
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    assert_eq!(read, b"the first half");
    assert!(closed(&stream).await && stream.is_stale());
}

#[tokio::test]
async fn what_is_aborted_ends_without_a_goodbye() {
    let (mut stream, mut client) = pair().await;
    stream.write_all(b"half of it").await.expect("writes");
    stream.flush().await.expect("flushes");
    stream.reset_on_close();
    stream.shutdown().await.expect("says nothing");
    drop(stream);
    let mut read = Vec::new();
    let error = client.read_to_end(&mut read).await.expect_err("cut off");
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    assert_eq!(read, b"half of it");
}

#[tokio::test]
async fn forged_bytes_are_an_error_behind_what_came_before() {
    let (mut stream, client) = pair().await;
    let (mut socket, mut session) = client.into_inner();
    // A record of 4096 bytes, which is what the library reads at once: the forged one is seen while the true one is given out.
    let truth = [b'x'; 4096 - 22];
    io::Write::write_all(&mut session.writer(), &truth).expect("buffered");
    let mut bytes = Vec::new();
    session.write_tls(&mut bytes).expect("written");
    bytes.extend_from_slice(&[23, 3, 3, 0, 32]);
    bytes.extend_from_slice(&[0; 32]);
    socket.write_all(&bytes).await.expect("writes");
    let mut read = Vec::new();
    let error = stream.read_to_end(&mut read).await.expect_err("forged");
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert_eq!(read.len(), truth.len());
    assert!(stream.is_stale() && closed(&stream).await);
    let again = stream.read_u8().await.expect_err("it stays so");
    assert_eq!(again.kind(), io::ErrorKind::InvalidData);
}

#[tokio::test]
async fn decrypted_bytes_make_it_readable_without_the_socket() {
    let (mut stream, mut client) = pair().await;
    client.write_all(b"abc").await.expect("writes");
    client.flush().await.expect("flushes");
    for expected in *b"abc" {
        stream.readable().await.expect("is readable");
        assert_eq!(stream.read_u8().await.expect("reads"), expected);
    }
    assert!(
        stream.readable().now_or_never().is_none(),
        "nothing is left"
    );
    assert!(!stream.is_stale() && !stream.is_read_closed());
}

#[tokio::test]
async fn looking_takes_nothing() {
    let (mut stream, mut client) = pair().await;
    client.write_all(b"x").await.expect("writes");
    client.flush().await.expect("flushes");
    for _ in 0..3 {
        assert!(!closed(&stream).await);
    }
    assert!(stream.is_stale(), "nobody asked for bytes");
    assert_eq!(stream.read_u8().await.expect("reads"), b'x');
}

/// As much as the stream takes at once.
fn write_until_full(stream: &mut Stream, bytes: &[u8]) -> usize {
    let mut written = 0;
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    while written < bytes.len() {
        match std::pin::Pin::new(&mut *stream).poll_write(&mut cx, &bytes[written..]) {
            std::task::Poll::Ready(count) => written += count.expect("writes"),
            std::task::Poll::Pending => break,
        }
    }
    written
}

#[tokio::test]
async fn a_peer_that_does_not_read_bounds_what_is_taken_and_gets_it_all_later() {
    let (mut stream, mut client) = pair().await;
    let bytes: Vec<u8> = (0..8 << 20).map(|at: u32| (at >> 8) as u8).collect();
    let written = write_until_full(&mut stream, &bytes);
    assert!(written > 0 && written < 2 << 20, "took {written} bytes");
    // What was taken goes out though only the other direction is driven.
    let mut read = vec![0; written];
    tokio::select! {
        read = client.read_exact(&mut read) => { read.expect("reads"); }
        _ = stream.readable() => panic!("the client has said nothing"),
    }
    assert!(read == bytes[..written]);
}

#[tokio::test]
async fn much_goes_both_ways_at_once() {
    let (mut stream, client) = pair().await;
    let bytes: Vec<u8> = (0..3 << 20).map(|at: u32| (at % 251) as u8).collect();
    let (mut reads, mut writes) = tokio::io::split(client);
    let (mut from, mut to) = stream.split();
    let sends = async {
        writes.write_all(&bytes).await.expect("writes");
        writes.shutdown().await.expect("shuts down");
    };
    let echoes = async {
        tokio::io::copy(&mut from, &mut to).await.expect("copies");
        to.shutdown().await.expect("shuts down");
    };
    let receives = async {
        let mut read = Vec::new();
        reads.read_to_end(&mut read).await.expect("reads");
        read
    };
    let ((), (), received) = tokio::join!(sends, echoes, receives);
    assert!(received == bytes);
}
