//! The accepted keys of a cluster: the largest part of the table in `keys`.

use super::keys::Children::{Keys, Settings};
use super::keys::{ANY, Key, key};
use super::tls_keys::CLUSTER_TLS;

pub(super) static CLUSTER: &[Key] = &[
    key("balancer", "balancer \"round-robin\"", (1, ANY)).holding(Settings),
    key("endpoint", "endpoint \"127.0.0.1:9001\" weight=1", (1, 1))
        .with(&["weight", "requests-max", "backup", "zone", "id"])
        .repeated(),
    key("discover", "discover dns=\"api.internal:8080\"", (0, 0))
        .with(&[
            "dns",
            "srv",
            "file",
            "refresh",
            "nameserver",
            "requests-max",
        ])
        .repeated(),
    key("protocol", "protocol \"http/1.1\"", (1, 1)),
    key("http2", "http2 streams-max=100", (0, 0)).with(&[
        "streams-max",
        "stream-window",
        "connection-window",
    ]),
    key("tls", "tls server-name=\"api.internal\"", (0, 0))
        .with(&["server-name", "ca", "verify"])
        .holding(Keys(CLUSTER_TLS)),
    key("proxy-protocol", "proxy-protocol \"v2\"", (1, 1))
        .with(&["checksum"])
        .holding(Keys(PROXY_PROTOCOL)),
    key(
        "timeouts",
        "timeouts connect=\"1s\" response=\"30s\" idle=\"60s\"",
        (0, 0),
    )
    .with(&["connect", "response", "idle"]),
    key(
        "health-check",
        "health-check interval=\"2s\" { http \"/healthz\" }",
        (0, 0),
    )
    .with(&[
        "interval",
        "interval-changing",
        "interval-down",
        "jitter",
        "timeout",
        "rise",
        "fall",
        "port",
        "address",
        "initial",
    ])
    .holding(Keys(HEALTH_CHECK)),
    ON_DOWN,
    key(
        "outlier-detection",
        "outlier-detection consecutive-failures=5 ejection=\"30s\"",
        (0, 0),
    )
    .with(&[
        "consecutive-failures",
        "consecutive-gateway-failures",
        "consecutive-connect-failures",
        "ejection",
        "ejection-max",
        "ejected-max",
        "interval",
    ])
    .holding(Keys(OUTLIER_DETECTION)),
    key("panic-threshold", "panic-threshold \"50%\"", (1, 1)),
    key("queue", "queue requests-max=1000 timeout=\"5s\"", (0, 0)).with(&[
        "requests-max",
        "timeout",
        "endpoint-requests-max",
    ]),
    key("retry", "retry attempts=3 on=\"connect-failure\"", (0, 0))
        .with(RETRY_PROPERTIES)
        .holding(Keys(RETRY)),
    key(
        "circuit-breaker",
        "circuit-breaker requests-max=1024",
        (0, 0),
    )
    .with(&[
        "requests-max",
        "connections-max",
        "pending-max",
        "endpoint-requests-max",
        "endpoint-connections-max",
    ]),
    key("affinity", "affinity cookie=\"tollgate\"", (0, 0)).with(&[
        "cookie",
        "source",
        "header",
        "key",
        "mode",
        "value",
        "secret",
        "path",
        "domain",
        "secure",
        "http-only",
        "same-site",
        "max-age",
        "size",
        "expiry",
    ]),
    key("slow-start", "slow-start \"30s\"", (1, 1)),
    key("backups", "backups \"first\"", (1, 1)),
    key(
        "prefer-zone",
        "prefer-zone \"eu-1\" spill-below=\"70%\"",
        (1, 1),
    )
    .with(&["spill-below"]),
    key("drain-timeout", "drain-timeout \"5m\"", (1, 1)),
];

static PROXY_PROTOCOL: &[Key] = &[key("tlv", "tlv \"authority\" \"alpn\"", (1, ANY)).repeated()];

const ON_DOWN: Key = key("on-down", "on-down \"close\"", (1, 1));

static HEALTH_CHECK: &[Key] = &[
    key("tcp", "tcp", (0, 0)),
    key("http", "http \"/healthz\" expect=\"200-399\"", (1, 1))
        .with(&["method", "host", "expect", "body"])
        .holding(Keys(HEALTH_CHECK_HTTP)),
    key("tls", "tls server-name=\"api.internal\"", (0, 0)).with(&["server-name", "ca", "verify"]),
    key("grpc", "grpc service=\"api\"", (0, 0)).with(&["service"]),
    ON_DOWN,
];

static HEALTH_CHECK_HTTP: &[Key] = &[key("header", "header \"name\" \"value\"", (2, 2)).repeated()];

static OUTLIER_DETECTION: &[Key] = &[key(
    "success-rate",
    "success-rate requests-min=100 deviations=\"190%\"",
    (0, 0),
)
.with(&["requests-min", "endpoints-min", "deviations"])];

/// Those of `retry`, in a cluster and in a route.
pub(super) const RETRY_PROPERTIES: &[&str] = &[
    "attempts",
    "on",
    "budget",
    "budget-min",
    "timeout",
    "backoff",
    "backoff-max",
    "non-idempotent",
    "body-bytes-max",
    "hedge-delay",
];

pub(super) static RETRY: &[Key] =
    &[key("on", "on \"connect-failure\" \"reset\" \"503\"", (1, ANY)).repeated()];
