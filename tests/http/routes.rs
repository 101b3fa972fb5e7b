//! Which route a request takes, and the routes that answer by themselves.

use crate::harness::{Origin, Proxy, config};

const ROUTES: &str = r##"
listener "web" "127.0.0.1:0" {
    route "exact-path" path="/exact" { respond 200 body="exact-path" }
    route "host-and-path" host="shop.example" path="/api/*" { respond 200 body="host-and-path {rest}" }
    route "host" host="shop.example" { respond 200 body="host" }
    route "wildcard" host="*.wild.example" { respond 200 body="wildcard {host}" }
    route "segment" path="/users/{id}/posts/{post}" { respond 200 body="segment {id} {post}" }
    route "segment-rest" path="/users/{id}/*" { respond 200 body="segment-rest {id} {rest}" }
    route "regex" path-regex="^/v(?<major>[0-9]+)/" { respond 200 body="regex {major}" }
    route "method" path="/method" {
        method "POST" "PUT"
        respond 200 body="method"
    }
    route "header-value" {
        header "x-beta" "1"
        respond 200 body="header-value"
    }
    route "header-both" {
        header "x-beta"
        header "x-tenant" "a"
        respond 200 body="header-both"
    }
    route "many-paths" {
        path "/m/1" "/m/2/*"
        respond 200 body="many-paths"
    }
    route "prefix" path="/pre*" { respond 200 body="prefix {rest}" }
    route "shadowed" path="/exact*" { respond 200 body="shadowed {rest}" }
}
"##;

#[test]
fn the_first_route_in_file_order_whose_conditions_all_hold_wins() {
    let proxy = Proxy::start(ROUTES);
    let mut client = proxy.client();
    for (request, headers, expected) in [
        ("GET /exact", "", "exact-path"),
        ("GET /exact?query", "", "exact-path"),
        ("GET /exact", "Host: shop.example\r\n", "exact-path"),
        ("GET /exactly", "", "shadowed ly"),
        ("GET /Exact", "", ""),
        (
            "GET /api/x/y",
            "Host: shop.example\r\n",
            "host-and-path x/y",
        ),
        ("GET /api/", "Host: SHOP.example:8080\r\n", "host-and-path "),
        ("GET /api", "Host: shop.example\r\n", "host"),
        ("GET /api/x", "Host: other.example\r\n", ""),
        (
            "GET /",
            "Host: a.wild.example\r\n",
            "wildcard a.wild.example",
        ),
        (
            "GET /",
            "Host: a.b.Wild.example\r\n",
            "wildcard a.b.wild.example",
        ),
        ("GET /", "Host: wild.example\r\n", ""),
        ("GET /", "Host: evilwild.example\r\n", ""),
        ("GET /users/7/posts/9", "", "segment 7 9"),
        ("GET /users/7/posts/", "", "segment-rest 7 posts/"),
        ("GET /users/7/posts/9/x", "", "segment-rest 7 posts/9/x"),
        ("GET /users/7/", "", "segment-rest 7 "),
        ("GET /users/7", "", ""),
        ("GET /v12/x", "", "regex 12"),
        ("GET /vx/x", "", ""),
        ("GET /x/v1/", "", ""),
        ("POST /method", "", "method"),
        ("PUT /method", "", "method"),
        ("GET /method", "", ""),
        ("post /method", "", ""),
        ("GET /", "X-Beta: 1\r\n", "header-value"),
        ("GET /", "X-Beta: 2\r\n", ""),
        ("GET /", "X-Beta: 2\r\nX-Tenant: a\r\n", "header-both"),
        ("GET /", "X-Tenant: a\r\n", ""),
        ("GET /", "X-Beta: 0\r\nX-Beta: 1\r\n", "header-value"),
        ("GET /m/1", "", "many-paths"),
        ("GET /m/2/x", "", "many-paths"),
        ("GET /m/1/x", "", ""),
        ("GET /prefix", "", "prefix fix"),
    ] {
        let (method, path) = request.split_once(' ').expect("method and path");
        let response = client.ask(method, path, headers);
        if expected.is_empty() {
            assert_eq!(
                (response.status, response.text().as_str()),
                (404, "not found\n"),
                "{request} {headers}"
            );
        } else {
            assert_eq!(
                (response.status, response.text().as_str()),
                (200, expected),
                "{request} {headers}"
            );
        }
    }
    let line = proxy.line_of("/users/7/posts/9");
    assert_eq!(
        (line.text("route"), line.outcome()),
        ("segment", "route-reply")
    );
    let line = proxy.line_of("/users/7");
    assert_eq!(
        (line.text("route"), line.outcome(), line.status()),
        ("", "no-route", 404)
    );
}

#[test]
fn a_redirect_carries_what_the_pattern_captured() {
    let proxy = Proxy::start(
        r#"listener "web" "127.0.0.1:0" {
            route path="/old/*" { redirect "/new/{rest}" status=308 }
            route path="/users/{id}" { redirect "https://{host}/u/{id}" status=301 }
            route path="/https/*" { redirect "https://{host}{path}" }
        }"#,
    );
    let mut client = proxy.client();
    for (path, status, location) in [
        ("/old/a/b", 308, "/new/a/b"),
        ("/old/", 308, "/new/"),
        ("/users/7", 301, "https://test/u/7"),
        ("/https/%41%20", 302, "https://test/https/A%20"),
    ] {
        let response = client.get(path);
        assert_eq!(
            (response.status, response.header("location")),
            (status, Some(location)),
            "{path}"
        );
    }
    let line = proxy.line_of("/old/a/b");
    assert_eq!((line.outcome(), line.status()), ("route-reply", 308));
}

#[test]
fn a_route_answers_with_status_headers_and_body() {
    let proxy = Proxy::start(
        r#"listener "web" "127.0.0.1:0" {
            route path="/json" {
                respond 418 body="{\"path\":\"{path}\",\"q\":\"{query}\"}" {
                    header "content-type" "application/json"
                    header "x-host" "{host}"
                }
            }
            route path="/none" { respond 204 }
        }"#,
    );
    let mut client = proxy.client();
    let response = client.get("/json?a=b");
    assert_eq!(
        (response.status, response.text().as_str()),
        (418, r#"{"path":"/json","q":"a=b"}"#)
    );
    assert_eq!(
        (response.header("content-type"), response.header("x-host")),
        (Some("application/json"), Some("test"))
    );
    let response = client.ask("HEAD", "/json", "");
    assert_eq!(
        (response.status, response.header("content-length")),
        (418, Some("23"))
    );
    let response = client.get("/none");
    assert_eq!(
        (response.status, response.header("content-length")),
        (204, None)
    );
    assert_eq!(client.get("/json").status, 418);
}

#[test]
fn a_split_divides_by_weight() {
    let (much, little, nothing) = (
        Origin::named("much"),
        Origin::named("little"),
        Origin::named("nothing"),
    );
    let text = r#"
        listener "web" "127.0.0.1:0" {
            route {
                split {
                    cluster "much" weight=80
                    cluster "little" weight=20
                    cluster "nothing" weight=0
                }
            }
        }
        cluster "much" { endpoint "MUCH" }
        cluster "little" { endpoint "LITTLE" }
        cluster "nothing" { endpoint "NOTHING" }"#;
    let proxy = Proxy::start(&config(
        text,
        &[("MUCH", &much), ("LITTLE", &little), ("NOTHING", &nothing)],
    ));
    let mut client = proxy.client();
    let total = 400;
    let little_share = (0..total)
        .filter(|_| client.get("/").text() == "little")
        .count();
    // Mean 80, standard deviation 8: seven of them on either side.
    assert!(
        (24..=136).contains(&little_share),
        "{little_share} of {total}"
    );
    assert_eq!(
        (little.requests().len(), much.requests().len()),
        (little_share, total - little_share)
    );
    assert_eq!(nothing.connections(), 0);
    proxy.access_line(|line| line.text("cluster") == "little");
}
