//! One kind of matcher with its alternatives.

use regex_lite::Regex;

use super::Matchers;
use crate::cidr::Network;
use crate::settings::Errors;
use crate::{Facts, Field, Guard, guard, is_header_name, query};

/// The alternatives of one kind.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Method(Vec<String>),
    Path(Vec<Pattern>),
    PathRegex(Vec<Regex>),
    Host(Vec<Pattern>),
    /// The text too: the host wants it in guards.
    Source(Vec<(Network, String)>),
    /// Without values: it is there.
    Header(String, Vec<String>),
    Query(String, Vec<String>),
}

/// A text, or the beginning (of a path) or end (of a host) of one.
#[derive(Clone, Debug)]
pub(super) enum Pattern {
    Exact(String),
    Prefix(String),
    /// With its leading dot.
    Suffix(String),
}

/// The kinds that are set, each with its alternatives checked.
pub(super) fn compile(matchers: &Matchers, errors: &mut Errors) -> Vec<Kind> {
    let mut kinds = Vec::new();
    let mut add = |is_set: bool, kind: Kind| {
        if is_set {
            kinds.push(kind);
        }
    };
    // In the order of cost: what is cheap to decide comes first.
    add(
        !matchers.method.is_empty(),
        Kind::Method(each("method", &matchers.method, errors, method)),
    );
    add(
        !matchers.path.is_empty(),
        Kind::Path(each("path", &matchers.path, errors, path)),
    );
    add(
        !matchers.host.is_empty(),
        Kind::Host(each("host", &matchers.host, errors, host)),
    );
    add(
        !matchers.source.is_empty(),
        Kind::Source(each("source", &matchers.source, errors, source)),
    );
    for (name, values) in named("header", &matchers.header, errors, header_name) {
        add(true, Kind::Header(name, values));
    }
    add(
        !matchers.path_regex.is_empty(),
        Kind::PathRegex(each("path-regex", &matchers.path_regex, errors, regex)),
    );
    for (name, values) in named("query", &matchers.query, errors, query_name) {
        add(true, Kind::Query(name, values));
    }
    kinds
}

/// Every alternative that is right; what is wrong goes to `errors`.
fn each<T>(
    name: &str,
    texts: &[String],
    errors: &mut Errors,
    parse: fn(&str) -> Result<T, String>,
) -> Vec<T> {
    errors.inside(name, |errors| {
        let parse = |(index, text): (usize, &String)| {
            errors.inside(index, |errors| errors.check(parse(text)))
        };
        texts.iter().enumerate().filter_map(parse).collect()
    })
}

/// The values of each name, in the order of first mention. A name without value asks for presence, whatever values there are besides.
fn named(
    setting: &str,
    pairs: &[(String, Option<String>)],
    errors: &mut Errors,
    parse: fn(&str) -> Result<String, String>,
) -> Vec<(String, Vec<String>)> {
    let names: Vec<String> = pairs.iter().map(|(name, _)| name.clone()).collect();
    let parsed: Vec<Option<String>> = errors.inside(setting, |errors| {
        let parse = |(index, name): (usize, &String)| {
            errors.inside(index, |errors| {
                errors.inside(0_usize, |errors| errors.check(parse(name)))
            })
        };
        names.iter().enumerate().map(parse).collect()
    });
    let mut grouped: Vec<(String, Vec<String>)> = Vec::new();
    for name in parsed.iter().flatten() {
        if grouped.iter().any(|(known, _)| known == name) {
            continue;
        }
        let of_name = || {
            parsed
                .iter()
                .zip(pairs)
                .filter(|(known, _)| known.as_ref() == Some(name))
        };
        let presence = of_name().any(|(_, (_, value))| value.is_none());
        let values = of_name().filter_map(|(_, (_, value))| value.clone());
        grouped.push((
            name.clone(),
            if presence {
                Vec::new()
            } else {
                values.collect()
            },
        ));
    }
    grouped
}

impl Kind {
    pub(super) fn holds(&self, request: &Facts) -> bool {
        match self {
            Kind::Method(methods) => methods.iter().any(|method| *method == request.method()),
            Kind::Path(patterns) => any_matches(patterns, &request.path()),
            Kind::PathRegex(regexes) => regexes.iter().any(|regex| regex.is_match(&request.path())),
            Kind::Host(patterns) => any_matches(patterns, &request.host()),
            Kind::Source(networks) => request.client_address().is_some_and(|address| {
                networks
                    .iter()
                    .any(|(network, _)| network.contains(address))
            }),
            Kind::Header(name, values) if values.is_empty() => request.header(name).is_some(),
            Kind::Header(name, values) => values
                .iter()
                .any(|value| request.has_header_line(name, value.as_bytes())),
            Kind::Query(name, values) => query_holds(request, name, values),
        }
    }

    /// Whether there is a value to judge: false for a missing header or parameter of which a value is asked.
    pub(super) fn is_decided(&self, request: &Facts) -> bool {
        match self {
            Kind::Header(name, values) if !values.is_empty() => request.header(name).is_some(),
            Kind::Query(name, values) if !values.is_empty() => query_holds(request, name, &[]),
            _ => true,
        }
    }

    pub(super) fn guard(&self) -> Guard {
        let any = |guards: &mut dyn Iterator<Item = Guard>| guards.fold(Guard::never(), Guard::or);
        match self {
            Kind::Method(methods) => guard::method(methods),
            Kind::Path(patterns) | Kind::Host(patterns) => {
                any(&mut patterns.iter().map(Pattern::guard))
            }
            Kind::Source(networks) => guard::source(networks.iter().map(|(_, text)| text)),
            Kind::Header(name, values) if values.is_empty() => guard::header(name),
            Kind::Header(name, values) => any(&mut values
                .iter()
                .map(|value| guard::header_equals(name, value.as_str()))),
            Kind::PathRegex(_) | Kind::Query(..) => Guard::unknown(),
        }
    }

    pub(super) fn decided_guard(&self) -> Guard {
        match self {
            Kind::Header(name, values) if !values.is_empty() => guard::header(name),
            Kind::Query(_, values) if !values.is_empty() => Guard::unknown(),
            _ => Guard::always(),
        }
    }

    pub(super) fn field(&self) -> Field {
        match self {
            Kind::Method(_) => Field::Method,
            Kind::Path(_) | Kind::PathRegex(_) => Field::Path,
            Kind::Host(_) => Field::Host,
            Kind::Source(_) => Field::ClientAddress,
            Kind::Header(name, _) => Field::Header(name.clone()),
            Kind::Query(..) => Field::Query,
        }
    }
}

fn query_holds(request: &Facts, name: &str, values: &[String]) -> bool {
    let query = request.query().unwrap_or_default();
    query::parameters(&query).any(|(known, value)| {
        known == name.as_bytes()
            && (values.is_empty() || values.iter().any(|wanted| wanted.as_bytes() == value))
    })
}

fn any_matches(patterns: &[Pattern], text: &str) -> bool {
    patterns.iter().any(|pattern| match pattern {
        Pattern::Exact(exact) => exact == text,
        Pattern::Prefix(prefix) => text.starts_with(prefix),
        Pattern::Suffix(suffix) => text.len() > suffix.len() && text.ends_with(suffix),
    })
}

impl Pattern {
    fn guard(&self) -> Guard {
        match self {
            Pattern::Exact(path) if path.starts_with('/') => guard::path(path),
            Pattern::Prefix(prefix) => guard::path_prefix(prefix),
            Pattern::Exact(host) => guard::host([host]),
            Pattern::Suffix(suffix) => guard::host([format!("*{suffix}")]),
        }
    }
}

fn method(text: &str) -> Result<String, String> {
    match is_header_name(text) {
        true => Ok(text.to_owned()),
        false => Err(format!("`{text}` is not a method")),
    }
}

fn path(text: &str) -> Result<Pattern, String> {
    let prefix = text.strip_suffix('*');
    let plain = prefix.unwrap_or(text);
    if !plain.starts_with('/') {
        return Err(format!("the path `{text}` does not start with `/`"));
    }
    if plain.contains(['*', '{', '}']) {
        return Err(format!(
            "`{text}`: a star may stand at the end only, and segments have no names here; use `path-regex`"
        ));
    }
    Ok(match prefix {
        Some(prefix) => Pattern::Prefix(prefix.to_owned()),
        None => Pattern::Exact(text.to_owned()),
    })
}

fn host(text: &str) -> Result<Pattern, String> {
    let lower = text.to_ascii_lowercase();
    let below = lower.strip_prefix('*');
    let plain = below.unwrap_or(&lower);
    let dotted = below.is_none_or(|suffix| suffix.len() > 1 && suffix.starts_with('.'));
    if plain.is_empty() || plain.contains(['*', '/', ' ']) || !dotted {
        return Err(format!(
            "`{text}` is not a host; expected `name` or `*.name`"
        ));
    }
    Ok(match below {
        Some(suffix) => Pattern::Suffix(suffix.to_owned()),
        None => Pattern::Exact(lower),
    })
}

fn source(text: &str) -> Result<(Network, String), String> {
    let network = text.parse::<Network>().map_err(|error| error.to_string())?;
    Ok((network, text.to_owned()))
}

fn regex(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|error| format!("`{text}` is not a regular expression: {error}"))
}

fn header_name(text: &str) -> Result<String, String> {
    match is_header_name(text) {
        true => Ok(text.to_ascii_lowercase()),
        false => Err(format!("`{text}` is not a header name")),
    }
}

fn query_name(text: &str) -> Result<String, String> {
    match text.is_empty() {
        false => Ok(text.to_owned()),
        true => Err("a query parameter has a name".to_owned()),
    }
}
