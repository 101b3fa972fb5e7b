//! Maglev's lookup table (Eisenbud and others: "Maglev: a fast and reliable software network load balancer", 2016, section 3.4): each endpoint
//! walks the slots in an order of its own and takes the next free one when it is its turn, until all are taken.
//!
//! With weights as Envoy's `maglev_lb.cc`: in each round an endpoint has its turn when the rounds, times its weight, have reached its target,
//! which then grows by the greatest weight. So a weight in hundredths gives the same table as the weight. Endpoints of one weight have their
//! turns together, and a queue of the next turns stands in for Envoy's look at every endpoint in every round. Within a round the order is
//! that of weights and addresses, not that of the list, so that every proxy makes the same table.
//!
//! A pick costs a division. Filling a table of M slots costs about M ln M looks at slots, and at most M
//! steps of the queue.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use tollgate_plugin_sdk::Endpoint;
use tollgate_plugin_sdk::hashing::{address_hash, next_able};
use tollgate_plugin_sdk::random::Generator;

/// Stands for a slot that nobody has taken.
const FREE: u32 = u32::MAX;

/// A number of slots: a prime, so that every step leads through all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size(u32);

impl Size {
    pub(crate) fn new(slots: u32) -> Result<Self, String> {
        if is_prime(slots) {
            return Ok(Size(slots));
        }
        let next = (slots..=u32::MAX).find(|number| is_prime(*number));
        let hint = next.map_or(String::new(), |next| format!("; the next is {next}"));
        Err(format!("{slots} is not a prime number{hint}"))
    }
}

/// By trial division, so some square root of divisions.
fn is_prime(number: u32) -> bool {
    let divisors =
        (2..).take_while(|divisor: &u32| u64::from(*divisor).pow(2) <= u64::from(number));
    number >= 2
        && !divisors
            .into_iter()
            .any(|divisor| number.is_multiple_of(divisor))
}

/// The endpoint of each slot.
#[derive(Debug)]
pub(crate) struct Table {
    size: Size,
    slots: Vec<u32>,
    endpoints: usize,
}

impl Table {
    pub(crate) fn new(size: Size) -> Self {
        Table {
            size,
            slots: Vec::new(),
            endpoints: 0,
        }
    }

    /// Starts anew with these endpoints.
    pub(crate) fn set_endpoints(&mut self, endpoints: &[Endpoint]) {
        self.endpoints = endpoints.len();
        self.slots.clear();
        if endpoints.is_empty() {
            return;
        }
        self.slots.resize(self.size.0 as usize, FREE);
        let mut turns = Turn::all(endpoints, self.size);
        let mut classes = Class::all(&mut turns);
        let greatest = classes[0].weight;
        let mut queue: BinaryHeap<_> = (0..classes.len())
            .map(|class| Reverse((1, class)))
            .collect();
        let mut free = self.slots.len();
        while let (Some(mut next), 1..) = (queue.peek_mut(), free) {
            let Reverse((round, index)) = *next;
            free -= classes[index].take(free, &mut self.slots);
            *next = Reverse((classes[index].next_round(round, greatest), index));
        }
    }

    /// The endpoint of the key's slot, or the first able one after it; none when none is able.
    pub(crate) fn next(&self, key: u64, is_able: impl FnMut(usize) -> bool) -> Option<usize> {
        let start = (key % u64::from(self.size.0)) as usize;
        let owner = |slot: usize| self.slots[slot] as usize;
        next_able(self.slots.len(), owner, start, self.endpoints, is_able)
    }
}

/// An endpoint while the table is filled.
struct Turn {
    endpoint: u32,
    /// The slot it looks at next.
    at: u32,
    /// 1 to size - 1.
    step: u32,
    size: u32,
    weight: u32,
}

impl Turn {
    /// The greatest weights first, equal ones in the order of the addresses.
    fn all(endpoints: &[Endpoint], size: Size) -> Vec<Turn> {
        let mut order: Vec<(u32, &Endpoint)> = (0..).zip(endpoints).collect();
        order.sort_by_key(|(_, endpoint)| (Reverse(endpoint.weight), &endpoint.address));
        let turn = |(index, endpoint): (u32, &Endpoint)| Turn::new(index, endpoint, size);
        order.into_iter().map(turn).collect()
    }

    fn new(index: u32, endpoint: &Endpoint, Size(size): Size) -> Turn {
        let mut hashes = Generator::seeded(address_hash(&endpoint.address));
        Turn {
            endpoint: index,
            at: (hashes.draw() % u64::from(size)) as u32,
            step: (hashes.draw() % u64::from(size - 1)) as u32 + 1,
            size,
            weight: endpoint.weight.max(1),
        }
    }

    /// Takes its next free slot; there must be one.
    fn take(&mut self, slots: &mut [u32]) {
        while slots[self.at as usize] != FREE {
            self.advance();
        }
        slots[self.at as usize] = self.endpoint;
    }

    /// One step on, round the end.
    fn advance(&mut self) {
        let left = self.size - self.at;
        self.at = if self.step < left {
            self.at + self.step
        } else {
            self.step - left
        };
    }
}

/// Endpoints of one weight: they have their turns in the same rounds.
struct Class<'a> {
    turns: &'a mut [Turn],
    weight: u64,
    /// The next turns come when rounds × weight has reached this.
    target: u64,
}

impl<'a> Class<'a> {
    /// The greatest weight first. One at least when there is a turn.
    fn all(turns: &'a mut [Turn]) -> Vec<Self> {
        let class = |turns: &'a mut [Turn]| Class {
            weight: u64::from(turns[0].weight),
            turns,
            target: 0,
        };
        turns
            .chunk_by_mut(|one, other| one.weight == other.weight)
            .map(class)
            .collect()
    }

    /// Gives each its turn while slots are free; answers how many it took.
    fn take(&mut self, free: usize, slots: &mut [u32]) -> usize {
        let turns = self.turns.iter_mut().take(free);
        turns.map(|turn| turn.take(slots)).count()
    }

    /// The round of the next turns, after those in this round. The greatest weight has its turns in every round.
    fn next_round(&mut self, round: u64, greatest: u64) -> u64 {
        self.target += greatest;
        self.target.div_ceil(self.weight).max(round + 1)
    }
}

#[cfg(test)]
mod tests;
