//! KDL text to [`Config`] as written, or every diagnostic at once.
//!
//! The room reads files and nothing else: it knows neither sockets nor Wasm. What it needs to know about plugins it asks of a
//! [`PluginCatalog`]. The way of a file through it:
//!
//! 1. `include` reads the main file and those it includes; `syntax` turns each into nodes with a [`Place`] for every value and
//!    replaces `${NAME}` references;
//! 2. `shape` compares the nodes with the table of accepted keys in `keys`: what is not in it is an error, never ignored;
//! 3. one file per section decodes the values: `process`, `plugin`, `listener` with `route`, `cluster` (their parts each in a file of
//!    their name, the models of those in `availability` and `protocols`), `demo`; `settings` makes JSON of a plugin's settings and checks it;
//! 4. `resolve` checks what spans sections: names, duplicates, routes that can never match.
//!
//! A file of [`cases`], by which plugins are tried without a proxy, goes the same way by another table.
//!
//! Each step goes on after an error with what it could understand, so that one run reports all of them.

mod acme;
mod address;
mod admin;
mod affinity;
mod affinity_key;
mod availability;
pub mod cases;
mod catalog;
mod client_tls;
mod cluster;
mod cluster_keys;
mod compress;
mod decode;
mod demo;
mod depth;
mod diagnostics;
mod discovery;
mod endpoint;
mod environment;
mod filter;
mod glob;
mod health_check;
mod http2;
mod http_listener;
mod include;
mod keys;
mod limits;
mod listener;
mod lists;
mod mirror;
mod model;
mod outlier;
mod path_pattern;
mod percent;
mod plugin;
mod process;
mod protocols;
mod proxy_protocol;
mod render;
mod resolve;
mod retry;
mod route;
mod route_match;
mod server_tls;
mod settings;
mod shadow;
mod shape;
mod statuses;
mod store;
mod suggest;
mod syntax;
mod tcp_clusters;
mod tcp_listener;
mod template;
#[cfg(test)]
mod tests;
mod tls_conditions;
mod tls_keys;
mod tls_policy;
mod units;

use std::path::{Path, PathBuf};

pub use availability::*;
pub use catalog::{PluginCatalog, PluginKind, PluginManifest};
pub use diagnostics::{Diagnostic, Diagnostics, Place, Severity, Sources};
pub use endpoint::parse_id;
pub use keys::accepted_keys;
pub use model::*;
pub use path_pattern::{PathPattern, PathRegex, Segment};
pub use percent::parse_percent;
pub use protocols::*;
pub use route_match::{HeaderMatch, HostPattern, RouteMatch};
pub use settings::Settings;
pub use template::{Placeholder, Template, TemplatePart};
pub use units::{parse_duration, parse_size};

/// A configuration that may be compiled, with what is needed to watch it and to speak about it.
#[derive(Debug)]
pub struct Loaded {
    pub config: Config,
    /// Warnings only; the configuration is usable.
    pub warnings: Diagnostics,
    pub watched: Watched,
    /// The texts that every [`Place`] in `config` points into.
    pub sources: Sources,
}

/// Why a configuration was refused.
#[derive(Debug)]
pub struct Refused {
    /// At least one error, and no warnings: what an error left out would give false ones.
    pub diagnostics: Diagnostics,
    /// What was read until then, plugin files too, so that a repaired file is noticed.
    pub watched: Watched,
    /// The texts that the diagnostics point into.
    pub sources: Sources,
}

impl Refused {
    /// As [`Diagnostics::render`].
    pub fn render(&self, color: bool) -> String {
        self.diagnostics.render(&self.sources, color)
    }

    /// As [`Diagnostics::to_json`].
    pub fn to_json(&self) -> String {
        self.diagnostics.to_json(&self.sources)
    }
}

/// What to watch for changes. Plugin files are in [`Config::plugins`]; here too if there is no configuration to look for them in.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Watched {
    /// The main file, the included ones, and every certificate, key, CA, CRL and stapled response that they name; readable or not.
    pub files: Vec<PathBuf>,
    /// Directories that an `include` pattern looks into: a new file there may be part of the configuration.
    pub directories: Vec<PathBuf>,
}

/// Reads, decodes and checks the configuration at `path` and all that it includes.
///
/// `env` answers `${NAME}` references. Blocks on file reads: call it off the event loops. Nothing is resolved by name service, bound,
/// or run; whether endpoints' names resolve and plugins accept their settings is for the next stage, which may add to the diagnostics.
///
/// # Errors
/// [`Refused`] carries all errors that were found, with at least one of severity [`Severity::Error`].
pub fn load(
    path: &Path,
    plugins: &dyn PluginCatalog,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Loaded, Refused> {
    let mut diagnostics = Diagnostics::default();
    let mut tree = include::read_all(path, env, &mut diagnostics);
    shape::check(&tree.nodes, &mut diagnostics);
    let decoder = decode::Decoder::new(plugins, &tree.sources, &mut diagnostics);
    let (config, files) = decoder.config(&tree.nodes);
    tree.watched.files.extend(files);
    resolve::check(&config, &mut diagnostics);
    diagnostics.sort();
    if diagnostics.has_errors() {
        diagnostics.drop_warnings();
        let files = config.plugin_files().cloned();
        tree.watched.files.extend(files);
        return Err(Refused {
            diagnostics,
            watched: tree.watched,
            sources: tree.sources,
        });
    }
    Ok(Loaded {
        config,
        warnings: diagnostics,
        watched: tree.watched,
        sources: tree.sources,
    })
}
