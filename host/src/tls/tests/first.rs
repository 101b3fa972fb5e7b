//! What is no hello, silence, and limits.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::Instant;

use super::authority::{Authority, named};
use super::{Files, anyone, server, settings, shake, worker};
use crate::config::ServerTls;
use crate::net::prefixed::Prefixed;
use crate::net::stream::Stream;
use crate::net::timer::Timer;
use crate::tls::{AcceptError, Server};

fn ordinary(files: &Files) -> ServerTls {
    let pair = files.certificate("own", &Authority::new("ca").issue(&named(&["a.test"])));
    settings(vec![pair])
}

/// How the server takes `bytes`, when the client then waits for the end.
async fn answer_to(server: &Server, bytes: &[u8]) -> (AcceptError, Vec<u8>) {
    let (ours, mut theirs) = UnixStream::pair().expect("a pair of sockets");
    let timer = Timer::new();
    let client = async {
        theirs.write_all(bytes).await.expect("writes");
        let mut answer = Vec::new();
        theirs.read_to_end(&mut answer).await.expect("reads");
        drop(theirs);
        answer
    };
    let accept = async {
        server
            .accept(Stream::Unix(ours), &timer)
            .await
            .expect_err("refused")
    };
    tokio::join!(accept, client)
}

#[tokio::test]
async fn plain_http_is_handed_back_untouched() {
    let files = Files::new();
    let server = server(&ordinary(&files));
    let request = b"GET / HTTP/1.1\r\nhost: a.test\r\n\r\n";
    for prefix in [0, 1, 10] {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair of sockets");
        theirs.write_all(&request[prefix..]).await.expect("writes");
        theirs.shutdown().await.expect("shuts down");
        let stream = Prefixed::new(request[..prefix].to_vec(), Stream::Unix(ours));
        let accepted = worker(async { server.accept(stream, &Timer::new()).await }).await;
        let Err(AcceptError::PlainHttp(mut stream)) = accepted else {
            panic!("not plain HTTP: {accepted:?}");
        };
        let mut read = Vec::new();
        stream.read_to_end(&mut read).await.expect("reads");
        assert_eq!(read, request);
    }
}

#[tokio::test]
async fn garbage_gets_an_alert_and_the_end() {
    let files = Files::new();
    let server = server(&ordinary(&files));
    worker(async {
        for bytes in [
            &b"\0\0\0\0\0\0\0\0"[..],
            b"get / HTTP/1.1\r\n\r\n",
            &[22, 3, 1, 0, 4, 2, 0, 0, 0],
            &[22, 3, 1, 0xff, 0xff],
            &[0x80, 0x2e, 1, 3, 1],
        ] {
            let (error, answer) = answer_to(&server, bytes).await;
            assert!(matches!(error, AcceptError::Tls(_)), "{bytes:?}: {error:?}");
            assert_eq!(answer.first(), Some(&21), "{bytes:?}: {answer:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn who_is_refused_may_read_why_before_the_connection_is_closed() {
    let files = Files::new();
    let server = server(&ordinary(&files));
    let (ours, mut theirs) = UnixStream::pair().expect("a pair of sockets");
    let has_read = std::cell::Cell::new(false);
    let client = async {
        theirs.write_all(b"\0garbage").await.expect("writes");
        let mut answer = Vec::new();
        theirs.read_to_end(&mut answer).await.expect("reads");
        for _ in 0..10 {
            theirs
                .write_all(b"more")
                .await
                .expect("the server still listens");
            tokio::task::yield_now().await;
        }
        has_read.set(true);
        drop(theirs);
    };
    let accept = async {
        let refused = server.accept(Stream::Unix(ours), &Timer::new()).await;
        assert!(matches!(refused, Err(AcceptError::Tls(_))));
        assert!(has_read.get());
    };
    worker(async { tokio::join!(client, accept) }).await;
}

#[tokio::test]
async fn a_hello_in_pieces_behind_read_bytes_is_taken() {
    let files = Files::new();
    let server = server(&ordinary(&files));
    let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
    let mut ours = Stream::Unix(ours);
    let config = Arc::new(anyone());
    worker(async {
        let client = super::connect(&config, theirs, "a.test");
        let accept = async {
            let mut piece = vec![0; 7];
            ours.read_exact(&mut piece).await.expect("reads");
            let stream = Prefixed::new(piece, ours);
            let accepted = server.accept(stream, &Timer::new()).await;
            let (mut stream, facts) = accepted.expect("accepted");
            stream.write_all(b"!").await.expect("writes");
            stream.flush().await.expect("flushes");
            facts
        };
        let (client, facts) = tokio::join!(client, accept);
        client.expect("connected");
        assert_eq!(facts.sni.as_deref(), Some("a.test"));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn silence_and_half_a_hello_run_into_the_timeout() {
    let files = Files::new();
    let mut settings = ordinary(&files);
    settings.handshake_timeout = Duration::from_secs(7);
    let server = server(&settings);
    for bytes in [&b""[..], &[22], &[22, 3, 1, 2, 0, 1, 0]] {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair of sockets");
        theirs.write_all(bytes).await.expect("writes");
        let begin = Instant::now();
        let accepted = worker(async { server.accept(Stream::Unix(ours), &Timer::new()).await });
        assert!(
            matches!(accepted.await, Err(AcceptError::Timeout)),
            "{bytes:?}"
        );
        assert!(begin.elapsed() >= Duration::from_secs(7), "{bytes:?}");
    }
}

#[tokio::test]
async fn a_client_that_leaves_early_is_no_error_of_tls() {
    let files = Files::new();
    let server = server(&ordinary(&files));
    for bytes in [&b""[..], &[22, 3, 1, 2, 0, 1, 0]] {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair of sockets");
        theirs.write_all(bytes).await.expect("writes");
        drop(theirs);
        let accepted = worker(async { server.accept(Stream::Unix(ours), &Timer::new()).await });
        assert!(
            matches!(accepted.await, Err(AcceptError::Closed)),
            "{bytes:?}"
        );
    }
}

#[tokio::test]
async fn handshakes_under_way_are_bounded_from_their_first_byte_on_also_over_a_reload() {
    let files = Files::new();
    let mut settings = ordinary(&files);
    settings.handshakes_max = 1;
    let first = server(&settings);
    let second = Server::new(&settings, Some(&first)).expect("good settings");
    worker(async {
        let config = Arc::new(anyone());
        let (ours, mut theirs) = UnixStream::pair().expect("a pair of sockets");
        let timer = Timer::new();
        let mut slow = Box::pin(first.accept(Stream::Unix(ours), &timer));
        assert!((&mut slow).now_or_never().is_none());
        shake(&second, &config, "a.test").await.facts();
        theirs.write_all(&[22]).await.expect("writes");
        while first.place().is_some() {
            assert!((&mut slow).now_or_never().is_none());
            tokio::task::yield_now().await;
        }
        for server in [&first, &second] {
            let refused = shake(server, &config, "a.test").await;
            assert!(matches!(refused.server, Err(AcceptError::Busy)));
            assert!(refused.client.is_err());
        }
        // Plain HTTP is no handshake.
        let (ours, mut other) = UnixStream::pair().expect("a pair of sockets");
        other.write_all(b"GET").await.expect("writes");
        let plain = second.accept(Stream::Unix(ours), &Timer::new()).await;
        assert!(matches!(plain, Err(AcceptError::PlainHttp(_))));
        drop(slow);
        shake(&second, &config, "a.test").await.facts();
        shake(&second, &config, "a.test").await.facts();
    })
    .await;
}
