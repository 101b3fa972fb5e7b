//! Whether an endpoint is up, as one number: how far it is from changing its mind.

use super::Pace;
use crate::config::InitialHealth;

/// Health from 0 to `rise + fall - 1`; up from `rise` on.
///
/// HAProxy's counter (`src/check.c`, `set_server_check_status`): a pass adds one, and one that arrives at `rise` or beyond makes health
/// full; a failure takes one, and one that falls below `rise` makes it 0. So `rise` passes in a row bring an endpoint up, `fall`
/// failures in a row take it down, and a single answer of the other kind starts the row again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counter {
    health: u32,
    rise: u32,
    fall: u32,
}

/// The state changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transition {
    Up,
    Down,
}

impl Counter {
    /// Of an endpoint that was never checked. A `rise` or `fall` of 0 counts as 1.
    pub fn new(rise: u32, fall: u32, initial: InitialHealth) -> Counter {
        let (rise, fall) = (rise.max(1), fall.max(1));
        let health = match initial {
            InitialHealth::FullyUp => full(rise, fall),
            InitialHealth::Up => rise,
            InitialHealth::Down => rise - 1,
            InitialHealth::FullyDown => 0,
        };
        Counter { health, rise, fall }
    }

    pub fn is_up(&self) -> bool {
        self.health >= self.rise
    }

    /// Whether it is on its way up or down: the next check may matter.
    pub fn is_changing(&self) -> bool {
        self.health != 0 && self.health != full(self.rise, self.fall)
    }

    /// How soon to check again.
    pub fn pace(&self) -> Pace {
        match (self.is_changing(), self.is_up()) {
            (true, _) => Pace::Changing,
            (false, true) => Pace::Stable,
            (false, false) => Pace::Down,
        }
    }

    /// Counts a check that passed.
    pub fn passed(&mut self) -> Option<Transition> {
        let was_up = self.is_up();
        self.health = match self.health.saturating_add(1) {
            health if health >= self.rise => full(self.rise, self.fall),
            health => health,
        };
        (!was_up && self.is_up()).then_some(Transition::Up)
    }

    /// Counts a check that failed, or what is held to be as bad as one.
    pub fn failed(&mut self) -> Option<Transition> {
        let was_up = self.is_up();
        self.health = match self.health.saturating_sub(1) {
            health if health < self.rise => 0,
            health => health,
        };
        (was_up && !self.is_up()).then_some(Transition::Down)
    }

    /// The same state under other limits, for a reload: it stays up or down, with as many answers of the other kind counted as before,
    /// but always at least one short of a change.
    pub fn with_limits(&self, rise: u32, fall: u32) -> Counter {
        let (rise, fall) = (rise.max(1), fall.max(1));
        let health = if self.is_up() {
            let failed = full(self.rise, self.fall) - self.health;
            full(rise, fall) - failed.min(fall - 1)
        } else {
            self.health.min(rise - 1)
        };
        Counter { health, rise, fall }
    }
}

fn full(rise: u32, fall: u32) -> u32 {
    rise.saturating_add(fall - 1)
}
