//! When the next check is due.

use std::time::Duration;

use crate::config::HealthCheck;

/// The shortest wait between two checks of an endpoint, whatever the jitter takes off.
const WAIT_MIN: Duration = Duration::from_millis(1);

/// How soon a subject wants to be checked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// It is up and nothing speaks against it: after `interval`.
    Stable,
    /// It is on its way up or down: after `interval-changing`.
    Changing,
    /// It is down: after `interval-down`.
    Down,
    /// Never again.
    Stop,
}

/// From the start of the task to its first check: the endpoint at `position` of `count` waits its share of `interval-changing`, so
/// that the checks of a cluster spread over it. A count of 0 is 1, a position beyond the count wraps.
pub(super) fn first_wait(settings: &HealthCheck, (position, count): (usize, usize)) -> Duration {
    let count = count.max(1);
    // Below 1, so the product cannot overflow.
    let share = (position % count) as f64 / count as f64;
    settings.interval_changing.mul_f64(share)
}

/// From the start of one check to the start of the next; `None`: there is none. `chance` is from 0 to 1: 0 takes the whole jitter off,
/// 0.5 nothing, 1 adds it.
pub(super) fn wait(settings: &HealthCheck, pace: Pace, chance: f64) -> Option<Duration> {
    let interval = match pace {
        Pace::Stable => settings.interval,
        Pace::Changing => settings.interval_changing,
        Pace::Down => settings.interval_down,
        Pace::Stop => return None,
    };
    let factor = 1.0 + settings.jitter.factor() * (2.0 * chance - 1.0);
    let seconds = interval.as_secs_f64() * factor.max(0.0);
    // What does not fit is an interval no configuration has; it is kept as written.
    let wait = Duration::try_from_secs_f64(seconds).unwrap_or(interval);
    Some(wait.max(WAIT_MIN))
}
