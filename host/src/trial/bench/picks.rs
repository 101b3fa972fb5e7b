//! Balancers: picks.

use std::hint::black_box;
use std::sync::Arc;

use serde_json::Value;

use super::{
    BATCH_MIN, BenchError, Clock, Subject, Used, Workload, cases, checked, without_faults,
};
use crate::config::Percent;
use crate::config::cases::{Case, Endpoint};
use crate::plugin::{Balancer, Budgets, ConfigureError, EndpointTable, Engine};
use crate::trial::given::Given;
use crate::trial::run::{Table, other_key, request_key};

/// Endpoints of a balancer that is measured without cases.
const ENDPOINTS: u32 = 10;

struct Picks<'g> {
    given: &'g Given,
    engine: &'g Engine,
    work: Vec<(Arc<Balancer>, Item)>,
}

struct Item {
    name: String,
    settings: Value,
    budgets: Budgets,
    table: Arc<dyn EndpointTable>,
    keys: Vec<u64>,
    /// What stands for the request whose key it is, until there is a balancer to say what it hashes.
    request: Option<Box<crate::http::Exchange>>,
}

pub(super) fn subject<'g>(
    given: &'g Given,
    engine: &'g Engine,
    workload: &Workload,
) -> Result<(Box<dyn Subject + 'g>, Vec<String>), BenchError> {
    let mut items = Vec::new();
    match workload {
        Workload::Settings(settings) => items.push(Item {
            name: format!("{ENDPOINTS} equal endpoints"),
            settings: checked(given, settings)?,
            budgets: Budgets::default(),
            table: Arc::new(Table::new(&plain())),
            keys: different_keys(),
            request: None,
        }),
        Workload::Files(files) => {
            for found in cases(files, engine, given)? {
                let Case::Picks(case) = found.case else {
                    continue;
                };
                if case.balancer.name.value != found.name {
                    continue;
                }
                let request = case.request.as_ref();
                items.push(Item {
                    table: Arc::new(Table::new(&case.endpoints)),
                    keys: match case.keys_differ {
                        true => different_keys(),
                        false => vec![0; BATCH_MIN],
                    },
                    request: match case.keys_differ {
                        true => None,
                        false => {
                            request.and_then(|it| crate::trial::stage::exchange(&it.value).ok())
                        }
                    },
                    settings: case.balancer.settings.json,
                    budgets: found.budgets,
                    name: case.name.value,
                });
            }
        }
    }
    let name = |item: &Item| item.name.clone();
    let (items, left_out) = without_faults(items, name, |item, label| {
        let balancer = configure(given, engine, label, item)?;
        Ok(balancer.pick(&item.table, item.keys[0], &[]).is_ok())
    })?;
    let mut work = Vec::new();
    for mut item in items {
        let balancer = configure(given, engine, "bench", &item).map_err(super::refused)?;
        if let Some(request) = item.request.take() {
            let key = request_key(&balancer, &request);
            item.keys.fill(key);
        }
        work.push((balancer, item));
    }
    let subject = Picks {
        given,
        engine,
        work,
    };
    Ok((Box::new(subject), left_out))
}

/// Each case is a cluster of its own, since a balancer knows one set of endpoints at a time.
fn configure(
    given: &Given,
    engine: &Engine,
    label: &str,
    item: &Item,
) -> Result<Arc<Balancer>, ConfigureError> {
    let (component, budgets) = (given.component(), item.budgets);
    Balancer::configure(
        engine,
        component,
        label,
        &item.name,
        &item.settings,
        budgets,
    )
}

fn different_keys() -> Vec<u64> {
    (0..BATCH_MIN as u64).map(other_key).collect()
}

fn plain() -> Vec<Endpoint> {
    (1..=ENDPOINTS)
        .map(|number| Endpoint {
            address: format!("10.0.0.{number}:80"),
            weight: 1,
            requests: Some(0),
            latency_micros: 0,
            failures: Percent(0),
        })
        .collect()
}

impl Subject for Picks<'_> {
    fn phases(&self) -> &'static [&'static str] {
        &["pick"]
    }

    fn start(&self, label: &str) -> Result<(), ConfigureError> {
        configure(self.given, self.engine, label, &self.work[0].1).map(drop)
    }

    fn batch(&mut self, clock: &mut Clock) {
        let used = || Used::of(self.work.iter().map(|(it, _)| (it.stats(), it.usage())));
        let picks = self.work.iter().map(|(_, item)| item.keys.len()).sum();
        clock.time(0, picks, used, || {
            for (balancer, item) in &self.work {
                for &key in &item.keys {
                    // Faults were looked for before; one now shows in the calls.
                    let _ = black_box(balancer.pick(&item.table, key, &[]));
                }
            }
        });
    }
}
