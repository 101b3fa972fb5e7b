//! The live table of a cluster: which key is on which endpoint.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::key::Key;
use super::lru::Shard;

/// A power of two, far more than there are workers, so that two of them seldom meet.
const SHARDS: usize = 64;

/// How many shards' oldest entries are compared to find one to forget.
const SAMPLED: usize = 8;

/// How far the next search begins from the last. Odd, so that searches begin at every shard in turn and not only at some.
const SAMPLE_STRIDE: usize = 9;

/// How many entries a sweep removes while it holds a shard.
const SWEEP_BATCH_MAX: usize = 256;

/// The same for a table that is made smaller; few, so that shards shrink evenly.
const SHRINK_BATCH_MAX: usize = 16;

/// How often room is made for a new key that another thread then takes, before the key goes unremembered.
const ROOM_TRIES_MAX: usize = 16;

const SIZE_DEFAULT: u32 = 100_000;
const EXPIRY_DEFAULT: Duration = Duration::from_secs(30 * 60);

/// Which key is on which endpoint, shared by all workers. Live state of a cluster: it outlasts reloads.
///
/// Never holds more than `size` entries, however many threads add to it. For a new key in a full table, an entry is forgotten that was not
/// used for long: the oldest of the oldest entries of 8 of the 64 shards, which take turns. Keys spread over the shards at random, so this
/// comes as near to the least recently used as sampling does (Psounis and Prabhakar, "A randomized web-cache replacement scheme", INFOCOM
/// 2001; Redis, `maxmemory-samples`), and nearer, for each sample is the oldest of its shard. With 8 entries or fewer it is exact.
///
/// An entry expires when it was not used for `expiry`. It then counts until it is looked up, forgotten for a new key, or swept.
///
/// Every operation on one key locks one of 64 shards for constant time; looking up and refreshing allocate nothing. An entry with a
/// short key takes about 100 bytes. A key of more than 256 bytes is kept as the first 128 bits of its SHA-256. Time is tokio's.
#[derive(Debug)]
pub struct Table {
    shards: Box<[Mutex<Shard>]>,
    /// Keyed at random, so that nobody can choose keys for one shard.
    hasher: RandomState,
    made: Instant,
    /// At least 1.
    size: AtomicUsize,
    /// In nanoseconds.
    expiry: AtomicU64,
    /// Entries, and places taken for entries that are about to be added.
    taken: AtomicUsize,
    /// The shard at which the next search for the oldest begins.
    turn: AtomicUsize,
}

/// An entry, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// As the template made it; bytes that are not UTF-8 are replaced. A key of more than 256 bytes is `sha256:` and 32 hexadecimal digits.
    pub key_text: String,
    /// The endpoint's id.
    pub endpoint: Arc<str>,
    /// When it will be forgotten unless it is used.
    pub expires_in: Duration,
}

impl Default for Table {
    fn default() -> Table {
        Table::new()
    }
}

impl Table {
    /// An empty table for 100 000 entries that expire after 30 minutes.
    pub fn new() -> Table {
        Table {
            shards: (0..SHARDS).map(|_| Mutex::new(Shard::new())).collect(),
            hasher: RandomState::new(),
            made: Instant::now(),
            size: AtomicUsize::new(SIZE_DEFAULT as usize),
            expiry: AtomicU64::new(nanoseconds(EXPIRY_DEFAULT)),
            taken: AtomicUsize::new(0),
            turn: AtomicUsize::new(0),
        }
    }

    /// Sets how many entries are kept (0 counts as 1) and for how long after their last use; entries that are there are measured by it at
    /// once. With a smaller size the oldest are forgotten before this returns: some half a second for a million, in short holds of each shard.
    pub fn configure(&self, size: u32, expiry: Duration) {
        let size = (size as usize).max(1);
        self.size.store(size, Ordering::Relaxed);
        self.expiry.store(nanoseconds(expiry), Ordering::Relaxed);
        let mut is_smaller = false;
        loop {
            let excess = self.len().saturating_sub(size);
            if excess == 0 || !self.forget_oldest(excess.min(SHRINK_BATCH_MAX)) {
                break;
            }
            is_smaller = true;
        }
        if is_smaller {
            self.shards.iter().for_each(|shard| lock(shard).shrink());
        }
    }

    /// The endpoint that a key is on. Counts as a use.
    pub fn get(&self, key: &[u8]) -> Option<Arc<str>> {
        self.find(&Key::of(key), Arc::clone)
    }

    /// Remembers that a key is on an endpoint; counts as a use.
    pub fn set(&self, key: &[u8], endpoint: &str) {
        self.set_key(&Key::of(key), endpoint);
    }

    /// Number of entries, those included that have expired and were not swept yet.
    pub fn len(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// At most `limit` entries that have not expired, in no order. Each shard is seen at a moment of its own.
    pub fn entries(&self, limit: usize) -> Vec<Entry> {
        let (now, expiry) = (self.now(), self.expiry());
        let mut entries = Vec::new();
        for shard in &self.shards {
            let shard = lock(shard);
            let live = shard.entries().iter().filter_map(|slot| {
                let left = expiry.saturating_sub(now.saturating_sub(slot.used));
                (left > 0).then(|| Entry {
                    key_text: slot.key.text(),
                    endpoint: Arc::clone(&slot.endpoint),
                    expires_in: Duration::from_nanos(left),
                })
            });
            let wanted = limit - entries.len();
            entries.extend(live.take(wanted));
        }
        entries
    }

    /// Forgets every key that is on an endpoint; answers how many. Walks the whole table, shard by shard.
    pub fn forget_endpoint(&self, id: &str) -> usize {
        let removed_of = |shard| {
            let removed = lock(shard).remove_endpoint(id);
            self.taken.fetch_sub(removed, Ordering::Relaxed);
            removed
        };
        self.shards.iter().map(removed_of).sum()
    }

    /// Forgets what has expired by `now`; answers how many. Costs nothing for what has not, so call it as often as memory shall come back:
    /// once a minute, say.
    pub fn sweep(&self, now: Instant) -> usize {
        let now = nanoseconds(now.saturating_duration_since(self.made));
        match now.checked_sub(self.expiry()) {
            Some(limit) => self
                .shards
                .iter()
                .map(|shard| self.sweep_shard(shard, limit))
                .sum(),
            None => 0,
        }
    }

    /// What `f` makes of the endpoint that a key is on. Counts as a use. `f` runs while a shard is locked: it must be short and not come back.
    pub(super) fn find<T>(&self, key: &Key, f: impl FnOnce(&Arc<str>) -> T) -> Option<T> {
        let (now, hash) = (self.now(), self.hasher.hash_one(key));
        let mut shard = lock(self.shard(hash));
        let place = shard.find(hash, key)?;
        if now.saturating_sub(shard.slot(place).used) >= self.expiry() {
            shard.remove(place);
            self.taken.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        shard.touch(place, now);
        Some(f(&shard.slot(place).endpoint))
    }

    /// As [`Table::set`].
    pub(super) fn set_key(&self, key: &Key, endpoint: &str) {
        let (now, hash) = (self.now(), self.hasher.hash_one(key));
        let is_known = update(&mut lock(self.shard(hash)), hash, key, endpoint, now);
        if is_known || !self.take_room() {
            return;
        }
        let mut shard = lock(self.shard(hash));
        // Another thread may have added it meanwhile.
        if update(&mut shard, hash, key, endpoint, now) {
            self.taken.fetch_sub(1, Ordering::Relaxed);
        } else {
            shard.insert(hash, key.clone(), endpoint, now);
        }
    }

    /// Takes the place of one entry, if need be from another; says whether it could. It cannot when other threads take every place that
    /// is freed, in a table of hardly more places than threads.
    fn take_room(&self) -> bool {
        for _ in 0..ROOM_TRIES_MAX {
            let size = self.size.load(Ordering::Relaxed);
            let one_more = |taken: usize| (taken < size).then_some(taken + 1);
            let update = self
                .taken
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
            if update.is_ok() {
                return true;
            }
            self.forget_oldest(1);
        }
        false
    }

    /// Forgets up to `batch` entries of the shard that, of the next few, has the oldest; but none that is newer than the oldest of another.
    /// Says whether there was one.
    fn forget_oldest(&self, batch: usize) -> bool {
        let first = self.turn.fetch_add(SAMPLE_STRIDE, Ordering::Relaxed);
        let shards = (0..SHARDS).map(|step| &self.shards[first.wrapping_add(step) % SHARDS]);
        let samples = shards
            .filter_map(|shard| lock(shard).oldest_use().map(|used| (used, shard)))
            .take(SAMPLED);
        let (mut oldest, mut limit) = (None, u64::MAX);
        for (used, shard) in samples {
            match oldest {
                Some((least, _)) if used >= least => limit = limit.min(used),
                _ => {
                    limit = oldest.map_or(limit, |(least, _)| least);
                    oldest = Some((used, shard));
                }
            }
        }
        oldest
            .map(|(_, shard)| self.remove_oldest(shard, batch, limit))
            .is_some()
    }

    fn sweep_shard(&self, shard: &Mutex<Shard>, limit: u64) -> usize {
        let mut removed = 0;
        loop {
            let batch = self.remove_oldest(shard, SWEEP_BATCH_MAX, limit);
            removed += batch;
            if batch < SWEEP_BATCH_MAX {
                return removed;
            }
        }
    }

    /// Removes up to `batch` entries, last used at `limit` or before; answers how many.
    fn remove_oldest(&self, shard: &Mutex<Shard>, batch: usize, limit: u64) -> usize {
        let mut shard = lock(shard);
        let removed = (0..batch)
            .take_while(|_| shard.remove_oldest(limit))
            .count();
        self.taken.fetch_sub(removed, Ordering::Relaxed);
        removed
    }

    /// Not by the bits that the index within the shard uses first: the lowest and the highest.
    fn shard(&self, hash: u64) -> &Mutex<Shard> {
        &self.shards[(hash >> 32) as usize % SHARDS]
    }

    fn now(&self) -> u64 {
        nanoseconds(self.made.elapsed())
    }

    fn expiry(&self) -> u64 {
        self.expiry.load(Ordering::Relaxed)
    }
}

/// Sets the endpoint of a key that is there; says whether it was.
fn update(shard: &mut Shard, hash: u64, key: &Key, endpoint: &str, now: u64) -> bool {
    let Some(place) = shard.find(hash, key) else {
        return false;
    };
    shard.touch(place, now);
    shard.assign(place, endpoint);
    true
}

/// A thread that panicked while it held a shard left it whole: nothing in there runs code of others half-way.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Of durations beyond 584 years, that.
fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
