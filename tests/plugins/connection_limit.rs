//! `connection-limit`: connections at once and new ones by rate, by source network.

use crate::harness::{Admin, Client, PATIENCE, Proxy};
use socket2::{Domain, Socket, Type};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

fn start(settings: &str) -> Proxy {
    Proxy::start(&format!(
        r#"
process {{ workers 2; log level="debug" format="json" }}
admin "127.0.0.1:0"
listener "web" "127.0.0.1:0" {{
    network-filters {{ connection-limit {{ {settings} }} }}
    route {{ respond 200 body="in" }}
}}
listener "other" "127.0.0.1:0" {{
    network-filters {{ connection-limit {{ {settings} }} }}
    route {{ respond 200 body="in" }}
}}
"#
    ))
}

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

/// A connection that was let in, which an answer shows; none when it is closed instead.
fn enter(proxy: &Proxy, listener: &str, source: [u8; 4]) -> Option<TcpStream> {
    use std::io::{Read, Write};
    let mut stream = connect_from(source, proxy.address(listener));
    // A connection that was closed may refuse the bytes.
    let _ = stream.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n");
    let mut answer = [0; 12];
    let read = stream.read_exact(&mut answer);
    (read.is_ok() && answer == *b"HTTP/1.1 200").then_some(stream)
}

const ONE: [u8; 4] = [127, 0, 0, 1];
const TWO: [u8; 4] = [127, 0, 0, 2];

/// As [`enter`], for as long as the end of an earlier connection may take to be seen.
fn enter_at_last(proxy: &Proxy, source: [u8; 4]) -> TcpStream {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(stream) = enter(proxy, "web", source) {
            return stream;
        }
        assert!(Instant::now() < deadline, "there is never room again");
    }
}

#[test]
fn a_source_has_so_many_connections_at_once_over_all_workers_and_a_closed_one_makes_room() {
    let proxy = start("connections-max 3");
    let mut held: Vec<_> = (0..3).map(|_| enter(&proxy, "web", ONE)).collect();
    assert!(held.iter().all(Option::is_some));
    for _ in 0..10 {
        assert!(enter(&proxy, "web", ONE).is_none());
    }
    let line = proxy.log_line("connection refused by a network filter");
    assert!(
        line.contains("\"filter\":\"connection-limit\"") && line.contains("\"faulted\":false"),
        "{line}"
    );
    assert!(
        enter(&proxy, "web", TWO).is_some(),
        "another source has its own"
    );
    assert!(
        enter(&proxy, "other", ONE).is_some(),
        "another listener too"
    );
    held.pop();
    held.push(Some(enter_at_last(&proxy, ONE)));
    assert!(enter(&proxy, "web", ONE).is_none());
    drop(held);
    // All three places come back.
    let _held: Vec<_> = (0..3).map(|_| enter_at_last(&proxy, ONE)).collect();
    assert!(enter(&proxy, "web", ONE).is_none());
}

#[test]
fn counts_go_on_over_a_reload_with_the_connections_that_they_are_of() {
    let proxy = start("connections-max 1; name \"all\"");
    let held = enter(&proxy, "web", ONE).expect("there is room");
    assert!(
        enter(&proxy, "other", ONE).is_none(),
        "one name is one count"
    );
    let text = std::fs::read_to_string(proxy.directory().join("config.kdl")).expect("written");
    proxy
        .reload(&text.replace("\"all\"", "\"all\"; forget \"2h\""))
        .expect("it is valid");
    assert!(enter(&proxy, "web", ONE).is_none());
    drop(held);
    let _held = enter_at_last(&proxy, ONE);
    assert!(enter(&proxy, "web", ONE).is_none());
}

#[test]
fn new_connections_come_at_a_rate_and_a_network_may_be_exempt() {
    let proxy = start("rate \"3/1h\"; ipv4-prefix 24; exempt \"127.0.9.0/24\"");
    let enters = |source| enter(&proxy, "web", source).is_some();
    let seen = [ONE, TWO, ONE, TWO, ONE, [127, 0, 1, 1]].map(enters);
    assert_eq!(seen, [true, true, true, false, false, true]);
    assert!((0..6).all(|_| enters([127, 0, 9, 1])));
    let text = Admin::of(&proxy).ask("GET", "/metrics", "").text();
    let line =
        "tollgate_plugin_connections_over_total{plugin=\"connection-limit\",reason=\"rate\"} 2.0";
    assert!(text.lines().any(|known| known == line), "{line} in\n{text}");
}

#[test]
fn sources_beyond_the_room_of_the_store_are_let_in_or_not_as_is_set() {
    let text = |error: &str| {
        format!(
            r#"
            store "connection-limit" {{ entries-max 5 }}
            listener "web" "127.0.0.1:0" {{
                network-filters {{ connection-limit {{ rate "1/1h"; on-store-error "{error}" }} }}
                route {{ respond 200 body="in" }}
            }}
            "#
        )
    };
    for (error, let_in) in [("deny", 5), ("allow", 20)] {
        let proxy = Proxy::start(&text(error));
        let entered = (1..=20).filter(|last| enter(&proxy, "web", [127, 0, 0, *last]).is_some());
        assert_eq!(entered.count(), let_in, "{error}");
        assert!(
            enter(&proxy, "web", ONE).is_none(),
            "{error}: who is known stays limited"
        );
    }
}

#[test]
fn http_keep_alive_is_one_connection() {
    let proxy = start("rate \"1/1h\"");
    let mut client: Client = proxy.client();
    for _ in 0..5 {
        assert_eq!(client.get("/").text(), "in");
    }
    assert!(enter(&proxy, "web", ONE).is_none());
}
