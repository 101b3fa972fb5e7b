//! Guards: predicates that the host evaluates, so that a filter is called only where it has something to say.

use std::ops::Not;

use crate::bindings::http_filter::tollgate::plugin::types::{Condition, Test};

/// Clauses that a guard may have; one that would have more counts as always true. Bounds what `and` and `not` can multiply to.
const CLAUSES_MAX: usize = 256;

/// A predicate over method, path, host, client address and request headers, evaluated by the host:
/// `path_prefix("/admin/").and(not(source(["10.0.0.0/8"])))`.
///
/// Held as alternatives, each of which asks for all of its conditions. Where a predicate cannot be expressed, a guard may hold *more often*
/// than it; then [`is_exact`](Guard::is_exact) is false.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    /// No clause: never. A clause without conditions: always.
    clauses: Vec<Vec<Condition>>,
    exact: bool,
}

impl Guard {
    /// Holds for every request.
    #[must_use]
    pub fn always() -> Self {
        Guard {
            clauses: vec![Vec::new()],
            exact: true,
        }
    }

    /// Holds for no request.
    #[must_use]
    pub fn never() -> Self {
        Guard {
            clauses: Vec::new(),
            exact: true,
        }
    }

    /// Stands for a predicate that guards cannot express: holds always, and is not exact.
    #[must_use]
    pub fn unknown() -> Self {
        Guard {
            clauses: vec![Vec::new()],
            exact: false,
        }
    }

    /// Both.
    #[must_use]
    pub fn and(self, other: Guard) -> Guard {
        if self.clauses.len().saturating_mul(other.clauses.len()) > CLAUSES_MAX {
            return Guard::unknown();
        }
        let pairs = self
            .clauses
            .iter()
            .flat_map(|left| other.clauses.iter().map(move |right| (left, right)));
        let clauses = pairs
            .map(|(left, right)| left.iter().chain(right).cloned().collect())
            .collect();
        Guard {
            clauses,
            exact: self.exact && other.exact,
        }
    }

    /// At least one.
    #[must_use]
    pub fn or(mut self, other: Guard) -> Guard {
        self.clauses.extend(other.clauses);
        if self.clauses.len() > CLAUSES_MAX {
            return Guard::unknown();
        }
        self.exact &= other.exact;
        self
    }

    /// Whether it holds exactly where the predicate does that it was built from, and not also elsewhere.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.exact
    }

    /// Whether it holds for every request.
    #[must_use]
    pub fn is_always(&self) -> bool {
        self.clauses.iter().any(Vec::is_empty)
    }

    /// As the contract writes it: no clause means always, so never is said by a test without alternatives.
    pub(crate) fn into_wit(self) -> Vec<Vec<Condition>> {
        if self.is_always() {
            return Vec::new();
        }
        if self.clauses.is_empty() {
            return vec![vec![Condition {
                test: Test::Method(Vec::new()),
                negate: false,
            }]];
        }
        self.clauses
    }

    fn test(test: Test) -> Guard {
        Guard {
            clauses: vec![vec![Condition {
                test,
                negate: false,
            }]],
            exact: true,
        }
    }
}

/// De Morgan: the opposite of "any of these clauses" is "of each clause, some condition is false".
impl Not for Guard {
    type Output = Guard;

    fn not(self) -> Guard {
        if !self.exact {
            return Guard::unknown();
        }
        self.clauses
            .into_iter()
            .fold(Guard::always(), |opposite, clause| {
                let opposites = clause.into_iter().map(|condition| {
                    vec![Condition {
                        negate: !condition.negate,
                        ..condition
                    }]
                });
                opposite.and(Guard {
                    clauses: opposites.collect(),
                    exact: true,
                })
            })
    }
}

/// Where the guard does not hold.
#[must_use]
pub fn not(guard: Guard) -> Guard {
    !guard
}

/// The method is one of these, compared exactly.
#[must_use]
pub fn method<T: Into<String>>(methods: impl IntoIterator<Item = T>) -> Guard {
    Guard::test(Test::Method(strings(methods)))
}

/// The normalised path equals this.
#[must_use]
pub fn path(path: &str) -> Guard {
    Guard::test(Test::PathExact(strings([path])))
}

/// The normalised path starts with this, byte for byte.
#[must_use]
pub fn path_prefix(prefix: &str) -> Guard {
    Guard::test(Test::PathPrefix(strings([prefix])))
}

/// The host is one of these names; `*.name` stands for any name below.
#[must_use]
pub fn host<T: Into<String>>(hosts: impl IntoIterator<Item = T>) -> Guard {
    let hosts = strings(hosts)
        .into_iter()
        .map(|host| host.to_ascii_lowercase());
    Guard::test(Test::Host(hosts.collect()))
}

/// The client address lies in one of these networks, `10.0.0.0/8` or one address.
#[must_use]
pub fn source<T: Into<String>>(networks: impl IntoIterator<Item = T>) -> Guard {
    Guard::test(Test::Source(strings(networks)))
}

/// The request carries this header, even an empty one.
#[must_use]
pub fn header(name: &str) -> Guard {
    Guard::test(Test::HeaderPresent(name.to_ascii_lowercase()))
}

/// Some line of this request header has exactly this value.
#[must_use]
pub fn header_equals(name: &str, value: impl Into<Vec<u8>>) -> Guard {
    Guard::test(Test::HeaderEquals((
        name.to_ascii_lowercase(),
        value.into(),
    )))
}

fn strings<T: Into<String>>(items: impl IntoIterator<Item = T>) -> Vec<String> {
    items.into_iter().map(Into::into).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `+` and `-` with the tested path, for each condition of each clause.
    fn shape(guard: Guard) -> String {
        let clause = |clause: Vec<Condition>| {
            let signs = clause.into_iter().map(|condition| match condition.test {
                Test::PathExact(paths) => {
                    format!("{}{}", if condition.negate { '-' } else { '+' }, paths[0])
                }
                other => format!("{other:?}"),
            });
            signs.collect::<Vec<_>>().join("")
        };
        guard
            .into_wit()
            .into_iter()
            .map(clause)
            .collect::<Vec<_>>()
            .join("|")
    }

    #[test]
    fn guards_combine_to_alternatives() {
        let (a, b, c) = (path("a"), path("b"), path("c"));
        let cases = [
            (a.clone().and(b.clone()), "+a+b"),
            (a.clone().or(b.clone()).and(c.clone()), "+a+c|+b+c"),
            (not(a.clone().or(b.clone())), "-a-b"),
            (not(a.clone().and(b.clone())), "-a|-b"),
            (
                not(a.clone().and(not(b.clone())).or(c.clone())),
                "-a-c|+b-c",
            ),
            (Guard::always(), ""),
            (a.clone().or(Guard::always()), ""),
            (not(Guard::never()), ""),
            (Guard::never(), "Test::Method([])"),
            (not(Guard::always()), "Test::Method([])"),
            (a.clone().and(Guard::never()), "Test::Method([])"),
        ];
        for (guard, expected) in cases {
            assert!(guard.is_exact());
            assert_eq!(shape(guard), expected);
        }
    }

    #[test]
    fn what_cannot_be_said_holds_too_often_never_too_seldom() {
        let a = path("a");
        assert_eq!(shape(a.clone().and(Guard::unknown())), "+a");
        assert!(!a.clone().and(Guard::unknown()).is_exact());
        assert!(a.or(Guard::unknown()).is_always());
        assert!(not(Guard::unknown()).is_always());
    }

    #[test]
    fn a_guard_that_explodes_becomes_always() {
        let pair = path("a").or(path("b"));
        let huge = (0..9).fold(Guard::always(), |guard, _| guard.and(pair.clone()));
        assert!(huge.is_always() && !huge.is_exact());
        let just_fits = (0..8).fold(Guard::always(), |guard, _| guard.and(pair.clone()));
        assert!(!just_fits.is_always() && just_fits.is_exact());
    }
}
