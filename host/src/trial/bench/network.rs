//! Network filters: the beginning and the end of connections.

use std::sync::Arc;

use serde_json::Value;

use super::{
    BATCH_MIN, BenchError, Clock, Subject, Used, Workload, cases, checked, settings_in,
    without_faults,
};
use crate::config::Spanned;
use crate::config::cases::{Case, ConnectionCase, Origin};
use crate::filter::{NetworkChain, NetworkFilter, OnFault};
use crate::plugin::{self, Budgets, ConfigureError, Engine};
use crate::trial::given::Given;
use crate::trial::{run, stage};

struct Filters<'g> {
    given: &'g Given,
    engine: &'g Engine,
    plugins: Vec<Arc<plugin::NetworkFilter>>,
    work: Vec<(NetworkChain, Item)>,
}

/// One connection, and the settings of each time that the plugin is in its chain.
struct Item {
    settings: Vec<Value>,
    budgets: Budgets,
    connection: ConnectionCase,
}

pub(super) fn subject<'g>(
    given: &'g Given,
    engine: &'g Engine,
    workload: &Workload,
) -> Result<(Box<dyn Subject + 'g>, Vec<String>), BenchError> {
    let mut items = Vec::new();
    match workload {
        Workload::Settings(settings) => items.push(Item {
            settings: vec![checked(given, settings)?],
            budgets: Budgets::default(),
            connection: plain(),
        }),
        Workload::Files(files) => {
            for found in cases(files, engine, given)? {
                let Case::Connection(connection) = found.case else {
                    continue;
                };
                let settings = settings_in(&connection.filters, &found.name);
                if !settings.is_empty() {
                    items.push(Item {
                        settings,
                        budgets: found.budgets,
                        connection,
                    });
                }
            }
        }
    }
    let name = |item: &Item| item.connection.name.value.clone();
    let (items, left_out) = without_faults(items, name, |item, label| {
        let chain = chain(given, engine, label, item, &mut Vec::new())?;
        let outcome = run::connection(&chain, &item.connection);
        Ok(outcome.counts.faults.is_empty())
    })?;
    let (mut plugins, mut work) = (Vec::new(), Vec::new());
    for item in items {
        let chain = chain(given, engine, "bench", &item, &mut plugins);
        work.push((chain.map_err(super::refused)?, item));
    }
    let subject = Filters {
        given,
        engine,
        plugins,
        work,
    };
    Ok((Box::new(subject), left_out))
}

fn configure(
    given: &Given,
    engine: &Engine,
    label: &str,
    (settings, budgets): (&Value, Budgets),
) -> Result<Arc<plugin::NetworkFilter>, ConfigureError> {
    let component = given.component();
    plugin::NetworkFilter::configure(engine, component, label, settings, budgets)
}

fn chain(
    given: &Given,
    engine: &Engine,
    label: &str,
    item: &Item,
    plugins: &mut Vec<Arc<plugin::NetworkFilter>>,
) -> Result<NetworkChain, ConfigureError> {
    let mut filters = Vec::new();
    for settings in &item.settings {
        let plugin = configure(given, engine, label, (settings, item.budgets))?;
        if !plugins.iter().any(|known| Arc::ptr_eq(known, &plugin)) {
            plugins.push(plugin.clone());
        }
        filters.push(NetworkFilter {
            name: label.into(),
            plugin,
            on_fault: OnFault::Deny,
        });
    }
    Ok(NetworkChain::new(filters))
}

/// What a filter finds that is measured without cases.
fn plain() -> ConnectionCase {
    ConnectionCase {
        name: Spanned {
            value: "a connection".to_owned(),
            place: Default::default(),
        },
        filters: Vec::new(),
        origin: Origin::default(),
        expect: Default::default(),
    }
}

impl Subject for Filters<'_> {
    fn phases(&self) -> &'static [&'static str] {
        &["accept", "close"]
    }

    fn start(&self, label: &str) -> Result<(), ConfigureError> {
        let (_, first) = &self.work[0];
        let settings = (&first.settings[0], first.budgets);
        configure(self.given, self.engine, label, settings).map(drop)
    }

    fn batch(&mut self, clock: &mut Clock) {
        let used = || Used::of(self.plugins.iter().map(|it| (it.stats(), it.usage())));
        let mut staged: Vec<_> = (0..BATCH_MIN.div_ceil(self.work.len()))
            .flat_map(|_| &self.work)
            .map(|(chain, item)| {
                let facts = stage::facts(&item.connection.origin, false);
                (chain, Arc::new(facts), false)
            })
            .collect();
        clock.time(0, staged.len(), used, || {
            for (chain, facts, passed) in &mut staged {
                *passed = chain.on_accept(facts).is_ok();
            }
        });
        staged.retain(|(_, _, passed)| *passed);
        clock.time(1, staged.len(), used, || {
            for (chain, facts, _) in &staged {
                chain.on_close(facts);
            }
        });
    }
}
