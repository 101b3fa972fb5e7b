//! Targets: a URL or a path with placeholders, as in a route's `redirect`.
//!
//! `{name}` is a placeholder where name is letters, digits, `-` and `_`; any other brace is itself and `{{` is one `{`. Where a target leads is
//! the configuration's word alone: what a client sends can fill paths and queries, not the place of a host.

use regex_lite::Regex;
use tollgate_plugin_sdk::conditions::Matchers;

use crate::url::Url;

/// A target, ready to be filled.
#[derive(Debug)]
pub(crate) struct Target {
    parts: Vec<Part>,
    captures: Captures,
    keep_query: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Value(Value),
}

#[derive(Debug, PartialEq, Eq)]
enum Value {
    Capture(String),
    Host,
    Path,
    Query,
    Scheme,
}

/// What placeholders stand for whatever the conditions are.
const FACTS: [&str; 4] = ["host", "path", "query", "scheme"];

impl Target {
    pub(crate) fn parse(
        text: &str,
        captures: Captures,
        keep_query: bool,
    ) -> Result<Target, String> {
        if !text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'\\')
        {
            return Err(format!(
                "`{text}`: a target has visible ASCII characters only, and no backslash"
            ));
        }
        let parts = parse_parts(text, &captures)?;
        check_place(&parts).map_err(|why| format!("`{text}`: {why}"))?;
        Ok(Target {
            parts,
            captures,
            keep_query,
        })
    }

    /// The value of `location`; none when it names the request's host and there is none.
    pub(crate) fn location(&self, url: &Url) -> Option<String> {
        let names_host = self.parts.contains(&Part::Value(Value::Host));
        if names_host && url.host.is_empty() {
            return None;
        }
        let filled: String = self
            .parts
            .iter()
            .map(|part| match part {
                Part::Text(text) => text.clone(),
                Part::Value(value) => harmless(&self.value(value, url)),
            })
            .collect();
        let filled = match &url.query {
            Some(query) if self.keep_query => with_query(&filled, query),
            _ => filled,
        };
        Some(one_leading_slash(filled))
    }

    fn value(&self, value: &Value, url: &Url) -> String {
        match value {
            Value::Capture(name) => self.captures.get(name, &url.path).unwrap_or_default(),
            Value::Host => url.host.clone().into_owned(),
            Value::Path => url.path.clone().into_owned(),
            Value::Query => url.query.clone().unwrap_or_default().into_owned(),
            Value::Scheme => url.scheme.to_owned(),
        }
    }
}

/// A browser takes `//name` for another host; a path has one slash at its beginning.
pub(crate) fn one_leading_slash(location: String) -> String {
    match location.starts_with("//") {
        true => format!("/{}", location.trim_start_matches('/')),
        false => location,
    }
}

/// The query behind what is there already, and before a fragment.
fn with_query(location: &str, query: &str) -> String {
    let (before, fragment) = match location.find('#') {
        Some(at) => location.split_at(at),
        None => (location, ""),
    };
    let separator = if before.contains('?') { '&' } else { '?' };
    format!("{before}{separator}{}{fragment}", harmless(query))
}

/// The proxy lets none of these through; should one come, it is escaped: browsers take a backslash for a slash and skip tabs and line ends.
fn harmless(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_graphic() && byte != b'\\' {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

fn parse_parts(text: &str, captures: &Captures) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        push_text(&mut parts, &rest[..at]);
        let after = &rest[at + 1..];
        let name = after.split_once('}').filter(|(name, _)| is_name(name));
        if let Some(unescaped) = after.strip_prefix('{') {
            push_text(&mut parts, "{");
            rest = unescaped;
        } else if let Some((name, following)) = name {
            parts.push(Part::Value(resolve(name, captures)?));
            rest = following;
        } else {
            push_text(&mut parts, "{");
            rest = after;
        }
    }
    push_text(&mut parts, rest);
    Ok(parts)
}

fn push_text(parts: &mut Vec<Part>, text: &str) {
    match parts.last_mut() {
        _ if text.is_empty() => {}
        Some(Part::Text(last)) => last.push_str(text),
        _ => parts.push(Part::Text(text.to_owned())),
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

fn resolve(name: &str, captures: &Captures) -> Result<Value, String> {
    match name {
        "host" => Ok(Value::Host),
        "path" => Ok(Value::Path),
        "query" => Ok(Value::Query),
        "scheme" => Ok(Value::Scheme),
        name if captures.has(name) => Ok(Value::Capture(name.to_owned())),
        "rest" => Err(
            "`{rest}` is what the star of `path` stands for: it needs a `path` in this rule, and a star at the end of each"
                .to_owned(),
        ),
        name => Err(format!(
            "unknown placeholder `{{{name}}}`; known are {}{}; a literal `{{` is written `{{{{`",
            FACTS.join(", "),
            captures.names().map(|name| format!(", {name}")).collect::<String>()
        )),
    }
}

// Stand for placeholders while the place of the host is looked for; no text has them.
const HOST: char = '\u{1}';
const PATH: char = '\u{2}';
const SCHEME: char = '\u{3}';
const OTHER: char = '\u{4}';

/// A target is a path, or an http URL whose host no client can choose. `{host}` may stand there: it is the host that was asked for.
fn check_place(parts: &[Part]) -> Result<(), String> {
    let mut shape = String::new();
    for part in parts {
        match part {
            Part::Text(text) => shape.push_str(text),
            Part::Value(Value::Host) => shape.push(HOST),
            Part::Value(Value::Path) => shape.push(PATH),
            Part::Value(Value::Scheme) => shape.push(SCHEME),
            Part::Value(Value::Query | Value::Capture(_)) => shape.push(OTHER),
        }
    }
    if shape.starts_with("//") {
        return Err("`//` begins the name of a host; write `https://`".to_owned());
    }
    if shape.starts_with(['/', PATH]) {
        return Ok(());
    }
    let schemes = [
        "http://".to_owned(),
        "https://".to_owned(),
        format!("{SCHEME}://"),
    ];
    let Some(rest) = schemes
        .iter()
        .find_map(|scheme| shape.strip_prefix(scheme.as_str()))
    else {
        return Err(
            "a target begins with `/`, `{path}`, `http://`, `https://` or `{scheme}://`".to_owned(),
        );
    };
    let authority = rest.split(['/', '?', '#', PATH]).next().unwrap_or_default();
    if authority.is_empty() {
        return Err("the host is missing".to_owned());
    }
    let may_stand = |character: char| {
        character == HOST || character.is_ascii_alphanumeric() || "-._~:[]".contains(character)
    };
    match authority.chars().all(may_stand) {
        true => Ok(()),
        false => Err(
            "the host is letters, digits and `{host}`, so that no client chooses where it leads; after it comes `/` or `{path}`"
                .to_owned(),
        ),
    }
}

/// What the rule's own `path` and `path-regex` capture.
#[derive(Debug, Default)]
pub(crate) struct Captures {
    /// Beginnings of paths, without their star; empty when some `path` has none.
    prefixes: Vec<String>,
    regexes: Vec<Regex>,
}

impl Captures {
    /// Patterns that are wrong are left out: the conditions report them.
    pub(crate) fn of(matchers: &Matchers) -> Captures {
        let prefixes: Option<Vec<String>> = matchers
            .path
            .iter()
            .map(|path| path.strip_suffix('*').map(str::to_owned))
            .collect();
        Captures {
            prefixes: prefixes.unwrap_or_default(),
            regexes: matchers
                .path_regex
                .iter()
                .filter_map(|regex| Regex::new(regex).ok())
                .collect(),
        }
    }

    /// Names that the placeholders of facts hide.
    pub(crate) fn hidden(&self) -> impl Iterator<Item = &str> {
        let names = self
            .regexes
            .iter()
            .flat_map(|regex| regex.capture_names().flatten());
        names.filter(|name| *name == "rest" || FACTS.contains(name))
    }

    fn has(&self, name: &str) -> bool {
        match name {
            "rest" => !self.prefixes.is_empty(),
            name => self.names().any(|known| known == name),
        }
    }

    /// The groups that every regular expression has.
    fn names(&self) -> impl Iterator<Item = &str> {
        let first = self
            .regexes
            .first()
            .into_iter()
            .flat_map(Regex::capture_names);
        first.flatten().filter(|name| {
            let mut others = self.regexes.iter();
            others.all(|regex| regex.capture_names().flatten().any(|known| known == *name))
        })
    }

    /// By the first pattern that matches.
    fn get(&self, name: &str, path: &str) -> Option<String> {
        if name == "rest" {
            return self
                .prefixes
                .iter()
                .find_map(|prefix| path.strip_prefix(prefix.as_str()))
                .map(str::to_owned);
        }
        let captures = self.regexes.iter().find_map(|regex| regex.captures(path))?;
        captures.name(name).map(|group| group.as_str().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Target, String> {
        let matchers = Matchers {
            path: vec!["/a/*".to_owned(), "/b*".to_owned()],
            path_regex: vec![
                "(?<id>[0-9]+)(?<x>z)?".to_owned(),
                "(?<id>[a-f]+)".to_owned(),
            ],
            ..Matchers::default()
        };
        Target::parse(text, Captures::of(&matchers), false)
    }

    #[test]
    fn no_client_can_fill_the_place_of_a_host() {
        let good = [
            "/",
            "/{rest}",
            "/{{x}",
            "{path}",
            "{path}?{query}#top",
            "https://a.test",
            "https://a.test:8443/{rest}",
            "https://a.test{path}",
            "https://[::1]/{id}",
            "http://a.test?{query}",
            "{scheme}://www.{host}{path}",
            "https://{host}:8443{path}",
        ];
        for target in good {
            assert!(parse(target).is_ok(), "{target}: {:?}", parse(target).err());
        }
        let bad = [
            "",
            "//a.test/",
            "a.test",
            "{rest}",
            "{query}",
            "{id}",
            "{host}/x",
            "javascript:alert(1)",
            "ftp://a.test/",
            "https://",
            "https:///x",
            "https://{path}",
            "https://{rest}",
            "https://a.test{rest}",
            "https://a.test.{id}/",
            "https://a.test@{host}/",
            "https://a.test\\{rest}",
            "/\\a.test",
            "/a b",
            "/ä",
            "{scheme}{path}",
            "{scheme}:/{path}",
            "/{nothing}",
            "/{x}",
        ];
        for target in bad {
            assert!(parse(target).is_err(), "{target}");
        }
    }

    #[test]
    fn what_needs_an_escape_gets_one() {
        assert_eq!(harmless("/a\\b\tc\u{e4}%5C"), "/a%5Cb%09c%C3%A4%5C");
        assert_eq!(one_leading_slash("///a//b".to_owned()), "/a//b");
        assert_eq!(with_query("/a#top", "q=1"), "/a?q=1#top");
        assert_eq!(with_query("/a?b", "q=1"), "/a?b&q=1");
    }
}
