//! Lines in the host's log, under the plugin's name: [`debug!`](crate::debug), [`info!`](crate::info), [`warn!`](crate::warn),
//! [`error!`](crate::error). The host takes 100 lines a second from each plugin and worker, and cuts a line after 4 KiB.

use crate::host;

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For whoever looks for a fault in the plugin.
    Debug,
    /// Worth knowing.
    Info,
    /// Something will go wrong.
    Warn,
    /// Something went wrong.
    Error,
}

/// Writes one line.
pub fn write(level: Level, message: &str) {
    host::write_log(level, message);
}

/// Sends panic messages to the host's log: a component has no standard error that they could go to.
#[cfg(target_arch = "wasm32")]
pub(crate) fn log_panics() {
    std::panic::set_hook(Box::new(|info| write(Level::Error, &info.to_string())));
}

#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn log_panics() {}

/// Logs at level debug; arguments as for `format!`.
#[macro_export]
macro_rules! debug {
    ($($argument:tt)*) => { $crate::log::write($crate::log::Level::Debug, &format!($($argument)*)) };
}

/// Logs at level info; arguments as for `format!`.
#[macro_export]
macro_rules! info {
    ($($argument:tt)*) => { $crate::log::write($crate::log::Level::Info, &format!($($argument)*)) };
}

/// Logs at level warn; arguments as for `format!`.
#[macro_export]
macro_rules! warn {
    ($($argument:tt)*) => { $crate::log::write($crate::log::Level::Warn, &format!($($argument)*)) };
}

/// Logs at level error; arguments as for `format!`.
#[macro_export]
macro_rules! error {
    ($($argument:tt)*) => { $crate::log::write($crate::log::Level::Error, &format!($($argument)*)) };
}
