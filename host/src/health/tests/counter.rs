//! The counter against the rule in other words: answers of the other kind in a row.

use super::super::{Counter, Pace, Transition};
use crate::config::InitialHealth;

const INITIAL: [InitialHealth; 4] = [
    InitialHealth::FullyUp,
    InitialHealth::Up,
    InitialHealth::Down,
    InitialHealth::FullyDown,
];

/// Up or down, and how many answers in a row said otherwise.
struct Model {
    up: bool,
    against: u32,
    rise: u32,
    fall: u32,
}

impl Model {
    fn new(rise: u32, fall: u32, initial: InitialHealth) -> Model {
        let (up, against) = match initial {
            InitialHealth::FullyUp => (true, 0),
            InitialHealth::Up => (true, fall - 1),
            InitialHealth::Down => (false, rise - 1),
            InitialHealth::FullyDown => (false, 0),
        };
        Model {
            up,
            against,
            rise,
            fall,
        }
    }

    fn count(&mut self, passed: bool) -> Option<Transition> {
        self.against = if passed == self.up {
            0
        } else {
            self.against + 1
        };
        let (enough, transition) = match self.up {
            true => (self.fall, Transition::Down),
            false => (self.rise, Transition::Up),
        };
        (self.against == enough).then(|| {
            self.up = !self.up;
            self.against = 0;
            transition
        })
    }
}

fn count(counter: &mut Counter, passed: bool) -> Option<Transition> {
    match passed {
        true => counter.passed(),
        false => counter.failed(),
    }
}

#[test]
fn any_sequence_of_answers_agrees_with_the_model() {
    let mut random = fastrand::Rng::with_seed(3);
    for round in 0..4000 {
        let (rise, fall) = (random.u32(1..=6), random.u32(1..=6));
        let initial = INITIAL[round % 4];
        // Rounds differ in how often checks pass, so that long rows of either kind come up.
        let share = random.f64();
        let mut counter = Counter::new(rise, fall, initial);
        let mut model = Model::new(rise, fall, initial);
        for step in 0..60 {
            let passed = random.f64() < share;
            let place = format!("rise {rise} fall {fall} {initial:?} seed 3 {round}/{step}");
            assert_eq!(count(&mut counter, passed), model.count(passed), "{place}");
            assert_eq!(counter.is_up(), model.up, "{place}");
            assert_eq!(counter.is_changing(), model.against != 0, "{place}");
        }
    }
}

#[test]
fn initial_states_differ_in_what_the_first_answer_does() {
    use Transition::{Down, Up};
    let cases = [
        (InitialHealth::FullyUp, true, None, None),
        (InitialHealth::Up, true, None, Some(Down)),
        (InitialHealth::Down, false, Some(Up), None),
        (InitialHealth::FullyDown, false, None, None),
    ];
    for (initial, up, pass, fail) in cases {
        let counter = Counter::new(2, 3, initial);
        assert_eq!(counter.is_up(), up, "{initial:?}");
        assert_eq!(counter.clone().passed(), pass, "{initial:?}");
        assert_eq!(counter.clone().failed(), fail, "{initial:?}");
    }
}

#[test]
fn the_pace_follows_the_counter() {
    let mut counter = Counter::new(2, 2, InitialHealth::FullyDown);
    let paces = [true, true, false, true, false, false].map(|passed| {
        count(&mut counter, passed);
        counter.pace()
    });
    use Pace::{Changing, Down, Stable};
    assert_eq!(paces, [Changing, Stable, Changing, Stable, Changing, Down]);
}

#[test]
fn limits_of_zero_count_as_one() {
    let mut counter = Counter::new(0, 0, InitialHealth::FullyDown);
    assert_eq!(counter.passed(), Some(Transition::Up));
    assert_eq!(counter.failed(), Some(Transition::Down));
}

#[test]
fn the_highest_limits_do_not_overflow() {
    let mut counter = Counter::new(u32::MAX, u32::MAX, InitialHealth::FullyUp);
    assert_eq!((counter.passed(), counter.is_up()), (None, true));
}

#[test]
fn other_limits_change_no_state_and_forget_no_answer() {
    let mut random = fastrand::Rng::with_seed(4);
    for _ in 0..4000 {
        let mut limit = || random.u32(1..=6);
        let (rise, fall, rise_after, fall_after) = (limit(), limit(), limit(), limit());
        let mut counter = Counter::new(rise, fall, InitialHealth::FullyUp);
        let mut model = Model::new(rise, fall, InitialHealth::FullyUp);
        for _ in 0..random.u32(0..12) {
            let passed = random.bool();
            count(&mut counter, passed);
            model.count(passed);
        }
        let mut counter = counter.with_limits(rise_after, fall_after);
        let enough = if model.up { fall_after } else { rise_after };
        let missing = enough - model.against.min(enough - 1);
        for left in (0..missing).rev() {
            assert_eq!(counter.is_up(), model.up);
            assert_eq!(count(&mut counter, !model.up).is_some(), left == 0);
        }
    }
}
