//! What this room needs to know about plugins, asked of whoever can read components.

use std::path::Path;

use serde_json::Value;

/// The plugins there are: the ones inside the binary by name, any other by file.
pub trait PluginCatalog {
    /// The bundled plugin of this name.
    fn bundled(&self, name: &str) -> Option<PluginManifest>;

    /// The names of all bundled plugins.
    fn bundled_names(&self) -> Vec<String>;

    /// Reads the manifest of the component in this file, without running it.
    ///
    /// # Errors
    /// A sentence for the operator, when the file cannot be read or is no plugin.
    fn read(&self, path: &Path) -> Result<PluginManifest, String>;
}

/// What a component says about itself without being run.
#[derive(Debug, Clone, PartialEq)]
pub struct PluginManifest {
    pub name: String,
    pub version: String,
    /// One line.
    pub description: String,
    pub kind: PluginKind,
    /// The JSON Schema of its settings, if it has one.
    pub settings: Option<Value>,
    /// What it imports that is granted by name: `store`.
    pub capabilities: Vec<String>,
    /// Of the component's bytes, 64 lower-case hexadecimal digits.
    pub sha256: String,
}

/// Which world a component implements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PluginKind {
    HttpFilter,
    NetworkFilter,
    Balancer,
}

impl PluginKind {
    /// With its article, for sentences: `an HTTP filter`.
    pub fn described(self) -> &'static str {
        match self {
            Self::HttpFilter => "an HTTP filter",
            Self::NetworkFilter => "a network filter",
            Self::Balancer => "a balancer",
        }
    }
}
