//! The capabilities of `tollgate:plugin`: what each kind of plugin may import, and the host's side of it.

use std::sync::{Arc, OnceLock, Weak};
use std::time::{Instant, SystemTime};

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, WasmStr};

use super::balancer::EndpointTable;
use super::bindings::{Field, Level, PACKAGE, VERSION};
use super::grants::STORE;
use super::inspect::Kind;
use super::measure::Measure;
use super::metrics::METRICS;
use super::needs::check_field;
use super::state::HostState;

/// Most bytes of one `random.bytes`.
const RANDOM_BYTES_MAX: u32 = 4_096;
/// The interface that makes the host measure.
pub(super) const MEASURES: &str = "measures";

type Call<'a> = StoreContextMut<'a, HostState>;

/// The interfaces that a plugin of this kind may import, `types` included, which holds no function; those that are granted by name, too:
/// `grants.rs` decides about them.
pub(super) fn granted(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::HttpFilter | Kind::NetworkFilter => &[
            "types", "log", "clock", "random", "exchange", METRICS, STORE,
        ],
        Kind::Balancer => &[
            "types", "log", "clock", "random", "loads", MEASURES, METRICS, STORE,
        ],
    }
}

/// Defines them all; `component.rs` has refused by then what is not granted.
pub(super) fn link(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    link_log(linker)?;
    link_clock(linker)?;
    link_random(linker)?;
    link_exchange(linker)?;
    link_loads(linker)?;
    link_measures(linker)?;
    super::store::link(linker)?;
    super::metrics::link(linker)
}

pub(super) fn interface(name: &str) -> String {
    format!("{PACKAGE}/{name}@{VERSION}")
}

fn link_log(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    linker.instance(&interface("log"))?.func_wrap(
        "write",
        |mut call: Call<'_>, (level, message): (Level, WasmStr)| {
            let message = message.to_str(&call)?.into_owned();
            let state = call.data_mut();
            state.copied.host_call(0, message.len());
            state.log.write(level, &message);
            Ok(())
        },
    )
}

fn link_clock(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    let mut clock = linker.instance(&interface("clock"))?;
    clock.func_wrap("monotonic", |mut call: Call<'_>, (): ()| {
        call.data_mut().copied.host_call(0, 0);
        Ok((monotonic(),))
    })?;
    clock.func_wrap("wall", |mut call: Call<'_>, (): ()| {
        call.data_mut().copied.host_call(0, 0);
        Ok((nanoseconds(since_1970()),))
    })
}

/// Nanoseconds since the first plugin asked.
pub(super) fn monotonic() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    nanoseconds(START.get_or_init(Instant::now).elapsed())
}

/// A clock that stands before 1970 reads as 1970.
pub(super) fn since_1970() -> std::time::Duration {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}

fn nanoseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn link_random(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    let mut random = linker.instance(&interface("random"))?;
    random.func_wrap("number", |mut call: Call<'_>, (): ()| {
        let state = call.data_mut();
        state.copied.host_call(0, 0);
        Ok((state.random.u64(..),))
    })?;
    random.func_wrap("bytes", |mut call: Call<'_>, (length,): (u32,)| {
        let mut bytes = vec![0; length.min(RANDOM_BYTES_MAX) as usize];
        let state = call.data_mut();
        state.copied.host_call(bytes.len(), 0);
        state.random.fill(&mut bytes);
        Ok((bytes,))
    })
}

fn link_exchange(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    let mut exchange = linker.instance(&interface("exchange"))?;
    exchange.func_wrap("read", |mut call: Call<'_>, (field,): (Field,)| {
        // A name that no header can have is absent, as any header that is not there.
        let value = check_field(field)
            .ok()
            .and_then(|field| call.data().read(&field));
        let bytes = value.as_ref().map_or(0, Vec::len);
        call.data_mut().copied.host_call(bytes, 0);
        Ok((value,))
    })?;
    exchange.func_wrap("headers", |mut call: Call<'_>, (name,): (String,)| {
        let values = headers(call.data(), &name);
        let bytes = values.iter().map(Vec::len).sum();
        call.data_mut().copied.host_call(bytes, 0);
        Ok((values,))
    })?;
    exchange.func_wrap("names", |mut call: Call<'_>, (): ()| {
        let names = names(call.data());
        let bytes = names.iter().map(String::len).sum();
        call.data_mut().copied.host_call(bytes, 0);
        Ok((names,))
    })
}

fn headers(state: &HostState, name: &str) -> Vec<Vec<u8>> {
    let Some(exchange) = &state.exchange else {
        return Vec::new();
    };
    exchange
        .current_fields()
        .get_all(name.as_bytes())
        .map(<[u8]>::to_vec)
        .collect()
}

fn names(state: &HostState) -> Vec<String> {
    let lower = |name: &[u8]| String::from_utf8_lossy(name).to_ascii_lowercase();
    let Some(exchange) = &state.exchange else {
        return Vec::new();
    };
    exchange.current_fields().names().map(lower).collect()
}

fn link_loads(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    linker.instance(&interface("loads"))?.func_wrap(
        "pair",
        |mut call: Call<'_>, (first, second): (u32, u32)| {
            call.data_mut().copied.host_call(0, 0);
            let table = endpoints(call.data());
            let known = |index| known(call.data(), table.as_deref(), index);
            let load = |index| known(index).map_or(u32::MAX, |table| table.load(index));
            Ok((u64::from(load(first)) << 32 | u64::from(load(second)),))
        },
    )
}

fn link_measures(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    linker.instance(&interface(MEASURES))?.func_wrap(
        "read",
        |mut call: Call<'_>, (index,): (u32,)| {
            call.data_mut().copied.host_call(0, 0);
            let table = endpoints(call.data());
            let known = known(call.data(), table.as_deref(), index);
            let measure = known.map(|table| table.measure(index));
            Ok((measure.unwrap_or(Measure::UNAVAILABLE.packed()),))
        },
    )
}

/// The endpoints that a balancer has been told of, while anyone still has them.
fn endpoints(state: &HostState) -> Option<Arc<dyn EndpointTable>> {
    state.endpoints.as_ref().and_then(Weak::upgrade)
}

/// The table, if it has an endpoint of this index that the request of the current pick may go to.
fn known<'t>(
    state: &HostState,
    table: Option<&'t dyn EndpointTable>,
    index: u32,
) -> Option<&'t dyn EndpointTable> {
    let exists = table.filter(|table| (index as usize) < table.endpoints().len());
    exists.filter(|_| !state.refused.contains(&index))
}
