//! A file of cases as written: every default filled in, every place kept.

use std::net::SocketAddr;

use regex::Regex;

use crate::config::{Config, Diagnostics, Filter, Percent, PluginKind, PluginUse, Spanned};

/// What a file of cases says.
#[derive(Debug, Default)]
pub struct CaseFile {
    /// Its plugins and their manifests; nothing else of a configuration.
    pub config: Config,
    /// In file order, those of included files where they are included.
    pub cases: Vec<Case>,
    /// The plugin that the component given by hand stands for.
    pub substituted: Option<String>,
}

/// One thing to be tried, independent of all others.
#[derive(Debug)]
pub enum Case {
    Http(HttpCase),
    Connection(ConnectionCase),
    Picks(Box<PicksCase>),
    Settings(SettingsCase),
}

impl Case {
    /// What it is called, and where it is.
    pub fn name(&self) -> &Spanned<String> {
        match self {
            Case::Http(case) => &case.name,
            Case::Connection(case) => &case.name,
            Case::Picks(case) => &case.name,
            Case::Settings(case) => &case.name,
        }
    }
}

/// `exchange "name" { … }`, or a `sequence` of them that one instance of each plugin sees.
#[derive(Debug)]
pub struct HttpCase {
    pub name: Spanned<String>,
    /// The chain; at least one.
    pub filters: Vec<Filter>,
    /// One, or the steps of a sequence.
    pub exchanges: Vec<Exchange>,
    pub is_sequence: bool,
}

/// One request with what the upstream answers to it.
#[derive(Debug)]
pub struct Exchange {
    pub name: Spanned<String>,
    pub request: Spanned<Request>,
    /// `None`: the response phases are not run for a request that passes.
    pub response: Option<Spanned<Response>>,
    pub expect: HttpExpect,
}

/// `request "GET" "/path?query" { … }`.
#[derive(Debug)]
pub struct Request {
    pub method: String,
    pub target: String,
    /// Default `test.example`.
    pub host: String,
    /// In order; neither `host` nor what frames a body.
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Option<Vec<u8>>,
    pub origin: Origin,
    pub protocol: Protocol,
}

/// What is known of the connection that something came by.
#[derive(Debug, Clone)]
pub struct Origin {
    /// Default `192.0.2.1:4711`.
    pub from: SocketAddr,
    /// Default `127.0.0.1:80`.
    pub to: SocketAddr,
    /// Default `test`.
    pub listener: String,
    /// `https` instead of `http`.
    pub is_https: bool,
    /// As network filters, TLS and the PROXY protocol leave them.
    pub tags: Vec<(String, Vec<u8>)>,
}

/// What the downstream speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    Http10,
    #[default]
    Http11,
    Http2,
}

/// `response 200 { … }`.
#[derive(Debug)]
pub struct Response {
    /// 200 to 599.
    pub status: u16,
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Option<Vec<u8>>,
}

/// `expect { … }` of an exchange; what it does not mention may be anything, except that a fault must be mentioned.
#[derive(Debug, Default)]
pub struct HttpExpect {
    pub verdict: Option<Spanned<Verdict>>,
    pub upstream: Option<Spanned<Vec<Spanned<Check>>>>,
    /// Of the response that is sent, the block of `reply` included.
    pub downstream: Option<Spanned<Vec<Spanned<Check>>>>,
    pub calls: Vec<Spanned<Calls>>,
    /// Words as in [`FAULTS`].
    pub faults: Vec<Spanned<String>>,
    pub tags: Vec<Spanned<Tag>>,
    pub priority: Option<Spanned<i16>>,
}

/// The kinds of fault, by the words that metrics have for them.
pub const FAULTS: [&str; 6] = [
    "trap",
    "time",
    "memory",
    "stack-overflow",
    "bad-output",
    "unavailable",
];

/// How a chain lets something end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The request goes upstream and its response comes back, perhaps both edited. Of a connection: it goes on.
    Next,
    /// A filter answers, in place of the upstream or of its response.
    Reply,
    Close,
}

/// One statement about a message.
#[derive(Debug)]
pub enum Check {
    Method(String),
    Target(String),
    Status(u16),
    /// Lower-case name.
    Header(String, Lines),
    NoHeader(String),
    Body(Vec<u8>),
    BodyContains(Vec<u8>),
}

/// What the lines of one header are.
#[derive(Debug)]
pub enum Lines {
    /// There is one.
    Any,
    /// These, in this order and no others.
    Are(Vec<Vec<u8>>),
    /// At least one, and each is matched.
    Match(Regex),
}

/// `calls 1`, `calls "acl" 1`.
#[derive(Debug)]
pub struct Calls {
    /// `None`: of the whole chain.
    pub filter: Option<String>,
    pub count: u64,
}

/// `tag "name" "value"`, `tag "name"`, `no-tag "name"`.
#[derive(Debug)]
pub struct Tag {
    pub name: String,
    pub expected: TagValue,
}

#[derive(Debug)]
pub enum TagValue {
    Any,
    Is(Vec<u8>),
    Absent,
}

/// `connection "name" { … }`.
#[derive(Debug)]
pub struct ConnectionCase {
    pub name: Spanned<String>,
    /// At least one.
    pub filters: Vec<Filter>,
    pub origin: Origin,
    pub expect: ConnectionExpect,
}

/// `expect { … }` of a connection.
#[derive(Debug, Default)]
pub struct ConnectionExpect {
    /// [`Verdict::Next`] or [`Verdict::Close`].
    pub verdict: Option<Spanned<Verdict>>,
    pub calls: Vec<Spanned<Calls>>,
    pub faults: Vec<Spanned<String>>,
    pub tags: Vec<Spanned<Tag>>,
}

/// `picks "name" count=100 { … }`.
#[derive(Debug)]
pub struct PicksCase {
    pub name: Spanned<String>,
    pub balancer: PluginUse,
    /// At least one.
    pub endpoints: Vec<Endpoint>,
    /// 1 to 1 000 000, default 1.
    pub count: u32,
    /// Each pick has a key of its own, rather than that of the request.
    pub keys_differ: bool,
    /// What is picked stays in flight.
    pub held: bool,
    /// Whose key it is, for a balancer that asks for one.
    pub request: Option<Spanned<Request>>,
    pub expect: PicksExpect,
}

/// `endpoint "10.0.0.1:80" weight=2 requests=3` of picks.
#[derive(Debug)]
pub struct Endpoint {
    /// Unique.
    pub address: String,
    /// 1 to 256, default 1.
    pub weight: u32,
    /// In flight before the first pick, default none; `None`: it cannot take any.
    pub requests: Option<u32>,
    /// 0: never measured, the default.
    pub latency_micros: u32,
    pub failures: Percent,
}

/// `expect { … }` of picks.
#[derive(Debug, Default)]
pub struct PicksExpect {
    /// The first picks, by address.
    pub order: Option<Spanned<Vec<String>>>,
    pub shares: Vec<Spanned<Share>>,
    /// All picks are one endpoint.
    pub same: Option<Spanned<()>>,
    /// No pick names an endpoint.
    pub none: Option<Spanned<()>>,
    pub faults: Vec<Spanned<String>>,
}

/// `share "10.0.0.1:80" "66%" within="2%"`.
#[derive(Debug)]
pub struct Share {
    pub address: String,
    pub share: Percent,
    pub within: Percent,
}

/// `settings "name" { … }`: whether a plugin takes them.
#[derive(Debug)]
pub struct SettingsCase {
    pub name: Spanned<String>,
    pub kind: PluginKind,
    /// With the default `on-fault`, which does not matter.
    pub filter: Filter,
    /// What the schema has against them; the plugin is asked only where that is nothing.
    pub schema_errors: Diagnostics,
    pub expect: SettingsExpect,
}

/// Whether settings are taken.
#[derive(Debug)]
pub enum SettingsExpect {
    Accepted,
    /// Each has been complained about; there may be more complaints.
    Refused(Vec<Spanned<Refusal>>),
}

/// `refused "/rule/0/status" contains="599"`.
#[derive(Debug)]
pub struct Refusal {
    /// `None`: something is.
    pub pointer: Option<String>,
    pub contains: Option<String>,
}
