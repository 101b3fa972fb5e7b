//! HTTP/2 for tests: clients and origins that speak it by another implementation than raw bytes, and frames for what no implementation sends.
//!
//! ```text
//! let client = H2Client::connect(proxy.address("web"));          // prior knowledge
//! assert_eq!(client.get("/x").text(), "…");                      // one stream, to its end
//! let mut stream = client.open(h2_request("POST", "/y"));        // a stream in the test's hands
//! stream.send("part", false);
//! let origin = H2Origin::start(|mut exchange| exchange.answer("…")); // a thread for each stream
//! ```
//!
//! All frames are moved by one event loop; what is called here waits for it, for at most [`PATIENCE`].

mod client;
pub(crate) mod frames;
mod origin;

pub(crate) use client::{H2Client, H2Stream};
pub(crate) use origin::H2Origin;

use super::PATIENCE;
use ::h2::{RecvStream, SendStream};
use ::http::{HeaderMap, HeaderName, HeaderValue, Request};
use bytes::Bytes;
use std::future::poll_fn;
use std::sync::LazyLock;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// Where frames are moved.
static LOOP: LazyLock<Handle> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("an event loop");
    let handle = runtime.handle().clone();
    std::thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
    handle
});

/// Waits for `work`, which the event loop moves on; `what` it is says the failure.
pub(crate) fn wait_for<T>(what: &str, work: impl Future<Output = T>) -> T {
    let waited = LOOP.block_on(async { tokio::time::timeout(PATIENCE, work).await });
    waited.unwrap_or_else(|_| panic!("HTTP/2 waited in vain for {what}"))
}

/// Lets `work` go on beside the test, until it ends or is aborted.
pub(crate) fn beside(work: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    LOOP.spawn(work)
}

/// A request for a path, of the host "test".
pub(crate) fn h2_request(method: &str, path: &str) -> Request<()> {
    h2_request_with(method, path, &[])
}

/// As [`h2_request`], with headers.
pub(crate) fn h2_request_with(method: &str, path: &str, headers: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::builder()
        .method(method)
        .uri(format!("http://test{path}"))
        .version(::http::Version::HTTP_2)
        .body(())
        .expect("a request");
    *request.headers_mut() = header_map(headers);
    request
}

fn header_map(headers: &[(&str, &str)]) -> HeaderMap {
    let pairs = headers.iter().map(|(name, value)| {
        (
            HeaderName::from_bytes(name.as_bytes()).expect("a name"),
            HeaderValue::from_str(value).expect("a value"),
        )
    });
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        map.append(name, value);
    }
    map
}

/// Sends data as the peer has room for it; false when it takes no more.
fn send(stream: &mut SendStream<Bytes>, bytes: &[u8], end: bool) -> bool {
    let mut left = Bytes::copy_from_slice(bytes);
    while !left.is_empty() {
        stream.reserve_capacity(left.len());
        let room = wait_for("room to send", poll_fn(|cx| stream.poll_capacity(cx)));
        let Some(Ok(room)) = room else { return false };
        let part = left.split_to(room.min(left.len()));
        let ends = end && left.is_empty();
        if stream.send_data(part, ends).is_err() {
            return false;
        }
    }
    !(bytes.is_empty() && end) || stream.send_data(Bytes::new(), true).is_ok()
}

/// The next piece of a body, whose room the peer has again; none at its end.
fn receive(body: &mut RecvStream) -> Option<Result<Bytes, ::h2::Error>> {
    let piece = wait_for("data", poll_fn(|cx| body.poll_data(cx)));
    if let Some(Ok(piece)) = &piece {
        // Fails for a stream that is closed.
        let _ = body.flow_control().release_capacity(piece.len());
    }
    piece
}

fn receive_trailers(body: &mut RecvStream) -> Result<Option<HeaderMap>, ::h2::Error> {
    wait_for("trailers", poll_fn(|cx| body.poll_trailers(cx)))
}
