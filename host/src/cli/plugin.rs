//! `tollgate plugin`.

use super::plugin_bench::{self, BenchArguments};
use super::plugin_test::{self, TestArguments};
use super::{refuse, say};
use crate::plugin::{grant_line, inspect};
use crate::scaffold;
use crate::snapshot::chain;
use clap::{Subcommand, ValueEnum};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, Subcommand)]
pub(super) enum PluginCommand {
    /// Make a project that builds, with a test.
    New {
        /// Its name and folder; lower-case letters, digits and dashes.
        name: String,
        #[arg(long, value_enum)]
        kind: KindArgument,
        #[arg(long, value_enum, default_value_t = Language::Rust)]
        language: Language,
    },
    /// Kind, contract version, imports, settings schema, size and digest of a component.
    Inspect { file: PathBuf },
    /// Run plugins on the exchanges, connections and picks in files, without a proxy, and see that what is expected comes of them.
    Test(TestArguments),
    /// Measure a plugin: time, host calls, bytes and memory for each phase.
    Bench(BenchArguments),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum KindArgument {
    HttpFilter,
    NetworkFilter,
    Balancer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Language {
    Rust,
}

pub(super) fn run(command: &PluginCommand) -> ExitCode {
    match command {
        PluginCommand::New {
            name,
            kind,
            language: Language::Rust,
        } => new_plugin(name, *kind),
        PluginCommand::Inspect { file } => inspect_plugin(file),
        PluginCommand::Test(arguments) => plugin_test::run(arguments),
        PluginCommand::Bench(arguments) => plugin_bench::run(arguments),
    }
}

fn new_plugin(name: &str, kind: KindArgument) -> ExitCode {
    let kind = match kind {
        KindArgument::HttpFilter => scaffold::Kind::HttpFilter,
        KindArgument::NetworkFilter => scaffold::Kind::NetworkFilter,
        KindArgument::Balancer => scaffold::Kind::Balancer,
    };
    match scaffold::create(Path::new(name), name, kind) {
        Ok(files) => {
            let list: String = files
                .iter()
                .map(|file| format!("{}\n", file.display()))
                .collect();
            say(&format!(
                "{list}\nnext: cd {name} && cargo test && cargo plugin\n"
            ));
            ExitCode::SUCCESS
        }
        Err(error) => refuse(&format!("{}\n", chain(&error))),
    }
}

fn inspect_plugin(file: &Path) -> ExitCode {
    let bytes = match std::fs::read(file) {
        Ok(bytes) => bytes,
        Err(error) => return refuse(&format!("{}: {error}\n", file.display())),
    };
    let stem = file
        .file_stem()
        .map(|stem| stem.to_string_lossy())
        .unwrap_or_default();
    match inspect(&stem, &bytes) {
        Ok(inspection) => {
            say(&description(&inspection));
            ExitCode::SUCCESS
        }
        Err(error) => refuse(&format!("{}: {}\n", file.display(), chain(&error))),
    }
}

fn description(inspection: &crate::plugin::Inspection) -> String {
    let manifest = &inspection.manifest;
    let schema = manifest
        .settings
        .as_ref()
        .map_or_else(|| "none".to_owned(), |schema| format!("{schema:#}"));
    let imports = if inspection.imports.is_empty() {
        "none".to_owned()
    } else {
        inspection.imports.join("\n          ")
    };
    let granted: Vec<String> = inspection
        .granted_by_name()
        .map(|name| format!("{name}, by: {}", grant_line(name, &manifest.name)))
        .collect();
    let grants = if granted.is_empty() {
        "none needed".to_owned()
    } else {
        granted.join("\n          ")
    };
    format!(
        "name:     {}\nversion:  {}\nabout:    {}\nkind:     {}\ncontract: tollgate:plugin@{}\nimports:  {imports}\ngrants:   {grants}\nsize:     {} bytes\nsha256:   {}\nsettings: {schema}\n",
        manifest.name,
        manifest.version.as_deref().unwrap_or("-"),
        manifest.description.as_deref().unwrap_or("-"),
        inspection.kind,
        inspection.contract,
        inspection.size,
        inspection.sha256,
    )
}
