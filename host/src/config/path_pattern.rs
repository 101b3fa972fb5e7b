//! Paths that a route matches, in the forms they can be written.
//!
//! | written | matches | captures |
//! |---|---|---|
//! | `/a/b` | that path | |
//! | `/a/*` | `/a/` and everything below | `{rest}`: what follows `/a/` |
//! | `/a*` | every path that starts with `/a` | `{rest}` |
//! | `/users/{id}/posts` | one non-empty segment in place of `{id}` | `{id}` |
//! | `/users/{id}/*` | and everything below it | `{id}`, `{rest}` |
//! | `path-regex="^/v(?<n>[0-9]+)/"` | where the regex is found; `^` and `$` anchor it | `{n}` |

use regex::{Regex, RegexBuilder};

/// See the table at the top. Matched against the normalised path, without the query.
#[derive(Debug, Clone, PartialEq)]
pub enum PathPattern {
    Exact(String),
    /// The text before a trailing `*`; what follows it is `{rest}`.
    Prefix(String),
    /// A pattern with at least one capture.
    Segments {
        segments: Vec<Segment>,
        /// Whether `/*` follows: then a `/` must come after the last segment, and what follows that is `{rest}`.
        rest: bool,
    },
    Regex(PathRegex),
}

/// What stands between two slashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    Literal(String),
    /// The name of the capture; any one non-empty segment.
    Capture(String),
}

/// A regex that compiled, equal by its text. Found anywhere in the path unless anchored.
#[derive(Debug, Clone)]
pub struct PathRegex(Regex);

impl PathRegex {
    /// Compiles `text`, whose named groups become captures.
    ///
    /// # Errors
    /// A sentence, when it does not compile, would be larger than 1 MiB, or uses a name that templates give another meaning.
    pub fn new(text: &str) -> Result<Self, String> {
        let regex = RegexBuilder::new(text)
            .size_limit(REGEX_SIZE_MAX)
            .build()
            .map_err(|error| format!("this regex does not compile: {}", last_line(&error)))?;
        let mut names = regex.capture_names().flatten();
        match names.find(|name| RESERVED.contains(name)) {
            Some(name) => Err(format!(
                "`{name}` has another meaning; choose another capture name"
            )),
            None => Ok(Self(regex)),
        }
    }

    pub fn regex(&self) -> &Regex {
        &self.0
    }
}

impl PartialEq for PathRegex {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl PathPattern {
    /// The names that templates may use when this pattern matched.
    pub fn captures(&self) -> Vec<&str> {
        match self {
            Self::Exact(_) => Vec::new(),
            Self::Prefix(_) => vec!["rest"],
            Self::Segments { segments, rest } => {
                let names = segments.iter().filter_map(|segment| match segment {
                    Segment::Capture(name) => Some(name.as_str()),
                    Segment::Literal(_) => None,
                });
                names.chain(rest.then_some("rest")).collect()
            }
            Self::Regex(regex) => regex.regex().capture_names().flatten().collect(),
        }
    }
}

/// Names that templates give another meaning.
const RESERVED: &[&str] = &["rest", "host", "path", "query", "scheme"];

/// Parses every form but the regex.
pub(super) fn parse_path(text: &str) -> Result<PathPattern, String> {
    let Some(below_root) = text.strip_prefix('/') else {
        return Err("a path pattern starts with `/`".to_owned());
    };
    let (body, starred) = match text.strip_suffix('*') {
        Some(body) => (body, true),
        None => (text, false),
    };
    check_path_text(body)?;
    if !body.contains(['{', '}']) {
        return Ok(match starred {
            true => PathPattern::Prefix(body.to_owned()),
            false => PathPattern::Exact(body.to_owned()),
        });
    }
    let mut parts: Vec<&str> = below_root.split('/').collect();
    let rest = starred && parts.last() == Some(&"*");
    if rest {
        parts.pop();
    }
    let segments: Vec<Segment> = parts
        .into_iter()
        .map(parse_segment)
        .collect::<Result<_, _>>()?;
    check_captures(&segments)?;
    Ok(PathPattern::Segments { segments, rest })
}

/// Only what can stand in a normalised path: a pattern outside that would never match, silently.
fn check_path_text(text: &str) -> Result<(), String> {
    if text.contains('*') {
        return Err(
            "`*` stands only at the end of a pattern; use `path-regex` for more".to_owned(),
        );
    }
    if let Some(bad) = text
        .chars()
        .find(|c| !c.is_ascii_graphic() || matches!(c, '?' | '#' | '\\' | '"' | '<' | '>'))
    {
        return Err(match bad {
            '?' | '#' => format!("a path pattern ends before `{bad}`: it does not see the query"),
            bad => format!("`{bad}` cannot stand in a path; write it percent-encoded"),
        });
    }
    if text
        .split('/')
        .any(|segment| segment == "." || segment == "..")
    {
        return Err("`.` and `..` are resolved before routes are matched".to_owned());
    }
    check_escapes(text)
}

fn check_escapes(text: &str) -> Result<(), String> {
    for (at, _) in text.match_indices('%') {
        let digits = text.get(at + 1..at + 3).unwrap_or_default();
        let Ok(byte) = u8::from_str_radix(digits, 16) else {
            return Err(format!("`%{digits}` is no percent-escape"));
        };
        let normal = match byte {
            b if b.is_ascii_alphanumeric() || b"-._~".contains(&b) => char::from(b).to_string(),
            b => format!("%{b:02X}"),
        };
        if normal.strip_prefix('%') != Some(digits) {
            return Err(format!(
                "`%{digits}` never matches: requests have `{normal}` there"
            ));
        }
    }
    Ok(())
}

fn parse_segment(text: &str) -> Result<Segment, String> {
    let whole = text
        .strip_prefix('{')
        .and_then(|text| text.strip_suffix('}'));
    match whole {
        Some(name) if is_capture_name(name) => Ok(Segment::Capture(name.to_owned())),
        None if !text.contains(['{', '}', '*']) => match text {
            "" => Err("a pattern with captures has no empty segment".to_owned()),
            text => Ok(Segment::Literal(text.to_owned())),
        },
        _ => Err(format!(
            "`{text}`: a capture is a whole segment, `{{name}}`, of letters, digits, `-` and `_`"
        )),
    }
}

pub(super) fn is_capture_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

fn check_captures(segments: &[Segment]) -> Result<(), String> {
    let mut seen = Vec::new();
    for segment in segments {
        let Segment::Capture(name) = segment else {
            continue;
        };
        if RESERVED.contains(&name.as_str()) {
            return Err(format!(
                "`{{{name}}}` has another meaning; choose another name"
            ));
        }
        if seen.contains(&name) {
            return Err(format!("`{{{name}}}` is captured twice"));
        }
        seen.push(name);
    }
    Ok(())
}

/// The largest compiled regex, in bytes: a bound on memory and on the time it takes to compile.
const REGEX_SIZE_MAX: usize = 1 << 20;

pub(super) fn parse_path_regex(text: &str) -> Result<PathPattern, String> {
    PathRegex::new(text).map(PathPattern::Regex)
}

/// The crate draws the regex above its reason; the diagnostic shows it already.
fn last_line(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments(parts: &[&str], rest: bool) -> PathPattern {
        let segments = parts.iter().map(|part| match part.strip_prefix(':') {
            Some(name) => Segment::Capture(name.to_owned()),
            None => Segment::Literal((*part).to_owned()),
        });
        PathPattern::Segments {
            segments: segments.collect(),
            rest,
        }
    }

    #[test]
    fn path_patterns_have_four_forms() {
        for (text, expected) in [
            ("/", PathPattern::Exact("/".into())),
            ("/a/b", PathPattern::Exact("/a/b".into())),
            ("/a/", PathPattern::Exact("/a/".into())),
            ("/*", PathPattern::Prefix("/".into())),
            ("/a/*", PathPattern::Prefix("/a/".into())),
            ("/a*", PathPattern::Prefix("/a".into())),
            ("/%C3%A4", PathPattern::Exact("/%C3%A4".into())),
            ("/u/{id}/p", segments(&["u", ":id", "p"], false)),
            ("/{a}/{b}/*", segments(&[":a", ":b"], true)),
        ] {
            assert_eq!(parse_path(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn paths_that_could_never_match_are_refused() {
        for text in [
            "", "a", "*", "/a?b", "/a#b", "/a b", "/ä", "/a/../b", "/a/.", "/%zz", "/%4", "/%41",
            "/%c3", "/*/b", "/a**", "/v{n}", "/{n}*", "/{rest}", "/{a}/{a}", "/{}", "/{1}", "/{a",
            "/{a}//b", "/{a}/", "/a\\b",
        ] {
            assert!(parse_path(text).is_err(), "{text}");
        }
    }

    #[test]
    fn captures_are_known() {
        let regex = parse_path_regex("^/v(?<n>[0-9]+)/(x)").expect("it compiles");
        for (pattern, expected) in [
            (parse_path("/a").expect("valid"), vec![]),
            (parse_path("/a*").expect("valid"), vec!["rest"]),
            (parse_path("/{x}/*").expect("valid"), vec!["x", "rest"]),
            (regex, vec!["n"]),
        ] {
            assert_eq!(pattern.captures(), expected);
        }
        assert!(parse_path_regex("(").is_err());
        assert!(parse_path_regex("(?<rest>.)").is_err());
        assert!(parse_path_regex("(a{1000}){1000}").is_err());
    }
}
