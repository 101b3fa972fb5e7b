//! Each field that a plugin can read.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::*;

fn facts(accepted: Instant) -> ConnectionFacts {
    ConnectionFacts {
        id: 7,
        peer: "192.0.2.130:1234".parse().expect("an address"),
        local: SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 8443)),
        listener: "web".into(),
        scheme: Scheme::Https,
        http2: false,
        tls: None,
        proxy: None,
        accepted,
        tags: Vec::new(),
        downstream_bytes: 0.into(),
        upstream_bytes: 0.into(),
    }
}

fn exchange() -> Exchange {
    let accepted = Instant::now();
    let mut connection = facts(accepted);
    connection.set_tag("tier", b"silver");
    connection.set_tag("tier", b"gold");
    connection.set_tag("zone", b"a");
    let mut exchange = Exchange::new(Arc::new(connection));
    exchange.id = 9;
    exchange.now = accepted + Duration::from_micros(3);
    exchange
        .connection
        .downstream_bytes
        .store(100, Ordering::Relaxed);
    exchange
        .connection
        .upstream_bytes
        .store(200, Ordering::Relaxed);
    exchange.request = request("GET /p?q=1 HTTP/1.1\r\nHost: Shop:80\r\nA: 1\r\nA: 2\r\n\r\n");
    exchange.set_tag("zone", b"b");
    exchange
}

fn read(exchange: &Exchange, field: &Field) -> Option<String> {
    let mut out = b"<".to_vec();
    let found = exchange.read(field, &mut out);
    let text = String::from_utf8(out).expect("text");
    assert!(
        found || text == "<",
        "nothing is appended when there is nothing"
    );
    found.then(|| text[1..].to_owned())
}

#[test]
fn every_field_of_a_request() {
    let exchange = exchange();
    let table = [
        (Field::Method, Some("GET")),
        (Field::Path, Some("/p")),
        (Field::Query, Some("q=1")),
        (Field::Scheme, Some("https")),
        (Field::Host, Some("shop")),
        (Field::Protocol, Some("HTTP/1.1")),
        (Field::ClientAddress, Some("192.0.2.130")),
        (Field::ClientPort, Some("1234")),
        (Field::LocalAddress, Some("::1")),
        (Field::LocalPort, Some("8443")),
        (Field::Listener, Some("web")),
        (Field::ConnectionId, Some("7")),
        (Field::ExchangeId, Some("9")),
        (Field::Status, None),
        (Field::Header("a".into()), Some("1, 2")),
        (Field::Header("host".into()), Some("Shop:80")),
        (Field::Header("none".into()), None),
        (Field::RequestHeader("a".into()), Some("1, 2")),
        (Field::Tag("tier".into()), Some("gold")),
        (Field::Tag("zone".into()), Some("b")),
        (Field::Tag("none".into()), None),
        (Field::ConnectionDuration, Some("3000")),
        (Field::DownstreamBytes, Some("100")),
        (Field::UpstreamBytes, Some("200")),
    ];
    for (field, value) in table {
        assert_eq!(read(&exchange, &field).as_deref(), value, "{field:?}");
    }
}

#[test]
fn the_response_phase_reads_the_response() {
    let mut exchange = exchange();
    exchange.response = response(
        "HTTP/1.1 404 No\r\nA: 3\r\nContent-Length: 0\r\n\r\n",
        "GET",
    );
    exchange.has_response = true;
    assert_eq!(read(&exchange, &Field::Status).as_deref(), Some("404"));
    assert_eq!(
        read(&exchange, &Field::Header("a".into())).as_deref(),
        Some("3")
    );
    assert_eq!(
        read(&exchange, &Field::RequestHeader("a".into())).as_deref(),
        Some("1, 2")
    );
    exchange
        .current_fields_mut()
        .set(b"b", b"4")
        .expect("a valid line");
    assert!(exchange.response.fields().contains(b"b") && !exchange.request.fields().contains(b"b"));
}

#[test]
fn absent_is_not_empty() {
    let mut exchange = exchange();
    exchange.client_port = None;
    exchange.request = request("GET /p? HTTP/1.0\r\nA:\r\n\r\n");
    assert_eq!(read(&exchange, &Field::ClientPort), None);
    assert_eq!(read(&exchange, &Field::Query).as_deref(), Some(""));
    assert_eq!(
        read(&exchange, &Field::Header("a".into())).as_deref(),
        Some("")
    );
    assert_eq!(
        read(&exchange, &Field::Protocol).as_deref(),
        Some("HTTP/1.0")
    );
    exchange.request = request("GET /p HTTP/1.0\r\n\r\n");
    assert_eq!(read(&exchange, &Field::Query), None);
    assert_eq!(read(&exchange, &Field::Host), None);
}

#[test]
fn the_next_exchange_starts_clean() {
    let mut exchange = exchange();
    let other = Arc::new(facts(Instant::now()));
    exchange.client_port = None;
    exchange.has_response = true;
    exchange.response.begin(404);
    exchange.begin(10, &other, [1, 2], other.accepted);
    assert_eq!(
        (exchange.id, exchange.has_response, exchange.tags.len()),
        (10, false, 0)
    );
    assert_eq!(
        (exchange.client_address, exchange.client_port),
        (other.peer.ip(), Some(1234))
    );
    assert_eq!(exchange.response.status(), 0);
    assert!(exchange.request.fields().is_empty() && !exchange.read_tag("tier", &mut Vec::new()));
}

#[test]
fn network_phases_read_the_connection_alone() {
    let connection = facts(Instant::now());
    let mut out = Vec::new();
    assert!(connection.read(&Field::ClientAddress, connection.accepted, &mut out));
    assert_eq!(out, b"192.0.2.130");
    for field in [
        Field::ExchangeId,
        Field::Path,
        Field::Header("a".into()),
        Field::Tag("a".into()),
    ] {
        assert!(
            !connection.read(&field, connection.accepted, &mut out),
            "{field:?}"
        );
    }
}

#[test]
fn the_unique_id_is_the_text_of_its_bits() {
    let mut exchange = exchange();
    exchange.unique = [0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210];
    assert_eq!(&exchange.unique_id(), b"0123456789abcdeffedcba9876543210");
}

#[test]
fn an_exchange_moves_between_threads() {
    fn assert_send<T: Send>() {}
    assert_send::<Exchange>();
}
