//! The ordered, compiled set of routes of a listener: the first that matches in file order wins.
//!
//! Linear order is kept, but candidates are found by index: routes whose host and first path pattern are literal sit in hash maps, so the
//! cost does not grow with the number of routes of other hosts and paths; only wildcard, segment and regex routes are tried one by one.

use super::pattern::{host_matches, path_matches};
use crate::config::{ClientCertificateMatch, HeaderMatch, HostPattern, PathPattern, RouteMatch};
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

/// Positions of routes, in file order, by what a request must have to reach them.
#[derive(Debug, Default)]
struct Index {
    /// By exact path.
    exact: HashMap<String, Vec<u32>>,
    /// By literal prefix up to and including its last `/`, of the lengths in `prefix_lengths`.
    prefixes: HashMap<String, Vec<u32>>,
    prefix_lengths: Vec<usize>,
    /// Everything else.
    others: Vec<u32>,
}

/// Routes with what each leads to.
#[derive(Debug)]
pub struct RouteTable<T> {
    routes: Vec<(RouteMatch, T)>,
    by_host: HashMap<String, Index>,
    any_host: Index,
}

impl<T> RouteTable<T> {
    /// Compiles routes given in file order.
    pub fn new(routes: Vec<(RouteMatch, T)>) -> RouteTable<T> {
        let mut table = RouteTable {
            routes: Vec::new(),
            by_host: HashMap::new(),
            any_host: Index::default(),
        };
        for (position, (matcher, _)) in routes.iter().enumerate() {
            table.index(position as u32, matcher);
        }
        table.routes = routes;
        table.by_host.values_mut().for_each(Index::finish);
        table.any_host.finish();
        table
    }

    fn index(&mut self, position: u32, matcher: &RouteMatch) {
        let literal_hosts = !matcher.hosts.is_empty()
            && matcher
                .hosts
                .iter()
                .all(|host| matches!(host, HostPattern::Exact(_)));
        if !literal_hosts {
            return self.any_host.add(position, matcher);
        }
        for host in &matcher.hosts {
            if let HostPattern::Exact(name) = host {
                self.by_host
                    .entry(name.clone())
                    .or_default()
                    .add(position, matcher);
            }
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
        self.first(&self.any_host, request, &mut best);
        (best != u32::MAX).then_some(best as usize)
    }

    /// Lowers `best` to the first matching position of `index` that lies before it.
    fn first(&self, index: &Index, request: &impl RouteRequest, best: &mut u32) {
        let path = request.path();
        if let Some(positions) = index.exact.get(path) {
            self.first_of(positions, request, best);
        }
        for &length in &index.prefix_lengths {
            if let Some(positions) = path
                .get(..length)
                .and_then(|prefix| index.prefixes.get(prefix))
            {
                self.first_of(positions, request, best);
            }
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
        let only = if let [path] = matcher.paths.as_slice() {
            Some(&path.value)
        } else {
            None
        };
        match only {
            Some(PathPattern::Exact(path)) => {
                self.exact.entry(path.clone()).or_default().push(position)
            }
            Some(PathPattern::Prefix(prefix)) => self
                .prefixes
                .entry(prefix.clone())
                .or_default()
                .push(position),
            _ => self.others.push(position),
        }
    }

    fn finish(&mut self) {
        self.prefix_lengths = self.prefixes.keys().map(|prefix| prefix.len()).collect();
        self.prefix_lengths.sort_unstable();
        self.prefix_lengths.dedup();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Place, Spanned};

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
        let hosts = ["", "a.test", "b.test", "*.test", "a.b.test"];
        let paths = ["", "/", "/a", "/a/*", "/a/b", "/a/b/*", "/a*", "/*"];
        let methods = ["", "GET", "POST"];
        let pick = |of: &[&'static str]| of[fastrand::usize(..of.len())];
        for _ in 0..300 {
            let matchers: Vec<RouteMatch> = (0..12)
                .map(|_| matcher(pick(&hosts), pick(&paths), pick(&methods), None))
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
