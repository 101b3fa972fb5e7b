//! Files of cases: what a plugin is tried on without a proxy, and what is to come of it. `trial/` runs them.
//!
//! They are KDL read as a configuration is: includes, `${NAME}`, the same blocks of filters with the same settings, every error at its place.
//! `keys` is the table of what they may hold, `decode` makes the model of it, `message` and `expect` its parts.

mod decode;
mod expect;
mod keys;
mod message;
mod model;

use std::path::Path;

use super::{Diagnostics, PluginCatalog, PluginManifest, Refused, Sources, decode as values};
use super::{include, shape};

pub use keys::accepted_case_keys;
pub use model::*;

/// A component that is tried in place of one that the file names.
#[derive(Debug, Clone)]
pub struct Substitute {
    pub manifest: PluginManifest,
    /// Which plugin of the file it stands for. Default: the one of its own name, or else the only one that the file declares.
    pub stands_for: Option<String>,
}

/// A file of cases that may be run.
#[derive(Debug)]
pub struct LoadedCases {
    pub file: CaseFile,
    /// The texts that every place in `file` points into.
    pub sources: Sources,
}

/// Reads and checks the file of cases at `path` and all that it includes, as [`load`](super::load) does a configuration.
///
/// # Errors
/// Every error that was found. Whether the plugins take their settings, and the host the messages, is for the next stage.
pub fn load_cases(
    path: &Path,
    plugins: &dyn PluginCatalog,
    env: &dyn Fn(&str) -> Option<String>,
    substitute: Option<&Substitute>,
) -> Result<LoadedCases, Refused> {
    let mut diagnostics = Diagnostics::default();
    let tree = include::read_all(path, env, &mut diagnostics);
    shape::check_by(keys::TOP, &tree.nodes, &mut diagnostics);
    let decoder = values::Decoder::new(plugins, &tree.sources, &mut diagnostics);
    let file = decoder.case_file(&tree.nodes, substitute);
    diagnostics.sort();
    if diagnostics.has_errors() {
        return Err(Refused {
            diagnostics,
            watched: tree.watched,
            sources: tree.sources,
        });
    }
    Ok(LoadedCases {
        file,
        sources: tree.sources,
    })
}
