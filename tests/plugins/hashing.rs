//! `ring-hash` and `maglev`: equal keys, the same endpoint; and where a key goes when that one cannot take it.

use crate::harness::{Admin, Client, Gate, Origin, Proxy, config, endpoint_path, wait};
use std::cell::RefCell;
use std::collections::HashSet;

/// By the header `x-user`.
const HASHING: [&str; 2] = ["ring-hash", "maglev"];

/// Three endpoints; `properties` stand at each of them.
fn proxy(balancer: &str, properties: &str, origins: &[Origin; 3]) -> Proxy {
    let [a, b, c] = origins;
    Proxy::start(&config(
        r#"
process { workers 2; log format="json" }
        admin "127.0.0.1:0"
        listener "web" "127.0.0.1:0" { route { cluster "c" } }
        cluster "c" {
            balancer "BALANCER" { key header="x-user" }
            endpoint "A-END" PROPERTIES
            endpoint "B-END" PROPERTIES
            endpoint "C-END" PROPERTIES
            retry attempts=3 on="503" budget="1000%"
        }
        "#,
        &[
            ("BALANCER", &balancer),
            ("A-END", a),
            ("B-END", b),
            ("C-END", c),
            ("PROPERTIES", &properties),
        ],
    ))
}

/// Each answers with its name, but 503 where the header `x-fail` names it, and `/held` only when the gate is open.
fn origins(gate: &Gate) -> [Origin; 3] {
    ["a", "b", "c"].map(|name| {
        let gate = gate.clone();
        Origin::start(move |mut peer| {
            while let Some(request) = peer.request() {
                if request.head.target() == "/held" {
                    gate.wait();
                }
                let fails = request.head.header("x-fail");
                if fails.is_some_and(|names| names.contains(name)) {
                    peer.send("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
                } else {
                    peer.answer(name);
                }
            }
        })
    })
}

fn by(client: &mut Client, user: usize) -> String {
    let header = format!("x-user: user-{user}\r\n");
    client.ask("GET", "/", &header).text()
}

fn homes(client: &mut Client, users: usize) -> Vec<String> {
    (0..users).map(|user| by(client, user)).collect()
}

fn failing(client: &mut Client, user: usize, target: &str, fails: &str) -> String {
    let headers = format!("x-user: user-{user}\r\nx-fail: {fails}\r\n");
    client.ask("GET", target, &headers).text()
}

#[test]
fn equal_keys_go_to_the_same_endpoint_on_every_connection_and_every_worker() {
    for balancer in HASHING {
        let origins = origins(&Gate::default());
        let proxy = proxy(balancer, "", &origins);
        let first = homes(&mut proxy.client(), 40);
        let used: HashSet<_> = first.iter().collect();
        assert_eq!(used.len(), 3, "{balancer}: forty keys reach all: {first:?}");
        for _ in 0..8 {
            assert_eq!(homes(&mut proxy.client(), 40), first, "{balancer}");
        }
        let line = proxy.line_of("/");
        assert_eq!((line.status(), line.outcome()), (200, "ok"), "{balancer}");
    }
}

#[test]
fn without_the_header_that_is_the_key_requests_are_spread() {
    for balancer in HASHING {
        let origins = origins(&Gate::default());
        let proxy = proxy(balancer, "", &origins);
        let mut client = proxy.client();
        let used: HashSet<_> = (0..80).map(|_| client.get("/").text()).collect();
        // The chance that eighty draws leave out one of three is below one in ten million million.
        assert_eq!(used.len(), 3, "{balancer}: {used:?}");
    }
}

#[test]
fn a_key_whose_endpoint_is_full_goes_on_to_the_same_next_one_and_comes_back() {
    for balancer in HASHING {
        let gate = Gate::default();
        let origins = origins(&gate);
        let proxy = proxy(balancer, "requests-max=1", &origins);
        let (mut client, mut held) = (proxy.client(), proxy.client());
        // On the same connection, so that the place of the first request has been given back.
        let home = by(&mut held, 1);
        held.send("GET /held HTTP/1.1\r\nHost: test\r\nx-user: user-1\r\n\r\n");
        let holds = |origin: &Origin| origin.requests().iter().any(|r| r.head.target() == "/held");
        wait(|| {
            origins
                .iter()
                .any(holds)
                .then_some(())
                .ok_or_else(String::new)
        });
        let next = by(&mut client, 1);
        assert_ne!(next, home, "{balancer}: it is full");
        for _ in 0..5 {
            assert_eq!(
                by(&mut client, 1),
                next,
                "{balancer}: no other than the next"
            );
        }
        gate.open();
        assert_eq!(held.response().text(), home, "{balancer}");
        // Its place is given back when the answer has been sent, which we may see a moment sooner.
        let client = RefCell::new(client);
        wait(|| match by(&mut client.borrow_mut(), 1) {
            found if found == home => Ok(()),
            found => Err(found),
        });
        assert_eq!(by(&mut client.into_inner(), 1), home, "{balancer}");
    }
}

#[test]
fn a_retry_goes_to_the_next_endpoint_of_the_key_and_never_to_one_that_failed() {
    for balancer in HASHING {
        let origins = origins(&Gate::default());
        let proxy = proxy(balancer, "", &origins);
        let mut client = proxy.client();
        for user in 0..8 {
            let home = by(&mut client, user);
            let next = failing(&mut client, user, "/second", &home);
            let last = failing(&mut client, user, "/third", &format!("{home}{next}"));
            let all: HashSet<_> = [&home, &next, &last].into_iter().collect();
            assert_eq!(all.len(), 3, "{balancer}: {home}, {next}, {last}");
            assert_eq!(
                failing(&mut client, user, "/again", &home),
                next,
                "{balancer}"
            );
        }
        for (target, attempts) in [("/second", 2), ("/third", 3)] {
            let line = proxy.line_of(target);
            let found = (line.outcome(), line.status(), line.number("attempts"));
            assert_eq!(found, ("ok", 200, attempts), "{balancer}");
        }
    }
}

#[test]
fn a_retry_on_a_ring_goes_where_the_key_belongs_when_its_endpoint_is_gone() {
    let origins = origins(&Gate::default());
    let proxy = proxy("ring-hash", "", &origins);
    let (mut client, admin) = (proxy.client(), Admin::of(&proxy));
    let before = homes(&mut client, 30);
    let nexts: Vec<_> = (0..30)
        .map(|user| failing(&mut client, user, "/", &before[user]))
        .collect();
    for (name, origin) in ["a", "b", "c"].into_iter().zip(&origins) {
        admin.order("c", origin, "maintain");
        for (user, found) in homes(&mut client, 30).into_iter().enumerate() {
            let expected = match before[user] == name {
                true => &nexts[user],
                false => &before[user],
            };
            assert_eq!(
                found, *expected,
                "user {user} while {name} is out of service"
            );
        }
        admin.order("c", origin, "ready");
    }
    assert_eq!(homes(&mut client, 30), before, "all are back");
}

#[test]
fn a_weight_changed_at_run_time_moves_no_keys_but_those_of_its_endpoint() {
    let origins = origins(&Gate::default());
    let proxy = proxy("ring-hash", "weight=100", &origins);
    let (mut client, admin) = (proxy.client(), Admin::of(&proxy));
    let path = endpoint_path("c", &origins[2]);
    let before = homes(&mut client, 90);
    let of_c = before.iter().filter(|home| *home == "c").count();
    for (weight, moves) in [(50, 1..of_c), (0, of_c..of_c + 1), (100, 0..1)] {
        admin.told("PATCH", &path, &format!("{{\"weight\":{weight}}}"));
        let after = homes(&mut client, 90);
        let moved = before.iter().zip(&after).filter(|(old, new)| old != new);
        let moved: Vec<_> = moved.collect();
        assert!(
            moved.iter().all(|(old, _)| *old == "c"),
            "{weight}: {moved:?}"
        );
        assert!(
            moves.contains(&moved.len()),
            "{weight}: {} of {of_c}",
            moved.len()
        );
    }
}

#[test]
fn a_weight_changed_at_run_time_moves_few_keys_of_a_maglev_table() {
    let origins = origins(&Gate::default());
    let proxy = proxy("maglev", "weight=100", &origins);
    let (mut client, admin) = (proxy.client(), Admin::of(&proxy));
    let path = endpoint_path("c", &origins[2]);
    let before = homes(&mut client, 90);
    admin.told("PATCH", &path, "{\"weight\":50}");
    let after = homes(&mut client, 90);
    let moved = before
        .iter()
        .zip(&after)
        .filter(|(old, new)| old != new)
        .count();
    // A sixth of the keys must, about as many again may; were they dealt anew, six in ten would.
    assert!((1..=40).contains(&moved), "{moved}: {before:?} {after:?}");
    admin.told("PATCH", &path, "{\"weight\":100}");
    assert_eq!(homes(&mut client, 90), before);
}
