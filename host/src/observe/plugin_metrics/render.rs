//! Metrics as they are shown: text for Prometheus, JSON for everything else.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};

use super::series::{Reading, Series};
use super::{MetricKind, PluginMetrics, all};

/// Of what [`render`] writes.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PREFIX: &str = "tollgate_plugin";

/// Every plugin's metrics in the text form of OpenMetrics, which Prometheus reads.
pub fn render() -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Shown(all())));
    let mut text = String::new();
    text::encode(&mut text, &registry).expect("a string takes all that is written to it");
    text
}

/// One plugin's metrics as an array; none when no such plugin is in use.
pub fn report(plugin: &str) -> Option<Value> {
    let all = all();
    let metrics = all.iter().find(|metrics| &*metrics.plugin == plugin)?;
    Some(metrics.all_series().map(as_json).collect())
}

fn as_json(series: &Series) -> Value {
    let labels: serde_json::Map<_, _> = series
        .labels
        .iter()
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect();
    let family = &series.family;
    let mut shown = json!({
        "name": family.name,
        "kind": word(&family.kind),
        "help": family.help,
        "labels": labels,
    });
    match series.read() {
        Reading::Number(value) => shown["value"] = json!(value),
        Reading::Histogram { sum, counts } => {
            shown["count"] = json!(counts.iter().map(|(_, count)| count).sum::<u64>());
            shown["sum"] = json!(sum);
            let bucket = |(bound, count): &(f64, u64)| match bound.is_finite() {
                true => json!({ "to": bound, "count": count }),
                false => json!({ "to": null, "count": count }),
            };
            shown["buckets"] = counts.iter().map(bucket).collect();
        }
    }
    shown
}

#[derive(Debug)]
struct Shown(Vec<Arc<PluginMetrics>>);

/// Plugins that gave a name the same kind share its family, whose help is the first one's by the plugin's name.
type Families<'a> = BTreeMap<(&'a str, &'static str), Vec<(&'a str, &'a Series)>>;

impl Collector for Shown {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let mut families = Families::new();
        for metrics in &self.0 {
            for series in metrics.all_series() {
                let key = (series.family.name.as_str(), word(&series.family.kind));
                let family = families.entry(key).or_default();
                family.push((&metrics.plugin, series));
            }
        }
        let mut before = "";
        for ((name, kind), series) in &families {
            // Two plugins may disagree about the kind of a name; the text form cannot. Those after the first get theirs into the name.
            let shown = match *name == before {
                true => format!("{PREFIX}_{name}_{kind}"),
                false => format!("{PREFIX}_{name}"),
            };
            before = name;
            encode_family(&mut encoder, &shown, series)?;
        }
        Ok(())
    }
}

fn encode_family(
    encoder: &mut DescriptorEncoder,
    name: &str,
    all: &[(&str, &Series)],
) -> fmt::Result {
    let Some((_, first)) = all.first() else {
        return Ok(());
    };
    let help = first.family.help.replace('\\', "\\\\");
    let kind = metric_type(&first.family.kind);
    let mut encoder = encoder.encode_descriptor(name, &help, None, kind)?;
    for (plugin, series) in all {
        let own = series
            .labels
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let labels: Vec<(&str, &str)> = [("plugin", *plugin)].into_iter().chain(own).collect();
        let mut encoder = encoder.encode_family(&labels)?;
        match series.read() {
            Reading::Number(value) if series.family.kind == MetricKind::Counter => {
                encoder.encode_counter(&value, None::<&Exemplar<Vec<(&str, &str)>, f64>>)?;
            }
            Reading::Number(value) => encoder.encode_gauge(&value)?,
            Reading::Histogram { sum, counts } => {
                let count = counts.iter().map(|(_, count)| count).sum();
                encoder.encode_histogram::<Vec<(&str, &str)>>(sum, count, &counts, None)?;
            }
        }
    }
    Ok(())
}

/// The word for it, which also sorts.
fn word(kind: &MetricKind) -> &'static str {
    match kind {
        MetricKind::Counter => "counter",
        MetricKind::Gauge => "gauge",
        MetricKind::Histogram(_) => "histogram",
    }
}

fn metric_type(kind: &MetricKind) -> MetricType {
    match kind {
        MetricKind::Counter => MetricType::Counter,
        MetricKind::Gauge => MetricType::Gauge,
        MetricKind::Histogram(_) => MetricType::Histogram,
    }
}
