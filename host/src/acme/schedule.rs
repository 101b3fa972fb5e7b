//! When to order. Pure: the time and chance are given.

use std::time::{Duration, SystemTime};

use super::certificate::Certificate;

/// Between a failed order and the next: the first wait, doubled each time, up to the last.
const RETRY_MIN: Duration = Duration::from_secs(60);
const RETRY_MAX: Duration = Duration::from_secs(6 * 3600);
/// After a start the wait begun before it is cut to this, since a start often means that somebody has mended something. Four failures an
/// hour at most, below the five for which the best known authority shuts a name out.
const RESTART_MAX: Duration = Duration::from_secs(15 * 60);
/// The longest wait that an authority may impose at once. Then it is asked again.
pub(super) const ASKED_MAX: Duration = Duration::from_secs(24 * 3600);

/// From the issue of a certificate to its renewal because the authority suggests it.
const SUGGESTED_MIN: Duration = Duration::from_secs(24 * 3600);

/// A third of the lifetime before the end, and up to a thirtieth earlier by `chance` (0 to 1), so that certificates issued at once are not
/// renewed at once.
pub(super) fn renewal(certificate: &Certificate, chance: f64) -> SystemTime {
    let lifetime = certificate.lifetime();
    before(
        certificate,
        lifetime / 3 + (lifetime / 30).mul_f64(chance.clamp(0.0, 1.0)),
    )
}

/// RFC 9773 §4.2: a moment by chance within the window that the authority suggests, which counts more than [`renewal`]; but whatever the
/// window says, not within a day of the issue (of short certificates a sixth of the lifetime), so that a window that is always in the past
/// makes no endless row of orders, and not so late that less than a sixth of the lifetime is left.
pub(super) fn suggested(
    certificate: &Certificate,
    (start, end): (SystemTime, SystemTime),
    chance: f64,
) -> SystemTime {
    let window = end.duration_since(start).unwrap_or_default();
    let sixth = certificate.lifetime() / 6;
    let earliest = certificate.not_before + sixth.min(SUGGESTED_MIN);
    let latest = before(certificate, sixth);
    let moment = start.checked_add(window.mul_f64(chance.clamp(0.0, 1.0)));
    moment.map_or(latest, |moment| moment.clamp(earliest, latest))
}

fn before(certificate: &Certificate, left: Duration) -> SystemTime {
    let moment = certificate.not_after.checked_sub(left);
    moment.unwrap_or(SystemTime::UNIX_EPOCH)
}

/// How long to wait after the `count`th failure in a row: up to a tenth longer by `chance`, and as long as the authority `asked`.
pub(super) fn retry(count: u32, asked: Option<Duration>, chance: f64) -> Duration {
    let wait = doubled(count);
    let wait = wait + (wait / 10).mul_f64(chance.clamp(0.0, 1.0));
    wait.max(asked.unwrap_or_default().min(ASKED_MAX))
}

/// What is left at `now` of the wait for a failure at `failed`, when the process has started in between. A clock that went back makes it no
/// longer.
pub(super) fn retry_after_start(count: u32, failed: SystemTime, now: SystemTime) -> Duration {
    let wait = doubled(count).min(RESTART_MAX);
    match now.duration_since(failed) {
        Ok(since) => wait.saturating_sub(since),
        Err(_) => wait,
    }
}

fn doubled(count: u32) -> Duration {
    let factor = 2_u32.saturating_pow(count.saturating_sub(1));
    RETRY_MIN.saturating_mul(factor).min(RETRY_MAX)
}
