//! What a cluster says about limits, health, retries, affinity and discovery: the model of it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::Spanned;

/// A share, in hundredths of a percent: 10 000 is all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(pub u32);

impl Percent {
    /// As a factor: 1.0 is all.
    pub fn factor(self) -> f64 {
        f64::from(self.0) / 10_000.0
    }
}

/// `health-check interval="2s" … { http "/healthz" }`.
#[derive(Debug, Clone)]
pub struct HealthCheck {
    pub probe: Probe,
    /// Between two checks of an endpoint whose state is stable. 10 ms to 1 day, default 2 s.
    pub interval: Duration,
    /// While it is on its way up or down, or was never checked. Default: `interval`.
    pub interval_changing: Duration,
    /// While it is down. Default: `interval`.
    pub interval_down: Duration,
    /// Each interval is longer or shorter by up to this share. Default 0.
    pub jitter: Percent,
    /// For one check as a whole. Default: `interval`.
    pub timeout: Duration,
    /// Checks passed in a row until it is up. 1 to 100, default 2.
    pub rise: u32,
    /// Checks failed in a row until it is down. 1 to 100, default 3.
    pub fall: u32,
    /// Checked instead of the endpoint's own.
    pub port: Option<u16>,
    /// Checked instead of the endpoint's own.
    pub address: Option<IpAddr>,
    pub initial: InitialHealth,
}

/// What an endpoint is before its first check (HAProxy's `init-state`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InitialHealth {
    /// Up; `fall` failures take it down.
    FullyUp,
    /// Up; the first failure takes it down.
    #[default]
    Up,
    /// Down; the first pass brings it up.
    Down,
    /// Down; `rise` passes bring it up.
    FullyDown,
}

#[derive(Debug, Clone)]
pub enum Probe {
    /// The connection is made.
    Tcp,
    Http(HttpProbe),
    Tls(TlsProbe),
    /// `grpc.health.v1.Health/Check` over plain HTTP/2.
    Grpc {
        /// Default: empty, the server as a whole.
        service: String,
    },
}

#[derive(Debug, Clone)]
pub struct HttpProbe {
    pub path: String,
    /// Default `GET`.
    pub method: String,
    /// The `Host` header. Default: the endpoint as written.
    pub host: Option<String>,
    /// Lower-case names.
    pub headers: Vec<(String, String)>,
    /// Default 200 to 399.
    pub expect: Vec<RangeInclusive<u16>>,
    /// Must be found in the first 64 KiB of the body.
    pub body: Option<regex::bytes::Regex>,
}

#[derive(Debug, Clone)]
pub struct TlsProbe {
    /// Default: the endpoint's host as written.
    pub server_name: Option<String>,
    /// PEM. Default: the system's roots.
    pub ca: Option<PathBuf>,
    /// Default true.
    pub verify: bool,
}

/// What happens to the sessions of an endpoint that goes down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnDown {
    /// They go on while they can.
    #[default]
    Keep,
    /// They are closed.
    Close,
}

/// `outlier-detection consecutive-failures=5 …`.
#[derive(Debug, Clone)]
pub struct OutlierDetection {
    /// 5xx answers, resets, timeouts, failed connects, in a row. Default 5; `0` in KDL: off.
    pub consecutive_failures: Option<u32>,
    /// 502, 503 and 504 answers, resets, timeouts, failed connects, in a row. Default: off.
    pub consecutive_gateway_failures: Option<u32>,
    /// Failed connects in a row. Default: off.
    pub consecutive_connect_failures: Option<u32>,
    /// For the first time; grows by itself with each further one. Default 30 s.
    pub ejection: Duration,
    /// The longest ejection. Default 300 s.
    pub ejection_max: Duration,
    /// The largest share of endpoints ejected at once, but at least one. Default 10 %.
    pub ejected_max: Percent,
    /// How often success rates are compared and past ejections forgiven. Default 10 s.
    pub interval: Duration,
    pub success_rate: Option<SuccessRate>,
}

impl Default for OutlierDetection {
    fn default() -> Self {
        Self {
            consecutive_failures: Some(5),
            consecutive_gateway_failures: None,
            consecutive_connect_failures: None,
            ejection: Duration::from_secs(30),
            ejection_max: Duration::from_secs(300),
            ejected_max: Percent(1_000),
            interval: Duration::from_secs(10),
            success_rate: None,
        }
    }
}

/// `success-rate …` in `outlier-detection`: ejects who fails far more often than the mean.
#[derive(Debug, Clone)]
pub struct SuccessRate {
    /// Only endpoints with this many requests in an interval are compared. Default 100.
    pub requests_min: u32,
    /// Only if there are this many such endpoints. Default 5.
    pub endpoints_min: u32,
    /// How many standard deviations below the mean. Default 190 %.
    pub deviations: Percent,
}

impl Default for SuccessRate {
    fn default() -> Self {
        Self {
            requests_min: 100,
            endpoints_min: 5,
            deviations: Percent(19_000),
        }
    }
}

/// `queue requests-max=1000 timeout="5s"`.
#[derive(Debug, Clone)]
pub struct Queue {
    /// Requests waiting at once in the cluster. 0: none waits. Default 1024.
    pub requests_max: u32,
    /// Requests bound to an endpoint that wait for it at once; beyond it they go elsewhere. Default: no limit of its own.
    pub endpoint_requests_max: Option<u32>,
    /// Default: the connect timeout.
    pub timeout: Option<Duration>,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            requests_max: 1024,
            endpoint_requests_max: None,
            timeout: None,
        }
    }
}

/// `retry attempts=3 on="connect-failure" …`.
#[derive(Debug, Clone)]
pub struct Retry {
    /// In all, the first one included. 1 to 100, default 3.
    pub attempts: u32,
    pub on: RetryOn,
    /// Whether requests may be sent twice whose method is not idempotent. Default false.
    pub non_idempotent: bool,
    /// Retries as a share of requests. Default 20 %.
    pub budget: Percent,
    /// Retries a second that are allowed beyond the share. Default 10.
    pub budget_min: u32,
    /// For one attempt. Default: none but the response timeout.
    pub timeout: Option<Duration>,
    /// The first wait before a retry is at most this long, later ones twice that each (full jitter). Default 25 ms.
    pub backoff: Duration,
    /// Default 250 ms.
    pub backoff_max: Duration,
    /// A body up to this size is kept to be sent again. Default 64 KiB.
    pub body_bytes_max: u64,
    /// A second attempt begins beside the first after this long without an answer. Default: never.
    pub hedge_delay: Option<Duration>,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 3,
            on: RetryOn {
                connect_failure: true,
                ..RetryOn::default()
            },
            non_idempotent: false,
            budget: Percent(2_000),
            budget_min: 10,
            timeout: None,
            backoff: Duration::from_millis(25),
            backoff_max: Duration::from_millis(250),
            body_bytes_max: 64 << 10,
            hedge_delay: None,
        }
    }
}

/// What a retry follows on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RetryOn {
    /// No connection was made: nothing was sent.
    pub connect_failure: bool,
    /// The connection ended before the response head was there.
    pub reset: bool,
    /// An attempt's time was over before the response head was there.
    pub timeout: bool,
    pub statuses: Vec<RangeInclusive<u16>>,
}

/// `circuit-breaker requests-max=… …`: beyond a limit requests fail at once. Default: no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CircuitBreaker {
    /// Requests (TCP: connections) being served by the cluster.
    pub requests_max: Option<u32>,
    /// Upstream connections of the cluster, idle ones included.
    pub connections_max: Option<u32>,
    /// Requests waiting in queues or for a connection.
    pub pending_max: Option<u32>,
    /// As `requests_max`, for each endpoint; one that is at its limit is passed over and not waited for.
    pub endpoint_requests_max: Option<u32>,
    /// As `connections_max`, for each endpoint.
    pub endpoint_connections_max: Option<u32>,
}

/// `affinity …`: the same key goes to the same endpoint.
#[derive(Debug, Clone)]
pub enum Affinity {
    Cookie(CookieAffinity),
    Table(TableAffinity),
}

/// `affinity cookie="name" …`.
#[derive(Debug, Clone)]
pub struct CookieAffinity {
    pub name: String,
    pub mode: CookieMode,
    pub value: CookieValue,
    /// Keys the value. Default: none.
    pub secret: Option<Secret>,
    /// Default `/`.
    pub path: String,
    pub domain: Option<String>,
    /// Default false.
    pub secure: bool,
    /// Default true.
    pub http_only: bool,
    pub same_site: Option<SameSite>,
    /// Default: until the browser ends.
    pub max_age: Option<Duration>,
}

/// A text that no log may show.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl From<&str> for Secret {
    fn from(text: &str) -> Secret {
        Secret(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CookieMode {
    /// The proxy sets the cookie and hides it from the upstream.
    #[default]
    Insert,
    /// The upstream sets the cookie; its value is replaced.
    Rewrite,
    /// The upstream sets the cookie; its value is prefixed, and the prefix taken off requests.
    Prefix,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum CookieValue {
    /// A keyed hash of the endpoint's id.
    #[default]
    Opaque,
    /// The endpoint's id in the clear, with a signature. Needs a secret.
    Signed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameSite {
    Strict,
    Lax,
    None,
}

/// `affinity source=#true`, `affinity header="x-user"`, `affinity key="{source}/{host}"`.
#[derive(Debug, Clone)]
pub struct TableAffinity {
    pub key: Vec<KeyPart>,
    /// Keys remembered. 1 to 10 000 000, default 100 000; the oldest is forgotten first.
    pub size: u32,
    /// Since it was last used. Default 30 min.
    pub expiry: Duration,
}

/// A piece of an affinity key. A request for which every piece but the texts is absent has no key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyPart {
    Text(String),
    Source,
    Method,
    Host,
    Path,
    Query,
    Scheme,
    /// Lower-case name.
    Header(String),
    Cookie(String),
    /// Set by a filter.
    Tag(String),
}

/// Which backups take traffic when nobody else can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Backups {
    /// The first usable one in file order.
    #[default]
    First,
    All,
}

/// `prefer-zone "a" spill-below="70%"`.
#[derive(Debug, Clone)]
pub struct PreferZone {
    pub zone: String,
    /// When less than this share of the zone's weight is usable, other zones take traffic as well. Default 70 %.
    pub spill_below: Percent,
}

/// `discover …`.
#[derive(Debug, Clone)]
pub struct Discovery {
    pub source: Spanned<DiscoverySource>,
    /// Default: when the answer's time to live is over, but at least 1 s; files are watched.
    pub refresh: Option<Duration>,
    /// Asked instead of the system's.
    pub nameservers: Vec<SocketAddr>,
    /// For each endpoint that is found and has no own.
    pub requests_max: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiscoverySource {
    /// Every address of the name.
    Dns { host: String, port: u16 },
    /// Targets, ports and weights; the lowest priority, the others as backups.
    Srv { name: String },
    /// A list in KDL or JSON.
    File(PathBuf),
}

/// `mirror "cluster" share="10%"`.
#[derive(Debug, Clone)]
pub struct Mirror {
    pub cluster: Spanned<String>,
    /// Default: all.
    pub share: Percent,
    /// Requests with a larger body are not mirrored. Default 64 KiB.
    pub body_bytes_max: u64,
}
