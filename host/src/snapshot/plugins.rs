//! The plugins of a generation: loaded once each, with what they may use.

use std::sync::Arc;

use super::catalog::chain;
use super::compile::Compiler;
use crate::bundled;
use crate::config::{self, PluginBudgets, Spanned};
use crate::plugin::{Allowance, Budgets, Component, Grants};
use crate::store;

/// A plugin in use: what must be the same for it to be the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedPlugin {
    pub name: String,
    /// Of the component, SHA-256.
    pub digest: [u8; 32],
    /// That it is granted.
    pub stores: Vec<String>,
}

impl Compiler<'_> {
    /// The plugin of this name, loaded once a compilation. A failure is reported where it is first used.
    pub(super) fn component(
        &mut self,
        name: &Spanned<String>,
    ) -> Option<(Arc<Component>, Allowance)> {
        if let Some(known) = self.components.get(&name.value) {
            return known.clone();
        }
        let loaded = self.load(name);
        self.components.insert(name.value.clone(), loaded.clone());
        loaded
    }

    fn load(&mut self, name: &Spanned<String>) -> Option<(Arc<Component>, Allowance)> {
        let config = self.config;
        let mut declared = config.plugins.iter();
        let declared = declared.find(|plugin| plugin.name.value == name.value);
        let component = match declared.and_then(|declared| declared.path.as_ref()) {
            Some(path) => self.load_file(&name.value, path)?,
            None => self.load_bundled(name)?,
        };
        let written = declared.map_or_else(PluginBudgets::default, |declared| declared.budgets);
        let allowance = Allowance {
            budgets: budgets(&written),
            grants: self.grants(&name.value),
        };
        Some((component, allowance))
    }

    fn load_bundled(&mut self, name: &Spanned<String>) -> Option<Arc<Component>> {
        let Some(bytes) = bundled::get(&name.value) else {
            let message = format!("there is no plugin `{}`", name.value);
            return self.refuse(name.place, message, None);
        };
        match self.engine.load_bytes(&name.value, bytes) {
            Ok(component) => Some(component),
            Err(error) => self.refuse(name.place, chain(&error), None),
        }
    }

    fn load_file(
        &mut self,
        name: &str,
        path: &Spanned<std::path::PathBuf>,
    ) -> Option<Arc<Component>> {
        let component = match self.engine.load_file(&path.value) {
            Ok(component) => component,
            Err(error) => return self.refuse(path.place, chain(&error), None),
        };
        let read_before = self.config.manifests.get(name);
        if read_before.is_some_and(|manifest| manifest.sha256 != component.inspection().sha256) {
            let message = "the file changed while it was being loaded";
            return self.refuse(path.place, message, None);
        }
        Some(component)
    }

    fn grants(&mut self, plugin: &str) -> Grants {
        let config = self.config;
        let names = config.stores_of(plugin);
        Grants::new(names.into_iter().map(|name| self.store(name)).collect())
    }

    /// The store of this name: the one that the running generation has, with its limits until this one is in force, or a new one.
    fn store(&mut self, name: String) -> Arc<store::Store> {
        let limits = limits(self.config.store_limits(&name));
        let open = || (store::open(&name, limits), limits);
        self.stores
            .entry(name.clone())
            .or_insert_with(open)
            .0
            .clone()
    }

    /// Says of each plugin that the running generation does not have so what it is and may do.
    pub(super) fn loaded_plugins(&self) -> Vec<LoadedPlugin> {
        let running = self.running.map_or(&[][..], |running| &running.plugins);
        let loaded = self.components.iter();
        let loaded = loaded.filter_map(|(name, loaded)| Some((name, &loaded.as_ref()?.0)));
        loaded
            .map(|(name, component)| {
                let plugin = LoadedPlugin {
                    name: name.clone(),
                    digest: *component.digest(),
                    stores: self.config.stores_of(name),
                };
                if !running.contains(&plugin) {
                    announce(&plugin, component);
                }
                plugin
            })
            .collect()
    }
}

fn announce(plugin: &LoadedPlugin, component: &Component) {
    let inspection = component.inspection();
    let capabilities: Vec<&str> = inspection.capabilities().collect();
    tracing::info!(
        plugin = plugin.name,
        version = inspection.manifest.version.as_deref().unwrap_or_default(),
        kind = %inspection.kind,
        sha256 = inspection.sha256,
        may = capabilities.join(", "),
        stores = plugin.stores.join(", "),
        "plugin loaded"
    );
}

fn limits(written: config::StoreLimits) -> store::Limits {
    store::Limits {
        entries_max: written.entries_max.into(),
        bytes_max: written.bytes_max,
    }
}

fn budgets(written: &PluginBudgets) -> Budgets {
    Budgets {
        time_max: written.time_max,
        memory_max: usize::try_from(written.memory_bytes_max).unwrap_or(usize::MAX),
    }
}
