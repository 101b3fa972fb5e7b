//! HTTP/2 to an upstream: one multiplexed connection of a worker, each of whose streams looks like an HTTP/1.1 connection for one exchange.
//!
//! A [`Connection`] is dialled by the caller (TLS with ALPN `h2`, or prior knowledge) and handed over with [`Connection::connect`]. What
//! [`Connection::open`] answers is a byte stream that takes one request as HTTP/1.1 text and gives its response as HTTP/1.1 text, so the
//! spine has one way to speak to any endpoint. The frames, header compression and flow control are those of the `h2` crate (RFC 9113);
//! the translation is here: `request` one way, `response` the other, `sending` and `receiving` for the bodies.
//!
//! There are no keep-alive pings: gRPC servers answer pings that they did not ask for with the end of the connection, and an endpoint that
//! has died is found by the response timeout of the request that meets it.
//!
//! Knows byte streams and the text of heads; does not know routes, filters, pools or retries. What may be retried it says:
//! [`is_not_processed`].

mod collecting;
mod driver;
mod error;
mod exchange;
mod guard;
mod receiving;
mod request;
mod response;
mod sending;
mod shared;
mod stream;

pub use error::{NotProcessed, is_not_processed, is_stream_reset};

use super::wire::Wire;
use crate::http::Scheme;
use crate::net::stream::Stream;
use crate::net::timer::coarse_now;
use guard::{Credit, Guarded};
use shared::Shared;
use std::io;
use std::rc::Rc;
use std::time::Duration;

/// RFC 9113 section 6.9.1.
const WINDOW_BYTES_MAX: u32 = (1 << 31) - 1;

/// What one stream may hold of a request body that the peer has no window for.
const SEND_BUFFER_BYTES: usize = 64 * 1024;

/// Unread DATA frames smaller than 256 bytes count for what they lack of that; beyond this much per byte of the connection's window, `h2` takes
/// them for an attack and ends the connection. With 16, frames of 16 bytes and more never get there: the window is full first, since
/// 256 - 16 < 16 * 16. What `h2` sets by itself would end a connection over one slow reader of small gRPC messages. A peer that sends
/// smaller ones makes us hold some 12 bytes for each byte of the window.
const FRAME_BUDGET_PER_BYTE: usize = 16;

/// How a connection is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Most streams open at a time; the peer may allow fewer.
    pub streams_max: u32,
    /// Bytes of one response that may be on their way unread. More than 2^31-1 counts as that.
    pub stream_window: u32,
    /// The same for all responses of the connection together.
    pub connection_window: u32,
    /// Bytes of a response head or trailer section, as RFC 9113 section 6.5.2 counts them: names and values plus 32 each. A larger one
    /// fails its request.
    pub header_bytes_max: usize,
}

/// One multiplexed connection of this worker. A clone is the same connection; when the last one is dropped, it closes as by
/// [`Connection::close`].
#[derive(Debug, Clone)]
pub struct Connection {
    handle: Rc<Handle>,
}

#[derive(Debug)]
struct Handle {
    shared: Rc<Shared>,
}

impl Connection {
    /// Sends the preface and our SETTINGS and starts the connection's driver, a local task that ends with the connection; `held` is kept
    /// until then.
    ///
    /// Does not wait for the peer's SETTINGS: requests go out in the first flight, at most 100 until the peer has said how many it takes.
    /// Whether the peer speaks HTTP/2 at all shows with the first response. Must be called within a `LocalSet`.
    ///
    /// # Errors
    /// The stream's. Cancel safe: dropping the future closes the stream.
    pub async fn connect(
        stream: Stream,
        settings: &Settings,
        held: impl Sized + 'static,
    ) -> io::Result<Connection> {
        let credit = Rc::new(Credit::new());
        let wire = Wire::new(stream);
        let guarded = Guarded::new(Rc::clone(&wire), Rc::clone(&credit));
        let handshake = builder(settings).handshake(guarded).await;
        let (sender, connection) = handshake.map_err(error::of_handshake)?;
        wire.collect();
        let shared = Rc::new(Shared::new(sender, settings, credit));
        let driven = driver::drive(connection, wire, Rc::clone(&shared), held);
        // Owned by the connection: it ends when that does, within a bounded time of the last stream once there is nobody to open another.
        tokio::task::spawn_local(driven);
        Ok(Connection {
            handle: Rc::new(Handle { shared }),
        })
    }

    /// Whether another stream may be opened: fewer are open than both sides allow, and [`Connection::is_usable`].
    pub fn has_room(&self) -> bool {
        self.shared().has_room()
    }

    /// Whether the connection is still one for new requests: it is not closing, the peer has sent no GOAWAY, and it is not broken as far as
    /// the event loop has heard.
    pub fn is_usable(&self) -> bool {
        self.shared().is_usable()
    }

    /// How many streams are open: made by [`Connection::open`] and not dropped yet.
    pub fn open_streams(&self) -> usize {
        self.shared().open_streams()
    }

    /// Since when there is no open stream, on the coarse clock ([`crate::net::timer::coarse_now`]); `None` while there is one.
    pub fn idle_since(&self) -> Option<Duration> {
        self.shared().idle_since()
    }

    /// How long ago anything came from the peer, to the resolution of the coarse clock.
    pub fn silent_for(&self) -> Duration {
        coarse_now().saturating_sub(self.handle.shared.credit.heard())
    }

    /// No more streams. Those that are open go on; after the last one, or at once, the peer gets GOAWAY with NO_ERROR and the connection is
    /// closed.
    pub fn close(&self) {
        self.shared().close();
    }

    /// A stream for one exchange, or none when there is no room. Nothing is sent before the request's head is written to it.
    ///
    /// Written to it is an HTTP/1.1 request as [`crate::http::write_request`] makes it, in any pieces; `scheme` is what the peer is told of
    /// how it was reached. Read from it is the response, likewise, and then the end. An `Upgrade` becomes an extended CONNECT (RFC 8441);
    /// where the peer does not speak that, the answer is a 501 made here. Dropping it before the exchange is complete resets the stream
    /// with CANCEL.
    ///
    /// Errors of the stream, as kinds: `InvalidData` for what the peer may not send, `UnexpectedEof` for a connection that ended within the
    /// exchange, `ConnectionReset` for a reset stream, `ConnectionRefused` where [`is_not_processed`], `InvalidInput` for a request that
    /// cannot be said in HTTP/2, `BrokenPipe` for a body that the peer no longer takes.
    pub fn open(&self, scheme: Scheme) -> Option<Stream> {
        let sender = self.shared().enter()?;
        let shared = Rc::clone(self.shared());
        let stream = stream::ClientStream::new(shared, sender, scheme);
        Some(Stream::Layered(Box::new(stream)))
    }

    fn shared(&self) -> &Rc<Shared> {
        &self.handle.shared
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.close();
    }
}

fn builder(settings: &Settings) -> h2::client::Builder {
    let connection_window = settings.connection_window.min(WINDOW_BYTES_MAX);
    let frame_budget = FRAME_BUDGET_PER_BYTE.saturating_mul(connection_window as usize);
    let mut builder = h2::client::Builder::new();
    builder
        .enable_push(false)
        .initial_window_size(settings.stream_window.min(WINDOW_BYTES_MAX))
        .initial_connection_window_size(connection_window)
        .data_frame_budget(frame_budget)
        .max_header_list_size(u32::try_from(settings.header_bytes_max).unwrap_or(u32::MAX))
        .max_send_buffer_size(SEND_BUFFER_BYTES)
        .initial_max_send_streams(shared::STREAMS_UNKNOWN);
    builder
}
