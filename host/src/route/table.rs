//! The ordered, compiled set of routes of a listener: the first that matches in file order wins.
//!
//! Linear order is kept, but candidates are found by index: by host or what stands behind its wildcard, and there by path or by what a path
//! must begin with. So the cost grows neither with the routes of other hosts nor with those of other paths. What is tried one by one are
//! the routes of a host that begin alike, or with nothing literal: regular expressions, `/{tenant}/…`.

use super::pattern::{host_matches, path_matches};
use crate::config::{
    ClientCertificateMatch, HeaderMatch, HostPattern, PathPattern, RouteMatch, Segment,
};
use std::collections::HashMap;

/// What routing reads of a request.
pub trait RouteRequest {
    fn method(&self) -> &str;
    /// Lower case, without port; empty when the request named none.
    fn host(&self) -> &str;
    /// Normalised, without the query.
    fn path(&self) -> &str;
    /// Whether `test` holds for the value of some line of the header.
    fn header_matches(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool;
    /// The name asked for in the TLS handshake, lower case.
    fn sni(&self) -> Option<&str>;
    /// Whether there is a client certificate that fits.
    fn client_certificate_matches(&self, asked: &ClientCertificateMatch) -> bool;
}

/// Whether every kind of condition holds; of the values of one kind any will do, except headers, of which all must.
fn matches(matcher: &RouteMatch, request: &impl RouteRequest) -> bool {
    (matcher.paths.is_empty()
        || matcher
            .paths
            .iter()
            .any(|path| path_matches(&path.value, request.path())))
        && (matcher.hosts.is_empty()
            || matcher
                .hosts
                .iter()
                .any(|host| host_matches(host, request.host())))
        && (matcher.methods.is_empty()
            || matcher
                .methods
                .iter()
                .any(|method| method == request.method()))
        && matcher
            .headers
            .iter()
            .all(|header| header_holds(header, request))
        && (matcher.snis.is_empty() || sni_matches(&matcher.snis, request.sni()))
        && matcher
            .client_certificate
            .as_ref()
            .is_none_or(|asked| request.client_certificate_matches(asked))
}

/// Whether a name is there and any of the patterns fits it.
pub fn sni_matches(patterns: &[HostPattern], sni: Option<&str>) -> bool {
    sni.is_some_and(|sni| patterns.iter().any(|pattern| host_matches(pattern, sni)))
}

fn header_holds(header: &HeaderMatch, request: &impl RouteRequest) -> bool {
    request.header_matches(&header.name, &mut |line| {
        header
            .value
            .as_ref()
            .is_none_or(|value| line == value.as_bytes())
    })
}

/// The pattern of a matching route that matched, whose captures its action may use.
pub fn matched_path<'m>(matcher: &'m RouteMatch, path: &str) -> Option<&'m PathPattern> {
    matcher
        .paths
        .iter()
        .map(|pattern| &pattern.value)
        .find(|pattern| path_matches(pattern, path))
}

/// By text, and the lengths of all the texts.
#[derive(Debug)]
struct ByText<V> {
    values: HashMap<String, V>,
    lengths: Vec<usize>,
}

impl<V> Default for ByText<V> {
    fn default() -> Self {
        ByText {
            values: HashMap::new(),
            lengths: Vec::new(),
        }
    }
}

impl<V: Default> ByText<V> {
    fn entry(&mut self, text: &str) -> &mut V {
        if let Err(place) = self.lengths.binary_search(&text.len()) {
            self.lengths.insert(place, text.len());
        }
        self.values.entry(text.to_owned()).or_default()
    }

    /// The values of all texts that `path` begins with.
    fn beginning<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a V> {
        self.lengths
            .iter()
            .filter_map(|&length| self.values.get(path.get(..length)?))
    }

    /// The values of all texts that `host` ends with, and is longer than.
    fn ending<'a>(&'a self, host: &'a str) -> impl Iterator<Item = &'a V> {
        self.lengths
            .iter()
            .take_while(|&&length| length < host.len())
            .filter_map(|&length| self.values.get(host.get(host.len() - length..)?))
    }
}

/// Positions of routes, in file order, by what the path of a request must be or begin with.
#[derive(Debug, Default)]
struct Index {
    exact: HashMap<String, Vec<u32>>,
    prefixes: ByText<Vec<u32>>,
    /// Those that any path may reach.
    others: Vec<u32>,
}

/// Routes with what each leads to.
#[derive(Debug)]
pub struct RouteTable<T> {
    routes: Vec<(RouteMatch, T)>,
    by_host: HashMap<String, Index>,
    /// By what stands behind the wildcard.
    by_suffix: ByText<Index>,
    any_host: Index,
}

impl<T> RouteTable<T> {
    /// Compiles routes given in file order.
    pub fn new(routes: Vec<(RouteMatch, T)>) -> RouteTable<T> {
        let mut table = RouteTable {
            routes: Vec::new(),
            by_host: HashMap::new(),
            by_suffix: ByText::default(),
            any_host: Index::default(),
        };
        for (position, (matcher, _)) in routes.iter().enumerate() {
            table.index(position as u32, matcher);
        }
        table.routes = routes;
        table
    }

    fn index(&mut self, position: u32, matcher: &RouteMatch) {
        if matcher.hosts.is_empty() {
            return self.any_host.add(position, matcher);
        }
        for host in &matcher.hosts {
            match host {
                HostPattern::Exact(name) => self.by_host.entry(name.clone()).or_default(),
                HostPattern::Suffix(suffix) => self.by_suffix.entry(suffix),
            }
            .add(position, matcher);
        }
    }

    /// The first route in file order whose conditions hold.
    pub fn find(&self, request: &impl RouteRequest) -> Option<(&RouteMatch, &T)> {
        self.get(self.position(request)?)
    }

    /// The route at a position, from 0 in file order.
    pub fn get(&self, position: usize) -> Option<(&RouteMatch, &T)> {
        let (matcher, target) = self.routes.get(position)?;
        Some((matcher, target))
    }

    /// The position of the first route in file order whose conditions hold.
    pub fn position(&self, request: &impl RouteRequest) -> Option<usize> {
        let mut best = u32::MAX;
        if let Some(index) = self.by_host.get(request.host()) {
            self.first(index, request, &mut best);
        }
        for index in self.by_suffix.ending(request.host()) {
            self.first(index, request, &mut best);
        }
        self.first(&self.any_host, request, &mut best);
        (best != u32::MAX).then_some(best as usize)
    }

    /// Lowers `best` to the first matching position of `index` that lies before it.
    fn first(&self, index: &Index, request: &impl RouteRequest, best: &mut u32) {
        let path = request.path();
        if let Some(positions) = index.exact.get(path) {
            self.first_of(positions, request, best);
        }
        for positions in index.prefixes.beginning(path) {
            self.first_of(positions, request, best);
        }
        self.first_of(&index.others, request, best);
    }

    fn first_of(&self, positions: &[u32], request: &impl RouteRequest, best: &mut u32) {
        for &position in positions {
            if position >= *best {
                return;
            }
            if matches(&self.routes[position as usize].0, request) {
                *best = position;
                return;
            }
        }
    }

    /// Every route in file order.
    pub fn iter(&self) -> impl Iterator<Item = &(RouteMatch, T)> {
        self.routes.iter()
    }
}

impl Index {
    fn add(&mut self, position: u32, matcher: &RouteMatch) {
        if matcher.paths.is_empty() {
            return push(&mut self.others, position);
        }
        for path in &matcher.paths {
            match &path.value {
                PathPattern::Exact(path) => {
                    push(self.exact.entry(path.clone()).or_default(), position)
                }
                PathPattern::Prefix(prefix) => push(self.prefixes.entry(prefix), position),
                PathPattern::Segments { segments, .. } => {
                    push(self.prefixes.entry(&literal_beginning(segments)), position)
                }
                PathPattern::Regex(_) => push(&mut self.others, position),
            }
        }
    }
}

/// Adds a position that is there at most once so far, as the last one.
fn push(positions: &mut Vec<u32>, position: u32) {
    if positions.last() != Some(&position) {
        positions.push(position);
    }
}

/// What stands before the first named segment; every path that matches begins with it.
fn literal_beginning(segments: &[Segment]) -> String {
    let mut beginning = String::new();
    for segment in segments {
        beginning.push('/');
        match segment {
            Segment::Literal(literal) => beginning.push_str(literal),
            Segment::Capture(_) => break,
        }
    }
    beginning
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{PathRegex, Place, Spanned};

    struct Request {
        method: &'static str,
        host: String,
        path: String,
        header: Option<(&'static str, &'static str)>,
    }

    impl RouteRequest for Request {
        fn method(&self) -> &str {
            self.method
        }
        fn host(&self) -> &str {
            &self.host
        }
        fn path(&self) -> &str {
            &self.path
        }
        fn header_matches(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
            self.header
                .is_some_and(|(header, value)| header == name && test(value.as_bytes()))
        }
        fn sni(&self) -> Option<&str> {
            Some("a.test")
        }
        fn client_certificate_matches(&self, asked: &ClientCertificateMatch) -> bool {
            asked.subjects == ["CN=a"]
        }
    }

    fn host_pattern(text: &str) -> HostPattern {
        text.strip_prefix('*')
            .map_or(HostPattern::Exact(text.to_owned()), |suffix| {
                HostPattern::Suffix(suffix.to_owned())
            })
    }

    fn path_pattern(text: &str) -> PathPattern {
        if let Some(regex) = text.strip_prefix('~') {
            return PathPattern::Regex(PathRegex::new(regex).expect("it compiles"));
        }
        if text.contains('{') {
            let (text, rest) = text
                .strip_suffix("/*")
                .map_or((text, false), |text| (text, true));
            let segment = |part: &str| match part.strip_prefix('{') {
                Some(name) => Segment::Capture(name.trim_end_matches('}').to_owned()),
                None => Segment::Literal(part.to_owned()),
            };
            let segments = text.split('/').skip(1).map(segment).collect();
            return PathPattern::Segments { segments, rest };
        }
        text.strip_suffix('*')
            .map_or(PathPattern::Exact(text.to_owned()), |prefix| {
                PathPattern::Prefix(prefix.to_owned())
            })
    }

    fn matcher(
        host: &str,
        path: &str,
        method: &str,
        header: Option<(&str, Option<&str>)>,
    ) -> RouteMatch {
        let place = Place::default();
        RouteMatch {
            hosts: (!host.is_empty())
                .then(|| host_pattern(host))
                .into_iter()
                .collect(),
            paths: (!path.is_empty())
                .then(|| Spanned {
                    value: path_pattern(path),
                    place,
                })
                .into_iter()
                .collect(),
            methods: (!method.is_empty())
                .then(|| method.to_owned())
                .into_iter()
                .collect(),
            headers: header
                .map(|(name, value)| HeaderMatch {
                    name: name.to_owned(),
                    value: value.map(str::to_owned),
                })
                .into_iter()
                .collect(),
            ..RouteMatch::default()
        }
    }

    #[test]
    fn the_handshake_may_be_asked_for() {
        let certificate = |subject: &str| ClientCertificateMatch {
            subjects: vec![subject.to_owned()],
            ..ClientCertificateMatch::default()
        };
        let named = |sni: &str, subject: Option<&str>| RouteMatch {
            snis: vec![host_pattern(sni)],
            client_certificate: subject.map(certificate),
            ..RouteMatch::default()
        };
        let table = RouteTable::new(vec![
            (named("b.test", None), 0),
            (named("*.test", Some("CN=b")), 1),
            (named("a.test", Some("CN=a")), 2),
        ]);
        let found = table.find(&request("GET", "x", "/"));
        assert_eq!(found.map(|(_, number)| *number), Some(2));
        assert!(sni_matches(&[host_pattern("*.test")], Some("a.test")));
        assert!(!sni_matches(&[host_pattern("*.test")], None));
    }

    fn request(method: &'static str, host: &str, path: &str) -> Request {
        Request {
            method,
            host: host.into(),
            path: path.into(),
            header: None,
        }
    }

    #[test]
    fn the_first_match_in_file_order_wins_across_the_indexes() {
        let table = RouteTable::new(vec![
            (matcher("", "/a/*", "POST", None), 0),
            (matcher("x.test", "/a/b", "", None), 1),
            (matcher("", "/a/*", "", None), 2),
            (matcher("*.test", "", "", None), 3),
            (matcher("x.test", "", "", None), 4),
        ]);
        let find = |method, host, path| {
            table
                .find(&request(method, host, path))
                .map(|(_, target)| *target)
        };
        assert_eq!(find("POST", "x.test", "/a/b"), Some(0));
        assert_eq!(find("GET", "x.test", "/a/b"), Some(1));
        assert_eq!(find("GET", "y.test", "/a/b"), Some(2));
        assert_eq!(find("GET", "x.test", "/c"), Some(3));
        assert_eq!(find("GET", "other", "/c"), None);
    }

    #[test]
    fn headers_match_by_presence_or_value() {
        let present = matcher("", "", "", Some(("x-beta", None)));
        let equal = matcher("", "", "", Some(("x-beta", Some("1"))));
        let with = |value| Request {
            header: Some(("x-beta", value)),
            ..request("GET", "h", "/")
        };
        assert!(matches(&present, &with("0")) && matches(&equal, &with("1")));
        assert!(!matches(&equal, &with("10")) && !matches(&present, &request("GET", "h", "/")));
    }

    #[test]
    fn agrees_with_a_naive_matcher() {
        fastrand::seed(7);
        let hosts = ["", "a.test", "b.test", "*.test", "*.b.test", "a.b.test"];
        let paths = [
            "", "/", "/a", "/a/*", "/a/b", "/a/b/*", "/a*", "/*", "/a/{x}", "/{x}/b", "/a/{x}/*",
            "~b$",
        ];
        let methods = ["", "GET", "POST"];
        let pick = |of: &[&'static str]| of[fastrand::usize(..of.len())];
        for _ in 0..300 {
            let matchers: Vec<RouteMatch> = (0..12)
                .map(|_| {
                    let mut one = matcher(pick(&hosts), pick(&paths), pick(&methods), None);
                    if fastrand::bool() {
                        let other = matcher(pick(&hosts[1..]), pick(&paths[1..]), "", None);
                        one.hosts.extend(other.hosts);
                        one.paths.extend(other.paths);
                    }
                    one
                })
                .collect();
            let table = RouteTable::new(
                matchers
                    .iter()
                    .cloned()
                    .enumerate()
                    .map(|(i, m)| (m, i))
                    .collect(),
            );
            for _ in 0..30 {
                let path =
                    ["/", "/a", "/a/", "/a/b", "/a/b/c", "/ab", "/x/b"][fastrand::usize(..7)];
                let asked = request(
                    pick(&methods[1..]),
                    pick(&["a.test", "b.test", "a.b.test", "c"]),
                    path,
                );
                let naive = matchers.iter().position(|matcher| matches(matcher, &asked));
                assert_eq!(table.find(&asked).map(|(_, target)| *target), naive);
            }
        }
    }
}
