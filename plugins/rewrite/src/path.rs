//! Path rules. A prefix ends where a segment ends: `/api` is the beginning of `/api` and `/api/x`, not of `/apis`.

use regex_lite::Regex;
use tollgate_plugin_sdk::settings::Errors;

/// All rules, in the order in which they are tried.
#[derive(Debug)]
pub(crate) struct PathRules {
    /// What is looked for, and what takes its place.
    prefixes: Vec<(String, String)>,
    regexes: Vec<(Regex, String)>,
    searched: Vec<String>,
}

impl PathRules {
    pub(crate) fn compile(
        strip: &[String],
        prefix: &[(String, String)],
        regex: &[(String, String)],
        errors: &mut Errors,
    ) -> PathRules {
        let mut prefixes = Vec::new();
        errors.inside("strip-prefix", |errors| {
            for (index, prefix) in strip.iter().enumerate() {
                errors.inside(index, |errors| check_path(prefix, errors));
                prefixes.push((prefix.clone(), String::new()));
            }
        });
        errors.inside("prefix", |errors| {
            for (index, (old, new)) in prefix.iter().enumerate() {
                errors.inside(index, |errors| {
                    errors.inside(0_usize, |errors| check_path(old, errors));
                    errors.inside(1_usize, |errors| check_path(new, errors));
                });
                prefixes.push((old.clone(), new.clone()));
            }
        });
        let searched = prefixes.iter().map(|(prefix, _)| prefix.clone()).collect();
        PathRules {
            prefixes,
            regexes: compile_regexes(regex, errors),
            searched,
        }
    }

    /// The prefixes outside of which nothing is rewritten; none when there is no such limit.
    pub(crate) fn prefixes(&self) -> Option<&[String]> {
        self.regexes.is_empty().then_some(&self.searched)
    }

    /// The new path, with a query if the rule has one; none when no rule matches, or what it makes is no path.
    pub(crate) fn rewrite(&self, path: &str) -> Option<String> {
        let by_prefix = self
            .prefixes
            .iter()
            .find_map(|(old, new)| replace_prefix(path, old, new));
        let target = by_prefix.or_else(|| {
            let (regex, replacement) = self
                .regexes
                .iter()
                .find(|(regex, _)| regex.is_match(path))?;
            Some(regex.replace(path, replacement).into_owned())
        })?;
        target.starts_with('/').then_some(target)
    }
}

fn compile_regexes(rules: &[(String, String)], errors: &mut Errors) -> Vec<(Regex, String)> {
    let mut regexes = Vec::new();
    errors.inside("regex", |errors| {
        for (index, (regex, replacement)) in rules.iter().enumerate() {
            errors.inside(index, |errors| {
                let regex = errors.inside(0_usize, |errors| {
                    errors.check(
                        Regex::new(regex)
                            .map_err(|error| format!("not a regular expression: {error}")),
                    )
                });
                errors.inside(1_usize, |errors| check_characters(replacement, errors));
                regexes.extend(regex.map(|regex| (regex, replacement.clone())));
            });
        }
    });
    regexes
}

/// The path with `new` in place of `old` at its beginning, one slash between the two.
fn replace_prefix(path: &str, old: &str, new: &str) -> Option<String> {
    let rest = path.strip_prefix(old)?;
    let at_segment_end = rest.is_empty() || rest.starts_with('/') || old.ends_with('/');
    if !at_segment_end {
        return None;
    }
    let rest = rest.trim_start_matches('/');
    let slash = !rest.is_empty() || path.ends_with('/') || new.is_empty();
    let new = if slash {
        new.trim_end_matches('/')
    } else {
        new
    };
    Some(format!("{new}{}{rest}", if slash { "/" } else { "" }))
}

fn check_path(path: &str, errors: &mut Errors) {
    if !path.starts_with('/') {
        errors.add(format!("`{path}` does not start with `/`"));
    } else if path.contains('?') {
        errors.add(format!(
            "`{path}` has a query; use `query` or `regex` for that"
        ));
    } else {
        check_characters(path, errors);
    }
}

fn check_characters(text: &str, errors: &mut Errors) {
    if !text
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'#')
    {
        errors.add(format!("`{text}` has characters that a path must escape"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_end_at_segments_and_leave_one_slash() {
        let cases = [
            ("/a/b", "/a", "", Some("/b")),
            ("/a", "/a", "", Some("/")),
            ("/a/", "/a", "", Some("/")),
            ("/a", "/a", "/x", Some("/x")),
            ("/a/", "/a", "/x", Some("/x/")),
            ("/a/b", "/a", "/x/", Some("/x/b")),
            ("/a/b", "/a/", "/x", Some("/x/b")),
            ("/a", "/a", "/", Some("/")),
            ("/a/b", "/", "/x", Some("/x/a/b")),
            ("/ab", "/a", "/x", None),
            ("/b", "/a", "/x", None),
        ];
        for (path, old, new, expected) in cases {
            assert_eq!(
                replace_prefix(path, old, new).as_deref(),
                expected,
                "{path} {old} {new}"
            );
        }
    }
}
