//! Tries plugins without a proxy: `plugin test` and `plugin bench`.
//!
//! A file of cases (`config::cases`) is run through the host itself: its parsers, its [`FilterChain`](crate::filter::FilterChain) and
//! [`NetworkChain`](crate::filter::NetworkChain), its [`Balancer`](crate::plugin::Balancer). `stage` makes messages and connections of what is written, `run` runs
//! a case, `outcome` is what came of it, `judge` compares it with what was to come, `report` says it. `bench` measures one plugin over the
//! same cases. Each case has instances of its own, and the same numbers where the host draws them, so that no case depends on another.
//!
//! This room knows no sockets, no routes and no time but that of `bench`.

mod bench;
mod given;
mod judge;
mod logs;
mod outcome;
mod report;
mod run;
mod stage;

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::config::cases::{
    Case, CaseFile, ConnectionCase, HttpCase, LoadedCases, PicksCase, SettingsCase, load_cases,
};
use crate::config::{Config, Diagnostics, Place, PluginKind, Refused, Sources};
use crate::filter::{FILTERS_MAX, Run};
use crate::plugin::{Engine, retire_worker_instances};
use crate::snapshot::{Catalog, Plugins};
use logs::Logs;

pub(crate) use bench::{Workload, bench, to_json as measured_json, to_text as measured_text};
pub(crate) use given::Given;
pub(crate) use report::Report;

/// What came of one case, or of one step of a sequence.
#[derive(Debug)]
pub(crate) struct Tried {
    pub(crate) name: String,
    place: Place,
    pub(crate) differences: Vec<Difference>,
    /// What came of it, for reports and comparisons.
    observed: Value,
    /// What plugins and host logged meanwhile.
    logs: Vec<String>,
}

/// Something that is not as expected.
#[derive(Debug)]
pub(crate) struct Difference {
    /// Where it is expected.
    place: Place,
    what: String,
    expected: String,
    got: String,
}

/// Something that schema or plugin have against settings.
struct Complaint {
    place: Place,
    message: String,
}

/// The cases of one file that have been run.
#[derive(Debug)]
pub(crate) struct TriedFile {
    path: PathBuf,
    sources: Sources,
    tried: Vec<Tried>,
}

/// Runs the cases of a file whose name contains `filter`. With `given`, that component is the plugin which it stands for.
///
/// # Errors
/// What is wrong with the file, before anything was run: also settings that a plugin refuses, and messages that the host does.
pub(crate) fn try_file(
    path: &Path,
    engine: &Engine,
    given: Option<&Given>,
    filter: Option<&str>,
) -> Result<TriedFile, Refused> {
    let loaded = load(path, engine, given)?;
    let file = &loaded.file;
    let wanted = |case: &&Case| filter.is_none_or(|part| case.name().value.contains(part));
    // Holds components, and nothing that was configured: each case has its own.
    let mut plugins = plugins(&file.config, engine, given, file);
    let mut tried = Vec::new();
    for case in file.cases.iter().filter(wanted) {
        // Whoever draws a number at random gets the same ones in each case.
        fastrand::seed(0);
        tried.extend(try_case(case, &mut plugins));
        retire_worker_instances();
    }
    Ok(TriedFile {
        path: path.to_owned(),
        sources: loaded.sources,
        tried,
    })
}

/// Reads a file of cases, and sees that its plugins take their settings and the host its messages.
fn load(path: &Path, engine: &Engine, given: Option<&Given>) -> Result<LoadedCases, Refused> {
    let env = |name: &str| std::env::var(name).ok();
    let substitute = given.map(Given::substitute);
    let loaded = load_cases(path, &Catalog, &env, substitute.as_ref())?;
    let diagnostics = check(&loaded.file, engine, given);
    if diagnostics.has_errors() {
        return Err(Refused {
            diagnostics,
            watched: Default::default(),
            sources: loaded.sources,
        });
    }
    Ok(loaded)
}

fn plugins<'c>(
    config: &'c Config,
    engine: &'c Engine,
    given: Option<&Given>,
    file: &CaseFile,
) -> Plugins<'c> {
    let mut plugins = Plugins::new(config, engine);
    if let (Some(given), Some(name)) = (given, &file.substituted) {
        plugins.substitute(name, given.component().clone());
    }
    plugins
}

fn check(file: &CaseFile, engine: &Engine, given: Option<&Given>) -> Diagnostics {
    let mut errors = Diagnostics::default();
    let mut plugins = plugins(&file.config, engine, given, file);
    // Kept to the end, so that equal chains are configured once.
    let (mut chains, mut network_chains, mut balancers) = (Vec::new(), Vec::new(), Vec::new());
    for case in &file.cases {
        match case {
            Case::Http(case) if case.filters.len() > FILTERS_MAX => {
                let count = case.filters.len();
                let message = format!("{count} filters in one chain; at most {FILTERS_MAX}");
                errors.error(case.name.place, message, None);
            }
            Case::Http(case) => {
                chains.push(plugins.chain(case.filters.iter(), &mut errors));
                check_messages(case, &mut errors);
            }
            Case::Connection(case) => {
                network_chains.push(plugins.network_chain(&case.filters, &mut errors));
            }
            Case::Picks(case) => {
                balancers.extend(plugins.balancer(&case.name.value, &case.balancer, &mut errors));
                if let Some(request) = &case.request
                    && let Err(why) = stage::exchange(&request.value)
                {
                    refuse("request", &why, request.place, &mut errors);
                }
            }
            Case::Settings(_) => {}
        }
    }
    errors
}

fn check_messages(case: &HttpCase, errors: &mut Diagnostics) {
    for exchange in &case.exchanges {
        let mut staged = match stage::exchange(&exchange.request.value) {
            Ok(staged) => staged,
            Err(why) => {
                refuse("request", &why, exchange.request.place, errors);
                continue;
            }
        };
        if let Some(response) = &exchange.response
            && let Err(why) = stage::put_response(&mut staged, &response.value)
        {
            refuse("response", &why, response.place, errors);
        }
    }
}

/// No filter would ever see it.
fn refuse(what: &str, why: &str, place: Place, errors: &mut Diagnostics) {
    let message = format!("the host refuses this {what}: {why}");
    errors.error(place, message, None);
}

fn try_case(case: &Case, plugins: &mut Plugins<'_>) -> Vec<Tried> {
    match case {
        Case::Http(case) => try_exchanges(case, plugins),
        Case::Connection(case) => vec![try_connection(case, plugins)],
        Case::Picks(case) => vec![try_picks(case, plugins)],
        Case::Settings(case) => vec![try_settings(case, plugins)],
    }
}

fn try_exchanges(case: &HttpCase, plugins: &mut Plugins<'_>) -> Vec<Tried> {
    // It has been configured without errors.
    let chain = plugins.chain(case.filters.iter(), &mut Diagnostics::default());
    let mut run = Run::default();
    let exchanges = case.exchanges.iter();
    exchanges
        .map(|exchange| {
            let (result, logs) = Logs::of(|| run::exchange(&chain, &mut run, exchange));
            let place = exchange.name.place;
            let (differences, observed) = match result {
                Ok(outcome) => (
                    judge::exchange(&exchange.expect, place, &outcome),
                    outcome.to_json(),
                ),
                Err(why) => (vec![not_run(place, why)], Value::Null),
            };
            let name = match case.is_sequence {
                true => format!("{} / {}", case.name.value, exchange.name.value),
                false => exchange.name.value.clone(),
            };
            Tried {
                name,
                place,
                differences,
                observed,
                logs,
            }
        })
        .collect()
}

/// Met only where a filter has changed the request so that the response to it is refused.
fn not_run(place: Place, why: String) -> Difference {
    Difference {
        place,
        what: "exchange".to_owned(),
        expected: "messages that the host takes".to_owned(),
        got: why,
    }
}

fn try_connection(case: &ConnectionCase, plugins: &mut Plugins<'_>) -> Tried {
    let chain = plugins.network_chain(&case.filters, &mut Diagnostics::default());
    let (outcome, logs) = Logs::of(|| run::connection(&chain, case));
    Tried {
        name: case.name.value.clone(),
        place: case.name.place,
        differences: judge::connection(&case.expect, case.name.place, &outcome),
        observed: outcome.to_json(),
        logs,
    }
}

fn try_picks(case: &PicksCase, plugins: &mut Plugins<'_>) -> Tried {
    let name = &case.name.value;
    let balancer = plugins.balancer(name, &case.balancer, &mut Diagnostics::default());
    let (result, logs) = Logs::of(|| match &balancer {
        Some(balancer) => run::picks(balancer, case),
        None => Err("the balancer cannot be configured again".to_owned()),
    });
    let place = case.name.place;
    let (differences, observed) = match result {
        Ok(picks) => (judge::picks(&case.expect, place, &picks), picks.to_json()),
        Err(why) => (vec![not_run(place, why)], Value::Null),
    };
    Tried {
        name: name.clone(),
        place,
        differences,
        observed,
        logs,
    }
}

fn try_settings(case: &SettingsCase, plugins: &mut Plugins<'_>) -> Tried {
    let mut found = case.schema_errors.clone();
    let filter = std::slice::from_ref(&case.filter);
    let ((), logs) = Logs::of(|| {
        if found.has_errors() {
            return;
        }
        match case.kind {
            PluginKind::HttpFilter => drop(plugins.chain(filter.iter(), &mut found)),
            PluginKind::NetworkFilter => drop(plugins.network_chain(filter, &mut found)),
            PluginKind::Balancer => {
                drop(plugins.balancer(&case.name.value, &case.filter.plugin, &mut found));
            }
        }
    });
    let complaints: Vec<_> = found
        .iter()
        .map(|found| Complaint {
            place: found.place,
            message: found.message.clone(),
        })
        .collect();
    let settings = &case.filter.plugin.settings;
    let words: Vec<_> = complaints.iter().map(|it| it.message.clone()).collect();
    Tried {
        name: case.name.value.clone(),
        place: case.name.place,
        differences: judge::settings(&case.expect, case.name.place, settings, &complaints),
        observed: serde_json::json!({ "complaints": words }),
        logs,
    }
}

#[cfg(test)]
mod tests {
    use crate::config::cases::FAULTS;
    use crate::plugin::FaultKind;

    #[test]
    fn faults_are_expected_by_the_words_that_they_have() {
        assert_eq!(FAULTS, FaultKind::ALL.map(FaultKind::token));
    }
}
