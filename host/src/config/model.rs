//! The configuration as written: every default filled in, every name still a name, every place kept.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use crate::net::address::{ListenAddress, UnixAddress};

use super::availability::{
    Affinity, Backups, CircuitBreaker, Discovery, HealthCheck, Mirror, OnDown, OutlierDetection,
    Percent, PreferZone, Queue, Retry,
};
use super::protocols::{
    ClientTls, Compress, HelloMatch, Http2, ProxyProtocolIn, ProxyProtocolOut, ServerTls,
};
use super::{Place, PluginManifest, RouteMatch, Settings, Template};

/// A value and where it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spanned<T> {
    pub value: T,
    pub place: Place,
}

/// All files together.
#[derive(Debug, Clone, Default)]
pub struct Config {
    pub process: Process,
    /// Where the admin API listens; loopback only. Default: nowhere.
    pub admin: Vec<Spanned<SocketAddr>>,
    /// Declared plugins in file order; bundled ones need no entry.
    pub plugins: Vec<Plugin>,
    /// Stores whose limits are written; others may be granted too.
    pub stores: Vec<Store>,
    pub listeners: Vec<Listener>,
    pub clusters: Vec<Cluster>,
    pub demo_origins: Vec<DemoOrigin>,
    /// The manifest of every plugin that is used or declared, by name.
    pub manifests: HashMap<String, PluginManifest>,
}

/// `process { … }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Event loops. Default: one per core.
    pub workers: Workers,
    pub log: Log,
    /// How long old generations may finish their work. Default 30 s.
    pub drain_timeout: Duration,
    /// How long `/ready` answers 503 before draining begins, up to 10 min. Default none.
    pub drain_delay: Duration,
}

impl Default for Process {
    fn default() -> Self {
        Self {
            workers: Workers::Auto,
            log: Log::default(),
            drain_timeout: Duration::from_secs(30),
            drain_delay: Duration::ZERO,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workers {
    /// One per core.
    Auto,
    /// 1 to 1024.
    Count(NonZeroUsize),
}

/// `log level="info" format="text"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Log {
    pub level: LogLevel,
    pub format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogLevel {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

impl Config {
    /// The files of plugins, to be watched.
    pub fn plugin_files(&self) -> impl Iterator<Item = &PathBuf> {
        let paths = self
            .plugins
            .iter()
            .filter_map(|plugin| plugin.path.as_ref());
        paths.map(|path| &path.value)
    }
}

/// `plugin "name" "file.wasm" { … }`: a plugin that is not bundled; without a file, what a bundled one may do.
#[derive(Debug, Clone)]
pub struct Plugin {
    pub name: Spanned<String>,
    /// Relative paths are relative to the file that declares the plugin.
    pub path: Option<Spanned<PathBuf>>,
    /// The pin, which the component matched when it was read; 64 lower-case hexadecimal digits.
    pub sha256: Option<Spanned<String>>,
    pub budgets: PluginBudgets,
    /// None where there is no `grant`: see [`Config::stores_of`].
    pub grants: Option<PluginGrants>,
}

/// `grant { … }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginGrants {
    /// In file order, no name twice.
    pub stores: Vec<Spanned<String>>,
}

/// `store "name" { … }`.
#[derive(Debug, Clone)]
pub struct Store {
    pub name: Spanned<String>,
    pub limits: StoreLimits,
}

/// What one store may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreLimits {
    /// From 1. Default 250 000.
    pub entries_max: u32,
    /// Keys, values and 192 bytes an entry; 128 KiB to 1 TiB. Default 64 MiB.
    pub bytes_max: u64,
}

impl Default for StoreLimits {
    fn default() -> Self {
        Self {
            entries_max: 250_000,
            bytes_max: 64 << 20,
        }
    }
}

/// What one plugin may use. Bundled plugins have the defaults unless a `plugin` node says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PluginBudgets {
    /// Linear memory of one instance, 64 KiB to 4 GiB. Default 64 MiB.
    pub memory_bytes_max: u64,
    /// One call, 1 ms to 10 s. Default 10 ms.
    pub time_max: Duration,
    /// Instances on one worker that serve one exchange each, 1 to 4,000. Default 256.
    pub instances_max: u32,
}

impl Default for PluginBudgets {
    fn default() -> Self {
        Self {
            memory_bytes_max: 64 << 20,
            time_max: Duration::from_millis(10),
            instances_max: 256,
        }
    }
}

/// `listener "name" "address" … { … }`.
#[derive(Debug, Clone)]
pub struct Listener {
    pub name: Spanned<String>,
    /// At least one. Port 0 asks the system for a free port.
    pub addresses: Vec<Spanned<ListenAddress>>,
    /// Permissions of the files of Unix sockets, such as 0o660. Default: as the process's umask leaves them.
    pub unix_mode: Option<u32>,
    pub tls: Option<ServerTls>,
    pub proxy_protocol: Option<ProxyProtocolIn>,
    /// Downstream connections at once, 1 to 10 000 000. Default 10 000.
    pub connections_max: u32,
    /// How long a connection may be silent: between requests (HTTP, default 60 s), in both directions (TCP, default 1 h).
    pub idle_timeout: Duration,
    /// In this order, when a connection is accepted.
    pub network_filters: Vec<Filter>,
    pub protocol: ListenerProtocol,
}

/// `protocol "http"` (the default) or `protocol "tcp"`, with what only that protocol has.
#[derive(Debug, Clone)]
pub enum ListenerProtocol {
    Http(Box<HttpListener>),
    Tcp(TcpListener),
}

#[derive(Debug, Clone)]
pub struct TcpListener {
    /// At least one; the first that matches wins.
    pub routes: Vec<TcpRoute>,
    /// How long the first bytes may take where a route asks for something of the TLS hello. Default 5 s.
    pub hello_timeout: Duration,
}

/// `route … { cluster "name" }` of a TCP listener.
#[derive(Debug, Clone)]
pub struct TcpRoute {
    /// As [`Route::name`].
    pub name: Spanned<String>,
    pub matcher: HelloMatch,
    pub cluster: Spanned<String>,
    /// As [`Route::priority`].
    pub priority: i16,
}

#[derive(Debug, Clone)]
pub struct HttpListener {
    /// Peers whose forwarding headers are believed. Default: none.
    pub trust_forwarded: Vec<IpNet>,
    /// Request line and headers, 1 KiB to 1 MiB. Default 64 KiB. Beyond it: 431.
    pub header_bytes_max: usize,
    /// Header lines, 1 to 10 000. Default 128. Beyond it: 431.
    pub headers_max: usize,
    /// Request body. Default: no limit. Beyond it: 413.
    pub body_bytes_max: Option<u64>,
    /// From the first byte of a request head to its last. Default 10 s.
    pub request_head_timeout: Duration,
    /// Between two reads of a request body. Default 60 s.
    pub request_body_timeout: Duration,
    /// Silence in both directions after an upgrade. Default 1 h.
    pub tunnel_timeout: Duration,
    /// `%2F` and `%5C` in a path. Default: reject.
    pub escaped_slashes: EscapedSlashes,
    /// `//` in a path becomes `/`. Default true.
    pub merge_slashes: bool,
    /// Header names with `_`. Default: drop.
    pub header_underscores: HeaderUnderscores,
    pub http2: Http2,
    /// For every route, before the route's own.
    pub filters: Vec<Filter>,
    /// The first that matches wins.
    pub routes: Vec<Route>,
}

impl Default for HttpListener {
    fn default() -> Self {
        Self {
            trust_forwarded: Vec::new(),
            header_bytes_max: 64 << 10,
            headers_max: 128,
            body_bytes_max: None,
            request_head_timeout: Duration::from_secs(10),
            request_body_timeout: Duration::from_secs(60),
            tunnel_timeout: Duration::from_secs(3600),
            escaped_slashes: EscapedSlashes::Reject,
            merge_slashes: true,
            header_underscores: HeaderUnderscores::Drop,
            http2: Http2::default(),
            filters: Vec::new(),
            routes: Vec::new(),
        }
    }
}

/// What to do with `%2F` and `%5C` in a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EscapedSlashes {
    Reject,
    Keep,
}

/// What to do with a header whose name contains `_`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderUnderscores {
    Drop,
    Keep,
    /// Refuse the request with 400.
    Reject,
}

/// A plugin in a filter chain.
#[derive(Debug, Clone)]
pub struct Filter {
    pub plugin: PluginUse,
    pub on_fault: OnFault,
}

/// What happens to the exchange or connection when the filter faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnFault {
    /// 500, or close. The default: fail closed.
    #[default]
    Deny,
    /// As if the filter were not there.
    Skip,
}

/// A plugin and its settings at one place.
#[derive(Debug, Clone)]
pub struct PluginUse {
    /// The name of a bundled or declared plugin of the right kind.
    pub name: Spanned<String>,
    pub settings: Settings,
}

/// `route … { … }` of an HTTP listener.
#[derive(Debug, Clone)]
pub struct Route {
    /// As written, else `listener/N` with the route's number in its listener from 1. Unique in the configuration.
    pub name: Spanned<String>,
    pub matcher: RouteMatch,
    pub filters: Vec<Filter>,
    pub action: Action,
    /// Until the response head; takes the place of the cluster's.
    pub response_timeout: Option<Duration>,
    /// In queues: -2047 to 2047, lower first. Default 0.
    pub priority: i16,
    /// Takes the place of the cluster's.
    pub retry: Option<Retry>,
    pub mirror: Option<Mirror>,
    pub compress: Option<Compress>,
}

/// What a route does with the request.
#[derive(Debug, Clone)]
pub enum Action {
    Cluster(Spanned<String>),
    /// At least one share, with a total weight above zero.
    Split(Vec<Share>),
    Redirect {
        target: Template,
        /// 301, 302, 303, 307 or 308. Default 302.
        status: u16,
    },
    Respond {
        /// 200 to 599.
        status: u16,
        body: Template,
        /// Lower-case names; framing headers are not among them.
        headers: Vec<(String, Template)>,
    },
}

/// `cluster "name" weight=N` in a `split`.
#[derive(Debug, Clone)]
pub struct Share {
    pub cluster: Spanned<String>,
    /// 0 to 65535, default 1.
    pub weight: u32,
}

/// `cluster "name" { … }`.
#[derive(Debug, Clone)]
pub struct Cluster {
    pub name: Spanned<String>,
    /// Default: the bundled `round-robin` without settings.
    pub balancer: PluginUse,
    /// At least one, unless endpoints are discovered; no address twice.
    pub endpoints: Vec<Endpoint>,
    pub discovery: Vec<Discovery>,
    pub protocol: UpstreamProtocol,
    pub http2: Http2,
    pub tls: Option<ClientTls>,
    pub proxy_protocol: Option<ProxyProtocolOut>,
    /// Default 1 s.
    pub connect_timeout: Duration,
    /// From the end of the request to the response head. Default 30 s.
    pub response_timeout: Duration,
    /// How long an unused pooled connection is kept. Default 60 s.
    pub idle_timeout: Duration,
    pub health_check: Option<HealthCheck>,
    pub on_down: OnDown,
    pub outlier_detection: Option<OutlierDetection>,
    /// Below this share of healthy endpoints health is ignored. Default: never.
    pub panic_threshold: Option<Percent>,
    pub queue: Queue,
    pub retry: Retry,
    pub circuit_breaker: CircuitBreaker,
    pub affinity: Option<Affinity>,
    /// How long an endpoint that comes back takes to get its whole share. Default: it gets it at once.
    pub slow_start: Option<Duration>,
    pub backups: Backups,
    pub prefer_zone: Option<PreferZone>,
    /// How long a draining endpoint keeps its affine clients. Default: until it is ready again.
    pub drain_timeout: Option<Duration>,
}

/// What is spoken to endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UpstreamProtocol {
    #[default]
    Http1,
    /// By ALPN with TLS, else by prior knowledge.
    Http2,
}

/// `endpoint "address" weight=1 requests-max=100`.
#[derive(Debug, Clone)]
pub struct Endpoint {
    pub address: Spanned<EndpointAddress>,
    /// 0 to 256, default 1; 0 takes no new work.
    pub weight: u16,
    /// Requests (TCP: connections) at once, 1 to 10 000 000. Default: no limit.
    pub requests_max: Option<u32>,
    /// Takes traffic only when no other endpoint can.
    pub backup: bool,
    pub zone: Option<String>,
    /// What affinity knows it by. Default: its address as written.
    pub id: Option<String>,
}

/// An address, or a name that the next stage resolves.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum EndpointAddress {
    Socket(SocketAddr),
    Name { host: String, port: u16 },
    Unix(UnixAddress),
}

impl std::fmt::Display for EndpointAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Socket(address) => address.fmt(f),
            Self::Name { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(address) => address.fmt(f),
        }
    }
}

/// A small server inside the process, for a first look.
#[derive(Debug, Clone)]
pub struct DemoOrigin {
    pub address: Spanned<SocketAddr>,
    /// Shown in its answers. Default `origin-N`, its number from 1.
    pub name: String,
    pub kind: DemoKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DemoKind {
    Http,
    TcpEcho,
}
