//! Who is picked when some endpoints are full, slow or failing, and that no plugin picks one that may not be.

use super::{folder, guests};
use crate::harness::{Admin, Client, Gate, Origin, Proxy, config, wait};
use std::cell::RefCell;
use std::time::Duration;

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

/// Sends `/held` and returns when one of the origins has it. The place of the connection's last request has been given back by then,
/// which that of another connection's need not have.
fn hold(client: &mut Client, origins: &[&Origin]) {
    let held = |origin: &&Origin| {
        let requests = origin.requests();
        let targets = requests.iter().map(|request| request.head.target());
        targets.filter(|target| *target == "/held").count()
    };
    let count = || -> usize { origins.iter().map(held).sum() };
    let before = count();
    client.send("GET /held HTTP/1.1\r\nHost: test\r\n\r\n");
    wait(|| match count() {
        now if now > before => Ok(()),
        _ => Err("no origin has it".to_owned()),
    });
}

/// A proxy with the guest balancer in this mode.
fn guest_proxy(mode: &str, cluster: &str) -> Proxy {
    let text = config(
        r#"
        plugin "mine" "balancer.wasm" { time-max "5s" }
        admin "127.0.0.1:0"
        listener "web" "127.0.0.1:0" { route { cluster "c" } }
        cluster "c" { balancer "mine" { mode "MODE" }; CLUSTER }
        "#,
        &[("MODE", &mode), ("CLUSTER", &cluster)],
    );
    let files = folder(&[("balancer.wasm", &guests::balancer())]);
    Proxy::start_in(files, &text).expect("it is valid")
}

#[test]
fn first_fills_one_endpoint_after_the_other_and_returns_to_the_first() {
    let gate = Gate::default();
    let (a, b, c) = (
        holding("a", &gate),
        holding("b", &gate),
        holding("c", &gate),
    );
    let proxy = Proxy::start(&config(
        r#"
        listener "web" "127.0.0.1:0" { route { cluster "c" } }
        cluster "c" {
            balancer "first"
            endpoint "A-END" requests-max=2
            endpoint "B-END" requests-max=1
            endpoint "C-END"
        }
        "#,
        &[("A-END", &a), ("B-END", &b), ("C-END", &c)],
    ));
    let five = |client: &mut Client| -> String { (0..5).map(|_| client.get("/").text()).collect() };
    let mut held = Vec::new();
    for expected in ["aaaaa", "aaaaa", "bbbbb"] {
        let mut client = proxy.client();
        assert_eq!(five(&mut client), expected, "{} are held", held.len());
        hold(&mut client, &[&a, &b, &c]);
        held.push(client);
    }
    let client = RefCell::new(proxy.client());
    let five = || five(&mut client.borrow_mut());
    assert_eq!(five(), "ccccc", "the others are full");
    gate.open();
    let names: String = held.iter_mut().map(|held| held.response().text()).collect();
    assert_eq!(names, "aab");
    // The places are given back when the answers have been sent, which we may see a moment sooner.
    wait(|| match five() {
        found if found == "aaaaa" => Ok(()),
        found => Err(found),
    });
    let line = proxy.line_of("/held");
    assert_eq!((line.status(), line.outcome()), (200, "ok"));
}

/// Answers with its name after so long: this is how fast it is, nothing waits for it.
fn taking(time: Duration, name: &'static str) -> Origin {
    Origin::start(move |mut peer| {
        while peer.request().is_some() {
            std::thread::sleep(time);
            peer.answer(name);
        }
    })
}

/// Three endpoints, one of them `bad`, the others so fast; how many of sixty requests the bad one gets from `peak-ewma`.
fn requests_at(bad: &Origin, others: Duration) -> usize {
    let (b, c) = (taking(others, "b"), taking(others, "c"));
    let proxy = Proxy::start(&config(
        r#"
        listener "web" "127.0.0.1:0" { route { cluster "c" } }
        cluster "c" { balancer "peak-ewma"; endpoint "BAD"; endpoint "B-END"; endpoint "C-END" }
        "#,
        &[("BAD", bad), ("B-END", &b), ("C-END", &c)],
    ));
    let mut client = proxy.client();
    (0..60).for_each(|_| assert!([200, 500].contains(&client.get("/").status)));
    assert_eq!(proxy.line_of("/").outcome(), "ok");
    bad.requests().len()
}

#[test]
fn peak_ewma_leaves_an_endpoint_that_fails_faster_than_others_answer() {
    let failing = Origin::saying("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n");
    let found = requests_at(&failing, Duration::from_millis(5));
    // By latency alone it would get every request for which it is drawn: forty.
    assert!((1..6).contains(&found), "{found}");
}

#[test]
fn peak_ewma_leaves_a_slow_endpoint_after_its_first_answer() {
    let slow = taking(Duration::from_secs(1), "slow");
    let found = requests_at(&slow, Duration::ZERO);
    // By chance it would get twenty.
    assert!((1..6).contains(&found), "{found}");
}

#[test]
fn whatever_a_balancer_answers_only_endpoints_that_may_be_picked_are() {
    let [a, drained, unweighted, backup] =
        ["a", "drained", "unweighted", "backup"].map(Origin::named);
    let cluster = format!(
        "endpoint \"{drained}\"; endpoint \"{unweighted}\" weight=0; endpoint \"{a}\"; endpoint \"{backup}\" backup=#true"
    );
    for mode in [
        "round-robin",
        "key",
        "pair",
        "loads",
        "out-of-range",
        "far-out-of-range",
        "trap",
        "trap-update",
    ] {
        let proxy = guest_proxy(mode, &cluster);
        Admin::of(&proxy).order("c", &drained, "maintain");
        let mut client = proxy.client();
        for _ in 0..12 {
            assert_eq!(client.get("/").text(), "a", "{mode}");
        }
        let line = proxy.line_of("/");
        assert_eq!((line.status(), line.outcome()), (200, "ok"), "{mode}");
    }
    for origin in [&drained, &unweighted, &backup] {
        assert_eq!(origin.requests().len(), 0);
    }
}

#[test]
fn a_balancer_that_insists_on_a_full_endpoint_is_passed_over() {
    let gate = Gate::default();
    let (a, b) = (holding("a", &gate), holding("b", &gate));
    let limited = |name: &Origin| format!("endpoint \"{name}\" requests-max=1");
    // The key is the address of the client, so the guest names the same one every time.
    let proxy = guest_proxy("key", &format!("{}; {}", limited(&a), limited(&b)));
    let mut held = proxy.client();
    let favourite = held.get("/").text();
    assert_eq!(held.get("/").text(), favourite);
    hold(&mut held, &[&a, &b]);
    assert_ne!(proxy.client().get("/").text(), favourite);
    gate.open();
    assert_eq!(held.response().text(), favourite);
}

#[test]
fn a_balancer_that_insists_on_an_endpoint_that_failed_is_passed_over() {
    let bad = || Origin::saying("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
    let origins = [bad(), bad(), bad()];
    let [a, b, c] = &origins;
    let proxy = guest_proxy(
        "key",
        &format!(
            "endpoint \"{a}\"; endpoint \"{b}\"; endpoint \"{c}\"; retry attempts=3 on=\"503\""
        ),
    );
    assert_eq!(proxy.client().get("/").status, 503);
    let line = proxy.line_of("/");
    assert_eq!((line.outcome(), line.number("attempts")), ("ok", 3));
    let asked: Vec<_> = origins
        .iter()
        .map(|origin| origin.requests().len())
        .collect();
    assert_eq!(asked, [1, 1, 1], "each once");
}

#[test]
fn a_balancer_that_wants_none_is_answered_with_503_and_no_endpoint_is_asked() {
    let a = Origin::named("a");
    let proxy = guest_proxy("none", &format!("endpoint \"{a}\""));
    assert_eq!(proxy.client().get("/").status, 503);
    let line = proxy.line_of("/");
    assert_eq!((line.status(), line.outcome()), (503, "no-endpoint"));
    assert_eq!(a.requests().len(), 0);
}
