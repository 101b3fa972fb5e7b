//! Matching a path or host against a pattern of the configuration, and what its names captured.

use crate::config::{HostPattern, PathPattern, Segment};
use regex::Regex;
use std::ops::Range;

/// What a pattern's names stood for in one path: `{rest}` and `{name}` segments, as ranges of that path.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Captures(Vec<(Box<str>, Range<usize>)>);

impl Captures {
    /// What `pattern` captures in a path that it matches.
    pub fn of(pattern: &PathPattern, path: &str) -> Captures {
        let mut captures = Captures::default();
        match pattern {
            PathPattern::Exact(_) => {}
            PathPattern::Prefix(prefix) => captures.add("rest", prefix.len()..path.len()),
            PathPattern::Segments { segments, rest } => {
                match_segments(segments, *rest, path, &mut |name, range| {
                    captures.add(name, range)
                });
            }
            PathPattern::Regex(regex) => captures.add_groups(regex.regex(), path),
        }
        captures
    }

    /// The part of `path` that `name` captured; `path` is the one that was matched.
    pub fn get<'p>(&self, name: &str, path: &'p str) -> Option<&'p str> {
        let (_, range) = self.0.iter().find(|(captured, _)| &**captured == name)?;
        path.get(range.clone())
    }

    fn add(&mut self, name: &str, range: Range<usize>) {
        self.0.push((name.into(), range));
    }

    fn add_groups(&mut self, regex: &Regex, path: &str) {
        let Some(found) = regex.captures(path) else {
            return;
        };
        for name in regex.capture_names().flatten() {
            if let Some(group) = found.name(name) {
                self.add(name, group.range());
            }
        }
    }
}

/// Whether the pattern matches the normalised path. Linear in the length of the path.
pub fn path_matches(pattern: &PathPattern, path: &str) -> bool {
    match pattern {
        PathPattern::Exact(exact) => path == exact,
        PathPattern::Prefix(prefix) => path.starts_with(prefix.as_str()),
        PathPattern::Segments { segments, rest } => {
            match_segments(segments, *rest, path, &mut |_, _| ())
        }
        PathPattern::Regex(regex) => regex.regex().is_match(path),
    }
}

/// Whether the pattern matches a host: lower case, without port. A wildcard matches names below it, not the name itself.
pub fn host_matches(pattern: &HostPattern, host: &str) -> bool {
    match pattern {
        HostPattern::Exact(exact) => host == exact,
        HostPattern::Suffix(suffix) => host.len() > suffix.len() && host.ends_with(suffix.as_str()),
    }
}

/// A named segment matches any non-empty segment.
fn match_segments(
    segments: &[Segment],
    rest: bool,
    path: &str,
    capture: &mut dyn FnMut(&str, Range<usize>),
) -> bool {
    let mut at = 0;
    for segment in segments {
        if path.as_bytes().get(at) != Some(&b'/') {
            return false;
        }
        let start = at + 1;
        at = memchr::memchr(b'/', &path.as_bytes()[start..])
            .map_or(path.len(), |found| start + found);
        match segment {
            Segment::Literal(literal) if path[start..at] != **literal => return false,
            Segment::Capture(_) if start == at => return false,
            Segment::Literal(_) => {}
            Segment::Capture(name) => capture(name, start..at),
        }
    }
    if !rest {
        return at == path.len();
    }
    let matches = path.as_bytes().get(at) == Some(&b'/');
    if matches {
        capture("rest", at + 1..path.len());
    }
    matches
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `/users/{id}/posts`, with `/*` behind it or not.
    fn segments(rest: bool) -> PathPattern {
        let literal = |text: &str| Segment::Literal(text.to_owned());
        PathPattern::Segments {
            segments: vec![
                literal("users"),
                Segment::Capture("id".to_owned()),
                literal("posts"),
            ],
            rest,
        }
    }

    #[test]
    fn paths_match_as_their_form_says() {
        let prefix = |text: &str| PathPattern::Prefix(text.to_owned());
        let cases = [
            (PathPattern::Exact("/ping".to_owned()), "/ping", true),
            (PathPattern::Exact("/ping".to_owned()), "/ping/", false),
            (prefix("/api/"), "/api/", true),
            (prefix("/api/"), "/api/a/b", true),
            (prefix("/api/"), "/api", false),
            (prefix("/admin"), "/administrator", true),
            (segments(false), "/users/7/posts", true),
            (segments(false), "/users//posts", false),
            (segments(false), "/users/7/posts/1", false),
            (segments(false), "/users/7", false),
            (segments(true), "/users/7/posts/1/2", true),
            (segments(true), "/users/7/posts/", true),
            (segments(true), "/users/7/posts", false),
        ];
        for (pattern, path, expected) in cases {
            assert_eq!(
                path_matches(&pattern, path),
                expected,
                "{pattern:?} on {path}"
            );
        }
    }

    #[test]
    fn captures_name_their_parts() {
        let path = "/users/7/posts/a/b";
        let captures = Captures::of(&segments(true), path);
        for (name, expected) in [("id", Some("7")), ("rest", Some("a/b")), ("other", None)] {
            assert_eq!(captures.get(name, path), expected);
        }
        assert_eq!(
            Captures::of(&PathPattern::Prefix("/old/".to_owned()), "/old/").get("rest", "/old/"),
            Some("")
        );
    }

    #[test]
    fn a_wildcard_host_matches_names_below_only() {
        let wildcard = HostPattern::Suffix(".example.com".to_owned());
        for (host, expected) in [
            ("a.example.com", true),
            ("a.b.example.com", true),
            ("example.com", false),
            ("badexample.com", false),
        ] {
            assert_eq!(host_matches(&wildcard, host), expected, "{host}");
        }
        assert!(!host_matches(&wildcard, ".example.com"));
    }
}
