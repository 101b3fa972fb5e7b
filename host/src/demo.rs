//! Small origins inside the process, so that a first look needs nothing else installed: `demo-origins` in the configuration.
//!
//! An HTTP origin answers every path with its name and the request as it arrived; `/ws` echoes WebSocket messages, `/bytes/N` sends N bytes,
//! `/events` sends one line a second. A TCP origin echoes bytes. They run on the control thread and are no part of the data path.

use crate::config::{DemoKind, DemoOrigin, Diagnostics};
use futures_util::{SinkExt, StreamExt};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt::Write;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

/// Most that `/bytes/N` sends.
const BYTES_MAX: u64 = 1 << 30;
const CHUNK: usize = 64 * 1024;

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// The demo origins that run now.
#[derive(Debug, Default)]
pub(crate) struct Demos(HashMap<SocketAddr, (DemoKind, String, AbortHandle)>);

impl Demos {
    /// Starts those that do not run yet.
    ///
    /// # Errors
    /// Each address that cannot be bound, at its place.
    pub(crate) fn start_new(&mut self, wanted: &[DemoOrigin]) -> Result<(), Diagnostics> {
        let mut errors = Diagnostics::default();
        for origin in wanted {
            let address = origin.address.value;
            if self.runs(origin) {
                continue;
            }
            if let Some((_, _, running)) = self.0.remove(&address) {
                running.abort();
            }
            match bind(address) {
                Ok(socket) => {
                    tracing::info!(name = origin.name, %address, "demo origin");
                    let task = tokio::spawn(accept(socket, origin.kind, origin.name.clone()));
                    self.0.insert(
                        address,
                        (origin.kind, origin.name.clone(), task.abort_handle()),
                    );
                }
                Err(error) => errors.error(
                    origin.address.place,
                    format!("cannot listen on {address}: {error}"),
                    None,
                ),
            }
        }
        if errors.has_errors() {
            Err(errors)
        } else {
            Ok(())
        }
    }

    /// Stops those that are not wanted any more.
    pub(crate) fn stop_unwanted(&mut self, wanted: &[DemoOrigin]) {
        for (_, (_, _, running)) in self
            .0
            .extract_if(|address, _| !wanted.iter().any(|origin| origin.address.value == *address))
        {
            running.abort();
        }
    }

    fn runs(&self, origin: &DemoOrigin) -> bool {
        self.0
            .get(&origin.address.value)
            .is_some_and(|(kind, name, _)| *kind == origin.kind && *name == origin.name)
    }
}

fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = std::net::TcpListener::bind(address)?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket)
}

async fn accept(socket: TcpListener, kind: DemoKind, name: String) {
    loop {
        let Ok((stream, _)) = socket.accept().await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        match kind {
            DemoKind::Http => tokio::spawn(serve_http(stream, name.clone())),
            DemoKind::TcpEcho => tokio::spawn(echo(stream)),
        };
    }
}

async fn echo(mut stream: TcpStream) {
    let (mut read, mut write) = stream.split();
    // A connection that breaks ends its echo.
    let _ = tokio::io::copy(&mut read, &mut write).await;
}

async fn serve_http(stream: TcpStream, name: String) {
    let service = hyper::service::service_fn(move |request| {
        let name = name.clone();
        async move { Ok::<_, Infallible>(respond(request, &name).await) }
    });
    let connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // A connection that breaks concerns nobody else.
    let _ = connection.with_upgrades().await;
}

async fn respond(mut request: Request<Incoming>, name: &str) -> Response<Body> {
    if let Some(key) = request.headers().get(SEC_WEBSOCKET_KEY) {
        let accept = derive_accept_key(key.as_bytes());
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            if let Ok(upgraded) = upgrade.await {
                echo_messages(
                    WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None)
                        .await,
                )
                .await;
            }
        });
        let switching = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
        let switching = switching
            .header(CONNECTION, "upgrade")
            .header(UPGRADE, "websocket")
            .header(SEC_WEBSOCKET_ACCEPT, accept);
        return built(switching, text(String::new()));
    }
    let path = request.uri().path();
    let response = Response::builder()
        .header("server", "tollgate-demo")
        .header("x-origin", name);
    if let Some(count) = path
        .strip_prefix("/bytes/")
        .and_then(|count| count.parse::<u64>().ok())
    {
        let count = count.min(BYTES_MAX);
        return built(response.header("content-length", count), bytes(count));
    }
    if path == "/events" {
        return built(response.header("content-type", "text/plain"), events());
    }
    let description = describe(&request, name);
    let received = request
        .into_body()
        .collect()
        .await
        .map_or(0, |body| body.to_bytes().len());
    built(
        response.header("content-type", "text/plain"),
        text(format!("{description}body: {received} bytes\n")),
    )
}

fn built(response: hyper::http::response::Builder, body: Body) -> Response<Body> {
    response.body(body).expect("every header here is valid")
}

fn describe(request: &Request<Incoming>, name: &str) -> String {
    let mut description = format!("origin: {name}\n{} {}\n", request.method(), request.uri());
    for (header, value) in request.headers() {
        let _ = writeln!(
            description,
            "{header}: {}",
            String::from_utf8_lossy(value.as_bytes())
        );
    }
    description
}

fn text(text: String) -> Body {
    Full::new(Bytes::from(text)).boxed_unsync()
}

fn bytes(count: u64) -> Body {
    let chunk = Bytes::from(vec![b'x'; CHUNK]);
    let frames = futures_util::stream::unfold(count, move |left| {
        let chunk = chunk.slice(..usize::try_from(left).unwrap_or(CHUNK).min(CHUNK));
        async move {
            (!chunk.is_empty()).then(|| (Ok(Frame::data(chunk.clone())), left - chunk.len() as u64))
        }
    });
    StreamBody::new(frames).boxed_unsync()
}

fn events() -> Body {
    let frames = futures_util::stream::unfold(0u64, |number| async move {
        if number > 0 {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Some((
            Ok(Frame::data(Bytes::from(format!("event {number}\n")))),
            number + 1,
        ))
    });
    StreamBody::new(frames).boxed_unsync()
}

async fn echo_messages(socket: WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>) {
    let (mut sink, mut messages) = socket.split();
    while let Some(Ok(message)) = messages.next().await {
        let echoed = message.is_text() || message.is_binary();
        if echoed && sink.send(message).await.is_err() {
            return;
        }
    }
}
