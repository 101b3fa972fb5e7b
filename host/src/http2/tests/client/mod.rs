//! HTTP/2 to an upstream against peers in this process: the `h2` server for what a good one does, scripted frames for the rest.

mod faults;
mod floods;
mod limits;
mod raw;
mod request;
mod response;
mod upgrade;

use crate::http::Scheme;
use crate::http2::client::{Connection, Settings};
use crate::net::stream::Stream;
use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{HeaderMap, Request, Response};
use std::future::Future;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(super) const SETTINGS: Settings = Settings {
    streams_max: 100,
    stream_window: 65_535,
    connection_window: 1 << 20,
    header_bytes_max: 16 * 1024,
};

/// Runs a test with what a worker has: a local set and the timer wheel. A test that hangs fails.
pub(super) async fn within_worker<F: Future>(test: F) -> F::Output {
    let local = tokio::task::LocalSet::new();
    local.spawn_local(crate::net::timer::drive());
    let test = tokio::time::timeout(Duration::from_secs(60), local.run_until(test));
    test.await.expect("no hang")
}

/// Both ends of a connection over loopback.
pub(super) async fn sockets() -> (Stream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = listener.local_addr().expect("bound");
    let (ours, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
    let (theirs, _) = accepted.expect("accepts");
    theirs.set_nodelay(true).expect("settable");
    (Stream::Tcp(ours.expect("connects")), theirs)
}

/// A connection to an `h2` server that answers each request with `answer`.
pub(super) async fn connect<A, F>(
    settings: Settings,
    server: h2::server::Builder,
    answer: A,
) -> Connection
where
    A: Fn(Request<RecvStream>, SendResponse<Bytes>) -> F + 'static,
    F: Future<Output = ()> + 'static,
{
    let (ours, theirs) = sockets().await;
    tokio::task::spawn_local(async move {
        let mut server = server.handshake(theirs).await.expect("a preface");
        while let Some(Ok((request, respond))) = server.accept().await {
            tokio::task::spawn_local(answer(request, respond));
        }
    });
    Connection::connect(ours, &settings, ())
        .await
        .expect("connects")
}

/// Until `condition` holds; the event loop goes on meanwhile.
pub(super) async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::task::yield_now().await;
    }
}

pub(super) fn open(connection: &Connection) -> Stream {
    connection.open(Scheme::Http).expect("room")
}

/// Sends `text` in pieces and reads the response to its end, in pieces too.
pub(super) async fn exchange(
    connection: &Connection,
    text: &[u8],
    piece: usize,
) -> io::Result<String> {
    let mut stream = open(connection);
    for part in text.chunks(piece) {
        stream.write_all(part).await?;
    }
    read_to_end(&mut stream, piece).await
}

pub(super) async fn read_to_end(stream: &mut Stream, piece: usize) -> io::Result<String> {
    let mut all = Vec::new();
    let mut buffer = vec![0; piece.min(16 * 1024)];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(String::from_utf8(all).expect("text")),
            count => all.extend_from_slice(&buffer[..count]),
        }
    }
}

/// A body and its trailers, to the end.
pub(super) async fn collect(
    mut body: RecvStream,
) -> Result<(Vec<u8>, Option<HeaderMap>), h2::Error> {
    let mut all = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        let released = body.flow_control().release_capacity(data.len());
        released.expect("received before");
        all.extend_from_slice(&data);
    }
    Ok((all, body.trailers().await?))
}

/// Sends all of `bytes` as the peer's windows allow.
pub(super) async fn send_all(stream: &mut h2::SendStream<Bytes>, mut bytes: Bytes, is_last: bool) {
    while !bytes.is_empty() {
        stream.reserve_capacity(bytes.len());
        let room = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await;
        let Some(Ok(room)) = room else { return };
        let part = bytes.split_to(room.min(bytes.len()));
        let ends = is_last && bytes.is_empty();
        if stream.send_data(part, ends).is_err() {
            return;
        }
    }
}

/// An answer without a body.
pub(super) fn empty(status: u16) -> Response<()> {
    Response::builder().status(status).body(()).expect("valid")
}
