//! `tollgate plugin test`.

use super::{refuse, say};
use crate::config::Refused;
use crate::lifecycle;
use crate::plugin::Engine;
use crate::snapshot::chain;
use crate::trial::{Given, Report, try_file};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct TestArguments {
    /// Files of cases; before them perhaps a component (`my.wasm`, or a bundled plugin's name), which is then tried in place of the one that they name.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// Run only the cases whose name contains this.
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Run every case through this component as well, and list what comes out otherwise.
    #[arg(long, value_name = "OLD.wasm")]
    compare: Option<String>,
    /// Which plugin of the files the component stands for, where its own name does not say so.
    #[arg(long = "as", value_name = "NAME")]
    stands_for: Option<String>,
    /// How to say it.
    #[arg(long, value_enum, default_value_t = TestFormat::Text)]
    format: TestFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum TestFormat {
    /// For people.
    Text,
    /// Everything that was observed, for programs.
    Json,
}

/// A component and files of cases, from arguments that are one after the other.
pub(super) fn split(arguments: &[String]) -> (Option<&str>, Vec<PathBuf>) {
    let component = arguments.first().filter(|first| Given::is_meant(first));
    let files = &arguments[usize::from(component.is_some())..];
    (
        component.map(String::as_str),
        files.iter().map(PathBuf::from).collect(),
    )
}

/// Exit code 0 when every case came out as expected and, with `--compare`, as before.
pub(super) fn run(arguments: &TestArguments) -> ExitCode {
    let (component, files) = split(&arguments.files);
    if files.is_empty() {
        refuse("no file of cases is given: tollgate plugin test my.wasm cases.kdl\n");
        return ExitCode::from(2);
    }
    if arguments.stands_for.is_some() && component.is_none() && arguments.compare.is_none() {
        refuse("--as says what a component stands for, and none is given\n");
        return ExitCode::from(2);
    }
    match report(arguments, component, &files) {
        Ok(report) if report.is_empty() => refuse("no case was run\n"),
        Ok(report) => {
            say(&match arguments.format {
                TestFormat::Text => report.to_text(),
                TestFormat::Json => report.to_json(),
            });
            match report.is_good() {
                true => ExitCode::SUCCESS,
                false => ExitCode::FAILURE,
            }
        }
        Err(said) if arguments.format == TestFormat::Json => {
            say(&said);
            ExitCode::FAILURE
        }
        Err(said) => refuse(&said),
    }
}

/// Runs everything, or says what is refused, in the form that is asked for.
fn report(
    arguments: &TestArguments,
    component: Option<&str>,
    files: &[PathBuf],
) -> Result<Report, String> {
    let in_form = |message: String| match arguments.format {
        TestFormat::Text => format!("{message}\n"),
        TestFormat::Json => refused_json(vec![json!({ "message": message })]),
    };
    let engine = Engine::new(lifecycle::cache_dir()).map_err(|error| in_form(chain(&error)))?;
    let load = |argument: &str| {
        Given::load(argument, &engine, arguments.stands_for.as_deref()).map_err(in_form)
    };
    let given = component.map(load).transpose()?;
    let old = arguments.compare.as_deref().map(load).transpose()?;
    let filter = arguments.filter.as_deref();
    let mut report = Report::default();
    let mut refused = Vec::new();
    for file in files {
        let run = |given: Option<&Given>| {
            let label = given.map(|given| given.label.clone());
            try_file(file, &engine, given, filter).map_err(|refused| (label, refused))
        };
        let both = run(given.as_ref())
            .and_then(|tried| Ok((tried, old.as_ref().map(|old| run(Some(old))).transpose()?)));
        match both {
            Ok((tried, before)) => report.add(tried, before),
            Err(found) => refused.push(found),
        }
    }
    match (refused.is_empty(), arguments.format) {
        (true, _) => Ok(report),
        (false, TestFormat::Text) => Err(refused_text(&refused)),
        (false, TestFormat::Json) => {
            let parsed = refused
                .iter()
                .map(|(_, refused)| serde_json::from_str(&refused.to_json()));
            let lists = parsed.filter_map(Result::<Vec<Value>, _>::ok);
            Err(refused_json(lists.flatten().collect()))
        }
    }
}

/// Which component was tried with a file, and what is wrong with the file then.
type RefusedWith = (Option<String>, Refused);

fn refused_text(refused: &[RefusedWith]) -> String {
    let color = std::io::stderr().is_terminal();
    let text = |(label, refused): &RefusedWith| {
        let with = label.as_ref().map(|label| format!("with {label}:\n"));
        with.unwrap_or_default() + &refused.render(color)
    };
    refused.iter().map(text).collect()
}

fn refused_json(diagnostics: Vec<Value>) -> String {
    format!("{:#}\n", json!({ "refused": diagnostics }))
}
