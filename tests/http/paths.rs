//! A path is decided once: routes, filters and the origin see the same one.

use crate::harness::{Origin, Proxy, config};

#[test]
fn a_path_is_forwarded_in_normal_form() {
    let origin = Origin::echo();
    let proxy = Proxy::before(&origin);
    let mut client = proxy.client();
    for (sent, forwarded) in [
        ("/a/b?c=d", "/a/b?c=d"),
        ("/a/./b", "/a/b"),
        ("/a/../b", "/b"),
        ("/a/b/..", "/a/"),
        ("/a/%2e%2e/b", "/b"),
        ("//a///b", "/a/b"),
        ("/%61%2D%7e", "/a-~"),
        ("/%c3%a9", "/%C3%A9"),
        ("/a%20b", "/a%20b"),
        ("/a?x=/../%61//", "/a?x=/../%61//"),
        ("/a;v=1/b", "/a;v=1/b"),
        ("http://test/a/../b?c", "/b?c"),
        ("HTTP://test?c", "/?c"),
    ] {
        assert_eq!(client.get(sent).echoed().target(), forwarded, "{sent}");
        assert_eq!(proxy.line_of(forwarded).outcome(), "ok");
    }
    client.send("OPTIONS * HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!(client.response().echoed().start_line, "OPTIONS * HTTP/1.1");
}

#[test]
fn a_path_that_could_be_read_in_two_ways_is_refused() {
    let origin = Origin::echo();
    let proxy = Proxy::before(&origin);
    for path in [
        "/..",
        "/a/../../b",
        "/a%2fb",
        "/a%5Cb",
        "/a%00",
        "/a%",
        "/a%4",
        "/a%zz",
        "/..;/b",
        "/a/.;x/b",
        "/a\\b",
    ] {
        let mut client = proxy.client();
        assert_eq!(client.get(path).status, 400, "{path}");
        assert!(client.is_at_end(), "{path}");
    }
    assert_eq!(proxy.access_line(|_| true).outcome(), "bad-request");
    assert_eq!(origin.connections(), 0);
}

const GUARDED: &str = r#"
    listener "web" "127.0.0.1:0" {
        route "admin" path="/admin/*" { respond 401 }
        route "all" {
            filters { acl { rule "deny" { path "/private/*" } } }
            cluster "origin"
        }
    }
    cluster "origin" { endpoint "ORIGIN" }"#;

#[test]
fn routes_and_filters_cannot_be_passed_by_another_spelling() {
    let origin = Origin::named("passed");
    let proxy = Proxy::start(&config(GUARDED, &[("ORIGIN", &origin)]));
    let mut client = proxy.client();
    for (prefix, status, outcome) in [
        ("admin", 401, "route-reply"),
        ("private", 403, "filter-reply"),
    ] {
        let escaped: String = prefix.bytes().map(|byte| format!("%{byte:02x}")).collect();
        for path in [
            format!("/{prefix}/x"),
            format!("//{prefix}//x"),
            format!("/./{prefix}/x"),
            format!("/other/../{prefix}/x"),
            format!("/other/%2E%2e/{prefix}/x"),
            format!("/{escaped}/x"),
            format!("http://test/{prefix}/x"),
        ] {
            assert_eq!(client.get(&path).status, status, "{path}");
        }
        assert_eq!(proxy.line_of(&format!("/{prefix}/x")).outcome(), outcome);
    }
    assert_eq!(client.get("/administration").text(), "passed");
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn escaped_and_repeated_slashes_are_kept_where_that_is_configured() {
    let origin = Origin::echo();
    let text = r#"
        listener "web" "127.0.0.1:0" {
            path-normalization escaped-slashes="keep" merge-slashes=#false
            route { cluster "origin" }
        }
        cluster "origin" { endpoint "ORIGIN" }"#;
    let proxy = Proxy::start(&config(text, &[("ORIGIN", &origin)]));
    let mut client = proxy.client();
    for (sent, forwarded) in [
        ("/a%2fb", "/a%2Fb"),
        ("/a%5cb", "/a%5Cb"),
        ("//a//b", "//a//b"),
        ("/a/./b", "/a/b"),
    ] {
        assert_eq!(client.get(sent).echoed().target(), forwarded, "{sent}");
    }
    assert_eq!(client.get("/a/..%2fb").status, 400);
}

#[test]
fn headers_with_underscores_are_dropped_kept_or_refused() {
    let origin = Origin::echo();
    for (setting, kept) in [
        ("", None),
        ("header-underscores \"drop\"", None),
        ("header-underscores \"keep\"", Some("1")),
    ] {
        let proxy = underscores(setting, &origin);
        let request = proxy
            .client()
            .ask("GET", "/", "X_User: 1\r\nX-User: 2\r\n")
            .echoed();
        assert_eq!(
            (request.header("x_user"), request.header("x-user")),
            (kept, Some("2")),
            "{setting}"
        );
    }
    let seen = origin.requests().len();
    let proxy = underscores("header-underscores \"reject\"", &origin);
    assert_eq!(proxy.client().ask("GET", "/", "X_User: 1\r\n").status, 400);
    assert_eq!(proxy.access_line(|_| true).outcome(), "bad-request");
    assert_eq!(origin.requests().len(), seen);
}

fn underscores(setting: &str, origin: &Origin) -> Proxy {
    let text = r#"
        listener "web" "127.0.0.1:0" {
            SETTING
            route { cluster "origin" }
        }
        cluster "origin" { endpoint "ORIGIN" }"#;
    Proxy::start(&config(text, &[("SETTING", &setting), ("ORIGIN", origin)]))
}
