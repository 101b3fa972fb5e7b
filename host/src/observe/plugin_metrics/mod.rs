//! The metrics that plugins define for themselves: one set for each plugin's name, over workers, instances and generations.
//!
//! [`open`] finds the set of a name as long as anyone holds it. What a guest may define is bounded, and checked here, so that whatever it asks
//! for can be shown: as text for Prometheus ([`render`]) and as JSON ([`report`]).

mod render;
mod series;
#[cfg(test)]
mod tests;

pub use render::{CONTENT_TYPE, render, report};

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use dashmap::DashMap;
use series::Series;

/// Names of one plugin.
const NAMES_MAX: usize = 64;
/// Series of one plugin: names with labels.
const SERIES_MAX: usize = 256;
const NAME_BYTES_MAX: usize = 64;
const LABELS_MAX: usize = 8;
const LABEL_VALUE_BYTES_MAX: usize = 256;
const HELP_BYTES_MAX: usize = 256;
const BOUNDS_MAX: usize = 32;
/// Upper bounds for durations in seconds, where a plugin names none: those that Prometheus's own clients take.
const BOUNDS: [f64; 11] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Bounded by the plugins of the generations alive.
static OPEN: LazyLock<DashMap<Arc<str>, Weak<PluginMetrics>>> = LazyLock::new(DashMap::new);

/// What is measured.
#[derive(Clone, Debug, PartialEq)]
pub enum MetricKind {
    Counter,
    Gauge,
    /// With its upper bounds, ascending; empty: those usual for durations in seconds.
    Histogram(Vec<f64>),
}

/// A series as a plugin asks for it.
#[derive(Clone, Debug)]
pub struct Definition {
    pub name: String,
    pub kind: MetricKind,
    pub help: String,
    pub labels: Vec<(String, String)>,
}

/// Why there is no such series.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DefineError {
    #[error("a plugin has at most {NAMES_MAX} metrics, and {SERIES_MAX} series of them")]
    Full,
    #[error("{0}")]
    Invalid(String),
}

/// A use that the series does not have; the words are for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadUse {
    #[error("there is no series of this number")]
    NoSuchSeries,
    #[error("the series is of another kind")]
    WrongKind,
    #[error("a counter only grows, and no metric takes what is not a number")]
    BadValue,
}

/// All metrics of one plugin.
#[derive(Debug)]
pub struct PluginMetrics {
    plugin: Arc<str>,
    defined: Mutex<Defined>,
    /// By number. Written once each, and read without a lock.
    series: Box<[OnceLock<Box<Series>>]>,
}

/// What is there, for who defines more.
#[derive(Debug, Default)]
struct Defined {
    families: BTreeMap<String, Arc<Family>>,
    /// By name and labels.
    numbers: BTreeMap<(String, Labels), u32>,
}

/// Sorted by name.
type Labels = Vec<(String, String)>;

/// What all series of a name share.
#[derive(Debug)]
struct Family {
    /// Without the `_total` of counters.
    name: String,
    kind: MetricKind,
    help: String,
}

/// The metrics of this plugin: those that someone still holds, or none yet.
pub fn open(plugin: &str) -> Arc<PluginMetrics> {
    OPEN.retain(|_, metrics| metrics.strong_count() > 0);
    let plugin: Arc<str> = plugin.into();
    let mut entry = OPEN.entry(plugin.clone()).or_default();
    if let Some(metrics) = entry.upgrade() {
        return metrics;
    }
    let metrics = Arc::new(PluginMetrics {
        plugin,
        defined: Mutex::default(),
        series: (0..SERIES_MAX).map(|_| OnceLock::new()).collect(),
    });
    *entry = Arc::downgrade(&metrics);
    metrics
}

/// All sets there are, by the plugin's name.
fn all() -> Vec<Arc<PluginMetrics>> {
    let mut all: Vec<_> = OPEN
        .iter()
        .filter_map(|metrics| metrics.upgrade())
        .collect();
    all.sort_by(|one, other| one.plugin.cmp(&other.plugin));
    all
}

impl PluginMetrics {
    /// The number of the series, which is there afterwards.
    ///
    /// # Errors
    /// What is wrong with it, or that there are too many.
    pub fn define(&self, definition: Definition) -> Result<u32, DefineError> {
        let (family, labels) = check(definition)?;
        let mut defined = self.defined();
        let known = defined.families.get(&family.name).cloned();
        if let Some(known) = known.as_ref().filter(|known| known.kind != family.kind) {
            let message = format!("`{}` is defined with another kind", known.name);
            return Err(DefineError::Invalid(message));
        }
        let key = (family.name.clone(), labels.clone());
        if let Some(number) = defined.numbers.get(&key) {
            return Ok(*number);
        }
        let number = defined.numbers.len();
        if known.is_none() && defined.families.len() == NAMES_MAX || number == SERIES_MAX {
            return Err(DefineError::Full);
        }
        let family = known.unwrap_or_else(|| {
            let family = Arc::new(family);
            defined.families.insert(family.name.clone(), family.clone());
            family
        });
        self.series[number].get_or_init(|| Box::new(Series::new(family, labels)));
        let number = number as u32;
        defined.numbers.insert(key, number);
        Ok(number)
    }

    /// Adds to a counter or a gauge. `shard` is the thread's, so that workers do not share a cache line.
    ///
    /// # Errors
    /// As [`BadUse`] says. The same holds for the other two.
    pub fn add(&self, number: u32, amount: f64, shard: usize) -> Result<(), BadUse> {
        self.series(number)?.add(amount, shard)
    }

    /// Sets a gauge.
    pub fn set(&self, number: u32, value: f64) -> Result<(), BadUse> {
        self.series(number)?.set(value)
    }

    /// Counts a value in a histogram.
    pub fn observe(&self, number: u32, value: f64, shard: usize) -> Result<(), BadUse> {
        self.series(number)?.observe(value, shard)
    }

    fn series(&self, number: u32) -> Result<&Series, BadUse> {
        let series = self.series.get(number as usize).and_then(OnceLock::get);
        series.map(|series| &**series).ok_or(BadUse::NoSuchSeries)
    }

    fn all_series(&self) -> impl Iterator<Item = &Series> {
        let series = self.series.iter().map_while(OnceLock::get);
        series.map(|series| &**series)
    }

    /// A panic while it was held leaves the maps whole, so poisoning means nothing here.
    fn defined(&self) -> MutexGuard<'_, Defined> {
        self.defined.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn check(definition: Definition) -> Result<(Family, Labels), DefineError> {
    let invalid = |message: String| Err(DefineError::Invalid(message));
    let Definition {
        name,
        kind,
        help,
        mut labels,
    } = definition;
    let name = match kind {
        MetricKind::Counter => name.strip_suffix("_total").unwrap_or(&name).to_owned(),
        MetricKind::Gauge | MetricKind::Histogram(_) => name,
    };
    if !is_name(&name) {
        let shown: String = name.chars().take(NAME_BYTES_MAX).collect();
        return invalid(format!(
            "`{shown}` is not the name of a metric: at most {NAME_BYTES_MAX} lower-case letters, digits and `_`, a letter first"
        ));
    }
    // What the text form puts at the end of names, which must stay apart from them.
    let suffixes = ["_total", "_bucket", "_sum", "_count", "_created", "_info"];
    if let Some(suffix) = suffixes.iter().find(|suffix| name.ends_with(**suffix)) {
        return invalid(format!(
            "`{name}` ends in `{suffix}`, which is the host's to add"
        ));
    }
    if help.len() > HELP_BYTES_MAX || help.contains(char::is_control) {
        return invalid(format!(
            "the help of `{name}` is one line of at most {HELP_BYTES_MAX} bytes"
        ));
    }
    let kind = match kind {
        MetricKind::Histogram(bounds) if bounds.is_empty() => MetricKind::Histogram(BOUNDS.into()),
        MetricKind::Histogram(bounds) => {
            let ascending = bounds.is_sorted_by(|one, next| one < next);
            if bounds.len() > BOUNDS_MAX || !ascending || !bounds.iter().all(|at| at.is_finite()) {
                return invalid(format!(
                    "the bounds of `{name}` are at most {BOUNDS_MAX} numbers, each above the one before"
                ));
            }
            MetricKind::Histogram(bounds)
        }
        other => other,
    };
    labels.sort();
    if labels.len() > LABELS_MAX {
        return invalid(format!("`{name}` has more than {LABELS_MAX} labels"));
    }
    let of_the_host = ["plugin", "le"];
    for (index, (label, value)) in labels.iter().enumerate() {
        let twice = labels[..index].iter().any(|(before, _)| before == label);
        if !is_name(label) || of_the_host.contains(&label.as_str()) || twice {
            let shown: String = label.chars().take(NAME_BYTES_MAX).collect();
            return invalid(format!("`{shown}` cannot be a label of `{name}`"));
        }
        if value.len() > LABEL_VALUE_BYTES_MAX || value.contains(char::is_control) {
            return invalid(format!(
                "the label `{label}` of `{name}` has a value of more than {LABEL_VALUE_BYTES_MAX} bytes, or of more than one line"
            ));
        }
    }
    Ok((Family { name, kind, help }, labels))
}

fn is_name(name: &str) -> bool {
    name.len() <= NAME_BYTES_MAX
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}
