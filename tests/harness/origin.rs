//! Scripted origins: what they received is kept to the byte, what they answer is up to the test.

use super::{Head, PATIENCE, Wire};
use socket2::{Domain, Socket, Type};
use std::fmt;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// A listening origin with a thread for each connection. Shows itself as its address, so it fits into a configuration.
pub(crate) struct Origin {
    address: SocketAddr,
    record: Arc<Record>,
}

/// An accepted connection, in the hands of the origin's handler.
pub(crate) struct Peer {
    wire: Wire,
    /// 0 for the first connection that the origin accepted.
    pub(crate) number: usize,
    record: Arc<Record>,
}

/// A request, out of its framing.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(String, String)>,
    /// False if the connection ended within the body.
    pub(crate) complete: bool,
    /// The connection it came on.
    pub(crate) connection: usize,
}

#[derive(Default)]
struct Record {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    connections: Vec<Arc<Mutex<Vec<u8>>>>,
    requests: Vec<Request>,
    ended: usize,
}

impl Origin {
    /// Each connection is given to `handler` in a thread of its own, and closed when that returns.
    pub(crate) fn start(handler: impl Fn(Peer) + Send + Sync + 'static) -> Origin {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        Origin::start_on(listener, handler)
    }

    /// As [`Origin::start`], with a socket of the test's choice.
    pub(crate) fn start_on(
        listener: TcpListener,
        handler: impl Fn(Peer) + Send + Sync + 'static,
    ) -> Origin {
        let origin = Origin {
            address: listener.local_addr().expect("bound"),
            record: Arc::default(),
        };
        let (record, handler) = (origin.record.clone(), Arc::new(handler));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (peer, handler) = (Peer::new(stream, record.clone()), handler.clone());
                std::thread::spawn(move || {
                    let ended = EndOfPeer(peer.record.clone());
                    handler(peer);
                    drop(ended);
                });
            }
        });
        origin
    }

    /// Answers every request on every connection with what `answer` makes of it.
    pub(crate) fn answering(
        answer: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static,
    ) -> Origin {
        Origin::start(move |mut peer| {
            while let Some(request) = peer.request() {
                peer.send(answer(&request));
            }
        })
    }

    /// Answers every request with these bytes.
    pub(crate) fn saying(answer: impl Into<Vec<u8>>) -> Origin {
        let answer = answer.into();
        Origin::answering(move |_| answer.clone())
    }

    /// Answers every request with 200 and this body.
    pub(crate) fn named(name: &str) -> Origin {
        Origin::saying(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}",
            name.len()
        ))
    }

    /// Answers every request with 200 and, as the body, the request as it came: head, then body out of its framing.
    pub(crate) fn echo() -> Origin {
        Origin::answering(|request| {
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
                request.head.raw.len() + request.body.len()
            );
            [head.as_bytes(), request.head.raw.as_bytes(), &request.body].concat()
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections accepted so far.
    pub(crate) fn connections(&self) -> usize {
        self.record
            .state
            .lock()
            .expect("nobody panics holding it")
            .connections
            .len()
    }

    /// Requests read so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.record
            .state
            .lock()
            .expect("nobody panics holding it")
            .requests
            .clone()
    }

    /// Request number `index` of all connections, once it has arrived whole.
    pub(crate) fn request(&self, index: usize) -> Request {
        self.record
            .wait("a request", |state| state.requests.get(index).cloned())
    }

    /// Until `count` connections have been accepted.
    pub(crate) fn wait_for_connections(&self, count: usize) {
        self.record.wait("a connection", |state| {
            (state.connections.len() >= count).then_some(())
        });
    }

    /// Until the handlers of `count` connections have returned.
    pub(crate) fn wait_for_ends(&self, count: usize) {
        self.record.wait("the end of a connection", |state| {
            (state.ended >= count).then_some(())
        });
    }

    /// The bytes received so far, up to a mebibyte, on connection `number`.
    pub(crate) fn received(&self, number: usize) -> Vec<u8> {
        let received = self.record.wait("a connection", |state| {
            state.connections.get(number).cloned()
        });
        let received = received.lock().expect("nobody panics holding it");
        received.clone()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

impl Record {
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.state.lock().expect("nobody panics holding it"));
        self.changed.notify_all();
        changed
    }

    fn wait<T>(&self, what: &str, look: impl Fn(&State) -> Option<T>) -> T {
        let state = self.state.lock().expect("nobody panics holding it");
        let waited = self
            .changed
            .wait_timeout_while(state, PATIENCE, |state| look(state).is_none());
        let (state, _) = waited.expect("nobody panics holding it");
        let found = look(&state);
        drop(state);
        found.unwrap_or_else(|| panic!("the origin waited in vain for {what}"))
    }
}

struct EndOfPeer(Arc<Record>);

impl Drop for EndOfPeer {
    fn drop(&mut self) {
        self.0.change(|state| state.ended += 1);
    }
}

impl Peer {
    fn new(stream: TcpStream, record: Arc<Record>) -> Peer {
        // An idle connection waits for as long as the proxy keeps it.
        let wire = Wire::new(stream, None);
        let number = record.change(|state| {
            state.connections.push(wire.received());
            state.connections.len() - 1
        });
        Peer {
            wire,
            number,
            record,
        }
    }

    /// The next request with its body; none when the connection ends instead. It is in [`Origin::requests`] from then on.
    pub(crate) fn request(&mut self) -> Option<Request> {
        let head = self.wire.head()?;
        Some(self.finish_request(head))
    }

    /// The body after a request head that was read with [`Wire::head`].
    pub(crate) fn finish_request(&mut self, head: Head) -> Request {
        let body = self.wire.body(&head, false);
        let request = Request {
            head,
            body: body.data,
            trailers: body.trailers,
            complete: body.complete,
            connection: self.number,
        };
        self.record
            .change(|state| state.requests.push(request.clone()));
        request
    }

    /// Answers 200 with a body of known length.
    pub(crate) fn answer(&mut self, body: &str) {
        self.send(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ));
    }

    /// Closes with a reset.
    pub(crate) fn abort(self) {
        self.wire.reset();
    }
}

impl Deref for Peer {
    type Target = Wire;
    fn deref(&self) -> &Wire {
        &self.wire
    }
}

impl DerefMut for Peer {
    fn deref_mut(&mut self) -> &mut Wire {
        &mut self.wire
    }
}

/// An address that refuses connections for as long as the socket is held, since nobody else gets the port.
pub(crate) fn closed_port() -> (Socket, SocketAddr) {
    bound()
}

/// An address where connections are neither accepted nor refused: its accept queue is full.
pub(crate) fn deaf_port() -> (Socket, Vec<TcpStream>, SocketAddr) {
    let (socket, address) = bound();
    socket.listen(0).expect("a bound socket");
    let mut queued = Vec::new();
    // The kernel takes a connection or two more than the backlog says, and then answers no more.
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        queued.push(stream);
    }
    (socket, queued, address)
}

fn bound() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
    socket.bind(&any.into()).expect("a free port");
    let address = socket
        .local_addr()
        .expect("bound")
        .as_socket()
        .expect("an IP address");
    (socket, address)
}
