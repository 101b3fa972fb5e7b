//! The capability `store`: the host's side of the functions, on the stores that the plugin was granted. What they do is in the room of the store.

use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Linker, Lower, WasmList, WasmStr};

use crate::store::{self, BucketLimit, Store, WindowLimit};

use super::fault::Refusal;
use super::grants::STORE;
use super::imports::{interface, monotonic};
use super::state::HostState;

/// Of a store's name that was not granted: as long as one can be in a configuration.
const NAME_CHARS_SHOWN: usize = 128;

type Call<'a> = StoreContextMut<'a, HostState>;
type Answer<T> = wasmtime::Result<(Result<T, StoreError>,)>;

/// As `wit/store.wit` has it.
#[derive(ComponentType, Lower, Clone, Debug)]
#[component(variant)]
enum StoreError {
    #[component(name = "full")]
    Full,
    #[component(name = "too-large")]
    TooLarge,
    #[component(name = "wrong-type")]
    WrongType,
    #[component(name = "unavailable")]
    Unavailable(String),
}

#[derive(ComponentType, Lower, Clone, Copy, Debug)]
#[component(record)]
struct Admission {
    allowed: bool,
    remaining: u64,
    #[component(name = "retry-after")]
    retry_after: u64,
    reset: u64,
}

pub(super) fn link(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    let mut store = linker.instance(&interface(STORE))?;
    store.func_wrap("names", |call: Call<'_>, (): ()| {
        let stores = call.data().grants.stores().iter();
        let names: Vec<String> = stores.map(|store| store.name().to_string()).collect();
        Ok((names,))
    })?;
    store.func_wrap("get", |call: Call<'_>, (name, key): (WasmStr, Bytes)| {
        let store = granted(&call, &name)?;
        answer(store.get(key.as_le_slice(&call), monotonic()))
    })?;
    store.func_wrap("set", set)?;
    store.func_wrap("remove", |call: Call<'_>, (name, key): (WasmStr, Bytes)| {
        let store = granted(&call, &name)?;
        answer(store.remove(key.as_le_slice(&call), monotonic()))
    })?;
    store.func_wrap("swap", swap)?;
    store.func_wrap("add", add)?;
    store.func_wrap("touch", touch)?;
    store.func_wrap("window", window)?;
    store.func_wrap("bucket", bucket)
}

/// Bytes in the guest's memory, of which nothing is copied before they are known to be short enough.
type Bytes = WasmList<u8>;

fn set(call: Call<'_>, (name, key, value, ttl): (WasmStr, Bytes, Bytes, u64)) -> Answer<()> {
    let store = granted(&call, &name)?;
    let (key, value) = (key.as_le_slice(&call), value.as_le_slice(&call));
    answer(store.set(key, value, ttl, monotonic()))
}

fn swap(
    call: Call<'_>,
    (name, key, expected, value, ttl): (WasmStr, Bytes, Option<Bytes>, Bytes, u64),
) -> Answer<bool> {
    let store = granted(&call, &name)?;
    let (key, value) = (key.as_le_slice(&call), value.as_le_slice(&call));
    let expected = expected.as_ref().map(|bytes| bytes.as_le_slice(&call));
    answer(store.swap(key, expected, value, ttl, monotonic()))
}

fn add(call: Call<'_>, (name, key, amount, ttl): (WasmStr, Bytes, i64, u64)) -> Answer<i64> {
    let store = granted(&call, &name)?;
    answer(store.add(key.as_le_slice(&call), amount, ttl, monotonic()))
}

fn touch(call: Call<'_>, (name, key, ttl): (WasmStr, Bytes, u64)) -> Answer<bool> {
    let store = granted(&call, &name)?;
    answer(store.touch(key.as_le_slice(&call), ttl, monotonic()))
}

fn window(
    call: Call<'_>,
    (name, key, limit, window, cost): (WasmStr, Bytes, u64, u64, u64),
) -> Answer<Admission> {
    let store = granted(&call, &name)?;
    if window == 0 {
        return Err(refusal("a window has to last"));
    }
    let limit = WindowLimit { limit, window };
    let found = store.window(key.as_le_slice(&call), &limit, cost, monotonic());
    answer(found.map(admission))
}

fn bucket(
    call: Call<'_>,
    (name, key, capacity, refill, interval, cost): (WasmStr, Bytes, u64, u64, u64, u64),
) -> Answer<Admission> {
    let store = granted(&call, &name)?;
    if refill == 0 || interval == 0 {
        return Err(refusal("a bucket has to be filled"));
    }
    let limit = BucketLimit {
        capacity,
        refill,
        interval,
    };
    let found = store.bucket(key.as_le_slice(&call), &limit, cost, monotonic());
    answer(found.map(admission))
}

/// The store of this name. Borrowed from the instance's own grants, so that no count goes up and down that all workers share.
fn granted<'c>(call: &'c Call<'_>, name: &WasmStr) -> wasmtime::Result<&'c Store> {
    let name = name.to_str(call)?;
    let store = call.data().grants.store(&name);
    store.map(|store| &**store).ok_or_else(|| {
        let label = call.data().log.label();
        // The guest's own words go into the log: not all of them, and none that steer a terminal.
        let name: String = name.chars().take(NAME_CHARS_SHOWN).collect();
        let name = name.escape_debug().to_string();
        let line = super::grant_line(STORE, &name);
        refusal(format!(
            "`{label}` is not granted the store `{name}`; the line that grants it: {line}"
        ))
    })
}

fn answer<T>(found: Result<T, store::StoreError>) -> Answer<T> {
    Ok((found.map_err(|error| match error {
        store::StoreError::Full => StoreError::Full,
        store::StoreError::TooLarge => StoreError::TooLarge,
        store::StoreError::WrongType => StoreError::WrongType,
        store::StoreError::Unavailable(why) => StoreError::Unavailable(why),
    }),))
}

fn admission(found: store::Admission) -> Admission {
    Admission {
        allowed: found.allowed,
        remaining: found.remaining,
        retry_after: found.retry_after,
        reset: found.reset,
    }
}

fn refusal(words: impl Into<std::borrow::Cow<'static, str>>) -> wasmtime::Error {
    wasmtime::Error::new(Refusal(words.into()))
}
