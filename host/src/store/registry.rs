//! Stores by name.

use std::ops::Deref;
use std::sync::{Arc, LazyLock, Weak};

use dashmap::DashMap;

use super::{Backend, Limits, Memory};

/// Bounded by the stores that the generations alive name.
static OPEN: LazyLock<DashMap<Arc<str>, Weak<Store>>> = LazyLock::new(DashMap::new);

/// A store and its name; derefs to its [`Backend`].
#[derive(Debug)]
pub struct Store {
    name: Arc<str>,
    memory: Memory,
}

impl Store {
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Holds from the next new entry on.
    pub fn set_limits(&self, limits: Limits) {
        self.memory.set_limits(limits);
    }
}

impl Deref for Store {
    type Target = dyn Backend;

    fn deref(&self) -> &(dyn Backend + 'static) {
        &self.memory
    }
}

/// The store of this name: the one that someone still holds, with the limits that it has, or a new one with these.
pub fn open(name: &str, limits: Limits) -> Arc<Store> {
    OPEN.retain(|_, store| store.strong_count() > 0);
    let name: Arc<str> = name.into();
    let mut entry = OPEN.entry(name.clone()).or_default();
    if let Some(store) = entry.upgrade() {
        return store;
    }
    let memory = Memory::new(limits);
    let store = Arc::new(Store { name, memory });
    *entry = Arc::downgrade(&store);
    store
}
