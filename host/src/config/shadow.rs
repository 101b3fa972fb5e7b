//! Routes that can never match, because an earlier one takes every request they could.
//!
//! The comparison is exact for hosts, methods, headers and simple paths, and says nothing where it would have to compare regexes: a
//! warning is always right, its absence proves nothing.

use super::{
    ClientCertificateMatch, Diagnostics, HeaderMatch, HelloMatch, HostPattern, PathPattern, Route,
    RouteMatch, Segment, Spanned, TcpRoute,
};

/// Routes compared per listener; beyond it the quadratic comparison would be felt at each reload.
const ROUTES_MAX: usize = 2000;

pub(super) fn warn_of_unreachable(routes: &[Route], diagnostics: &mut Diagnostics) {
    let routes: Vec<_> = routes
        .iter()
        .map(|route| (&route.name, &route.matcher))
        .collect();
    warn_of_covered(
        &routes,
        covers,
        "this route takes all of its requests",
        diagnostics,
    );
}

/// As [`warn_of_unreachable`], of a TCP listener.
pub(super) fn warn_of_unreachable_tcp(routes: &[TcpRoute], diagnostics: &mut Diagnostics) {
    let routes: Vec<_> = routes
        .iter()
        .map(|route| (&route.name, &route.matcher))
        .collect();
    warn_of_covered(
        &routes,
        hello_covers,
        "this route takes all of its connections",
        diagnostics,
    );
}

fn warn_of_covered<M>(
    routes: &[(&Spanned<String>, &M)],
    covers: fn(&M, &M) -> bool,
    reason: &str,
    diagnostics: &mut Diagnostics,
) {
    for (index, (name, matcher)) in routes.iter().enumerate().take(ROUTES_MAX) {
        let earlier = routes[..index]
            .iter()
            .find(|(_, earlier)| covers(earlier, matcher));
        if let Some((earlier, _)) = earlier {
            let message = format!("route `{}` can never match", name.value);
            let help = "the first matching route wins: put the narrower one first".to_owned();
            diagnostics.warn(
                name.place,
                message,
                Some(help),
                Some((earlier.place, reason)),
            );
        }
    }
}

/// Whether every request that `narrow` matches is matched by `wide`.
fn covers(wide: &RouteMatch, narrow: &RouteMatch) -> bool {
    covers_list(&wide.hosts, &narrow.hosts, host_covers)
        && covers_list(&wide.methods, &narrow.methods, |a, b| a == b)
        && (takes_all_paths(wide) || covers_list(&wide.paths, &narrow.paths, spanned_covers))
        && wide.headers.iter().all(|wide| {
            narrow
                .headers
                .iter()
                .any(|narrow| header_covers(wide, narrow))
        })
        && covers_list(&wide.snis, &narrow.snis, host_covers)
        && certificate_covers(&wide.client_certificate, &narrow.client_certificate)
}

/// Which names a pattern of names covers is not compared: equal is what is certain.
fn certificate_covers(
    wide: &Option<ClientCertificateMatch>,
    narrow: &Option<ClientCertificateMatch>,
) -> bool {
    wide.is_none() || wide == narrow
}

fn hello_covers(wide: &HelloMatch, narrow: &HelloMatch) -> bool {
    covers_list(&wide.snis, &narrow.snis, host_covers)
        && covers_list(&wide.alpns, &narrow.alpns, |a, b| a == b)
}

/// Each alternative of `narrow` lies in one of `wide`. An empty list means every request.
fn covers_list<T>(wide: &[T], narrow: &[T], covers: fn(&T, &T) -> bool) -> bool {
    wide.is_empty()
        || (!narrow.is_empty()
            && narrow
                .iter()
                .all(|narrow| wide.iter().any(|wide| covers(wide, narrow))))
}

/// Every path starts with `/`. (The `*` of `OPTIONS *` does not, but nobody writes a route for it alone.)
fn takes_all_paths(wide: &RouteMatch) -> bool {
    let all = |path: &Spanned<PathPattern>| path.value == PathPattern::Prefix("/".to_owned());
    wide.paths.iter().any(all)
}

fn host_covers(wide: &HostPattern, narrow: &HostPattern) -> bool {
    match (wide, narrow) {
        (HostPattern::Exact(wide), HostPattern::Exact(narrow)) => wide == narrow,
        (HostPattern::Exact(_), HostPattern::Suffix(_)) => false,
        (HostPattern::Suffix(suffix), HostPattern::Exact(name)) => {
            name.len() > suffix.len() && name.ends_with(suffix.as_str())
        }
        (HostPattern::Suffix(wide), HostPattern::Suffix(narrow)) => narrow.ends_with(wide.as_str()),
    }
}

fn header_covers(wide: &HeaderMatch, narrow: &HeaderMatch) -> bool {
    wide.name == narrow.name && (wide.value.is_none() || wide.value == narrow.value)
}

fn spanned_covers(wide: &Spanned<PathPattern>, narrow: &Spanned<PathPattern>) -> bool {
    path_covers(&wide.value, &narrow.value)
}

fn path_covers(wide: &PathPattern, narrow: &PathPattern) -> bool {
    use PathPattern::{Exact, Prefix, Regex, Segments};
    match (wide, narrow) {
        (Exact(wide), Exact(narrow)) => wide == narrow,
        (Prefix(wide), Exact(narrow) | Prefix(narrow)) => narrow.starts_with(wide.as_str()),
        (Prefix(wide), Segments { segments, .. }) => {
            literal_start(segments).starts_with(wide.as_str())
        }
        (Segments { segments, rest }, Exact(narrow)) => segments_match(segments, *rest, narrow),
        (Regex(wide), Exact(narrow)) => wide.regex().is_match(narrow),
        (Regex(wide), Regex(narrow)) => wide == narrow,
        (
            Segments {
                segments: wide,
                rest: wide_rest,
            },
            Segments {
                segments: narrow,
                rest: narrow_rest,
            },
        ) => wide_rest == narrow_rest && same_shape(wide, narrow),
        (Exact(_), _) | (Segments { .. } | Regex(_), _) | (Prefix(_), Regex(_)) => false,
    }
}

/// What every matching path starts with: `/users/` of `/users/{id}/posts`.
fn literal_start(segments: &[Segment]) -> String {
    let mut start = "/".to_owned();
    for segment in segments {
        match segment {
            Segment::Literal(text) => {
                start.push_str(text);
                start.push('/');
            }
            Segment::Capture(_) => break,
        }
    }
    start
}

fn segments_match(segments: &[Segment], rest: bool, path: &str) -> bool {
    let mut parts = path.strip_prefix('/').unwrap_or(path).split('/');
    let matched = segments
        .iter()
        .all(|segment| match (segment, parts.next()) {
            (_, None) => false,
            (Segment::Literal(text), Some(part)) => text == part,
            (Segment::Capture(_), Some(part)) => !part.is_empty(),
        });
    matched && parts.next().is_some() == rest
}

fn same_shape(wide: &[Segment], narrow: &[Segment]) -> bool {
    wide.len() == narrow.len()
        && wide.iter().zip(narrow).all(|pair| match pair {
            (Segment::Capture(_), _) => true,
            (Segment::Literal(wide), Segment::Literal(narrow)) => wide == narrow,
            (Segment::Literal(_), Segment::Capture(_)) => false,
        })
}

#[cfg(test)]
mod tests {
    use super::super::Place;
    use super::super::path_pattern::{parse_path, parse_path_regex};
    use super::super::route_match::parse_host;
    use super::*;

    fn matcher(host: &str, path: &str, method: &str, header: &str) -> RouteMatch {
        let mut matcher = RouteMatch::default();
        if !host.is_empty() {
            matcher.hosts.push(parse_host(host).expect("a host"));
        }
        if !path.is_empty() {
            let value = match path.strip_prefix('~') {
                Some(regex) => parse_path_regex(regex).expect("a regex"),
                None => parse_path(path).expect("a path"),
            };
            let place = Place::default();
            matcher.paths.push(Spanned { value, place });
        }
        matcher
            .methods
            .extend(method.split_whitespace().map(str::to_owned));
        for header in header.split_whitespace() {
            let (name, value) = header.split_once('=').unwrap_or((header, ""));
            matcher.headers.push(HeaderMatch {
                name: name.to_owned(),
                value: (!value.is_empty()).then(|| value.to_owned()),
            });
        }
        matcher
    }

    #[test]
    fn conditions_of_tls_narrow_a_route() {
        let certificate = |subject: &str| ClientCertificateMatch {
            subjects: vec![subject.to_owned()],
            ..ClientCertificateMatch::default()
        };
        let any = ClientCertificateMatch::default();
        let build = |sni: &str, certificate: Option<&ClientCertificateMatch>| RouteMatch {
            snis: sni
                .split_whitespace()
                .map(|sni| parse_host(sni).expect("a name"))
                .collect(),
            client_certificate: certificate.cloned(),
            ..RouteMatch::default()
        };
        let (app, other) = (certificate("CN=app"), certificate("CN=other"));
        for (wide, narrow, expected) in [
            (("", None), ("a.b", Some(&app)), true),
            (("*.b", None), ("a.b", None), true),
            (("a.b", None), ("*.b", None), false),
            (("a.b", None), ("", None), false),
            (("a.b c.d", None), ("c.d", None), true),
            (("", Some(&app)), ("a.b", Some(&app)), true),
            (("", Some(&app)), ("", Some(&other)), false),
            (("", Some(&app)), ("", None), false),
            (("", Some(&any)), ("", Some(&any)), true),
        ] {
            let (a, b) = (build(wide.0, wide.1), build(narrow.0, narrow.1));
            assert_eq!(covers(&a, &b), expected, "{wide:?} {narrow:?}");
        }
    }

    #[test]
    fn a_wider_hello_covers_a_narrower_one() {
        let build = |sni: &str, alpn: &str| HelloMatch {
            snis: sni
                .split_whitespace()
                .map(|sni| parse_host(sni).expect("a name"))
                .collect(),
            alpns: alpn.split_whitespace().map(str::to_owned).collect(),
        };
        for (wide, narrow, expected) in [
            (("", ""), ("a.b", "h2"), true),
            (("", ""), ("", ""), true),
            (("*.b", ""), ("a.b", "h2"), true),
            (("*.b", "h2"), ("a.b", ""), false),
            (("", "h2 x"), ("", "x"), true),
            (("", "x"), ("", "h2 x"), false),
            (("a.b", ""), ("", ""), false),
        ] {
            let (a, b) = (build(wide.0, wide.1), build(narrow.0, narrow.1));
            assert_eq!(hello_covers(&a, &b), expected, "{wide:?} {narrow:?}");
        }
    }

    #[test]
    fn a_wider_route_covers_a_narrower_one() {
        for (wide, narrow, expected) in [
            (("", "", "", ""), ("a.b", "/x", "GET", "h"), true),
            (("a.b", "", "", ""), ("", "", "", ""), false),
            (("*.b", "", "", ""), ("a.b", "", "", ""), true),
            (("*.b", "", "", ""), ("*.a.b", "", "", ""), true),
            (("*.a.b", "", "", ""), ("*.b", "", "", ""), false),
            (("", "", "GET PUT", ""), ("", "", "GET", ""), true),
            (("", "", "GET", ""), ("", "", "GET PUT", ""), false),
            (("", "", "", "h"), ("", "", "", "h=1 i"), true),
            (("", "", "", "h=1"), ("", "", "", "h"), false),
            (("", "/*", "", ""), ("", "~^/x", "", ""), true),
            (("", "/*", "", ""), ("", "", "", ""), true),
            (("", "/a/*", "", ""), ("", "/a", "", ""), false),
            (("", "/a/*", "", ""), ("", "/a/", "", ""), true),
            (("", "/a*", "", ""), ("", "/ab/*", "", ""), true),
            (("", "/a/*", "", ""), ("", "/a/{x}", "", ""), true),
            (("", "/a*", "", ""), ("", "/{x}", "", ""), false),
            (("", "/a/{x}", "", ""), ("", "/a/1", "", ""), true),
            (("", "/a/{x}", "", ""), ("", "/a/1/2", "", ""), false),
            (("", "/a/{x}/*", "", ""), ("", "/a/1/2", "", ""), true),
            (("", "/a/{x}/*", "", ""), ("", "/a/1", "", ""), false),
            (("", "/a/{x}", "", ""), ("", "/a/{y}", "", ""), true),
            (("", "/a/b", "", ""), ("", "/a/{y}", "", ""), false),
            (("", "~^/a", "", ""), ("", "/ab", "", ""), true),
            (("", "~^/a", "", ""), ("", "~^/a", "", ""), true),
            (("", "~^/a", "", ""), ("", "/a*", "", ""), false),
        ] {
            let build = |(host, path, method, header)| matcher(host, path, method, header);
            assert_eq!(
                covers(&build(wide), &build(narrow)),
                expected,
                "{wide:?} {narrow:?}"
            );
        }
    }
}
