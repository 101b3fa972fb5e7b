//! From plugins as they are used in a configuration to chains and balancers: components loaded once, with what they may use, and each configured
//! with its settings.

use super::catalog::chain;
use crate::bundled;
use crate::config::{self, Config, Diagnostics, Place, PluginUse, Spanned};
use crate::filter::{Filter, FilterChain, NetworkChain, NetworkFilter, OnFault};
use crate::plugin::{
    self, Allowance, Balancer, Budgets, Component, ConfigureError, Engine, Grants,
};
use crate::store::{self, Store};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// A plugin in use: what must be the same for it to be the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedPlugin {
    pub name: String,
    /// Of the component, SHA-256.
    pub digest: [u8; 32],
    /// That it is granted.
    pub stores: Vec<String>,
}

/// The plugins of one configuration, as they are asked for. What goes wrong is reported at its place, and then there is `None`, or a chain
/// without what failed: nobody may use it.
pub(crate) struct Plugins<'c> {
    config: &'c Config,
    engine: &'c Engine,
    components: BTreeMap<String, Option<(Arc<Component>, Allowance)>>,
    stores: HashMap<String, (Arc<Store>, store::Limits)>,
}

impl<'c> Plugins<'c> {
    pub(crate) fn new(config: &'c Config, engine: &'c Engine) -> Plugins<'c> {
        Plugins {
            config,
            engine,
            components: BTreeMap::new(),
            stores: HashMap::new(),
        }
    }

    /// Uses this component wherever the plugin of this name is used.
    pub(crate) fn substitute(&mut self, name: &str, component: Arc<Component>) {
        let allowance = self.allowance(name);
        self.components
            .insert(name.to_owned(), Some((component, allowance)));
    }

    pub(crate) fn chain<'f>(
        &mut self,
        written: impl Iterator<Item = &'f config::Filter>,
        errors: &mut Diagnostics,
    ) -> FilterChain {
        FilterChain::new(
            written
                .filter_map(|filter| self.filter(filter, errors))
                .collect(),
        )
    }

    fn filter(&mut self, written: &config::Filter, errors: &mut Diagnostics) -> Option<Filter> {
        let used = &written.plugin;
        let (component, allowance) = self.component(&used.name, errors)?;
        let configured = plugin::HttpFilter::configure(
            self.engine,
            &component,
            &used.name.value,
            &used.settings.json,
            allowance,
        );
        Some(Filter {
            name: used.name.value.as_str().into(),
            plugin: accepted(used, configured, errors)?,
            on_fault: on_fault(written.on_fault),
        })
    }

    pub(crate) fn network_chain(
        &mut self,
        written: &[config::Filter],
        errors: &mut Diagnostics,
    ) -> NetworkChain {
        NetworkChain::new(
            written
                .iter()
                .filter_map(|filter| self.network_filter(filter, errors))
                .collect(),
        )
    }

    fn network_filter(
        &mut self,
        written: &config::Filter,
        errors: &mut Diagnostics,
    ) -> Option<NetworkFilter> {
        let used = &written.plugin;
        let (component, allowance) = self.component(&used.name, errors)?;
        let configured = plugin::NetworkFilter::configure(
            self.engine,
            &component,
            &used.name.value,
            &used.settings.json,
            allowance,
        );
        Some(NetworkFilter {
            name: used.name.value.as_str().into(),
            plugin: accepted(used, configured, errors)?,
            on_fault: on_fault(written.on_fault),
        })
    }

    pub(crate) fn balancer(
        &mut self,
        cluster: &str,
        used: &PluginUse,
        errors: &mut Diagnostics,
    ) -> Option<Arc<Balancer>> {
        let (component, allowance) = self.component(&used.name, errors)?;
        let configured = Balancer::configure(
            self.engine,
            &component,
            &used.name.value,
            cluster,
            &used.settings.json,
            allowance,
        );
        accepted(used, configured, errors)
    }

    /// The plugin of this name, loaded once. A failure is reported where it is first used.
    fn component(
        &mut self,
        name: &Spanned<String>,
        errors: &mut Diagnostics,
    ) -> Option<(Arc<Component>, Allowance)> {
        if let Some(known) = self.components.get(&name.value) {
            return known.clone();
        }
        let loaded = self.load(name, errors);
        let loaded = loaded.map(|component| (component, self.allowance(&name.value)));
        self.components.insert(name.value.clone(), loaded.clone());
        loaded
    }

    fn load(&self, name: &Spanned<String>, errors: &mut Diagnostics) -> Option<Arc<Component>> {
        let mut declared = self.config.plugins.iter();
        let declared = declared.find(|plugin| plugin.name.value == name.value);
        match declared.and_then(|declared| declared.path.as_ref()) {
            Some(path) => self.load_file(&name.value, path, errors),
            None => self.load_bundled(name, errors),
        }
    }

    fn load_bundled(
        &self,
        name: &Spanned<String>,
        errors: &mut Diagnostics,
    ) -> Option<Arc<Component>> {
        let Some(bytes) = bundled::get(&name.value) else {
            let message = format!("there is no plugin `{}`", name.value);
            return refuse(errors, name.place, message);
        };
        match self.engine.load_bytes(&name.value, bytes) {
            Ok(component) => Some(component),
            Err(error) => refuse(errors, name.place, chain(&error)),
        }
    }

    fn load_file(
        &self,
        name: &str,
        path: &Spanned<std::path::PathBuf>,
        errors: &mut Diagnostics,
    ) -> Option<Arc<Component>> {
        let component = match self.engine.load_file(&path.value) {
            Ok(component) => component,
            Err(error) => return refuse(errors, path.place, chain(&error)),
        };
        let read_before = self.config.manifests.get(name);
        if read_before.is_some_and(|manifest| manifest.sha256 != component.inspection().sha256) {
            let message = "the file changed while it was being loaded";
            return refuse(errors, path.place, message);
        }
        Some(component)
    }

    fn allowance(&mut self, name: &str) -> Allowance {
        let names = self.config.stores_of(name);
        Allowance {
            budgets: declared_budgets(self.config, name),
            grants: Grants::new(names.into_iter().map(|name| self.store(name)).collect()),
        }
    }

    /// The store of this name: the one that the running generation has, with its limits until this one is in force, or a new one.
    fn store(&mut self, name: String) -> Arc<Store> {
        let limits = limits(self.config.store_limits(&name));
        let open = || (store::open(&name, limits), limits);
        self.stores
            .entry(name.clone())
            .or_insert_with(open)
            .0
            .clone()
    }

    /// The plugins in use. Says of each that is not among those that `run` so far what it is and may do.
    pub(super) fn loaded(&self, running: &[LoadedPlugin]) -> Vec<LoadedPlugin> {
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

    /// What plugins were granted, with the limits that are written.
    pub(super) fn into_stores(self) -> Vec<(Arc<Store>, store::Limits)> {
        self.stores.into_values().collect()
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

/// What a configuration lets the plugin of this name spend.
pub(crate) fn declared_budgets(config: &Config, name: &str) -> Budgets {
    let mut declared = config.plugins.iter();
    let declared = declared.find(|plugin| plugin.name.value == name);
    declared.map_or_else(Budgets::default, |plugin| budgets(&plugin.budgets))
}

/// The configured plugin; the plugin's objections to its settings are reported where those are written.
fn accepted<T>(
    used: &PluginUse,
    result: Result<T, ConfigureError>,
    errors: &mut Diagnostics,
) -> Option<T> {
    match result {
        Ok(plugin) => Some(plugin),
        Err(ConfigureError::Settings(found)) if found.is_empty() => refuse(
            errors,
            used.name.place,
            "the plugin refuses its settings without saying why",
        ),
        Err(ConfigureError::Settings(found)) => {
            for error in found {
                errors.error(used.settings.place_of(&error.pointer), error.message, None);
            }
            None
        }
        Err(error) => refuse(errors, used.name.place, chain(&error)),
    }
}

fn refuse<T>(errors: &mut Diagnostics, place: Place, message: impl Into<String>) -> Option<T> {
    errors.error(place, message, None);
    None
}

fn budgets(written: &config::PluginBudgets) -> Budgets {
    Budgets {
        time_max: written.time_max,
        memory_max: usize::try_from(written.memory_bytes_max).unwrap_or(usize::MAX),
        instances_max: written.instances_max,
    }
}

fn on_fault(written: config::OnFault) -> OnFault {
    match written {
        config::OnFault::Deny => OnFault::Deny,
        config::OnFault::Skip => OnFault::Skip,
    }
}
