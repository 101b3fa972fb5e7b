//! Who is believed, and what becomes of those who say nothing good.

use super::{address, believing, v2, v2_of, with_checksum};
use crate::harness::{Authority, Client, Origin, PATIENCE, Proxy, TlsClient, config};
use crate::tcp::{connect, echo, read_exactly, server};
use std::io::Write;
use std::net::TcpStream;

const REQUEST: &str = "GET /x HTTP/1.1\r\nHost: test\r\n\r\n";

/// Headers that name a client, with its address.
fn good() -> Vec<(Vec<u8>, &'static str)> {
    let v4 = (address("198.51.100.7:4000"), address("192.0.2.1:80"));
    let v6 = (address("[2001:db8::7]:4000"), address("[2001:db8::1]:80"));
    let mapped = (
        address("[::ffff:198.51.100.9]:4000"),
        address("[::ffff:192.0.2.1]:80"),
    );
    vec![
        (
            b"PROXY TCP4 198.51.100.7 192.0.2.1 4000 80\r\n".to_vec(),
            "198.51.100.7",
        ),
        (
            b"PROXY TCP6 2001:db8::7 2001:db8::1 4000 80\r\n".to_vec(),
            "2001:db8::7",
        ),
        (v2_of(v4.0, v4.1, &[]), "198.51.100.7"),
        (v2_of(v6.0, v6.1, &[]), "2001:db8::7"),
        // IPv4 in the clothes of IPv6 is IPv4, so that rules for it hold.
        (v2_of(mapped.0, mapped.1, &[]), "198.51.100.9"),
        (with_checksum(&v2_of(v4.0, v4.1, &[])), "198.51.100.7"),
    ]
}

/// The address that the origin and the access line are given for a connection that begins with these bytes, in these pieces.
fn client_of(proxy: &Proxy, pieces: &[&[u8]], target: &str) -> String {
    let mut client = proxy.client();
    pieces.iter().for_each(|piece| client.send(piece));
    let seen = client.response().echoed();
    let forwarded = seen.header("x-forwarded-for").expect("it is always there");
    let line = proxy.line_of(target);
    assert_eq!((line.status(), line.outcome()), (200, "ok"));
    assert_eq!(line.text("client"), forwarded);
    forwarded.to_owned()
}

#[test]
fn a_header_from_a_listed_peer_says_who_the_client_is() {
    let origin = Origin::echo();
    let proxy = believing("", &origin);
    for (number, (header, expected)) in good().into_iter().enumerate() {
        let target = format!("/{number}");
        let request = format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n");
        let whole = [&header, request.as_bytes()].concat();
        assert_eq!(client_of(&proxy, &[&whole], &target), expected, "{number}");
    }
}

#[test]
fn a_header_may_come_byte_by_byte() {
    let origin = Origin::echo();
    let proxy = believing("", &origin);
    for (number, (header, expected)) in good().into_iter().enumerate() {
        let target = format!("/{number}");
        let request = format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n");
        let whole = [&header, request.as_bytes()].concat();
        let pieces: Vec<&[u8]> = whole.chunks(1).collect();
        assert_eq!(client_of(&proxy, &pieces, &target), expected, "{number}");
    }
}

#[test]
fn later_requests_of_the_connection_are_of_the_same_client() {
    let origin = Origin::echo();
    let proxy = believing("", &origin);
    let mut client = proxy.client();
    client.send("PROXY TCP4 198.51.100.7 192.0.2.1 4000 80\r\n");
    for path in ["/first", "/second"] {
        let seen = client.get(path).echoed();
        assert_eq!(seen.header("x-forwarded-for"), Some("198.51.100.7"));
        assert_eq!(proxy.line_of(path).text("client"), "198.51.100.7");
    }
}

#[test]
fn a_header_about_nobody_leaves_the_real_address() {
    let origin = Origin::echo();
    let proxy = believing("", &origin);
    let headers = [
        b"PROXY UNKNOWN\r\n".to_vec(),
        b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".to_vec(),
        // LOCAL, with addresses and without; PROXY of no family, and of Unix sockets.
        v2(0, 0x11, &[9; 12], &[]),
        v2(0, 0, &[], &[]),
        v2(1, 0, &[], &[]),
        v2(1, 0x31, &[b'/'; 216], &[]),
    ];
    for (number, header) in headers.into_iter().enumerate() {
        let target = format!("/{number}");
        let request = format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n");
        let client = client_of(&proxy, &[&header, request.as_bytes()], &target);
        assert_eq!(client, "127.0.0.1", "{number}");
    }
}

#[test]
fn from_a_peer_that_is_not_listed_a_header_is_no_header() {
    let origin = Origin::echo();
    let proxy = Proxy::start(&config(
        r#"listener "web" "127.0.0.1:0" {
            proxy-protocol "10.0.0.0/8" from="192.0.2.0/24"
            route { cluster "origin" }
        }
        cluster "origin" { endpoint "ORIGIN" }"#,
        &[("ORIGIN", &origin)],
    ));
    for (header, _) in good() {
        let mut client = proxy.client();
        client.send([&header, REQUEST.as_bytes()].concat());
        assert_eq!(client.response().status, 400);
    }
    proxy.access_line(|line| line.status() == 400 && line.outcome() == "bad-request");
    assert_eq!(proxy.client().get("/without").status, 200);
    assert_eq!(origin.connections(), 1);
}

#[test]
fn a_listed_peer_without_a_good_header_is_closed_and_the_log_says_why() {
    let v4 = v2_of(address("198.51.100.7:1"), address("192.0.2.1:2"), &[]);
    let mut wrong_sum = with_checksum(&v4);
    *wrong_sum.last_mut().expect("it has bytes") ^= 1;
    let mut later_version = v4.clone();
    later_version[12] = 0x31;
    let cases: [(&[u8], &str); 7] = [
        (REQUEST.as_bytes(), "no PROXY header"),
        (
            b"PROXY TCP4 198.51.100.7 192.0.2.1 4000\r\n",
            "malformed line",
        ),
        (
            b"PROXY TCP4 198.51.100.7 192.0.2.1 4000 99999\r\n",
            "malformed line",
        ),
        (&later_version, "version 3"),
        (&wrong_sum, "wrong checksum"),
        (&v2(1, 0x11, &[1; 4], &[]), "no room for the addresses"),
        (&v4[..20], "closed within the PROXY header"),
    ];
    let origin = Origin::echo();
    for (bytes, reason) in cases {
        // One process for each: the log tells of such peers once a second.
        let proxy = believing("", &origin);
        let mut client = proxy.client();
        client.send(bytes);
        if reason.contains("closed") {
            client.finish();
        } else {
            client.send(REQUEST);
        }
        assert!(client.is_at_end(), "{reason}: it is answered");
        let line = proxy.log_line("no valid PROXY header");
        assert!(line.contains(reason), "{reason}: {line}");
        assert_eq!(proxy.access_lines(), Vec::<String>::new(), "{reason}");
    }
    assert_eq!(origin.connections(), 0);
}

#[test]
fn a_header_has_its_time_and_no_more() {
    let origin = Origin::echo();
    let listener = |name: &str, timeout: &str| {
        format!(
            r#"listener "{name}" "127.0.0.1:0" {{
                proxy-protocol from="127.0.0.1" timeout="{timeout}"
                route {{ cluster "origin" }}
            }}
            "#
        )
    };
    let text = format!(
        "{}{}cluster \"origin\" {{ endpoint \"{origin}\" }}",
        listener("patient", "60s"),
        listener("web", "200ms")
    );
    let proxy = Proxy::start(&text);
    let mut patient = proxy.client_of("patient");
    patient.send("PROXY TCP4 198.51.100.7 192.0.2.1 40");
    let mut client = proxy.client();
    client.send("PROXY TCP4 198.51.100.7 192.0.2.1 40");
    assert!(client.is_at_end());
    assert!(
        proxy
            .log_line("no valid PROXY header")
            .contains("timed out")
    );
    // Where there is more time, it goes on: it was the listener's own time that has ended.
    patient.send("00 80\r\n");
    let seen = patient.get("/x").echoed();
    assert_eq!(seen.header("x-forwarded-for"), Some("198.51.100.7"));
}

#[test]
fn network_filters_judge_the_address_in_the_header() {
    let origin = Origin::echo();
    let proxy = believing(
        r#"network-filters { ip-acl { deny "198.51.100.0/24" } }"#,
        &origin,
    );
    let mut denied = proxy.client();
    denied.send(format!(
        "PROXY TCP4 198.51.100.7 192.0.2.1 4000 80\r\n{REQUEST}"
    ));
    assert!(denied.is_at_end());
    let line = proxy.log_line("connection refused by a network filter");
    assert!(line.contains("198.51.100.7:4000"), "{line}");
    let request = format!("PROXY TCP4 203.0.113.7 192.0.2.1 4000 80\r\n{REQUEST}");
    let passed = client_of(&proxy, &[request.as_bytes()], "/x");
    assert_eq!(passed, "203.0.113.7");
    assert_eq!(origin.connections(), 1);
}

#[test]
fn forwarding_headers_are_believed_of_the_address_in_the_header() {
    let origin = Origin::echo();
    let proxy = believing(r#"trust-forwarded "198.51.100.0/24""#, &origin);
    for (source, client, chain) in [
        ("198.51.100.7", "203.0.113.9", "203.0.113.9, 198.51.100.7"),
        ("192.0.2.7", "192.0.2.7", "192.0.2.7"),
    ] {
        let mut connection = proxy.client();
        connection.send(format!("PROXY TCP4 {source} 192.0.2.1 4000 80\r\n"));
        let target = format!("/{source}");
        let seen = connection.ask("GET", &target, "X-Forwarded-For: 203.0.113.9\r\n");
        assert_eq!(seen.echoed().header("x-forwarded-for"), Some(chain));
        assert_eq!(proxy.line_of(&target).text("client"), client);
    }
}

#[test]
fn before_tls_the_header_comes_first_and_in_the_clear() {
    let authority = Authority::new();
    let identity = authority.issue(&["site.test"]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("site.pem"), identity.both()).expect("writes");
    let origin = Origin::echo();
    let text = config(
        r#"listener "web" "127.0.0.1:0" {
            proxy-protocol from="127.0.0.1"
            tls { certificate "site.pem" }
            route { cluster "origin" }
        }
        cluster "origin" { endpoint "ORIGIN" }"#,
        &[("ORIGIN", &origin)],
    );
    let proxy = Proxy::start_in(folder, &text).expect("it starts");
    let tls = TlsClient::new(&authority, "site.test").alpn(&["http/1.1"]);
    let mut stream = TcpStream::connect(proxy.address("web")).expect("it listens");
    stream
        .write_all(b"PROXY TCP4 198.51.100.7 192.0.2.1 4000 443\r\n")
        .expect("sends");
    let (mut client, _) = tls.shake_on(stream).expect("a handshake");
    let seen = client.ask("GET", "/x", "Host: site.test\r\n").echoed();
    assert_eq!(seen.header("x-forwarded-for"), Some("198.51.100.7"));
    assert_eq!(seen.header("x-forwarded-proto"), Some("https"));
    let line = proxy.line_of("/x");
    assert_eq!(
        (line.outcome(), line.text("client")),
        ("ok", "198.51.100.7")
    );
    assert_eq!(line.text("tls_sni"), "site.test");
    // A handshake is no header.
    assert!(tls.shake(proxy.address("web")).is_err());
    proxy.log_line("no valid PROXY header");
}

#[test]
fn a_tcp_listener_takes_the_header_off_and_the_rest_goes_on() {
    let endpoint = server(echo);
    let proxy = Proxy::start(&format!(
        r#"listener "raw" "127.0.0.1:0" {{
            protocol "tcp"
            proxy-protocol from="127.0.0.1"
            route {{ cluster "c" }}
        }}
        cluster "c" {{ endpoint "{endpoint}" }}"#
    ));
    let mut client = connect(proxy.address("raw"));
    let header = b"PROXY TCP6 2001:db8::7 2001:db8::1 4000 80\r\nhello";
    client.write_all(header).expect("sends");
    assert_eq!(read_exactly(&mut client, 5), b"hello");
    client
        .shutdown(std::net::Shutdown::Write)
        .expect("half-closes");
    let line = proxy.access_line(|line| line.text("kind") == "tcp");
    assert_eq!(line.text("client"), "[2001:db8::7]:4000");
    assert_eq!(
        (line.outcome(), line.number("downstream_bytes")),
        ("ok", 5),
        "{line:?}"
    );
}

#[test]
fn peers_of_unix_sockets_send_headers_where_that_is_said() {
    use std::io::Read;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixStream};
    let origin = Origin::echo();
    let name = format!("tollgate-test-proxied-{}", std::process::id());
    let proxy = Proxy::start(&config(
        r#"listener "web" "127.0.0.1:0" "unix:@NAME" {
            proxy-protocol from="unix"
            route { cluster "origin" }
        }
        cluster "origin" { endpoint "ORIGIN" }"#,
        &[("NAME", &name), ("ORIGIN", &origin)],
    ));
    let there = SocketAddr::from_abstract_name(&name).expect("a name");
    let mut stream = UnixStream::connect_addr(&there).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let request = "GET /unix HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
    write!(
        stream,
        "PROXY TCP4 198.51.100.7 192.0.2.1 4000 80\r\n{request}"
    )
    .expect("sends");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.contains("198.51.100.7"), "{answer}");
    let line = proxy.line_of("/unix");
    assert_eq!(
        (line.outcome(), line.text("client")),
        ("ok", "198.51.100.7")
    );
    // The peers by TCP are not meant.
    let seen = Client::connect(proxy.address("web")).get("/tcp").echoed();
    assert_eq!(seen.header("x-forwarded-for"), Some("127.0.0.1"));
}

#[test]
fn who_sends_headers_changes_with_the_configuration() {
    let origin = Origin::echo();
    let text = |settings: &str| {
        config(
            r#"listener "web" "127.0.0.1:0" {
                SETTINGS
                route { cluster "origin" }
            }
            cluster "origin" { endpoint "ORIGIN" }"#,
            &[("SETTINGS", &settings), ("ORIGIN", &origin)],
        )
    };
    let proxy = Proxy::start(&text(""));
    let mut kept = proxy.client();
    assert_eq!(kept.get("/before").status, 200);
    let believing = text(r#"proxy-protocol from="127.0.0.1""#);
    proxy.reload(&believing).expect("it is valid");
    let request = format!("PROXY TCP4 198.51.100.7 192.0.2.1 4000 80\r\n{REQUEST}");
    assert_eq!(
        client_of(&proxy, &[request.as_bytes()], "/x"),
        "198.51.100.7"
    );
    // What was accepted before goes on as what it was.
    let seen = kept.get("/kept").echoed();
    assert_eq!(seen.header("x-forwarded-for"), Some("127.0.0.1"));
    proxy.reload(&text("")).expect("it is valid");
    let mut client = proxy.client();
    client.send(&request);
    assert_eq!(client.response().status, 400);
}

#[test]
fn on_a_tcp_listener_a_header_of_others_goes_on_to_the_endpoint() {
    let endpoint = server(echo);
    let proxy = Proxy::start(&format!(
        r#"listener "raw" "127.0.0.1:0" {{
            protocol "tcp"
            proxy-protocol "10.0.0.0/8"
            route {{ cluster "c" }}
        }}
        cluster "c" {{ endpoint "{endpoint}" }}"#
    ));
    let header = b"PROXY TCP4 198.51.100.7 192.0.2.1 4000 80\r\n";
    let mut client = connect(proxy.address("raw"));
    client.write_all(header).expect("sends");
    assert_eq!(read_exactly(&mut client, header.len()), header);
    let own = client.local_addr().expect("it is connected").to_string();
    client
        .shutdown(std::net::Shutdown::Write)
        .expect("half-closes");
    let line = proxy.access_line(|line| line.text("kind") == "tcp");
    assert_eq!((line.outcome(), line.text("client")), ("ok", own.as_str()));
}

#[test]
fn a_check_that_connects_and_says_nothing_is_no_mistake() {
    let origin = Origin::echo();
    let proxy = believing("", &origin);
    for _ in 0..3 {
        let mut silent = proxy.client();
        silent.finish();
        assert!(silent.is_at_end());
    }
    let request = format!("PROXY TCP4 198.51.100.7 192.0.2.1 4000 80\r\n{REQUEST}");
    assert_eq!(
        client_of(&proxy, &[request.as_bytes()], "/x"),
        "198.51.100.7"
    );
    let log = proxy.log_lines().join("\n");
    assert!(!log.contains("no valid PROXY header"), "{log}");
}
