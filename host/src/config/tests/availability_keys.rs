//! Examples for `every_key`: what a cluster and a route say about availability.

use super::fake::SMALLEST;

/// Key, a configuration without it, and the same with a value that is not its default.
pub(super) fn examples() -> Vec<(&'static str, String, String)> {
    let clusters = CLUSTER_BLOCK.iter().map(in_cluster);
    clusters
        .chain(ENDPOINT.iter().map(in_endpoint))
        .chain(ROUTE.iter().map(in_route))
        .chain(TOP.iter().map(at_top))
        .collect()
}

type Row = (&'static str, &'static str, &'static str);

fn in_cluster((key, without, with): &Row) -> (&'static str, String, String) {
    let text = |inside: &str| {
        format!("{SMALLEST}\ncluster \"c\" {{ endpoint \"127.0.0.1:1\" zone=\"z\"; {inside} }}")
    };
    (key, text(without), text(with))
}

fn in_endpoint((key, without, with): &Row) -> (&'static str, String, String) {
    let text =
        |line: &str| format!("{SMALLEST}\ncluster \"c\" {{ endpoint \"127.0.0.1:1\" {line} }}");
    (key, text(without), text(with))
}

fn in_route((key, without, with): &Row) -> (&'static str, String, String) {
    let text = |inside: &str| {
        format!(
            "listener \"l\" \"127.0.0.1:0\" {{ route \"r\" {{ cluster \"c\"; {inside} }} }}\ncluster \"c\" {{ endpoint \"127.0.0.1:1\" }}"
        )
    };
    (key, text(without), text(with))
}

fn at_top((key, without, with): &Row) -> (&'static str, String, String) {
    let text = |inside: &str| format!("{SMALLEST}\n{inside}");
    (key, text(without), text(with))
}

const TOP: &[Row] = &[
    ("admin", "", "admin \"127.0.0.1:9900\""),
    ("process/drain-delay", "", "process { drain-delay \"7s\" }"),
];

const ENDPOINT: &[Row] = &[
    ("cluster/endpoint/backup", "", "backup=#true"),
    ("cluster/endpoint/zone", "", "zone=\"z\""),
    ("cluster/endpoint/id", "", "id=\"a\""),
];

const ROUTE: &[Row] = &[
    ("listener/route/priority", "", "priority -5"),
    ("listener/route/mirror", "", "mirror \"c\""),
    (
        "listener/route/mirror/share",
        "mirror \"c\"",
        "mirror \"c\" share=\"10%\"",
    ),
    (
        "listener/route/mirror/body-bytes-max",
        "mirror \"c\"",
        "mirror \"c\" body-bytes-max=\"1KiB\"",
    ),
    ("listener/route/retry", "", "retry"),
    ("listener/route/retry/attempts", "retry", "retry attempts=7"),
    ("listener/route/retry/on", "retry", "retry on=\"reset\""),
    ("listener/route/retry/on", "retry", "retry { on \"503\" }"),
    (
        "listener/route/retry/budget",
        "retry",
        "retry budget=\"7%\"",
    ),
    (
        "listener/route/retry/budget-min",
        "retry",
        "retry budget-min=7",
    ),
    (
        "listener/route/retry/timeout",
        "retry",
        "retry timeout=\"7s\"",
    ),
    (
        "listener/route/retry/backoff",
        "retry",
        "retry backoff=\"7ms\"",
    ),
    (
        "listener/route/retry/backoff-max",
        "retry",
        "retry backoff-max=\"7s\"",
    ),
    (
        "listener/route/retry/non-idempotent",
        "retry",
        "retry non-idempotent=#true",
    ),
    (
        "listener/route/retry/body-bytes-max",
        "retry",
        "retry body-bytes-max=\"7B\"",
    ),
    (
        "listener/route/retry/hedge-delay",
        "retry",
        "retry hedge-delay=\"7ms\"",
    ),
];

const CLUSTER_BLOCK: &[Row] = &[
    ("cluster/discover", "", "discover dns=\"a:1\""),
    ("cluster/discover/dns", "", "discover dns=\"a:1\""),
    ("cluster/discover/srv", "", "discover srv=\"_a._tcp.b\""),
    ("cluster/discover/file", "", "discover file=\"a.json\""),
    (
        "cluster/discover/refresh",
        "discover dns=\"a:1\"",
        "discover dns=\"a:1\" refresh=\"7s\"",
    ),
    (
        "cluster/discover/nameserver",
        "discover dns=\"a:1\"",
        "discover dns=\"a:1\" nameserver=\"::1\"",
    ),
    (
        "cluster/discover/requests-max",
        "discover dns=\"a:1\"",
        "discover dns=\"a:1\" requests-max=7",
    ),
    ("cluster/health-check", "", "health-check"),
    (
        "cluster/health-check/interval",
        "health-check",
        "health-check interval=\"7s\"",
    ),
    (
        "cluster/health-check/interval-changing",
        "health-check",
        "health-check interval-changing=\"7s\"",
    ),
    (
        "cluster/health-check/interval-down",
        "health-check",
        "health-check interval-down=\"7s\"",
    ),
    (
        "cluster/health-check/jitter",
        "health-check",
        "health-check jitter=\"7%\"",
    ),
    (
        "cluster/health-check/timeout",
        "health-check",
        "health-check timeout=\"7s\"",
    ),
    (
        "cluster/health-check/rise",
        "health-check",
        "health-check rise=7",
    ),
    (
        "cluster/health-check/fall",
        "health-check",
        "health-check fall=7",
    ),
    (
        "cluster/health-check/port",
        "health-check",
        "health-check port=7",
    ),
    (
        "cluster/health-check/address",
        "health-check",
        "health-check address=\"::1\"",
    ),
    (
        "cluster/health-check/initial",
        "health-check",
        "health-check initial=\"down\"",
    ),
    (
        "cluster/health-check/tcp",
        "health-check { tls }",
        "health-check { tcp }",
    ),
    (
        "cluster/health-check/http",
        "health-check",
        "health-check { http \"/\" }",
    ),
    (
        "cluster/health-check/http/method",
        "health-check { http \"/\" }",
        "health-check { http \"/\" method=\"HEAD\" }",
    ),
    (
        "cluster/health-check/http/host",
        "health-check { http \"/\" }",
        "health-check { http \"/\" host=\"h\" }",
    ),
    (
        "cluster/health-check/http/expect",
        "health-check { http \"/\" }",
        "health-check { http \"/\" expect=\"2xx\" }",
    ),
    (
        "cluster/health-check/http/body",
        "health-check { http \"/\" }",
        "health-check { http \"/\" body=\"ok\" }",
    ),
    (
        "cluster/health-check/http/header",
        "health-check { http \"/\" }",
        "health-check { http \"/\" { header \"a\" \"b\" } }",
    ),
    (
        "cluster/health-check/tls",
        "health-check",
        "health-check { tls }",
    ),
    (
        "cluster/health-check/tls/server-name",
        "health-check { tls }",
        "health-check { tls server-name=\"a\" }",
    ),
    (
        "cluster/health-check/tls/ca",
        "health-check { tls }",
        "health-check { tls ca=\"ca.pem\" }",
    ),
    (
        "cluster/health-check/tls/verify",
        "health-check { tls }",
        "health-check { tls verify=#false }",
    ),
    (
        "cluster/health-check/grpc",
        "health-check",
        "health-check { grpc }",
    ),
    (
        "cluster/health-check/grpc/service",
        "health-check { grpc }",
        "health-check { grpc service=\"a\" }",
    ),
    (
        "cluster/health-check/on-down",
        "health-check",
        "health-check { on-down \"close\" }",
    ),
    ("cluster/on-down", "", "on-down \"close\""),
    ("cluster/outlier-detection", "", "outlier-detection"),
    (
        "cluster/outlier-detection/consecutive-failures",
        "outlier-detection",
        "outlier-detection consecutive-failures=7",
    ),
    (
        "cluster/outlier-detection/consecutive-gateway-failures",
        "outlier-detection",
        "outlier-detection consecutive-gateway-failures=7",
    ),
    (
        "cluster/outlier-detection/consecutive-connect-failures",
        "outlier-detection",
        "outlier-detection consecutive-connect-failures=7",
    ),
    (
        "cluster/outlier-detection/ejection",
        "outlier-detection",
        "outlier-detection ejection=\"7s\"",
    ),
    (
        "cluster/outlier-detection/ejection-max",
        "outlier-detection",
        "outlier-detection ejection-max=\"77s\"",
    ),
    (
        "cluster/outlier-detection/ejected-max",
        "outlier-detection",
        "outlier-detection ejected-max=\"7%\"",
    ),
    (
        "cluster/outlier-detection/interval",
        "outlier-detection",
        "outlier-detection interval=\"7s\"",
    ),
    (
        "cluster/outlier-detection/success-rate",
        "outlier-detection",
        "outlier-detection { success-rate }",
    ),
    (
        "cluster/outlier-detection/success-rate/requests-min",
        "outlier-detection { success-rate }",
        "outlier-detection { success-rate requests-min=7 }",
    ),
    (
        "cluster/outlier-detection/success-rate/endpoints-min",
        "outlier-detection { success-rate }",
        "outlier-detection { success-rate endpoints-min=7 }",
    ),
    (
        "cluster/outlier-detection/success-rate/deviations",
        "outlier-detection { success-rate }",
        "outlier-detection { success-rate deviations=\"70%\" }",
    ),
    (
        "cluster/panic-threshold",
        "panic-threshold \"off\"",
        "panic-threshold \"50%\"",
    ),
    ("cluster/queue/requests-max", "", "queue requests-max=0"),
    ("cluster/queue/timeout", "", "queue timeout=\"7s\""),
    (
        "cluster/queue/endpoint-requests-max",
        "",
        "queue endpoint-requests-max=7",
    ),
    ("cluster/retry/attempts", "", "retry attempts=7"),
    ("cluster/retry/on", "", "retry on=\"reset\""),
    ("cluster/retry/on", "", "retry { on \"503\" }"),
    ("cluster/retry/budget", "", "retry budget=\"7%\""),
    ("cluster/retry/budget-min", "", "retry budget-min=7"),
    ("cluster/retry/timeout", "", "retry timeout=\"7s\""),
    ("cluster/retry/backoff", "", "retry backoff=\"7ms\""),
    ("cluster/retry/backoff-max", "", "retry backoff-max=\"7s\""),
    (
        "cluster/retry/non-idempotent",
        "",
        "retry non-idempotent=#true",
    ),
    (
        "cluster/retry/body-bytes-max",
        "",
        "retry body-bytes-max=\"7B\"",
    ),
    ("cluster/retry/hedge-delay", "", "retry hedge-delay=\"7ms\""),
    (
        "cluster/circuit-breaker/requests-max",
        "",
        "circuit-breaker requests-max=7",
    ),
    (
        "cluster/circuit-breaker/connections-max",
        "",
        "circuit-breaker connections-max=7",
    ),
    (
        "cluster/circuit-breaker/pending-max",
        "",
        "circuit-breaker pending-max=7",
    ),
    (
        "cluster/circuit-breaker/endpoint-requests-max",
        "",
        "circuit-breaker endpoint-requests-max=7",
    ),
    (
        "cluster/circuit-breaker/endpoint-connections-max",
        "",
        "circuit-breaker endpoint-connections-max=7",
    ),
    ("cluster/affinity", "", "affinity cookie=\"a\""),
    (
        "cluster/affinity/cookie",
        "affinity cookie=\"a\"",
        "affinity cookie=\"b\"",
    ),
    (
        "cluster/affinity/mode",
        "affinity cookie=\"a\"",
        "affinity cookie=\"a\" mode=\"prefix\"",
    ),
    (
        "cluster/affinity/value",
        "affinity cookie=\"a\" secret=\"0123456789abcdef\"",
        "affinity cookie=\"a\" secret=\"0123456789abcdef\" value=\"signed\"",
    ),
    (
        "cluster/affinity/secret",
        "affinity cookie=\"a\"",
        "affinity cookie=\"a\" secret=\"0123456789abcdef\"",
    ),
    (
        "cluster/affinity/path",
        "affinity cookie=\"a\"",
        "affinity cookie=\"a\" path=\"/b\"",
    ),
    (
        "cluster/affinity/domain",
        "affinity cookie=\"a\"",
        "affinity cookie=\"a\" domain=\"b\"",
    ),
    (
        "cluster/affinity/secure",
        "affinity cookie=\"a\"",
        "affinity cookie=\"a\" secure=#true",
    ),
    (
        "cluster/affinity/http-only",
        "affinity cookie=\"a\"",
        "affinity cookie=\"a\" http-only=#false",
    ),
    (
        "cluster/affinity/same-site",
        "affinity cookie=\"a\"",
        "affinity cookie=\"a\" same-site=\"strict\"",
    ),
    (
        "cluster/affinity/max-age",
        "affinity cookie=\"a\"",
        "affinity cookie=\"a\" max-age=\"7h\"",
    ),
    (
        "cluster/affinity/source",
        "affinity cookie=\"a\"",
        "affinity source=#true",
    ),
    (
        "cluster/affinity/header",
        "affinity source=#true",
        "affinity header=\"a\"",
    ),
    (
        "cluster/affinity/key",
        "affinity source=#true",
        "affinity key=\"{host}\"",
    ),
    (
        "cluster/affinity/size",
        "affinity source=#true",
        "affinity source=#true size=7",
    ),
    (
        "cluster/affinity/expiry",
        "affinity source=#true",
        "affinity source=#true expiry=\"7s\"",
    ),
    ("cluster/slow-start", "", "slow-start \"7s\""),
    ("cluster/backups", "", "backups \"all\""),
    ("cluster/prefer-zone", "", "prefer-zone \"z\""),
    (
        "cluster/prefer-zone/spill-below",
        "prefer-zone \"z\"",
        "prefer-zone \"z\" spill-below=\"7%\"",
    ),
    ("cluster/drain-timeout", "", "drain-timeout \"7s\""),
];
