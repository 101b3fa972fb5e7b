//! Keys and values that outlive a call: shared by all workers and instances, and by all plugins that were granted the same store; kept over a
//! reload. Counters and rates are the host's to count, in one step.
//!
//! A plugin that uses this module has to be granted a store in the configuration (bundled plugins have one of their own name), or is refused
//! when it is loaded. Any function may be called in `new` too.
//!
//! ```
//! use std::time::Duration;
//! use tollgate_plugin_sdk::store::{Store, StoreError, Ttl};
//!
//! # tollgate_plugin_sdk::testing::with_host(|host| host.stores = vec!["sessions".to_owned()]);
//! let store = Store::granted("sessions").expect("grant { store \"sessions\" }");
//! store.set(b"visitor 7", b"blue", Ttl::Of(Duration::from_secs(60)))?;
//! assert_eq!(store.get(b"visitor 7")?, Some(b"blue".to_vec()));
//! assert_eq!(store.add(b"visits", 1, Ttl::WhileThereIsRoom)?, 1);
//!
//! let admission = store.bucket(b"client 9", 2, 1, Duration::from_secs(1), 1)?;
//! assert!(admission.allowed && admission.remaining == 1);
//! # Ok::<(), StoreError>(())
//! ```

use std::fmt;
use std::time::Duration;

use crate::host;
use crate::settings::Errors;

/// Longest key in bytes; the shortest has one.
pub const KEY_BYTES_MAX: usize = 1_024;
/// Longest value in bytes.
pub const VALUE_BYTES_MAX: usize = 64 * 1_024;

/// A store that the plugin was granted. Cheap to make; what it stands for is the host's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    name: String,
}

/// How long an entry stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ttl {
    /// Until the store is full: then it goes before anything that has a time of its own.
    WhileThereIsRoom,
    /// So long, to the nanosecond, even in a full store. Zero is the shortest there is, one nanosecond.
    Of(Duration),
}

/// Why nothing was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// The store is full of what has not expired. What is there can still be read, changed and counted.
    Full,
    /// The key is empty or longer than [`KEY_BYTES_MAX`], or the value longer than [`VALUE_BYTES_MAX`].
    TooLarge,
    /// What is under this key is of another type: values, counters, windows and buckets are four.
    WrongType,
    /// The store cannot be reached; for the log.
    Unavailable(String),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::Full => f.write_str("the store is full"),
            StoreError::TooLarge => {
                f.write_str("the key or the value is too long, or the key empty")
            }
            StoreError::WrongType => f.write_str("what is under this key is of another type"),
            StoreError::Unavailable(why) => write!(f, "the store cannot be reached: {why}"),
        }
    }
}

impl std::error::Error for StoreError {}

/// What a limit says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    /// Whether it was within the limit. If not, nothing was counted.
    pub allowed: bool,
    /// What is left now.
    pub remaining: u64,
    /// How long until the same would be allowed if nothing else comes; zero when it was, `Duration::MAX` for never: the cost is more than
    /// the limit.
    pub retry_after: Duration,
    /// How long until all of the limit is there again if nothing else comes.
    pub reset: Duration,
}

/// The names of the stores that this plugin was granted, in the order of the configuration.
#[must_use]
pub fn granted() -> Vec<String> {
    host::store_names()
}

impl Store {
    /// The store of this name, if it was granted.
    #[must_use]
    pub fn granted(name: &str) -> Option<Store> {
        let mut names = granted().into_iter();
        names
            .find(|granted| granted == name)
            .map(|name| Store { name })
    }

    /// The store that a setting names, or without one the first that was granted. For `new`: one that was not granted is an error at the
    /// current place of `errors`.
    pub fn of_setting(name: Option<&str>, errors: &mut Errors) -> Option<Store> {
        let mut names = granted().into_iter();
        let Some(wanted) = name else {
            let first = names.next();
            if first.is_none() {
                errors.add("this plugin is granted no store");
            }
            return first.map(|name| Store { name });
        };
        let found = Store::granted(wanted);
        if found.is_none() {
            errors.add(format!(
                "this plugin is not granted the store `{wanted}`; inside its `plugin` node: grant {{ store \"{wanted}\" }}"
            ));
        }
        found
    }

    /// The name that it was granted by.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value under this key. A counter reads as decimal text.
    ///
    /// # Errors
    /// [`StoreError`], as for all functions; nothing has changed then.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        host::store_get(&self.name, key)
    }

    /// Puts a value under this key, in place of whatever is there.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub fn set(&self, key: &[u8], value: &[u8], ttl: Ttl) -> Result<(), StoreError> {
        host::store_set(&self.name, key, value, ttl.nanoseconds())
    }

    /// Removes whatever is under this key, and says whether there was something.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub fn remove(&self, key: &[u8]) -> Result<bool, StoreError> {
        host::store_remove(&self.name, key)
    }

    /// Puts a value under this key if the value there is `expected`; `None`: if there is nothing. Says whether it did.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub fn swap(
        &self,
        key: &[u8],
        expected: Option<&[u8]>,
        value: &[u8],
        ttl: Ttl,
    ) -> Result<bool, StoreError> {
        host::store_swap(&self.name, key, expected, value, ttl.nanoseconds())
    }

    /// Adds to a counter and answers what it is then. The time to live holds for one that was not there; later additions leave it, and
    /// [`Store::touch`] changes it. A counter that comes to 0 is gone.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub fn add(&self, key: &[u8], amount: i64, ttl: Ttl) -> Result<i64, StoreError> {
        host::store_add(&self.name, key, amount, ttl.nanoseconds())
    }

    /// Gives a value or a counter another time to live, from now on. Says whether there was something.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub fn touch(&self, key: &[u8], ttl: Ttl) -> Result<bool, StoreError> {
        host::store_touch(&self.name, key, ttl.nanoseconds())
    }

    /// Counts `cost` against a limit in any window of this length, by the sliding window counter: the last window weighs by how much of it
    /// still reaches back. A cost of 0 asks only.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub fn window(
        &self,
        key: &[u8],
        limit: u64,
        window: Duration,
        cost: u64,
    ) -> Result<Admission, StoreError> {
        host::store_window(&self.name, key, limit, nanoseconds(window), cost)
    }

    /// Takes `cost` tokens out of a bucket that begins full with `capacity` and gets `refill` tokens per interval, evenly. A cost of 0 asks
    /// only.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub fn bucket(
        &self,
        key: &[u8],
        capacity: u64,
        refill: u64,
        interval: Duration,
        cost: u64,
    ) -> Result<Admission, StoreError> {
        host::store_bucket(
            &self.name,
            key,
            (capacity, refill, nanoseconds(interval)),
            cost,
        )
    }
}

impl Ttl {
    fn nanoseconds(self) -> u64 {
        match self {
            Ttl::WhileThereIsRoom => 0,
            Ttl::Of(duration) => nanoseconds(duration).max(1),
        }
    }
}

/// Of the contract's time spans: the longest one means for ever.
#[cfg(target_arch = "wasm32")]
pub(crate) fn duration(nanoseconds: u64) -> Duration {
    match nanoseconds {
        u64::MAX => Duration::MAX,
        nanoseconds => Duration::from_nanos(nanoseconds),
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::with_host;

    fn store() -> Store {
        Store::granted("store").expect("the fake host grants it")
    }

    #[test]
    fn a_setting_may_name_only_what_is_granted() {
        let of_setting = |name| {
            let mut errors = Errors::new();
            let found = Store::of_setting(name, &mut errors);
            (found.map(|store| store.name), errors.iter().count())
        };
        with_host(|host| host.stores = vec!["first".to_owned(), "second".to_owned()]);
        assert_eq!(of_setting(None), (Some("first".to_owned()), 0));
        assert_eq!(of_setting(Some("second")), (Some("second".to_owned()), 0));
        assert_eq!(of_setting(Some("third")), (None, 1));
        with_host(|host| host.stores.clear());
        assert_eq!(of_setting(None), (None, 1));
    }

    #[test]
    fn the_fake_store_keeps_expires_swaps_and_counts() {
        let (store, second) = (store(), Duration::from_secs(1));
        assert_eq!(store.set(b"k", b"v", Ttl::Of(second)), Ok(()));
        assert_eq!(
            store.swap(b"k", Some(b"x"), b"y", Ttl::Of(second)),
            Ok(false)
        );
        assert_eq!(
            store.swap(b"k", Some(b"v"), b"y", Ttl::Of(second)),
            Ok(true)
        );
        assert_eq!(
            store.add(b"k", 1, Ttl::WhileThereIsRoom),
            Err(StoreError::WrongType)
        );
        with_host(|host| host.monotonic += 1_000_000_000);
        assert_eq!(store.get(b"k"), Ok(None));
        assert_eq!(store.add(b"k", 2, Ttl::WhileThereIsRoom), Ok(2));
        assert_eq!(store.touch(b"k", Ttl::Of(second)), Ok(true));
        assert_eq!(store.add(b"k", -2, Ttl::WhileThereIsRoom), Ok(0));
        assert_eq!(store.remove(b"k"), Ok(false), "a counter at 0 is gone");
        assert_eq!(store.get(b""), Err(StoreError::TooLarge));
        with_host(|host| host.store_error = Some(StoreError::Full));
        assert_eq!(store.get(b"k"), Err(StoreError::Full));
    }

    #[test]
    fn the_fake_limits_refuse_and_say_when_to_come_again() {
        let (store, second) = (store(), Duration::from_secs(1));
        for ask in [
            &|cost| store.window(b"w", 2, second, cost) as Result<Admission, _>,
            &|cost| store.bucket(b"b", 2, 2, second, cost),
        ] as [&dyn Fn(u64) -> Result<Admission, StoreError>; 2]
        {
            let now = with_host(|host| host.monotonic);
            assert!(ask(2).is_ok_and(|found| found.allowed && found.remaining == 0));
            let refused = ask(1).expect("the store answers");
            assert!(!refused.allowed && refused.retry_after <= second);
            let wait = refused.retry_after.as_nanos() as u64;
            with_host(|host| host.monotonic = now + wait);
            assert!(ask(1).is_ok_and(|found| found.allowed));
            assert_eq!(ask(3).map(|found| found.retry_after), Ok(Duration::MAX));
        }
    }
}
