//! One request with its response, and every fact of it that plugins may read.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::facts::{ProxyFacts, TlsFacts};
use super::fields::Fields;
use super::head::{RequestHead, ResponseHead, Version};
use super::syntax::write_decimal;

/// One thing that can be read of an exchange; the WIT `types.field`. Header names are lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Field {
    Method,
    Path,
    Query,
    Scheme,
    Host,
    Protocol,
    ClientAddress,
    ClientPort,
    LocalAddress,
    LocalPort,
    Listener,
    ConnectionId,
    ExchangeId,
    Status,
    /// A header of the message of the current phase: the response's once there is one.
    Header(Box<str>),
    RequestHeader(Box<str>),
    Tag(Box<str>),
    ConnectionDuration,
    DownstreamBytes,
    UpstreamBytes,
}

/// The scheme by which the downstream reached us.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    #[default]
    Http,
    Https,
}

impl Scheme {
    pub fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }
}

/// What is known of a downstream connection. Shared by its exchanges; only the byte counters move.
#[derive(Debug)]
pub struct ConnectionFacts {
    /// Unique to the connection during the life of the process.
    pub id: u64,
    /// The other end, or what a trusted PROXY header said.
    pub peer: SocketAddr,
    /// The address the connection was accepted on.
    pub local: SocketAddr,
    /// The name of the listener.
    pub listener: Arc<str>,
    pub scheme: Scheme,
    /// It speaks HTTP/2; the exchange is one stream of it.
    pub http2: bool,
    /// Of the handshake, where the listener has TLS.
    pub tls: Option<Arc<TlsFacts>>,
    /// Of a trusted PROXY header.
    pub proxy: Option<Arc<ProxyFacts>>,
    pub accepted: Instant,
    /// What network filters have set, in order; a name stands at most once (see [`set_tag`](ConnectionFacts::set_tag)).
    pub tags: Vec<(Box<str>, Vec<u8>)>,
    /// Bytes received from the downstream so far.
    pub downstream_bytes: AtomicU64,
    /// Bytes sent to the downstream so far.
    pub upstream_bytes: AtomicU64,
}

impl ConnectionFacts {
    /// The same facts for one stream of the connection, which counts its own bytes.
    pub fn of_stream(&self) -> ConnectionFacts {
        ConnectionFacts {
            id: self.id,
            peer: self.peer,
            local: self.local,
            listener: self.listener.clone(),
            scheme: self.scheme,
            http2: true,
            tls: self.tls.clone(),
            proxy: self.proxy.clone(),
            accepted: self.accepted,
            tags: self.tags.clone(),
            downstream_bytes: AtomicU64::new(0),
            upstream_bytes: AtomicU64::new(0),
        }
    }

    /// Counts bytes received from the downstream. Only the task of the connection counts, so no atomic addition is needed.
    pub fn count_received(&self, bytes: u64) {
        add(&self.downstream_bytes, bytes);
    }

    /// Counts bytes sent to the downstream; likewise.
    pub fn count_sent(&self, bytes: u64) {
        add(&self.upstream_bytes, bytes);
    }

    /// Sets a tag, replacing an earlier value of the same name.
    pub fn set_tag(&mut self, name: &str, value: &[u8]) {
        set_tag(&mut self.tags, name, value);
    }

    /// Appends the value of a tag, or of a fact of TLS or PROXY protocol under its name, and says whether there is one.
    pub fn read_tag(&self, name: &str, out: &mut Vec<u8>) -> bool {
        let tls = self.tls.as_deref();
        let proxy = self.proxy.as_deref();
        write_tag(&self.tags, name, out)
            || tls.is_some_and(|tls| tls.read(name, out))
            || proxy.is_some_and(|proxy| proxy.read(name, out))
    }

    /// Appends the value of a field of the connection to `out` and says whether there is one. `now` is the time of the call, for the duration.
    ///
    /// Fields of an exchange are absent here. Address and port of the client are the peer's.
    pub fn read(&self, field: &Field, now: Instant, out: &mut Vec<u8>) -> bool {
        match field {
            Field::Scheme => out.extend_from_slice(self.scheme.as_str().as_bytes()),
            Field::ClientAddress => write_text(self.peer.ip(), out),
            Field::ClientPort => write_decimal(self.peer.port().into(), out),
            Field::LocalAddress => write_text(self.local.ip(), out),
            Field::LocalPort => write_decimal(self.local.port().into(), out),
            Field::Listener => out.extend_from_slice(self.listener.as_bytes()),
            Field::ConnectionId => write_decimal(self.id, out),
            Field::Tag(name) => return self.read_tag(name, out),
            Field::ConnectionDuration => {
                write_decimal(nanoseconds_between(self.accepted, now), out)
            }
            Field::DownstreamBytes => {
                write_decimal(self.downstream_bytes.load(Ordering::Relaxed), out)
            }
            Field::UpstreamBytes => write_decimal(self.upstream_bytes.load(Ordering::Relaxed), out),
            Field::Method
            | Field::Path
            | Field::Query
            | Field::Host
            | Field::Protocol
            | Field::ExchangeId
            | Field::Status
            | Field::Header(_)
            | Field::RequestHeader(_) => return false,
        }
        true
    }
}

fn add(counter: &AtomicU64, bytes: u64) {
    counter.store(counter.load(Ordering::Relaxed) + bytes, Ordering::Relaxed);
}

/// One request with its response. Reused for one exchange after the other; [`Exchange::begin`] starts the next.
#[derive(Debug)]
pub struct Exchange {
    /// Unique to the exchange during the life of the process.
    pub id: u64,
    pub connection: Arc<ConnectionFacts>,
    /// The peer, or what a trusted peer said in a forwarding header.
    pub client_address: IpAddr,
    /// The peer's port; `None` when the address came from a forwarding header.
    pub client_port: Option<u16>,
    /// The time of the current phase, set by the caller; this room reads no clock.
    pub now: Instant,
    pub request: RequestHead,
    pub response: ResponseHead,
    /// Whether `response` is there, that is, the exchange is in its response phases.
    pub has_response: bool,
    /// What filters of this exchange have set, in order; a name stands at most once.
    pub tags: Vec<(Box<str>, Vec<u8>)>,
    /// With what priority the request waits in queues, -2047 to 2047, lower first; `None` while no filter has said.
    pub priority: Option<i16>,
    /// 128 bits that no other exchange has; [`Exchange::unique_id`] is their text.
    pub unique: [u64; 2],
}

impl Exchange {
    /// An empty exchange on a connection, with the peer as client.
    pub fn new(connection: Arc<ConnectionFacts>) -> Exchange {
        Exchange {
            id: 0,
            client_address: connection.peer.ip(),
            client_port: Some(connection.peer.port()),
            now: connection.accepted,
            connection,
            request: RequestHead::new(),
            response: ResponseHead::new(),
            has_response: false,
            tags: Vec::new(),
            priority: None,
            unique: [0; 2],
        }
    }

    /// Clears everything and starts the next exchange, on `connection` and with its peer as client; the buffers are kept.
    pub fn begin(
        &mut self,
        id: u64,
        connection: &Arc<ConnectionFacts>,
        unique: [u64; 2],
        now: Instant,
    ) {
        if !Arc::ptr_eq(&self.connection, connection) {
            self.connection = Arc::clone(connection);
        }
        self.id = id;
        self.client_address = connection.peer.ip();
        self.client_port = Some(connection.peer.port());
        self.now = now;
        self.request.clear();
        self.response.clear();
        self.has_response = false;
        self.tags.clear();
        self.priority = None;
        self.unique = unique;
    }

    /// Appends the value of a field as it stands now to `out`, and says whether there is one. Nothing is appended when there is none.
    pub fn read(&self, field: &Field, out: &mut Vec<u8>) -> bool {
        match field {
            Field::Method => out.extend_from_slice(self.request.method().as_bytes()),
            Field::Path => out.extend_from_slice(self.request.path_bytes()),
            Field::Query => return write_some(self.request.query().map(str::as_bytes), out),
            Field::Host => {
                let host = self.request.host();
                return write_some((!host.is_empty()).then_some(host.as_bytes()), out);
            }
            Field::Protocol => out.extend_from_slice(self.protocol().as_bytes()),
            Field::ClientAddress => write_text(self.client_address, out),
            Field::ClientPort => match self.client_port {
                Some(port) => write_decimal(port.into(), out),
                None => return false,
            },
            Field::ExchangeId => write_decimal(self.id, out),
            Field::Status if self.has_response => write_decimal(self.response.status().into(), out),
            Field::Status => return false,
            Field::Header(name) => return self.current_fields().joined(name.as_bytes(), out),
            Field::RequestHeader(name) => {
                return self.request.fields().joined(name.as_bytes(), out);
            }
            Field::Tag(name) => return self.read_tag(name, out),
            Field::Scheme
            | Field::LocalAddress
            | Field::LocalPort
            | Field::Listener
            | Field::ConnectionId
            | Field::ConnectionDuration
            | Field::DownstreamBytes
            | Field::UpstreamBytes => return self.connection.read(field, self.now, out),
        }
        true
    }

    /// The protocol of the downstream: `HTTP/1.1`.
    pub fn protocol(&self) -> &'static str {
        match self.request.version() {
            _ if self.connection.http2 => "HTTP/2",
            Version::Http10 => "HTTP/1.0",
            Version::Http11 => "HTTP/1.1",
        }
    }

    /// The header section of the current phase: the response's once there is one.
    pub fn current_fields(&self) -> &Fields {
        if self.has_response {
            self.response.fields()
        } else {
            self.request.fields()
        }
    }

    /// The same, for edits.
    pub fn current_fields_mut(&mut self) -> &mut Fields {
        if self.has_response {
            self.response.fields_mut()
        } else {
            self.request.fields_mut()
        }
    }

    /// Sets a tag, replacing an earlier value of the same name; it hides a tag of the connection of that name.
    pub fn set_tag(&mut self, name: &str, value: &[u8]) {
        set_tag(&mut self.tags, name, value);
    }

    /// Appends the value of a tag of the exchange, or else of its connection ([`ConnectionFacts::read_tag`]), and says whether there is one.
    pub fn read_tag(&self, name: &str, out: &mut Vec<u8>) -> bool {
        write_tag(&self.tags, name, out) || self.connection.read_tag(name, out)
    }

    /// 32 lower-case hexadecimal digits, the same for the whole exchange.
    pub fn unique_id(&self) -> [u8; 32] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let bits = (u128::from(self.unique[0]) << 64) | u128::from(self.unique[1]);
        std::array::from_fn(|digit| DIGITS[(bits >> (124 - 4 * digit)) as usize & 15])
    }
}

fn nanoseconds_between(from: Instant, to: Instant) -> u64 {
    u64::try_from(to.saturating_duration_since(from).as_nanos()).unwrap_or(u64::MAX)
}

fn write_some(value: Option<&[u8]>, out: &mut Vec<u8>) -> bool {
    value.map(|value| out.extend_from_slice(value)).is_some()
}

fn write_text(address: IpAddr, out: &mut Vec<u8>) {
    use std::io::Write;
    match address {
        // By hand, since the general formatter takes several times as long and this field is read by most filters.
        IpAddr::V4(address) => {
            for (index, octet) in address.octets().into_iter().enumerate() {
                if index > 0 {
                    out.push(b'.');
                }
                write_decimal(octet.into(), out);
            }
        }
        IpAddr::V6(address) => write!(out, "{address}").expect("writing to a Vec cannot fail"),
    }
}

fn write_tag(tags: &[(Box<str>, Vec<u8>)], name: &str, out: &mut Vec<u8>) -> bool {
    let found = tags.iter().find(|(tag, _)| **tag == *name);
    write_some(found.map(|(_, value)| value.as_slice()), out)
}

fn set_tag(tags: &mut Vec<(Box<str>, Vec<u8>)>, name: &str, value: &[u8]) {
    match tags.iter_mut().find(|(tag, _)| **tag == *name) {
        Some((_, old)) => {
            old.clear();
            old.extend_from_slice(value);
        }
        None => tags.push((name.into(), value.to_vec())),
    }
}
