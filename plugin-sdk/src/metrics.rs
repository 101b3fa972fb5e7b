//! The plugin's own counters, gauges and histograms: summed over workers and instances, shown by the host as
//! `tollgate_plugin_NAME{plugin="…", …}`.
//!
//! Define them in `new` and keep the handles. A plugin has at most 64 names and 256 series, which are names with labels; a definition that is
//! refused leaves the filter free to go on without it.
//!
//! ```
//! use tollgate_plugin_sdk::metrics::{Counter, Histogram};
//! use tollgate_plugin_sdk::testing::with_host;
//!
//! let denied = Counter::define("denied", "Requests that were denied", &[("rule", "login")]).expect("it is valid");
//! denied.add(1.0);
//! assert_eq!(with_host(|host| host.metric("denied", &[("rule", "login")])), Some(1.0));
//!
//! let sizes = Histogram::define("body_bytes", "Sizes of bodies", &[], &[1e3, 1e6]).expect("it is valid");
//! sizes.observe(512.0);
//! ```

use std::fmt;

use crate::host;

/// Labels and their values.
pub type Labels<'a> = [(&'a str, &'a str)];

/// Why there is no such metric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetricError {
    /// The plugin has 64 names or 256 series.
    Full,
    /// A name, label or bound is not one, or the name was defined with another kind.
    Invalid(String),
}

impl fmt::Display for MetricError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MetricError::Full => f.write_str("a plugin has at most 64 metrics and 256 series"),
            MetricError::Invalid(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for MetricError {}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind<'a> {
    Counter,
    Gauge,
    Histogram(&'a [f64]),
}

/// Only grows. Shown with `_total` at the end of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter(u32);

impl Counter {
    /// Defines a counter, or finds the one of this name and these labels.
    ///
    /// # Errors
    /// As [`MetricError`] says; the same for the other kinds.
    pub fn define(name: &str, help: &str, labels: &Labels) -> Result<Self, MetricError> {
        host::define_metric(name, Kind::Counter, help, labels).map(Self)
    }

    /// Adds to it. What is negative or no number adds nothing.
    pub fn add(self, amount: f64) {
        if amount >= 0.0 && amount.is_finite() {
            host::add_metric(self.0, amount);
        }
    }
}

/// Goes up and down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gauge(u32);

impl Gauge {
    /// Defines a gauge, or finds the one of this name and these labels.
    ///
    /// # Errors
    /// As [`MetricError`] says.
    pub fn define(name: &str, help: &str, labels: &Labels) -> Result<Self, MetricError> {
        host::define_metric(name, Kind::Gauge, help, labels).map(Self)
    }

    /// Adds to it; what is no number adds nothing.
    pub fn add(self, amount: f64) {
        if amount.is_finite() {
            host::add_metric(self.0, amount);
        }
    }

    /// Sets it; of several workers the last one counts. What is no number sets nothing.
    pub fn set(self, value: f64) {
        if value.is_finite() {
            host::set_metric(self.0, value);
        }
    }
}

/// Counts of values by upper bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Histogram(u32);

impl Histogram {
    /// Defines a histogram with at most 32 ascending upper bounds (empty: 5 milliseconds to 10 seconds, in seconds), or finds the one of this
    /// name and these labels.
    ///
    /// # Errors
    /// As [`MetricError`] says.
    pub fn define(
        name: &str,
        help: &str,
        labels: &Labels,
        bounds: &[f64],
    ) -> Result<Self, MetricError> {
        host::define_metric(name, Kind::Histogram(bounds), help, labels).map(Self)
    }

    /// Counts a value; what is no number is not counted.
    pub fn observe(self, value: f64) {
        if value.is_finite() {
            host::observe_metric(self.0, value);
        }
    }
}
