//! Nothing is accepted and ignored.

use super::super::{Config, accepted_keys};
use super::availability_keys;
use super::fake::{SHA256, SMALLEST, config};
use super::protocol_keys;

/// Each accepted key with a value that is not its default must change the model; the reference is the same text without it.
#[test]
fn no_key_is_accepted_and_ignored() {
    let listener = |inside: &str| {
        format!("listener \"l\" \"127.0.0.1:0\" {{ {inside}\nroute \"r\" {{ respond 200 }} }}")
    };
    let route = |line: &str, inside: &str| {
        format!(
            "listener \"l\" \"127.0.0.1:0\" {{ route \"r\" {line} {{ {inside} }} }}\ncluster \"c\" {{ endpoint \"127.0.0.1:1\" }}"
        )
    };
    let cluster = |inside: &str| {
        format!("{SMALLEST}\ncluster \"c\" {{ endpoint \"127.0.0.1:1\"; {inside} }}")
    };
    let plugin = |inside: &str| format!("{SMALLEST}\nplugin \"geo\" \"geo.wasm\" {{ {inside} }}");
    let top = |inside: &str| format!("{SMALLEST}\n{inside}");
    let respond = "respond 200";
    let sha256 = format!("sha256 \"{}\"", SHA256);
    let mut examples: Vec<(&str, String, String)> = vec![
        ("process/workers", top(""), top("process { workers 3 }")),
        (
            "process/log/level",
            top(""),
            top("process { log level=\"debug\" }"),
        ),
        (
            "process/log/format",
            top(""),
            top("process { log format=\"json\" }"),
        ),
        (
            "process/drain-timeout",
            top(""),
            top("process { drain-timeout \"7s\" }"),
        ),
        ("plugin", top(""), plugin("")),
        ("plugin/sha256", plugin(""), plugin(&sha256)),
        (
            "plugin/memory-max",
            plugin(""),
            plugin("memory-max \"1MiB\""),
        ),
        ("plugin/time-max", plugin(""), plugin("time-max \"2ms\"")),
        (
            "plugin/instances-max",
            plugin(""),
            plugin("instances-max 2"),
        ),
        (
            "plugin/grant/store",
            plugin(""),
            plugin("grant { store \"s\" }"),
        ),
        ("store", top(""), top("store \"s\"")),
        (
            "store/entries-max",
            top("store \"s\""),
            top("store \"s\" { entries-max 9 }"),
        ),
        (
            "store/bytes-max",
            top("store \"s\""),
            top("store \"s\" { bytes-max \"1MiB\" }"),
        ),
        (
            "listener",
            top(""),
            top("listener \"m\" \"127.0.0.1:0\" { route { respond 200 } }"),
        ),
        (
            "listener/protocol",
            route("", "cluster \"c\""),
            route("", "cluster \"c\"").replace("{ route", "{ protocol \"tcp\"; route"),
        ),
        (
            "listener/trust-forwarded",
            listener(""),
            listener("trust-forwarded \"10.0.0.0/8\""),
        ),
        (
            "listener/trust-forwarded/from",
            listener(""),
            listener("trust-forwarded from=\"10.0.0.0/8\""),
        ),
        (
            "listener/limits/connections-max",
            listener(""),
            listener("limits connections-max=5"),
        ),
        (
            "listener/limits/header-bytes-max",
            listener(""),
            listener("limits header-bytes-max=\"2KiB\""),
        ),
        (
            "listener/limits/headers-max",
            listener(""),
            listener("limits headers-max=5"),
        ),
        (
            "listener/limits/body-bytes-max",
            listener(""),
            listener("limits body-bytes-max=\"0B\""),
        ),
        (
            "listener/timeouts/request-head",
            listener(""),
            listener("timeouts request-head=\"3s\""),
        ),
        (
            "listener/timeouts/request-body",
            listener(""),
            listener("timeouts request-body=\"3s\""),
        ),
        (
            "listener/timeouts/idle",
            listener(""),
            listener("timeouts idle=\"3s\""),
        ),
        (
            "listener/timeouts/tunnel",
            listener(""),
            listener("timeouts tunnel=\"3s\""),
        ),
        (
            "listener/path-normalization/escaped-slashes",
            listener(""),
            listener("path-normalization escaped-slashes=\"keep\""),
        ),
        (
            "listener/path-normalization/merge-slashes",
            listener(""),
            listener("path-normalization merge-slashes=#false"),
        ),
        (
            "listener/header-underscores",
            listener(""),
            listener("header-underscores \"keep\""),
        ),
        (
            "listener/network-filters",
            listener(""),
            listener("network-filters { ip-acl }"),
        ),
        (
            "listener/network-filters/*/on-fault",
            listener("network-filters { ip-acl }"),
            listener("network-filters { ip-acl on-fault=\"skip\" }"),
        ),
        (
            "listener/filters",
            listener(""),
            listener("filters { request-id }"),
        ),
        (
            "listener/filters/*/on-fault",
            listener("filters { request-id }"),
            listener("filters { request-id on-fault=\"skip\" }"),
        ),
        (
            "listener/route",
            listener(""),
            listener("route \"q\" path=\"/q\" { respond 200 }"),
        ),
        (
            "listener/route/host",
            route("", respond),
            route("host=\"h\"", respond),
        ),
        (
            "listener/route/path",
            route("", respond),
            route("path=\"/p\"", respond),
        ),
        (
            "listener/route/path-regex",
            route("", respond),
            route("path-regex=\"p\"", respond),
        ),
        (
            "listener/route/host",
            route("", respond),
            route("", "host \"h\"; respond 200"),
        ),
        (
            "listener/route/path",
            route("", respond),
            route("", "path \"/p\"; respond 200"),
        ),
        (
            "listener/route/path-regex",
            route("", respond),
            route("", "path-regex \"p\"; respond 200"),
        ),
        (
            "listener/route/method",
            route("", respond),
            route("", "method \"GET\"; respond 200"),
        ),
        (
            "listener/route/header",
            route("", respond),
            route("", "header \"x\"; respond 200"),
        ),
        (
            "listener/route/filters",
            route("", respond),
            route("", "filters { request-id }; respond 200"),
        ),
        (
            "listener/route/filters/*/on-fault",
            route("", "filters { request-id }; respond 200"),
            route("", "filters { request-id on-fault=\"skip\" }; respond 200"),
        ),
        (
            "listener/route/cluster",
            route("", respond),
            route("", "cluster \"c\""),
        ),
        (
            "listener/route/split",
            route("", respond),
            route("", "split { cluster \"c\" }"),
        ),
        (
            "listener/route/split/cluster",
            route("", "split { cluster \"c\" }"),
            route("", "split { cluster \"c\"; cluster \"c\" }"),
        ),
        (
            "listener/route/split/cluster/weight",
            route("", "split { cluster \"c\" }"),
            route("", "split { cluster \"c\" weight=2 }"),
        ),
        (
            "listener/route/redirect",
            route("", respond),
            route("", "redirect \"/x\""),
        ),
        (
            "listener/route/redirect/status",
            route("", "redirect \"/x\""),
            route("", "redirect \"/x\" status=301"),
        ),
        (
            "listener/route/respond",
            route("", "redirect \"/x\""),
            route("", respond),
        ),
        (
            "listener/route/respond/body",
            route("", respond),
            route("", "respond 200 body=\"b\""),
        ),
        (
            "listener/route/respond/header",
            route("", respond),
            route("", "respond 200 { header \"a\" \"b\" }"),
        ),
        (
            "listener/route/timeouts/response",
            route("", "cluster \"c\""),
            route("", "cluster \"c\"; timeouts response=\"3s\""),
        ),
        ("cluster", top(""), cluster("")),
        (
            "cluster/balancer",
            cluster(""),
            cluster("balancer \"least-request\""),
        ),
        (
            "cluster/endpoint",
            cluster(""),
            cluster("endpoint \"127.0.0.1:2\""),
        ),
        (
            "cluster/endpoint/weight",
            cluster(""),
            cluster("").replace(":1\"", ":1\" weight=9"),
        ),
        (
            "cluster/endpoint/requests-max",
            cluster(""),
            cluster("").replace(":1\"", ":1\" requests-max=9"),
        ),
        (
            "cluster/timeouts/connect",
            cluster(""),
            cluster("timeouts connect=\"9s\""),
        ),
        (
            "cluster/timeouts/response",
            cluster(""),
            cluster("timeouts response=\"9s\""),
        ),
        (
            "cluster/timeouts/idle",
            cluster(""),
            cluster("timeouts idle=\"9s\""),
        ),
        ("demo-origins", top(""), top("demo-origins \"127.0.0.1:9\"")),
        (
            "demo-origins/http",
            top("demo-origins \"127.0.0.1:8\""),
            top("demo-origins \"127.0.0.1:8\" { http \"127.0.0.1:9\" }"),
        ),
        (
            "demo-origins/http/name",
            top("demo-origins { http \"127.0.0.1:9\" }"),
            top("demo-origins { http \"127.0.0.1:9\" name=\"n\" }"),
        ),
        (
            "demo-origins/tcp-echo",
            top("demo-origins { http \"127.0.0.1:9\" }"),
            top("demo-origins { tcp-echo \"127.0.0.1:9\" }"),
        ),
        (
            "demo-origins/tcp-echo/name",
            top("demo-origins { tcp-echo \"127.0.0.1:9\" }"),
            top("demo-origins { tcp-echo \"127.0.0.1:9\" name=\"n\" }"),
        ),
    ];
    examples.extend(availability_keys::examples());
    examples.extend(protocol_keys::examples());
    for (key, without, with) in &examples {
        let (without, with) = (shape(&config(without)), shape(&config(with)));
        assert_ne!(without, with, "{key} changes nothing");
    }
    // Holders of other keys, and the one key that adds files. A cluster has a queue and retries without being told so.
    let others = [
        "process",
        "plugin/grant",
        "process/log",
        "listener/limits",
        "listener/timeouts",
        "listener/path-normalization",
        "listener/route/timeouts",
        "cluster/timeouts",
        "cluster/queue",
        "cluster/retry",
        "cluster/circuit-breaker",
        "include",
        "listener/http2",
        "cluster/http2",
        "listener/tls/handshake",
    ];
    for key in accepted_keys() {
        let shown = examples.iter().any(|(example, ..)| *example == key);
        assert!(
            shown || others.contains(&key.as_str()),
            "{key} has no example"
        );
    }
}

/// The model as text, without the places, which any change moves, and without the random folder of the file.
fn shape(config: &Config) -> String {
    let config = Config {
        manifests: Default::default(),
        ..config.clone()
    };
    let text = format!("{config:?}");
    let places = regex::Regex::new(r#"Place \{[^}]*\}|/[^"]*/\.tmp[^/"]+/"#);
    places
        .expect("it compiles")
        .replace_all(&text, "")
        .into_owned()
}
