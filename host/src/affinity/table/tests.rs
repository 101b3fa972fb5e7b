use std::sync::atomic::AtomicBool;
use std::thread;

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

fn table(size: u32, expiry: Duration) -> Table {
    let table = Table::new();
    table.configure(size, expiry);
    table
}

fn set_all(table: &Table, keys: std::ops::Range<u32>, endpoint: &str) {
    for key in keys {
        table.set(key.to_string().as_bytes(), endpoint);
    }
}

/// Which keys are there, without using them.
fn keys(table: &Table) -> Vec<u32> {
    let mut keys: Vec<u32> = table
        .entries(usize::MAX)
        .iter()
        .map(|entry| entry.key_text.parse().expect("a number"))
        .collect();
    keys.sort_unstable();
    keys
}

#[test]
fn the_last_endpoint_counts() {
    let table = Table::default();
    assert!(table.get(b"k").is_none() && table.is_empty());
    table.set(b"k", "a");
    table.set(b"k", "b");
    table.set(b"", "c");
    assert_eq!(table.get(b"k").as_deref(), Some("b"));
    assert_eq!(table.get(b"").as_deref(), Some("c"));
    assert_eq!(table.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_entry_expires_when_it_was_not_used() {
    let table = table(10, MINUTE);
    table.set(b"used", "a");
    table.set(b"idle", "a");
    table.set(b"set", "a");
    tokio::time::advance(MINUTE - Duration::from_nanos(1)).await;
    assert!(table.get(b"used").is_some());
    table.set(b"set", "a");
    tokio::time::advance(Duration::from_nanos(1)).await;
    assert!(table.get(b"idle").is_none(), "at exactly the expiry");
    assert!(table.get(b"used").is_some() && table.get(b"set").is_some());
    assert_eq!(table.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_sweep_forgets_what_has_expired_and_nothing_else() {
    let table = table(10_000, MINUTE);
    set_all(&table, 0..2000, "a");
    tokio::time::advance(MINUTE / 2).await;
    set_all(&table, 1000..3000, "b");
    let due = Instant::now() + MINUTE / 2;
    assert_eq!(table.sweep(Instant::now()), 0);
    assert_eq!(table.sweep(due - Duration::from_nanos(1)), 0);
    assert_eq!((table.sweep(due), table.len()), (1000, 2000));
    assert_eq!(keys(&table), (1000..3000).collect::<Vec<_>>());
    assert_eq!(table.sweep(due + MINUTE), 2000);
    assert!(table.is_empty());
}

#[tokio::test(start_paused = true)]
async fn entries_say_what_is_left_of_them() {
    let table = table(10, MINUTE);
    table.set(b"old", "a");
    tokio::time::advance(Duration::from_secs(40)).await;
    table.set(b"new\xff", "b");
    let mut entries = table.entries(10);
    entries.sort_by_key(|entry| entry.expires_in);
    let found: Vec<_> = entries
        .iter()
        .map(|entry| {
            (
                &*entry.key_text,
                &*entry.endpoint,
                entry.expires_in.as_secs(),
            )
        })
        .collect();
    assert_eq!(found, [("old", "a", 20), ("new\u{fffd}", "b", 60)]);
    assert_eq!((table.entries(1).len(), table.entries(0).len()), (1, 0));
    tokio::time::advance(Duration::from_secs(20)).await;
    assert_eq!(table.entries(10).len(), 1, "expired ones are not listed");
    assert_eq!(table.len(), 2, "but count until they are swept");
}

#[tokio::test(start_paused = true)]
async fn a_small_table_forgets_the_one_not_used_for_the_longest() {
    let table = table(8, MINUTE);
    for key in 0..8 {
        set_all(&table, key..key + 1, "a");
        tokio::time::advance(Duration::from_millis(1)).await;
    }
    assert!(table.get(b"0").is_some());
    tokio::time::advance(Duration::from_millis(1)).await;
    set_all(&table, 8..9, "a");
    assert_eq!(keys(&table), [0, 2, 3, 4, 5, 6, 7, 8]);
    tokio::time::advance(Duration::from_millis(1)).await;
    set_all(&table, 2..3, "b");
    tokio::time::advance(Duration::from_millis(1)).await;
    set_all(&table, 9..11, "a");
    assert_eq!(keys(&table), [0, 2, 5, 6, 7, 8, 9, 10]);
}

#[tokio::test(start_paused = true)]
async fn a_large_table_forgets_old_ones() {
    let table = table(10_000, MINUTE);
    for key in 0..20_000 {
        set_all(&table, key..key + 1, "a");
        tokio::time::advance(Duration::from_micros(1)).await;
    }
    let keys = keys(&table);
    assert_eq!((keys.len(), table.len()), (10_000, 10_000));
    // The exact order would keep 10 000 to 19 999.
    assert!(keys.iter().filter(|&&key| key >= 15_000).count() == 5000);
    assert!(keys.iter().filter(|&&key| key >= 10_000).count() >= 9_000);
}

#[tokio::test(start_paused = true)]
async fn a_table_of_one_holds_the_last() {
    let table = table(0, MINUTE);
    set_all(&table, 0..100, "a");
    assert_eq!(keys(&table), [99]);
}

#[tokio::test(start_paused = true)]
async fn a_smaller_size_holds_at_once_and_keeps_the_newest() {
    let table = table(10_000, MINUTE);
    set_all(&table, 0..9_000, "a");
    tokio::time::advance(Duration::from_secs(1)).await;
    set_all(&table, 9_000..10_000, "a");
    table.configure(2_000, MINUTE);
    let left = keys(&table);
    assert_eq!((left.len(), table.len()), (2_000, 2_000));
    assert!(left.iter().filter(|&&key| key >= 9_000).count() >= 900);
    set_all(&table, 20_000..20_001, "a");
    assert_eq!(table.len(), 2_000);
    table.configure(3_000, MINUTE);
    set_all(&table, 20_001..30_000, "a");
    assert_eq!(table.len(), 3_000);
    for key in keys(&table) {
        assert!(table.get(key.to_string().as_bytes()).is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn a_small_table_that_shrinks_keeps_exactly_the_newest() {
    // Many tables, since each spreads its keys another way.
    for _ in 0..200 {
        let table = table(8, MINUTE);
        for key in 0..8 {
            set_all(&table, key..key + 1, "a");
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        table.configure(4, MINUTE);
        assert_eq!(keys(&table), [4, 5, 6, 7]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_expiry_holds_for_what_is_there() {
    let table = table(10, MINUTE);
    table.set(b"k", "a");
    tokio::time::advance(MINUTE / 2).await;
    table.configure(10, MINUTE / 2);
    assert_eq!(table.sweep(Instant::now()), 1);
    table.set(b"k", "a");
    table.configure(10, Duration::MAX);
    tokio::time::advance(MINUTE).await;
    assert!(table.get(b"k").is_some());
}

#[test]
fn an_endpoint_is_forgotten_and_the_others_stay() {
    let table = table(10_000, MINUTE);
    set_all(&table, 0..1000, "a");
    set_all(&table, 1000..2000, "b");
    set_all(&table, 500..1500, "c");
    assert_eq!(table.forget_endpoint("c"), 1000);
    assert_eq!((table.forget_endpoint("c"), table.len()), (0, 1000));
    for key in 0..2000u32 {
        let expected = match key {
            0..500 => Some("a"),
            1500.. => Some("b"),
            _ => None,
        };
        let found = table.get(key.to_string().as_bytes());
        assert_eq!(found.as_deref(), expected, "{key}");
    }
}

/// Random operations on the table and on a list that does the same the plain way.
#[tokio::test(start_paused = true)]
async fn it_does_what_a_list_in_order_of_use_does() {
    const SIZE: usize = 8;
    let mut random = fastrand::Rng::with_seed(5);
    let table = table(SIZE as u32, Duration::from_millis(40));
    let mut model: Vec<(u32, &str, Instant)> = Vec::new();
    for _ in 0..20_000 {
        tokio::time::advance(Duration::from_millis(1)).await;
        let (now, key) = (Instant::now(), random.u32(0..14));
        let is_live = |used: Instant| now - used < Duration::from_millis(40);
        let known = model.iter().position(|entry| entry.0 == key);
        match random.u32(0..10) {
            0..5 => {
                let endpoint = ["a", "b", "c"][random.usize(0..3)];
                table.set(key.to_string().as_bytes(), endpoint);
                match known {
                    Some(at) => drop(model.remove(at)),
                    None if model.len() == SIZE => drop(model.remove(0)),
                    None => {}
                }
                model.push((key, endpoint, now));
            }
            5..9 => {
                let found = table.get(key.to_string().as_bytes());
                let old = known
                    .map(|at| model.remove(at))
                    .filter(|old| is_live(old.2));
                assert_eq!(found.as_deref(), old.map(|old| old.1));
                model.extend(old.map(|old| (key, old.1, now)));
            }
            _ if random.u32(0..20) == 0 => {
                table.forget_endpoint("b");
                model.retain(|entry| entry.1 != "b");
            }
            _ if random.u32(0..20) == 0 => {
                table.sweep(now);
                model.retain(|entry| is_live(entry.2));
            }
            _ => {}
        }
        assert_eq!(table.len(), model.len());
    }
}

#[test]
fn threads_never_make_it_larger_than_its_size() {
    const SIZE: usize = 300;
    let table = table(SIZE as u32, MINUTE);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let spawn = |seed| {
            let table = &table;
            scope.spawn(move || hammer(table, fastrand::Rng::with_seed(seed)))
        };
        let writers: Vec<_> = (0..4).map(spawn).collect();
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                assert!(table.len() <= SIZE);
                thread::yield_now();
            }
        });
        let ends: Vec<_> = writers.into_iter().map(|writer| writer.join()).collect();
        is_over.store(true, Ordering::Relaxed);
        assert!(ends.iter().all(Result::is_ok));
    });
    let counted: usize = table
        .shards
        .iter()
        .map(|shard| lock(shard).entries().len())
        .sum();
    assert_eq!(table.len(), counted);
    set_all(&table, 10_000..20_000, "a");
    assert_eq!(table.len(), SIZE, "no place was lost");
}

fn hammer(table: &Table, mut random: fastrand::Rng) {
    for _ in 0..30_000 {
        let key = random.u32(0..1000).to_string();
        match random.u32(0..100) {
            0..60 => table.set(key.as_bytes(), ["a", "b"][random.usize(0..2)]),
            60..98 => {
                let found = table.get(key.as_bytes());
                assert!(found.is_none_or(|id| matches!(&*id, "a" | "b")));
            }
            98 => drop(table.entries(3)),
            _ => drop(table.forget_endpoint("b")),
        }
    }
}
