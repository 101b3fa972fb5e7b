//! Measures one plugin over the cases of files, or over something plain with settings given by hand.
//!
//! A pass takes every case once through a chain that is this plugin alone, as the proxy would: guard, fields, call, edits. What is to be
//! handed over is made before the clock starts. Passes are taken together until they are long enough for the clock; median and 99th
//! percentile are over such batches, on an instance that is warm.

mod http;
mod measured;
mod network;
mod picks;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::given::Given;
use super::load;
use crate::config::cases::Case;
use crate::config::{Filter, PluginUse, Refused};
use crate::plugin::{Budgets, ConfigureError, Engine, Kind, Stats, Usage, retire_worker_instances};
use crate::snapshot::{chain, declared_budgets};
use measured::Phase;
pub(crate) use measured::{Measured, to_json, to_text};

/// Cases in one batch, at least.
const BATCH_MIN: usize = 64;
/// Batches that are kept; the 99th percentile needs no more.
const BATCHES_MAX: usize = 100_000;
/// Starts of an instance that are measured, at most.
const STARTS_MAX: usize = 20;

/// What the plugin is to do.
#[derive(Debug)]
pub(crate) enum Workload {
    /// What these files hold for it.
    Files(Vec<PathBuf>),
    /// A plain request, connection or set of endpoints, with these settings.
    Settings(Value),
}

/// Why there is nothing to measure.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    #[error("{}", .0.render(false).trim_end())]
    Cases(Box<Refused>),
    #[error("the settings are refused: {0}")]
    Settings(String),
    #[error("no case uses the plugin, so there is nothing to measure")]
    Nothing,
    #[error(
        "every case that uses the plugin makes it fault, so there is nothing to measure; `plugin test` shows the faults"
    )]
    Faults,
}

/// A plugin of some kind with its work.
trait Subject {
    /// What is measured of it.
    fn phases(&self) -> &'static [&'static str];

    /// Starts an instance and configures it.
    fn start(&self, label: &str) -> Result<(), ConfigureError>;

    /// Does everything once or some times more, and lets each phase be timed.
    fn batch(&mut self, clock: &mut Clock);
}

/// Times the phases of batches.
struct Clock(Vec<Meter>);

/// What one phase has taken and moved so far.
#[derive(Default)]
struct Meter {
    /// Nanoseconds for one case, of each batch.
    nanoseconds: Vec<f64>,
    cases: u64,
    used: Used,
}

/// The counters of some plugins together.
#[derive(Debug, Clone, Copy, Default)]
struct Used {
    calls: u64,
    usage: Usage,
}

impl Used {
    fn of<'p>(plugins: impl Iterator<Item = (&'p Stats, Option<Usage>)>) -> Used {
        let mut sum = Used::default();
        for (stats, usage) in plugins {
            let usage = usage.unwrap_or_default();
            sum.calls += stats.calls();
            sum.usage.host_calls += usage.host_calls;
            sum.usage.bytes_in += usage.bytes_in;
            sum.usage.bytes_out += usage.bytes_out;
            sum.usage.memory_bytes = sum.usage.memory_bytes.max(usage.memory_bytes);
        }
        sum
    }
}

impl Clock {
    /// Times `run`, which does a phase for this many cases; `used` reads the counters of the plugins in it.
    fn time(&mut self, phase: usize, cases: usize, used: impl Fn() -> Used, run: impl FnOnce()) {
        let before = used();
        let began = Instant::now();
        run();
        let took = began.elapsed();
        let after = used();
        if cases == 0 {
            return;
        }
        let meter = &mut self.0[phase];
        if meter.nanoseconds.len() < BATCHES_MAX {
            meter
                .nanoseconds
                .push(took.as_nanos() as f64 / cases as f64);
        }
        meter.cases += cases as u64;
        let sum = &mut meter.used;
        sum.calls += after.calls - before.calls;
        // An instance that is replaced begins at zero again.
        let grown = |after: u64, before: u64| after.saturating_sub(before);
        sum.usage.host_calls += grown(after.usage.host_calls, before.usage.host_calls);
        sum.usage.bytes_in += grown(after.usage.bytes_in, before.usage.bytes_in);
        sum.usage.bytes_out += grown(after.usage.bytes_out, before.usage.bytes_out);
        sum.usage.memory_bytes = sum.usage.memory_bytes.max(after.usage.memory_bytes);
    }
}

/// Measures a component for about `time`, and a quarter of it more for starts.
///
/// # Errors
/// [`BenchError`].
pub(crate) fn bench(
    given: &Given,
    engine: &Engine,
    workload: &Workload,
    time: Duration,
) -> Result<Measured, BenchError> {
    let (mut subject, left_out): (Box<dyn Subject>, _) = match given.component().kind() {
        Kind::HttpFilter => http::subject(given, engine, workload)?,
        Kind::NetworkFilter => network::subject(given, engine, workload)?,
        Kind::Balancer => picks::subject(given, engine, workload)?,
    };
    let start = starts(&*subject, time / 4)?;
    let phases = subject.phases();
    let mut clock = Clock(phases.iter().map(|_| Meter::default()).collect());
    // Warms caches and the instance.
    subject.batch(&mut clock);
    clock.0.fill_with(Meter::default);
    let until = Instant::now() + time;
    loop {
        subject.batch(&mut clock);
        if Instant::now() >= until {
            break;
        }
    }
    drop(subject);
    retire_worker_instances();
    let memory_bytes = clock.0.iter().map(|meter| meter.used.usage.memory_bytes);
    Ok(Measured {
        label: given.label.clone(),
        version: given.manifest.version.clone(),
        size_bytes: given.component().inspection().size,
        compile: given.loading,
        start,
        memory_bytes: memory_bytes.max().unwrap_or_default(),
        phases: phases
            .iter()
            .zip(clock.0)
            .map(|(name, meter)| Phase::of(name, meter))
            .collect(),
        left_out,
    })
}

/// What starting and configuring an instance takes, by the median.
fn starts(subject: &dyn Subject, time: Duration) -> Result<Duration, BenchError> {
    let until = Instant::now() + time;
    let mut took = Vec::new();
    while took.is_empty() || (took.len() < STARTS_MAX && Instant::now() < until) {
        let label = format!("start {}", took.len());
        let began = Instant::now();
        subject.start(&label).map_err(refused)?;
        took.push(began.elapsed());
    }
    took.sort_unstable();
    Ok(took[took.len() / 2])
}

/// A case of some file.
struct Found {
    /// The plugin's name there.
    name: String,
    /// What it may spend there.
    budgets: Budgets,
    case: Case,
}

/// Every case of these files.
fn cases(files: &[PathBuf], engine: &Engine, given: &Given) -> Result<Vec<Found>, BenchError> {
    let mut all = Vec::new();
    for path in files {
        let loaded = load(path, engine, Some(given));
        let file = loaded
            .map_err(|refused| BenchError::Cases(Box::new(refused)))?
            .file;
        let name = file.substituted.unwrap_or_default();
        let budgets = declared_budgets(&file.config, &name);
        all.extend(file.cases.into_iter().map(|case| Found {
            name: name.clone(),
            budgets,
            case,
        }));
    }
    Ok(all)
}

/// The settings that the plugin of this name has in a chain, one for each time that it is there.
fn settings_in(filters: &[Filter], name: &str) -> Vec<Value> {
    let plugins = filters.iter().map(|filter| &filter.plugin);
    plugins
        .filter(|plugin| plugin.name.value == name)
        .map(|plugin: &PluginUse| plugin.settings.json.clone())
        .collect()
}

/// Settings that come by hand have not been compared with the schema yet.
fn checked(given: &Given, settings: &Value) -> Result<Value, BenchError> {
    let schema = given.manifest.settings.as_ref();
    if let Some(Ok(validator)) = schema.map(jsonschema::draft202012::new) {
        let errors = validator.iter_errors(settings);
        let errors: Vec<_> = errors
            .map(|error| match error.instance_path().as_str() {
                "" => error.to_string(),
                pointer => format!("{pointer}: {error}"),
            })
            .collect();
        if !errors.is_empty() {
            return Err(BenchError::Settings(errors.join("; ")));
        }
    }
    Ok(settings.clone())
}

fn refused(error: ConfigureError) -> BenchError {
    match error {
        ConfigureError::Settings(errors) if !errors.is_empty() => {
            let errors = errors.iter();
            let errors: Vec<_> = errors
                .map(|error| format!("{}: {}", error.pointer, error.message))
                .collect();
            BenchError::Settings(errors.join("; "))
        }
        error => BenchError::Settings(chain(&error)),
    }
}

/// Takes out the items that make the plugin fault, which has instances of its own for each. The names of those that are out come second.
fn without_faults<I>(
    items: Vec<I>,
    name: impl Fn(&I) -> String,
    mut is_good: impl FnMut(&I, &str) -> Result<bool, ConfigureError>,
) -> Result<(Vec<I>, Vec<String>), BenchError> {
    if items.is_empty() {
        return Err(BenchError::Nothing);
    }
    let (mut good, mut left_out) = (Vec::new(), Vec::new());
    for (index, item) in items.into_iter().enumerate() {
        if is_good(&item, &format!("check {index}")).map_err(refused)? {
            good.push(item);
        } else {
            left_out.push(name(&item));
        }
        retire_worker_instances();
    }
    match good.is_empty() {
        true => Err(BenchError::Faults),
        false => Ok((good, left_out)),
    }
}
