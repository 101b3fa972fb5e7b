//! The capability `metrics`: the host's side of the functions, on the plugin's own set.

use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, Linker, Lower};

use crate::observe::plugin_metrics::{BadUse, DefineError, Definition, MetricKind};

use super::fault::{Refusal, shard};
use super::imports::interface;
use super::state::HostState;

pub(super) const METRICS: &str = "metrics";

type Call<'a> = StoreContextMut<'a, HostState>;

/// As `wit/metrics.wit` has them.
#[derive(ComponentType, Lift, Clone, Debug)]
#[component(variant)]
enum Kind {
    #[component(name = "counter")]
    Counter,
    #[component(name = "gauge")]
    Gauge,
    #[component(name = "histogram")]
    Histogram(Vec<f64>),
}

#[derive(ComponentType, Lower, Clone, Debug)]
#[component(variant)]
enum Error {
    #[component(name = "full")]
    Full,
    #[component(name = "invalid")]
    Invalid(String),
}

type Asked = (String, Kind, String, Vec<(String, String)>);

pub(super) fn link(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    let mut metrics = linker.instance(&interface(METRICS))?;
    metrics.func_wrap("define", define)?;
    metrics.func_wrap("add", |call: Call<'_>, (series, amount): (u32, f64)| {
        used(call.data().metrics.add(series, amount, shard()))
    })?;
    metrics.func_wrap("set", |call: Call<'_>, (series, value): (u32, f64)| {
        used(call.data().metrics.set(series, value))
    })?;
    metrics.func_wrap("observe", |call: Call<'_>, (series, value): (u32, f64)| {
        used(call.data().metrics.observe(series, value, shard()))
    })
}

/// What is lifted here is bounded by wasmtime's limit on what one call may copy into the host.
fn define(
    call: Call<'_>,
    (name, kind, help, labels): Asked,
) -> wasmtime::Result<(Result<u32, Error>,)> {
    let kind = match kind {
        Kind::Counter => MetricKind::Counter,
        Kind::Gauge => MetricKind::Gauge,
        Kind::Histogram(bounds) => MetricKind::Histogram(bounds),
    };
    let defined = call.data().metrics.define(Definition {
        name,
        kind,
        help,
        labels,
    });
    Ok((defined.map_err(|error| match error {
        DefineError::Full => Error::Full,
        DefineError::Invalid(why) => Error::Invalid(why),
    }),))
}

fn used(found: Result<(), BadUse>) -> wasmtime::Result<()> {
    found.map_err(|bad| wasmtime::Error::new(Refusal(format!("metrics: {bad}").into())))
}
