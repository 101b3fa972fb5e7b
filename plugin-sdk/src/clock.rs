//! The time, from the host.

use std::time::Duration;

use crate::host;

/// Time since an arbitrary instant; never goes back.
#[must_use]
pub fn monotonic() -> Duration {
    Duration::from_nanos(host::monotonic())
}

/// Time since 1970-01-01T00:00:00Z.
#[must_use]
pub fn wall() -> Duration {
    Duration::from_nanos(host::wall())
}
