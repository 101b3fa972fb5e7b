//! The filter against the fake host.

use tollgate_plugin_sdk::store::StoreError;
use tollgate_plugin_sdk::testing::{Opened, connect, network_errors, with_host};

use super::*;

fn open(settings: &str, from: &str) -> Option<Opened<ConnectionLimit>> {
    connect::<ConnectionLimit>(settings, from)
}

fn wait(seconds: u64) {
    with_host(|host| host.monotonic += seconds * 1_000_000_000);
}

fn over(reason: &str) -> Option<f64> {
    with_host(|host| host.metric("connections_over", &[("reason", reason)]))
}

#[test]
fn a_network_has_so_many_connections_at_once() {
    let settings = r#"{"connections-max":2}"#;
    let first = open(settings, "192.0.2.1").expect("there is room");
    let _second = open(settings, "192.0.2.1").expect("there is room");
    assert!(open(settings, "192.0.2.1").is_none());
    assert!(
        open(settings, "192.0.2.1").is_none(),
        "what was refused is not counted"
    );
    assert!(
        open(settings, "192.0.2.2").is_some(),
        "another network has its own"
    );
    first.close();
    assert!(open(settings, "192.0.2.1").is_some());
    assert_eq!(over("connections"), Some(2.0));
}

#[test]
fn new_connections_come_at_a_rate_with_a_burst() {
    let settings = r#"{"rate":"1/1s","burst":2}"#;
    let let_in = || open(settings, "192.0.2.1").is_some();
    assert!(let_in() && let_in() && !let_in());
    wait(1);
    assert!(let_in() && !let_in());
    assert_eq!(over("rate"), Some(2.0));
}

#[test]
fn both_limits_hold_and_the_rate_comes_first() {
    let settings = r#"{"rate":"3/1h","connections-max":1}"#;
    let one = open(settings, "192.0.2.1").expect("there is room");
    assert!(open(settings, "192.0.2.1").is_none());
    one.close();
    assert!(open(settings, "192.0.2.1").is_some());
    assert!(open(settings, "192.0.2.1").is_none());
    assert_eq!((over("connections"), over("rate")), (Some(1.0), Some(1.0)));
}

#[test]
fn networks_are_as_wide_as_their_prefix_and_some_are_exempt() {
    let settings =
        r#"{"connections-max":1,"ipv4-prefix":24,"ipv6-prefix":48,"exempt":["10.0.0.0/8"]}"#;
    let _held = open(settings, "192.0.2.1");
    let _other = open(settings, "2001:db8:1:2::1");
    for (from, let_in) in [
        ("192.0.2.200", false),
        ("::ffff:192.0.2.9", false),
        ("192.0.3.1", true),
        ("2001:db8:1:ffff::", false),
        ("2001:db8:2::", true),
        ("10.1.1.1", true),
        ("10.1.1.1", true),
    ] {
        assert_eq!(open(settings, from).is_some(), let_in, "{from}");
    }
}

#[test]
fn a_count_is_forgotten_when_nothing_comes_or_goes_for_long() {
    let settings = r#"{"connections-max":1,"forget":"60s"}"#;
    let lost = open(settings, "192.0.2.1").expect("there is room");
    wait(59);
    assert!(open(settings, "192.0.2.1").is_none());
    wait(1);
    let late = open(settings, "192.0.2.1").expect("the first is forgotten");
    late.close();
    // It ends after all; nothing is left that it could be taken off, and nobody gets more room by it.
    lost.close();
    let _held = open(settings, "192.0.2.1").expect("there is room");
    assert!(open(settings, "192.0.2.1").is_none());
}

#[test]
fn a_connection_that_was_not_counted_is_not_taken_off() {
    let settings = r#"{"connections-max":1}"#;
    with_host(|host| host.store_error = Some(StoreError::Full));
    let uncounted = open(settings, "192.0.2.1").expect("it is let in");
    with_host(|host| host.store_error = None);
    let _held = open(settings, "192.0.2.1").expect("there is room");
    uncounted.close();
    assert!(open(settings, "192.0.2.1").is_none());
    assert_eq!(over("store-error"), Some(1.0));
}

#[test]
fn a_store_that_does_not_count_keeps_out_where_that_is_set() {
    with_host(|host| host.store_error = Some(StoreError::Full));
    let deny = r#"{"connections-max":1,"on-store-error":"deny"}"#;
    assert!(open(deny, "192.0.2.1").is_none());
    let trial = r#"{"connections-max":1,"on-store-error":"deny","dry-run":true}"#;
    assert!(open(trial, "192.0.2.1").is_some());
}

#[test]
fn a_trial_counts_and_lets_in() {
    let settings = r#"{"connections-max":1,"rate":"2/1h","dry-run":true}"#;
    let opened: Vec<_> = (0..4).map(|_| open(settings, "192.0.2.1")).collect();
    assert!(opened.iter().all(Option::is_some));
    assert_eq!((over("connections"), over("rate")), (Some(1.0), Some(2.0)));
    opened.into_iter().flatten().for_each(Opened::close);
    wait(3600);
    let _one = open(settings, "192.0.2.1");
    assert_eq!(over("connections"), Some(1.0), "all were taken off again");
}

#[test]
fn limits_of_one_name_count_together() {
    let named = |more: &str| format!(r#"{{"connections-max":1,"name":"all"{more}}}"#);
    let _held = open(&named(""), "192.0.2.1").expect("there is room");
    assert!(open(&named(r#","forget":"2h""#), "192.0.2.1").is_none());
    assert!(open(r#"{"connections-max":1}"#, "192.0.2.1").is_some());
}

#[test]
fn bad_settings_are_told_at_their_place() {
    let cases = [
        ("{}", ": a connection limit has"),
        (r#"{"connections-max":0}"#, "/connections-max: "),
        (
            r#"{"connections-max":1,"burst":2}"#,
            "/burst: a burst belongs",
        ),
        (r#"{"rate":"20"}"#, "/rate: `20` is not a rate"),
        (r#"{"rate":"1/1s","exempt":["10.0.0.1/8"]}"#, "/exempt/0: "),
        (r#"{"rate":"1/1s","forget":"0s"}"#, "/forget: "),
        (r#"{"rate":"1/1s","name":"a b"}"#, "/name: "),
        (
            r#"{"rate":"1/1s","store":"other"}"#,
            "/store: this plugin is not granted",
        ),
    ];
    for (settings, expected) in cases {
        let found = network_errors::<ConnectionLimit>(settings);
        assert!(
            found.len() == 1 && found[0].starts_with(expected),
            "{settings}: {found:?}"
        );
    }
}
