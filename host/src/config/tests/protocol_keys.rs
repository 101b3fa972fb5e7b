//! Examples for `every_key`: TLS, HTTP/2, the PROXY protocol, compression, Unix sockets.

use super::fake::SMALLEST;

/// Key, a configuration without it, and the same with a value that is not its default.
pub(super) fn examples() -> Vec<(&'static str, String, String)> {
    let of = |rows: &'static [Row], text: fn(&str) -> String| {
        let build = move |(key, without, with): &Row| (*key, text(without), text(with));
        rows.iter().map(build).collect::<Vec<_>>()
    };
    [
        of(LISTENER, in_listener),
        of(LISTENER_TLS, in_listener_tls),
        of(ACME, in_acme),
        of(ROUTE, in_route),
        of(ROUTE_LINE, on_route),
        of(TCP, in_tcp_listener),
        of(CLUSTER, in_cluster),
        of(CLUSTER_TLS, in_cluster),
    ]
    .concat()
}

type Row = (&'static str, &'static str, &'static str);

fn in_listener(inside: &str) -> String {
    format!(
        "listener \"l\" \"127.0.0.1:0\" \"unix:/run/l.sock\" {{ {inside}\nroute \"r\" {{ respond 200 }} }}"
    )
}

/// Beside a listener that answers challenges.
fn in_listener_tls(inside: &str) -> String {
    let tls = format!("tls {{ certificate \"a.pem\"; {inside} }}");
    format!("{SMALLEST}\n{}", in_listener(&tls))
}

fn in_acme(inside: &str) -> String {
    in_listener_tls(&format!(
        "acme \"https://a.example/\" {{ name \"b.example\"; terms-agreed #true; {inside} }}"
    ))
}

fn in_route(inside: &str) -> String {
    let tls = "tls { certificate \"a.pem\"; client-certificate \"optional\" ca=\"ca.pem\" }";
    format!(
        "listener \"l\" \"127.0.0.1:0\" {{ {tls}; route \"r\" {{ cluster \"c\"; {inside} }} }}\ncluster \"c\" {{ endpoint \"127.0.0.1:1\" }}"
    )
}

fn on_route(line: &str) -> String {
    in_route("").replace("route \"r\"", &format!("route \"r\" {line}"))
}

/// With a line of the route, a bar, and what else the listener has.
fn in_tcp_listener(parts: &str) -> String {
    let (line, inside) = parts.split_once('|').unwrap_or((parts, ""));
    format!(
        "listener \"l\" \"127.0.0.1:0\" {{ protocol \"tcp\"\n{inside}\nroute \"r\" {line} }}\ncluster \"c\" {{ endpoint \"127.0.0.1:1\" }}"
    )
}

fn in_cluster(inside: &str) -> String {
    format!("{SMALLEST}\ncluster \"c\" {{ endpoint \"127.0.0.1:1\"; {inside} }}")
}

const LISTENER: &[Row] = &[
    ("listener/unix-mode", "", "unix-mode \"0600\""),
    (
        "listener/proxy-protocol",
        "",
        "proxy-protocol \"10.0.0.0/8\"",
    ),
    (
        "listener/proxy-protocol/from",
        "proxy-protocol \"10.0.0.0/8\"",
        "proxy-protocol \"10.0.0.0/8\" from=\"unix\"",
    ),
    (
        "listener/proxy-protocol/timeout",
        "proxy-protocol \"10.0.0.0/8\"",
        "proxy-protocol \"10.0.0.0/8\" timeout=\"1s\"",
    ),
    ("listener/http2/enabled", "", "http2 enabled=#false"),
    ("listener/http2/only", "", "http2 only=#true"),
    ("listener/http2/streams-max", "", "http2 streams-max=7"),
    (
        "listener/http2/stream-window",
        "",
        "http2 stream-window=\"2MiB\"",
    ),
    (
        "listener/http2/connection-window",
        "",
        "http2 connection-window=\"2MiB\"",
    ),
    ("listener/tls", "", "tls { certificate \"a.pem\" }"),
];

const LISTENER_TLS: &[Row] = &[
    (
        "listener/tls/certificate",
        "",
        "certificate \"b.pem\" key=\"b.key\"",
    ),
    (
        "listener/tls/certificate/key",
        "certificate \"b.pem\"",
        "certificate \"b.pem\" key=\"b.key\"",
    ),
    (
        "listener/tls/certificate/ocsp",
        "certificate \"b.pem\"",
        "certificate \"b.pem\" ocsp=\"b.ocsp\"",
    ),
    ("listener/tls/unknown-name", "", "unknown-name \"refuse\""),
    ("listener/tls/versions", "", "versions \"1.3\""),
    (
        "listener/tls/ciphers",
        "versions \"1.3\"",
        "versions \"1.3\"; ciphers \"TLS_AES_128_GCM_SHA256\"",
    ),
    ("listener/tls/alpn", "", "alpn \"http/1.1\""),
    (
        "listener/tls/client-certificate",
        "",
        "client-certificate \"required\" ca=\"ca.pem\"",
    ),
    (
        "listener/tls/client-certificate/ca",
        "client-certificate \"required\" ca=\"ca.pem\"",
        "client-certificate \"required\" ca=\"other.pem\"",
    ),
    (
        "listener/tls/client-certificate/crl",
        "client-certificate \"required\" ca=\"ca.pem\"",
        "client-certificate \"required\" ca=\"ca.pem\" crl=\"a.crl\"",
    ),
    (
        "listener/tls/client-certificate/crl",
        "client-certificate \"required\" ca=\"ca.pem\"",
        "client-certificate \"required\" ca=\"ca.pem\" { crl \"a.crl\" }",
    ),
    (
        "listener/tls/handshake/timeout",
        "",
        "handshake timeout=\"3s\"",
    ),
    (
        "listener/tls/handshake/concurrent-max",
        "",
        "handshake concurrent-max=7",
    ),
    ("listener/tls/tickets", "", "tickets #false"),
    (
        "listener/tls/acme",
        "",
        "acme \"https://a.example/\" { name \"b.example\"; terms-agreed #true }",
    ),
    // What must be true is in the model all the same.
    (
        "listener/tls/acme/terms-agreed",
        "",
        "acme \"https://a.example/\" { name \"b.example\"; terms-agreed #true }",
    ),
];

const ACME: &[Row] = &[
    ("listener/tls/acme/name", "", "name \"c.example\""),
    ("listener/tls/acme/contact", "", "contact \"a@example.com\""),
    ("listener/tls/acme/storage", "", "storage \"elsewhere\""),
    (
        "listener/tls/acme/challenge",
        "",
        "challenge \"tls-alpn-01\"",
    ),
    ("listener/tls/acme/ca", "", "ca \"ca.pem\""),
    (
        "listener/tls/acme/external-account",
        "",
        "external-account \"id\" key=\"a2V5\"",
    ),
    // A secret is not shown; that it is kept is shown in `protocols`.
    (
        "listener/tls/acme/external-account/key",
        "",
        "external-account \"id\" key=\"a2V5\"",
    ),
];

const ROUTE: &[Row] = &[
    ("listener/route/sni", "", "sni \"a.example\""),
    (
        "listener/route/client-certificate",
        "",
        "client-certificate",
    ),
    (
        "listener/route/client-certificate/subject",
        "client-certificate",
        "client-certificate { subject \"CN=a\" }",
    ),
    (
        "listener/route/client-certificate/name",
        "client-certificate",
        "client-certificate { name \"DNS:a\" }",
    ),
    (
        "listener/route/client-certificate/fingerprint",
        "client-certificate",
        "client-certificate { fingerprint \"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\" }",
    ),
    ("listener/route/compress", "", "compress"),
    (
        "listener/route/compress/min-size",
        "compress",
        "compress min-size=\"0B\"",
    ),
    (
        "listener/route/compress/type",
        "compress",
        "compress { type \"text/css\" }",
    ),
];

const ROUTE_LINE: &[Row] = &[("listener/route/sni", "", "sni=\"a.example\"")];

const TCP: &[Row] = &[
    (
        "listener/route/alpn",
        "{ cluster \"c\" }",
        "alpn=\"h2\" { cluster \"c\" }",
    ),
    (
        "listener/route/alpn",
        "{ cluster \"c\" }",
        "{ alpn \"h2\"; cluster \"c\" }",
    ),
    (
        "listener/route/sni",
        "{ cluster \"c\" }",
        "sni=\"a\" { cluster \"c\" }",
    ),
    (
        "listener/timeouts/hello",
        "sni=\"a\" { cluster \"c\" }|",
        "sni=\"a\" { cluster \"c\" }|timeouts hello=\"1s\"",
    ),
];

const CLUSTER: &[Row] = &[
    ("cluster/protocol", "", "protocol \"h2\""),
    (
        "cluster/http2/streams-max",
        "protocol \"h2\"",
        "protocol \"h2\"; http2 streams-max=7",
    ),
    (
        "cluster/http2/stream-window",
        "protocol \"h2\"",
        "protocol \"h2\"; http2 stream-window=\"2MiB\"",
    ),
    (
        "cluster/http2/connection-window",
        "protocol \"h2\"",
        "protocol \"h2\"; http2 connection-window=\"2MiB\"",
    ),
    ("cluster/proxy-protocol", "", "proxy-protocol \"v1\""),
    (
        "cluster/proxy-protocol/checksum",
        "proxy-protocol \"v2\"",
        "proxy-protocol \"v2\" checksum=#true",
    ),
    (
        "cluster/proxy-protocol/tlv",
        "proxy-protocol \"v2\"",
        "proxy-protocol \"v2\" { tlv \"ssl\" }",
    ),
];

const CLUSTER_TLS: &[Row] = &[
    ("cluster/tls", "", "tls"),
    (
        "cluster/tls/server-name",
        "tls",
        "tls server-name=\"a.example\"",
    ),
    ("cluster/tls/ca", "tls", "tls ca=\"ca.pem\""),
    ("cluster/tls/verify", "tls", "tls verify=#false"),
    (
        "cluster/tls/certificate",
        "tls",
        "tls { certificate \"a.pem\" }",
    ),
    (
        "cluster/tls/certificate/key",
        "tls { certificate \"a.pem\" }",
        "tls { certificate \"a.pem\" key=\"a.key\" }",
    ),
    ("cluster/tls/versions", "tls", "tls { versions \"1.3\" }"),
    (
        "cluster/tls/ciphers",
        "tls { versions \"1.3\" }",
        "tls { versions \"1.3\"; ciphers \"TLS_AES_128_GCM_SHA256\" }",
    ),
    ("cluster/tls/alpn", "tls", "tls { alpn \"http/1.1\" }"),
];
