//! TLS that is passed through: the proxy reads the hello, leads the connection by it, and changes nothing.

use super::tcp::{converse, greeter};
use super::{der, is_silent};
use crate::harness::{Authority, Client, Identity, Origin, Proxy, TlsClient, TlsFront, config};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

/// Two origins that end TLS by themselves, each with a certificate of its own, and one that speaks first and in the clear.
struct Scene {
    authority: Authority,
    one: (Identity, TlsFront),
    two: (Identity, TlsFront),
    plain: Origin,
    _behind: [Origin; 2],
}

const TEXT: &str = r#"
listener "raw" "127.0.0.1:0" {
    protocol "tcp"
    route "both" sni="a.test" alpn="postgresql" { cluster "one" }
    route "wild" { sni "*.test" "exact.other"; alpn "redis" "h2"; cluster "two" }
    route "alpn" alpn="stun" { cluster "one" }
    REST
}
cluster "one" { endpoint "FIRST" }
cluster "two" { endpoint "SECOND" }
cluster "plain" { endpoint "PLAIN" }
"#;

const REST: &str = "route \"rest\" { cluster \"plain\" }";

impl Scene {
    fn new() -> Scene {
        let authority = Authority::new();
        let names = ["a.test", "b.test", "exact.other"];
        let (one, two) = (authority.issue(&names), authority.issue(&names));
        let behind = [greeter("one"), greeter("two")];
        let protocols = ["postgresql", "redis", "h2", "stun"];
        Scene {
            one: (
                one.clone(),
                TlsFront::before(&behind[0], &one, &protocols, None),
            ),
            two: (
                two.clone(),
                TlsFront::before(&behind[1], &two, &protocols, None),
            ),
            authority,
            plain: Origin::start(|mut peer| {
                peer.send("plain");
                peer.rest();
            }),
            _behind: behind,
        }
    }

    fn start(&self, rest: &str) -> Proxy {
        let text = config(
            TEXT,
            &[
                ("FIRST", &self.one.1),
                ("SECOND", &self.two.1),
                ("PLAIN", &self.plain),
                ("REST", &rest),
            ],
        );
        Proxy::start(&text)
    }

    fn client(&self, name: &str, alpn: &[&str]) -> TlsClient {
        TlsClient::new(&self.authority, name)
            .alpn(alpn)
            .without_resumption()
    }
}

#[test]
fn a_hello_leads_to_the_origin_whose_own_handshake_succeeds() {
    let scene = Scene::new();
    for (name, alpn, origin, route) in [
        ("a.test", &["postgresql"][..], "one", "both"),
        // Any protocol that is offered will do, in whatever case the name is.
        ("A.Test", &["smtp", "postgresql"], "one", "both"),
        ("b.test", &["redis"], "two", "wild"),
        ("a.test", &["h2"], "two", "wild"),
        ("exact.other", &["h2"], "two", "wild"),
        ("b.test", &["stun"], "one", "alpn"),
    ] {
        let proxy = scene.start(REST);
        let shaken = scene.client(name, alpn).shake(proxy.address("raw"));
        let (mut client, seen) = shaken.expect("a handshake");
        let (identity, _) = if origin == "one" {
            &scene.one
        } else {
            &scene.two
        };
        assert!(seen.certificate == der(identity), "{name} {alpn:?}");
        assert!(alpn.contains(&seen.alpn.as_deref().unwrap_or_default()));
        let line = converse(&proxy, &mut client, origin, route);
        assert_eq!((line.text("cluster"), line.text("kind")), (origin, "tcp"));
        assert_eq!(line.text("tls_version"), "", "its TLS is not ours");
        assert!(line.number("downstream_bytes") > 300, "the hello counts");
    }
}

#[test]
fn what_asks_for_nothing_known_takes_the_route_without_conditions() {
    let scene = Scene::new();
    let proxy = scene.start(REST);
    for (name, alpn) in [
        ("a.test", &[][..]),
        ("x.other", &["redis"]),
        ("deep.exact.other", &["h2"]),
    ] {
        // That origin speaks no TLS, so the handshake fails; it got the hello.
        let failed = scene.client(name, alpn).shake(proxy.address("raw"));
        assert!(failed.is_err());
    }
    scene.plain.wait_for_ends(3);
    for number in 0..3 {
        assert_eq!(scene.plain.received(number)[..2], [22, 3]);
    }
    assert!(scene.one.1.handshakes().is_empty() && scene.two.1.handshakes().is_empty());
}

/// The first record that a client sends: its hello.
fn hello(client: &TlsClient) -> Vec<u8> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    std::thread::scope(|scope| {
        scope.spawn(|| client.shake(address).err());
        let (mut stream, _) = listener.accept().expect("it connects");
        record(&mut stream)
    })
}

fn record(stream: &mut TcpStream) -> Vec<u8> {
    let mut record = vec![0; 5];
    stream.read_exact(&mut record).expect("a header");
    let length = usize::from(u16::from_be_bytes([record[3], record[4]]));
    record.resize(5 + length, 0);
    stream.read_exact(&mut record[5..]).expect("a whole record");
    record
}

/// Somebody between a client and `target` who sends the hello on in pieces.
fn between(
    target: SocketAddr,
    pieces: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + Sync + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    let pieces = Arc::new(pieces);
    std::thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            let pieces = pieces.clone();
            std::thread::spawn(move || {
                let mut proxy = TcpStream::connect(target).expect("it listens");
                proxy.set_nodelay(true).expect("a TCP socket");
                for piece in pieces(&record(&mut client)) {
                    proxy.write_all(&piece).expect("it reads");
                }
                let handles = (proxy.try_clone(), client.try_clone());
                let (Ok(mut from), Ok(mut to)) = handles else {
                    panic!("no second handles");
                };
                std::thread::spawn(move || {
                    // However it ends: that is looked at from both sides.
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(Shutdown::Write);
                });
                let _ = std::io::copy(&mut client, &mut proxy);
                let _ = proxy.shutdown(Shutdown::Write);
            });
        }
    });
    address
}

fn single_bytes(record: &[u8]) -> Vec<Vec<u8>> {
    record.iter().map(|byte| vec![*byte]).collect()
}

/// The same handshake message in records of at most 100 bytes.
fn small_records(record: &[u8]) -> Vec<Vec<u8>> {
    let parts = record[5..].chunks(100);
    let small = parts.map(|part| {
        let length = (part.len() as u16).to_be_bytes();
        [&record[..3], &length, part].concat()
    });
    small.collect()
}

#[test]
fn a_hello_may_come_in_single_bytes_or_in_many_records() {
    let scene = Scene::new();
    for pieces in [single_bytes, small_records] {
        let proxy = scene.start(REST);
        let between = between(proxy.address("raw"), pieces);
        let shaken = scene.client("b.test", &["redis"]).shake(between);
        let (mut client, seen) = shaken.expect("a handshake");
        assert!(seen.certificate == der(&scene.two.0));
        converse(&proxy, &mut client, "two", "wild");
    }
}

/// A proxy whose every route leads to an origin that keeps what it gets: "named" to those who ask for a.test, "rest" to others.
fn recorded(rest: bool) -> (Proxy, Origin) {
    let origin = Origin::start(|mut peer| {
        peer.rest();
    });
    let rest = if rest {
        "route \"rest\" { cluster \"c\" }"
    } else {
        ""
    };
    let text = format!(
        r#"
listener "raw" "127.0.0.1:0" {{
    protocol "tcp"
    route "named" sni="a.test" {{ cluster "c" }}
    {rest}
}}
cluster "c" {{ endpoint "{origin}" }}
"#
    );
    (Proxy::start(&text), origin)
}

fn long_hello() -> Vec<u8> {
    // The message claims 65,535 bytes, and more of them come than are waited for.
    let mut records = Vec::new();
    for first in [true, false] {
        let mut record = vec![0; 0x4000];
        if first {
            record[..4].copy_from_slice(&[1, 0, 0xff, 0xff]);
        }
        records.extend([22, 3, 1, 0x40, 0]);
        records.extend(record);
    }
    records
}

#[test]
fn what_was_read_arrives_unchanged_whatever_it_was() {
    let authority = Authority::new();
    let known = hello(&TlsClient::new(&authority, "a.test"));
    let unknown = hello(&TlsClient::new(&authority, "b.test"));
    let pattern = crate::tcp::pattern(100_000);
    let cases = [
        ("named", [&known[..], &pattern].concat()),
        ("rest", [&unknown[..], &pattern].concat()),
        ("rest", b"SSH-2.0-client\r\n".to_vec()),
        ("rest", b"\0".to_vec()),
        ("rest", pattern),
        ("rest", long_hello()),
        // A hello that breaks off, and one that is malformed.
        ("rest", known[..known.len() / 2].to_vec()),
        (
            "rest",
            [&[22, 3, 1, 0, 6, 1, 0, 0, 2, 9, 9][..], b"rest"].concat(),
        ),
        ("rest", Vec::new()),
    ];
    for (route, sent) in cases {
        let (proxy, origin) = recorded(true);
        let mut client = proxy.client_of("raw");
        client.send(&sent);
        client.finish();
        assert!(client.is_at_end());
        origin.wait_for_ends(1);
        let shown = &sent[..sent.len().min(12)];
        assert!(origin.received(0) == sent, "{} bytes {shown:?}", sent.len());
        let line = proxy.access_line(|line| line.text("kind") == "tcp");
        assert_eq!(
            (line.text("route"), line.outcome()),
            (route, "ok"),
            "{shown:?}"
        );
        assert_eq!(line.number("downstream_bytes"), sent.len() as i64);
    }
}

#[test]
fn without_a_route_for_it_a_connection_is_closed() {
    let authority = Authority::new();
    let unknown = hello(&TlsClient::new(&authority, "b.test"));
    for sent in [unknown, b"GET / HTTP/1.1\r\n\r\n".to_vec(), long_hello()] {
        let (proxy, origin) = recorded(false);
        let mut client = proxy.client_of("raw");
        client.send(&sent);
        assert_eq!(client.rest(), b"");
        let line = proxy.access_line(|line| line.text("kind") == "tcp");
        assert_eq!(
            (line.outcome(), line.text("route"), line.text("cluster")),
            ("no-route", "", "")
        );
        assert_eq!(origin.connections(), 0);
    }
}

#[test]
fn who_says_nothing_until_the_timeout_takes_the_route_without_conditions() {
    let origin = greeter("hello");
    let listener = |name: &str, timeout: &str| {
        format!(
            r#"
listener "{name}" "127.0.0.1:0" {{
    protocol "tcp"
    timeouts hello="{timeout}"
    route sni="a.test" {{ cluster "c" }}
    route "{name}-rest" {{ cluster "c" }}
}}
"#
        )
    };
    let proxy = Proxy::start(&format!(
        "{}{}cluster \"c\" {{ endpoint \"{origin}\" }}\n",
        listener("patient", "1h"),
        listener("hasty", "60ms")
    ));
    for beginning in [&[][..], &[22, 3, 1]] {
        let mut other: Client = proxy.client_of("patient");
        other.send(beginning);
        let mut client = proxy.client_of("hasty");
        client.send(beginning);
        assert_eq!(client.take(5), b"hello");
        // What came before the timeout is passed on.
        assert_eq!(client.take(beginning.len()), beginning);
        client.send("ping");
        assert_eq!(client.take(4), b"ping");
        assert!(is_silent(&other), "its timeout is another one");
        client.finish();
        assert!(client.is_at_end());
        let line = proxy.access_line(|line| line.text("route") == "hasty-rest");
        assert_eq!(line.outcome(), "ok");
    }
}

#[test]
fn silence_without_such_a_route_is_closed_at_the_timeout() {
    let proxy = Proxy::start(
        r#"
listener "raw" "127.0.0.1:0" {
    protocol "tcp"
    timeouts hello="60ms"
    route sni="a.test" { cluster "c" }
}
cluster "c" { endpoint "127.0.0.1:9" }
"#,
    );
    let mut client = proxy.client_of("raw");
    assert!(client.is_at_end());
    let line = proxy.access_line(|line| line.text("kind") == "tcp");
    assert_eq!(line.outcome(), "no-route");
}
