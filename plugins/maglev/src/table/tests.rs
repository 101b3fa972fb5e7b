use super::*;

fn endpoints(weights: &[u32]) -> Vec<Endpoint> {
    let address = |index| format!("10.0.{}.{}:80", index / 256, index % 256);
    let endpoint = |(index, weight): (usize, &u32)| Endpoint::new(&address(index), *weight);
    weights.iter().enumerate().map(endpoint).collect()
}

fn table_of(size: u32, endpoints: &[Endpoint]) -> Table {
    let mut table = Table::new(Size::new(size).expect("a prime"));
    table.set_endpoints(endpoints);
    table
}

/// The address that owns each slot.
fn owners(endpoints: &[Endpoint]) -> Vec<&str> {
    let table = table_of(65_537, endpoints);
    let owner = |slot| &*endpoints[table.next(slot, |_| true).expect("some")].address;
    (0..65_537).map(owner).collect()
}

fn counts(size: u32, weights: &[u32]) -> Vec<u32> {
    let mut counts = vec![0; weights.len()];
    let table = table_of(size, &endpoints(weights));
    table
        .slots
        .iter()
        .for_each(|owner| counts[*owner as usize] += 1);
    counts
}

#[test]
fn sizes_are_primes() {
    for prime in [2, 3, 251, 65_537, 1_048_573, 5_000_011, 4_294_967_291] {
        assert_eq!(Size::new(prime), Ok(Size(prime)));
    }
    for number in [0, 1, 4, 255, 65_536, 251 * 251, 4_294_967_295] {
        assert!(Size::new(number).is_err(), "{number}");
    }
    assert_eq!(
        Size::new(65_536),
        Err("65536 is not a prime number; the next is 65537".into())
    );
}

#[test]
fn every_step_leads_through_all_slots() {
    let mut turn = Turn::new(0, &Endpoint::new("a", 1), Size(251));
    for step in [1, 2, 125, 249, 250] {
        (turn.step, turn.at) = (step, 7);
        let mut seen = [false; 251];
        for _ in 0..251 {
            seen[turn.at as usize] = true;
            turn.advance();
        }
        assert!(seen.iter().all(|seen| *seen), "{step}");
        assert_eq!(turn.at, 7);
    }
}

#[test]
fn equal_weights_own_equal_parts_to_one_slot() {
    for count in [1, 2, 3, 10, 100, 251] {
        let counts = counts(251, &vec![1; count]);
        let (least, most) = (251 / count as u32, 251_u32.div_ceil(count as u32));
        assert!(
            counts.iter().all(|slots| (least..=most).contains(slots)),
            "{counts:?}"
        );
    }
}

#[test]
fn parts_follow_the_weights() {
    for weights in [
        &[3, 1][..],
        &[200, 100, 100, 50],
        &[1, 256],
        &[1, 2, 3, 4, 5, 6],
    ] {
        let total = f64::from(weights.iter().sum::<u32>());
        for (slots, weight) in counts(65_537, weights).into_iter().zip(weights) {
            let fair = 65_537.0 * f64::from(*weight) / total;
            assert!(
                (f64::from(slots) - fair).abs() <= 2.0,
                "{weights:?}: {slots} for {fair}"
            );
        }
    }
}

#[test]
fn turns_come_as_in_rounds_over_all_endpoints() {
    let list = endpoints(&[1, 7, 256, 7, 100]);
    let mut turns: Vec<_> = Turn::all(&list, Size(251))
        .into_iter()
        .map(|turn| (turn, 0))
        .collect();
    let (mut slots, mut left) = (vec![FREE; 251], 251);
    for round in 1_u64.. {
        for (turn, target) in &mut turns {
            if left > 0 && round * u64::from(turn.weight) >= *target {
                turn.take(&mut slots);
                *target += 256;
                left -= 1;
            }
        }
        if left == 0 {
            break;
        }
    }
    assert_eq!(table_of(251, &list).slots, slots);
}

#[test]
fn one_that_comes_or_goes_moves_little_more_than_its_share() {
    for count in [2, 5, 20, 100] {
        let more = endpoints(&vec![1; count]);
        for gone in [0, count / 2, count - 1] {
            let mut fewer = more.clone();
            let gone = fewer.remove(gone).address;
            let (with, without) = (owners(&more), owners(&fewer));
            let pairs = || with.iter().zip(&without);
            assert!(without.iter().all(|owner| *owner != gone));
            let moved = pairs().filter(|(with, without)| with != without).count();
            assert!(
                moved as f64 <= 2.0 * 65_537.0 / count as f64,
                "{moved} of 1 in {count}"
            );
        }
    }
}

#[test]
fn a_slow_start_step_moves_little() {
    let step = |weight| endpoints(&[100, 100, 100, 100, weight]);
    for (from, to) in [(10, 20), (50, 60), (99, 100)] {
        let (before, after) = (step(from), step(to));
        let moved = owners(&before)
            .iter()
            .zip(owners(&after))
            .filter(|(one, other)| **one != *other)
            .count();
        assert!(moved < 65_537 / 10, "{from} to {to}: {moved}");
    }
}

#[test]
fn neither_the_scale_of_the_weights_nor_the_order_of_the_list_moves_a_key() {
    let plain = endpoints(&[1, 256, 7, 3]);
    let hundredths = endpoints(&[100, 25_600, 700, 300]);
    let mut turned = plain.clone();
    turned.reverse();
    assert_eq!(owners(&plain), owners(&hundredths));
    assert_eq!(owners(&plain), owners(&turned));
}

#[test]
fn keys_go_on_past_the_unable_even_to_one_without_a_slot() {
    let table = table_of(251, &endpoints(&vec![1; 300]));
    let slotless = (0..300)
        .find(|index| !table.slots.contains(index))
        .expect("fewer slots");
    for key in [0, 250, u64::MAX] {
        let home = table.slots[(key % 251) as usize];
        let next = table.next(key, |endpoint| endpoint != home as usize);
        assert_eq!(
            next,
            Some(table.slots[((key % 251 + 1) % 251) as usize] as usize)
        );
        let only = table.next(key, |endpoint| endpoint == slotless as usize);
        assert_eq!(only, Some(slotless as usize));
        assert_eq!(table.next(key, |_| false), None);
    }
}

#[test]
fn a_table_follows_its_endpoints() {
    let mut table = table_of(251, &endpoints(&[1, 1]));
    table.set_endpoints(&endpoints(&[1]));
    assert!(table.slots.iter().all(|owner| *owner == 0));
    table.set_endpoints(&[]);
    assert_eq!(table.next(5, |_| true), None);
}
