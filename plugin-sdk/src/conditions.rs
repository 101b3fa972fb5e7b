//! Conditions on requests as settings: the matchers of a rule or of a `when`, with `not { … }` and `any { … }`.
//!
//! | setting | holds when |
//! |---|---|
//! | `method "GET" …` | the method is one of these, compared exactly |
//! | `path "/a" "/b/*" "/c*" …` | the normalised path is one of these; a star at the end stands for anything, so `/b/*` is all below `/b/` |
//! | `path-regex "^/u/\\d+$" …` | one of these is found in the normalised path |
//! | `host "a.test" "*.b.test" …` | the host is one of these; a leading `*.` stands for any name below |
//! | `source "10.0.0.0/8" …` | the client address lies in one of these networks |
//! | `header "name"` | the header is there |
//! | `header "name" "value"` | some line of the header has this value; several nodes of one name are alternatives |
//! | `query "name"`, `query "name" "value"` | a parameter of the query is there, or has this value; escapes resolved |
//! | `not { … }` | not all matchers in it hold |
//! | `any { … }` | at least one matcher in it holds |
//!
//! Matchers of different kinds must all hold, so must several `not` and `any`. Without any matcher a condition always holds.
//!
//! A header or parameter that is missing never matches. So `not { header "x" "1" }` holds for a request without `x`: right where the rule
//! denies ("unless the token is right"), a way around it where the rule allows. With [`Missing::Undecided`] such a `not` also asks that what
//! it names is there.

mod kind;

use kind::Kind;

use crate::settings::Errors;
use crate::{Facts, Field, Guard, Settings, not};

/// Matchers as they are set.
#[derive(Clone, Debug, Default, Settings)]
pub struct Matchers {
    /// One of these methods, compared exactly.
    pub method: Vec<String>,
    /// One of these paths; a star at the end stands for anything.
    pub path: Vec<String>,
    /// One of these regular expressions is found in the path.
    pub path_regex: Vec<String>,
    /// One of these hosts; a leading `*.` stands for any name below.
    pub host: Vec<String>,
    /// The client address lies in one of these networks.
    pub source: Vec<String>,
    /// The header is there, or a line of it has the value.
    pub header: Vec<(String, Option<String>)>,
    /// The query parameter is there, or has the value.
    pub query: Vec<(String, Option<String>)>,
}

/// A whole condition as it is set.
#[derive(Clone, Debug, Default, Settings)]
pub struct Conditions {
    /// All of these.
    #[setting(flatten)]
    pub matchers: Matchers,
    /// Not all of these.
    pub not: Vec<Matchers>,
    /// At least one of these.
    pub any: Vec<Matchers>,
}

/// What a `not` around a value says when the header or parameter is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// It holds: the value is not that.
    Holds,
    /// It does not hold: there is no value to judge. For rules that let pass.
    Undecided,
}

/// A condition, ready to be evaluated: here, or by the host as a [`Guard`].
#[derive(Clone, Debug)]
pub struct Condition {
    all: Vec<Kind>,
    not: Vec<Vec<Kind>>,
    any: Vec<Vec<Kind>>,
    missing: Missing,
}

impl Conditions {
    /// Checks and prepares the condition. What is wrong goes to `errors`, below their current place.
    #[must_use]
    pub fn compile(&self, missing: Missing, errors: &mut Errors) -> Condition {
        Condition {
            all: kind::compile(&self.matchers, errors),
            not: compile_groups("not", &self.not, errors),
            any: compile_groups("any", &self.any, errors),
            missing,
        }
    }
}

fn compile_groups(name: &str, groups: &[Matchers], errors: &mut Errors) -> Vec<Vec<Kind>> {
    let mut compiled = Vec::new();
    errors.inside(name, |errors| {
        for (index, group) in groups.iter().enumerate() {
            errors.inside(index, |errors| {
                let errors_before = errors.iter().count();
                let kinds = kind::compile(group, errors);
                if kinds.is_empty() && errors.iter().count() == errors_before {
                    errors.add(format!("`{name}` without a matcher in it says nothing"));
                }
                compiled.push(kinds);
            });
        }
    });
    compiled
}

impl Condition {
    /// Whether it holds for the current request. Request phase only.
    #[must_use]
    pub fn holds(&self, request: &Facts) -> bool {
        self.all.iter().all(|kind| kind.holds(request))
            && self
                .any
                .iter()
                .all(|group| group.iter().any(|kind| kind.holds(request)))
            && self.not.iter().all(|group| self.not_holds(group, request))
    }

    fn not_holds(&self, group: &[Kind], request: &Facts) -> bool {
        let decided =
            self.missing == Missing::Holds || group.iter().all(|kind| kind.is_decided(request));
        decided && !group.iter().all(|kind| kind.holds(request))
    }

    /// The same as a guard. Not exact where regular expressions or query parameters take part.
    #[must_use]
    pub fn guard(&self) -> Guard {
        let all = |kinds: &[Kind]| {
            kinds
                .iter()
                .fold(Guard::always(), |guard, kind| guard.and(kind.guard()))
        };
        let mut guard = all(&self.all);
        for group in &self.any {
            guard = guard.and(
                group
                    .iter()
                    .fold(Guard::never(), |guard, kind| guard.or(kind.guard())),
            );
        }
        for group in &self.not {
            guard = guard.and(not(all(group)));
            if self.missing == Missing::Undecided {
                guard = group
                    .iter()
                    .fold(guard, |guard, kind| guard.and(kind.decided_guard()));
            }
        }
        guard
    }

    /// Whether it holds for every request.
    #[must_use]
    pub fn is_always(&self) -> bool {
        self.all.is_empty() && self.not.is_empty() && self.any.is_empty()
    }

    /// The fields that it reads.
    pub fn fields(&self) -> impl Iterator<Item = Field> {
        let groups = self.not.iter().chain(&self.any).flatten();
        self.all.iter().chain(groups).map(Kind::field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Exchange, samples, with_host};

    fn condition(json: &str, missing: Missing) -> Result<Condition, Vec<String>> {
        let settings: Conditions = crate::settings::from_text(json).expect("shaped by the schema");
        let mut errors = Errors::new();
        let condition = settings.compile(missing, &mut errors);
        let written: Vec<_> = errors
            .iter()
            .map(|error| format!("{}: {}", error.pointer, error.message))
            .collect();
        if written.is_empty() {
            Ok(condition)
        } else {
            Err(written)
        }
    }

    fn holds(condition: &Condition, exchange: &Exchange) -> bool {
        with_host(|host| host.exchange = Some(exchange.clone()));
        let fields: Vec<_> = condition.fields().collect();
        let by_fields = condition.holds(&Facts::new(&fields, &exchange.flat(&fields)));
        assert_eq!(by_fields, condition.holds(&Facts::new(&[], &[])));
        by_fields
    }

    #[test]
    fn matchers_hold_where_they_should() {
        let cases = [
            (r"{}", "/", true),
            (r#"{"method":["POST","GET"]}"#, "/", true),
            (r#"{"method":["get"]}"#, "/", false),
            (r#"{"path":["/a"]}"#, "/a", true),
            (r#"{"path":["/a"]}"#, "/a/", false),
            (r#"{"path":["/a/*"]}"#, "/a", false),
            (r#"{"path":["/a/*"]}"#, "/a/", true),
            (r#"{"path":["/a*"]}"#, "/ab", true),
            (r#"{"path":["/*"]}"#, "/", true),
            (r#"{"path-regex":["^/u/\\d+$"]}"#, "/u/17", true),
            (r#"{"path-regex":["^/u/\\d+$"]}"#, "/u/17/x", false),
            (r#"{"host":["EXAMPLE.com"]}"#, "/", true),
            (r#"{"host":["*.com"]}"#, "/", true),
            (r#"{"host":["*.example.com"]}"#, "/", false),
            (r#"{"source":["10.0.0.0/8","192.0.2.0/24"]}"#, "/", true),
            (r#"{"source":["10.0.0.0/8"]}"#, "/", false),
            (r#"{"query":[["q"]]}"#, "/?q", true),
            (r#"{"query":[["q","a b"]]}"#, "/?x=1&q=%61+b", true),
            (r#"{"query":[["q","a"]]}"#, "/?q=b", false),
            (r#"{"query":[["q"]]}"#, "/", false),
            (r#"{"path":["/a"],"source":["10.0.0.0/8"]}"#, "/a", false),
            (
                r#"{"any":[{"path":["/a"],"source":["10.0.0.0/8"]}]}"#,
                "/a",
                true,
            ),
            (
                r#"{"not":[{"path":["/a"],"source":["10.0.0.0/8"]}]}"#,
                "/a",
                true,
            ),
            (
                r#"{"not":[{"path":["/a"]},{"source":["10.0.0.0/8"]}]}"#,
                "/a",
                false,
            ),
        ];
        for (json, target, expected) in cases {
            let condition = condition(json, Missing::Holds).expect("a good condition");
            assert_eq!(
                holds(&condition, &Exchange::get(target)),
                expected,
                "{json} {target}"
            );
        }
    }

    #[test]
    fn missing_headers_never_match_and_not_depends_on_what_the_rule_does() {
        let with = |value| Exchange::get("/").header("x", value);
        let cases = [
            (r#"{"header":[["X"]]}"#, Exchange::get("/"), false, false),
            (r#"{"header":[["X"]]}"#, with(""), true, true),
            (r#"{"header":[["x","1"]]}"#, with("1"), true, true),
            (r#"{"header":[["x","1"],["x","2"]]}"#, with("2"), true, true),
            (
                r#"{"header":[["x","1"]]}"#,
                with("0").header("x", "1"),
                true,
                true,
            ),
            (
                r#"{"header":[["x","0, 1"]]}"#,
                with("0").header("x", "1"),
                false,
                false,
            ),
            (
                r#"{"not":[{"header":[["x"]]}]}"#,
                Exchange::get("/"),
                true,
                true,
            ),
            (r#"{"not":[{"header":[["x","1"]]}]}"#, with("2"), true, true),
            (
                r#"{"not":[{"header":[["x","1"]]}]}"#,
                Exchange::get("/"),
                true,
                false,
            ),
            (
                r#"{"not":[{"query":[["x","1"]]}]}"#,
                Exchange::get("/"),
                true,
                false,
            ),
        ];
        for (json, exchange, plain, strict) in cases {
            let plainly = condition(json, Missing::Holds).expect("a good condition");
            assert_eq!(holds(&plainly, &exchange), plain, "{json} {exchange:?}");
            let strictly = condition(json, Missing::Undecided).expect("a good condition");
            assert_eq!(holds(&strictly, &exchange), strict, "{json} {exchange:?}");
        }
    }

    #[test]
    fn guards_agree_with_the_condition_or_hold_more_often() {
        let cases = [
            r#"{"path":["/a","/a/*"],"method":["GET"],"not":[{"source":["10.0.0.0/8"],"header":[["x-a","1"]]}]}"#,
            r#"{"any":[{"header":[["x-a"],["x-b","2"]],"host":["*.example.com"]}],"path":["/*"]}"#,
            r#"{"not":[{"path":["/a*"]},{"method":["POST"],"header":[["cookie","k=v; l=w"]]}]}"#,
            r#"{"path":["/a*"],"path-regex":["b$"]}"#,
            r#"{"any":[{"query":[["q","1"]],"path":["/"]}],"not":[{"query":[["b"]]}]}"#,
        ];
        for json in cases {
            for missing in [Missing::Holds, Missing::Undecided] {
                let condition = condition(json, missing).expect("a good condition");
                let guard = condition.guard();
                for exchange in samples(3, 500) {
                    let exchange = Exchange {
                        response: None,
                        ..exchange
                    };
                    let (called, holds) = (
                        crate::testing::guard_holds(&guard, &exchange),
                        holds(&condition, &exchange),
                    );
                    assert!(called || !holds, "{json} {exchange:?}");
                    assert!(!guard.is_exact() || called == holds, "{json} {exchange:?}");
                }
            }
        }
    }

    #[test]
    fn mistakes_are_told_at_their_place() {
        let json = r#"{"method":["ge t"],"path":["a","/a*b"],"path-regex":["("],"host":["a*"],"source":["10.0.0.1/8"],
                       "header":[["a b"]],"query":[[""]],"not":[{}],"any":[{"path":["b"]}]}"#;
        let errors = condition(json, Missing::Holds).expect_err("much is wrong");
        let places: Vec<_> = errors
            .iter()
            .filter_map(|error| error.split(": ").next())
            .collect();
        assert_eq!(
            places,
            [
                "/method/0",
                "/path/0",
                "/path/1",
                "/host/0",
                "/source/0",
                "/header/0/0",
                "/path-regex/0",
                "/query/0/0",
                "/not/0",
                "/any/0/path/0"
            ]
        );
    }
}
