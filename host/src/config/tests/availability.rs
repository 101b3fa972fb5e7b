//! What a cluster and a route say about availability becomes what the model promises.

use std::time::Duration;

use super::super::*;
use super::fake::{config, load_text};

const LISTENER: &str = "listener \"web\" \"127.0.0.1:0\" { route { cluster \"c\" } }";

/// The one cluster of a configuration whose cluster has this inside.
#[track_caller]
fn cluster(inside: &str) -> Cluster {
    let text = format!("{LISTENER}\ncluster \"c\" {{ {inside} }}");
    let mut clusters = config(&text).clusters;
    clusters.remove(0)
}

/// The messages and hints about a cluster that is wrong.
#[track_caller]
fn complaints(inside: &str) -> String {
    let text =
        format!("{LISTENER}\ncluster \"c\" {{ endpoint \"127.0.0.1:1\" zone=\"eu\"; {inside} }}");
    let refused = load_text(&text).err();
    refused.map_or_else(String::new, |refused| refused.to_json())
}

const ENDPOINT: &str = "endpoint \"127.0.0.1:1\";";

#[test]
fn defaults_are_those_of_the_model() {
    let cluster = cluster(ENDPOINT);
    assert!(cluster.discovery.is_empty() && cluster.health_check.is_none());
    assert_eq!(cluster.on_down, OnDown::Keep);
    assert!(cluster.outlier_detection.is_none() && cluster.panic_threshold.is_none());
    let Queue {
        requests_max,
        endpoint_requests_max,
        timeout,
    } = cluster.queue;
    assert_eq!(
        (requests_max, endpoint_requests_max, timeout),
        (1024, None, None)
    );
    assert_eq!(cluster.retry.attempts, 3);
    let connect_failure = RetryOn {
        connect_failure: true,
        ..RetryOn::default()
    };
    assert_eq!(cluster.retry.on, connect_failure);
    assert_eq!(cluster.circuit_breaker, CircuitBreaker::default());
    assert!(cluster.affinity.is_none() && cluster.slow_start.is_none());
    assert_eq!(cluster.backups, Backups::First);
    assert!(cluster.prefer_zone.is_none() && cluster.drain_timeout.is_none());
    let endpoint = &cluster.endpoints[0];
    assert!(!endpoint.backup && endpoint.zone.is_none() && endpoint.id.is_none());
}

#[test]
fn endpoints_may_be_listed_found_or_both() {
    let cluster = cluster(
        r#"
        endpoint "a:1" weight=2 backup=#true zone="eu-1" id="a"
        discover dns="API.internal:8080" refresh="5s" nameserver="127.0.0.1:5353, ::1" requests-max=100
        discover srv="_http._tcp.api.internal"
        discover file="sub/endpoints.json"
        "#,
    );
    let endpoint = &cluster.endpoints[0];
    assert!(endpoint.backup);
    assert_eq!(endpoint.zone.as_deref(), Some("eu-1"));
    assert_eq!(endpoint.id.as_deref(), Some("a"));
    let [dns, srv, file] = cluster.discovery.as_slice() else {
        panic!("{:?}", cluster.discovery);
    };
    let name = DiscoverySource::Dns {
        host: "api.internal".to_owned(),
        port: 8080,
    };
    assert_eq!(dns.source.value, name);
    assert_eq!(dns.refresh, Some(Duration::from_secs(5)));
    let servers: Vec<String> = dns.nameservers.iter().map(ToString::to_string).collect();
    assert_eq!(servers, ["127.0.0.1:5353", "[::1]:53"]);
    assert_eq!((dns.requests_max, srv.requests_max), (Some(100), None));
    assert!(srv.refresh.is_none() && srv.nameservers.is_empty());
    let DiscoverySource::File(path) = &file.source.value else {
        panic!("{file:?}");
    };
    assert!(path.is_absolute() && path.ends_with("sub/endpoints.json"));
}

#[test]
fn a_health_check_is_a_tcp_connection_unless_it_says_more() {
    let check = cluster(&format!("{ENDPOINT} health-check interval=\"1s\""));
    let check = check.health_check.expect("it has one");
    let second = Duration::from_secs(1);
    assert!(matches!(check.probe, Probe::Tcp));
    assert_eq!(
        [check.interval_changing, check.interval_down, check.timeout],
        [second; 3]
    );
    assert_eq!((check.rise, check.fall, check.jitter), (2, 3, Percent(0)));
    assert_eq!(check.initial, InitialHealth::Up);
    assert_eq!((check.port, check.address), (None, None));
}

#[test]
fn health_checks_keep_all_their_parts() {
    let cluster = cluster(
        r#"
        endpoint "127.0.0.1:1"
        health-check interval="2s" interval-changing="500ms" interval-down="5s" jitter="10%" timeout="1s" rise=1 fall=100 port=8081 address="10.0.0.1" initial="fully-down" {
            http "/healthz?full=1" method="POST" host="h:80" expect="200,204 3xx" body="^ok" { header "X-Name" "value" }
            on-down "close"
        }
        "#,
    );
    assert_eq!(cluster.on_down, OnDown::Close);
    let check = cluster.health_check.expect("it has one");
    assert_eq!(check.interval_changing, Duration::from_millis(500));
    assert_eq!(check.interval_down, Duration::from_secs(5));
    assert_eq!(check.timeout, Duration::from_secs(1));
    assert_eq!(
        (check.rise, check.fall, check.jitter),
        (1, 100, Percent(1_000))
    );
    assert_eq!(check.port, Some(8081));
    assert_eq!(
        check.address.map(|ip| ip.to_string()).as_deref(),
        Some("10.0.0.1")
    );
    assert_eq!(check.initial, InitialHealth::FullyDown);
    let Probe::Http(http) = check.probe else {
        panic!("{:?}", check.probe);
    };
    assert_eq!(
        (http.path.as_str(), http.method.as_str()),
        ("/healthz?full=1", "POST")
    );
    assert_eq!(http.host.as_deref(), Some("h:80"));
    assert_eq!(http.expect, [200..=200, 204..=204, 300..=399]);
    assert_eq!(http.headers, [("x-name".to_owned(), "value".to_owned())]);
    let body = http.body.expect("it has one");
    assert!(body.is_match(b"ok\xff") && !body.is_match(b"not ok"));
}

#[test]
fn other_probes_know_their_words() {
    let probe = |text: &str| {
        let cluster = cluster(&format!("{ENDPOINT} health-check {{ {text} }}"));
        cluster.health_check.expect("it has one").probe
    };
    let Probe::Tls(tls) = probe("tls server-name=\"a.example\" ca=\"ca.pem\"") else {
        panic!("it is a TLS probe");
    };
    assert_eq!(tls.server_name.as_deref(), Some("a.example"));
    assert!(tls.verify && tls.ca.is_some_and(|path| path.is_absolute()));
    let Probe::Tls(tls) = probe("tls verify=#false") else {
        panic!("it is a TLS probe");
    };
    assert!(!tls.verify && tls.ca.is_none() && tls.server_name.is_none());
    assert!(matches!(probe("grpc"), Probe::Grpc { service } if service.is_empty()));
    assert!(matches!(probe("grpc service=\"a.B\""), Probe::Grpc { service } if service == "a.B"));
    assert!(matches!(probe("tcp"), Probe::Tcp));
}

#[test]
fn zero_turns_a_detection_off() {
    let detection = |line: &str| {
        let cluster = cluster(&format!("{ENDPOINT} outlier-detection {line}"));
        cluster.outlier_detection.expect("it has one")
    };
    let usual = detection("");
    assert_eq!(usual.consecutive_failures, Some(5));
    assert_eq!(usual.consecutive_gateway_failures, None);
    assert_eq!(usual.ejection, Duration::from_secs(30));
    assert_eq!(usual.ejection_max, Duration::from_secs(300));
    assert_eq!(
        (usual.ejected_max, usual.interval),
        (Percent(1_000), Duration::from_secs(10))
    );
    let other = detection(
        "consecutive-failures=0 consecutive-gateway-failures=1 consecutive-connect-failures=0 { success-rate }",
    );
    assert_eq!(other.consecutive_failures, None);
    assert_eq!(other.consecutive_gateway_failures, Some(1));
    assert_eq!(other.consecutive_connect_failures, None);
    let rate = other.success_rate.expect("it has one");
    assert_eq!((rate.requests_min, rate.endpoints_min), (100, 5));
    assert_eq!(rate.deviations, Percent(19_000));
}

#[test]
fn what_is_retried_takes_the_place_of_the_default() {
    let on = |line: &str| cluster(&format!("{ENDPOINT} retry {line}")).retry.on;
    let reset = RetryOn {
        reset: true,
        ..RetryOn::default()
    };
    assert_eq!(on("on=\"reset\""), reset);
    let all = RetryOn {
        connect_failure: true,
        reset: true,
        timeout: true,
        statuses: vec![503..=503, 400..=499],
    };
    assert_eq!(on("on=\"connect-failure,reset timeout, 503,4xx\""), all);
    assert_eq!(
        on("{ on \"connect-failure\" \"reset\" \"timeout\"; on \"503\" \"4xx\" }"),
        all
    );
    assert!(on("attempts=1").connect_failure);
}

#[test]
fn retries_keep_all_their_parts() {
    let retry = cluster(
        r#"
        endpoint "127.0.0.1:1"
        retry attempts=5 budget="12.5%" budget-min=0 timeout="1s" backoff="0s" backoff-max="0s" non-idempotent=#true body-bytes-max="1MiB" hedge-delay="100ms"
        "#,
    )
    .retry;
    assert_eq!(
        (retry.attempts, retry.budget, retry.budget_min),
        (5, Percent(1_250), 0)
    );
    assert_eq!(retry.timeout, Some(Duration::from_secs(1)));
    assert_eq!(
        (retry.backoff, retry.backoff_max),
        (Duration::ZERO, Duration::ZERO)
    );
    assert!(retry.non_idempotent);
    assert_eq!(retry.body_bytes_max, 1 << 20);
    assert_eq!(retry.hedge_delay, Some(Duration::from_millis(100)));
}

#[test]
fn limits_are_none_unless_given() {
    let given = cluster(&format!(
        "{ENDPOINT} circuit-breaker requests-max=1 endpoint-connections-max=2; queue requests-max=0 timeout=\"1s\" endpoint-requests-max=0; panic-threshold \"0.5%\""
    ));
    let breaker = CircuitBreaker {
        requests_max: Some(1),
        endpoint_connections_max: Some(2),
        ..CircuitBreaker::default()
    };
    assert_eq!(given.circuit_breaker, breaker);
    assert_eq!(given.queue.requests_max, 0);
    assert_eq!(given.queue.endpoint_requests_max, Some(0));
    assert_eq!(given.queue.timeout, Some(Duration::from_secs(1)));
    assert_eq!(given.panic_threshold, Some(Percent(50)));
}

#[test]
fn cookies_keep_all_their_parts() {
    let affinity = |line: &str| cluster(&format!("{ENDPOINT} affinity {line}")).affinity;
    let Some(Affinity::Cookie(plain)) = affinity("cookie=\"a\"") else {
        panic!("it is a cookie");
    };
    assert_eq!(
        (plain.mode, plain.value),
        (CookieMode::Insert, CookieValue::Opaque)
    );
    assert_eq!(
        (plain.path.as_str(), plain.secret, plain.domain),
        ("/", None, None)
    );
    assert!(!plain.secure && plain.http_only);
    assert_eq!((plain.same_site, plain.max_age), (None, None));
    let Some(Affinity::Cookie(full)) = affinity(
        r#"cookie="a" mode="insert" value="signed" secret="0123456789abcdef" path="/p" domain="a.example" secure=#true http-only=#false same-site="none" max-age="1h""#,
    ) else {
        panic!("it is a cookie");
    };
    assert_eq!(full.value, CookieValue::Signed);
    assert_eq!(
        (full.path.as_str(), full.domain.as_deref()),
        ("/p", Some("a.example"))
    );
    assert!(full.secure && !full.http_only);
    assert_eq!(full.same_site, Some(SameSite::None));
    assert_eq!(full.max_age, Some(Duration::from_secs(3600)));
}

#[test]
fn keys_are_made_of_what_they_name() {
    let key = |line: &str| match cluster(&format!("{ENDPOINT} affinity {line}")).affinity {
        Some(Affinity::Table(table)) => table,
        other => panic!("{other:?}"),
    };
    let source = key("source=#true");
    assert_eq!(source.key, [KeyPart::Source]);
    assert_eq!(
        (source.size, source.expiry),
        (100_000, Duration::from_secs(1800))
    );
    let header = key("header=\"X-User\" size=1 expiry=\"720h\"");
    assert_eq!(header.key, [KeyPart::Header("x-user".to_owned())]);
    assert_eq!(
        (header.size, header.expiry),
        (1, Duration::from_secs(720 * 3600))
    );
    let both = key("key=\"{source}-{tag:tenant}\"").key;
    let tag = KeyPart::Tag("tenant".to_owned());
    assert_eq!(both, [KeyPart::Source, KeyPart::Text("-".to_owned()), tag]);
}

#[test]
fn routes_may_have_their_own() {
    let config = config(
        r#"
        listener "web" "127.0.0.1:0" {
            route "own" path="/a" {
                priority -2047
                retry attempts=2
                mirror "m" share="0.5%" body-bytes-max="0B"
                cluster "c"
            }
            route "none" { split { cluster "c" } }
        }
        listener "db" "127.0.0.1:0" { protocol "tcp"; route { cluster "c"; priority 2047 } }
        cluster "c" { endpoint "127.0.0.1:1"; retry attempts=9 on="reset" }
        cluster "m" { endpoint "127.0.0.1:2" }
        "#,
    );
    let ListenerProtocol::Http(http) = &config.listeners[0].protocol else {
        panic!("it is an HTTP listener");
    };
    let [own, none] = http.routes.as_slice() else {
        panic!("{:?}", http.routes);
    };
    assert_eq!((own.priority, none.priority), (-2047, 0));
    let retry = own.retry.as_ref().expect("it has one");
    assert!(retry.attempts == 2 && retry.on.connect_failure && !retry.on.reset);
    assert!(none.retry.is_none() && none.mirror.is_none());
    let mirror = own.mirror.as_ref().expect("it has one");
    assert_eq!(
        (mirror.cluster.value.as_str(), mirror.share),
        ("m", Percent(50))
    );
    assert_eq!(mirror.body_bytes_max, 0);
    let ListenerProtocol::Tcp(tcp) = &config.listeners[1].protocol else {
        panic!("it is a TCP listener");
    };
    assert_eq!(tcp.routes[0].priority, 2047);
}

#[test]
fn a_mirrored_cluster_is_used() {
    let text = format!(
        "{}\ncluster \"c\" {{ {ENDPOINT} }}\ncluster \"m\" {{ {ENDPOINT} }}",
        LISTENER.replace("cluster", "mirror \"m\"; cluster")
    );
    let loaded = load_text(&text).expect("it is good");
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
}

#[test]
fn tcp_clusters_may_retry_connects_and_follow_the_source() {
    let text = |inside: &str| {
        format!(
            "listener \"db\" \"127.0.0.1:0\" {{ protocol \"tcp\"; route {{ cluster \"c\" }} }}\ncluster \"c\" {{ {ENDPOINT} {inside} }}"
        )
    };
    for (inside, good) in [
        ("retry attempts=5 budget=\"50%\" backoff=\"1ms\"", true),
        ("affinity source=#true", true),
        ("affinity key=\"db-{source}\"", true),
        ("affinity key=\"{source}{tag:a}\"", false),
        ("affinity header=\"a\"", false),
        ("affinity cookie=\"a\"", false),
        ("retry on=\"connect-failure,reset\"", false),
        ("retry on=\"timeout\"", false),
        ("retry on=\"503\"", false),
        ("retry timeout=\"1s\"", false),
        ("retry hedge-delay=\"1s\"", false),
        ("retry non-idempotent=#true", false),
        ("retry body-bytes-max=\"1KiB\"", false),
    ] {
        assert_eq!(load_text(&text(inside)).is_ok(), good, "{inside}");
        // What is said about retries may be meant for the HTTP listener; affinity would still be nothing to the other.
        let shared = format!("{LISTENER}\n{}", text(inside));
        let affinity = inside.starts_with("affinity");
        assert_eq!(load_text(&shared).is_ok(), good || !affinity, "{inside}");
    }
}

#[test]
fn each_number_ends_where_the_model_says() {
    for (inside, good) in [
        ("queue requests-max=10000000", true),
        ("queue requests-max=10000001", false),
        ("circuit-breaker pending-max=0", false),
        ("retry attempts=100", true),
        ("retry attempts=101", false),
        ("retry attempts=0", false),
        ("retry budget=\"1000%\"", true),
        ("retry budget=\"1000.01%\"", false),
        ("retry backoff=\"250ms\"", true),
        ("retry backoff=\"251ms\"", false),
        ("retry backoff-max=\"25ms\"", true),
        ("retry backoff-max=\"24ms\"", false),
        ("retry attempts=1", true),
        ("retry attempts=1 hedge-delay=\"1s\"", false),
        ("retry body-bytes-max=\"64MiB\"", true),
        ("retry body-bytes-max=\"65MiB\"", false),
        ("health-check interval=\"10ms\"", true),
        ("health-check interval=\"9ms\"", false),
        ("health-check jitter=\"50%\"", true),
        ("health-check jitter=\"50.01%\"", false),
        ("health-check rise=100", true),
        ("health-check rise=101", false),
        ("health-check fall=0", false),
        ("health-check port=65535", true),
        ("health-check port=65536", false),
        ("health-check port=0", false),
        ("outlier-detection ejection=\"300s\"", true),
        ("outlier-detection ejection=\"301s\"", false),
        ("outlier-detection ejected-max=\"100%\"", true),
        ("outlier-detection ejected-max=\"100.01%\"", false),
        ("outlier-detection { success-rate endpoints-min=1 }", false),
        (
            "outlier-detection { success-rate deviations=\"9%\" }",
            false,
        ),
        ("panic-threshold \"0%\"", false),
        ("panic-threshold \"100%\"", true),
        ("slow-start \"0s\"", false),
        ("discover dns=\"a:1\" refresh=\"100ms\"", true),
        ("discover dns=\"a:1\" refresh=\"99ms\"", false),
        ("affinity source=#true size=10000000", true),
        ("affinity source=#true size=10000001", false),
        ("affinity cookie=\"a\" max-age=\"1s\"", true),
        ("affinity cookie=\"a\" max-age=\"1500ms\"", false),
        ("affinity cookie=\"a\" max-age=\"9601h\"", false),
        ("prefer-zone \"eu\" spill-below=\"0%\"", true),
        ("prefer-zone \"eu\" spill-below=\"101%\"", false),
    ] {
        let found = complaints(inside);
        assert_eq!(found.is_empty(), good, "{inside}: {found}");
    }
}

#[test]
fn the_admin_listens_on_loopback_and_drains_may_be_delayed() {
    let config = config(&format!(
        "process {{ drain-delay \"10m\" }}\nadmin \"127.0.0.1:9900\" \"[::1]:9900\"\n{LISTENER}\ncluster \"c\" {{ {ENDPOINT} }}"
    ));
    assert_eq!(config.process.drain_delay, Duration::from_secs(600));
    let addresses: Vec<String> = config.admin.iter().map(|a| a.value.to_string()).collect();
    assert_eq!(addresses, ["127.0.0.1:9900", "[::1]:9900"]);
}
