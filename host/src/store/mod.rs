//! The store that plugins share: keys and values with expiry, atomic counters, rates. One for each name, across workers, filters and generations.
//!
//! A [`Store`] is a name with a [`Backend`] behind it, today always the [`Memory`] of this process. [`open`] finds the store of a name as long
//! as anyone holds it, so that it survives a reload. The algorithms of limits are in `rate.rs`, free of keys and locks.
//!
//! Knows no Wasm, no configuration and no clock: the time is an argument, in nanoseconds from an origin that is the caller's.

mod memory;
mod rate;
mod registry;
#[cfg(test)]
mod tests;

pub use memory::{Limits, Memory};
pub use rate::{Admission, BucketLimit, WindowLimit};
pub use registry::{Store, open};

/// Longest key in bytes.
pub const KEY_BYTES_MAX: usize = 1_024;
/// Longest value in bytes.
pub const VALUE_BYTES_MAX: usize = 64 * 1_024;

/// Nanoseconds since the caller's origin; never goes back by much.
pub type Now = u64;

/// How long an entry stays, in nanoseconds; 0: as long as there is room.
pub type TimeToLive = u64;

/// Why nothing was done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    #[error("the store is full")]
    Full,
    #[error("a key has 1 to {KEY_BYTES_MAX} bytes and a value at most {VALUE_BYTES_MAX}")]
    TooLarge,
    #[error("what is under this key is of another type")]
    WrongType,
    /// For backends that are not in this process.
    #[error("the store cannot be reached: {0}")]
    Unavailable(String),
}

/// Where keys and values are. Each call is atomic by itself.
///
/// # Errors
/// All functions: [`StoreError`]; nothing has changed then.
pub trait Backend: Send + Sync + std::fmt::Debug {
    /// The value of this key; a counter as decimal text.
    fn get(&self, key: &[u8], now: Now) -> Result<Option<Vec<u8>>, StoreError>;

    /// Puts a value in place of whatever is there.
    fn set(&self, key: &[u8], value: &[u8], ttl: TimeToLive, now: Now) -> Result<(), StoreError>;

    /// Removes whatever is there, and says whether there was something.
    fn remove(&self, key: &[u8], now: Now) -> Result<bool, StoreError>;

    /// Puts a value if the one there is `expected` (none: if there is nothing), and says whether it did.
    fn swap(
        &self,
        key: &[u8],
        expected: Option<&[u8]>,
        value: &[u8],
        ttl: TimeToLive,
        now: Now,
    ) -> Result<bool, StoreError>;

    /// Adds to a counter and answers what it is then; `ttl` holds for one that was not there. A counter at 0 is one that is not there.
    fn add(&self, key: &[u8], amount: i64, ttl: TimeToLive, now: Now) -> Result<i64, StoreError>;

    /// Another time to live from now on; says whether there was something.
    fn touch(&self, key: &[u8], ttl: TimeToLive, now: Now) -> Result<bool, StoreError>;

    /// Counts against a sliding window.
    fn window(
        &self,
        key: &[u8],
        limit: &WindowLimit,
        cost: u64,
        now: Now,
    ) -> Result<Admission, StoreError>;

    /// Takes out of a token bucket.
    fn bucket(
        &self,
        key: &[u8],
        limit: &BucketLimit,
        cost: u64,
        now: Now,
    ) -> Result<Admission, StoreError>;

    /// Entries and bytes that are taken now, expired ones that were not met since included.
    fn size(&self) -> (u64, u64);
}
