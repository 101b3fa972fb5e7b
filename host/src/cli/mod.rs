//! Arguments to exit code: 0 done, 1 refused (the message says why), 2 wrong usage.

mod check;
mod endpoint;
mod plugin;
mod plugin_bench;
mod plugin_test;
mod runtime;
mod table;

use crate::lifecycle;
use check::CheckFormat;
use clap::{Parser, Subcommand};
use endpoint::EndpointArguments;
use plugin::PluginCommand;
use std::io::Write;
use std::path::PathBuf;
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
    /// See and change the endpoints of the running proxy.
    Endpoint(EndpointArguments),
}

/// Runs the command line of the process.
pub fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Run { config } => lifecycle::run(&lifecycle::Options { config }),
        Command::Check { file, format } => check::check(&file, format),
        Command::Plugin(command) => plugin::run(&command),
        Command::Endpoint(arguments) => endpoint::run(&arguments),
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

#[cfg(test)]
mod tests;
