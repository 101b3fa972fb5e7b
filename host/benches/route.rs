//! What finding the route of a request costs, by the number of routes and by their form.
//!
//! Where hosts, with or without a wildcard, or what paths begin with tell the routes apart, the number should not matter. What is asked for
//! is always the last route in the file, or none.

mod common;

use std::hint::black_box;
use std::sync::Arc;

use common::{exchange_for, routes, snapshot};
use criterion::{Criterion, criterion_group, criterion_main};
use tollgate::http::Exchange;
use tollgate::snapshot::Snapshot;

/// Longer than what any wildcard asks for, so that none is passed over by its length.
const HOST: &str = "www.shop.example.com";

/// A form of route: how one is written, by its number, and a host and a path that it alone matches.
struct Form {
    name: &'static str,
    written: fn(usize) -> String,
    asked: fn(usize) -> (String, String),
}

const FORMS: &[Form] = &[
    Form {
        name: "exact host and path",
        written: |number| format!(r#"host="s{number}.example.com" path="/shop/items""#),
        asked: |number| (format!("s{number}.example.com"), "/shop/items".to_owned()),
    },
    Form {
        name: "exact path of one host",
        written: |number| format!(r#"host="{HOST}" path="/shop/{number}/items""#),
        asked: |number| (HOST.to_owned(), format!("/shop/{number}/items")),
    },
    Form {
        name: "prefix",
        written: |number| format!(r#"path="/shop/{number}/*""#),
        asked: |number| (HOST.to_owned(), format!("/shop/{number}/items")),
    },
    Form {
        name: "wildcard host",
        written: |number| format!(r#"host="*.s{number}.example.com""#),
        asked: |number| (format!("a.s{number}.example.com"), "/shop".to_owned()),
    },
    Form {
        name: "segments",
        written: |number| format!(r#"path="/shop{number}/{{item}}/reviews""#),
        asked: |number| (HOST.to_owned(), format!("/shop{number}/4711/reviews")),
    },
];

/// The last of routes that are otherwise of exact hosts and paths.
const LAST: &[(&str, &str)] = &[
    (
        "segments behind exact ones",
        r#"path="/users/{user}/reviews""#,
    ),
    (
        "regex behind exact ones",
        r#"path-regex="^/users/[0-9]+/reviews$""#,
    ),
];

fn finds(criterion: &mut Criterion) {
    for count in [1, 100, 10_000] {
        for form in FORMS {
            let table = table((0..count).map(form.written));
            let (host, path) = (form.asked)(count - 1);
            let last = exchange_for(&host, &path);
            let name = format!("{}, {count}", form.name);
            find(criterion, &name, &table, &last, Some(count - 1));
            let none = exchange_for(HOST, "/other/4711/items");
            let name = format!("{name}, none matches");
            find(criterion, &name, &table, &none, None);
        }
        for (name, last) in LAST {
            let exact = (1..count).map(FORMS[0].written);
            let table = table(exact.chain([(*last).to_owned()]));
            let asked = exchange_for(HOST, "/users/4711/reviews");
            let name = format!("{name}, {count}");
            find(criterion, &name, &table, &asked, Some(count - 1));
        }
    }
}

/// A route for each of these conditions.
fn table(conditions: impl Iterator<Item = String>) -> Snapshot {
    let routes: String = conditions
        .map(|condition| format!("    route {condition} {{ respond 204 }}\n"))
        .collect();
    snapshot(&format!(
        "listener \"web\" \"127.0.0.1:0\" {{\n{routes}}}\n"
    ))
}

/// One look-up, which finds the route at this position of the file.
fn find(
    criterion: &mut Criterion,
    name: &str,
    table: &Snapshot,
    exchange: &Exchange,
    expected: Option<usize>,
) {
    let routes = routes(table);
    let found = routes.find(exchange).map(|(_, route)| route);
    let position = found.and_then(|found| {
        routes
            .iter()
            .position(|(_, route)| Arc::ptr_eq(route, found))
    });
    assert_eq!(position, expected, "{name}");
    criterion.bench_function(&format!("route/{name}"), |bencher| {
        bencher.iter(|| routes.find(black_box(exchange)).is_some());
    });
}

criterion_group!(benches, finds);
criterion_main!(benches);
