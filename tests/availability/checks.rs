//! When endpoints are checked, and how many answers make a change.

use super::admin::start;
use super::patient::{Patient, is_down, is_up};
use crate::harness::{Origin, PATIENCE, Proxy, wait};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};

/// Checks wait for the test, which says with which status each is answered.
fn questioned() -> (Origin, Sender<u16>) {
    let (tell, told) = channel();
    let told = Mutex::new(told);
    let origin = Origin::start(move |mut peer| {
        while peer.request().is_some() {
            let next = told.lock().expect("nobody panics holding it");
            let Ok(status) = next.recv_timeout(PATIENCE) else {
                return;
            };
            drop(next);
            let status: u16 = status;
            peer.send(format!(
                "HTTP/1.1 {status} said\r\nContent-Length: 0\r\n\r\n"
            ));
        }
    });
    (origin, tell)
}

/// A proxy whose only endpoint, which serves always, is checked by asking `checker`.
fn asking(checker: &Origin, properties: &str) -> (Proxy, Origin) {
    let endpoint = Origin::named("a");
    let port = checker.address().port();
    let (proxy, _) = start(&format!(
        "endpoint \"{endpoint}\"\nhealth-check interval=\"10ms\" timeout=\"60s\" port={port} {properties} {{ http \"/\" }}"
    ));
    (proxy, endpoint)
}

/// Whether the endpoint takes traffic.
fn takes(proxy: &Proxy) -> bool {
    match proxy.client().get("/").status {
        200 => true,
        503 => false,
        status => panic!("{status}"),
    }
}

#[test]
fn an_endpoint_begins_as_initial_says() {
    // Whether it takes traffic before the first check and after it; all checks are answered the same.
    let cases = [
        ("initial=\"fully-up\"", 503, [true, true, false]),
        ("initial=\"up\"", 503, [true, false, false]),
        ("", 503, [true, false, false]),
        ("initial=\"down\"", 200, [false, true, true]),
        ("initial=\"fully-down\"", 200, [false, false, true]),
    ];
    for (initial, status, taken) in cases {
        let (checker, answer) = questioned();
        let (proxy, _endpoint) = asking(&checker, &format!("rise=2 fall=2 {initial}"));
        for (checks, taken) in taken.into_iter().enumerate() {
            // The next one waits, so what those before have changed has happened.
            checker.request(checks);
            assert_eq!(takes(&proxy), taken, "{initial:?} after {checks}");
            answer.send(status).expect("a check waits");
        }
    }
}

#[test]
fn fall_failures_in_a_row_take_it_down_and_rise_passes_in_a_row_bring_it_up() {
    let (checker, answer) = questioned();
    let (proxy, _endpoint) = asking(&checker, "rise=3 fall=4 initial=\"fully-up\"");
    let (fails, passes) = (503, 200);
    let steps = [
        (fails, true),
        (fails, true),
        (fails, true),
        (passes, true),
        (fails, true),
        (fails, true),
        (fails, true),
        (fails, false),
        (passes, false),
        (passes, false),
        (fails, false),
        (passes, false),
        (passes, false),
        (passes, true),
    ];
    for (number, (status, taken)) in steps.into_iter().enumerate() {
        checker.request(number);
        answer.send(status).expect("a check waits");
        checker.request(number + 1);
        assert_eq!(takes(&proxy), taken, "after check {number}");
    }
}

#[test]
fn a_check_goes_to_its_own_port_and_names_the_endpoint_as_it_is_written() {
    let (checker, answer) = questioned();
    let (proxy, endpoint) = asking(&checker, "rise=1 fall=1");
    let asked = checker.request(0).head;
    assert_eq!(asked.header("host"), Some(endpoint.to_string().as_str()));
    answer.send(503).expect("a check waits");
    assert_eq!(is_down(&proxy, 0, &endpoint), "status 503");
    assert_eq!(endpoint.connections(), 0, "it was asked itself");
}

#[test]
fn a_check_goes_to_its_own_address() {
    let endpoint = Origin::named("a");
    // Nobody listens there.
    let (proxy, _) = start(&format!(
        "endpoint \"{endpoint}\"\nhealth-check address=\"127.77.7.7\" interval=\"20ms\" timeout=\"60s\""
    ));
    assert_eq!(is_down(&proxy, 0, &endpoint), "connection refused");
    assert_eq!(endpoint.connections(), 0, "it was asked itself");
}

#[test]
fn a_check_that_takes_longer_than_its_timeout_has_failed() {
    let (checker, _answer) = questioned();
    let endpoint = Origin::named("a");
    let port = checker.address().port();
    let (proxy, _) = start(&format!(
        "endpoint \"{endpoint}\"\nhealth-check interval=\"1h\" timeout=\"300ms\" port={port} {{ http \"/\" }}"
    ));
    let reason = is_down(&proxy, 0, &endpoint);
    assert_eq!(reason, "no answer within 300ms");
}

/// A patient as the only endpoint, asked at `/health`.
fn checked(patient: &Patient, properties: &str) -> Proxy {
    let (proxy, _) = start(&format!(
        "endpoint \"{patient}\"\nhealth-check timeout=\"60s\" {properties} {{ http \"/health\" }}"
    ));
    proxy
}

#[test]
fn a_healthy_endpoint_is_checked_at_every_interval() {
    let patient = Patient::named("a");
    let _proxy = checked(
        &patient,
        "interval=\"20ms\" interval-changing=\"1h\" interval-down=\"1h\" initial=\"fully-up\"",
    );
    // At the default interval these would take longer than anybody waits.
    patient.wait_for_checks(30);
}

#[test]
fn an_endpoint_on_its_way_up_is_checked_at_the_interval_for_changes() {
    let patient = Patient::named("a");
    let proxy = checked(
        &patient,
        "interval=\"1h\" interval-changing=\"20ms\" interval-down=\"1h\" rise=30 initial=\"fully-down\"",
    );
    is_up(&proxy, 0, &patient);
    assert_eq!(patient.checks(), 30);
    let mut client = proxy.client();
    for _ in 0..50 {
        assert_eq!(client.get("/").status, 200);
    }
    assert_eq!(
        patient.checks(),
        30,
        "it is up now, and the interval an hour"
    );
}

#[test]
fn an_endpoint_that_is_down_is_checked_at_the_interval_for_that() {
    let patient = Patient::named("a");
    patient.falls_ill();
    let proxy = checked(
        &patient,
        "interval=\"1h\" interval-changing=\"1h\" interval-down=\"20ms\" rise=1 fall=1",
    );
    is_down(&proxy, 0, &patient);
    patient.wait_for_checks(30);
    patient.recovers();
    is_up(&proxy, 0, &patient);
}

#[test]
fn jitter_takes_the_checks_of_two_endpoints_out_of_step() {
    let asked: Arc<Mutex<String>> = Arc::default();
    let noting = |name: char| {
        let asked = asked.clone();
        Origin::answering(move |_| {
            asked.lock().expect("nobody panics holding it").push(name);
            b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()
        })
    };
    let (a, b) = (noting('a'), noting('b'));
    let (_proxy, _) = start(&format!(
        "endpoint \"{a}\"\nendpoint \"{b}\"\nhealth-check interval=\"40ms\" jitter=\"50%\" timeout=\"60s\" {{ http \"/\" }}"
    ));
    let asked = wait(
        || match asked.lock().expect("nobody panics holding it").clone() {
            asked if asked.len() >= 100 => Ok(asked),
            asked => Err(asked),
        },
    );
    // First checks are half an interval apart, so without jitter they take turns.
    assert!(asked.contains("aa") || asked.contains("bb"), "{asked}");
}
