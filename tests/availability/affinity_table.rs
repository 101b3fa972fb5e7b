//! Affinity by a key that is remembered: source, header, template; size, expiry, and what there is to see.

use super::scene::{admin, before, plain, put, until, whole};
use crate::harness::{Origin, Proxy};
use serde_json::Value;

fn pair() -> [Origin; 2] {
    [Origin::named("a"), Origin::named("b")]
}

fn of_pair([a, b]: &[Origin; 2], affinity: &str) -> String {
    format!("endpoint \"{a}\" id=\"a\"\nendpoint \"{b}\" id=\"b\"\naffinity {affinity}")
}

/// Who answers a request for this target with these header lines.
fn ask(proxy: &Proxy, target: &str, headers: &str) -> String {
    let response = proxy.client().ask("GET", target, headers);
    assert_eq!(response.header("set-cookie"), None, "no cookie is set");
    response.text()
}

fn tenant(proxy: &Proxy, name: &str) -> String {
    ask(proxy, &format!("/{name}"), &format!("x-tenant: {name}\r\n"))
}

/// The table as the admin API shows it.
fn table(proxy: &Proxy) -> Value {
    let answer = admin(proxy, "GET", "/api/v1/clusters/c/affinity");
    serde_json::from_slice(&answer.body).expect("it answers in JSON")
}

/// Keys with their endpoints, in order.
fn entries(proxy: &Proxy) -> Vec<(String, String)> {
    let table = table(proxy);
    let text = |entry: &Value, name: &str| entry[name].as_str().unwrap_or_default().to_owned();
    let entries = table["entries"].as_array().into_iter().flatten();
    let mut entries: Vec<_> = entries
        .map(|entry| (text(entry, "key"), text(entry, "endpoint")))
        .collect();
    entries.sort();
    entries
}

#[test]
fn the_same_source_gets_the_same_endpoint() {
    let pair = pair();
    let proxy = before(2, &of_pair(&pair, "source=#true"));
    let endpoint = ask(&proxy, "/first", "");
    for _ in 0..6 {
        assert_eq!(ask(&proxy, "/again", ""), endpoint);
    }
    let line = proxy.line_of("/first");
    assert_eq!(
        (
            line.outcome(),
            line.text("affinity"),
            line.text("affinity_issued")
        ),
        ("ok", "new", "remembered")
    );
    let line = proxy.line_of("/again");
    assert_eq!(
        (line.text("affinity"), line.text("affinity_issued")),
        ("valid", "none")
    );
    assert_eq!(entries(&proxy), [("127.0.0.1".to_owned(), endpoint)]);
}

#[test]
fn the_same_header_gets_the_same_endpoint_and_without_it_nothing_is_bound() {
    let pair = pair();
    // One worker: each has a round robin of its own.
    let proxy = before(1, &of_pair(&pair, "header=\"x-tenant\""));
    let (one, two) = (tenant(&proxy, "one"), tenant(&proxy, "two"));
    assert_ne!(one, two, "round robin");
    for _ in 0..3 {
        assert_eq!(
            (tenant(&proxy, "two"), tenant(&proxy, "two")),
            (two.clone(), two.clone())
        );
        assert_eq!(tenant(&proxy, "one"), one);
    }
    let unbound: Vec<_> = (0..4).map(|_| ask(&proxy, "/none", "")).collect();
    assert!(
        unbound.iter().any(|endpoint| *endpoint != unbound[0]),
        "{unbound:?}"
    );
    let line = proxy.line_of("/none");
    assert_eq!(
        (line.text("affinity"), line.text("affinity_issued")),
        ("none", "none")
    );
    let known = [("one".to_owned(), one), ("two".to_owned(), two)];
    assert_eq!(entries(&proxy), known);
}

#[test]
fn a_key_is_made_of_all_its_parts() {
    let pair = pair();
    let affinity = "key=\"{method}/{host}/{header:x-tenant}/{cookie:sid}\"";
    let proxy = before(1, &of_pair(&pair, affinity));
    let of = |sid: &str| {
        ask(
            &proxy,
            "/x",
            &format!("x-tenant: t\r\nCookie: a=b; sid={sid}\r\n"),
        )
    };
    let (one, two) = (of("1"), of("2"));
    assert_ne!(one, two);
    for _ in 0..3 {
        assert_eq!(
            (of("2"), of("2"), of("1")),
            (two.clone(), two.clone(), one.clone())
        );
    }
    let known = [
        ("GET/test/t/1".to_owned(), one),
        ("GET/test/t/2".to_owned(), two),
    ];
    assert_eq!(entries(&proxy), known);
}

#[test]
fn a_full_table_forgets_who_was_away_longest() {
    let pair = pair();
    let proxy = before(1, &of_pair(&pair, "header=\"x-tenant\" size=2"));
    for name in ["one", "two", "one", "three"] {
        tenant(&proxy, name);
    }
    let known: Vec<_> = entries(&proxy).into_iter().map(|(key, _)| key).collect();
    assert_eq!(known, ["one", "three"]);
    tenant(&proxy, "two");
    let line = proxy.access_line(|line| {
        line.text("target") == "/two" && line.text("affinity_issued") == "remembered"
    });
    assert_eq!(line.text("affinity"), "new");
}

#[test]
fn an_entry_that_is_not_used_expires() {
    let pair = pair();
    let proxy = before(1, &of_pair(&pair, "header=\"x-tenant\" expiry=\"50ms\""));
    tenant(&proxy, "one");
    until("the entry to be forgotten", || table(&proxy)["size"] == 0);
    assert!(entries(&proxy).is_empty());
    let mark = proxy.access_lines().len();
    tenant(&proxy, "one");
    until("the access line", || proxy.access_lines().len() > mark);
    let last = proxy.access_lines().pop().unwrap_or_default();
    assert!(last.contains("\"affinity\":\"new\""), "{last}");
}

#[test]
fn the_table_goes_on_across_a_reload() {
    let pair = pair();
    let text = |size: u32| {
        let affinity = format!("header=\"x-tenant\" size={size}");
        whole(2, &plain(&of_pair(&pair, &affinity)))
    };
    let proxy = Proxy::start(&text(10));
    let (one, two) = (tenant(&proxy, "one"), tenant(&proxy, "two"));
    proxy.reload(&text(20)).expect("it is valid");
    for (target, name, endpoint) in [("/1", "two", two), ("/2", "one", one)] {
        let header = format!("x-tenant: {name}\r\n");
        assert_eq!(ask(&proxy, target, &header), endpoint);
        assert_eq!(proxy.line_of(target).text("affinity"), "valid");
    }
}

#[test]
fn a_key_whose_endpoint_drains_stays_and_one_in_maintenance_is_bound_anew() {
    let pair = pair();
    let proxy = before(1, &of_pair(&pair, "header=\"x-tenant\""));
    let old = tenant(&proxy, "one");
    put(&proxy, &old, "drain");
    assert_eq!(tenant(&proxy, "one"), old);
    put(&proxy, &old, "maintain");
    let new = ask(&proxy, "/moved", "x-tenant: one\r\n");
    assert_ne!(new, old);
    let line = proxy.line_of("/moved");
    assert_eq!(
        (
            line.outcome(),
            line.text("affinity"),
            line.text("affinity_issued")
        ),
        ("ok", "valid", "remembered")
    );
    put(&proxy, &old, "ready");
    for _ in 0..3 {
        assert_eq!(tenant(&proxy, "one"), new, "bound anew");
    }
    assert_eq!(entries(&proxy), [("one".to_owned(), new)]);
}
