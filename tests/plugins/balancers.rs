//! The bundled balancers, by the endpoints that answer.

use crate::harness::{Client, Gate, Origin, Proxy};
use std::collections::HashMap;

fn proxy(cluster: &str) -> Proxy {
    Proxy::start(&format!(
        "listener \"web\" \"127.0.0.1:0\" {{ route {{ cluster \"c\" }} }}\ncluster \"c\" {{\n    {cluster}\n}}\n"
    ))
}

fn answers(client: &mut Client, count: usize) -> Vec<String> {
    (0..count).map(|_| client.get("/").text()).collect()
}

fn shares(answers: &[String]) -> HashMap<&str, usize> {
    let mut shares = HashMap::new();
    answers
        .iter()
        .for_each(|answer| *shares.entry(answer.as_str()).or_default() += 1);
    shares
}

/// Answers with its name, but `/held` only when the gate is open.
fn holding(name: &'static str, gate: &Gate) -> Origin {
    let gate = gate.clone();
    Origin::start(move |mut peer| {
        while let Some(request) = peer.request() {
            if request.head.target() == "/held" {
                gate.wait();
            }
            peer.answer(name);
        }
    })
}

#[test]
fn round_robin_gives_each_endpoint_its_share_smoothly() {
    let (a, b, c) = (Origin::named("a"), Origin::named("b"), Origin::named("c"));
    for balancer in ["", "balancer \"round-robin\"\n"] {
        let proxy = proxy(&format!(
            "{balancer}endpoint \"{a}\" weight=5\nendpoint \"{b}\"\nendpoint \"{c}\""
        ));
        let turns = answers(&mut proxy.client(), 14).concat();
        assert_eq!(turns, "aabacaaaabacaa", "as nginx does it");
    }
}

#[test]
fn an_endpoint_of_weight_zero_gets_nothing() {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    for balancer in ["round-robin", "least-request", "random"] {
        let proxy = proxy(&format!(
            "balancer \"{balancer}\"\nendpoint \"{a}\" weight=0\nendpoint \"{b}\""
        ));
        assert_eq!(
            shares(&answers(&mut proxy.client(), 20)),
            HashMap::from([("b", 20)]),
            "{balancer}"
        );
    }
}

#[test]
fn least_request_avoids_a_busy_endpoint_and_returns_to_it() {
    let gate = Gate::default();
    let (a, b) = (holding("a", &gate), holding("b", &gate));
    let proxy = proxy(&format!(
        "balancer \"least-request\"\nendpoint \"{a}\"\nendpoint \"{b}\""
    ));
    let mut busy = proxy.client();
    busy.send("GET /held HTTP/1.1\r\nHost: test\r\n\r\n");
    let line = |a: &Origin, b: &Origin| a.requests().len() + b.requests().len();
    while line(&a, &b) == 0 {
        std::thread::yield_now();
    }
    let (held, free) = if a.requests().is_empty() {
        ("b", "a")
    } else {
        ("a", "b")
    };
    let mut client = proxy.client();
    assert_eq!(
        shares(&answers(&mut client, 10)),
        HashMap::from([(free, 10)])
    );
    gate.open();
    assert_eq!(busy.response().text(), held);
    assert_eq!(
        shares(&answers(&mut client, 10)),
        HashMap::from([("a", 5), ("b", 5)]),
        "idle endpoints take turns"
    );
}

#[test]
fn least_request_divides_by_the_weight() {
    let gate = Gate::default();
    let (a, b) = (holding("a", &gate), holding("b", &gate));
    let proxy = proxy(&format!(
        "balancer \"least-request\"\nendpoint \"{a}\" weight=3\nendpoint \"{b}\""
    ));
    let mut held: Vec<_> = (0..8).map(|_| proxy.client()).collect();
    for (number, client) in held.iter_mut().enumerate() {
        client.send("GET /held HTTP/1.1\r\nHost: test\r\n\r\n");
        while a.requests().len() + b.requests().len() <= number {
            std::thread::yield_now();
        }
    }
    assert_eq!((a.requests().len(), b.requests().len()), (6, 2));
    gate.open();
    held.iter_mut()
        .for_each(|client| assert_eq!(client.response().status, 200));
}

#[test]
fn random_uses_every_endpoint_and_prefers_the_less_busy_of_two() {
    let gate = Gate::default();
    let (a, b) = (holding("a", &gate), holding("b", &gate));
    let proxy = proxy(&format!(
        "balancer \"random\"\nendpoint \"{a}\"\nendpoint \"{b}\""
    ));
    let mut client = proxy.client();
    let shares_idle = answers(&mut client, 100);
    let shares_idle = shares(&shares_idle);
    // The chance that one of two fair endpoints gets fewer than 20 of 100 is below one in a thousand million.
    assert!(
        shares_idle["a"] >= 20 && shares_idle["b"] >= 20,
        "{shares_idle:?}"
    );

    let before = a.requests().len() + b.requests().len();
    let mut busy = proxy.client();
    busy.send("GET /held HTTP/1.1\r\nHost: test\r\n\r\n");
    while a.requests().len() + b.requests().len() == before {
        std::thread::yield_now();
    }
    let held_by_a = a
        .requests()
        .iter()
        .any(|request| request.head.target() == "/held");
    let free = if held_by_a { "b" } else { "a" };
    assert_eq!(
        shares(&answers(&mut client, 20)),
        HashMap::from([(free, 20)]),
        "of two, the idle one"
    );
    gate.open();
    busy.response();
}

#[test]
fn random_follows_the_weights() {
    let (a, b, c) = (Origin::named("a"), Origin::named("b"), Origin::named("c"));
    let proxy = proxy(&format!(
        "balancer \"random\"\nendpoint \"{a}\" weight=8\nendpoint \"{b}\" weight=1\nendpoint \"{c}\" weight=1"
    ));
    let all = answers(&mut proxy.client(), 300);
    let shares = shares(&all);
    // Idle endpoints: the first drawn wins unless the other has more weight, so the heavy one gets most.
    assert!(shares["a"] > 200 && shares.len() == 3, "{shares:?}");
}

#[test]
fn a_cluster_in_a_split_gets_its_weight() {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let proxy = Proxy::start(&format!(
        "listener \"web\" \"127.0.0.1:0\" {{ route {{ split {{ cluster \"a\" weight=9; cluster \"b\" weight=1 }} }} }}\ncluster \"a\" {{ endpoint \"{a}\" }}\ncluster \"b\" {{ endpoint \"{b}\" }}\n"
    ));
    let all = answers(&mut proxy.client(), 400);
    let shares = shares(&all);
    // Forty are expected; below ten or above eighty-five is less likely than one in ten million.
    assert!((10..=85).contains(&shares["b"]), "{shares:?}");
}
