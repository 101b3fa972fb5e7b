//! `tollgate check`.

use super::{refuse, say};
use crate::lifecycle;
use crate::plugin::Engine;
use crate::snapshot::{chain, compile};
use clap::ValueEnum;
use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum CheckFormat {
    /// For people.
    Text,
    /// A JSON array of diagnostics, for editors.
    Json,
}

/// Exit code 0 for a configuration that `run` would take; what there is to say is on standard output, or on standard error when it is refused.
pub(super) fn check(file: &Path, format: CheckFormat) -> ExitCode {
    let color = std::io::stderr().is_terminal();
    let loaded = match lifecycle::load(file) {
        Ok(loaded) => loaded,
        Err(refused) => return report(format, refused.to_json(), refused.render(color), false),
    };
    let engine = match Engine::new(lifecycle::cache_dir()) {
        Ok(engine) => engine,
        Err(error) => return refuse(&format!("{}\n", chain(&error))),
    };
    let (mut diagnostics, good) = match compile(&loaded.config, 0, &engine, None) {
        Ok(_) => (crate::config::Diagnostics::default(), true),
        Err(errors) => (errors, false),
    };
    diagnostics.extend(loaded.warnings.clone());
    let text = diagnostics.render(&loaded.sources, color);
    let text = if good {
        format!("{text}{}: ok\n", file.display())
    } else {
        text
    };
    report(format, diagnostics.to_json(&loaded.sources), text, good)
}

fn report(format: CheckFormat, json: String, text: String, good: bool) -> ExitCode {
    match (format, good) {
        (CheckFormat::Json, _) => say(&format!("{json}\n")),
        (CheckFormat::Text, true) => say(&text),
        (CheckFormat::Text, false) => return refuse(&text),
    }
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
