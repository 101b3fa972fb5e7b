//! Log lines about what may happen thousands of times a second.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Lets one line through each second, with the number of occurrences that it stands for. Shared by all workers.
#[derive(Debug)]
pub struct Seldom {
    unsaid: AtomicU64,
    /// The second of the last line, counted from 1; 0 before the first.
    said: AtomicU64,
}

impl Seldom {
    pub const fn new() -> Seldom {
        Seldom {
            unsaid: AtomicU64::new(0),
            said: AtomicU64::new(0),
        }
    }

    /// Counts an occurrence; answers how many to speak of now, or none when a line was written within this second.
    pub fn count(&self) -> Option<u64> {
        self.count_at(BEGAN.elapsed().as_secs() + 1)
    }

    fn count_at(&self, second: u64) -> Option<u64> {
        self.unsaid.fetch_add(1, Ordering::Relaxed);
        let said = self.said.fetch_max(second, Ordering::Relaxed);
        (said < second).then(|| self.unsaid.swap(0, Ordering::Relaxed))
    }
}

impl Default for Seldom {
    fn default() -> Self {
        Seldom::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_second_speaks_of_all_since_the_last() {
        let seldom = Seldom::new();
        let counted: Vec<_> = [3, 3, 3, 4, 4, 3]
            .map(|second| seldom.count_at(second))
            .into();
        assert_eq!(counted, [Some(1), None, None, Some(3), None, None]);
    }
}
