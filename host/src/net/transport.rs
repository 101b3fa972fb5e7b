//! What a byte stream is made of when it is no socket of its own: TLS over one, or one stream of a multiplexed connection.

use std::fmt::Debug;
use std::io;
use std::task::{Context, Poll};
use tokio::io::ReadBuf;

/// A byte stream above another one.
///
/// Everything takes `&self`, since one task drives both directions at the same time; what changes is in cells. Never called by two threads,
/// nor by two tasks that both wait for the same direction.
pub trait Transport: Debug {
    /// As `AsyncRead::poll_read`: nothing read is the end.
    fn poll_read(&self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>>;

    /// As `AsyncWrite::poll_write`.
    fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>>;

    /// As `AsyncWrite::poll_flush`.
    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// As `AsyncWrite::poll_shutdown`: ends the direction that is written to.
    fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Ready when a read may give bytes, the end or an error; it may give nothing all the same. Holds no buffer while it waits.
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Whether the peer is gone or has ended its direction with nothing left to read before that: 0. Ready with 1 when there are bytes. Takes
    /// nothing from the stream.
    fn poll_peek(&self, cx: &mut Context<'_>) -> Poll<io::Result<usize>>;

    /// Whether the peer has ended its direction, whatever is still to be read before that; as far as is known.
    fn is_read_closed(&self) -> bool;

    /// Whether an idle connection must not be used again: see [`super::stream::Stream::is_stale`].
    fn is_stale(&self) -> bool;

    /// Makes the end of this stream one that the peer cannot take for a regular one.
    fn reset_on_close(&self);

    /// Whether it is one of several streams of a connection, whose task sends for all of them.
    fn is_multiplexed(&self) -> bool {
        false
    }
}
