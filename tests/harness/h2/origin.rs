//! An origin that speaks HTTP/2.

use super::{LOOP, header_map, receive, receive_trailers, send, wait_for};
use crate::harness::wait;
use ::h2::server::{Builder, Connection, SendResponse};
use ::h2::{Error, Reason, RecvStream, SendStream};
use ::http::request::Parts;
use ::http::{HeaderMap, Response};
use bytes::Bytes;
use std::fmt;
use std::future::poll_fn;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

/// Listens, with a thread for each stream. Shows itself as its address.
pub(crate) struct H2Origin {
    address: SocketAddr,
    record: Arc<Record>,
}

/// A request and its response, in the hands of the origin's handler. Dropped before its end, it is reset.
pub(crate) struct H2Exchange {
    pub(crate) request: Parts,
    /// 0 for the first connection that the origin accepted.
    pub(crate) connection: usize,
    body: RecvStream,
    respond: SendResponse<Bytes>,
    stream: Option<SendStream<Bytes>>,
    orders: mpsc::UnboundedSender<Order>,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) uri: String,
    pub(crate) headers: HeaderMap,
    pub(crate) connection: usize,
}

#[derive(Default)]
struct Record {
    requests: Mutex<Vec<Seen>>,
    connections: Mutex<(usize, usize)>,
}

/// What a handler wants of its connection.
enum Order {
    GoAway,
    Abort,
}

type Handler = dyn Fn(H2Exchange) + Send + Sync;

impl H2Origin {
    /// Each request is given to `handler`.
    pub(crate) fn start(handler: impl Fn(H2Exchange) + Send + Sync + 'static) -> H2Origin {
        H2Origin::with(|_| {}, handler)
    }

    /// As [`H2Origin::start`], with settings.
    pub(crate) fn with(
        set: impl FnOnce(&mut Builder),
        handler: impl Fn(H2Exchange) + Send + Sync + 'static,
    ) -> H2Origin {
        let mut builder = Builder::new();
        builder.enable_connect_protocol();
        set(&mut builder);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        listener.set_nonblocking(true).expect("a socket");
        let record: Arc<Record> = Arc::default();
        let handler: Arc<Handler> = Arc::new(handler);
        LOOP.spawn(accept(listener, builder, record.clone(), handler));
        H2Origin { address, record }
    }

    /// Answers every request with 200 and this body.
    pub(crate) fn named(name: &'static str) -> H2Origin {
        H2Origin::start(move |mut exchange| {
            exchange.body();
            exchange.answer(name);
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections accepted so far.
    pub(crate) fn connections(&self) -> usize {
        self.record.connections.lock().expect("held shortly").0
    }

    /// Requests whose head has come so far.
    pub(crate) fn requests(&self) -> Vec<Seen> {
        self.record.requests.lock().expect("held shortly").clone()
    }

    /// Request number `index` of all connections.
    pub(crate) fn request(&self, index: usize) -> Seen {
        wait(|| {
            let requests = self.requests();
            requests.get(index).cloned().ok_or("no request".to_owned())
        })
    }

    /// Until `count` connections have ended.
    pub(crate) fn wait_for_ends(&self, count: usize) {
        wait(|| match self.record.connections.lock() {
            Ok(counts) if counts.1 >= count => Ok(()),
            counts => Err(format!("{counts:?}")),
        });
    }
}

impl fmt::Display for H2Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

async fn accept(
    listener: TcpListener,
    builder: Builder,
    record: Arc<Record>,
    handler: Arc<Handler>,
) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("an event loop");
    while let Ok((stream, _)) = listener.accept().await {
        let number = {
            let mut connections = record.connections.lock().expect("held shortly");
            connections.0 += 1;
            connections.0 - 1
        };
        let (builder, record, handler) = (builder.clone(), record.clone(), handler.clone());
        LOOP.spawn(async move {
            serve(stream, builder, number, &record, &handler).await;
            record.connections.lock().expect("held shortly").1 += 1;
        });
    }
}

async fn serve(
    stream: TcpStream,
    builder: Builder,
    number: usize,
    record: &Record,
    handler: &Arc<Handler>,
) {
    let Ok(mut connection) = builder.handshake(stream).await else {
        return;
    };
    let (orders, mut given) = mpsc::unbounded_channel();
    loop {
        let connection: &mut Connection<TcpStream, Bytes> = &mut connection;
        tokio::select! {
            order = given.recv() => match order {
                Some(Order::GoAway) => connection.graceful_shutdown(),
                Some(Order::Abort) | None => return,
            },
            accepted = connection.accept() => {
                let Some(Ok((request, respond))) = accepted else { return };
                let (request, body) = request.into_parts();
                record.requests.lock().expect("held shortly").push(Seen {
                    method: request.method.to_string(),
                    uri: request.uri.to_string(),
                    headers: request.headers.clone(),
                    connection: number,
                });
                let exchange = H2Exchange {
                    request, connection: number, body, respond, stream: None, orders: orders.clone(),
                };
                let handler = handler.clone();
                std::thread::spawn(move || handler(exchange));
            }
        }
    }
}

impl H2Exchange {
    pub(crate) fn path(&self) -> &str {
        self.request.uri.path()
    }

    /// The next data; none at the end.
    pub(crate) fn data(&mut self) -> Option<Result<Bytes, Error>> {
        receive(&mut self.body)
    }

    /// The body as far as it comes.
    pub(crate) fn body(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(Ok(piece)) = self.data() {
            all.extend(piece);
        }
        all
    }

    /// Behind the body.
    pub(crate) fn trailers(&mut self) -> Option<HeaderMap> {
        receive_trailers(&mut self.body).expect("an open stream")
    }

    pub(crate) fn interim(&mut self, status: u16, headers: &[(&str, &str)]) {
        let sent = self.respond.send_informational(response(status, headers));
        sent.expect("an open stream");
    }

    /// The head; false when the stream is gone.
    pub(crate) fn head(&mut self, status: u16, headers: &[(&str, &str)], end: bool) -> bool {
        match self.respond.send_response(response(status, headers), end) {
            Ok(stream) => {
                self.stream = Some(stream);
                true
            }
            Err(_) => false,
        }
    }

    /// Data; false when the peer takes no more.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>, end: bool) -> bool {
        send(
            self.stream.as_mut().expect("the head was sent"),
            bytes.as_ref(),
            end,
        )
    }

    pub(crate) fn send_trailers(&mut self, trailers: &[(&str, &str)]) {
        let stream = self.stream.as_mut().expect("the head was sent");
        let sent = stream.send_trailers(header_map(trailers));
        sent.expect("an open stream");
    }

    /// 200 with this body.
    pub(crate) fn answer(&mut self, body: impl AsRef<[u8]>) {
        if self.head(200, &[], false) {
            self.send(body, true);
        }
    }

    pub(crate) fn reset(&mut self, reason: Reason) {
        match &mut self.stream {
            Some(stream) => stream.send_reset(reason),
            None => self.respond.send_reset(reason),
        }
    }

    /// Waits until the peer resets the stream.
    pub(crate) fn wait_for_reset(&mut self) -> Option<Reason> {
        let reset = match &mut self.stream {
            Some(stream) => wait_for("a reset", poll_fn(|cx| stream.poll_reset(cx))),
            None => wait_for("a reset", poll_fn(|cx| self.respond.poll_reset(cx))),
        };
        reset.ok()
    }

    /// Tells the peer that no further stream is served on this connection.
    pub(crate) fn go_away(&self) {
        // A connection that has ended serves none either.
        let _ = self.orders.send(Order::GoAway);
    }

    /// Closes the connection with all its streams.
    pub(crate) fn abort_connection(mut self) {
        // It may have ended already.
        let _ = self.orders.send(Order::Abort);
        // Dropped before that, the stream would be reset by itself first.
        self.wait_for_reset();
    }
}

fn response(status: u16, headers: &[(&str, &str)]) -> Response<()> {
    let mut response = Response::builder()
        .status(status)
        .body(())
        .expect("a response");
    *response.headers_mut() = header_map(headers);
    response
}
