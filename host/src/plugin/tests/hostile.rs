//! Each way to misbehave costs one call and one instance, and nobody else anything.

use std::time::Duration;

use super::super::{Budgets, ConfigureError, FaultKind, HttpFilter, SettingsError};
use super::{
    engine, exchange, filter, filter_with, guests, mode, patient, request, set_value, simple,
};

/// For guests that never end.
const SHORT: Duration = Duration::from_millis(5);

#[test]
fn every_misbehaviour_is_a_fault_of_its_kind_and_of_its_filter_alone() {
    let table = [
        ("trap", FaultKind::Trap),
        ("spin", FaultKind::Time),
        ("recurse", FaultKind::StackOverflow),
        ("allocate", FaultKind::Memory),
        ("huge", FaultKind::BadOutput),
        ("bad-name", FaultKind::BadOutput),
        ("bad-value", FaultKind::BadOutput),
        ("framing", FaultKind::BadOutput),
        ("bad-operation", FaultKind::BadOutput),
        ("bad-phase", FaultKind::BadOutput),
        ("bad-priority", FaultKind::BadOutput),
        ("cut", FaultKind::BadOutput),
        ("reply-status", FaultKind::BadOutput),
        ("reply-header", FaultKind::BadOutput),
        ("reply-body", FaultKind::BadOutput),
    ];
    let neighbour = filter("calls");
    let mut calls = 0;
    let mut neighbour_is_well = || {
        calls += 1;
        let (_, verdict) = request(&neighbour, simple());
        assert_eq!(
            set_value(&verdict.expect("the neighbour works")),
            calls.to_string(),
            "its instance goes on"
        );
    };
    for (name, kind) in table {
        let time_max = if kind == FaultKind::Time {
            SHORT
        } else {
            patient().time_max
        };
        let hostile = filter_with(
            name,
            Budgets {
                time_max,
                ..patient()
            },
        );
        // Twice: the second call meets a new instance, or it would be told that the old one cannot be entered.
        for call in 1..=2 {
            neighbour_is_well();
            let (exchange, verdict) = request(&hostile, simple());
            let fault = verdict.expect_err(name);
            assert_eq!(fault.kind, kind, "{name}: {fault}");
            assert_eq!(exchange.request.path(), "/api/x", "the exchange comes back");
            assert_eq!(
                (hostile.stats().calls(), hostile.stats().faults(kind)),
                (call, call),
                "{name}"
            );
        }
    }
    neighbour_is_well();
}

#[test]
fn a_lost_instance_is_replaced_by_the_next_call() {
    let filter = filter("trap-on-path");
    assert!(request(&filter, simple()).1.is_ok());
    let fault = request(&filter, exchange("GET /trap HTTP/1.1\r\nhost: a"))
        .1
        .expect_err("a trap");
    assert_eq!(fault.kind, FaultKind::Trap);
    assert!(request(&filter, simple()).1.is_ok());
}

#[test]
fn faults_in_a_row_back_off_without_a_call() {
    let filter = filter("trap-first");
    let kinds: Vec<FaultKind> = (0..6)
        .map(|_| request(&filter, simple()).1.expect_err("a fault").kind)
        .collect();
    let (called, refused) = kinds.split_at(4);
    assert!(
        called.iter().all(|kind| *kind == FaultKind::Trap),
        "{kinds:?}"
    );
    assert!(
        refused.iter().all(|kind| *kind == FaultKind::Unavailable),
        "{kinds:?}"
    );
    assert_eq!(filter.stats().calls(), 4);
    assert_eq!(filter.stats().faults(FaultKind::Unavailable), 2);
}

#[test]
fn a_leak_is_stopped_at_the_memory_limit_and_memory_is_given_back() {
    let filter = filter_with(
        "leak",
        Budgets {
            memory_max: 16 * 1024 * 1024,
            ..patient()
        },
    );
    let outcomes: Vec<bool> = (0..2_000)
        .map(|_| request(&filter, simple()).1.is_ok())
        .collect();
    let faults = outcomes.iter().filter(|worked| !**worked).count();
    // 16 MiB at 64 KiB a call: some 240 calls an instance.
    assert!((4..=20).contains(&faults), "{faults}");
    assert_eq!(filter.stats().faults(FaultKind::Memory), faults as u64);
}

#[test]
fn a_spinning_guest_is_stopped_in_time() {
    let filter = filter_with(
        "spin",
        Budgets {
            time_max: SHORT,
            ..patient()
        },
    );
    let started = std::time::Instant::now();
    assert_eq!(
        request(&filter, simple()).1.expect_err("a fault").kind,
        FaultKind::Time
    );
    // 5 ms are allowed; the rest is for a busy machine.
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn a_target_that_cannot_be_forwarded_is_refused_as_a_whole() {
    let filter = filter("bad-target");
    let (mut exchange, verdict) = request(&filter, simple());
    let super::Verdict::Next(edits) = verdict.expect("well-formed") else {
        panic!("not `next`")
    };
    assert_eq!(
        edits
            .apply_request(&mut exchange)
            .expect_err("a fault")
            .kind,
        FaultKind::BadOutput
    );
    assert_eq!(exchange.request.path(), "/api/x");
}

#[test]
fn configure_is_held_to_the_contract_too() {
    let component = engine()
        .load_file(&guests::hostile())
        .expect("the guest loads");
    let configure = |name: &str| {
        HttpFilter::configure(engine(), &component, name, &mode(name), Budgets::default())
            .expect_err(name)
    };
    for (name, kind) in [
        ("configure-trap", FaultKind::Trap),
        ("configure-spin", FaultKind::Time),
    ] {
        let ConfigureError::Fault(fault) = configure(name) else {
            panic!("{name}: not a fault")
        };
        assert_eq!(fault.kind, kind, "{name}");
    }
    for (name, named) in [
        ("needs-body", "bodies"),
        ("needs-framing", "content-length"),
        ("needs-network", "10.0.0.0/99"),
    ] {
        let ConfigureError::Refused(why) = configure(name) else {
            panic!("{name}: not refused")
        };
        assert!(why.contains(named), "{name}: {why}");
    }
    let ConfigureError::Settings(errors) = configure("configure-error") else {
        panic!("not an error of the settings")
    };
    assert_eq!(
        errors,
        [SettingsError {
            pointer: "/mode".into(),
            message: "no such mode".into()
        }]
    );
    let small = Budgets {
        memory_max: 64 * 1024,
        ..patient()
    };
    match HttpFilter::configure(engine(), &component, "small", &mode("echo"), small) {
        Err(ConfigureError::Fault(fault)) => assert_eq!(fault.kind, FaultKind::Memory),
        other => panic!("{other:?}"),
    }
}
