//! Balancers through the real host.

use std::path::Path;
use std::sync::Arc;

use super::super::{Balancer, EndpointTable, FaultKind, Measure};
use super::{engine, guests, mode, patient};
use crate::http::Field;

struct Table {
    endpoints: Vec<(String, u32)>,
    loads: Vec<u32>,
    measures: Vec<Measure>,
}

impl EndpointTable for Table {
    fn endpoints(&self) -> &[(String, u32)] {
        &self.endpoints
    }

    fn load(&self, index: u32) -> u32 {
        self.loads.get(index as usize).copied().unwrap_or(u32::MAX)
    }

    fn measure(&self, index: u32) -> u64 {
        self.measures[index as usize].packed()
    }
}

fn table(loads: &[u32]) -> Arc<dyn EndpointTable> {
    let endpoints = (0..loads.len())
        .map(|index| (format!("10.0.0.{index}:80"), 1))
        .collect();
    Arc::new(Table {
        endpoints,
        loads: loads.to_vec(),
        measures: Vec::new(),
    })
}

fn measured(measures: &[(u32, u8, Option<u32>)]) -> Arc<dyn EndpointTable> {
    let endpoints = (0..measures.len())
        .map(|index| (format!("10.0.0.{index}:80"), 1))
        .collect();
    let measure = |&(latency_micros, failures, requests): &(u32, u8, Option<u32>)| Measure {
        latency_micros,
        failures,
        requests,
    };
    Arc::new(Table {
        endpoints,
        loads: Vec::new(),
        measures: measures.iter().map(measure).collect(),
    })
}

fn balancer(name: &str) -> Arc<Balancer> {
    balancer_from(&guests::balancer(), name)
}

fn balancer_from(file: &Path, name: &str) -> Arc<Balancer> {
    let component = engine().load_file(file).expect("the guest loads");
    Balancer::configure(engine(), &component, name, "api", &mode(name), patient())
        .expect("configured")
}

#[test]
fn the_table_is_passed_on_when_it_changes_and_only_then() {
    let balancer = balancer("round-robin");
    let (three, two) = (table(&[0; 3]), table(&[0; 2]));
    let picks = |table: &Arc<dyn EndpointTable>, count: usize| -> Vec<Option<u32>> {
        (0..count)
            .map(|_| balancer.pick(table, 0, &[]).expect("a pick"))
            .collect()
    };
    assert_eq!(picks(&three, 4), [Some(0), Some(1), Some(2), Some(0)]);
    assert_eq!(picks(&two, 3), [Some(0), Some(1), Some(0)]);
    assert_eq!(picks(&three, 1), [Some(0)]);
    assert_eq!(picks(&table(&[]), 1), [None]);
    assert_eq!(balancer.stats().calls(), 8);
}

#[test]
fn keys_and_loads_reach_the_guest() {
    let by_key = balancer("key");
    assert_eq!(by_key.needs().key, [Field::ClientAddress]);
    assert_eq!(
        by_key.pick(&table(&[0; 5]), 13, &[]).expect("a pick"),
        Some(3)
    );

    let by_loads = balancer("loads");
    assert!(by_loads.needs().loads);
    assert_eq!(
        by_loads
            .pick(&table(&[5, 9, 2, u32::MAX]), 0, &[])
            .expect("a pick"),
        Some(2)
    );

    let by_pair = balancer("pair");
    assert_eq!(
        by_pair.pick(&table(&[1, 9, 2]), 0, &[]).expect("a pick"),
        Some(0)
    );
    assert_eq!(
        by_pair.pick(&table(&[3, 9, 2]), 0, &[]).expect("a pick"),
        Some(2)
    );
}

#[test]
fn measures_reach_the_guest() {
    let endpoints = measured(&[
        (900, 0, Some(5)),
        (200, 255, Some(0xff_fffd)),
        (u32::MAX, 9, Some(3)),
        (300, 1, None),
    ]);
    let table = [
        ("latency", Some(1)),
        ("failures", Some(0)),
        ("requests", Some(2)),
        ("at-update", Some(0)),
        ("beyond", Some(0)),
    ];
    for (mode, expected) in table {
        let picked = balancer_from(&guests::measures(), mode).pick(&endpoints, 0, &[]);
        assert_eq!(picked, Ok(expected), "{mode}");
    }
}

#[test]
fn only_a_balancer_that_imports_measures_wants_them() {
    assert!(balancer_from(&guests::measures(), "latency").wants_measures());
    assert!(!balancer("pair").wants_measures());
}

#[test]
fn none_is_an_answer_and_an_index_out_of_range_is_a_fault() {
    let endpoints = table(&[0; 2]);
    assert_eq!(balancer("none").pick(&endpoints, 0, &[]), Ok(None));
    let table = [
        ("out-of-range", FaultKind::BadOutput),
        ("far-out-of-range", FaultKind::BadOutput),
        ("trap", FaultKind::Trap),
        ("trap-update", FaultKind::Trap),
    ];
    for (name, kind) in table {
        let balancer = balancer(name);
        for _ in 0..2 {
            assert_eq!(
                balancer.pick(&endpoints, 0, &[]).expect_err(name).kind,
                kind,
                "{name}"
            );
        }
    }
}

#[test]
fn clusters_do_not_share_a_balancer() {
    let component = engine()
        .load_file(&guests::balancer())
        .expect("the guest loads");
    let of = |cluster: &str| {
        Balancer::configure(
            engine(),
            &component,
            "rr",
            cluster,
            &mode("round-robin"),
            patient(),
        )
        .expect("configured")
    };
    let (one, other, again) = (of("one"), of("other"), of("one"));
    assert!(!Arc::ptr_eq(&one, &other) && Arc::ptr_eq(&one, &again));
}

#[test]
fn an_instance_keeps_no_table_alive() {
    let (balancer, endpoints) = (balancer("pair"), table(&[1, 2]));
    assert_eq!(balancer.pick(&endpoints, 0, &[]).expect("a pick"), Some(0));
    assert_eq!(Arc::strong_count(&endpoints), 1);
}
