//! What the process says about itself: the log, the access log, and the metrics of plugins.

pub mod access;
pub mod log;
pub mod plugin_metrics;
pub mod seldom;
