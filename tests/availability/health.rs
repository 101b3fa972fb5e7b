//! What it means for traffic that an endpoint is down, and what of it outlives a reload.

use super::admin::{shares, start, text, these};
use super::patient::{CHECK, Patient, bring_up, is_down, is_up, take_down};
use crate::harness::{Client, Proxy, closed_port};
use crate::tcp::{connect, echo, end, ends_by_reset, established, line_of, read_exactly};
use rustix::process::Signal;
use serde_json::Value;
use std::fmt::Display;
use std::io::Write;
use std::net::TcpListener;

const UPGRADE: &str =
    "GET /ws HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

/// Two endpoints, the second the one that is looked at.
fn pair(check: &str) -> (Patient, Patient, Proxy) {
    let (a, b) = (Patient::named("a"), Patient::named("b"));
    let (proxy, _) = start(&format!("endpoint \"{a}\"\nendpoint \"{b}\"\n{check}"));
    (a, b, proxy)
}

/// The only endpoint of its cluster, with these keys.
fn alone(keys: &str) -> (Patient, Proxy) {
    let patient = Patient::named("a");
    let (proxy, _) = start(&format!("endpoint \"{patient}\"\n{keys}"));
    (patient, proxy)
}

/// A TCP listener "raw" before the cluster "c".
pub(super) fn raw(cluster: &str) -> Proxy {
    Proxy::start(&format!(
        r#"
        listener "raw" "127.0.0.1:0" {{
            protocol "tcp"
            route {{ cluster "c" }}
        }}
        cluster "c" {{
            {cluster}
        }}
        "#
    ))
}

/// Echoes on a socket that is listened on from now.
pub(super) fn echo_on(socket: socket2::Socket) {
    socket.listen(16).expect("a bound socket");
    let listener = TcpListener::from(socket);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || echo(stream));
        }
    });
}

/// Changes of an endpoint's state, oldest first, with their reasons.
fn changes(report: &Value) -> Vec<(&str, &str)> {
    let history = report["history"].as_array().expect("a history");
    history
        .iter()
        .map(|change| {
            let text = |name: &str| change[name].as_str().expect("a text");
            (text("to"), text("reason"))
        })
        .collect()
}

#[test]
fn an_endpoint_that_fails_its_checks_gets_nothing_until_it_passes_them_again() {
    let (a, b) = (Patient::named("a"), Patient::named("b"));
    let (proxy, admin) = start(&format!("endpoint \"{a}\"\nendpoint \"{b}\"\n{CHECK}"));
    assert_eq!(shares(&proxy, 10), these(&[("a", 5), ("b", 5)]));
    take_down(&proxy, &a);
    assert_eq!(shares(&proxy, 10), these(&[("b", 10)]));
    assert_eq!(proxy.client().get("/down").text(), "b");
    let line = proxy.line_of("/down");
    assert_eq!(
        (
            line.outcome(),
            line.text("endpoint"),
            line.number("attempts")
        ),
        ("ok", b.to_string().as_str(), 1)
    );
    let report = admin.endpoint("c", &a);
    assert_eq!(
        (&report["state"], &report["reason"], &report["eligible"]),
        (&"down".into(), &"status 503".into(), &false.into())
    );
    bring_up(&proxy, &a);
    assert_eq!(shares(&proxy, 10), these(&[("a", 5), ("b", 5)]));
    let report = admin.endpoint("c", &a);
    assert_eq!(
        changes(&report),
        [("down", "status 503"), ("up", "status 200")]
    );
}

#[test]
fn when_all_are_down_the_answer_is_503_until_one_is_back() {
    let (a, b, proxy) = pair(CHECK);
    take_down(&proxy, &a);
    take_down(&proxy, &b);
    let mut client = proxy.client();
    assert_eq!(client.get("/none").status, 503);
    let line = proxy.line_of("/none");
    assert_eq!(
        (line.outcome(), line.number("attempts")),
        ("no-endpoint", 0)
    );
    assert_eq!((a.served(), b.served()), (0, 0));
    bring_up(&proxy, &b);
    assert_eq!(shares(&proxy, 4), these(&[("b", 4)]));
}

#[test]
fn a_tcp_connection_finds_no_endpoint_while_all_are_down() {
    let (held, address) = closed_port();
    let proxy = raw(&format!(
        r#"endpoint "{address}"; health-check interval="20ms" timeout="60s" rise=1 fall=1 {{ tcp }}"#
    ));
    assert_eq!(is_down(&proxy, 0, &address), "connection refused");
    let mut client = connect(proxy.address("raw"));
    assert!(ends_by_reset(&mut client));
    let line = line_of(&proxy, &client);
    assert_eq!(
        (line.outcome(), line.number("attempts")),
        ("no-endpoint", 0)
    );
    echo_on(held);
    assert_eq!(is_up(&proxy, 0, &address), "connected");
    end(&proxy, established(proxy.address("raw")));
}

/// Has a response of `a` begin; half of its body has come.
fn half_a_response(proxy: &Proxy) -> Client {
    let mut client = proxy.client();
    client.send("GET /held HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!(client.response_head().status(), 200);
    assert_eq!(client.take(4), b"half");
    client
}

fn tunnel(proxy: &Proxy) -> Client {
    let mut client = proxy.client();
    client.send(UPGRADE);
    assert_eq!(client.response_head().status(), 101);
    assert_echo(&mut client);
    client
}

fn assert_echo(client: &mut Client) {
    client.send("word");
    assert_eq!(client.take(4), b"word");
}

/// Both places where it may be written.
fn closing() -> [String; 2] {
    let inside = CHECK.replace("{ http", "{ on-down \"close\"; http");
    assert_ne!(inside, CHECK);
    [format!("{CHECK}\non-down \"close\""), inside]
}

#[test]
fn on_down_close_breaks_off_a_running_response() {
    for keys in closing() {
        let (a, proxy) = alone(&keys);
        let mut client = half_a_response(&proxy);
        take_down(&proxy, &a);
        assert_eq!(client.rest(), b"");
        assert!(client.was_reset(), "{keys}");
        let line = proxy.line_of("/held");
        assert_eq!((line.outcome(), line.status()), ("endpoint-down", 200));
        a.gate.open();
    }
}

#[test]
fn on_down_close_ends_a_tunnel() {
    let (a, proxy) = alone(&closing()[0]);
    let mut client = tunnel(&proxy);
    take_down(&proxy, &a);
    assert!(client.is_at_end());
    let line = proxy.line_of("/ws");
    assert_eq!((line.outcome(), line.status()), ("endpoint-down", 101));
}

#[test]
fn on_down_close_answers_who_still_waits_with_503() {
    let (a, proxy) = alone(&closing()[0]);
    let mut client = proxy.client();
    client.send("GET /silent HTTP/1.1\r\nHost: test\r\n\r\n");
    a.wait_for_request();
    take_down(&proxy, &a);
    assert_eq!(client.response().status, 503);
    let line = proxy.line_of("/silent");
    assert_eq!(
        (line.outcome(), line.number("attempts")),
        ("endpoint-down", 1)
    );
    a.gate.open();
}

#[test]
fn on_down_close_sends_who_still_waits_elsewhere_if_resets_are_retried() {
    let (a, b, proxy) = pair(&format!("{}\nretry on=\"reset\"", closing()[0]));
    let mut client = proxy.client();
    client.send("GET /silent HTTP/1.1\r\nHost: test\r\n\r\n");
    a.wait_for_request();
    b.gate.open();
    take_down(&proxy, &a);
    assert_eq!(client.response().text(), "b");
    let line = proxy.line_of("/silent");
    assert_eq!((line.outcome(), line.number("attempts")), ("ok", 2));
    a.gate.open();
}

#[test]
fn on_down_close_leaves_the_sessions_of_other_endpoints_alone() {
    let (a, b, proxy) = pair(&closing()[0]);
    let (mut on_a, mut on_b) = (tunnel(&proxy), tunnel(&proxy));
    assert_eq!((a.served(), b.served()), (1, 1));
    take_down(&proxy, &a);
    assert!(on_a.is_at_end());
    assert_echo(&mut on_b);
}

/// A relay to an echo that is checked by asking `patient`.
fn relay(patient: &Patient, keys: &str) -> (Proxy, std::net::SocketAddr) {
    let endpoint = crate::tcp::server(echo);
    let port = patient.address().port();
    let check = CHECK.replace("interval", &format!("port={port} interval"));
    let proxy = raw(&format!("endpoint \"{endpoint}\"\n{check}\n{keys}"));
    (proxy, endpoint)
}

fn take_down_by(proxy: &Proxy, patient: &Patient, endpoint: &dyn Display) {
    patient.falls_ill();
    assert_eq!(is_down(proxy, 0, endpoint), "status 503");
}

#[test]
fn on_down_close_ends_a_tcp_relay() {
    let patient = Patient::named("a");
    let (proxy, endpoint) = relay(&patient, "on-down \"close\"");
    let mut client = established(proxy.address("raw"));
    take_down_by(&proxy, &patient, &endpoint);
    assert!(ends_by_reset(&mut client));
    assert_eq!(line_of(&proxy, &client).outcome(), "endpoint-down");
}

#[test]
fn without_on_down_close_sessions_go_on() {
    for keys in ["", "on-down \"keep\""] {
        let (a, proxy) = alone(&format!("{CHECK}\n{keys}"));
        let (mut response, mut tunnel) = (half_a_response(&proxy), tunnel(&proxy));
        take_down(&proxy, &a);
        assert_eq!(proxy.client().get("/new").status, 503);
        assert_echo(&mut tunnel);
        a.gate.open();
        assert_eq!(response.take(4), b"half");
        assert_eq!(proxy.line_of("/held").outcome(), "ok");
        tunnel.finish();
        assert_eq!(proxy.line_of("/ws").outcome(), "tunnel");
    }
}

#[test]
fn without_on_down_close_a_tcp_relay_goes_on() {
    for keys in ["", "on-down \"keep\""] {
        let patient = Patient::named("a");
        let (proxy, endpoint) = relay(&patient, keys);
        let mut client = established(proxy.address("raw"));
        take_down_by(&proxy, &patient, &endpoint);
        client.write_all(b"more").expect("sends");
        assert_eq!(read_exactly(&mut client, 4), b"more");
        end(&proxy, client);
    }
}

/// Lines of the log that tell of a change.
fn transitions(proxy: &Proxy) -> usize {
    let lines = proxy.log_lines();
    lines
        .iter()
        .filter(|line| line.contains("\"endpoint is "))
        .count()
}

fn reload_as_is(proxy: &Proxy) {
    let mark = proxy.log_mark();
    proxy.signal(Signal::HUP);
    proxy.reloaded_after(mark).expect("it is good");
}

#[test]
fn a_hundred_reloads_keep_what_checks_found_and_do_not_starve_them() {
    // So long that no reload takes it: were checks begun anew by a reload, the second endpoint, whose first check comes after half of it, had none.
    let check = CHECK.replace("20ms", "1s");
    let (a, b, proxy) = pair(&check);
    take_down(&proxy, &a);
    let (served, checks) = (a.served(), b.checks());
    let mut client = proxy.client();
    let mut reloads = 0;
    while reloads < 100 || b.checks() < checks + 2 {
        reload_as_is(&proxy);
        assert_eq!(client.get("/").text(), "b");
        reloads += 1;
        assert!(
            reloads < 10_000,
            "{} checks of b are all there were",
            b.checks()
        );
    }
    assert_eq!(a.served(), served);
    assert_eq!(transitions(&proxy), 1);
    bring_up(&proxy, &a);
}

#[test]
fn an_endpoint_stays_down_when_a_reload_changes_how_it_is_checked() {
    let (a, b, proxy) = pair(CHECK);
    take_down(&proxy, &a);
    for (interval, initial) in [("1h", "fully-up"), ("30ms", "up")] {
        let check = CHECK.replace("20ms", interval);
        let check = check.replace("rise", &format!("initial=\"{initial}\" rise"));
        let reloaded = format!("endpoint \"{a}\"\nendpoint \"{b}\"\n{check}");
        proxy.reload(&text(&reloaded)).expect("it is good");
        assert_eq!(shares(&proxy, 4), these(&[("b", 4)]));
    }
    assert_eq!(transitions(&proxy), 1);
    bring_up(&proxy, &a);
}

#[test]
fn a_reload_changes_rise_and_fall_of_endpoints_that_are_being_checked() {
    let slow = CHECK.replace("rise=1 fall=1", "rise=100 fall=100 initial=\"fully-up\"");
    let slow = slow.replace("20ms", "200ms");
    let (a, proxy) = alone(&slow);
    let written = |check: &str| text(&format!("endpoint \"{a}\"\n{check}"));
    let reload = |check: &str| proxy.reload(&written(check)).expect("it is good");
    a.falls_ill();
    a.wait_for_checks(2);
    assert_eq!(
        proxy.client().get("/").status,
        200,
        "a hundred are asked for"
    );
    let mark = proxy.log_mark();
    reload(CHECK);
    assert_eq!(is_down(&proxy, mark, &a), "status 503");
    reload(&slow);
    a.recovers();
    a.wait_for_checks(2);
    assert_eq!(
        proxy.client().get("/").status,
        503,
        "a hundred are asked for"
    );
    let mark = proxy.log_mark();
    reload(CHECK);
    assert_eq!(is_up(&proxy, mark, &a), "status 200");
    assert_eq!(proxy.client().get("/").status, 200);
}

#[test]
fn an_endpoint_that_is_not_checked_any_more_takes_traffic() {
    let (a, b, proxy) = pair(CHECK);
    take_down(&proxy, &a);
    let unchecked = text(&format!("endpoint \"{a}\"\nendpoint \"{b}\""));
    proxy.reload(&unchecked).expect("it is good");
    assert_eq!(shares(&proxy, 10), these(&[("a", 5), ("b", 5)]));
}
