//! HTTP filter `rewrite`: path and query of requests. The path rules are in `path.rs`, the query edits in `query.rs`.

mod path;
mod query;

use path::PathRules;
use query::QueryEdits;
use tollgate_plugin_sdk::prelude::*;

/// Settings of the filter. At most one rule changes the path: of `strip-prefix`, then `prefix`, then `regex`, the first that matches.
#[derive(Settings)]
pub struct RewriteSettings {
    /// Beginnings of paths that are cut off, at a segment's end.
    strip_prefix: Vec<String>,
    /// A beginning of paths, at a segment's end, and what takes its place.
    prefix: Vec<(String, String)>,
    /// A regular expression over the path and what takes the place of the first match; `$1` stands for a group.
    regex: Vec<(String, String)>,
    /// Edits of the query, after those of the path.
    query: Option<QuerySettings>,
}

/// Edits of the query, made in the order of the members here.
#[derive(Default, Settings)]
pub struct QuerySettings {
    /// Parameters to remove.
    remove: Vec<String>,
    /// Parameter and value: exactly one parameter of this name remains, at the end.
    set: Vec<(String, String)>,
    /// Parameter and value: added at the end unless there is one of this name.
    default: Vec<(String, String)>,
}

/// The filter.
pub struct Rewrite {
    path: PathRules,
    query: QueryEdits,
}

impl HttpFilter for Rewrite {
    type Settings = RewriteSettings;

    fn new(settings: RewriteSettings) -> Result<Self, Errors> {
        let mut errors = Errors::new();
        let path = PathRules::compile(
            &settings.strip_prefix,
            &settings.prefix,
            &settings.regex,
            &mut errors,
        );
        let query = errors.inside("query", |errors| {
            QueryEdits::compile(settings.query.unwrap_or_default(), errors)
        });
        errors.finish(Rewrite { path, query })
    }

    fn plan(&self) -> Plan {
        let plan = Plan::nothing().on_request([Field::Path, Field::Query]);
        match (self.query.is_empty(), self.path.prefixes()) {
            (true, Some([])) => Plan::nothing(),
            (true, Some(prefixes)) => plan.guard(
                prefixes
                    .iter()
                    .map(|prefix| path_prefix(prefix))
                    .fold(Guard::never(), Guard::or),
            ),
            _ => plan,
        }
    }

    fn request(&self, request: &Request) -> Verdict {
        let (path, query) = (request.path(), request.query());
        let (new_path, added) = match self.path.rewrite(&path) {
            Some(target) => split_target(target),
            None => (path.clone().into_owned(), None),
        };
        // Parameters of the rule come first, as nginx does it.
        let joined = match (added, query.as_deref()) {
            (Some(added), Some(query)) => Some(format!("{added}&{query}")),
            (Some(added), None) => Some(added),
            (None, query) => query.map(str::to_owned),
        };
        let new_query = self.query.apply(joined);
        if new_path == path && new_query.as_deref() == query.as_deref() {
            return Verdict::next();
        }
        let mut edits = Edits::new();
        edits.target(&joined_target(new_path, new_query));
        edits.into()
    }
}

fn split_target(target: String) -> (String, Option<String>) {
    match target.split_once('?') {
        Some((path, query)) => (path.to_owned(), Some(query.to_owned())),
        None => (target, None),
    }
}

fn joined_target(path: String, query: Option<String>) -> String {
    match query {
        Some(query) => format!("{path}?{query}"),
        None => path,
    }
}

http_filter!(Rewrite);

#[cfg(test)]
mod tests {
    use tollgate_plugin_sdk::testing::{Exchange, assert_plan_is_pure, errors, run, samples};

    use super::*;

    #[test]
    fn targets_are_rewritten() {
        let strip = r#"{"strip-prefix":["/api"]}"#;
        let prefix = r#"{"prefix":[["/old/","/new/"],["/a","/b/c"],["/a/x","/never"]]}"#;
        let regex = r#"{"regex":[["^/u/(\\d+)$","/users?id=$1"],["/+$","/"]]}"#;
        let query = r#"{"query":{"remove":["b"],"set":[["q","a b&c"]],"default":[["d","1"]]}}"#;
        let cases = [
            (strip, "/api/x?q=1", "/x?q=1"),
            (strip, "/api", "/"),
            (strip, "/apis", "/apis"),
            (strip, "/x/api/y", "/x/api/y"),
            (prefix, "/old/x", "/new/x"),
            (prefix, "/old", "/old"),
            (prefix, "/a", "/b/c"),
            (prefix, "/a/x", "/b/c/x"),
            (prefix, "/ab", "/ab"),
            (regex, "/u/7", "/users?id=7"),
            (regex, "/u/7?x", "/users?id=7&x"),
            (regex, "/u/x", "/u/x"),
            (regex, "/p//", "/p/"),
            (query, "/", "/?q=a%20b%26c&d=1"),
            (query, "/?b=1&d&q=0&%62=2&e", "/?d&e&q=a%20b%26c"),
            (r#"{"query":{"remove":["b"]}}"#, "/?b", "/"),
            (
                r#"{"strip-prefix":["/a"],"prefix":[["/a","/z"],["/b","/y"]],"regex":[["^/c","/x"]]}"#,
                "/a/b",
                "/b",
            ),
            ("{}", "/x?y", "/x?y"),
        ];
        for (settings, target, expected) in cases {
            let outcome = run::<Rewrite>(settings, &Exchange::get(target));
            assert_eq!(outcome.exchange.target(), expected, "{settings} {target}");
        }
    }

    #[test]
    fn other_paths_cost_no_call() {
        let settings = r#"{"strip-prefix":["/api"]}"#;
        assert_eq!(run::<Rewrite>(settings, &Exchange::get("/other")).calls, 0);
        assert_eq!(run::<Rewrite>(settings, &Exchange::get("/api/x")).calls, 1);
        assert_eq!(run::<Rewrite>("{}", &Exchange::get("/")).calls, 0);
    }

    #[test]
    fn a_replacement_that_is_no_path_leaves_the_request_alone() {
        let outcome = run::<Rewrite>(r#"{"regex":[["^/a/(.*)$","$1"]]}"#, &Exchange::get("/a/b"));
        assert_eq!(outcome.exchange.target(), "/a/b");
    }

    #[test]
    fn the_plan_is_pure() {
        let settings = [
            r#"{"strip-prefix":["/a"],"prefix":[["/admin","/"]]}"#,
            r#"{"regex":[["^/users/(\\d+)$","/u?id=$1"]],"query":{"remove":["q"],"default":[["z","1"]]}}"#,
            r#"{"query":{"set":[["q","9"]]}}"#,
            "{}",
        ];
        for settings in settings {
            assert_plan_is_pure::<Rewrite>(settings, &samples(9, 300));
        }
    }

    #[test]
    fn bad_settings_are_told_at_their_place() {
        let cases = [
            (r#"{"strip-prefix":["api"]}"#, "/strip-prefix/0: "),
            (r#"{"prefix":[["/a","b"]]}"#, "/prefix/0/1: "),
            (r#"{"prefix":[["/a","/b?c"]]}"#, "/prefix/0/1: "),
            (r#"{"prefix":[["/a b","/b"]]}"#, "/prefix/0/0: "),
            (r#"{"regex":[["(","/"]]}"#, "/regex/0/0: "),
            (r#"{"regex":[["a","b c"]]}"#, "/regex/0/1: "),
            (r##"{"regex":[["a","/#"]]}"##, "/regex/0/1: "),
            (r#"{"query":{"set":[["","1"]]}}"#, "/query/set/0/0: "),
        ];
        for (settings, expected) in cases {
            let found = errors::<Rewrite>(settings);
            assert!(
                found.len() == 1 && found[0].starts_with(expected),
                "{settings}: {found:?}"
            );
        }
    }
}
