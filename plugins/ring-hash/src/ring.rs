//! A consistent hash ring (Karger and others 1997), built as libketama does: an endpoint has many positions, and a key belongs to the first
//! position at or after it.
//!
//! The positions of an endpoint depend on nothing but its address, and their number only on its weight beside the greatest weight. So when
//! others come or go, keys move from or to those alone; when the weight of one that is not the greatest changes, likewise. A weight
//! in hundredths gives the same ring as the weight. Where the number of positions over all would pass [`RING_MAX`], all are halved until it
//! does not, which moves keys between others too.
//!
//! A pick costs a binary search. Building the ring sorts its positions.

use tollgate_plugin_sdk::Endpoint;
use tollgate_plugin_sdk::hashing::{address_hash, next_able};
use tollgate_plugin_sdk::random::Generator;

/// Most positions, so that a ring is built well within a plugin's time. Exceeded only by one position for each endpoint.
const RING_MAX: u64 = 65_536;
/// Lower bits of a slot: the endpoint. The others are its place on the ring.
const OWNER_BITS: u32 = 20;
const OWNER_MASK: u64 = (1 << OWNER_BITS) - 1;

/// Positions in order.
#[derive(Debug)]
pub(crate) struct Ring {
    positions_each: u32,
    slots: Vec<u64>,
    endpoints: usize,
}

impl Ring {
    /// An empty ring. Endpoints of the greatest weight will have this many positions.
    pub(crate) fn new(positions_each: u32) -> Self {
        Ring {
            positions_each,
            slots: Vec::new(),
            endpoints: 0,
        }
    }

    /// Starts anew with these endpoints. Those beyond 2^20 get no place.
    pub(crate) fn set_endpoints(&mut self, endpoints: &[Endpoint]) {
        let endpoints = &endpoints[..endpoints.len().min(1 << OWNER_BITS)];
        let share = Share::new(endpoints, self.positions_each);
        self.endpoints = endpoints.len();
        self.slots.clear();
        for (owner, endpoint) in (0..).zip(endpoints) {
            let mut places = Generator::seeded(address_hash(&endpoint.address));
            let slots = (0..share.of(endpoint)).map(|_| places.draw() & !OWNER_MASK | owner);
            self.slots.extend(slots);
        }
        self.slots.sort_unstable();
    }

    /// The first endpoint clockwise of the key that is able; none when none is.
    pub(crate) fn next(&self, key: u64, is_able: impl FnMut(usize) -> bool) -> Option<usize> {
        let at = self.slots.partition_point(|slot| *slot < key & !OWNER_MASK);
        let start = if at < self.slots.len() { at } else { 0 };
        let owner = |slot: usize| (self.slots[slot] & OWNER_MASK) as usize;
        next_able(self.slots.len(), owner, start, self.endpoints, is_able)
    }
}

/// How many positions a weight is worth.
struct Share {
    positions: u64,
    weight: u64,
}

impl Share {
    fn new(endpoints: &[Endpoint], positions_each: u32) -> Self {
        let weight = endpoints.iter().map(|endpoint| endpoint.weight).max();
        let mut share = Share {
            positions: u64::from(positions_each),
            weight: u64::from(weight.unwrap_or(1).max(1)),
        };
        let total = |share: &Share| endpoints.iter().map(|one| share.of(one)).sum::<u64>();
        while share.positions > 1 && total(&share) > RING_MAX {
            share.positions /= 2;
        }
        share
    }

    /// Rounded, and at least one.
    fn of(&self, endpoint: &Endpoint) -> u64 {
        let weighed = u64::from(endpoint.weight) * self.positions;
        ((weighed + self.weight / 2) / self.weight).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoints(weights: &[u32]) -> Vec<Endpoint> {
        let address = |index| format!("10.0.{}.{}:80", index / 256, index % 256);
        let endpoint = |(index, weight): (usize, &u32)| Endpoint::new(&address(index), *weight);
        weights.iter().enumerate().map(endpoint).collect()
    }

    fn ring(endpoints: &[Endpoint]) -> Ring {
        let mut ring = Ring::new(256);
        ring.set_endpoints(endpoints);
        ring
    }

    fn keys() -> impl Iterator<Item = u64> {
        let mut generator = Generator::seeded(17);
        (0..20_000).map(move |_| generator.draw())
    }

    /// The addresses that the keys belong to.
    fn placed(endpoints: &[Endpoint]) -> Vec<String> {
        let ring = ring(endpoints);
        let address = |key| {
            endpoints[ring.next(key, |_| true).expect("some")]
                .address
                .clone()
        };
        keys().map(address).collect()
    }

    fn shares(endpoints: &[Endpoint]) -> Vec<f64> {
        let ring = ring(endpoints);
        let mut shares = vec![0.0; endpoints.len()];
        keys().for_each(|key| shares[ring.next(key, |_| true).expect("some")] += 1.0 / 20_000.0);
        shares
    }

    /// The deviation from the fair share has a standard deviation of about 1 / √positions; four of them are allowed.
    #[test]
    fn shares_follow_the_weights() {
        for weights in [&[1; 10][..], &[3, 1], &[200, 100, 100, 50], &[256; 3]] {
            let total = f64::from(weights.iter().sum::<u32>());
            let greatest = f64::from(weights.iter().copied().max().expect("some"));
            for (share, weight) in shares(&endpoints(weights)).into_iter().zip(weights) {
                let weight = f64::from(*weight);
                let positions = 256.0 * weight / greatest;
                let deviation = (share * total / weight - 1.0).abs();
                assert!(
                    deviation < 4.0 / positions.sqrt(),
                    "{weights:?}: {deviation}"
                );
            }
        }
    }

    #[test]
    fn who_leaves_moves_its_own_keys_only() {
        let before = endpoints(&[1, 2, 2, 1, 2, 1, 2, 2]);
        for leaving in 0..before.len() {
            let mut after = before.clone();
            let gone = after.remove(leaving).address;
            let moved = placed(&before).into_iter().zip(placed(&after));
            for (from, to) in moved.filter(|(from, to)| from != to) {
                assert_eq!(from, gone, "moved to {to}");
            }
        }
    }

    #[test]
    fn who_comes_takes_about_its_share() {
        for count in [2, 5, 20, 100] {
            let after = endpoints(&vec![1; count]);
            let before = &after[..count - 1];
            let moved = placed(before).into_iter().zip(placed(&after));
            let moved: Vec<_> = moved.filter(|(from, to)| from != to).collect();
            assert!(moved.iter().all(|(_, to)| *to == after[count - 1].address));
            let share = moved.len() as f64 / 20_000.0 * count as f64;
            assert!((0.7..1.3).contains(&share), "{share} of 1 in {count}");
        }
    }

    #[test]
    fn neither_the_scale_of_the_weights_nor_the_order_of_the_list_moves_a_key() {
        let plain = endpoints(&[1, 256, 7, 3]);
        let hundredths = endpoints(&[100, 25_600, 700, 300]);
        let mut turned = plain.clone();
        turned.reverse();
        assert_eq!(placed(&plain), placed(&hundredths));
        assert_eq!(placed(&plain), placed(&turned));
        assert_eq!(ring(&plain).slots, ring(&hundredths).slots);
    }

    #[test]
    fn a_slow_start_moves_keys_to_the_starting_one_only() {
        let others = placed(&endpoints(&[100, 100, 100]));
        let mut before = others.clone();
        for weight in [10, 25, 50, 99, 100] {
            let list = endpoints(&[100, 100, 100, weight]);
            let after = placed(&list);
            for (from, to) in before.iter().zip(&after) {
                assert!(
                    from == to || *to == list[3].address,
                    "{weight}: {from} to {to}"
                );
            }
            before = after;
        }
        assert_eq!(before, placed(&endpoints(&[1; 4])));
    }

    #[test]
    fn keys_go_clockwise_past_the_unable_and_come_back() {
        let list = endpoints(&[1; 5]);
        let ring = ring(&list);
        for key in keys().take(1000) {
            let home = ring.next(key, |_| true).expect("some");
            let next = ring.next(key, |endpoint| endpoint != home).expect("others");
            let mut rest = list.clone();
            rest.remove(home);
            assert_ne!(home, next);
            // The same as if the unable one had left.
            let left = self::ring(&rest).next(key, |_| true).expect("some");
            assert_eq!(rest[left].address, list[next].address);
        }
        assert_eq!(ring.next(1, |_| false), None);
    }

    #[test]
    fn the_ring_is_round_and_a_key_at_a_position_belongs_to_it() {
        let ring = ring(&endpoints(&[1, 1]));
        let owner = |slot: u64| Some((slot & OWNER_MASK) as usize);
        let (first, last) = (ring.slots[0], ring.slots[ring.slots.len() - 1]);
        assert_eq!(ring.next(0, |_| true), owner(first));
        assert_eq!(ring.next(last, |_| true), owner(last));
        assert_eq!(ring.next(last | OWNER_MASK, |_| true), owner(last));
        assert_eq!(ring.next(u64::MAX, |_| true), owner(first));
    }

    #[test]
    fn rings_are_bounded() {
        let sizes = |weights: &[u32], positions| {
            let mut ring = Ring::new(positions);
            ring.set_endpoints(&endpoints(weights));
            ring.slots.len()
        };
        assert_eq!(sizes(&[], 256), 0);
        assert_eq!(sizes(&[1], 256), 256);
        assert_eq!(sizes(&[256, 1], 256), 257);
        assert_eq!(sizes(&[25_600, 1], 16), 17);
        assert_eq!(sizes(&[1; 256], 256), 65_536);
        assert_eq!(sizes(&[1; 257], 256), 257 * 128);
        assert_eq!(sizes(&[25_600; 16], 4096), 65_536);
        assert_eq!(sizes(&vec![1; 70_000], 256), 70_000);
        assert_eq!(Ring::new(256).next(7, |_| true), None);
    }
}
