//! `store "name" { … }`, and who is granted it: `plugin … { grant { store "name" } }`.

use std::collections::HashMap;

use super::decode::{Decoder, named};
use super::suggest::did_you_mean;
use super::syntax::Node;
use super::{
    Config, Diagnostics, Place, Plugin, PluginGrants, PluginManifest, Spanned, Store, StoreLimits,
};

const BYTES_RANGE: std::ops::RangeInclusive<u64> = 128 << 10..=1 << 40;
/// As the contract names the interface.
const STORE: &str = "store";

impl Decoder<'_> {
    pub(super) fn store(&mut self, node: &Node) -> Option<Store> {
        let name = self.name(node.arguments.first());
        let default = StoreLimits::default();
        let entries = node.child_argument("entries-max");
        let limits = StoreLimits {
            entries_max: self.integer(entries, 1..=u32::MAX, default.entries_max),
            bytes_max: self.size(
                node.child_argument("bytes-max"),
                BYTES_RANGE,
                default.bytes_max,
            ),
        };
        Some(Store {
            name: name?,
            limits,
        })
    }

    pub(super) fn grants(&mut self, node: &Node) -> Option<PluginGrants> {
        let grant = node.child("grant")?;
        if grant.children().is_empty() {
            let help = "it is written: grant { store \"sessions\" }";
            self.error_help(grant.place(), "`grant` grants nothing", help);
        }
        let names = named(grant.children(), "store").flat_map(|node| &node.arguments);
        let mut stores: Vec<Spanned<String>> = Vec::new();
        for item in names {
            let Some(name) = self.name(Some(item)) else {
                continue;
            };
            match stores.iter().find(|before| before.value == name.value) {
                Some(before) => {
                    let message = format!("store `{}` is granted twice", name.value);
                    let first = (before.place, "first granted here");
                    self.diagnostics
                        .error_with(name.place, message, None, first);
                }
                None => stores.push(name),
            }
        }
        Some(PluginGrants { stores })
    }
}

impl Config {
    /// The stores that this plugin is granted, in order. A bundled plugin of which nothing is written has one of its own name.
    pub fn stores_of(&self, plugin: &str) -> Vec<String> {
        let declared = self.plugins.iter().find(|known| known.name.value == plugin);
        let from_file = declared.is_some_and(|declared| declared.path.is_some());
        match declared.and_then(|declared| declared.grants.as_ref()) {
            Some(grants) => grants.stores.iter().map(|store| store.value.clone()),
            None if from_file || !self.manifests.get(plugin).is_some_and(wants_store) => {
                return Vec::new();
            }
            None => return vec![plugin.to_owned()],
        }
        .collect()
    }

    /// As written, or the defaults.
    pub fn store_limits(&self, store: &str) -> StoreLimits {
        let written = self.stores.iter().find(|known| known.name.value == store);
        written.map_or_else(StoreLimits::default, |written| written.limits)
    }
}

fn wants_store(manifest: &PluginManifest) -> bool {
    manifest.capabilities.iter().any(|wanted| wanted == STORE)
}

/// Imports that are not granted, grants that are not imported, and stores that nobody has.
pub(super) fn check(config: &Config, diagnostics: &mut Diagnostics) {
    for plugin in &config.plugins {
        let Some(manifest) = config.manifests.get(&plugin.name.value) else {
            // Could not be read, which was reported.
            continue;
        };
        let granted = config.stores_of(&plugin.name.value);
        if wants_store(manifest) && granted.is_empty() {
            refuse_ungranted(plugin, diagnostics);
        }
        if !wants_store(manifest) {
            warn_of_unwanted(plugin, diagnostics);
        }
    }
    warn_of_ungranted_stores(config, diagnostics);
    warn_of_likely_mistakes(config, diagnostics);
}

fn refuse_ungranted(plugin: &Plugin, diagnostics: &mut Diagnostics) {
    let name = &plugin.name.value;
    let message = format!("plugin `{name}` imports `{STORE}`, which it is not granted");
    let help = format!("grant it inside its block: grant {{ {STORE} \"{name}\" }}");
    diagnostics.error(plugin.name.place, message, Some(help));
}

fn warn_of_unwanted(plugin: &Plugin, diagnostics: &mut Diagnostics) {
    for store in plugin.grants.iter().flat_map(|grants| &grants.stores) {
        let message = format!(
            "plugin `{}` does not import `{STORE}`: this grant has no effect",
            plugin.name.value
        );
        diagnostics.warn(store.place, message, None, None);
    }
}

fn warn_of_ungranted_stores(config: &Config, diagnostics: &mut Diagnostics) {
    let granted: Vec<String> = config
        .manifests
        .keys()
        .flat_map(|plugin| config.stores_of(plugin))
        .collect();
    for store in &config.stores {
        let name = &store.name.value;
        if !granted.contains(name) {
            let message = format!("store `{name}` is granted to no plugin");
            let help = format!("grant it inside a plugin's block: grant {{ {STORE} \"{name}\" }}");
            diagnostics.warn(store.name.place, message, Some(help), None);
        }
    }
}

/// A store needs no node of its own, so that a name that is written wrong is a store too; one that is like another is told.
fn warn_of_likely_mistakes(config: &Config, diagnostics: &mut Diagnostics) {
    let declared: HashMap<&str, Place> = config
        .stores
        .iter()
        .map(|store| (store.name.value.as_str(), store.name.place))
        .collect();
    let grants = config
        .plugins
        .iter()
        .filter_map(|plugin| plugin.grants.as_ref());
    for store in grants.flat_map(|grants| &grants.stores) {
        if declared.contains_key(store.value.as_str()) {
            continue;
        }
        if let Some(help) = did_you_mean(&store.value, declared.keys().copied()) {
            let message = format!(
                "store `{}` has no node of its own, and so the usual limits",
                store.value
            );
            diagnostics.warn(store.place, message, Some(help), None);
        }
    }
}
