//! `tollgate plugin bench`.

use super::plugin_test::{TestFormat, split};
use super::{refuse, say};
use crate::plugin::Engine;
use crate::snapshot::chain;
use crate::trial::{Given, Workload, bench, measured_json, measured_text};
use clap::Args;
use std::process::ExitCode;
use std::time::Duration;

#[derive(Debug, Args)]
pub(super) struct BenchArguments {
    /// A component (`my.wasm`, or a bundled plugin's name), then files of cases.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// Settings as JSON, in place of files of cases: measures a plain request, connection, or ten endpoints.
    #[arg(long, value_name = "JSON", value_parser = settings)]
    settings: Option<serde_json::Value>,
    /// Measure this component as well, and show the ratio.
    #[arg(long, value_name = "OLD.wasm")]
    compare: Option<String>,
    /// Which plugin of the files the component stands for, where its own name does not say so.
    #[arg(long = "as", value_name = "NAME")]
    stands_for: Option<String>,
    /// How long to measure each component.
    #[arg(long, default_value = "1", value_parser = seconds)]
    seconds: Duration,
    /// How to say it.
    #[arg(long, value_enum, default_value_t = TestFormat::Text)]
    format: TestFormat,
}

fn settings(text: &str) -> Result<serde_json::Value, String> {
    let value: serde_json::Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    match value.is_object() {
        true => Ok(value),
        false => Err("settings are a JSON object, such as {}".to_owned()),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text
        .parse()
        .map_err(|_| "expected a number of seconds".to_owned())?;
    match (0.01..=60.0).contains(&number) {
        true => Ok(Duration::from_secs_f64(number)),
        false => Err("expected 0.01 to 60".to_owned()),
    }
}

pub(super) fn run(arguments: &BenchArguments) -> ExitCode {
    let (component, files) = split(&arguments.files);
    let wrong = |text: &str| {
        refuse(text);
        ExitCode::from(2)
    };
    let Some(component) = component else {
        return wrong(
            "no component is given: tollgate plugin bench my.wasm cases.kdl, or a bundled plugin's name in its place\n",
        );
    };
    let workload = match (&arguments.settings, files.is_empty()) {
        (Some(settings), true) => Workload::Settings(settings.clone()),
        (None, false) => Workload::Files(files),
        _ => return wrong("give either files of cases or --settings '{…}'\n"),
    };
    match measure(arguments, component, &workload) {
        Ok(text) => {
            say(&text);
            ExitCode::SUCCESS
        }
        Err(message) => refuse(&format!("{message}\n")),
    }
}

fn measure(
    arguments: &BenchArguments,
    component: &str,
    workload: &Workload,
) -> Result<String, String> {
    // Without the cache: what compiling takes is among the figures.
    let engine = Engine::new(None).map_err(|error| chain(&error))?;
    let measured = |argument: &str| {
        let given = Given::load(argument, &engine, arguments.stands_for.as_deref())?;
        bench(&given, &engine, workload, arguments.seconds)
            .map_err(|error| format!("{argument}: {}", chain(&error)))
    };
    let new = measured(component)?;
    let old = arguments.compare.as_deref().map(measured).transpose()?;
    Ok(match arguments.format {
        TestFormat::Text => measured_text(&new, old.as_ref()),
        TestFormat::Json => measured_json(&new, old.as_ref()),
    })
}
