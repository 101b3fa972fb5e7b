//! A fake store: what the host's does, without its bounds, on the fake host's monotonic clock.
//!
//! The limits are exact in another way than the host's: they remember every count. So a test that passes here with room to spare passes with
//! the host's too; one that measures the host's rounding belongs to the host.

use std::collections::HashMap;
use std::time::Duration;

use crate::store::{Admission, KEY_BYTES_MAX, StoreError, VALUE_BYTES_MAX};

/// Entries by store and key.
#[derive(Debug, Default)]
pub(crate) struct FakeStores(HashMap<(String, Vec<u8>), (Thing, u64)>);

#[derive(Clone, Debug, PartialEq)]
enum Thing {
    Bytes(Vec<u8>),
    Counter(i64),
    /// When what was counted.
    Window(Vec<(u64, u64)>),
    /// Tokens, and when.
    Bucket(f64, u64),
}

type Answer<T> = Result<T, StoreError>;

impl FakeStores {
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    fn there(&mut self, at: (&str, &[u8]), now: u64) -> Answer<Option<&mut (Thing, u64)>> {
        if !(1..=KEY_BYTES_MAX).contains(&at.1.len()) {
            return Err(StoreError::TooLarge);
        }
        let key = owned(at);
        if self.0.get(&key).is_some_and(|(_, until)| *until <= now) {
            self.0.remove(&key);
        }
        Ok(self.0.get_mut(&key))
    }

    pub(crate) fn get(&mut self, at: (&str, &[u8]), now: u64) -> Answer<Option<Vec<u8>>> {
        match self.there(at, now)? {
            None => Ok(None),
            Some((Thing::Bytes(bytes), _)) => Ok(Some(bytes.clone())),
            Some((Thing::Counter(count), _)) => Ok(Some(count.to_string().into_bytes())),
            Some(_) => Err(StoreError::WrongType),
        }
    }

    pub(crate) fn set(
        &mut self,
        at: (&str, &[u8]),
        value: &[u8],
        ttl: u64,
        now: u64,
    ) -> Answer<()> {
        self.there(at, now)?;
        if value.len() > VALUE_BYTES_MAX {
            return Err(StoreError::TooLarge);
        }
        let thing = Thing::Bytes(value.to_vec());
        self.0.insert(owned(at), (thing, until(ttl, now)));
        Ok(())
    }

    pub(crate) fn remove(&mut self, at: (&str, &[u8]), now: u64) -> Answer<bool> {
        self.there(at, now)?;
        Ok(self.0.remove(&owned(at)).is_some())
    }

    pub(crate) fn swap(
        &mut self,
        at: (&str, &[u8]),
        expected: Option<&[u8]>,
        value: &[u8],
        ttl: u64,
        now: u64,
    ) -> Answer<bool> {
        let same = match (self.there(at, now)?, expected) {
            (None, expected) => expected.is_none(),
            (Some((Thing::Bytes(there), _)), Some(expected)) => there == expected,
            (Some(_), None) => false,
            (Some(_), Some(_)) => return Err(StoreError::WrongType),
        };
        if same {
            self.set(at, value, ttl, now)?;
        }
        Ok(same)
    }

    pub(crate) fn add(
        &mut self,
        at: (&str, &[u8]),
        amount: i64,
        ttl: u64,
        now: u64,
    ) -> Answer<i64> {
        let (sum, until) = match self.there(at, now)? {
            None => (amount, until(ttl, now)),
            Some((Thing::Counter(count), until)) => (count.saturating_add(amount), *until),
            Some(_) => return Err(StoreError::WrongType),
        };
        match sum {
            0 => drop(self.0.remove(&owned(at))),
            sum => drop(self.0.insert(owned(at), (Thing::Counter(sum), until))),
        }
        Ok(sum)
    }

    pub(crate) fn touch(&mut self, at: (&str, &[u8]), ttl: u64, now: u64) -> Answer<bool> {
        let there = self.there(at, now)?;
        Ok(there.map(|(_, ends)| *ends = until(ttl, now)).is_some())
    }

    pub(crate) fn window(
        &mut self,
        at: (&str, &[u8]),
        (limit, window): (u64, u64),
        cost: u64,
        now: u64,
    ) -> Answer<Admission> {
        let mut counts = match self.there(at, now)? {
            None => Vec::new(),
            Some((Thing::Window(counts), _)) => counts.clone(),
            Some(_) => return Err(StoreError::WrongType),
        };
        counts.retain(|(at, _)| at.saturating_add(window) > now);
        let used = |counts: &[(u64, u64)]| counts.iter().map(|(_, cost)| cost).sum::<u64>();
        let allowed = used(&counts) + cost <= limit;
        if allowed && cost > 0 {
            counts.push((now, cost));
        }
        let ends = |counts: &(u64, u64)| Duration::from_nanos(counts.0 + window - now);
        let admission = Admission {
            allowed,
            remaining: limit.saturating_sub(used(&counts)),
            retry_after: match counts.first() {
                _ if allowed => Duration::ZERO,
                Some(first) if cost <= limit => ends(first),
                _ => Duration::MAX,
            },
            reset: counts.last().map_or(Duration::ZERO, ends),
        };
        self.0.insert(owned(at), (Thing::Window(counts), u64::MAX));
        Ok(admission)
    }

    pub(crate) fn bucket(
        &mut self,
        at: (&str, &[u8]),
        (capacity, refill, interval): (u64, u64, u64),
        cost: u64,
        now: u64,
    ) -> Answer<Admission> {
        let (capacity_of, rate) = (capacity as f64, refill as f64 / interval as f64);
        let level = match self.there(at, now)? {
            None => capacity_of,
            Some((Thing::Bucket(level, at), _)) => *level + (now - *at) as f64 * rate,
            Some(_) => return Err(StoreError::WrongType),
        };
        let mut level = level.min(capacity_of);
        let allowed = level + 1e-9 >= cost as f64;
        if allowed {
            level = (level - cost as f64).max(0.0);
        }
        let time_for = |tokens: f64| Duration::from_nanos((tokens / rate).ceil() as u64);
        let admission = Admission {
            allowed,
            remaining: level as u64,
            retry_after: match allowed {
                true => Duration::ZERO,
                false if cost <= capacity => time_for(cost as f64 - level),
                false => Duration::MAX,
            },
            reset: time_for(capacity_of - level),
        };
        self.0
            .insert(owned(at), (Thing::Bucket(level, now), u64::MAX));
        Ok(admission)
    }
}

fn owned((store, key): (&str, &[u8])) -> (String, Vec<u8>) {
    (store.to_owned(), key.to_vec())
}

fn until(ttl: u64, now: u64) -> u64 {
    if ttl == 0 {
        u64::MAX
    } else {
        now.saturating_add(ttl)
    }
}
