//! What a connection goes through before its protocol begins: a PROXY header from peers that send one, and the TLS handshake.

use super::{Admitted, admit};
use crate::http::{ConnectionFacts, Scheme};
use crate::net::address::Address;
use crate::net::prefixed::Prefixed;
use crate::net::stream::Stream;
use crate::net::timer::Timer;
use crate::observe::seldom::Seldom;
use crate::proxy::http::DRAINING_PATIENCE;
use crate::proxy::{self, Registration};
use crate::proxy_protocol::{self, ReceiveError};
use crate::snapshot::{Bound, Protocol};
use crate::tls::AcceptError;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

/// Whether a connection from `peer` has one.
pub(super) fn is_needed(bound: &Bound, peer: &Address) -> bool {
    bound.listener.tls.is_some() || sends_header(bound, peer)
}

fn sends_header(bound: &Bound, peer: &Address) -> bool {
    let Some(proxy_protocol) = &bound.listener.proxy_protocol else {
        return false;
    };
    match peer {
        Address::Ip(peer) => {
            let ip = peer.ip();
            let mut from = proxy_protocol.from.iter();
            from.any(|network| network.contains(&ip))
        }
        Address::Unix(_) => proxy_protocol.from_unix,
    }
}

/// Runs it. None: the connection is over, which has been logged where somebody may want to know.
pub(super) async fn run(
    mut stream: Stream,
    peer: &Address,
    mut facts: ConnectionFacts,
    bound: &Bound,
    register: &Registration,
) -> Option<(Stream, Admitted)> {
    let timer = register.timer();
    if sends_header(bound, peer) {
        stream = receive_header(stream, &mut facts, bound, timer).await?;
    }
    let mut admitted = admit(facts, bound)?;
    if let Some(tls) = &bound.listener.tls {
        if !begins(&stream, tls.handshake_timeout(), register).await {
            return None;
        }
        let (under_tls, seen) = match tls.accept(stream, timer).await {
            Ok(accepted) => accepted,
            Err(error) => {
                let is_http = matches!(bound.listener.protocol, Protocol::Http(_));
                refuse(error, is_http, &admitted.facts, timer).await;
                return None;
            }
        };
        stream = under_tls;
        // Nobody else has the facts yet.
        let facts = Arc::get_mut(&mut admitted.facts)?;
        facts.scheme = Scheme::Https;
        facts.tls = Some(Arc::new(seen));
    }
    Some((stream, admitted))
}

/// Waits for the first byte of a handshake, for as long as a handshake may take. A drain does not wait for those who say nothing; what was
/// accepted late may still bring the request that it was made for.
async fn begins(stream: &Stream, patience: Duration, register: &Registration) -> bool {
    let timer = register.timer();
    let silence = || poll_fn(|cx| stream.poll_closed(cx));
    if !register.is_draining() {
        timer.set(patience);
        register.set_idle(true);
        let ended = timer.within(silence()).await;
        register.set_idle(false);
        if ended.is_ok() || !register.is_draining() {
            return ended == Ok(false);
        }
    }
    timer.set(DRAINING_PATIENCE);
    timer.within(silence()).await == Ok(false)
}

/// Reads the PROXY header, and believes it.
async fn receive_header(
    mut stream: Stream,
    facts: &mut ConnectionFacts,
    bound: &Bound,
    timer: &Timer,
) -> Option<Stream> {
    timer.set(bound.listener.proxy_protocol.as_ref()?.timeout);
    let received = match timer.within(proxy_protocol::receive(&mut stream)).await {
        Ok(Ok(received)) => Ok(received),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(ReceiveError::Io(std::io::ErrorKind::TimedOut.into())),
    };
    let (header, behind) = match received {
        Ok(received) => received,
        // As load balancers do that look whether we are there.
        Err(ReceiveError::Silent) => return None,
        Err(error) => {
            static REFUSED: Seldom = Seldom::new();
            if let Some(times) = REFUSED.count() {
                tracing::warn!(listener = %facts.listener, peer = %facts.peer, error = %crate::snapshot::chain(&error), times, "connection closed: no valid PROXY header");
            }
            return None;
        }
    };
    let mut said = header.facts;
    said.sender = Some(facts.peer);
    facts.proxy = Some(Arc::new(said));
    if let Some(source) = header.source {
        facts.peer = source;
    }
    if let Some(destination) = header.destination {
        facts.local = destination;
    }
    Some(Prefixed::new(behind, stream))
}

/// Says what went wrong with a handshake, to the client where it can be told.
async fn refuse(error: AcceptError, is_http: bool, facts: &ConnectionFacts, timer: &Timer) {
    match error {
        AcceptError::PlainHttp(stream) if is_http => {
            tracing::debug!(listener = %facts.listener, peer = %facts.peer, "plain HTTP on a TLS listener");
            proxy::http::refuse_plain(stream, timer).await;
        }
        AcceptError::PlainHttp(_) | AcceptError::AcmeChallenge | AcceptError::Closed => {}
        AcceptError::Busy => {
            static BUSY: Seldom = Seldom::new();
            if let Some(times) = BUSY.count() {
                tracing::warn!(listener = %facts.listener, times, "as many TLS handshakes are under way as may be: new connections are closed");
            }
        }
        failed @ (AcceptError::Timeout | AcceptError::Tls(_)) => {
            tracing::debug!(listener = %facts.listener, peer = %facts.peer, error = %failed, "TLS handshake failed");
        }
    }
}
