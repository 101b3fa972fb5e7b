//! Peers that mean no good, or nothing at all.

use super::fake::Fake;
use super::{Response, Running, read, start};
use crate::admin::server::serve_connection;
use crate::admin::{Client, ClientError};
use hyper::Method;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream};

const PATH: &str = "/api/v1/clusters/api/endpoints/one/drain";

#[tokio::test]
async fn other_sites_pages_change_and_read_nothing() {
    let admin = start().await;
    let port = admin.address.port();
    for (lines, expected) in [
        (format!("Host: 127.0.0.1:{port}\r\n"), 200),
        (
            format!("Host: localhost:{port}\r\nOrigin: http://localhost:{port}\r\n"),
            200,
        ),
        ("Host: [::1]\r\n".to_owned(), 200),
        (format!("Host: evil.example:{port}\r\n"), 403),
        (
            format!("Host: evil.example:{port}\r\nOrigin: http://evil.example:{port}\r\n"),
            403,
        ),
        (
            format!("Host: 127.0.0.1:{port}\r\nOrigin: http://evil.example\r\n"),
            403,
        ),
        (format!("Host: 127.0.0.1:{port}\r\nOrigin: null\r\n"), 403),
        (String::new(), 400),
    ] {
        let request = format!(
            "POST {PATH} HTTP/1.1\r\n{lines}Connection: close\r\nContent-Length: 0\r\n\r\n"
        );
        let answer = admin.send(&request).await.expect("it answers");
        assert_eq!(answer.status, expected, "{lines}");
        assert_eq!(
            admin.proxy.told().len(),
            usize::from(expected == 200),
            "{lines}"
        );
        let request = format!("GET /api/v1/clusters HTTP/1.1\r\n{lines}Connection: close\r\n\r\n");
        let answer = admin.send(&request).await.expect("it answers");
        assert_eq!(answer.status, expected, "{lines}");
    }
}

#[tokio::test]
async fn bodies_are_json_and_say_so() {
    let admin = start().await;
    for (content_type, expected) in [
        ("Content-Type: application/json\r\n", 200),
        ("Content-Type: Application/JSON; charset=utf-8\r\n", 200),
        ("Content-Type: text/plain\r\n", 415),
        ("Content-Type: application/jsonp\r\n", 415),
        ("Content-Type: application/x-www-form-urlencoded\r\n", 415),
        ("", 415),
    ] {
        for body in [
            "Content-Length: 2\r\n\r\n{}",
            "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        ] {
            let host = admin.address;
            let request = format!(
                "POST {PATH} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{content_type}{body}"
            );
            let answer = admin.send(&request).await.expect("it answers");
            assert_eq!(answer.status, expected, "{request}");
        }
    }
}

#[tokio::test]
async fn bodies_and_heads_are_bounded() {
    let admin = start().await;
    let host = admin.address;
    let start = format!(
        "POST {PATH} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: application/json\r\n"
    );
    let blanks = |count: usize| format!("{}{{}}", " ".repeat(count - 2));
    let whole = blanks(65_536);
    for (what, request, expected) in [
        (
            "the largest",
            format!("{start}Content-Length: 65536\r\n\r\n{whole}"),
            200,
        ),
        // It is refused by its length, before any of it is there.
        (
            "announced",
            format!("{start}Content-Length: 65537\r\n\r\n"),
            413,
        ),
        (
            "chunked",
            format!(
                "{start}Transfer-Encoding: chunked\r\n\r\n10001\r\n{}\r\n",
                blanks(65_537)
            ),
            413,
        ),
        ("a head", format!("{start}X: {}", "x".repeat(65_536)), 431),
        (
            "many lines",
            format!("{start}{}\r\n", "x: y\r\n".repeat(101)),
            431,
        ),
        ("no HTTP", "ÄÄÄ\r\n\r\n".to_owned(), 400),
    ] {
        let answer = admin.send(&request).await.expect("it answers");
        assert_eq!(answer.status, expected, "{what}");
    }
}

/// What a peer hears that sends these bytes and then nothing. In memory, since paused time does not wait for the kernel.
async fn send_and_wait(request: &str) -> Option<Response> {
    let (mut peer, stream) = duplex(1 << 16);
    let asking = async {
        let sent = peer.write_all(request.as_bytes()).await;
        sent.expect("the listener reads");
        read(peer).await
    };
    tokio::join!(asking, serve_alone(stream)).0
}

async fn serve_alone(stream: DuplexStream) {
    let address = SocketAddr::from(([127, 0, 0, 1], 1));
    serve_connection(stream, address, Arc::new(Fake::default())).await;
}

#[tokio::test(start_paused = true)]
async fn peers_that_send_too_slowly_are_given_up() {
    let live = "GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let body = format!(
        "POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{{"
    );
    for (what, request, expected) in [
        ("nothing", "", None),
        ("half a head", "GET /live HTTP/1.1\r\nHo", None),
        ("half a body", &body, Some(408)),
        ("nothing after a request", live, Some(200)),
    ] {
        let began = tokio::time::Instant::now();
        let answer = send_and_wait(request).await;
        let status = answer.map(|answer| answer.status);
        assert_eq!(status, expected, "{what}");
        assert_eq!(began.elapsed().as_secs(), 10, "{what}");
    }
}

/// An answer that nobody reads ends its connection, and so gives its place back.
#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_is_given_up() {
    let (mut peer, stream) = duplex(64);
    let began = tokio::time::Instant::now();
    let request = "GET /api/v1/clusters HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let asking = peer.write_all(request.as_bytes());
    let (asked, ()) = tokio::join!(asking, serve_alone(stream));
    assert!(asked.is_ok(), "{asked:?}");
    assert_eq!(began.elapsed().as_secs(), 10);
}

#[tokio::test]
async fn connections_are_bounded_and_others_wait() {
    let admin = start().await;
    let mut held = Vec::new();
    for _ in 0..64 {
        held.push(hold(&admin).await);
    }
    let mut next = admin.connect().await;
    let request = format!(
        "GET /live HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        admin.address
    );
    next.write_all(request.as_bytes())
        .await
        .expect("the kernel takes it");
    // Those that are in are served: their answers come while the next one still waits.
    for stream in &mut held {
        exchange(&admin, stream).await;
    }
    let early = next
        .try_read(&mut [0; 1])
        .expect_err("it waits for a place");
    assert_eq!(early.kind(), std::io::ErrorKind::WouldBlock);
    held.pop();
    let answer = read(next).await.expect("it has a place now");
    assert_eq!(answer.status, 200);
}

/// A connection that is known to have been accepted.
async fn hold(admin: &Running) -> TcpStream {
    let mut stream = admin.connect().await;
    exchange(admin, &mut stream).await;
    stream
}

async fn exchange(admin: &Running, stream: &mut TcpStream) {
    let request = format!("GET /live HTTP/1.1\r\nHost: {}\r\n\r\n", admin.address);
    stream
        .write_all(request.as_bytes())
        .await
        .expect("it reads");
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\nlive\n") {
        let count = stream.read_buf(&mut answer).await.expect("it answers");
        assert_ne!(count, 0, "it stays open");
    }
}

#[tokio::test(start_paused = true)]
async fn the_client_gives_up_on_silence_and_on_nobody() {
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port is free");
    let address = listener.local_addr().expect("it is bound").to_string();
    let client = Client::new(address);
    let began = tokio::time::Instant::now();
    let error = client.send(Method::GET, "/live", None).await;
    assert_eq!(began.elapsed().as_secs(), 5);
    assert!(
        matches!(error, Err(ClientError::Timeout { .. })),
        "{error:?}"
    );
    drop(listener);
    let error = client.send(Method::GET, "/live", None).await;
    assert!(
        matches!(error, Err(ClientError::Connect { .. })),
        "{error:?}"
    );
}

#[tokio::test]
async fn the_client_knows_an_end_that_comes_too_early() {
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port is free");
    let address = listener.local_addr().expect("it is bound").to_string();
    let client = Client::new(address);
    let other = async {
        for answer in ["", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[1"] {
            let (mut stream, _) = listener.accept().await.expect("the client connects");
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                stream.read_buf(&mut request).await.expect("it asks");
            }
            stream.write_all(answer.as_bytes()).await.expect("it reads");
        }
    };
    let asking = async {
        for _ in 0..2 {
            let error = client.send(Method::GET, "/x", None).await;
            assert!(
                matches!(error, Err(ClientError::Exchange { .. })),
                "{error:?}"
            );
        }
    };
    tokio::join!(other, asking);
}

#[tokio::test]
async fn connections_end_with_the_listener() {
    let admin = start().await;
    let mut stream = hold(&admin).await;
    let address = admin.address;
    drop(admin);
    let ended = stream.read(&mut [0; 1]).await;
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    assert!(TcpStream::connect(address).await.is_err());
}
