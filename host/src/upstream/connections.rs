//! The upstream connections of a cluster, idle ones included, over all workers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// How many there are, and how many there may be.
#[derive(Debug)]
pub struct Connections {
    count: AtomicU32,
    most: AtomicU32,
}

impl Default for Connections {
    fn default() -> Self {
        Connections {
            count: AtomicU32::new(0),
            most: AtomicU32::new(u32::MAX),
        }
    }
}

impl Connections {
    /// How many there are now.
    pub fn count(&self) -> u32 {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether there are as many as there may be.
    pub(super) fn is_crowded(&self) -> bool {
        self.count() >= self.most.load(Ordering::Relaxed)
    }

    pub(super) fn set_most(&self, most: Option<u32>) {
        self.most.store(most.unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    /// One more, unless there are as many as there may be.
    pub(super) fn take(self: &Arc<Self>) -> Option<ConnectionOfCluster> {
        let most = self.most.load(Ordering::Relaxed);
        let taken = self
            .count
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
                (count < most).then_some(count + 1)
            });
        taken.ok().map(|_| ConnectionOfCluster(self.clone()))
    }
}

/// One of them; no more when dropped.
#[derive(Debug)]
pub(super) struct ConnectionOfCluster(Arc<Connections>);

impl ConnectionOfCluster {
    pub(super) fn is_of(&self, connections: &Arc<Connections>) -> bool {
        Arc::ptr_eq(&self.0, connections)
    }

    /// Whether there are as many as there may be.
    pub(super) fn is_crowded(&self) -> bool {
        self.0.is_crowded()
    }
}

impl Drop for ConnectionOfCluster {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_as_there_may_be() {
        let connections: Arc<Connections> = Arc::default();
        let first = connections.take().expect("no limit");
        assert!(!first.is_crowded());
        connections.set_most(Some(1));
        assert!(first.is_crowded() && connections.take().is_none());
        drop(first);
        assert_eq!(connections.count(), 0);
        assert!(connections.take().is_some());
    }
}
