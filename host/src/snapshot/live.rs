//! What a listener keeps across generations.

use dashmap::DashMap;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, LazyLock, Weak};

/// Bounded by the listeners of the generations alive.
static OPEN: LazyLock<DashMap<Arc<str>, Weak<AtomicU32>>> = LazyLock::new(DashMap::new);

/// The count of a listener's open connections: the existing one while any generation or connection holds it.
pub(super) fn open_connections(listener: &Arc<str>) -> Arc<AtomicU32> {
    OPEN.retain(|_, count| count.strong_count() > 0);
    let mut entry = OPEN.entry(listener.clone()).or_default();
    if let Some(count) = entry.upgrade() {
        return count;
    }
    let count = Arc::new(AtomicU32::new(0));
    *entry = Arc::downgrade(&count);
    count
}
