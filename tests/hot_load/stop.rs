//! SIGTERM: what is under way ends in good order, nothing new begins.

use crate::harness::{Gate, Origin, PATIENCE, Proxy, config};
use crate::tcp::{echo, ends_by_reset, established, line_of, read_all, read_exactly, server};
use rustix::process::Signal;
use std::io::{ErrorKind, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

const TEXT: &str = r#"
process {
    workers 2
    log format="json"
    drain-timeout "DRAIN"
}
listener "web" "127.0.0.1:0" {
    route path="/ping" { respond 200 body="pong" }
    route { cluster "c" }
}
cluster "c" { endpoint "ORIGIN" }
"#;

/// A proxy before an origin that answers when the gate opens.
fn start(drain: &str, gate: &Gate) -> (Proxy, Origin) {
    let gate = gate.clone();
    let origin = Origin::start(move |mut peer| {
        while peer.request().is_some() {
            gate.wait();
            peer.answer("late");
        }
    });
    let proxy = Proxy::start(&config(TEXT, &[("DRAIN", &drain), ("ORIGIN", &origin)]));
    (proxy, origin)
}

/// Until nobody listens there any more. A connection that was made just before that ends without an answer.
fn wait_until_refused(address: SocketAddr) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match TcpStream::connect(address) {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => return,
            _ => assert!(Instant::now() < deadline, "still listening"),
        }
        std::thread::yield_now();
    }
}

#[test]
fn a_request_in_flight_is_answered_idle_connections_close_and_new_ones_are_refused() {
    let gate = Gate::default();
    let (mut proxy, origin) = start("20s", &gate);
    let address = proxy.address("web");
    let mut idle: Vec<_> = (0..4).map(|_| proxy.client()).collect();
    idle.iter_mut()
        .for_each(|client| assert_eq!(client.get("/ping").text(), "pong"));
    let mut fresh = proxy.client();
    let mut busy = proxy.client();
    busy.send("GET /late HTTP/1.1\r\nHost: test\r\n\r\n");
    origin.request(0);

    proxy.signal(Signal::TERM);
    assert!(
        idle.iter_mut().all(|client| client.is_at_end()),
        "idle connections are closed"
    );
    assert!(
        fresh.is_at_end(),
        "so is one that has not asked for anything yet"
    );
    wait_until_refused(address);
    gate.open();
    let response = busy.response();
    assert_eq!((response.status, response.text().as_str()), (200, "late"));
    assert_eq!(response.header("connection"), Some("close"));
    assert!(busy.is_at_end());

    assert_eq!(proxy.wait().code(), Some(0));
    proxy.log_line("\"drained\"");
    assert_eq!(proxy.line_of("/late").outcome(), "ok");
}

/// While the process is stopped, requests arrive on connections that were idle and on others that it has not accepted yet; when it goes on,
/// it is told to end before it has looked at any of them.
#[test]
fn every_request_that_was_sent_before_the_signal_is_answered() {
    const EACH: usize = 120;
    let (mut proxy, _origin) = start("20s", &Gate::default());
    let mut clients: Vec<_> = (0..EACH).map(|_| proxy.client()).collect();
    for client in &mut clients {
        assert_eq!(client.get("/ping").text(), "pong");
    }
    proxy.signal(Signal::STOP);
    clients.extend((0..EACH).map(|_| proxy.client()));
    for client in &mut clients {
        client.send("GET /ping HTTP/1.1\r\nHost: test\r\n\r\n");
    }
    proxy.signal(Signal::TERM);
    proxy.signal(Signal::CONT);
    let unanswered = clients
        .iter_mut()
        .enumerate()
        .filter_map(|(number, client)| {
            let answer = client.rest();
            let is_whole =
                answer.starts_with(b"HTTP/1.1 200 ") && answer.ends_with(b"\r\n\r\npong");
            (!is_whole || client.was_reset()).then_some(number)
        });
    assert_eq!(
        unanswered.collect::<Vec<_>>(),
        [0; 0],
        "of {EACH} and {EACH}"
    );
    assert_eq!(proxy.wait().code(), Some(0));
}

#[test]
fn without_work_it_ends_at_once_on_either_signal() {
    for signal in [Signal::TERM, Signal::INT] {
        let (mut proxy, _origin) = start("20s", &Gate::default());
        proxy.signal(signal);
        assert_eq!(proxy.wait().code(), Some(0));
        proxy.log_line("\"drained\"");
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    for second in [Signal::TERM, Signal::INT] {
        let gate = Gate::default();
        let (mut proxy, origin) = start("1h", &gate);
        let mut busy = proxy.client();
        busy.send("GET /never HTTP/1.1\r\nHost: test\r\n\r\n");
        origin.request(0);
        proxy.signal(Signal::TERM);
        proxy.log_line("\"draining\"");
        proxy.signal(second);
        assert_eq!(proxy.wait().code(), Some(0));
        proxy.log_line("told again");
        assert_eq!(busy.rest(), b"");
        gate.open();
    }
}

#[test]
fn the_drain_timeout_ends_what_does_not_end_by_itself() {
    let gate = Gate::default();
    let (mut proxy, origin) = start("400ms", &gate);
    let mut busy = proxy.client();
    busy.send("GET /never HTTP/1.1\r\nHost: test\r\n\r\n");
    origin.request(0);
    let told = Instant::now();
    proxy.signal(Signal::TERM);
    assert_eq!(proxy.wait().code(), Some(0));
    assert!(
        told.elapsed() >= Duration::from_millis(400),
        "{:?}",
        told.elapsed()
    );
    proxy.log_line("drain timeout");
    assert_eq!(busy.rest(), b"");
    gate.open();
}

#[test]
fn a_changed_drain_timeout_is_the_one_that_counts() {
    let gate = Gate::default();
    let (mut proxy, origin) = start("1h", &gate);
    proxy
        .reload(&config(TEXT, &[("DRAIN", &"10ms"), ("ORIGIN", &origin)]))
        .expect("it is valid");
    let mut busy = proxy.client();
    busy.send("GET /never HTTP/1.1\r\nHost: test\r\n\r\n");
    origin.request(0);
    proxy.signal(Signal::TERM);
    assert_eq!(proxy.wait().code(), Some(0));
    proxy.log_line("drain timeout");
    gate.open();
}

#[test]
fn relays_and_tunnels_go_on_to_their_own_end() {
    let origin = server(echo);
    let mut proxy = Proxy::start(&format!(
        "listener \"raw\" \"127.0.0.1:0\" {{ protocol \"tcp\"; route {{ cluster \"c\" }} }}\ncluster \"c\" {{ endpoint \"{origin}\" }}\n"
    ));
    let mut relayed = established(proxy.address("raw"));
    proxy.signal(Signal::TERM);
    wait_until_refused(proxy.address("raw"));
    relayed.write_all(b"still").expect("sends");
    assert_eq!(read_exactly(&mut relayed, 5), b"still");
    relayed.shutdown(Shutdown::Write).expect("half-closes");
    assert_eq!(read_all(&mut relayed), b"");
    assert_eq!(proxy.wait().code(), Some(0));
    assert_eq!(line_of(&proxy, &relayed).outcome(), "ok");
}

#[test]
fn the_drain_timeout_ends_a_relay_too() {
    let origin = server(echo);
    let mut proxy = Proxy::start(&format!(
        "process {{ drain-timeout \"50ms\" }}\nlistener \"raw\" \"127.0.0.1:0\" {{ protocol \"tcp\"; route {{ cluster \"c\" }} }}\ncluster \"c\" {{ endpoint \"{origin}\" }}\n"
    ));
    let mut relayed = established(proxy.address("raw"));
    proxy.signal(Signal::TERM);
    assert_eq!(proxy.wait().code(), Some(0));
    ends_by_reset(&mut relayed);
}
