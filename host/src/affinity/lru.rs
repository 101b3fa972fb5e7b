//! One shard of a table: entries by key, and in the order of their last use.

use std::sync::Arc;

use hashbrown::HashTable;

use super::key::Key;
use super::names::Names;

/// No entry. A table has at most 10 000 000.
const NONE: u32 = u32::MAX;

/// Entries lie side by side and are linked from the newest use to the oldest, so that finding, using and forgetting one takes constant time.
/// The entry in the last place moves into one that is freed. Times are nanoseconds since the table was made.
#[derive(Debug)]
pub(super) struct Shard {
    /// Places, by the hash of the key there.
    index: HashTable<u32>,
    entries: Vec<Slot>,
    newest: u32,
    oldest: u32,
    names: Names,
}

/// An entry with its neighbours.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) key: Key,
    pub(super) endpoint: Arc<str>,
    pub(super) used: u64,
    hash: u64,
    newer: u32,
    older: u32,
}

impl Shard {
    pub(super) fn new() -> Shard {
        Shard {
            index: HashTable::new(),
            entries: Vec::new(),
            newest: NONE,
            oldest: NONE,
            names: Names::default(),
        }
    }

    /// The place of a key. Good until the next entry is removed.
    pub(super) fn find(&self, hash: u64, key: &Key) -> Option<u32> {
        let is_it = |&place: &u32| self.slot(place).key == *key;
        self.index.find(hash, is_it).copied()
    }

    pub(super) fn slot(&self, place: u32) -> &Slot {
        &self.entries[place as usize]
    }

    pub(super) fn entries(&self) -> &[Slot] {
        &self.entries
    }

    /// When the entry that was not used for the longest was last used.
    pub(super) fn oldest_use(&self) -> Option<u64> {
        (self.oldest != NONE).then(|| self.slot(self.oldest).used)
    }

    /// Adds an entry as the newest; the key is not there yet.
    pub(super) fn insert(&mut self, hash: u64, key: Key, endpoint: &str, now: u64) {
        let endpoint = self.names.intern(endpoint);
        let place = self.entries.len() as u32;
        self.entries.push(Slot {
            key,
            endpoint,
            used: now,
            hash,
            newer: NONE,
            older: NONE,
        });
        let entries = &self.entries;
        let hash_of = |&place: &u32| entries[place as usize].hash;
        self.index.insert_unique(hash, place, hash_of);
        self.link(place);
    }

    /// Makes an entry the newest.
    pub(super) fn touch(&mut self, place: u32, now: u64) {
        self.slot_mut(place).used = now;
        if self.newest != place {
            self.unlink(place);
            self.link(place);
        }
    }

    /// Changes the endpoint of an entry.
    pub(super) fn assign(&mut self, place: u32, endpoint: &str) {
        if *self.slot(place).endpoint != *endpoint {
            self.slot_mut(place).endpoint = self.names.intern(endpoint);
        }
    }

    /// Removes the entry that was not used for the longest, if that was last used at `limit` or before; says whether it did.
    pub(super) fn remove_oldest(&mut self, limit: u64) -> bool {
        let is_due = self.oldest_use().is_some_and(|used| used <= limit);
        if is_due {
            self.remove(self.oldest);
        }
        is_due
    }

    /// Removes the entries of an endpoint; answers how many.
    pub(super) fn remove_endpoint(&mut self, id: &str) -> usize {
        let before = self.entries.len();
        let mut place = 0;
        while place < self.entries.len() {
            if *self.entries[place].endpoint == *id {
                self.remove(place as u32);
            } else {
                place += 1;
            }
        }
        before - self.entries.len()
    }

    /// Removes the entry at a place; the one in the last place moves there.
    pub(super) fn remove(&mut self, place: u32) {
        self.unlink(place);
        self.forget_place(place);
        let last = self.entries.len() as u32 - 1;
        if place != last {
            self.forget_place(last);
        }
        self.entries.swap_remove(place as usize);
        if place != last {
            self.follow_move(place);
        }
    }

    /// Gives back memory that is no longer needed.
    pub(super) fn shrink(&mut self) {
        if self.entries.capacity() > 2 * self.entries.len() + 64 {
            self.entries.shrink_to_fit();
            let entries = &self.entries;
            self.index
                .shrink_to_fit(|&place| entries[place as usize].hash);
        }
    }

    fn slot_mut(&mut self, place: u32) -> &mut Slot {
        &mut self.entries[place as usize]
    }

    /// Takes a place out of the index.
    fn forget_place(&mut self, place: u32) {
        let hash = self.slot(place).hash;
        if let Ok(found) = self.index.find_entry(hash, |&other| other == place) {
            found.remove();
        }
    }

    /// Enters in the index and with the neighbours that the entry at `to` has come there.
    fn follow_move(&mut self, to: u32) {
        let Slot {
            hash, newer, older, ..
        } = *self.slot(to);
        let entries = &self.entries;
        let hash_of = |&place: &u32| entries[place as usize].hash;
        self.index.insert_unique(hash, to, hash_of);
        self.set_older_of(newer, to);
        self.set_newer_of(older, to);
    }

    /// Puts an unlinked entry at the newest end.
    fn link(&mut self, place: u32) {
        let second = self.newest;
        let slot = self.slot_mut(place);
        (slot.newer, slot.older) = (NONE, second);
        self.set_newer_of(second, place);
        self.newest = place;
    }

    fn unlink(&mut self, place: u32) {
        let Slot { newer, older, .. } = *self.slot(place);
        self.set_older_of(newer, older);
        self.set_newer_of(older, newer);
    }

    /// `older` comes after `place`, or is the newest.
    fn set_older_of(&mut self, place: u32, older: u32) {
        match place {
            NONE => self.newest = older,
            _ => self.slot_mut(place).older = older,
        }
    }

    /// `newer` comes before `place`, or is the oldest.
    fn set_newer_of(&mut self, place: u32, newer: u32) {
        match place {
            NONE => self.oldest = newer,
            _ => self.slot_mut(place).newer = newer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u64) -> Key {
        Key::of(number.to_string().as_bytes())
    }

    /// Random operations on a shard and on a list in order of use; hashes are so few that most keys share theirs.
    #[test]
    fn it_keeps_entries_in_the_order_of_their_use() {
        let mut random = fastrand::Rng::with_seed(9);
        let (mut shard, mut model) = (Shard::new(), Vec::<(u64, u64)>::new());
        for now in 0..5000 {
            let number = random.u64(0..20);
            let known = shard.find(number % 3, &key(number));
            model.retain(|&(other, _)| other != number);
            match (known, random.u32(0..4)) {
                (Some(place), 0) => shard.remove(place),
                (Some(place), _) => {
                    shard.touch(place, now);
                    model.push((number, now));
                }
                (None, 0) => {
                    let limit = now.saturating_sub(20);
                    let removed = shard.remove_oldest(limit);
                    let is_due = model.first().is_some_and(|&(_, used)| used <= limit);
                    assert_eq!(removed, is_due);
                    model.drain(..usize::from(is_due));
                }
                (None, _) => {
                    shard.insert(number % 3, key(number), "a", now);
                    model.push((number, now));
                }
            }
            assert_eq!(in_order(&shard), model);
            assert_eq!(shard.oldest_use(), model.first().map(|&(_, used)| used));
        }
    }

    /// Number and last use of each entry from the oldest on, the same in both directions.
    fn in_order(shard: &Shard) -> Vec<(u64, u64)> {
        let walk = |first: u32, next: fn(&Slot) -> u32| {
            let start = (first != NONE).then_some(first);
            let step = |&place: &u32| Some(next(shard.slot(place))).filter(|&next| next != NONE);
            let places: Vec<u32> = std::iter::successors(start, step).collect();
            places
        };
        let places = walk(shard.oldest, |slot| slot.newer);
        let mut backwards = walk(shard.newest, |slot| slot.older);
        backwards.reverse();
        assert_eq!(places, backwards);
        assert_eq!(places.len(), shard.entries.len());
        let number = |slot: &Slot| slot.key.text().parse().expect("a number");
        let slots = places.iter().map(|&place| shard.slot(place));
        slots.map(|slot| (number(slot), slot.used)).collect()
    }

    #[test]
    fn an_entry_at_exactly_the_limit_is_due() {
        let mut shard = Shard::new();
        shard.insert(1, key(1), "a", 10);
        assert!(!shard.remove_oldest(9));
        assert!(shard.remove_oldest(10));
        assert!(!shard.remove_oldest(u64::MAX));
    }
}
