//! When to order, by numbers.

use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, KeyPair};

use super::fixture::{DAY, HOUR, MINUTE};
use crate::acme::certificate::Certificate;
use crate::acme::schedule::{renewal, retry, retry_after_start, suggested};

fn start() -> SystemTime {
    SystemTime::UNIX_EPOCH + 20_000 * DAY
}

fn lasting(lifetime: Duration) -> Certificate {
    let mut params = CertificateParams::new(["a.example".to_owned()]).expect("a name");
    params.not_before = start().into();
    params.not_after = (start() + lifetime).into();
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate");
    let pair = (
        certificate.pem().into_bytes(),
        key.serialize_pem().into_bytes(),
    );
    Certificate::parse(pair).expect("a certificate and its key")
}

fn after(moment: SystemTime) -> Duration {
    moment
        .duration_since(start())
        .expect("not before the issue")
}

#[test]
fn the_renewal_lies_before_the_last_third_by_chance() {
    for (lifetime, chance, expected) in [
        (90 * DAY, 0.0, 60 * DAY),
        (90 * DAY, 1.0, 57 * DAY),
        (90 * DAY, 7.0, 57 * DAY),
        (6 * DAY, 0.5, 4 * DAY - 144 * MINUTE),
        (3 * HOUR, 0.0, 2 * HOUR),
    ] {
        let certificate = lasting(lifetime);
        assert_eq!(
            after(renewal(&certificate, chance)),
            expected,
            "{lifetime:?} {chance}"
        );
    }
}

#[test]
fn a_suggested_window_is_kept_within_reason() {
    let certificate = lasting(90 * DAY);
    for (from, to, chance, expected) in [
        (50, 52, 0.0, 50),
        (50, 52, 0.5, 51),
        (50, 52, 1.0, 52),
        // Upside down: the start counts.
        (52, 50, 1.0, 52),
        (0, 0, 0.0, 1),
        (1, 1, 0.0, 1),
        (75, 75, 0.0, 75),
        (76, 100, 1.0, 75),
        (1_000_000, 2_000_000, 1.0, 75),
    ] {
        let window = (start() + from * DAY, start() + to * DAY);
        let moment = suggested(&certificate, window, chance);
        assert_eq!(after(moment), expected * DAY, "{from} to {to}, {chance}");
    }
    let short = lasting(3 * HOUR);
    let past = (SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH);
    assert_eq!(after(suggested(&short, past, 0.0)), HOUR / 2);
}

#[test]
fn waits_double_up_to_six_hours() {
    for (count, minutes) in [
        (0, 1),
        (1, 1),
        (2, 2),
        (5, 16),
        (9, 256),
        (10, 360),
        (u32::MAX, 360),
    ] {
        assert_eq!(retry(count, None, 0.0), minutes * MINUTE, "{count}");
    }
    assert_eq!(retry(1, None, 1.0), 66 * Duration::from_secs(1));
    assert_eq!(retry(1, Some(HOUR), 1.0), HOUR);
    assert_eq!(retry(10, Some(HOUR), 0.0), 6 * HOUR);
    assert_eq!(retry(1, Some(Duration::MAX), 0.0), DAY);
}

#[test]
fn after_a_start_a_quarter_of_an_hour_is_the_longest_wait() {
    let failed = start();
    for (count, since, expected) in [
        (1, Duration::ZERO, MINUTE),
        (1, MINUTE, Duration::ZERO),
        (1, HOUR, Duration::ZERO),
        (4, MINUTE, 7 * MINUTE),
        (5, Duration::ZERO, 15 * MINUTE),
        (20, 5 * MINUTE, 10 * MINUTE),
    ] {
        let wait = retry_after_start(count, failed, failed + since);
        assert_eq!(wait, expected, "{count} {since:?}");
    }
    assert_eq!(
        retry_after_start(20, failed, failed - DAY),
        15 * MINUTE,
        "the clock went back"
    );
}
