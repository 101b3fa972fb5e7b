//! Warm instances: each worker keeps instances of each plugin that it has called, in a table of its own, so that calls take no lock.

use std::sync::{Mutex, PoisonError, Weak};

use super::configured::{Instance, Role};
use super::health::Health;
use super::state::LogLimit;

/// One worker's table for plugins of one kind, indexed by [`SlotNumber`].
pub(super) struct Slots<R: Role>(Vec<Option<Slot<R>>>);

/// One worker's side of one plugin.
pub(super) struct Slot<R: Role> {
    /// Which plugin: numbers are used again, tokens are not.
    token: Weak<Token>,
    /// Those that serve nobody now; the one that served last is the next.
    pub(super) idle: Vec<Box<Instance<R>>>,
    /// Those that are leased.
    pub(super) leased: u32,
    pub(super) health: Health,
    /// The plugin's log limit while there is no instance to hold it.
    pub(super) log: LogLimit,
}

/// What lives as long as the plugin does; workers hold it weakly.
#[derive(Debug)]
pub(super) struct Token(SlotNumber);

impl Token {
    pub(super) fn new() -> Token {
        Token(SlotNumber::take())
    }
}

impl<R: Role> Slots<R> {
    pub(super) const fn new() -> Slots<R> {
        Slots(Vec::new())
    }

    /// This worker's slot of a plugin.
    #[inline]
    pub(super) fn of(&mut self, token: &std::sync::Arc<Token>) -> &mut Slot<R> {
        let number = token.0.0;
        let current = |slot: &Option<Slot<R>>| {
            slot.as_ref()
                .is_some_and(|slot| std::ptr::eq(slot.token.as_ptr(), &raw const **token))
        };
        if !self.0.get(number).is_some_and(current) {
            self.begin(number, token);
        }
        self.0[number].as_mut().expect("filled above")
    }

    /// Whatever lay there belonged to a plugin that is gone.
    #[cold]
    fn begin(&mut self, number: usize, token: &std::sync::Arc<Token>) {
        if self.0.len() <= number {
            self.0.resize_with(number + 1, || None);
        }
        let token = std::sync::Arc::downgrade(token);
        self.0[number] = Some(Slot {
            token,
            idle: Vec::new(),
            leased: 0,
            health: Health::default(),
            log: LogLimit::default(),
        });
    }

    /// Drops what belongs to plugins that are gone.
    pub(super) fn retire(&mut self) {
        for slot in &mut self.0 {
            if slot
                .as_ref()
                .is_some_and(|slot| slot.token.strong_count() == 0)
            {
                *slot = None;
            }
        }
    }
}

/// A small number that no other living plugin has.
#[derive(Debug, PartialEq, Eq)]
struct SlotNumber(usize);

/// The numbers given back, and the next that was never given.
static NUMBERS: Mutex<(Vec<usize>, usize)> = Mutex::new((Vec::new(), 0));

impl SlotNumber {
    fn take() -> SlotNumber {
        let mut numbers = NUMBERS.lock().unwrap_or_else(PoisonError::into_inner);
        SlotNumber(numbers.0.pop().unwrap_or_else(|| {
            numbers.1 += 1;
            numbers.1 - 1
        }))
    }
}

impl Drop for SlotNumber {
    fn drop(&mut self) {
        NUMBERS
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .push(self.0);
    }
}
