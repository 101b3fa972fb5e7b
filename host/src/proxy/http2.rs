//! The life of an HTTP/2 connection: each stream is served like a connection of its own that carries one request.

use super::connection::{Connection, Registration};
use super::http;
use crate::http::ConnectionFacts;
use crate::http2::server::{CloseReason, ServerConnection};
use crate::net::buffer::Buffer;
use crate::net::stream::Stream;
use crate::snapshot::{HttpListener, Protocol};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// What every HTTP/2 connection begins with (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How long it may take to tell an idle client that its connection is closed.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Whether nothing but HTTP/2 will be spoken: it was agreed on by TLS, or the listener speaks nothing else.
pub(super) fn is_agreed(connection: &Connection) -> bool {
    let tls = connection.facts.tls.as_deref();
    match tls.and_then(|tls| tls.alpn.as_deref()) {
        Some(agreed) => agreed == "h2",
        None => match &connection.current().listener.protocol {
            Protocol::Http(http) => http.http2_only,
            Protocol::Tcp(_) => false,
        },
    }
}

/// Whether what arrived first may be the beginning of HTTP/2.
pub(super) fn may_begin(input: &[u8]) -> bool {
    PREFACE.starts_with(&input[..input.len().min(PREFACE.len())])
}

/// Whether a connection that has served nothing yet speaks HTTP/2; reads on while what is there may become the preface. Whatever was read stays
/// in `input`.
pub(super) async fn is_preface(
    connection: &mut Connection,
    http: &HttpListener,
    input: &mut Buffer,
) -> bool {
    let is_first = connection.facts.downstream_bytes.load(Ordering::Relaxed) == input.len() as u64;
    if !is_first || connection.facts.http2 {
        return false;
    }
    connection.timer().set(http.request_head_timeout);
    while input.len() < PREFACE.len() && PREFACE.starts_with(input) {
        let timer = connection.register.timer();
        match timer.within(connection.stream.receive(input)).await {
            Ok(Ok(count @ 1..)) => connection.count_received(count),
            // What ended or took too long so early is no preface; who reads on finds out the same.
            Ok(Ok(0) | Err(_)) | Err(_) => return false,
        }
    }
    input.starts_with(PREFACE)
}

/// Serves a connection until both sides have had enough.
pub(super) async fn serve_connection(connection: Connection) {
    let Connection {
        stream,
        facts,
        register,
    } = connection;
    let bound = register.current();
    let Protocol::Http(http) = &bound.listener.protocol else {
        return;
    };
    // By ALPN it was agreed on before; a reload may have turned it off since.
    let Some(settings) = &http.http2 else { return };
    register.timer().set(http.request_head_timeout);
    let handshake = ServerConnection::handshake(stream, settings, facts.scheme);
    let served = match register.timer().within(handshake).await {
        Ok(Ok(served)) => served,
        Ok(Err(error)) => {
            return tracing::debug!(listener = %facts.listener, peer = %facts.peer, %error, "HTTP/2 did not begin");
        }
        Err(_) => {
            return tracing::debug!(listener = %facts.listener, peer = %facts.peer, "HTTP/2 did not begin in time");
        }
    };
    drop(bound);
    drive(served, &facts, &register).await;
}

/// Drives the connection and starts a task for each of its streams.
async fn drive(
    mut served: ServerConnection,
    facts: &Arc<ConnectionFacts>,
    register: &Rc<Registration>,
) {
    let timer = register.timer();
    timer.clear();
    // A drain lets the timer expire, which is how it gets our attention.
    register.set_idle(true);
    let activity = served.activity();
    let mut is_draining = false;
    loop {
        if register.is_draining() && !is_draining {
            is_draining = true;
            served.drain();
        }
        let patience = register.current().listener.idle_timeout;
        let idle = std::pin::pin!(activity.idle(timer, patience));
        tokio::select! {
            biased;
            accepted = served.accept() => match accepted {
                Some(Ok(stream)) => begin(stream, facts, register),
                Some(Err(error)) => {
                    return tracing::debug!(peer = %facts.peer, %error, "HTTP/2 connection broken");
                }
                None => return,
            },
            () = idle => {
                if register.is_draining() && !is_draining {
                    continue;
                }
                served.close(CloseReason::Idle);
                timer.set(CLOSE_TIMEOUT);
                // However it ends, the connection is closed.
                let _ = timer.within(async { while served.accept().await.is_some() {} }).await;
                return;
            }
        }
    }
}

/// Starts the task of a stream.
fn begin(stream: Stream, facts: &Arc<ConnectionFacts>, register: &Rc<Registration>) {
    let of_stream = Arc::new(facts.of_stream());
    let counted = Counted {
        connection: facts.clone(),
        stream: of_stream.clone(),
    };
    let place = register.beside();
    let connection = Connection::new(stream, of_stream, place.clone());
    let task = tokio::task::spawn_local(async move {
        let _counted = counted;
        http::serve_stream(connection).await;
    });
    place.set_task(task.abort_handle());
}

/// Adds what a stream has counted to its connection when the stream ends.
struct Counted {
    connection: Arc<ConnectionFacts>,
    stream: Arc<ConnectionFacts>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        let (connection, stream) = (&self.connection, &self.stream);
        for (all, one) in [
            (&connection.downstream_bytes, &stream.downstream_bytes),
            (&connection.upstream_bytes, &stream.upstream_bytes),
        ] {
            all.fetch_add(one.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }
}
