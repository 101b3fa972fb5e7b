//! Accepts connections and reads requests, within limits.

use super::answer::Problem;
use super::api::{self, Ask};
use super::browser;
use super::operations::Operations;
use super::resource::Resource;
use super::stall::TimedWrites;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Connections at once; more wait in the kernel.
const CONNECTIONS_MAX: usize = 64;
const HEAD_BYTES_MAX: usize = 64 << 10;
const BODY_BYTES_MAX: usize = 64 << 10;
/// For the next head, an idle connection included; for a body with its answer; and for the peer to take any of what it is sent.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long accepting rests when the process is out of descriptors or memory.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// Serves the admin API until dropped, which ends its connections too. Not for workers: what is asked runs between their polls.
///
/// Takes connections from whoever reaches `listener`, so that is bound to a loopback address.
pub async fn serve(listener: TcpListener, operations: Arc<dyn Operations>) {
    // Bounded by CONNECTIONS_MAX.
    let mut connections = JoinSet::new();
    loop {
        while connections.len() >= CONNECTIONS_MAX {
            connections.join_next().await;
        }
        tokio::select! {
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    connections.spawn(serve_connection(stream, peer, operations.clone()));
                }
                Err(error) => rest(&error).await,
            },
        }
    }
}

/// One peer's error is passed over; when the process is out of descriptors or memory, accepting rests and goes on.
async fn rest(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    if !matches!(
        error.kind(),
        ConnectionAborted | ConnectionReset | Interrupted
    ) {
        tracing::error!(%error, "the admin listener rests");
        tokio::time::sleep(EXHAUSTED_PAUSE).await;
    }
}

/// One connection to its end, over any byte stream.
pub(super) async fn serve_connection<S>(
    stream: S,
    peer: SocketAddr,
    operations: Arc<dyn Operations>,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let by = format!("admin {peer}");
    let service = service_fn(|request| answer(request, &*operations, &by));
    let stream = TokioIo::new(TimedWrites::new(stream, TIMEOUT));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(stream, service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%peer, %error, "admin connection ended early");
    }
}

async fn answer(
    request: Request<Incoming>,
    operations: &dyn Operations,
    by: &str,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let answer = match tokio::time::timeout(TIMEOUT, read(request)).await {
        Ok(Ok(ask)) => api::perform(&ask, operations, by),
        Ok(Err(problem)) => Err(problem),
        Err(_) => Err(Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            format!("the body did not arrive within {} s", TIMEOUT.as_secs()),
        )),
    };
    Ok(match answer {
        Ok(answer) => answer.into_response(),
        Err(problem) => problem.into_response(),
    })
}

/// Refuses what must not be looked at, then reads the whole request.
async fn read(request: Request<Incoming>) -> Result<Ask, Problem> {
    let (head, body) = request.into_parts();
    browser::check(&head)?;
    let resource = Resource::find(head.uri.path())?;
    let body = match head.method {
        // What comes with them means nothing (RFC 9110 section 9.3.1); hyper does away with it.
        Method::GET | Method::HEAD => Bytes::new(),
        _ => read_body(&head.headers, body).await?,
    };
    Ok(Ask {
        method: head.method,
        resource,
        query: head.uri.query().unwrap_or_default().to_owned(),
        body,
    })
}

async fn read_body(headers: &HeaderMap, body: Incoming) -> Result<Bytes, Problem> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    if !is_json(headers) {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "a body is JSON, and says so with `Content-Type: application/json`",
        ));
    }
    if body.size_hint().lower() > BODY_BYTES_MAX as u64 {
        return Err(too_large());
    }
    match Limited::new(body, BODY_BYTES_MAX).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(_) => Err(Problem::malformed("the body did not arrive whole")),
    }
}

/// With or without parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let value = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let media_type = value.and_then(|value| value.split(';').next());
    media_type.is_some_and(|text| text.trim().eq_ignore_ascii_case("application/json"))
}

fn too_large() -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("a body has at most {BODY_BYTES_MAX} bytes"),
    )
}
