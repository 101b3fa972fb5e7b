//! The store against a model that is too simple to be wrong, the algorithms of limits against what they promise, and what bounds it all.

use std::collections::HashMap;

use super::*;

const SECOND: u64 = 1_000_000_000;

fn memory(entries_max: u64, bytes_max: u64) -> Memory {
    Memory::new(Limits {
        entries_max,
        bytes_max,
    })
}

/// What a store without bounds would hold.
#[derive(Default)]
struct Model(HashMap<Vec<u8>, (Thing, u64)>);

#[derive(Clone, PartialEq, Debug)]
enum Thing {
    Bytes(Vec<u8>),
    Count(i64),
}

impl Model {
    fn there(&self, key: &[u8], now: Now) -> Option<&Thing> {
        self.0
            .get(key)
            .filter(|(_, until)| now < *until)
            .map(|(thing, _)| thing)
    }

    fn put(&mut self, key: &[u8], thing: Thing, ttl: u64, now: Now) {
        self.0.insert(key.to_vec(), (thing, until(ttl, now)));
    }
}

fn until(ttl: u64, now: Now) -> u64 {
    if ttl == 0 { u64::MAX } else { now + ttl }
}

#[test]
fn every_operation_agrees_with_a_simple_model() {
    for seed in 0..40 {
        let mut random = fastrand::Rng::with_seed(seed);
        let (store, mut model) = (memory(1_000, 1 << 20), Model::default());
        let mut now = 1;
        for step in 0..2_000 {
            now += random.u64(0..5);
            let key = [random.u8(0..6)];
            let (ttl, value) = (random.u64(0..20), vec![random.u8(0..3); random.usize(0..3)]);
            let there = model.there(&key, now).cloned();
            let what = format!("seed {seed}, step {step}, key {key:?}, there {there:?}");
            match random.u8(0..6) {
                0 => {
                    let expected = there.map(|thing| match thing {
                        Thing::Bytes(bytes) => bytes,
                        Thing::Count(count) => count.to_string().into_bytes(),
                    });
                    assert_eq!(store.get(&key, now), Ok(expected), "{what}");
                }
                1 => {
                    assert_eq!(store.set(&key, &value, ttl, now), Ok(()), "{what}");
                    model.put(&key, Thing::Bytes(value), ttl, now);
                }
                2 => {
                    assert_eq!(store.remove(&key, now), Ok(there.is_some()), "{what}");
                    model.0.remove(key.as_slice());
                }
                3 => {
                    let expected = random.bool().then(|| vec![random.u8(0..3)]);
                    let swapped = match (&there, &expected) {
                        (Some(Thing::Count(_)), Some(_)) => Err(StoreError::WrongType),
                        (None, None) => Ok(true),
                        (Some(Thing::Bytes(there)), Some(expected)) => Ok(there == expected),
                        _ => Ok(false),
                    };
                    let found = store.swap(&key, expected.as_deref(), &value, ttl, now);
                    assert_eq!(found, swapped, "{what}");
                    if swapped == Ok(true) {
                        model.put(&key, Thing::Bytes(value), ttl, now);
                    }
                }
                4 => {
                    let amount = random.i64(-2..3);
                    let sum = match &there {
                        Some(Thing::Bytes(_)) => Err(StoreError::WrongType),
                        Some(Thing::Count(count)) => Ok(count + amount),
                        None => Ok(amount),
                    };
                    assert_eq!(store.add(&key, amount, ttl, now), sum, "{what}");
                    let until = match there {
                        Some(_) => model.0[key.as_slice()].1,
                        None => until(ttl, now),
                    };
                    match sum {
                        Ok(0) => drop(model.0.remove(key.as_slice())),
                        Ok(sum) => drop(model.0.insert(key.into(), (Thing::Count(sum), until))),
                        Err(_) => {}
                    }
                }
                _ => {
                    assert_eq!(store.touch(&key, ttl, now), Ok(there.is_some()), "{what}");
                    if let Some(thing) = there {
                        model.put(&key, thing, ttl, now);
                    }
                }
            }
        }
    }
}

#[test]
fn an_entry_is_there_until_its_time_to_live_is_over_and_not_at_its_end() {
    let store = memory(10, 1 << 20);
    store.set(b"k", b"v", 5, 100).expect("there is room");
    assert_eq!(store.get(b"k", 104), Ok(Some(b"v".to_vec())));
    assert_eq!(store.get(b"k", 105), Ok(None));
    assert_eq!(
        store.size(),
        (0, 0),
        "what has expired is dropped when it is met"
    );
}

#[test]
fn keys_and_values_have_a_longest_and_keys_a_shortest_length() {
    let store = memory(10, 1 << 20);
    let (key, value) = ([1; KEY_BYTES_MAX], vec![1; VALUE_BYTES_MAX]);
    assert_eq!(store.set(&key, &value, 0, 1), Ok(()));
    let long = [1; KEY_BYTES_MAX + 1];
    let limit = WindowLimit {
        limit: 1,
        window: 1,
    };
    for key in [&long[..], b""] {
        assert_eq!(store.get(key, 1), Err(StoreError::TooLarge));
        assert_eq!(store.add(key, 1, 0, 1), Err(StoreError::TooLarge));
        assert_eq!(store.window(key, &limit, 1, 1), Err(StoreError::TooLarge));
    }
    let value = vec![1; VALUE_BYTES_MAX + 1];
    assert_eq!(store.set(b"k", &value, 0, 1), Err(StoreError::TooLarge));
    assert_eq!(
        store.swap(b"k", None, &value, 0, 1),
        Err(StoreError::TooLarge)
    );
}

#[test]
fn a_full_store_drops_what_expired_then_what_lasts_and_then_refuses() {
    let store = memory(3, 1 << 20);
    store.set(b"expires", b"", 10, 1).expect("there is room");
    store.set(b"lasts", b"", 0, 1).expect("there is room");
    store.set(b"stays", b"", 100, 1).expect("there is room");
    // The one that has expired goes first.
    assert_eq!(store.set(b"a", b"", 100, 11), Ok(()));
    assert_eq!(store.get(b"lasts", 11), Ok(Some(Vec::new())));
    // Then the one without a time to live.
    assert_eq!(store.set(b"b", b"", 100, 11), Ok(()));
    assert_eq!(store.get(b"lasts", 11), Ok(None));
    // Nothing else may go.
    assert_eq!(store.set(b"c", b"", 100, 11), Err(StoreError::Full));
    assert_eq!(store.add(b"c", 1, 100, 11), Err(StoreError::Full));
    let limit = BucketLimit {
        capacity: 1,
        refill: 1,
        interval: SECOND,
    };
    assert_eq!(store.bucket(b"c", &limit, 1, 11), Err(StoreError::Full));
    assert_eq!(
        store.set(b"stays", b"in its place", 100, 11),
        Ok(()),
        "what is there can be changed"
    );
    assert_eq!(store.size().0, 3);
    assert_eq!(store.set(b"c", b"", 100, 111), Ok(()));
}

#[test]
fn bytes_are_bounded_and_counted_exactly() {
    let store = memory(1_000, 10_000);
    let mut random = fastrand::Rng::with_seed(3);
    for step in 0..20_000_u64 {
        let key = random.u16(0..200).to_le_bytes();
        let value = vec![0; random.usize(0..800)];
        let ttl = random.u64(1..500);
        match random.u8(0..4) {
            0 => drop(store.remove(&key, step)),
            1 => drop(store.add(&key, 1, ttl, step)),
            _ => drop(store.set(&key, &value, ttl, step)),
        }
        let (entries, bytes) = store.size();
        assert!(bytes <= 10_000 && entries <= 52, "{entries} {bytes}");
    }
    for key in 0..200_u16 {
        drop(store.remove(&key.to_le_bytes(), 20_000));
    }
    assert_eq!(store.size(), (0, 0), "what went is not counted any more");
}

#[test]
fn a_flood_of_keys_is_bounded_and_what_is_counted_stays_counted() {
    let limit = WindowLimit {
        limit: 2,
        window: SECOND,
    };
    let store = memory(1_000, 1 << 30);
    assert!(
        store
            .window(b"honest", &limit, 2, 1)
            .is_ok_and(|found| found.allowed)
    );
    let mut full = 0;
    for number in 0..100_000_u64 {
        match store.window(&number.to_le_bytes(), &limit, 1, 2) {
            Ok(admission) => assert!(admission.allowed),
            Err(error) => {
                assert_eq!(error, StoreError::Full);
                full += 1;
            }
        }
    }
    assert_eq!((full, store.size().0), (99_001, 1_000));
    assert!(
        store
            .window(b"honest", &limit, 1, 3)
            .is_ok_and(|found| !found.allowed)
    );
    // Two windows later it is all forgotten, and room for new ones.
    let later = 1 + 2 * SECOND + 1;
    assert!(store.window(b"new", &limit, 1, later).is_ok());
}

#[test]
fn workers_share_every_count() {
    let store = memory(100, 1 << 20);
    let limit = BucketLimit {
        capacity: 1_000,
        refill: 1,
        interval: u64::MAX,
    };
    let allowed: usize = std::thread::scope(|scope| {
        let take = || {
            (0..1_000)
                .filter(|_| {
                    store.add(b"count", 1, 0, 1).expect("there is room");
                    store
                        .bucket(b"bucket", &limit, 1, 1)
                        .expect("there is room")
                        .allowed
                })
                .count()
        };
        let workers: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
        let counts = workers
            .into_iter()
            .map(|worker| worker.join().expect("no panic"));
        counts.sum()
    });
    assert_eq!(allowed, 1_000);
    assert_eq!(store.get(b"count", 1), Ok(Some(b"4000".to_vec())));
}

#[test]
fn a_store_lives_as_long_as_someone_holds_it() {
    let limits = Limits {
        entries_max: 10,
        bytes_max: 1 << 20,
    };
    let store = open("a store of this test", limits);
    store.set(b"k", b"v", 0, 1).expect("there is room");
    let again = open("a store of this test", limits);
    drop(store);
    assert_eq!(again.get(b"k", 1), Ok(Some(b"v".to_vec())));
    drop(again);
    assert_eq!(open("a store of this test", limits).get(b"k", 1), Ok(None));
}

/// What is refused would be allowed after `retry_after`, and not a nanosecond before.
fn assert_honest(ask: impl Fn(Now) -> Admission, now: Now, what: &str) {
    let found = ask(now);
    if found.allowed || found.retry_after == u64::MAX {
        return;
    }
    let at = now + found.retry_after;
    assert!(ask(at).allowed, "{what}: {found:?} at {now}");
    assert!(!ask(at - 1).allowed, "{what}: {found:?} at {now}, before");
}

#[test]
fn buckets_pass_at_most_capacity_and_refill_and_are_honest() {
    for seed in 0..200 {
        let mut random = fastrand::Rng::with_seed(seed);
        let limit = BucketLimit {
            capacity: random.u64(1..20),
            refill: random.u64(1..10),
            interval: random.u64(1..50),
        };
        let mut bucket = rate::Bucket::full(&limit, 0);
        let (mut now, mut passed) = (0, Vec::new());
        for _ in 0..300 {
            now += random.u64(0..10);
            let cost = random.u64(0..limit.capacity + 2);
            let what = format!("seed {seed}, cost {cost}, {limit:?}");
            let before = bucket;
            assert_honest(
                |now| {
                    let mut bucket = before;
                    bucket.take(&limit, cost, now)
                },
                now,
                &what,
            );
            let found = bucket.take(&limit, cost, now);
            assert_eq!(
                found.retry_after == u64::MAX,
                cost > limit.capacity,
                "{what}"
            );
            if found.allowed {
                passed.push((now, cost));
            }
            let mut later = bucket;
            let full = later.take(&limit, 0, now + found.reset);
            assert_eq!(full.remaining, limit.capacity, "{what}");
        }
        for (first, (from, _)) in passed.iter().enumerate() {
            let mut sum = 0;
            for (to, cost) in &passed[first..] {
                sum += cost;
                let came = (to - from) * limit.refill;
                assert!(
                    sum * limit.interval <= limit.capacity * limit.interval + came,
                    "seed {seed}"
                );
            }
        }
    }
}

#[test]
fn windows_pass_at_most_the_limit_in_a_window_of_theirs_and_are_honest() {
    for seed in 0..200 {
        let mut random = fastrand::Rng::with_seed(seed);
        let limit = WindowLimit {
            limit: random.u64(1..20),
            window: random.u64(1..50),
        };
        let mut window = rate::Window::new(&limit, 0);
        let (mut now, mut passed) = (0, Vec::new());
        for _ in 0..300 {
            now += random.u64(0..10);
            let cost = random.u64(0..limit.limit + 2);
            let what = format!("seed {seed}, cost {cost}, {limit:?}, {window:?}");
            let before = window;
            assert_honest(
                |now| {
                    let mut window = before;
                    window.count(&limit, cost, now)
                },
                now,
                &what,
            );
            let found = window.count(&limit, cost, now);
            assert_eq!(found.retry_after == u64::MAX, cost > limit.limit, "{what}");
            if found.allowed {
                passed.push((now, cost));
            }
            let mut later = window;
            let empty = later.count(&limit, 0, now + found.reset);
            assert_eq!(empty.remaining, limit.limit, "{what}");
        }
        // The known error: at most twice the limit within one length of the window.
        for (first, (from, _)) in passed.iter().enumerate() {
            let within = passed[first..]
                .iter()
                .take_while(|(at, _)| at - from < limit.window);
            let sum: u64 = within.map(|(_, cost)| cost).sum();
            assert!(sum <= 2 * limit.limit, "seed {seed}: {sum} of {limit:?}");
        }
    }
}

#[test]
fn a_window_weighs_the_last_one_by_how_much_of_it_reaches_back() {
    let limit = WindowLimit {
        limit: 100,
        window: 60,
    };
    let mut window = rate::Window::new(&limit, 0);
    assert!(window.count(&limit, 84, 0).allowed);
    // A quarter of the next minute has passed: three quarters of 84 are 63, and 36 more make 99.
    let found = window.count(&limit, 36, 75);
    assert_eq!((found.allowed, found.remaining), (true, 1));
    assert!(!window.count(&limit, 2, 75).allowed);
    assert!(window.count(&limit, 1, 75).allowed);
}

#[test]
fn another_duration_begins_anew_and_another_limit_does_not() {
    let store = memory(10, 1 << 20);
    let window = |limit, window| WindowLimit { limit, window };
    let ask = |limit: &WindowLimit| store.window(b"k", limit, 1, 1).expect("room").allowed;
    assert!(ask(&window(1, 10)));
    assert!(!ask(&window(1, 10)));
    assert!(ask(&window(2, 10)));
    assert!(ask(&window(1, 11)));
    assert_eq!(store.add(b"k", 1, 0, 1), Err(StoreError::WrongType));
}
