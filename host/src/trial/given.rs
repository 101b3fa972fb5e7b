//! A component that is given by hand: a file, or a bundled plugin's name.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::bundled;
use crate::config::cases::Substitute;
use crate::config::{PluginCatalog as _, PluginManifest};
use crate::plugin::{Component, Engine};
use crate::snapshot::{Catalog, chain};

/// A component that has been loaded.
pub(crate) struct Given {
    /// As it was given.
    pub(crate) label: String,
    pub(crate) manifest: PluginManifest,
    component: Arc<Component>,
    /// What it took to compile and link it, or to find it in the cache.
    pub(crate) loading: Duration,
    stands_for: Option<String>,
}

impl Given {
    /// Loads what `argument` names: a file, or else a bundled plugin. `stands_for` says which plugin of a file of cases it is to be.
    ///
    /// # Errors
    /// A sentence that says why it cannot be had.
    pub(crate) fn load(
        argument: &str,
        engine: &Engine,
        stands_for: Option<&str>,
    ) -> Result<Given, String> {
        let of = |why: String| format!("{argument}: {why}");
        let (manifest, bytes) = match (Path::new(argument).exists(), bundled::get(argument)) {
            (false, Some(bytes)) => (Catalog.bundled(argument), bytes.to_vec()),
            _ => {
                let bytes = std::fs::read(argument).map_err(|error| of(error.to_string()))?;
                (Some(Catalog.read(Path::new(argument)).map_err(of)?), bytes)
            }
        };
        let manifest = manifest.ok_or_else(|| of("there is no such plugin".to_owned()))?;
        let began = Instant::now();
        let component = engine
            .load_bytes(&manifest.name, &bytes)
            .map_err(|error| of(chain(&error)))?;
        Ok(Given {
            label: argument.to_owned(),
            manifest,
            component,
            loading: began.elapsed(),
            stands_for: stands_for.map(str::to_owned),
        })
    }

    /// Whether an argument means a component rather than a file of cases.
    pub(crate) fn is_meant(argument: &str) -> bool {
        let path = Path::new(argument);
        path.extension()
            .is_some_and(|extension| extension == "wasm")
            || (!path.exists() && bundled::get(argument).is_some())
    }

    pub(crate) fn component(&self) -> &Arc<Component> {
        &self.component
    }

    pub(super) fn substitute(&self) -> Substitute {
        Substitute {
            manifest: self.manifest.clone(),
            stands_for: self.stands_for.clone(),
        }
    }
}
