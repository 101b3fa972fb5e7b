//! Notices that a watched file is another one now: changed in place, replaced by rename, created or removed.
//!
//! Directories are watched, so renames and new files are seen; whether something of interest changed is then told by size, modification time
//! and file number, so other files in the same directory cost a look at most ten times a second.

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::Notify;

/// Quiet time after an event, so that a file that is being written is read once and whole.
const SETTLE: Duration = Duration::from_millis(100);

/// The longest wait for quiet.
const SETTLE_MAX: Duration = Duration::from_secs(1);

/// What tells one state of a file from another: size, modification time, device file number; for a directory its entries.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Print {
    Absent,
    File(u64, Option<SystemTime>, u64),
    Directory(Vec<PathBuf>),
}

/// The files of interest.
pub(super) struct Watch {
    events: Arc<Notify>,
    watcher: Option<RecommendedWatcher>,
    directories: HashSet<PathBuf>,
    prints: BTreeMap<PathBuf, Print>,
}

impl Watch {
    /// Watches nothing yet. Where the system cannot watch files, that is said once and SIGHUP remains.
    pub(super) fn new() -> Watch {
        let events = Arc::new(Notify::new());
        let notified = events.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| !event.kind.is_access()) {
                notified.notify_one();
            }
        });
        let watcher = watcher
            .inspect_err(
                |error| tracing::warn!(%error, "files cannot be watched; SIGHUP still reloads"),
            )
            .ok();
        Watch {
            events,
            watcher,
            directories: HashSet::new(),
            prints: BTreeMap::new(),
        }
    }

    /// Replaces the set of watched paths. A path that is new is taken in the state that it has now; the others keep the state of the last
    /// look, since what was read after that look may be older than what is there by now.
    pub(super) fn files<'p>(&mut self, paths: impl Iterator<Item = &'p PathBuf>) {
        let known = std::mem::take(&mut self.prints);
        self.prints = paths
            .map(|path| {
                (
                    path.clone(),
                    known.get(path).cloned().unwrap_or_else(|| print(path)),
                )
            })
            .collect();
        let wanted: HashSet<PathBuf> = self.prints.keys().map(|path| directory_of(path)).collect();
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        for gone in self.directories.difference(&wanted) {
            // The directory itself may be gone, and its watch with it.
            let _ = watcher.unwatch(gone);
        }
        for new in wanted.difference(&self.directories) {
            if let Err(error) = watcher.watch(new, RecursiveMode::NonRecursive) {
                tracing::warn!(directory = %new.display(), %error, "directory cannot be watched");
            }
        }
        self.directories = wanted;
    }

    /// Until something happened in a watched directory and it has been quiet since, or for as long as is worth waiting. Cancel safe.
    pub(super) async fn changed(&self) {
        self.events.notified().await;
        let settled = async {
            while tokio::time::timeout(SETTLE, self.events.notified())
                .await
                .is_ok()
            {}
        };
        // Something else in the directory, a log perhaps, may never be quiet.
        let _ = tokio::time::timeout(SETTLE_MAX, settled).await;
    }

    /// Whether a watched path is in another state than when it was last looked at.
    pub(super) fn differs(&mut self) -> bool {
        let mut differs = false;
        for (path, known) in &mut self.prints {
            let now = print(path);
            differs |= now != *known;
            *known = now;
        }
        differs
    }
}

fn directory_of(path: &Path) -> PathBuf {
    if path.is_dir() {
        return path.to_owned();
    }
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn print(path: &Path) -> Print {
    use std::os::unix::fs::MetadataExt;
    let Ok(metadata) = path.metadata() else {
        return Print::Absent;
    };
    if !metadata.is_dir() {
        return Print::File(metadata.len(), metadata.modified().ok(), metadata.ino());
    }
    let mut entries: Vec<PathBuf> = path
        .read_dir()
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    entries.sort();
    Print::Directory(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn notices_changes_in_place_by_rename_and_removal_and_nothing_else() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("a.kdl");
        std::fs::write(&file, "1").expect("writes");
        let mut watch = Watch::new();
        watch.files([file.clone()].iter());

        std::fs::write(directory.path().join("other"), "x").expect("writes");
        watch.changed().await;
        assert!(!watch.differs());

        std::fs::write(&file, "22").expect("writes");
        watch.changed().await;
        assert!(watch.differs() && !watch.differs());

        let replacement = directory.path().join("a.new");
        std::fs::write(&replacement, "33").expect("writes");
        std::fs::rename(&replacement, &file).expect("renames");
        watch.changed().await;
        assert!(watch.differs());

        std::fs::remove_file(&file).expect("removes");
        watch.changed().await;
        assert!(watch.differs());
    }

    #[test]
    fn a_change_between_the_look_and_the_next_set_of_files_is_not_lost() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("a.kdl");
        std::fs::write(&file, "1").expect("writes");
        let mut watch = Watch::new();
        watch.files([file.clone()].iter());
        // A reload has read the file, which changes before the reload is through.
        std::fs::write(&file, "22").expect("writes");
        watch.files([file.clone()].iter());
        assert!(watch.differs());
    }
}
