//! Times by chance. Only operations that every machine rounds alike, so that a seed means the same everywhere.

use fastrand::Rng;

/// Log-normal with mean 1: times of service have a long tail.
pub(super) fn log_normal(rng: &mut Rng, sigma: f64) -> f64 {
    exp(sigma * normal(rng) - sigma * sigma / 2.0)
}

/// From 0 to twice the mean, in microseconds.
pub(super) fn uniform(rng: &mut Rng, mean_micros: u64) -> u64 {
    rng.u64(0..=2 * mean_micros)
}

/// Irwin–Hall: twelve uniform numbers have variance 1 together; the tails end at 6.
fn normal(rng: &mut Rng) -> f64 {
    (0..12).map(|_| rng.f64()).sum::<f64>() - 6.0
}

/// (1 + x / 2^20)^(2^20); for |x| below 10 it is off by less than 1 in 10,000. The standard library's differs between platforms in the last digit.
fn exp(x: f64) -> f64 {
    (0..20).fold(1.0 + x / f64::from(1 << 20), |power, _| power * power)
}

#[test]
fn the_mean_of_the_long_tail_is_one() {
    let mut rng = Rng::with_seed(3);
    let draws = 100_000;
    let mean = (0..draws).map(|_| log_normal(&mut rng, 0.6)).sum::<f64>() / f64::from(draws);
    assert!((0.99..1.01).contains(&mean), "{mean}");
    assert!((exp(2.0) - 2.0_f64.exp()).abs() < 0.001);
}
