//! One copy of each endpoint id, shared by the entries of a table.

use std::collections::HashSet;
use std::sync::Arc;

/// Below this many, ids that nobody uses are not looked for.
const UNUSED_MAX: usize = 16;

/// Ids in use, and at most as many again that no longer are, plus [`UNUSED_MAX`]. A table of millions of entries thus holds each id once.
#[derive(Debug, Default)]
pub(super) struct Names {
    known: HashSet<Arc<str>>,
    /// How many there were when unused ones were last dropped.
    used: usize,
}

impl Names {
    /// The one copy of an id.
    pub(super) fn intern(&mut self, id: &str) -> Arc<str> {
        if let Some(known) = self.known.get(id) {
            return Arc::clone(known);
        }
        if self.known.len() >= 2 * self.used + UNUSED_MAX {
            self.known.retain(|name| Arc::strong_count(name) > 1);
            self.used = self.known.len();
        }
        let name: Arc<str> = id.into();
        self.known.insert(Arc::clone(&name));
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_held_once() {
        let mut names = Names::default();
        let (one, other) = (names.intern("a"), names.intern("a"));
        assert!(Arc::ptr_eq(&one, &other));
        assert_eq!(names.known.len(), 1);
    }

    #[test]
    fn ids_that_nobody_uses_do_not_pile_up_and_used_ones_stay() {
        let mut names = Names::default();
        let kept: Vec<_> = (0..10).map(|n| names.intern(&format!("kept{n}"))).collect();
        for n in 0..10_000 {
            names.intern(&format!("passing{n}"));
            assert!(names.known.len() <= 2 * kept.len() + UNUSED_MAX);
        }
        for name in &kept {
            assert!(Arc::ptr_eq(&names.intern(name), name));
        }
    }
}
