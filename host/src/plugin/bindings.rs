//! The types of `tollgate:plugin@0.1.x` as they cross the boundary, written by hand: `wit/` is their source. They stay private to
//! the room; `needs.rs` and `verdict.rs` turn them into checked types.

use wasmtime::component::{ComponentType, Lift, Lower};

/// The track of the contract that these types speak.
pub(super) const PACKAGE: &str = "tollgate:plugin";
pub(super) const TRACK: (u64, u64) = (0, 1);
pub(super) const VERSION: &str = "0.1.0";

#[derive(ComponentType, Lift, Lower, Clone, Debug)]
#[component(variant)]
pub(super) enum Field {
    #[component(name = "method")]
    Method,
    #[component(name = "path")]
    Path,
    #[component(name = "query")]
    Query,
    #[component(name = "scheme")]
    Scheme,
    #[component(name = "host")]
    Host,
    #[component(name = "protocol")]
    Protocol,
    #[component(name = "client-address")]
    ClientAddress,
    #[component(name = "client-port")]
    ClientPort,
    #[component(name = "local-address")]
    LocalAddress,
    #[component(name = "local-port")]
    LocalPort,
    #[component(name = "listener")]
    Listener,
    #[component(name = "connection-id")]
    ConnectionId,
    #[component(name = "exchange-id")]
    ExchangeId,
    #[component(name = "status")]
    Status,
    #[component(name = "header")]
    Header(String),
    #[component(name = "request-header")]
    RequestHeader(String),
    #[component(name = "tag")]
    Tag(String),
    #[component(name = "connection-duration")]
    ConnectionDuration,
    #[component(name = "downstream-bytes")]
    DownstreamBytes,
    #[component(name = "upstream-bytes")]
    UpstreamBytes,
}

#[derive(ComponentType, Lift, Clone, Debug)]
#[component(variant)]
pub(super) enum Test {
    #[component(name = "method")]
    Method(Vec<String>),
    #[component(name = "path-exact")]
    PathExact(Vec<String>),
    #[component(name = "path-prefix")]
    PathPrefix(Vec<String>),
    #[component(name = "host")]
    Host(Vec<String>),
    #[component(name = "source")]
    Source(Vec<String>),
    #[component(name = "header-present")]
    HeaderPresent(String),
    #[component(name = "header-equals")]
    HeaderEquals((String, Vec<u8>)),
}

#[derive(ComponentType, Lift, Clone, Debug)]
#[component(record)]
pub(super) struct Condition {
    pub(super) test: Test,
    pub(super) negate: bool,
}

pub(super) type Guard = Vec<Vec<Condition>>;

#[derive(ComponentType, Lift, Clone, Debug)]
#[component(variant)]
pub(super) enum Part {
    #[component(name = "text")]
    Text(Vec<u8>),
    #[component(name = "field")]
    Field(Field),
    #[component(name = "unique-id")]
    UniqueId,
}

#[derive(ComponentType, Lift, Clone, Copy, Debug, PartialEq, Eq)]
#[component(enum)]
#[repr(u8)]
#[allow(dead_code, reason = "made by the lifting of wasmtime, by number")]
pub(super) enum Operation {
    #[component(name = "set")]
    Set,
    #[component(name = "set-if-absent")]
    SetIfAbsent,
    #[component(name = "append")]
    Append,
    #[component(name = "remove")]
    Remove,
}

#[derive(ComponentType, Lift, Clone, Debug)]
#[component(record)]
pub(super) struct Edit {
    pub(super) name: String,
    pub(super) operation: Operation,
    pub(super) value: Vec<Part>,
}

#[derive(ComponentType, Lift, Clone, Debug)]
#[component(record)]
pub(super) struct Edits {
    pub(super) guard: Guard,
    pub(super) request: Vec<Edit>,
    pub(super) response: Vec<Edit>,
}

#[derive(ComponentType, Lift, Clone, Copy, Debug, PartialEq, Eq)]
#[component(variant)]
pub(super) enum BodyMode {
    #[component(name = "none")]
    None,
    #[component(name = "stream")]
    Stream,
    #[component(name = "buffer")]
    Buffer(u64),
}

#[derive(ComponentType, Lift, Clone, Debug)]
#[component(record)]
pub(super) struct Phase {
    pub(super) fields: Vec<Field>,
}

#[derive(ComponentType, Lift, Clone, Debug)]
#[component(record)]
pub(super) struct SettingsError {
    pub(super) pointer: String,
    pub(super) message: String,
}

#[derive(ComponentType, Lift, Clone, Debug)]
#[component(record)]
pub(super) struct HttpNeeds {
    pub(super) request: Option<Phase>,
    pub(super) response: Option<Phase>,
    #[component(name = "request-body")]
    pub(super) request_body: BodyMode,
    #[component(name = "response-body")]
    pub(super) response_body: BodyMode,
    pub(super) guard: Guard,
    pub(super) edits: Vec<Edits>,
}

#[derive(ComponentType, Lift, Clone, Copy, Debug, PartialEq, Eq)]
#[component(enum)]
#[repr(u8)]
#[allow(dead_code, reason = "made by the lifting of wasmtime, by number")]
pub(super) enum Excess {
    #[component(name = "refuse")]
    Refuse,
    #[component(name = "pass")]
    Pass,
}

#[derive(ComponentType, Lift, Clone, Copy, Debug)]
#[component(record)]
pub(super) struct Handling {
    pub(super) excess: Excess,
    pub(super) decoded: bool,
}

#[derive(ComponentType, Lift, Clone, Copy, Debug)]
#[component(record)]
pub(super) struct Handlings {
    pub(super) request: Handling,
    pub(super) response: Handling,
}

#[derive(ComponentType, Lift, Clone, Debug)]
#[component(record)]
pub(super) struct Change {
    pub(super) content: Option<Vec<u8>>,
    pub(super) edits: Vec<u8>,
}

#[derive(ComponentType, Lift, Clone, Debug)]
#[component(variant)]
pub(super) enum BodyVerdict {
    #[component(name = "next")]
    Next(Change),
    #[component(name = "reply")]
    Reply(Reply),
    #[component(name = "close")]
    Close,
}

#[derive(ComponentType, Lift, Clone, Debug)]
#[component(record)]
pub(super) struct NetworkNeeds {
    pub(super) accept: Option<Phase>,
    pub(super) close: Option<Phase>,
    pub(super) guard: Guard,
}

#[derive(ComponentType, Lift, Clone, Debug)]
#[component(record)]
pub(super) struct BalancerNeeds {
    pub(super) loads: bool,
    pub(super) key: Vec<Field>,
}

#[derive(ComponentType, Lift, Clone, Debug)]
#[component(record)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, Vec<u8>)>,
    pub(super) body: Vec<u8>,
}

#[derive(ComponentType, Lift, Clone, Debug)]
#[component(variant)]
pub(super) enum HttpVerdict {
    #[component(name = "next")]
    Next(Vec<u8>),
    #[component(name = "reply")]
    Reply(Reply),
    #[component(name = "close")]
    Close,
}

impl HttpVerdict {
    /// The bytes that were copied for it.
    pub(super) fn size(&self) -> usize {
        match self {
            HttpVerdict::Next(edits) => edits.len(),
            HttpVerdict::Reply(reply) => reply.size(),
            HttpVerdict::Close => 0,
        }
    }
}

impl Reply {
    fn size(&self) -> usize {
        let headers = self.headers.iter();
        let headers: usize = headers.map(|(name, value)| name.len() + value.len()).sum();
        headers + self.body.len()
    }
}

impl BodyVerdict {
    /// The bytes that were copied for it.
    pub(super) fn size(&self) -> usize {
        match self {
            BodyVerdict::Next(change) => {
                change.content.as_ref().map_or(0, Vec::len) + change.edits.len()
            }
            BodyVerdict::Reply(reply) => reply.size(),
            BodyVerdict::Close => 0,
        }
    }
}

#[derive(ComponentType, Lift, Clone, Debug)]
#[component(variant)]
pub(super) enum NetworkVerdict {
    #[component(name = "next")]
    Next(Vec<u8>),
    #[component(name = "close")]
    Close,
}

impl NetworkVerdict {
    /// The bytes that were copied for it.
    pub(super) fn size(&self) -> usize {
        match self {
            NetworkVerdict::Next(tags) => tags.len(),
            NetworkVerdict::Close => 0,
        }
    }
}

#[derive(ComponentType, Lower, Clone, Copy, Debug)]
#[component(record)]
pub(super) struct Endpoint<'a> {
    pub(super) address: &'a str,
    pub(super) weight: u32,
}

#[derive(ComponentType, Lift, Clone, Copy, Debug, PartialEq, Eq)]
#[component(enum)]
#[repr(u8)]
#[allow(dead_code, reason = "made by the lifting of wasmtime, by number")]
pub(super) enum Level {
    #[component(name = "debug")]
    Debug,
    #[component(name = "info")]
    Info,
    #[component(name = "warn")]
    Warn,
    #[component(name = "error")]
    Error,
}

/// What `configure` answers, for each kind.
pub(super) type Configured<N> = (Result<N, Vec<SettingsError>>,);
