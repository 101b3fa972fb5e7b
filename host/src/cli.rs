//! Arguments to exit code: 0 done, 1 refused (the message says why), 2 wrong usage.

use crate::lifecycle;
use crate::plugin::{Engine, inspect};
use crate::scaffold;
use crate::snapshot::{chain, compile};
use clap::{Parser, Subcommand, ValueEnum};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Reverse proxy and load balancer whose every policy is a WebAssembly component.
#[derive(Debug, Parser)]
#[command(name = "tollgate", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve. Watches the configuration and every plugin file; SIGHUP reloads, SIGTERM drains and exits.
    Run {
        /// The configuration.
        #[arg(long, short, default_value = "config.kdl")]
        config: PathBuf,
    },
    /// Say everything that `run` would refuse about a configuration, except addresses that are in use.
    Check {
        #[arg(default_value = "config.kdl")]
        file: PathBuf,
        /// How to say it.
        #[arg(long, value_enum, default_value_t = CheckFormat::Text)]
        format: CheckFormat,
    },
    /// Make and look into plugins.
    #[command(subcommand)]
    Plugin(PluginCommand),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CheckFormat {
    /// For people.
    Text,
    /// A JSON array of diagnostics, for editors.
    Json,
}

#[derive(Debug, Subcommand)]
enum PluginCommand {
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
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum KindArgument {
    HttpFilter,
    NetworkFilter,
    Balancer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Language {
    Rust,
}

/// Runs the command line of the process.
pub fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Run { config } => lifecycle::run(&lifecycle::Options { config }),
        Command::Check { file, format } => check(&file, format),
        Command::Plugin(PluginCommand::New {
            name,
            kind,
            language: Language::Rust,
        }) => new_plugin(&name, kind),
        Command::Plugin(PluginCommand::Inspect { file }) => inspect_plugin(&file),
    }
}

fn say(text: &str) {
    // A closed standard output leaves nobody to tell.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

fn refuse(text: &str) -> ExitCode {
    let _ = std::io::stderr().write_all(text.as_bytes());
    ExitCode::FAILURE
}

fn check(file: &Path, format: CheckFormat) -> ExitCode {
    let color = std::io::stderr().is_terminal();
    let loaded = match lifecycle::load(file) {
        Ok(loaded) => loaded,
        Err(refused) => return report(format, refused.to_json(), refused.render(color), false),
    };
    let engine = match Engine::new(lifecycle::cache_dir()) {
        Ok(engine) => engine,
        Err(error) => return refuse(&format!("{}\n", chain(&error))),
    };
    let (mut diagnostics, good) = match compile(&loaded.config, 0, &engine) {
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
    format!(
        "name:     {}\nversion:  {}\nabout:    {}\nkind:     {}\ncontract: tollgate:plugin@{}\nimports:  {imports}\nsize:     {} bytes\nsha256:   {}\nsettings: {schema}\n",
        manifest.name,
        manifest.version.as_deref().unwrap_or("-"),
        manifest.description.as_deref().unwrap_or("-"),
        inspection.kind,
        inspection.contract,
        inspection.size,
        inspection.sha256,
    )
}
