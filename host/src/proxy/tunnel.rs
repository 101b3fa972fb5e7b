//! After an upgrade: bytes both ways until one side ends it.

use super::connection::Connection;
use super::outcome::Outcome;
use crate::net::buffer::Buffer;
use crate::net::copy::{Moved, RelayEnd, relay};
use crate::net::stream::Stream;
use std::time::Duration;

/// Relays until both sides have ended, one failed, or nothing moved for `idle`. `early` is what the upstream sent with
/// its 101, `eager` what the downstream sent behind its request without waiting for it.
pub(super) async fn run(
    connection: &mut Connection,
    upstream: &mut Stream,
    early: Buffer,
    eager: &mut Buffer,
    idle: Duration,
) -> Outcome {
    connection.timer().set(idle);
    let timer = connection.register.timer();
    if !early.is_empty()
        && !matches!(
            timer.within(connection.stream.send(&early)).await,
            Ok(Ok(()))
        )
    {
        return Outcome::DownstreamAborted;
    }
    connection.count_sent(early.len());
    drop(early);
    if !eager.is_empty() && !matches!(timer.within(upstream.send(eager)).await, Ok(Ok(()))) {
        return Outcome::UpstreamAborted;
    }
    eager.clear();
    let moved = Moved::default();
    let end = relay(&mut connection.stream, upstream, timer, idle, &moved).await;
    connection.count_relayed(&moved);
    outcome(end)
}

/// The outcome of a relay. An upgraded connection has no end of message, so a close by either side is how it ends.
pub(super) fn outcome(end: RelayEnd) -> Outcome {
    match end {
        RelayEnd::Finished => Outcome::Tunnel,
        RelayEnd::Downstream => Outcome::DownstreamAborted,
        RelayEnd::Upstream => Outcome::UpstreamAborted,
        RelayEnd::Idle => Outcome::IdleTimeout,
    }
}
