//! The capabilities `store` and `metrics` with a real guest: what each function does, and what misuse costs.

use std::sync::Arc;

use super::super::{Allowance, ConfigureError, FaultKind, Grants, HttpFilter};
use super::{engine, guests, mode, patient, request, set_value, simple};
use crate::observe::plugin_metrics;
use crate::store::{self, Limits, Store};

fn opened(name: &str, entries_max: u64) -> Arc<Store> {
    let limits = Limits {
        entries_max,
        bytes_max: 1 << 20,
    };
    store::open(name, limits)
}

fn configured(
    label: &str,
    name: &str,
    stores: &[&Arc<Store>],
) -> Result<Arc<HttpFilter>, ConfigureError> {
    let component = engine()
        .load_file(&guests::counting())
        .expect("the guest loads");
    let allowance = Allowance {
        budgets: patient(),
        grants: Grants::new(stores.iter().map(|store| Arc::clone(store)).collect()),
    };
    HttpFilter::configure(engine(), &component, label, &mode(name), allowance)
}

/// The guest in one of its modes, which is its label too.
fn counting(name: &str, stores: &[&Arc<Store>]) -> Arc<HttpFilter> {
    configured(name, name, stores).expect("the guest is configured")
}

fn found(filter: &HttpFilter) -> String {
    set_value(&request(filter, simple()).1.expect("a verdict"))
}

#[test]
fn every_function_of_the_store_does_what_it_says() {
    let filter = counting("all", &[&opened("every function", 100)]);
    assert_eq!(
        found(&filter),
        format!(
            ";Some({:?});false;true;wrong-type;true;false;true0;false{};None",
            b"value",
            u64::MAX
        )
    );
}

#[test]
fn filters_that_were_granted_the_same_store_count_together() {
    let (shared, other) = (opened("shared", 10), opened("other", 10));
    let (one, two) = (
        configured("one", "count", &[&shared]).expect("configured"),
        configured("two", "count", &[&shared, &other]).expect("configured"),
    );
    let three = configured("three", "count", &[&other]).expect("configured");
    let counts = [&one, &two, &three, &one].map(|filter| found(filter));
    assert_eq!(counts, ["1", "2", "1", "3"]);
    let names = configured("two", "names", &[&shared, &other]).expect("configured");
    assert_eq!(
        found(&names),
        "shared,other",
        "in the order of the configuration"
    );
}

#[test]
fn the_store_is_there_while_the_plugin_is_configured() {
    let store = opened("while configured", 10);
    let filter = counting("configure", &[&store]);
    // Once to learn the plan, and once in the instance that is called.
    assert_eq!(found(&filter), "2");
}

#[test]
fn a_component_that_imports_the_store_without_a_grant_is_refused_with_the_line_that_grants_it() {
    let refused = configured("ungranted", "count", &[]).expect_err("refused");
    let ConfigureError::Refused(why) = refused else {
        panic!("{refused:?}")
    };
    assert!(
        why.contains("`store`") && why.contains("grant { store \"guest_counting\" }"),
        "{why}"
    );
}

#[test]
fn misuse_of_a_capability_is_a_fault_of_the_plugin_and_said_in_words() {
    let store = opened("misuse", 10);
    for (name, words) in [
        ("other-store", "grant { store \"somebody-elses\" }"),
        ("no-window", "a window has to last"),
        ("no-refill", "a bucket has to be filled"),
        ("metrics-unknown", "no series"),
        ("metrics-kind", "another kind"),
        ("metrics-number", "only grows"),
    ] {
        let filter = counting(name, &[&store]);
        let fault = request(&filter, simple()).1.expect_err(name);
        assert_eq!(fault.kind, FaultKind::Trap, "{name}: {fault}");
        assert!(fault.message.contains(words), "{name}: {fault}");
    }
    assert_eq!(store.size(), (0, 0));
}

#[test]
fn what_is_too_large_is_refused_and_costs_nobody_anything() {
    let store = opened("too large", 10);
    for name in ["huge-key", "huge-value"] {
        assert_eq!(found(&counting(name, &[&store])), "too-large", "{name}");
    }
    assert_eq!(store.size(), (0, 0));
    assert_eq!(found(&counting("metrics-huge", &[&store])), "invalid");
}

#[test]
fn a_flood_of_keys_ends_at_the_limits_of_the_store() {
    let store = opened("flood", 10_000);
    let filter = counting("store-flood", &[&store]);
    // A thousand keys a call, and a mebibyte holds some 465.
    let found: Vec<_> = (0..3).map(|_| found(&filter)).collect();
    assert_eq!(found, ["full"; 3]);
    let (entries, bytes) = store.size();
    assert!(entries > 400 && bytes <= 1 << 20, "{entries} {bytes}");
}

#[test]
fn a_plugin_measures_under_its_own_name_and_only_so_much() {
    let store = opened("measuring", 10);
    let filter = counting("measure", &[&store]);
    for _ in 0..3 {
        assert_eq!(found(&filter), "measured");
    }
    let text = plugin_metrics::render();
    for line in [
        "tollgate_plugin_visits_total{plugin=\"measure\",way=\"in\"} 3.0",
        "tollgate_plugin_level{plugin=\"measure\"} 4.5",
        "tollgate_plugin_sizes_sum{plugin=\"measure\"} 4.5",
    ] {
        assert!(text.lines().any(|known| known == line), "{line} in\n{text}");
    }
    let flood = counting("metrics-flood", &[&store]);
    assert_eq!(found(&flood), "64");
    assert_eq!(found(&flood), "64", "they are the same ones again");
    drop(filter);
    super::super::retire_worker_instances();
    assert!(
        plugin_metrics::report("measure").is_none(),
        "gone with the plugin"
    );
}
