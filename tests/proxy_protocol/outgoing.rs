//! The header that connections to endpoints begin with.

use super::{SIGNATURE, headed, header, saying, v2_of};
use crate::harness::{Admin, Authority, Client, Origin, PATIENCE, Proxy, TlsFront, config};
use crate::tcp::{connect, read_exactly, server};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::mpsc::channel;

/// The header for `client` as each version has it.
fn expected(version: &str, client: &Client, listener: SocketAddr) -> Vec<u8> {
    let own = client.stream().local_addr().expect("it is connected");
    expected_of(version, own, listener)
}

fn expected_of(version: &str, client: SocketAddr, listener: SocketAddr) -> Vec<u8> {
    if version == "v2" {
        return v2_of(client, listener, &[]);
    }
    let family = if client.is_ipv4() { "TCP4" } else { "TCP6" };
    let (from, to) = (client.ip(), listener.ip());
    format!(
        "PROXY {family} {from} {to} {} {}\r\n",
        client.port(),
        listener.port()
    )
    .into_bytes()
}

#[test]
fn the_header_is_the_first_thing_that_an_endpoint_receives() {
    for version in ["v1", "v2"] {
        let origin = headed();
        let proxy = saying("", &format!("proxy-protocol \"{version}\""), &origin);
        let mut client = proxy.client();
        let header = expected(version, &client, proxy.address("web"));
        assert_eq!(client.get("/x").body, header, "{version}");
        let received = origin.received(0);
        let behind = &received[header.len()..];
        assert!(behind.starts_with(b"GET /x HTTP/1.1\r\n"), "{version}");
        let line = proxy.line_of("/x");
        assert_eq!((line.status(), line.outcome()), (200, "ok"));
    }
}

#[test]
fn the_header_of_an_ipv6_client_has_its_addresses() {
    for version in ["v1", "v2"] {
        let origin = headed();
        let proxy = Proxy::start(&config(
            r#"listener "web" "[::1]:0" { route { cluster "origin" } }
            cluster "origin" { endpoint "ORIGIN"; proxy-protocol "VERSION" }"#,
            &[("ORIGIN", &origin), ("VERSION", &version)],
        ));
        let mut client = proxy.client();
        let header = expected(version, &client, proxy.address("web"));
        assert_eq!(client.get("/x").body, header, "{version}");
        assert_eq!(proxy.line_of("/x").outcome(), "ok");
    }
}

#[test]
fn the_header_that_was_received_is_passed_on() {
    let said = b"PROXY TCP4 198.51.100.7 192.0.2.1 4000 80\r\n";
    let origin = headed();
    let proxy = saying(
        r#"proxy-protocol from="127.0.0.1""#,
        r#"proxy-protocol "v1""#,
        &origin,
    );
    let mut client = proxy.client();
    client.send(said);
    assert_eq!(client.get("/x").body, said);
    // Who is spoken of by nobody is spoken of as a neighbour.
    let mut local = proxy.client();
    local.send("PROXY UNKNOWN\r\n");
    assert!(local.get("/y").text().starts_with("PROXY TCP4 127.0.0.1 "));
    assert_eq!(proxy.line_of("/x").outcome(), "ok");
}

#[test]
fn a_connection_is_for_one_request_and_never_for_two_clients() {
    for version in ["v1", "v2"] {
        let origin = headed();
        let proxy = saying("", &format!("proxy-protocol \"{version}\""), &origin);
        let (mut one, mut other) = (proxy.client(), proxy.client());
        let of_one = expected(version, &one, proxy.address("web"));
        let of_other = expected(version, &other, proxy.address("web"));
        for turn in 0..3 {
            assert_eq!(one.get(&format!("/one/{turn}")).body, of_one);
            assert_eq!(other.get(&format!("/other/{turn}")).body, of_other);
        }
        let requests = origin.requests();
        let mut connections: Vec<usize> =
            requests.iter().map(|request| request.connection).collect();
        connections.sort_unstable();
        assert_eq!(connections, [0, 1, 2, 3, 4, 5], "each has its own");
        assert_eq!(proxy.line_of("/one/2").outcome(), "ok");
    }
}

#[test]
fn a_retry_dials_anew_and_says_the_same() {
    let origin = Origin::start(|mut peer| {
        let header = header(&mut peer);
        // The first connection ends without an answer.
        if peer.request().is_some() && peer.number > 0 {
            peer.answer(&String::from_utf8_lossy(&header));
        }
    });
    let proxy = saying(
        "",
        "proxy-protocol \"v1\"\n retry attempts=2 on=\"reset\" backoff=\"1ms\" backoff-max=\"1ms\"",
        &origin,
    );
    let mut client = proxy.client();
    let header = expected("v1", &client, proxy.address("web"));
    assert_eq!(client.get("/x").body, header);
    assert!(origin.received(0).starts_with(&header));
    assert_eq!(origin.connections(), 2);
    let line = proxy.line_of("/x");
    assert_eq!((line.outcome(), line.number("attempts")), ("ok", 2));
}

/// Takes a line of version 1 off each connection and passes the rest to `behind`; tells the lines.
fn unwrapping(behind: SocketAddr) -> (SocketAddr, std::sync::mpsc::Receiver<Vec<u8>>) {
    let (tell, told) = channel();
    let tell = Mutex::new(tell);
    let address = server(move |mut stream| {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") && line.len() < 107 {
            line.extend(read_exactly(&mut stream, 1));
        }
        // A test that has ended looks at no more of them.
        let _ = tell.lock().expect("nobody panics holding it").send(line);
        let other = TcpStream::connect(behind).expect("it listens");
        let (mut from, mut to) = (
            stream.try_clone().expect("handle"),
            other.try_clone().expect("handle"),
        );
        let there = std::thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        });
        let mut other = other;
        let _ = std::io::copy(&mut other, &mut stream);
        let _ = stream.shutdown(Shutdown::Write);
        let _ = there.join();
    });
    (address, told)
}

#[test]
fn the_header_comes_before_the_handshake_with_an_endpoint() {
    let authority = Authority::new();
    let identity = authority.issue(&["origin.test"]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("ca.pem"), authority.pem()).expect("writes");
    let origin = Origin::named("behind TLS");
    let front = TlsFront::before(&origin, &identity, &[], None);
    let (address, lines) = unwrapping(front.address());
    let text = config(
        r#"listener "web" "127.0.0.1:0" { route { cluster "origin" } }
        cluster "origin" {
            endpoint "ENDPOINT"
            proxy-protocol "v1"
            tls server-name="origin.test" ca="ca.pem"
        }"#,
        &[("ENDPOINT", &address)],
    );
    let proxy = Proxy::start_in(folder, &text).expect("it starts");
    let mut client = proxy.client();
    let header = expected("v1", &client, proxy.address("web"));
    for path in ["/first", "/second"] {
        assert_eq!(client.get(path).text(), "behind TLS");
        assert_eq!(lines.recv_timeout(PATIENCE).expect("a line"), header);
        assert_eq!(proxy.line_of(path).outcome(), "ok");
    }
    assert_eq!(front.handshakes().len(), 2, "one for each request");
}

#[test]
fn tcp_endpoints_receive_it_before_the_first_byte() {
    for version in ["v1", "v2"] {
        let endpoint = server(|mut stream| {
            let mut all = Vec::new();
            let _ = stream.read_to_end(&mut all);
            let _ = stream.write_all(&all);
        });
        let proxy = Proxy::start(&format!(
            r#"listener "raw" "127.0.0.1:0" {{ protocol "tcp"; route {{ cluster "c" }} }}
            cluster "c" {{ endpoint "{endpoint}"; proxy-protocol "{version}" }}"#
        ));
        let mut client = connect(proxy.address("raw"));
        let own = client.local_addr().expect("it is connected");
        let header = expected_of(version, own, proxy.address("raw"));
        client.write_all(b"hello").expect("sends");
        client.shutdown(Shutdown::Write).expect("half-closes");
        let mut seen = Vec::new();
        client.read_to_end(&mut seen).expect("an answer");
        assert_eq!(seen, [&header[..], b"hello"].concat(), "{version}");
        let line = proxy.access_line(|line| line.text("kind") == "tcp");
        assert_eq!(line.outcome(), "ok");
    }
}

#[test]
fn health_checks_speak_for_nobody() {
    let origin = headed();
    let text = config(
        r#"admin "127.0.0.1:0"
        listener "web" "127.0.0.1:0" { route { cluster "c" } }
        cluster "c" {
            endpoint "ORIGIN"
            proxy-protocol "v2"
            health-check interval="20ms" initial="down" rise=1 { http "/health" }
        }"#,
        &[("ORIGIN", &origin)],
    );
    let proxy = Proxy::start(&text);
    Admin::of(&proxy).wait_for_endpoint("c", &origin, |report| report["state"] == "up");
    let received = origin.received(0);
    // LOCAL, and no addresses.
    let local = [SIGNATURE, &[0x20, 0, 0, 0]].concat();
    assert!(received.starts_with(&local), "{received:?}");
    assert!(received[16..].starts_with(b"GET /health "));
    assert_eq!(proxy.client().get("/x").body[12], 0x21);
    assert_eq!(proxy.line_of("/x").outcome(), "ok");
}

#[test]
fn health_checks_of_version_1_name_their_own_connection() {
    let origin = headed();
    let text = config(
        r#"admin "127.0.0.1:0"
        listener "web" "127.0.0.1:0" { route { cluster "c" } }
        cluster "c" {
            endpoint "ORIGIN"
            proxy-protocol "v1"
            health-check interval="20ms" initial="down" rise=1 { http "/health" }
        }"#,
        &[("ORIGIN", &origin)],
    );
    let proxy = Proxy::start(&text);
    Admin::of(&proxy).wait_for_endpoint("c", &origin, |report| report["state"] == "up");
    let received = String::from_utf8(origin.received(0)).expect("text");
    let port = origin.address().port();
    let (line, behind) = received.split_once("\r\n").expect("a line");
    assert!(line.starts_with("PROXY TCP4 127.0.0.1 127.0.0.1 "));
    assert!(line.ends_with(&format!(" {port}")), "{line}");
    assert!(behind.starts_with("GET /health "), "{behind}");
}

#[test]
fn versions_change_with_the_configuration() {
    let origin = headed();
    let text = |settings: &str| {
        config(
            r#"listener "web" "127.0.0.1:0" { route { cluster "c" } }
            cluster "c" { endpoint "ORIGIN"; SETTINGS }"#,
            &[("ORIGIN", &origin), ("SETTINGS", &settings)],
        )
    };
    let proxy = Proxy::start(&text(r#"proxy-protocol "v1""#));
    let mut client = proxy.client();
    let of = |version| {
        let own = client.stream().local_addr().expect("it is connected");
        expected_of(version, own, proxy.address("web"))
    };
    let (v1, v2) = (of("v1"), of("v2"));
    assert_eq!(client.get("/1").body, v1);
    let second = text(r#"proxy-protocol "v2""#);
    proxy.reload(&second).expect("it is valid");
    assert_eq!(client.get("/2").body, v2);
    assert_eq!(proxy.line_of("/2").outcome(), "ok");
}
