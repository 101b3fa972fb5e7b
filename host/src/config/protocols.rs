//! What is written about TLS, HTTP/2, the PROXY protocol and compression: the model of those parts of a listener, a route and a cluster.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::{HostPattern, Secret, Spanned};

/// `tls { certificate "site.pem" key="site.key" }` of a listener.
#[derive(Debug, Clone)]
pub struct ServerTls {
    /// At least one, unless `acme` gets them. The first is for clients that name no host that another one is for.
    pub certificates: Vec<Certificate>,
    /// What a client gets that names a host that no certificate is for. Default: the first certificate.
    pub unknown_name: UnknownName,
    /// In order of preference. Default: `h2`, `http/1.1` for HTTP (without what it does not speak), none for TCP.
    pub alpn: Vec<String>,
    pub policy: TlsPolicy,
    pub client_certificate: Option<ClientAuthentication>,
    /// From the first byte of the handshake to its last. Default 10 s.
    pub handshake_timeout: Duration,
    /// Handshakes under way at once over all workers, 1 to 1 000 000. Default 1000. Connections beyond it are closed.
    pub handshakes_max: u32,
    /// Whether clients may resume sessions, by tickets whose keys change every six hours. Default true.
    pub tickets: bool,
    pub acme: Option<Acme>,
}

/// `certificate "site.pem" key="site.key" ocsp="site.ocsp"`.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// PEM: the certificate, then the chain.
    pub chain: Spanned<PathBuf>,
    /// PEM; the default is the file of the chain.
    pub key: Spanned<PathBuf>,
    /// DER: a response to staple. Not for clusters.
    pub ocsp: Option<Spanned<PathBuf>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnknownName {
    /// The first certificate.
    #[default]
    Default,
    /// An `unrecognized_name` alert.
    Refuse,
}

/// What both sides may restrict.
#[derive(Debug, Clone, Default)]
pub struct TlsPolicy {
    /// Ascending. Default: 1.2 and 1.3, which the configuration fills in; empty means the same.
    pub versions: Vec<TlsVersion>,
    /// Names as IANA or rustls write them, `TLS_AES_256_GCM_SHA384` or `TLS13_AES_256_GCM_SHA384`, in order of preference.
    /// Default: those of rustls. Known to be supported.
    pub ciphers: Vec<Spanned<String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    Tls12,
    Tls13,
}

/// As in the configuration: `1.3`.
impl fmt::Display for TlsVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            TlsVersion::Tls12 => "1.2",
            TlsVersion::Tls13 => "1.3",
        })
    }
}

/// Every cipher that may be asked for, by its name in the registry of IANA, and the one version that has it. Those of 1.3 may be written
/// with `TLS13_` instead of `TLS_`, as rustls does.
pub const CIPHERS: &[(&str, TlsVersion)] = &[
    ("TLS_AES_256_GCM_SHA384", TlsVersion::Tls13),
    ("TLS_AES_128_GCM_SHA256", TlsVersion::Tls13),
    ("TLS_CHACHA20_POLY1305_SHA256", TlsVersion::Tls13),
    ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", TlsVersion::Tls12),
    ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", TlsVersion::Tls12),
    (
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        TlsVersion::Tls12,
    ),
    ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", TlsVersion::Tls12),
    ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", TlsVersion::Tls12),
    (
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        TlsVersion::Tls12,
    ),
];

/// `client-certificate "required" ca="clients.pem" crl="clients.crl"`.
#[derive(Debug, Clone)]
pub struct ClientAuthentication {
    pub demand: Demand,
    /// PEM.
    pub ca: Spanned<PathBuf>,
    /// PEM. With at least one, the status of every certificate of a chain must be known.
    pub crls: Vec<Spanned<PathBuf>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    Required,
    /// A client may show none; one that is shown must be valid.
    Optional,
}

/// `acme "https://…/directory" { … }`: certificates that are ordered and renewed automatically.
#[derive(Debug, Clone)]
pub struct Acme {
    /// The directory of the certificate authority, `https://` (or `http://` on a loopback address).
    pub directory: Spanned<String>,
    /// The names of the one certificate, lower case, at least one; no wildcards, which need a DNS challenge.
    pub names: Vec<Spanned<String>>,
    /// `mailto:` is added where it lacks.
    pub contact: Option<String>,
    /// Must be true: the authority's terms of service are agreed to.
    pub terms_agreed: bool,
    /// Where account, key and certificate are kept; created if it lacks.
    pub storage: Spanned<PathBuf>,
    pub challenge: AcmeChallenge,
    /// PEM: trusted for the directory. Default: the system's.
    pub ca: Option<Spanned<PathBuf>>,
    /// For authorities that demand it: key id and HMAC key (base64url).
    pub external_account: Option<(String, Secret)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AcmeChallenge {
    /// Answered on every HTTP listener without TLS, before any route.
    #[default]
    Http01,
    /// Answered in the handshake of this listener.
    TlsAlpn01,
}

/// `tls …` of a cluster.
#[derive(Debug, Clone)]
pub struct ClientTls {
    /// Default true.
    pub verify: bool,
    /// PEM. Default: the system's roots.
    pub ca: Option<Spanned<PathBuf>>,
    /// Asked for (SNI) and verified. Default: the host of the endpoint as written.
    pub server_name: Option<Spanned<String>>,
    /// What we show if asked to.
    pub certificate: Option<Certificate>,
    /// In order of preference. Default: `h2` for `protocol "h2"`, none otherwise.
    pub alpn: Vec<String>,
    pub policy: TlsPolicy,
}

/// `http2 streams-max=100` of a listener or a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http2 {
    /// Whether a listener takes HTTP/2 at all. Default true. Not for clusters.
    pub enabled: bool,
    /// Whether a listener speaks nothing else: no HTTP/1.1. Default false. Not for clusters.
    pub only: bool,
    /// Concurrent streams of one connection, 1 to 100 000. Default 100. A cluster opens another connection beyond it, and heeds a lower
    /// limit of the endpoint.
    pub streams_max: u32,
    /// How much of one body may be under way to us, 64 KiB (less 1 byte) to 16 MiB. Default 256 KiB.
    pub stream_window: u32,
    /// How much of all bodies of a connection, at least one stream's. Default: of a listener 4 MiB; of a cluster that of all its streams, so
    /// that bodies which nobody takes at the moment do not hold up the others.
    pub connection_window: u32,
}

impl Default for Http2 {
    fn default() -> Self {
        Self {
            enabled: true,
            only: false,
            streams_max: 100,
            stream_window: 256 << 10,
            connection_window: 4 << 20,
        }
    }
}

impl Http2 {
    /// What every stream may have under way together, within what a connection may have.
    pub fn of_all_streams(&self) -> u32 {
        let all = self.streams_max.saturating_mul(self.stream_window);
        all.min(CONNECTION_WINDOW_MAX)
    }
}

/// The largest `connection-window`: 1 GiB.
pub const CONNECTION_WINDOW_MAX: u32 = 1 << 30;

/// `proxy-protocol from="10.0.0.0/8"` of a listener: peers that begin with a PROXY header; nobody else may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyProtocolIn {
    /// At least one, unless `unix`.
    pub from: Vec<IpNet>,
    /// `from="unix"`: peers on Unix sockets too.
    pub from_unix: bool,
    /// For the header, 100 ms to 1 min. Default 5 s.
    pub timeout: Duration,
}

/// `proxy-protocol "v2" { tlv "authority" }` of a cluster: every connection begins with a PROXY header. Then no connection is shared between
/// requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyProtocolOut {
    pub version: ProxyVersion,
    /// Version 2 only.
    pub values: Vec<ProxyValue>,
    /// A CRC32C; version 2 only. Default false.
    pub checksum: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyVersion {
    V1,
    V2,
}

/// A type-length-value to send where the downstream has such a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyValue {
    /// The name that the downstream asked for by TLS, or received as such.
    Authority,
    /// The protocol agreed on by TLS, or received as such.
    Alpn,
    /// What TLS has shown: version, cipher, client certificate.
    Ssl,
    /// The number of the connection as text, or what was received.
    UniqueId,
    /// Every received value of the types 0xE0 to 0xEF (for custom use) as it is.
    Custom,
}

/// `compress "br" "gzip" min-size="1KiB" { type "text/*" }` of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compress {
    /// In order of preference where the client has none; at least one, none twice. Default: zstd, br, gzip.
    pub codings: Vec<Coding>,
    /// Media types, lower case: `text/*` or `application/json`. Default: text/*, and the usual text-like types.
    pub types: Vec<String>,
    /// Smaller bodies are left alone, where their length is known; 0 to 1 GiB. Default 1 KiB.
    pub size_min: u64,
}

impl Default for Compress {
    fn default() -> Self {
        Self {
            codings: vec![Coding::Zstd, Coding::Brotli, Coding::Gzip],
            types: COMPRESSED_TYPES.map(str::to_owned).to_vec(),
            size_min: 1 << 10,
        }
    }
}

/// What shrinks by half or more, as a rule; images, archives and most fonts are compressed already.
const COMPRESSED_TYPES: [&str; 14] = [
    "text/*",
    "application/json",
    "application/ld+json",
    "application/problem+json",
    "application/manifest+json",
    "application/javascript",
    "application/xml",
    "application/xhtml+xml",
    "application/atom+xml",
    "application/rss+xml",
    "application/wasm",
    "image/svg+xml",
    "font/otf",
    "font/ttf",
];

/// A content coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Coding {
    Zstd,
    Brotli,
    Gzip,
}

impl Coding {
    /// As in `Content-Encoding`.
    pub fn as_str(self) -> &'static str {
        match self {
            Coding::Zstd => "zstd",
            Coding::Brotli => "br",
            Coding::Gzip => "gzip",
        }
    }
}

/// What a route asks of the client's certificate; all that is written must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientCertificateMatch {
    /// The subject as RFC 4514 writes it, compared exactly; of several any will do. Likewise below.
    pub subjects: Vec<String>,
    /// With their kind: `DNS:app.example.com`; a `*` at the end stands for any rest.
    pub names: Vec<String>,
    /// SHA-256, 64 hexadecimal digits, lower case, without colons.
    pub fingerprints: Vec<String>,
}

/// What the route of a TCP listener asks of the TLS hello. All kinds must match, of one kind any will do; one that asks for nothing takes
/// every connection, TLS or not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HelloMatch {
    pub snis: Vec<HostPattern>,
    /// Protocols, of which the client offers at least one.
    pub alpns: Vec<String>,
}
