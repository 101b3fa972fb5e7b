//! `network-filters` decide about a connection before a byte of it is read, whatever its protocol.

use super::{connect, echo, end, ends_by_reset, established, server};
use crate::harness::{Client, PATIENCE, Proxy};
use socket2::{Domain, Socket, Type};
use std::net::{SocketAddr, TcpStream};

/// A connection from an address of the loopback network.
fn connect_from(source: [u8; 4], address: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket
        .bind(&SocketAddr::from((source, 0)).into())
        .expect("all of 127/8 is ours");
    socket.connect(&address.into()).expect("the proxy listens");
    let stream = TcpStream::from(socket);
    stream
        .set_read_timeout(Some(PATIENCE))
        .expect("a timeout can be set");
    stream
}

fn tcp_proxy(endpoint: SocketAddr, settings: &str) -> Proxy {
    Proxy::start(&format!(
        r#"
process {{ workers 1; log level="debug" format="json" }}
listener "raw" "127.0.0.1:0" {{
    protocol "tcp"
    network-filters {{ ip-acl {{ {settings} }} }}
    route {{ cluster "c" }}
}}
cluster "c" {{ endpoint "{endpoint}" }}
"#
    ))
}

fn is_closed(stream: &mut TcpStream) {
    ends_by_reset(stream);
}

/// Asks for `/` on this connection; the body, or nothing when it is closed instead.
fn asked(mut stream: TcpStream) -> Option<String> {
    use std::io::{Read, Write};
    // A connection that was closed may refuse the bytes.
    let _ = stream.write_all(b"GET / HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer);
    read.ok().filter(|count| *count > 0)?;
    let (head, body) = answer.split_once("\r\n\r\n").expect("a whole head");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    Some(body.to_owned())
}

#[test]
fn ip_acl_denies_a_network_and_the_endpoint_hears_nothing_of_it() {
    let origin = crate::harness::Origin::start(|mut peer| {
        peer.finish();
    });
    let proxy = tcp_proxy(origin.address(), r#"deny "127.0.0.2" "127.0.1.0/24""#);
    for source in [[127, 0, 0, 2], [127, 0, 1, 0], [127, 0, 1, 255]] {
        let mark = proxy.log_mark();
        is_closed(&mut connect_from(source, proxy.address("raw")));
        let line = proxy.log_line_after(mark, "connection refused by a network filter");
        assert!(
            line.contains("\"filter\":\"ip-acl\"") && line.contains("\"faulted\":false"),
            "{line}"
        );
    }
    assert_eq!(origin.connections(), 0);
    for source in [[127, 0, 0, 1], [127, 0, 0, 3], [127, 0, 2, 0]] {
        is_closed(&mut connect_from(source, proxy.address("raw")));
    }
    origin.wait_for_connections(3);
}

#[test]
fn ip_acl_allows_only_what_it_names_and_the_most_specific_network_decides() {
    let proxy = tcp_proxy(
        server(echo),
        r#"allow "127.0.0.0/16" "127.9.9.9"; deny "127.0.0.128/25""#,
    );
    let allowed = |source| {
        use std::io::{Read, Write};
        let mut stream = connect_from(source, proxy.address("raw"));
        let mut byte = [0];
        let echoed = stream
            .write_all(b"x")
            .and_then(|()| stream.read_exact(&mut byte));
        echoed.is_ok() && byte == *b"x"
    };
    let table = [
        ([127, 0, 0, 1], true),
        ([127, 0, 0, 127], true),
        ([127, 0, 0, 128], false),
        ([127, 0, 1, 1], true),
        ([127, 1, 0, 0], false),
        ([127, 9, 9, 9], true),
        ([127, 9, 9, 8], false),
    ];
    for (source, expected) in table {
        assert_eq!(allowed(source), expected, "{source:?}");
    }
}

#[test]
fn ip_acl_guards_an_http_listener_too() {
    let proxy = Proxy::start(
        r#"
        listener "web" "127.0.0.1:0" {
            network-filters { ip-acl { deny "127.0.0.2" } }
            route { respond 200 body="inside" }
        }
        listener "open" "127.0.0.1:0" { route { respond 200 body="open" } }
        "#,
    );
    assert_eq!(
        asked(connect_from([127, 0, 0, 2], proxy.address("web"))),
        None
    );
    assert_eq!(
        asked(connect_from([127, 0, 0, 1], proxy.address("web"))).as_deref(),
        Some("inside")
    );
    assert_eq!(
        asked(connect_from([127, 0, 0, 2], proxy.address("open"))).as_deref(),
        Some("open"),
        "one listener's filter is its own"
    );
}

#[test]
fn a_changed_ip_acl_judges_the_next_connection_and_leaves_the_open_ones() {
    let origin = server(echo);
    let text = |acl: &str| {
        format!(
            r#"
            listener "raw" "127.0.0.1:0" {{
                protocol "tcp"
                network-filters {{ {acl} }}
                route {{ cluster "c" }}
            }}
            cluster "c" {{ endpoint "{origin}" }}
            "#
        )
    };
    let proxy = Proxy::start(&text(""));
    let open = established(proxy.address("raw"));
    proxy
        .reload(&text(r#"ip-acl { deny "127.0.0.0/8" }"#))
        .expect("it is valid");
    is_closed(&mut connect(proxy.address("raw")));
    end(&proxy, open);
    proxy.reload(&text("")).expect("it is valid");
    end(&proxy, established(proxy.address("raw")));
}

#[test]
fn a_connection_limit_of_an_http_listener_counts_idle_connections() {
    let proxy = Proxy::start(
        r#"
        listener "web" "127.0.0.1:0" {
            limits connections-max=1
            route { respond 200 body="pong" }
        }
        "#,
    );
    let mut first = proxy.client();
    assert_eq!(first.get("/").text(), "pong");
    let mut second: Client = proxy.client();
    assert!(second.is_at_end(), "there is no place for it");
    assert_eq!(first.get("/").text(), "pong");
}
