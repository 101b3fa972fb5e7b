//! How busy endpoints are, across all workers. For balancers only: other plugins lack the import.

use crate::host;

/// An endpoint that cannot take a request now has this load.
pub const UNAVAILABLE: u32 = u32::MAX;

/// Requests in flight at two endpoints, in one call to the host.
#[must_use]
pub fn pair(first: u32, second: u32) -> (u32, u32) {
    let packed = host::load_pair(first, second);
    ((packed >> 32) as u32, packed as u32)
}
