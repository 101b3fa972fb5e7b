//! The fake host's side of the capabilities `store` and `metrics`.

use crate::metrics::{Kind, MetricError};
use crate::store::{Admission, StoreError};

use super::store::FakeStores;
use super::{Host, with_host};

/// A series and what was done with it.
#[derive(Clone, Debug)]
pub(crate) struct FakeMetric {
    name: String,
    kind: &'static str,
    labels: Vec<(String, String)>,
    value: f64,
}

impl Host {
    /// What a counter or a gauge stands at, or how often a histogram was written to; none when no such series was defined. Labels in any order.
    #[must_use]
    pub fn metric(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels = sorted(labels);
        let mut known = self.metrics.iter();
        let found = known.find(|metric| metric.name == name && metric.labels == labels);
        found.map(|metric| metric.value)
    }

    /// Forgets what stores hold: for a test that runs the same exchange twice.
    pub fn clear_stores(&mut self) {
        self.kept.clear();
    }
}

type Answer<T> = Result<T, StoreError>;

pub(crate) fn store_names() -> Vec<String> {
    with_host(|host| host.stores.clone())
}

/// # Panics
/// For a store that was not granted, as the host ends the call.
fn with_store<T>(name: &str, ask: impl FnOnce(&mut FakeStores, u64) -> Answer<T>) -> Answer<T> {
    with_host(|host| {
        assert!(
            host.stores.iter().any(|granted| granted == name),
            "the store `{name}` was not granted"
        );
        match &host.store_error {
            Some(error) => Err(error.clone()),
            None => ask(&mut host.kept, host.monotonic),
        }
    })
}

pub(crate) fn store_get(name: &str, key: &[u8]) -> Answer<Option<Vec<u8>>> {
    with_store(name, |stores, now| stores.get((name, key), now))
}

pub(crate) fn store_set(name: &str, key: &[u8], value: &[u8], ttl: u64) -> Answer<()> {
    with_store(name, |stores, now| stores.set((name, key), value, ttl, now))
}

pub(crate) fn store_remove(name: &str, key: &[u8]) -> Answer<bool> {
    with_store(name, |stores, now| stores.remove((name, key), now))
}

pub(crate) fn store_swap(
    name: &str,
    key: &[u8],
    expected: Option<&[u8]>,
    value: &[u8],
    ttl: u64,
) -> Answer<bool> {
    with_store(name, |stores, now| {
        stores.swap((name, key), expected, value, ttl, now)
    })
}

pub(crate) fn store_add(name: &str, key: &[u8], amount: i64, ttl: u64) -> Answer<i64> {
    with_store(name, |stores, now| {
        stores.add((name, key), amount, ttl, now)
    })
}

pub(crate) fn store_touch(name: &str, key: &[u8], ttl: u64) -> Answer<bool> {
    with_store(name, |stores, now| stores.touch((name, key), ttl, now))
}

pub(crate) fn store_window(
    name: &str,
    key: &[u8],
    limit: u64,
    window: u64,
    cost: u64,
) -> Answer<Admission> {
    with_store(name, |stores, now| {
        stores.window((name, key), (limit, window), cost, now)
    })
}

pub(crate) fn store_bucket(
    name: &str,
    key: &[u8],
    limit: (u64, u64, u64),
    cost: u64,
) -> Answer<Admission> {
    with_store(name, |stores, now| {
        stores.bucket((name, key), limit, cost, now)
    })
}

pub(crate) fn define_metric(
    name: &str,
    kind: Kind,
    _help: &str,
    labels: &[(&str, &str)],
) -> Result<u32, MetricError> {
    let kind = match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram(_) => "histogram",
    };
    let labels = sorted(labels);
    with_host(|host| {
        let mut named = host.metrics.iter().filter(|metric| metric.name == name);
        if named.any(|metric| metric.kind != kind) {
            let message = format!("`{name}` is defined with another kind");
            return Err(MetricError::Invalid(message));
        }
        let mut known = host.metrics.iter();
        let known = known.position(|metric| metric.name == name && metric.labels == labels);
        let number = known.unwrap_or_else(|| {
            host.metrics.push(FakeMetric {
                name: name.to_owned(),
                kind,
                labels,
                value: 0.0,
            });
            host.metrics.len() - 1
        });
        Ok(number as u32)
    })
}

pub(crate) fn add_metric(series: u32, amount: f64) {
    with_host(|host| host.metrics[series as usize].value += amount);
}

pub(crate) fn set_metric(series: u32, value: f64) {
    with_host(|host| host.metrics[series as usize].value = value);
}

pub(crate) fn observe_metric(series: u32, _value: f64) {
    add_metric(series, 1.0);
}

fn sorted(labels: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let mut labels: Vec<(String, String)> = labels.iter().map(owned).collect();
    labels.sort();
    labels
}
