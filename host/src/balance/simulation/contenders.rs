//! The bundled balancers, each with the settings it is compared with.

use crate::balance::Picker;
use crate::bundled;
use crate::plugin::Balancer;
use crate::plugin::tests::{engine, patient};
use serde_json::{Value, json};

#[derive(Debug)]
pub(super) struct Contender {
    /// As the table has it.
    pub name: &'static str,
    pub plugin: &'static str,
    settings: fn() -> Value,
    /// Most requests in flight at each endpoint.
    pub requests_max: u32,
}

const fn plain(plugin: &'static str) -> Contender {
    Contender {
        name: plugin,
        plugin,
        settings: || json!({}),
        requests_max: u32::MAX,
    }
}

pub(super) const BALANCERS: &[Contender] = &[
    plain("round-robin"),
    plain("least-request"),
    plain("random"),
    plain("peak-ewma"),
    Contender {
        name: "peak-ewma without penalty",
        settings: || json!({ "penalty": "0s" }),
        ..plain("peak-ewma")
    },
    plain("ring-hash"),
    Contender {
        name: "ring-hash, load-factor 125",
        settings: || json!({ "load-factor": 125 }),
        ..plain("ring-hash")
    },
    plain("maglev"),
    // Without a limit everything would go to one.
    Contender {
        requests_max: 4,
        ..plain("first")
    },
];

pub(super) fn find(name: &str) -> &'static Contender {
    let mut all = BALANCERS.iter();
    all.find(|balancer| balancer.name == name)
        .expect("one of the table")
}

impl Contender {
    pub(super) fn picker(&self, cluster: &str) -> Picker {
        let bytes = bundled::get(self.plugin).expect("it is bundled");
        let component = engine().load_bytes(self.plugin, bytes).expect("it loads");
        let configured = Balancer::configure(
            engine(),
            &component,
            self.plugin,
            cluster,
            &(self.settings)(),
            patient(),
        );
        Picker::new(configured.expect("its settings are good"))
    }
}
