//! What is said about HTTP/2, the PROXY protocol, compression, Unix sockets and what routes ask of TLS becomes what the model promises.

use std::time::Duration;

use super::super::*;
use super::fake::{SMALLEST, config, load_text};

const CLUSTER: &str = "cluster \"c\" { endpoint \"127.0.0.1:1\" }";

/// The one listener of a configuration whose listener has this inside.
#[track_caller]
pub(super) fn listener(inside: &str) -> Listener {
    let text = format!("listener \"l\" \"127.0.0.1:0\" {{ {inside} }}\n{CLUSTER}");
    config(&text).listeners.remove(0)
}

#[track_caller]
pub(super) fn http(listener: Listener) -> HttpListener {
    match listener.protocol {
        ListenerProtocol::Http(http) => *http,
        ListenerProtocol::Tcp(_) => panic!("it is a TCP listener"),
    }
}

#[track_caller]
pub(super) fn tcp(listener: Listener) -> TcpListener {
    match listener.protocol {
        ListenerProtocol::Tcp(tcp) => tcp,
        ListenerProtocol::Http(_) => panic!("it is an HTTP listener"),
    }
}

/// The one cluster of a configuration whose cluster has this inside.
#[track_caller]
pub(super) fn cluster(inside: &str) -> Cluster {
    let text = format!("{SMALLEST}\ncluster \"c\" {{ {inside} }}");
    config(&text).clusters.remove(0)
}

/// What is wrong with a configuration, as JSON; nothing if it is good.
pub(super) fn complaints(text: &str) -> String {
    let refused = load_text(text).err();
    refused.map_or_else(String::new, |refused| refused.to_json())
}

#[test]
fn listeners_have_unix_sockets_and_every_address() {
    let listeners = config(
        "listener \"l\" \"*:8080\" \"[::1]:0\" \"unix:/run/l.sock\" \"unix:@l\" { unix-mode \"0660\"; route { respond 200 } }",
    )
    .listeners;
    let addresses = listeners[0].addresses.iter();
    let addresses: Vec<String> = addresses.map(|address| address.value.to_string()).collect();
    assert_eq!(
        addresses,
        ["*:8080", "[::1]:0", "unix:/run/l.sock", "unix:@l"]
    );
    assert_eq!(listeners[0].unix_mode, Some(0o660));
    assert_eq!(listener("route { respond 200 }").unix_mode, None);
}

#[test]
fn ports_of_every_address_collide_with_that_port_alone() {
    for (addresses, good) in [
        ("\"*:8080\" \"127.0.0.1:8081\" \"unix:/run/8080\"", true),
        ("\"*:8080\" \"*:8081\"", true),
        ("\"*:0\" \"*:0\" \"127.0.0.1:0\"", true),
        ("\"0.0.0.0:8080\" \"[::]:8080\"", true),
        ("\"*:8080\" \"127.0.0.1:8080\"", false),
        ("\"[::]:8080\" \"*:8080\"", false),
        ("\"*:8080\" \"*:8080\"", false),
        ("\"unix:/a/b\" \"unix:/a/./b\"", false),
        ("\"unix:/a/b\" \"unix:@/a/b\"", true),
    ] {
        let text = format!("listener \"l\" {addresses} {{ route {{ respond 200 }} }}");
        let found = complaints(&text);
        assert_eq!(found.is_empty(), good, "{addresses}: {found}");
    }
}

#[test]
fn proxy_headers_are_taken_from_whom_is_listed() {
    let found = config(
        r#"listener "l" "127.0.0.1:0" "unix:@l" {
            proxy-protocol "10.0.0.0/8" from="192.0.2.1" timeout="1s"
            proxy-protocol from="unix"
            route { respond 200 }
        }"#,
    );
    let found = found.listeners[0].proxy_protocol.as_ref().expect("said");
    let networks: Vec<String> = found.from.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["10.0.0.0/8", "192.0.2.1/32"]);
    assert!(found.from_unix);
    assert_eq!(found.timeout, Duration::from_secs(1));
    let plain = listener("proxy-protocol \"10.0.0.0/8\"; route { respond 200 }");
    let plain = plain.proxy_protocol.expect("said");
    assert!(!plain.from_unix && plain.timeout == Duration::from_secs(5));
    let tcp = listener("protocol \"tcp\"; proxy-protocol \"::1\"; route { cluster \"c\" }");
    assert!(tcp.proxy_protocol.is_some());
}

#[test]
fn http2_has_limits_on_both_sides() {
    let default = Http2::default();
    assert_eq!(http(listener("route { respond 200 }")).http2, default);
    let found = http(listener(
        "http2 streams-max=7 stream-window=\"65535B\" connection-window=\"1GiB\"; route { respond 200 }",
    ));
    let expected = Http2 {
        enabled: true,
        only: false,
        streams_max: 7,
        stream_window: 65_535,
        connection_window: 1 << 30,
    };
    assert_eq!(found.http2, expected);
    let off = http(listener("http2 enabled=#false; route { respond 200 }"));
    assert!(!off.http2.enabled);
    let only = http(listener("http2 only=#true; route { respond 200 }"));
    assert!(only.http2.only && only.http2.enabled);
    let found = cluster(
        "endpoint \"c:1\"; protocol \"h2\"; http2 streams-max=100000 stream-window=\"16MiB\" connection-window=\"16MiB\"",
    );
    assert_eq!(found.protocol, UpstreamProtocol::Http2);
    let expected = Http2 {
        enabled: true,
        only: false,
        streams_max: 100_000,
        stream_window: 16 << 20,
        connection_window: 16 << 20,
    };
    assert_eq!(found.http2, expected);
    let plain = cluster("endpoint \"c:1\"");
    let all_streams = Http2 {
        connection_window: 100 * (256 << 10),
        ..default
    };
    assert_eq!(
        (plain.protocol, plain.http2),
        (UpstreamProtocol::Http1, all_streams)
    );
    let wide = cluster("endpoint \"c:1\"; protocol \"h2\"; http2 stream-window=\"16MiB\"");
    assert_eq!(wide.http2.connection_window, 1 << 30);
}

#[test]
fn routes_ask_for_names_and_certificates() {
    let found = http(listener(
        r#"
        tls { certificate "a.pem"; client-certificate "optional" ca="ca.pem" }
        route sni="A.example" { sni "*.b.example" "c.example"; respond 200 }
        route path="/a" {
            client-certificate {
                subject "CN=a,O=b" "CN=c"
                name "DNS:a.example*"; name "URI:spiffe://x"
                fingerprint "AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67:89"
            }
            respond 200
        }
        route { client-certificate {}; respond 200 }
        route { respond 404 }
        "#,
    ));
    let [named, certified, any, rest] = found.routes.as_slice() else {
        panic!("{:?}", found.routes);
    };
    assert_eq!(
        named.matcher.snis,
        [
            HostPattern::Exact("a.example".to_owned()),
            HostPattern::Suffix(".b.example".to_owned()),
            HostPattern::Exact("c.example".to_owned()),
        ]
    );
    let expected = ClientCertificateMatch {
        subjects: vec!["CN=a,O=b".to_owned(), "CN=c".to_owned()],
        names: vec!["DNS:a.example*".to_owned(), "URI:spiffe://x".to_owned()],
        fingerprints: vec!["abcdef0123456789".repeat(4)],
    };
    assert_eq!(certified.matcher.client_certificate, Some(expected));
    let verified = Some(ClientCertificateMatch::default());
    assert_eq!(any.matcher.client_certificate, verified);
    assert!(rest.matcher.client_certificate.is_none() && rest.matcher.snis.is_empty());
}

#[test]
fn tcp_listeners_have_several_routes() {
    let found = tcp(listener(
        r#"
        protocol "tcp"
        timeouts hello="2s"
        route "db" sni="db.example.com" alpn="postgresql" { cluster "c" }
        route { sni "*.a.example" "b.example"; alpn "h2" "http/1.1"; cluster "c"; priority -3 }
        route { cluster "c" }
        "#,
    ));
    assert_eq!(found.hello_timeout, Duration::from_secs(2));
    let names: Vec<_> = found
        .routes
        .iter()
        .map(|route| route.name.value.as_str())
        .collect();
    assert_eq!(names, ["db", "l/2", "l/3"]);
    let [db, second, rest] = found.routes.as_slice() else {
        panic!("{:?}", found.routes);
    };
    assert_eq!(
        db.matcher.snis,
        [HostPattern::Exact("db.example.com".to_owned())]
    );
    assert_eq!(db.matcher.alpns, ["postgresql"]);
    assert_eq!(second.matcher.snis.len(), 2);
    assert_eq!(second.matcher.alpns, ["h2", "http/1.1"]);
    assert_eq!(second.priority, -3);
    assert_eq!(rest.matcher, HelloMatch::default());
    let plain = tcp(listener("protocol \"tcp\"; route { cluster \"c\" }"));
    assert_eq!(plain.hello_timeout, Duration::from_secs(5));
}

/// Where a TCP route that is not the first leads counts like that of the first.
#[test]
fn every_tcp_route_uses_its_cluster() {
    let text = |second: &str| {
        format!(
            "listener \"l\" \"127.0.0.1:0\" {{ protocol \"tcp\"; route sni=\"a\" {{ cluster \"c\" }}; route {{ cluster \"{second}\" }} }}\n{CLUSTER}\ncluster \"d\" {{ endpoint \"127.0.0.1:1\"; retry on=\"503\" }}"
        )
    };
    assert!(complaints(&text("e")).contains("unknown cluster `e`"));
    assert!(complaints(&text("d")).contains("only TCP listeners lead to cluster `d`"));
}

#[test]
fn compression_has_defaults_for_all_it_does_not_say() {
    let compress = |line: &str| {
        let found = http(listener(&format!("route {{ {line}\ncluster \"c\" }}")));
        found.routes[0].compress.clone()
    };
    assert_eq!(compress(""), None);
    assert_eq!(compress("compress"), Some(Compress::default()));
    let expected = Compress {
        codings: vec![Coding::Brotli, Coding::Gzip],
        types: vec!["text/*".to_owned(), "application/json".to_owned()],
        size_min: 0,
    };
    let line =
        "compress \"br\" \"gzip\" min-size=\"0B\" { type \"TEXT/*\"; type \"application/json\" }";
    assert_eq!(compress(line), Some(expected));
    let default = Compress::default();
    assert_eq!(
        default.codings,
        [Coding::Zstd, Coding::Brotli, Coding::Gzip]
    );
    assert_eq!(default.size_min, 1024);
    assert!(default.types.iter().any(|found| found == "text/*"));
}

#[test]
fn clusters_may_send_proxy_headers() {
    let sent = |line: &str| cluster(&format!("endpoint \"c:1\"; {line}")).proxy_protocol;
    let expected = |version, values: &[ProxyValue], checksum| {
        Some(ProxyProtocolOut {
            version,
            values: values.to_vec(),
            checksum,
        })
    };
    use ProxyValue::{Alpn, Authority, Custom, Ssl, UniqueId};
    assert_eq!(
        sent("proxy-protocol \"v1\""),
        expected(ProxyVersion::V1, &[], false)
    );
    assert_eq!(
        sent("proxy-protocol \"v2\""),
        expected(ProxyVersion::V2, &[], false)
    );
    assert_eq!(
        sent(
            "proxy-protocol \"v2\" checksum=#true { tlv \"ssl\" \"authority\"; tlv \"alpn\" \"custom\" \"unique-id\" }"
        ),
        expected(
            ProxyVersion::V2,
            &[Ssl, Authority, Alpn, Custom, UniqueId],
            true
        )
    );
}

#[test]
fn endpoints_may_be_unix_sockets() {
    let found = cluster(
        "endpoint \"unix:/run/app.sock\"; endpoint \"unix:@app\" weight=2; health-check { http \"/\" }; tls server-name=\"a.example\"",
    );
    let addresses = found.endpoints.iter();
    let addresses: Vec<String> = addresses
        .map(|endpoint| endpoint.address.value.to_string())
        .collect();
    assert_eq!(addresses, ["unix:/run/app.sock", "unix:@app"]);
    // What is in a cookie is an id; elsewhere any path will do.
    for (affinity, good) in [
        ("affinity cookie=\"a\"", false),
        ("affinity source=#true", true),
        ("", true),
    ] {
        let text =
            format!("{SMALLEST}\ncluster \"c\" {{ endpoint \"unix:/run/a b\"; {affinity} }}");
        assert_eq!(complaints(&text).is_empty(), good, "{affinity}");
    }
}

#[test]
fn values_at_their_limits_are_good_and_beyond_them_are_not() {
    let listener = |inside: &str| {
        format!("listener \"l\" \"127.0.0.1:0\" {{ {inside}; route {{ respond 200 }} }}")
    };
    let compress = |least: &str| {
        let route = format!("route path=\"/a\" {{ cluster \"c\"; compress min-size={least:?} }}");
        format!("{}\n{CLUSTER}", listener(&route))
    };
    let tls = |inside: &str| listener(&format!("tls {{ certificate \"a.pem\"; {inside} }}"));
    for (text, good) in [
        (tls("handshake timeout=\"100ms\""), true),
        (tls("handshake timeout=\"99ms\""), false),
        (tls("handshake timeout=\"1m\""), true),
        (tls("handshake timeout=\"61s\""), false),
        (tls("handshake concurrent-max=1000000"), true),
        (tls("handshake concurrent-max=1000001"), false),
        (tls("handshake concurrent-max=0"), false),
        (listener("proxy-protocol \"::1\" timeout=\"100ms\""), true),
        (listener("proxy-protocol \"::1\" timeout=\"99ms\""), false),
        (listener("proxy-protocol \"::1\" timeout=\"1m\""), true),
        (listener("proxy-protocol \"::1\" timeout=\"61s\""), false),
        (listener("http2 streams-max=100000"), true),
        (listener("http2 streams-max=100001"), false),
        (listener("http2 streams-max=0"), false),
        (listener("http2 stream-window=\"65535B\""), true),
        (listener("http2 stream-window=\"65534B\""), false),
        (
            listener("http2 stream-window=\"16MiB\" connection-window=\"16MiB\""),
            true,
        ),
        (
            listener("http2 stream-window=\"16777217B\" connection-window=\"1GiB\""),
            false,
        ),
        (listener("http2 connection-window=\"1GiB\""), true),
        (listener("http2 connection-window=\"1073741825B\""), false),
        (listener("http2 connection-window=\"262144B\""), true),
        (listener("http2 connection-window=\"262143B\""), false),
        (compress("1GiB"), true),
        (compress("1073741825B"), false),
    ] {
        let found = complaints(&text);
        assert_eq!(found.is_empty(), good, "{text}: {found}");
    }
}
