//! What survives a reload, what goes with the last user, and what workers share.

use std::sync::Arc;
use std::time::Duration;

use super::super::{Budgets, Engine, HttpFilter, retire_worker_instances};
use super::{filter, filter_with, guests, mode, patient, request, set_value, simple};

fn calls(filter: &HttpFilter) -> String {
    set_value(&request(filter, simple()).1.expect("a verdict"))
}

#[test]
fn the_same_identity_is_the_same_filter_with_its_warm_instance() {
    let budgets = Budgets {
        time_max: Duration::from_secs(70),
        ..patient()
    };
    let first = filter_with("calls", budgets);
    assert_eq!(calls(&first), "1");
    let second = filter_with("calls", budgets);
    assert!(Arc::ptr_eq(&first, &second));
    drop(first);
    retire_worker_instances();
    assert_eq!(calls(&second), "2");
    let other = filter_with(
        "calls",
        Budgets {
            time_max: Duration::from_secs(71),
            ..budgets
        },
    );
    assert_eq!(calls(&other), "1");
}

#[test]
fn instances_go_with_their_filter_and_slots_are_used_again() {
    for round in 0..3 {
        let filter = filter_with(
            "calls",
            Budgets {
                time_max: Duration::from_secs(80),
                ..patient()
            },
        );
        assert_eq!(
            calls(&filter),
            "1",
            "round {round}: nothing of the last filter is left"
        );
        drop(filter);
        if round == 1 {
            retire_worker_instances();
        }
    }
}

#[test]
fn retiring_frees_the_component() {
    let engine = Engine::new(None).expect("an engine");
    let component = engine
        .load_file(&guests::hostile())
        .expect("the guest loads");
    let weak = Arc::downgrade(&component);
    let filter = HttpFilter::configure(&engine, &component, "calls", &mode("calls"), patient())
        .expect("configured");
    assert_eq!(calls(&filter), "1");
    assert!(
        Arc::ptr_eq(
            &component,
            &engine.load_file(&guests::hostile()).expect("loads again")
        ),
        "compiled once"
    );
    drop((component, filter));
    retire_worker_instances();
    assert!(weak.upgrade().is_none());
}

#[test]
fn each_worker_has_an_instance_of_its_own() {
    let filter = filter_with(
        "calls",
        Budgets {
            time_max: Duration::from_secs(90),
            ..patient()
        },
    );
    assert_eq!(calls(&filter), "1");
    let elsewhere = std::thread::scope(|scope| {
        scope
            .spawn(|| (calls(&filter), calls(&filter)))
            .join()
            .expect("the worker ends")
    });
    assert_eq!(elsewhere, ("1".to_owned(), "2".to_owned()));
    assert_eq!(calls(&filter), "2");
    assert_eq!(filter.stats().calls(), 4);
}

#[test]
fn a_fault_on_one_worker_leaves_the_other_alone() {
    let filter = filter("trap-on-path");
    assert!(request(&filter, simple()).1.is_ok());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..10 {
                let trap = super::exchange("GET /trap HTTP/1.1\r\nhost: a");
                assert!(request(&filter, trap).1.is_err());
            }
            assert!(request(&filter, simple()).1.is_err(), "backing off");
        });
    });
    assert!(request(&filter, simple()).1.is_ok());
}

#[test]
fn an_idle_ticker_sleeps_and_wakes_for_a_call() {
    let own = Engine::new(None).expect("an engine");
    let component = own.load_file(&guests::hostile()).expect("the guest loads");
    let spin = HttpFilter::configure(&own, &component, "spin", &mode("spin"), Budgets::default())
        .expect("configured");
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while !own.ticker_is_parked() {
        assert!(
            std::time::Instant::now() < deadline,
            "the ticker never rests"
        );
        std::thread::yield_now();
    }
    assert_eq!(
        request(&spin, simple()).1.expect_err("stopped").kind,
        super::super::FaultKind::Time
    );
}
