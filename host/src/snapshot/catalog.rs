//! Where plugins come from: the ones inside the binary, and files.

use crate::bundled;
use crate::config::{PluginCatalog, PluginKind, PluginManifest};
use crate::plugin::{Inspection, Kind, inspect};
use std::path::Path;

/// Bundled plugins and files, by their manifests; nothing is compiled or run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Catalog;

impl PluginCatalog for Catalog {
    fn bundled(&self, name: &str) -> Option<PluginManifest> {
        let inspection = inspect(name, bundled::get(name)?);
        Some(manifest(
            inspection.expect("bundled plugins are checked by the tests"),
        ))
    }

    fn bundled_names(&self) -> Vec<String> {
        bundled::all()
            .iter()
            .map(|(name, _)| (*name).to_owned())
            .collect()
    }

    fn read(&self, path: &Path) -> Result<PluginManifest, String> {
        let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
        let stem = path
            .file_stem()
            .map(|stem| stem.to_string_lossy())
            .unwrap_or_default();
        inspect(&stem, &bytes)
            .map(manifest)
            .map_err(|error| chain(&error))
    }
}

fn manifest(inspection: Inspection) -> PluginManifest {
    let capabilities = inspection.granted_by_name().map(str::to_owned).collect();
    PluginManifest {
        name: inspection.manifest.name,
        version: inspection.manifest.version.unwrap_or_default(),
        description: inspection.manifest.description.unwrap_or_default(),
        kind: kind(inspection.kind),
        capabilities,
        settings: inspection.manifest.settings,
        sha256: inspection.sha256,
    }
}

fn kind(kind: Kind) -> PluginKind {
    match kind {
        Kind::HttpFilter => PluginKind::HttpFilter,
        Kind::NetworkFilter => PluginKind::NetworkFilter,
        Kind::Balancer => PluginKind::Balancer,
    }
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
