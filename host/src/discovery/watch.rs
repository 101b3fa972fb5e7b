//! Waits until a file may be another one: written in place, replaced by rename, created or removed.
//!
//! The directory is watched, so renames and new files are seen, those of links among them when they point within it (as a mounted
//! configuration of Kubernetes does). Whether the file changed is then told by size, modification time and file number, as `lifecycle`
//! does for the configuration.

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout, timeout_at};

/// Quiet time after an event, so that a file that is being written is read once and whole.
const SETTLE: Duration = Duration::from_millis(100);

/// The longest wait for quiet.
const SETTLE_MAX: Duration = Duration::from_secs(1);

/// What tells one state of a file from another; `None` is an absent one.
type Print = Option<(u64, Option<SystemTime>, u64)>;

pub(super) struct FileWatch {
    path: PathBuf,
    events: Arc<Notify>,
    /// `None` until the directory can be watched.
    watcher: Option<RecommendedWatcher>,
    print: Print,
}

impl FileWatch {
    /// From now on. Where the system cannot watch the directory, or there is none yet, that is tried again at each wait.
    pub(super) fn new(path: &Path) -> FileWatch {
        let events = Arc::new(Notify::new());
        FileWatch {
            watcher: watch(path, &events),
            path: path.to_owned(),
            events,
            print: print(path),
        }
    }

    /// Until the file is in another state than at the end of the last wait, or the time is over. Not cancel safe: a change may be lost.
    pub(super) async fn changed_within(&mut self, time: Duration) {
        if self.watcher.is_none() {
            self.watcher = watch(&self.path, &self.events);
        }
        let deadline = Instant::now() + time;
        while timeout_at(deadline, self.events.notified()).await.is_ok() {
            self.settle().await;
            if self.differs() {
                return;
            }
        }
        // The print precedes the look that follows, so what changes in between differs the next time.
        self.differs();
    }

    async fn settle(&self) {
        let quiet = async { while timeout(SETTLE, self.events.notified()).await.is_ok() {} };
        // Something else in the directory, a log perhaps, may never be quiet.
        let _ = timeout(SETTLE_MAX, quiet).await;
    }

    fn differs(&mut self) -> bool {
        let known = std::mem::replace(&mut self.print, print(&self.path));
        known != self.print
    }
}

fn watch(path: &Path, events: &Arc<Notify>) -> Option<RecommendedWatcher> {
    let events = events.clone();
    let handler = move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| !event.kind.is_access()) {
            events.notify_one();
        }
    };
    let mut watcher = notify::recommended_watcher(handler).ok()?;
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let watched = watcher.watch(directory, RecursiveMode::NonRecursive);
    // The file is looked at every few seconds all the same.
    watched.is_ok().then_some(watcher)
}

fn print(path: &Path) -> Print {
    let print = |file: Metadata| (file.len(), file.modified().ok(), file.ino());
    path.metadata().ok().map(print)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_directory_that_is_made_later_is_watched_from_then_on() {
        let directory = tempfile::tempdir().expect("a directory");
        let inner = directory.path().join("later");
        let path = inner.join("list.json");
        let mut watch = FileWatch::new(&path);
        std::fs::create_dir(&inner).expect("makes");
        watch.changed_within(Duration::ZERO).await;
        std::fs::write(&path, "[]").expect("writes");
        let changed = watch.changed_within(Duration::from_secs(3600));
        let noticed = timeout(Duration::from_secs(30), changed).await;
        assert!(noticed.is_ok());
    }
}
