//! How good the endpoints are.

/// A cluster of twenty endpoints; an endpoint is known by its position.
#[derive(Debug)]
pub(super) struct Scenario {
    pub name: &'static str,
    /// What is said about it above the table.
    pub text: &'static str,
    pub weight: fn(usize) -> u32,
    /// How many times slower than the others.
    pub slowness: fn(usize) -> u32,
    /// Answers everything with a 500 at once.
    pub failing: Option<usize>,
    /// Finishes nothing during [`STALL`].
    pub stalling: Option<usize>,
}

pub(super) const ENDPOINTS: usize = 20;
pub(super) const CLIENTS: usize = 100;
const MILLI: u64 = 1_000;
const SECOND: u64 = 1_000 * MILLI;
/// Microseconds, like every time here.
pub(super) const DURATION: u64 = 6 * SECOND;
pub(super) const SERVICE_MEAN: u64 = 20 * MILLI;
/// Of the logarithm of the time of service: the slowest of a hundred takes three and a half times the mean.
pub(super) const SERVICE_SIGMA: f64 = 0.6;
pub(super) const THINK_MEAN: u64 = 80 * MILLI;
pub(super) const FAILURE_TIME: u64 = MILLI;
pub(super) const RESPONSE_TIMEOUT: u64 = SECOND;
pub(super) const STALL: std::ops::Range<u64> = 2 * SECOND..5 * SECOND;

const EQUAL: Scenario = Scenario {
    name: "equal",
    text: "all endpoints alike",
    weight: |_| 2,
    slowness: |_| 1,
    failing: None,
    stalling: None,
};

pub(super) const SCENARIOS: &[Scenario] = &[
    EQUAL,
    Scenario {
        name: "weighted",
        text: "four endpoints of four times the weight and size",
        weight: |position| if position % 5 == 0 { 4 } else { 1 },
        ..EQUAL
    },
    Scenario {
        name: "slow",
        text: "three endpoints 5, 8 and 10 times slower",
        slowness: |position| match position {
            3 => 5,
            9 => 8,
            15 => 10,
            _ => 1,
        },
        ..EQUAL
    },
    Scenario {
        name: "stalling",
        text: "an endpoint that finishes nothing for 3 s",
        stalling: Some(4),
        ..EQUAL
    },
    Scenario {
        name: "failing",
        text: "an endpoint that answers every request with a 500 after 1 ms",
        failing: Some(4),
        ..EQUAL
    },
];

pub(super) fn find(name: &str) -> &'static Scenario {
    let mut all = SCENARIOS.iter();
    all.find(|scenario| scenario.name == name)
        .expect("one of the table")
}
