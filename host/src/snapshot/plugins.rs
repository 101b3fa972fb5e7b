//! From plugins as they are used in a configuration to chains and balancers: components loaded once, and each configured with its settings.

use super::catalog::chain;
use crate::bundled;
use crate::config::{self, Config, Diagnostics, Place, PluginUse, Spanned};
use crate::filter::{Filter, FilterChain, NetworkChain, NetworkFilter, OnFault};
use crate::plugin::{self, Balancer, Budgets, Component, ConfigureError, Engine};
use std::collections::HashMap;
use std::sync::Arc;

/// The plugins of one configuration, as they are asked for. What goes wrong is reported at its place, and then there is `None`, or a chain
/// without what failed: nobody may use it.
pub(crate) struct Plugins<'c> {
    config: &'c Config,
    engine: &'c Engine,
    components: HashMap<String, Option<(Arc<Component>, Budgets)>>,
}

impl<'c> Plugins<'c> {
    pub(crate) fn new(config: &'c Config, engine: &'c Engine) -> Plugins<'c> {
        Plugins {
            config,
            engine,
            components: HashMap::new(),
        }
    }

    /// Uses this component wherever the plugin of this name is used.
    pub(crate) fn substitute(&mut self, name: &str, component: Arc<Component>) {
        let budgets = declared_budgets(self.config, name);
        self.components
            .insert(name.to_owned(), Some((component, budgets)));
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
        let (component, budgets) = self.component(&used.name, errors)?;
        let configured = plugin::HttpFilter::configure(
            self.engine,
            &component,
            &used.name.value,
            &used.settings.json,
            budgets,
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
        let (component, budgets) = self.component(&used.name, errors)?;
        let configured = plugin::NetworkFilter::configure(
            self.engine,
            &component,
            &used.name.value,
            &used.settings.json,
            budgets,
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
        let (component, budgets) = self.component(&used.name, errors)?;
        let configured = Balancer::configure(
            self.engine,
            &component,
            &used.name.value,
            cluster,
            &used.settings.json,
            budgets,
        );
        accepted(used, configured, errors)
    }

    /// The plugin of this name, loaded once. A failure is reported where it is first used.
    fn component(
        &mut self,
        name: &Spanned<String>,
        errors: &mut Diagnostics,
    ) -> Option<(Arc<Component>, Budgets)> {
        if let Some(known) = self.components.get(&name.value) {
            return known.clone();
        }
        let mut declared = self.config.plugins.iter();
        let loaded = match declared.find(|plugin| plugin.name.value == name.value) {
            Some(declared) => self.load_file(declared, errors),
            None => self.load_bundled(name, errors),
        };
        self.components.insert(name.value.clone(), loaded.clone());
        loaded
    }

    fn load_bundled(
        &self,
        name: &Spanned<String>,
        errors: &mut Diagnostics,
    ) -> Option<(Arc<Component>, Budgets)> {
        let Some(bytes) = bundled::get(&name.value) else {
            let message = format!("there is no plugin `{}`", name.value);
            return refuse(errors, name.place, message);
        };
        match self.engine.load_bytes(&name.value, bytes) {
            Ok(component) => Some((component, budgets(&config::PluginBudgets::default()))),
            Err(error) => refuse(errors, name.place, chain(&error)),
        }
    }

    fn load_file(
        &self,
        declared: &config::Plugin,
        errors: &mut Diagnostics,
    ) -> Option<(Arc<Component>, Budgets)> {
        let place = declared.path.place;
        let component = match self.engine.load_file(&declared.path.value) {
            Ok(component) => component,
            Err(error) => return refuse(errors, place, chain(&error)),
        };
        let read_before = self.config.manifests.get(&declared.name.value);
        if read_before.is_some_and(|manifest| manifest.sha256 != component.inspection().sha256) {
            return refuse(errors, place, "the file changed while it was being loaded");
        }
        Some((component, budgets(&declared.budgets)))
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
    }
}

fn on_fault(written: config::OnFault) -> OnFault {
    match written {
        config::OnFault::Deny => OnFault::Deny,
        config::OnFault::Skip => OnFault::Skip,
    }
}
