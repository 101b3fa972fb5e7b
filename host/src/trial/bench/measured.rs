//! What was measured, for people and for programs; with another build beside it, the ratio of the two.

use std::time::Duration;

use serde_json::{Value, json};

use super::Meter;

/// A plugin, measured.
#[derive(Debug)]
pub(crate) struct Measured {
    /// As the component was given.
    pub(super) label: String,
    pub(super) version: String,
    pub(super) size_bytes: usize,
    /// To compile and link it.
    pub(super) compile: Duration,
    /// To start an instance and configure it.
    pub(super) start: Duration,
    /// The linear memory that instances came to, the largest; 0 where none was called.
    pub(super) memory_bytes: usize,
    pub(super) phases: Vec<Phase>,
    /// Names of the cases in which it faults.
    pub(super) left_out: Vec<String>,
}

/// One phase. Times are those of a case, whether or not the plugin was called in it; bytes and host calls those of a call.
#[derive(Debug)]
pub(super) struct Phase {
    name: &'static str,
    /// Cases that came to it.
    cases: u64,
    nanoseconds_median: f64,
    nanoseconds_p99: f64,
    calls_per_case: f64,
    host_calls: f64,
    bytes_in: f64,
    bytes_out: f64,
}

impl Phase {
    pub(super) fn of(name: &'static str, meter: Meter) -> Phase {
        let mut times = meter.nanoseconds;
        times.sort_unstable_by(f64::total_cmp);
        let percentile = |percent: usize| {
            let index = (times.len() * percent / 100).min(times.len().saturating_sub(1));
            times.get(index).copied().unwrap_or_default()
        };
        let calls = meter.used.calls;
        let of_call = |sum: u64| sum as f64 / calls.max(1) as f64;
        let usage = meter.used.usage;
        Phase {
            name,
            cases: meter.cases,
            nanoseconds_median: percentile(50),
            nanoseconds_p99: percentile(99),
            calls_per_case: calls as f64 / meter.cases.max(1) as f64,
            host_calls: of_call(usage.host_calls),
            bytes_in: of_call(usage.bytes_in),
            bytes_out: of_call(usage.bytes_out),
        }
    }

    fn to_json(&self) -> Value {
        json!({
            "phase": self.name,
            "cases": self.cases,
            "nanoseconds": self.nanoseconds_median,
            "nanoseconds_p99": self.nanoseconds_p99,
            "calls_per_case": self.calls_per_case,
            "host_calls_per_call": self.host_calls,
            "bytes_in_per_call": self.bytes_in,
            "bytes_out_per_call": self.bytes_out,
        })
    }
}

impl Measured {
    fn to_json(&self) -> Value {
        let phases = self.phases.iter().map(Phase::to_json);
        json!({
            "component": self.label,
            "version": self.version,
            "size_bytes": self.size_bytes,
            "compile_nanoseconds": nanoseconds(self.compile),
            "start_nanoseconds": nanoseconds(self.start),
            "memory_bytes": self.memory_bytes,
            "phases": phases.collect::<Vec<_>>(),
            "left_out": self.left_out,
        })
    }

    /// All figures that there are.
    fn figures(&self) -> Vec<Figure> {
        let mut figures = vec![
            Figure::new("size", self.size_bytes as f64, size),
            Figure::new("compile", nanoseconds(self.compile), time),
            Figure::new("start", nanoseconds(self.start), time),
        ];
        // Where no case calls the plugin, no instance is kept.
        if self.memory_bytes > 0 {
            figures.push(Figure::new("memory", self.memory_bytes as f64, size));
        }
        for phase in self.phases.iter().filter(|phase| phase.cases > 0) {
            let name = |what: &str| format!("{}{what}", phase.name);
            figures.extend([
                Figure::new(name(""), phase.nanoseconds_median, time),
                Figure::new(name(" p99"), phase.nanoseconds_p99, time),
                Figure::new(name(" calls"), phase.calls_per_case, count),
            ]);
            if phase.calls_per_case > 0.0 {
                figures.extend([
                    Figure::new(name(" host calls"), phase.host_calls, count),
                    Figure::new(name(" bytes in"), phase.bytes_in, count),
                    Figure::new(name(" bytes out"), phase.bytes_out, count),
                ]);
            }
        }
        figures
    }
}

/// One number, with its name and how it is written.
struct Figure {
    name: String,
    value: f64,
    written: fn(f64) -> String,
}

impl Figure {
    fn new(name: impl Into<String>, value: f64, written: fn(f64) -> String) -> Figure {
        let name = name.into();
        Figure {
            name,
            value,
            written,
        }
    }

    /// What it was before, if it was measured then.
    fn before(&self, old: &[Figure]) -> Option<f64> {
        let mut old = old.iter();
        old.find(|old| old.name == self.name).map(|old| old.value)
    }

    fn shown(&self, value: f64) -> String {
        (self.written)(value)
    }
}

/// A line for each figure; with `old`, its figure and the ratio beside.
pub(crate) fn to_text(new: &Measured, old: Option<&Measured>) -> String {
    let mut text = format!("{:<22}{:>14}", "", title(new));
    if let Some(old) = old {
        text.push_str(&format!("{:>14}{:>9}", title(old), "ratio"));
    }
    text.push('\n');
    let before = old.map(Measured::figures).unwrap_or_default();
    for figure in new.figures() {
        text.push_str(&format!(
            "{:<22}{:>14}",
            figure.name,
            figure.shown(figure.value)
        ));
        if let Some(was) = figure.before(&before) {
            let ratio = match was == 0.0 {
                true if figure.value == 0.0 => "1.00".to_owned(),
                true => "-".to_owned(),
                false => format!("{:.2}", figure.value / was),
            };
            text.push_str(&format!("{:>14}{ratio:>9}", figure.shown(was)));
        }
        text.push('\n');
    }
    for measured in [Some(new), old].into_iter().flatten() {
        for name in &measured.left_out {
            text.push_str(&format!(
                "left out of {}: `{name}`, in which it faults\n",
                measured.label
            ));
        }
    }
    text
}

pub(crate) fn to_json(new: &Measured, old: Option<&Measured>) -> String {
    let mut value = json!({ "new": new.to_json() });
    if let Some(old) = old {
        let before = old.figures();
        let ratios = new.figures().into_iter().filter_map(|figure| {
            let was = figure.before(&before).filter(|was| *was != 0.0)?;
            Some((figure.name, json!(figure.value / was)))
        });
        value["ratios"] = Value::Object(ratios.collect());
        value["old"] = old.to_json();
    }
    format!("{value:#}\n")
}

/// The end of the label, so that columns stay narrow.
fn title(measured: &Measured) -> String {
    let label = measured.label.rsplit('/').next().unwrap_or_default();
    let mut start = label.len().saturating_sub(13);
    while !label.is_char_boundary(start) {
        start += 1;
    }
    label[start..].to_owned()
}

fn nanoseconds(duration: Duration) -> f64 {
    duration.as_nanos() as f64
}

fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        short if short < 10_000.0 => format!("{short:.0} ns"),
        middle if middle < 10_000_000.0 => format!("{:.1} us", middle / 1e3),
        long => format!("{:.1} ms", long / 1e6),
    }
}

fn size(bytes: f64) -> String {
    match bytes {
        small if small < 10_240.0 => format!("{small:.0} B"),
        middle if middle < 10_485_760.0 => format!("{:.1} KiB", middle / 1024.0),
        large => format!("{:.1} MiB", large / 1_048_576.0),
    }
}

fn count(number: f64) -> String {
    match number.fract() == 0.0 {
        true => format!("{number:.0}"),
        false => format!("{number:.2}"),
    }
}
