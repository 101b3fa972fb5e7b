//! HTTP/2 from a downstream: accepts streams and answers for the connection as a whole.

mod activity;
mod exchange;
mod response;

pub use super::guard::Flood;
pub use activity::Activity;

use super::guard::{Guard, Watch};
use super::head::{self, Malformed, Rules};
use super::message::Incoming;
use super::wire::Wire;
use crate::http::Scheme;
use crate::net::stream::Stream;
use crate::net::timer::Timer;
use crate::observe::seldom::Seldom;
use bytes::Bytes;
use exchange::Exchange;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// What a stream may have handed over and not yet put on the wire. With one write that is held before that, a stream holds at most 80 KiB
/// for a downstream that does not read.
const SEND_BUFFER_BYTES: usize = 64 * 1024;

/// Streams that were reset by us and whose late frames are still expected, and streams that the peer has reset before they were accepted.
/// A browser that leaves a page resets what it has just asked for, up to the streams it may have at once.
const RESET_STREAMS_MAX: usize = 100;

/// The largest window of RFC 9113 section 6.9.1.
const WINDOW_MAX: u32 = (1 << 31) - 1;

/// How long a closed connection may take to say so: a peer that reads nothing does not hear it.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

static FLOODS: Seldom = Seldom::new();

/// What a connection offers its peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Concurrent streams. As many more may be unfinished here after the peer has reset them; beyond that streams are refused.
    pub streams_max: u32,
    /// How many bytes of one request body may be under way or unread.
    pub stream_window: u32,
    /// How many bytes of all bodies.
    pub connection_window: u32,
    /// Bytes of a header section, counted as RFC 9113 section 6.5.2 does: 32 more for each line. Beyond it the stream is answered with 431.
    pub header_bytes_max: usize,
    /// Header lines of a request, cookies counting as one. A head that has more is cut where the parser of the same limit
    /// ([`crate::http::Limits::headers_max`]) refuses it with 431; it has no end, so that nobody takes it for a whole one.
    pub headers_max: usize,
}

/// A connection of a downstream that speaks HTTP/2.
///
/// Only [`ServerConnection::accept`] reads and writes the connection: poll it for as long as there are streams.
#[derive(Debug)]
pub struct ServerConnection {
    connection: h2::server::Connection<Guard, Bytes>,
    watch: Rc<Watch>,
    wire: Rc<Wire>,
    activity: Rc<Activity>,
    rules: Rules,
    streams_max: usize,
    phase: Phase,
    /// The peer was told that we go: it may be gone before we are.
    is_leaving: bool,
    /// Set once the connection was closed.
    deadline: Option<Timer>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// Told to go away because of a flood; the rest is sending that.
    Flooded(Flood),
    Ended,
}

/// Why [`ServerConnection::close`] closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// No stream was open for too long.
    Idle,
    /// The time for draining is over.
    Drained,
    /// The peer makes us work for nothing.
    Flood,
}

/// How a connection broke.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The peer was told ENHANCE_YOUR_CALM.
    #[error("too many {0}")]
    Flood(Flood),
    /// One of the sides broke the protocol, or said so.
    #[error("HTTP/2 connection failed")]
    Protocol(#[source] h2::Error),
    /// The transport failed.
    #[error("HTTP/2 connection lost")]
    Lost(#[source] io::Error),
}

impl ServerConnection {
    /// Sends SETTINGS and reads the preface; the caller bounds the time. `stream` may hold back bytes that were read already. `scheme` is how the
    /// downstream reached us: its default port may stand in one of `:authority` and `host` and lack in the other.
    ///
    /// Dropping the future closes the stream.
    ///
    /// # Errors
    /// The stream's; `InvalidData` when the peer does not begin with the preface.
    pub async fn handshake(
        stream: Stream,
        settings: &Settings,
        scheme: Scheme,
    ) -> io::Result<ServerConnection> {
        let watch = Rc::new(Watch::default());
        let wire = Wire::new(stream);
        let guard = Guard::new(wire.clone(), watch.clone());
        let connection = builder(settings).handshake(guard).await;
        wire.collect();
        Ok(ServerConnection {
            connection: connection.map_err(super::message::broken)?,
            watch,
            wire,
            activity: Rc::default(),
            rules: Rules {
                headers_max: settings.headers_max,
                scheme,
            },
            streams_max: usize::try_from(settings.streams_max).unwrap_or(usize::MAX),
            phase: Phase::Open,
            is_leaving: false,
            deadline: None,
        })
    }

    /// Drives the connection until the next request: its stream reads as HTTP/1.1 from a downstream and takes an HTTP/1.1 response, once. None
    /// when the connection has ended in order, an error once when it broke; none after that.
    ///
    /// Malformed requests (RFC 9113 section 8.1.1) are reset here and not answered. Everything else that is wrong with a request is left
    /// in its text for the parser to refuse. Cancel safe.
    pub async fn accept(&mut self) -> Option<Result<Stream, ConnectionError>> {
        std::future::poll_fn(|cx| self.poll_accept(cx)).await
    }

    /// As [`ServerConnection::accept`].
    pub fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Stream, ConnectionError>>> {
        if self.phase == Phase::Ended {
            return Poll::Ready(None);
        }
        loop {
            let polled = self.connection.poll_accept(cx);
            if self.has_flooded() {
                continue;
            }
            if polled.is_pending() {
                if let Poll::Ready(Err(error)) = self.wire.poll_send(cx) {
                    return Poll::Ready(self.lose(error).map(Err));
                }
                if self.is_overdue(cx) {
                    return Poll::Ready(self.end(None).map(Err));
                }
            }
            match ready!(polled) {
                Some(Ok((request, respond))) => {
                    if let Some(stream) = self.begin(request, respond) {
                        return Poll::Ready(Some(Ok(stream)));
                    }
                }
                Some(Err(error)) => return Poll::Ready(self.end(Some(error)).map(Err)),
                None => return Poll::Ready(self.end(None).map(Err)),
            }
        }
    }

    /// Says that no further stream will be served, in two steps (RFC 9113 section 6.8): streams that are on their way still are, later ones are
    /// refused. [`ServerConnection::accept`] answers none once the last one has ended.
    pub fn drain(&mut self) {
        self.is_leaving = true;
        self.connection.graceful_shutdown();
    }

    /// Ends every stream and the connection, telling the peer why; [`ServerConnection::accept`] sends that, waits a moment for the peer to close as
    /// well, two seconds at most, and answers none.
    pub fn close(&mut self, why: CloseReason) {
        self.is_leaving = true;
        let deadline = self.deadline.get_or_insert_with(Timer::new);
        deadline.set(CLOSE_TIMEOUT);
        self.connection.abrupt_shutdown(match why {
            CloseReason::Idle | CloseReason::Drained => Reason::NO_ERROR,
            CloseReason::Flood => Reason::ENHANCE_YOUR_CALM,
        });
    }

    /// Streams that were answered by [`ServerConnection::accept`] and are not dropped yet.
    pub fn open_streams(&self) -> usize {
        self.activity.open()
    }

    /// To run an idle timer beside [`ServerConnection::accept`]: see [`Activity::idle`].
    pub fn activity(&self) -> Rc<Activity> {
        self.activity.clone()
    }

    /// A request as a byte stream; none when it was refused here.
    fn begin(
        &mut self,
        request: ::http::Request<RecvStream>,
        mut respond: SendResponse<Bytes>,
    ) -> Option<Stream> {
        // Bounded by this: streams that the peer has reset no longer count in h2, but live here until the spine has noticed.
        if self.open_streams() >= self.streams_max.saturating_mul(2) {
            respond.send_reset(Reason::REFUSED_STREAM);
            return None;
        }
        let (parts, body) = request.into_parts();
        match head::request_text(&parts, body.is_end_stream(), &self.rules) {
            Ok(text) => {
                let incoming = Incoming::new(body, text.framing, text.head);
                let exchange =
                    Exchange::new(incoming, respond, parts.method, text.tunnel, &self.activity);
                Some(Stream::Layered(Box::new(exchange)))
            }
            Err(Malformed(reason)) => {
                tracing::debug!(reason, "malformed HTTP/2 request");
                respond.send_reset(Reason::PROTOCOL_ERROR);
                None
            }
        }
    }

    /// Turns a flood that was just noticed into the order to go away, and says whether it did.
    fn has_flooded(&mut self) -> bool {
        let (Phase::Open, Some(flood)) = (self.phase, self.watch.flood()) else {
            return false;
        };
        if let Some(connections) = FLOODS.count() {
            tracing::warn!(frames = %flood, connections, "HTTP/2 flood, connections closed");
        }
        self.phase = Phase::Flooded(flood);
        self.close(CloseReason::Flood);
        true
    }

    fn is_overdue(&self, cx: &mut Context<'_>) -> bool {
        let deadline = self.deadline.as_ref();
        deadline.is_some_and(|deadline| deadline.poll_expired(cx).is_ready())
    }

    /// The stream failed while it was written to.
    fn lose(&mut self, error: io::Error) -> Option<ConnectionError> {
        let phase = std::mem::replace(&mut self.phase, Phase::Ended);
        match phase {
            Phase::Flooded(flood) => Some(ConnectionError::Flood(flood)),
            _ if self.is_leaving && self.open_streams() == 0 => None,
            _ => Some(ConnectionError::Lost(error)),
        }
    }

    fn end(&mut self, error: Option<h2::Error>) -> Option<ConnectionError> {
        match (std::mem::replace(&mut self.phase, Phase::Ended), error) {
            (Phase::Flooded(flood), _) => Some(ConnectionError::Flood(flood)),
            (_, None) => None,
            (_, Some(error)) if error.is_io() && self.is_leaving && self.open_streams() == 0 => {
                None
            }
            (_, Some(error)) if error.is_io() => Some(match error.into_io() {
                Some(error) => ConnectionError::Lost(error),
                None => ConnectionError::Lost(io::ErrorKind::ConnectionReset.into()),
            }),
            (_, Some(error)) => Some(ConnectionError::Protocol(error)),
        }
    }
}

fn builder(settings: &Settings) -> h2::server::Builder {
    let mut builder = h2::server::Builder::new();
    builder
        .initial_window_size(settings.stream_window.min(WINDOW_MAX))
        .initial_connection_window_size(settings.connection_window.min(WINDOW_MAX))
        .max_concurrent_streams(settings.streams_max)
        .max_header_list_size(u32::try_from(settings.header_bytes_max).unwrap_or(u32::MAX))
        .max_send_buffer_size(SEND_BUFFER_BYTES)
        .max_concurrent_reset_streams(RESET_STREAMS_MAX)
        .max_pending_accept_reset_streams(RESET_STREAMS_MAX)
        .enable_connect_protocol();
    builder
}
