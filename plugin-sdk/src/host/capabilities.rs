//! The capabilities that have bindings of their own, in a component.

use crate::bindings::capabilities::tollgate::plugin::{metrics, store};
use crate::metrics::{Kind, MetricError};
use crate::store::{Admission, StoreError, duration};

type Answer<T> = Result<T, StoreError>;

pub(crate) fn store_names() -> Vec<String> {
    store::names()
}

pub(crate) fn store_get(name: &str, key: &[u8]) -> Answer<Option<Vec<u8>>> {
    store::get(name, key).map_err(error)
}

pub(crate) fn store_set(name: &str, key: &[u8], value: &[u8], ttl: u64) -> Answer<()> {
    store::set(name, key, value, ttl).map_err(error)
}

pub(crate) fn store_remove(name: &str, key: &[u8]) -> Answer<bool> {
    store::remove(name, key).map_err(error)
}

pub(crate) fn store_swap(
    name: &str,
    key: &[u8],
    expected: Option<&[u8]>,
    value: &[u8],
    ttl: u64,
) -> Answer<bool> {
    store::swap(name, key, expected, value, ttl).map_err(error)
}

pub(crate) fn store_add(name: &str, key: &[u8], amount: i64, ttl: u64) -> Answer<i64> {
    store::add(name, key, amount, ttl).map_err(error)
}

pub(crate) fn store_touch(name: &str, key: &[u8], ttl: u64) -> Answer<bool> {
    store::touch(name, key, ttl).map_err(error)
}

pub(crate) fn store_window(
    name: &str,
    key: &[u8],
    limit: u64,
    window: u64,
    cost: u64,
) -> Answer<Admission> {
    let found = store::window(name, key, limit, window, cost);
    found.map(admission).map_err(error)
}

pub(crate) fn store_bucket(
    name: &str,
    key: &[u8],
    (capacity, refill, interval): (u64, u64, u64),
    cost: u64,
) -> Answer<Admission> {
    let found = store::bucket(name, key, capacity, refill, interval, cost);
    found.map(admission).map_err(error)
}

fn admission(found: store::Admission) -> Admission {
    Admission {
        allowed: found.allowed,
        remaining: found.remaining,
        retry_after: duration(found.retry_after),
        reset: duration(found.reset),
    }
}

fn error(error: store::Error) -> StoreError {
    match error {
        store::Error::Full => StoreError::Full,
        store::Error::TooLarge => StoreError::TooLarge,
        store::Error::WrongType => StoreError::WrongType,
        store::Error::Unavailable(why) => StoreError::Unavailable(why),
    }
}

pub(crate) fn define_metric(
    name: &str,
    kind: Kind,
    help: &str,
    labels: &[(&str, &str)],
) -> Result<u32, MetricError> {
    let kind = match kind {
        Kind::Counter => metrics::Kind::Counter,
        Kind::Gauge => metrics::Kind::Gauge,
        Kind::Histogram(bounds) => metrics::Kind::Histogram(bounds.to_vec()),
    };
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let labels: Vec<(String, String)> = labels.iter().map(owned).collect();
    metrics::define(name, &kind, help, &labels).map_err(|error| match error {
        metrics::Error::Full => MetricError::Full,
        metrics::Error::Invalid(why) => MetricError::Invalid(why),
    })
}

pub(crate) fn add_metric(series: u32, amount: f64) {
    metrics::add(series, amount);
}

pub(crate) fn set_metric(series: u32, value: f64) {
    metrics::set(series, value);
}

pub(crate) fn observe_metric(series: u32, value: f64) {
    metrics::observe(series, value);
}
