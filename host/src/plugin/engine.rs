//! The engine: how guests are compiled and run, and what has been loaded with it.

use std::any::Any;
use std::collections::HashMap;
use std::fs::{DirBuilder, File};
use std::io::Read;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use wasmtime::{
    Cache, CacheConfig, Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig,
};

use super::component::{Component, LoadError};
use super::inspect::inspect;
use super::state::TABLE_ELEMENTS_MAX;
use super::ticker::Ticker;

/// Largest component file.
const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// The stack of a guest. Rust guests bring their own in linear memory; this bounds calls, and recursion is caught in a third of a
/// millisecond.
const WASM_STACK_BYTES: usize = 512 * 1024;
/// How many instances of components may live at once, the most first: each reserves 4 GiB of addresses, of which a small machine or a
/// container may not have 16 TiB to give.
const POOL_SIZES: [u32; 4] = [4_000, 1_000, 100, 12];
/// Memory that a slot keeps when its instance goes, so that the next one need not fault it in.
const KEEP_RESIDENT_BYTES: usize = 128 * 1024;

/// What one call, and one instance, may spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Budgets {
    /// For one call of time that passes, not of time on the processor; at least this, at most 22 ms more. Default 10 ms.
    pub time_max: Duration,
    /// Linear memory of one instance in bytes. Default 64 MiB.
    pub memory_max: usize,
    /// Instances on one worker that serve one exchange each, for plugins that do. Default 256.
    pub instances_max: u32,
}

impl Default for Budgets {
    fn default() -> Budgets {
        Budgets {
            time_max: Duration::from_millis(10),
            memory_max: 64 * 1024 * 1024,
            instances_max: 256,
        }
    }
}

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    #[error("the WebAssembly engine cannot be set up: {0}")]
    Setup(String),
    /// Compiled code is run as it is found, so nobody else may be able to put it there.
    #[error("the folder for compiled plugins, {}, cannot be used: {why}", path.display())]
    CacheFolder { path: PathBuf, why: String },
    #[error("no thread for the plugin ticker")]
    Ticker(#[source] std::io::Error),
}

/// Compiles and runs plugins. Cheap to clone; all clones are the same engine.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

pub(super) struct Inner {
    wasmtime: wasmtime::Engine,
    pub(super) ticker: Ticker,
    components: Mutex<HashMap<[u8; 32], Weak<Component>>>,
    configured: Mutex<HashMap<Identity, Weak<dyn Any + Send + Sync>>>,
}

/// What makes two configured plugins the same, so that their warm instances and counters survive a reload.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    pub(super) component: [u8; 32],
    pub(super) settings: [u8; 32],
    pub(super) label: String,
    /// The cluster of a balancer; empty for filters.
    pub(super) owner: String,
    pub(super) budgets: Budgets,
    /// The names of the stores that it is granted.
    pub(super) stores: Vec<Arc<str>>,
}

impl Engine {
    /// Sets the engine up. With `cache_dir`, compiled code is kept there and found again by the next process; the folder must be
    /// writable by nobody else, since what lies in it is run.
    ///
    /// # Errors
    /// When the system cannot give what is needed, or the folder cannot be used.
    pub fn new(cache_dir: Option<PathBuf>) -> Result<Engine, EngineError> {
        if let Some(dir) = &cache_dir {
            claim(dir).map_err(|why| EngineError::CacheFolder {
                path: dir.clone(),
                why,
            })?;
        }
        let wasmtime = largest_that_fits(cache_dir.as_deref())
            .map_err(|error| EngineError::Setup(format!("{error:#}")))?;
        let ticker = Ticker::start(wasmtime.clone()).map_err(EngineError::Ticker)?;
        Ok(Engine(Arc::new(Inner {
            wasmtime,
            ticker,
            components: Mutex::default(),
            configured: Mutex::default(),
        })))
    }

    /// Loads a plugin from a file. Blocks while it compiles: not for an event loop.
    ///
    /// # Errors
    /// [`LoadError`] says why the file is not one that this host can run.
    pub fn load_file(&self, path: &Path) -> Result<Arc<Component>, LoadError> {
        let bytes = read(path)?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        self.load_bytes(&name, &bytes)
    }

    /// Loads a plugin; `name` stands in when it has no manifest. The same bytes give the same [`Component`] while it is in use anywhere.
    ///
    /// # Errors
    /// As [`Engine::load_file`].
    pub fn load_bytes(&self, name: &str, bytes: &[u8]) -> Result<Arc<Component>, LoadError> {
        let inspection = inspect(name, bytes)?;
        let digest = inspection.digest;
        if let Some(component) = lock(&self.0.components)
            .get(&digest)
            .and_then(Weak::upgrade)
        {
            return Ok(component);
        }
        let component = Arc::new(Component::compile(&self.0.wasmtime, inspection, bytes)?);
        let mut components = lock(&self.0.components);
        components.retain(|_, component| component.strong_count() > 0);
        components.insert(digest, Arc::downgrade(&component));
        Ok(component)
    }

    pub(super) fn inner(&self) -> &Arc<Inner> {
        &self.0
    }

    /// The plugin that was configured under this identity and is still in use.
    pub(super) fn configured<T: Any + Send + Sync>(&self, identity: &Identity) -> Option<Arc<T>> {
        lock(&self.0.configured)
            .get(identity)?
            .upgrade()?
            .downcast()
            .ok()
    }

    pub(super) fn remember<T: Any + Send + Sync>(&self, identity: Identity, plugin: &Arc<T>) {
        let weak: Weak<T> = Arc::downgrade(plugin);
        let mut configured = lock(&self.0.configured);
        configured.retain(|_, plugin| plugin.strong_count() > 0);
        configured.insert(identity, weak);
    }

    #[cfg(test)]
    pub(super) fn ticker_is_parked(&self) -> bool {
        self.0.ticker.is_parked()
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Engine")
    }
}

/// A panic while a map was held leaves it whole, so poisoning means nothing here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    let failed = |source| LoadError::Read {
        path: path.to_owned(),
        source,
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(LoadError::TooLarge {
            bytes_max: FILE_BYTES_MAX,
        });
    }
    Ok(bytes)
}

/// Makes the folder if it is not there, and sees that it is ours alone to write.
fn claim(dir: &Path) -> Result<(), String> {
    let failed = |error: std::io::Error| error.to_string();
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(failed)?;
    let facts = std::fs::metadata(dir).map_err(failed)?;
    if facts.uid() != rustix::process::geteuid().as_raw() {
        return Err("it belongs to another user".to_owned());
    }
    if facts.mode() & 0o022 != 0 {
        return Err("others may write to it".to_owned());
    }
    Ok(())
}

/// Where not even the smallest pool fits (a limit of addresses, as by `ulimit -v`, or a tool that has few of them), each instance gets its memory
/// when it starts, and its code checks bounds: slower, and right.
fn largest_that_fits(cache_dir: Option<&Path>) -> wasmtime::Result<wasmtime::Engine> {
    for size in POOL_SIZES {
        let mut config = config(cache_dir)?;
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(size)));
        if let Ok(engine) = wasmtime::Engine::new(&config) {
            return Ok(engine);
        }
    }
    tracing::warn!(
        target: "plugin",
        "few addresses are left to this process (see `ulimit -v`): plugins run without a pool of memories, slower"
    );
    let mut config = config(cache_dir)?;
    config.memory_reservation(0);
    wasmtime::Engine::new(&config)
}

fn config(cache_dir: Option<&Path>) -> wasmtime::Result<Config> {
    let mut config = Config::new();
    config.wasm_component_model(true);
    // Support for concurrent calls inside a component costs half a microsecond in each synchronous one.
    config.concurrency_support(false);
    config.epoch_interruption(true);
    config.max_wasm_stack(WASM_STACK_BYTES);
    if let Some(dir) = cache_dir {
        let mut cache = CacheConfig::new();
        cache.with_directory(dir);
        config.cache(Some(Cache::new(cache)?));
    }
    Ok(config)
}

/// A component takes one core instance and memory or, with the adapters of its toolchain, some four; dynamically linked ones (Python)
/// some forty core instances.
fn pool(instances: u32) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances);
    pool.total_memories(instances);
    pool.total_core_instances(instances * 4);
    pool.total_tables(instances * 4);
    pool.max_core_instances_per_component(64);
    pool.max_memories_per_component(4);
    pool.max_tables_per_component(64);
    pool.table_elements(TABLE_ELEMENTS_MAX);
    // Without the scan, slots would be cleared by writing over what they keep, which makes resident what never was.
    if PoolingAllocationConfig::is_pagemap_scan_available() {
        pool.pagemap_scan(Enabled::Yes);
        pool.linear_memory_keep_resident(KEEP_RESIDENT_BYTES);
    }
    pool
}
