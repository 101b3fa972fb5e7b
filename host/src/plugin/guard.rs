//! Guards: the predicates that plugins hand to the host so as not to be called in vain. Compiled once, evaluated without allocation.

use std::net::IpAddr;

use crate::http::{Exchange, valid_name};

use super::bindings;
use super::networks::Networks;

/// Most values in all lists of one guard.
const VALUES_MAX: usize = 100_000;

/// Any of its clauses, each of which asks for all of its conditions; no clause: always.
#[derive(Debug, Default)]
pub struct Guard {
    clauses: Vec<Vec<Condition>>,
}

#[derive(Debug)]
struct Condition {
    test: Test,
    negate: bool,
}

#[derive(Debug)]
enum Test {
    Method(Vec<Box<str>>),
    /// Sorted.
    PathExact(Vec<Box<str>>),
    PathPrefix(Vec<Box<str>>),
    Host {
        names: Vec<Box<str>>,
        suffixes: Vec<Box<str>>,
    },
    Source(Networks),
    HeaderPresent(Box<str>),
    HeaderEquals(Box<str>, Box<[u8]>),
}

impl Guard {
    /// Whether it holds whatever comes.
    pub fn is_always(&self) -> bool {
        self.clauses.is_empty()
    }

    /// Whether it holds for the request of the exchange.
    pub fn matches(&self, exchange: &Exchange) -> bool {
        self.holds(|test| test.matches(exchange))
    }

    /// Whether it holds for a connection from this address: for the guards of network filters, which hold `source` tests alone.
    pub fn matches_source(&self, source: IpAddr) -> bool {
        self.holds(|test| matches!(test, Test::Source(networks) if networks.contains(source)))
    }

    fn holds(&self, matches: impl Fn(&Test) -> bool) -> bool {
        let holds = |condition: &Condition| matches(&condition.test) != condition.negate;
        self.is_always() || self.clauses.iter().any(|clause| clause.iter().all(holds))
    }

    pub(super) fn compile(guard: bindings::Guard) -> Result<Guard, String> {
        let mut values = 0;
        let mut compile_clause = |clause: Vec<bindings::Condition>| {
            values += clause
                .iter()
                .map(|condition| 1 + count(&condition.test))
                .sum::<usize>();
            if values > VALUES_MAX {
                return Err(format!("a guard with more than {VALUES_MAX} values"));
            }
            clause.into_iter().map(compile_condition).collect()
        };
        let clauses = guard
            .into_iter()
            .map(&mut compile_clause)
            .collect::<Result<_, String>>()?;
        Ok(Guard { clauses })
    }

    /// As [`Guard::compile`], for connections.
    pub(super) fn compile_for_network(guard: bindings::Guard) -> Result<Guard, String> {
        let guard = Guard::compile(guard)?;
        let only_source = guard
            .clauses
            .iter()
            .flatten()
            .all(|condition| matches!(condition.test, Test::Source(_)));
        if only_source {
            Ok(guard)
        } else {
            Err("the guard of a network filter may test the source only".to_owned())
        }
    }
}

fn count(test: &bindings::Test) -> usize {
    match test {
        bindings::Test::Method(list)
        | bindings::Test::PathExact(list)
        | bindings::Test::PathPrefix(list)
        | bindings::Test::Host(list)
        | bindings::Test::Source(list) => list.len(),
        bindings::Test::HeaderPresent(_) | bindings::Test::HeaderEquals(_) => 1,
    }
}

fn compile_condition(condition: bindings::Condition) -> Result<Condition, String> {
    let test = match condition.test {
        bindings::Test::Method(list) => Test::Method(boxed(list)),
        bindings::Test::PathExact(mut list) => {
            list.sort_unstable();
            Test::PathExact(boxed(list))
        }
        bindings::Test::PathPrefix(list) => Test::PathPrefix(boxed(list)),
        bindings::Test::Host(list) => compile_hosts(list)?,
        bindings::Test::Source(list) => Test::Source(Networks::parse(&list)?),
        bindings::Test::HeaderPresent(name) => Test::HeaderPresent(lower_name(name)?),
        bindings::Test::HeaderEquals((name, value)) => {
            Test::HeaderEquals(lower_name(name)?, value.into())
        }
    };
    Ok(Condition {
        test,
        negate: condition.negate,
    })
}

fn boxed(list: Vec<String>) -> Vec<Box<str>> {
    list.into_iter().map(String::into_boxed_str).collect()
}

fn compile_hosts(list: Vec<String>) -> Result<Test, String> {
    let (mut names, mut suffixes) = (Vec::new(), Vec::new());
    for host in list {
        let wildcard = host.strip_prefix('*');
        let rest = wildcard.unwrap_or(&host);
        let sound = !rest.is_empty()
            && !rest.contains('*')
            && !rest.bytes().any(|byte| byte.is_ascii_uppercase());
        match wildcard {
            Some(suffix) if sound && suffix.starts_with('.') && suffix.len() > 1 => {
                suffixes.push(suffix.into())
            }
            None if sound => names.push(host.into_boxed_str()),
            _ => {
                return Err(format!(
                    "`{host}` is neither a lower-case host name nor `*.` before one"
                ));
            }
        }
    }
    Ok(Test::Host { names, suffixes })
}

/// A header name as the contract wants it.
pub(super) fn lower_name(name: String) -> Result<Box<str>, String> {
    let sound = valid_name(name.as_bytes()) && !name.bytes().any(|byte| byte.is_ascii_uppercase());
    if sound {
        Ok(name.into_boxed_str())
    } else {
        Err(format!(
            "`{}` is not a lower-case header name",
            name.escape_debug()
        ))
    }
}

impl Test {
    fn matches(&self, exchange: &Exchange) -> bool {
        let request = &exchange.request;
        match self {
            Test::Method(list) => list
                .iter()
                .any(|method| method.as_bytes() == request.method().as_bytes()),
            Test::PathExact(list) => list
                .binary_search_by(|path| (**path).cmp(request.path()))
                .is_ok(),
            Test::PathPrefix(list) => list
                .iter()
                .any(|prefix| request.path().starts_with(&**prefix)),
            Test::Host { names, suffixes } => host_matches(request.host(), names, suffixes),
            Test::Source(networks) => networks.contains(exchange.client_address),
            Test::HeaderPresent(name) => request.fields().contains(name.as_bytes()),
            Test::HeaderEquals(name, value) => request
                .fields()
                .get_all(name.as_bytes())
                .any(|line| *line == **value),
        }
    }
}

fn host_matches(host: &str, names: &[Box<str>], suffixes: &[Box<str>]) -> bool {
    let below = |suffix: &str| host.len() > suffix.len() && host.ends_with(suffix);
    names.iter().any(|name| **name == *host) || suffixes.iter().any(|suffix| below(suffix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bindings::Test as T;

    fn condition(test: T, negate: bool) -> bindings::Condition {
        bindings::Condition { test, negate }
    }

    fn list(values: &[&str]) -> Vec<String> {
        values.iter().map(|value| (*value).to_owned()).collect()
    }

    #[test]
    fn no_clause_is_always_and_an_empty_clause_too() {
        let address = IpAddr::from([10, 0, 0, 1]);
        assert!(
            Guard::compile(vec![])
                .expect("empty")
                .matches_source(address)
        );
        assert!(
            Guard::compile(vec![vec![]])
                .expect("empty clause")
                .matches_source(address)
        );
    }

    #[test]
    fn clauses_are_alternatives_and_conditions_are_joined() {
        let source = |networks: &[&str], negate| condition(T::Source(list(networks)), negate);
        let guard = Guard::compile_for_network(vec![
            vec![
                source(&["10.0.0.0/8"], false),
                source(&["10.1.0.0/16"], true),
            ],
            vec![source(&["2001:db8::/32", "192.0.2.7"], false)],
            vec![source(&[], false)],
        ])
        .expect("valid guard");
        let table = [
            ("10.0.0.1", true),
            ("10.1.0.1", false),
            ("11.0.0.1", false),
            ("2001:db8::1", true),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("::ffff:10.2.0.1", true),
        ];
        for (address, expected) in table {
            assert_eq!(
                guard.matches_source(address.parse().expect("an address")),
                expected,
                "{address}"
            );
        }
    }

    #[test]
    fn what_cannot_be_evaluated_is_refused_by_name() {
        let table = [
            (T::Source(list(&["10.0.0.0/33"])), "10.0.0.0/33"),
            (T::Source(list(&["ten"])), "ten"),
            (T::Host(list(&["Example.com"])), "Example.com"),
            (T::Host(list(&["a.*.b"])), "a.*.b"),
            (T::Host(list(&["*"])), "*"),
            (T::Host(list(&["*."])), "*."),
            (T::HeaderPresent("X-A".to_owned()), "X-A"),
            (T::HeaderEquals(("a b".to_owned(), vec![])), "a b"),
        ];
        for (test, named) in table {
            let error = Guard::compile(vec![vec![condition(test, false)]]).expect_err(named);
            assert!(error.contains(named), "{error}");
        }
        let method = vec![vec![condition(T::Method(list(&["GET"])), false)]];
        assert!(Guard::compile_for_network(method).is_err());
        let many = vec![vec![condition(
            T::Method(vec!["GET".to_owned(); VALUES_MAX]),
            false,
        )]];
        assert!(Guard::compile(many).is_err());
    }

    #[test]
    fn a_wildcard_host_matches_below_the_name_only() {
        let suffixes = [".example.com".into()];
        for (host, expected) in [
            ("a.example.com", true),
            ("a.b.example.com", true),
            ("example.com", false),
            (".example.com", false),
            ("badexample.com", false),
        ] {
            assert_eq!(host_matches(host, &[], &suffixes), expected, "{host}");
        }
    }
}
