//! The store in memory: shards of dense maps, bounded by entries and bytes over all of them.
//!
//! Nothing runs by a timer. An expired entry is not seen any more, and its room comes back when it is met: each new entry looks at a few of
//! its shard, in turn, and where the store is full, at more of all shards. The shards are `IndexMap`s, not `DashMap`s, since only a dense
//! map can be looked through a few entries at a time.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use indexmap::IndexMap;
use xxhash_rust::xxh3::xxh3_64;

use super::rate::{Bucket, Window};
use super::{
    Admission, Backend, BucketLimit, KEY_BYTES_MAX, Now, StoreError, TimeToLive, VALUE_BYTES_MAX,
    WindowLimit,
};

/// More than workers, so that they seldom meet in one.
const SHARDS: usize = 64;
/// Bytes that an entry is counted with beyond its key and value: some 110 in the map, a part of what a growing map keeps free, and the
/// allocations of key and value.
const ENTRY_BYTES: u64 = 192;
/// Entries that a new one looks at for expired ones. Two, so that a shard shrinks while new keys come.
const LOOKED_AT: usize = 2;
/// Entries that a new one looks at where the store is full, over all shards and twice. What this misses is met by those that come next.
const LOOKED_AT_FULL: usize = 256;
/// Expires never, and goes first when room is needed.
const NEVER: Now = Now::MAX;

/// What a store may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub entries_max: u64,
    /// Keys, values and 192 bytes an entry.
    pub bytes_max: u64,
}

/// Keys and values of this process.
pub struct Memory {
    shards: Box<[Mutex<Shard>]>,
    entries: AtomicU64,
    bytes: AtomicU64,
    entries_max: AtomicU64,
    bytes_max: AtomicU64,
    /// The shard that is looked through next when the store is full.
    turn: AtomicUsize,
}

/// The map hashes with a key of the process's own, so that nobody can choose keys that fall together.
#[derive(Debug, Default)]
struct Shard {
    map: IndexMap<Box<[u8]>, Entry>,
    /// The position that is looked at next.
    hand: usize,
}

#[derive(Debug)]
struct Entry {
    value: Value,
    expires: Now,
}

#[derive(Debug, PartialEq)]
enum Value {
    Bytes(Box<[u8]>),
    Counter(i64),
    Window(Window),
    Bucket(Bucket),
}

impl Memory {
    pub fn new(limits: Limits) -> Memory {
        let memory = Memory {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            entries: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            entries_max: AtomicU64::new(0),
            bytes_max: AtomicU64::new(0),
            turn: AtomicUsize::new(0),
        };
        memory.set_limits(limits);
        memory
    }

    /// Holds from the next new entry on; what is there stays.
    pub fn set_limits(&self, limits: Limits) {
        self.entries_max.store(limits.entries_max, Relaxed);
        self.bytes_max.store(limits.bytes_max, Relaxed);
    }

    /// The shard of a key. A panic while it was held leaves a map whole, so poisoning means nothing here.
    fn shard(&self, key: &[u8]) -> MutexGuard<'_, Shard> {
        self.shard_at(xxh3_64(key) as usize % SHARDS)
    }

    fn shard_at(&self, index: usize) -> MutexGuard<'_, Shard> {
        self.shards[index]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at what is there and perhaps changes it in place. `change` answers whether the entry is to stay.
    fn change<T>(
        &self,
        key: &[u8],
        now: Now,
        change: impl FnOnce(&mut Entry) -> Result<(T, Stay), StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let mut shard = self.shard(key);
        let Some((index, _, entry)) = shard.map.get_full_mut(key) else {
            return Ok(None);
        };
        if entry.expires <= now {
            self.drop_at(&mut shard, index);
            return Ok(None);
        }
        let (answer, stay) = change(entry)?;
        if stay == Stay::No {
            self.drop_at(&mut shard, index);
        }
        Ok(Some(answer))
    }

    fn drop_at(&self, shard: &mut Shard, index: usize) {
        if let Some((key, entry)) = shard.map.swap_remove_index(index) {
            self.give_back(Room::of(cost(&key, &entry.value)));
        }
    }

    /// Puts an entry where `may` (what is there now, if anything) says so.
    fn put(
        &self,
        key: &[u8],
        value: Value,
        expires: Now,
        now: Now,
        may: impl Fn(Option<&Value>) -> Result<bool, StoreError>,
    ) -> Result<bool, StoreError> {
        let wanted = cost(key, &value);
        let mut held = Room::default();
        // Bounded: goes round again only after it has got more room, and others took or gave up this key meanwhile.
        loop {
            let mut shard = self.shard(key);
            self.look_at(&mut shard, LOOKED_AT, now, Victims::Expired);
            let there = shard.map.get(key);
            let replaced = there.map_or(Room::default(), |entry| Room::of(cost(key, &entry.value)));
            let there = there.filter(|entry| entry.expires > now);
            match may(there.map(|entry| &entry.value)) {
                Ok(true) => {}
                refused => {
                    self.give_back(held);
                    return refused;
                }
            }
            let needed = Room::of(wanted).beyond(replaced).beyond(held);
            if self.take(needed) {
                shard.map.insert(key.into(), Entry { value, expires });
                self.give_back(held.beyond(Room::of(wanted).beyond(replaced)));
                self.give_back(replaced.beyond(Room::of(wanted)));
                return Ok(true);
            }
            drop(shard);
            if let Err(full) = self.make_room(needed, now) {
                self.give_back(held);
                return Err(full);
            }
            held = held.and(needed);
        }
    }

    /// Takes room, dropping entries where there is none.
    fn make_room(&self, needed: Room, now: Now) -> Result<(), StoreError> {
        for victims in [Victims::Expired, Victims::Lasting] {
            let mut left = LOOKED_AT_FULL;
            // Bounded by the shards, each once.
            for _ in 0..SHARDS {
                let index = self.turn.fetch_add(1, Relaxed) % SHARDS;
                let mut shard = self.shard_at(index);
                let looked_at = left.min(shard.map.len());
                left -= looked_at;
                // One at a time, so that no more goes than must.
                for _ in 0..looked_at {
                    let dropped = self.look_at(&mut shard, 1, now, victims);
                    if dropped > 0 && self.take(needed) {
                        return Ok(());
                    }
                }
                if left == 0 {
                    break;
                }
            }
        }
        Err(StoreError::Full)
    }

    /// Drops what may go among the next `count` entries of the shard; all of them are looked at.
    fn look_at(&self, shard: &mut Shard, count: usize, now: Now, victims: Victims) -> usize {
        let mut dropped = 0;
        for _ in 0..count.min(shard.map.len()) {
            if shard.hand >= shard.map.len() {
                shard.hand = 0;
            }
            let Some((_, entry)) = shard.map.get_index(shard.hand) else {
                break;
            };
            let goes =
                entry.expires <= now || victims == Victims::Lasting && entry.expires == NEVER;
            if goes {
                // The last entry comes to this position, and is looked at next.
                self.drop_at(shard, shard.hand);
                dropped += 1;
            } else {
                shard.hand += 1;
            }
        }
        dropped
    }

    fn take(&self, room: Room) -> bool {
        let (entries_max, bytes_max) =
            (self.entries_max.load(Relaxed), self.bytes_max.load(Relaxed));
        if !take(&self.entries, room.entries, entries_max) {
            return false;
        }
        if !take(&self.bytes, room.bytes, bytes_max) {
            self.entries.fetch_sub(room.entries, Relaxed);
            return false;
        }
        true
    }

    fn give_back(&self, room: Room) {
        self.entries.fetch_sub(room.entries, Relaxed);
        self.bytes.fetch_sub(room.bytes, Relaxed);
    }

    /// As [`Memory::put`] for counts: makes the entry where there is none, after `change` was told that.
    fn count<T>(
        &self,
        key: &[u8],
        now: Now,
        mut change: impl FnMut(&mut Entry) -> Result<(T, Stay), StoreError>,
        new: impl Fn() -> Entry,
    ) -> Result<T, StoreError> {
        check_key(key)?;
        // Bounded: goes round again only when another worker put or dropped the entry in between.
        loop {
            if let Some(answer) = self.change(key, now, &mut change)? {
                return Ok(answer);
            }
            let mut entry = new();
            let (answer, stay) = change(&mut entry)?;
            if stay == Stay::No {
                return Ok(answer);
            }
            if self.put(key, entry.value, entry.expires, now, |there| {
                Ok(there.is_none())
            })? {
                return Ok(answer);
            }
        }
    }
}

/// Entries and bytes.
#[derive(Clone, Copy, Default)]
struct Room {
    entries: u64,
    bytes: u64,
}

impl Room {
    fn of(bytes: u64) -> Room {
        Room { entries: 1, bytes }
    }

    /// What is missing when there is `other` already.
    fn beyond(self, other: Room) -> Room {
        Room {
            entries: self.entries.saturating_sub(other.entries),
            bytes: self.bytes.saturating_sub(other.bytes),
        }
    }

    fn and(self, other: Room) -> Room {
        Room {
            entries: self.entries + other.entries,
            bytes: self.bytes + other.bytes,
        }
    }
}

/// Nothing more is always there, even above the limit: it may have been lowered.
fn take(taken: &AtomicU64, more: u64, max: u64) -> bool {
    let sum = |taken: u64| taken.checked_add(more).filter(|sum| *sum <= max);
    more == 0 || taken.fetch_update(Relaxed, Relaxed, sum).is_ok()
}

/// What is in it is of no concern to whoever prints what holds it.
impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (entries, bytes) = self.size();
        f.debug_struct("Memory")
            .field("entries", &entries)
            .field("bytes", &bytes)
            .finish_non_exhaustive()
    }
}

/// What may be dropped to make room.
#[derive(Clone, Copy, PartialEq)]
enum Victims {
    Expired,
    /// Those without a time to live too.
    Lasting,
}

/// Whether an entry is worth keeping.
#[derive(Clone, Copy, PartialEq)]
enum Stay {
    Yes,
    No,
}

impl Backend for Memory {
    fn get(&self, key: &[u8], now: Now) -> Result<Option<Vec<u8>>, StoreError> {
        check_key(key)?;
        self.change(key, now, |entry| {
            let value = match &entry.value {
                Value::Bytes(value) => value.to_vec(),
                Value::Counter(count) => count.to_string().into_bytes(),
                Value::Window(_) | Value::Bucket(_) => return Err(StoreError::WrongType),
            };
            Ok((value, Stay::Yes))
        })
    }

    fn set(&self, key: &[u8], value: &[u8], ttl: TimeToLive, now: Now) -> Result<(), StoreError> {
        check(key, value)?;
        let value = Value::Bytes(value.into());
        self.put(key, value, expiry(ttl, now), now, |_| Ok(true))
            .map(|_| ())
    }

    fn remove(&self, key: &[u8], now: Now) -> Result<bool, StoreError> {
        check_key(key)?;
        let removed = self.change(key, now, |_| Ok(((), Stay::No)))?;
        Ok(removed.is_some())
    }

    fn swap(
        &self,
        key: &[u8],
        expected: Option<&[u8]>,
        value: &[u8],
        ttl: TimeToLive,
        now: Now,
    ) -> Result<bool, StoreError> {
        check(key, value)?;
        let value = Value::Bytes(value.into());
        self.put(key, value, expiry(ttl, now), now, |there| {
            match (there, expected) {
                (None, expected) => Ok(expected.is_none()),
                (Some(Value::Bytes(there)), Some(expected)) => Ok(**there == *expected),
                (Some(_), None) => Ok(false),
                (Some(_), Some(_)) => Err(StoreError::WrongType),
            }
        })
    }

    fn add(&self, key: &[u8], amount: i64, ttl: TimeToLive, now: Now) -> Result<i64, StoreError> {
        let add = |entry: &mut Entry| {
            let Value::Counter(count) = &mut entry.value else {
                return Err(StoreError::WrongType);
            };
            *count = count.saturating_add(amount);
            let stay = if *count == 0 { Stay::No } else { Stay::Yes };
            Ok((*count, stay))
        };
        let new = || Entry {
            value: Value::Counter(0),
            expires: expiry(ttl, now),
        };
        self.count(key, now, add, new)
    }

    fn touch(&self, key: &[u8], ttl: TimeToLive, now: Now) -> Result<bool, StoreError> {
        check_key(key)?;
        let touched = self.change(key, now, |entry| {
            if matches!(entry.value, Value::Bytes(_) | Value::Counter(_)) {
                entry.expires = expiry(ttl, now);
            }
            Ok(((), Stay::Yes))
        })?;
        Ok(touched.is_some())
    }

    fn window(
        &self,
        key: &[u8],
        limit: &WindowLimit,
        cost: u64,
        now: Now,
    ) -> Result<Admission, StoreError> {
        let count = |entry: &mut Entry| {
            let Value::Window(window) = &mut entry.value else {
                return Err(StoreError::WrongType);
            };
            let admission = window.count(limit, cost, now);
            entry.expires = window.empty_at();
            Ok((admission, stay_until(entry.expires, now)))
        };
        let new = || Entry {
            value: Value::Window(Window::new(limit, now)),
            expires: now,
        };
        self.count(key, now, count, new)
    }

    fn bucket(
        &self,
        key: &[u8],
        limit: &BucketLimit,
        cost: u64,
        now: Now,
    ) -> Result<Admission, StoreError> {
        let take = |entry: &mut Entry| {
            let Value::Bucket(bucket) = &mut entry.value else {
                return Err(StoreError::WrongType);
            };
            let admission = bucket.take(limit, cost, now);
            entry.expires = bucket.full_at(limit);
            Ok((admission, stay_until(entry.expires, now)))
        };
        let new = || Entry {
            value: Value::Bucket(Bucket::full(limit, now)),
            expires: now,
        };
        self.count(key, now, take, new)
    }

    fn size(&self) -> (u64, u64) {
        (self.entries.load(Relaxed), self.bytes.load(Relaxed))
    }
}

/// A window without counts and a full bucket are as good as none.
fn stay_until(expires: Now, now: Now) -> Stay {
    if expires <= now { Stay::No } else { Stay::Yes }
}

fn expiry(ttl: TimeToLive, now: Now) -> Now {
    match ttl {
        0 => NEVER,
        // One before, since a time to live of centuries still is one.
        ttl => now.saturating_add(ttl).min(NEVER - 1),
    }
}

fn cost(key: &[u8], value: &Value) -> u64 {
    let value = match value {
        Value::Bytes(value) => value.len(),
        Value::Counter(_) | Value::Window(_) | Value::Bucket(_) => 0,
    };
    (key.len() + value) as u64 + ENTRY_BYTES
}

fn check(key: &[u8], value: &[u8]) -> Result<(), StoreError> {
    check_key(key)?;
    match value.len() <= VALUE_BYTES_MAX {
        true => Ok(()),
        false => Err(StoreError::TooLarge),
    }
}

fn check_key(key: &[u8]) -> Result<(), StoreError> {
    match (1..=KEY_BYTES_MAX).contains(&key.len()) {
        true => Ok(()),
        false => Err(StoreError::TooLarge),
    }
}
