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

    /// Every figure with its name and how it is written.
    fn figures(&self) -> Vec<(String, f64, fn(f64) -> String)> {
        let mut figures: Vec<(String, f64, fn(f64) -> String)> = vec![
            ("size".to_owned(), self.size_bytes as f64, size),
            ("compile".to_owned(), nanoseconds(self.compile), time),
            ("start".to_owned(), nanoseconds(self.start), time),
        ];
        // Where no case calls the plugin, no instance is kept.
        if self.memory_bytes > 0 {
            figures.push(("memory".to_owned(), self.memory_bytes as f64, size));
        }
        for phase in self.phases.iter().filter(|phase| phase.cases > 0) {
            let name = phase.name;
            figures.extend([
                (
                    name.to_owned(),
                    phase.nanoseconds_median,
                    time as fn(f64) -> String,
                ),
                (format!("{name} p99"), phase.nanoseconds_p99, time),
                (format!("{name} calls"), phase.calls_per_case, count),
            ]);
            if phase.calls_per_case > 0.0 {
                figures.extend([
                    (
                        format!("{name} host calls"),
                        phase.host_calls,
                        count as fn(f64) -> String,
                    ),
                    (format!("{name} bytes in"), phase.bytes_in, count),
                    (format!("{name} bytes out"), phase.bytes_out, count),
                ]);
            }
        }
        figures
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
    for (name, figure, shown) in new.figures() {
        text.push_str(&format!("{name:<22}{:>14}", shown(figure)));
        if let Some((_, was, _)) = before.iter().find(|(known, _, _)| *known == name) {
            let ratio = if *was == 0.0 {
                if figure == 0.0 {
                    "1.00".to_owned()
                } else {
                    "-".to_owned()
                }
            } else {
                format!("{:.2}", figure / was)
            };
            text.push_str(&format!("{:>14}{ratio:>9}", shown(*was)));
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
        let ratios = new.figures().into_iter().filter_map(|(name, figure, _)| {
            let (_, was, _) = before.iter().find(|(known, _, _)| *known == name)?;
            (*was != 0.0).then(|| (name, json!(figure / was)))
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
