//! Guards, evaluated as the host does.

use super::Exchange;
use crate::Guard;
use crate::bindings::http_filter::tollgate::plugin::types::Test;
use crate::cidr::Network;

/// Whether the host would call a filter with this guard.
pub fn holds(guard: &Guard, exchange: &Exchange) -> bool {
    let clauses = guard.clone().into_wit();
    let condition_holds = |condition: &_| {
        let crate::bindings::http_filter::tollgate::plugin::types::Condition { test, negate } =
            condition;
        test_holds(test, exchange) != *negate
    };
    clauses.is_empty()
        || clauses
            .iter()
            .any(|clause| clause.iter().all(condition_holds))
}

fn test_holds(test: &Test, exchange: &Exchange) -> bool {
    match test {
        Test::Method(methods) => methods.contains(&exchange.method),
        Test::PathExact(paths) => paths.contains(&exchange.path),
        Test::PathPrefix(prefixes) => prefixes
            .iter()
            .any(|prefix| exchange.path.starts_with(prefix)),
        Test::Host(hosts) => hosts.iter().any(|host| match host.strip_prefix('*') {
            Some(suffix) => exchange.host.len() > suffix.len() && exchange.host.ends_with(suffix),
            None => exchange.host == *host,
        }),
        Test::Source(networks) => networks.iter().any(|network| {
            network
                .parse::<Network>()
                .expect("the host refuses bad networks")
                .contains(exchange.client_address)
        }),
        Test::HeaderPresent(name) => exchange.request.contains(name),
        Test::HeaderEquals((name, value)) => exchange.request.lines(name).contains(value),
    }
}
