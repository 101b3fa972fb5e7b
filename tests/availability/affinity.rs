//! Affinity by cookie: what the downstream is told, what the upstream sees, and when another endpoint takes over.

use super::scene::{before, plain, put, start, whole};
use crate::harness::{AccessLine, Origin, Proxy, Response};

const SECRET: &str = "0123456789abcdef-secret";

/// A cluster of these endpoints, named by their ids.
fn endpoints(origins: &[(&str, &Origin)]) -> String {
    let lines = origins
        .iter()
        .map(|(id, origin)| format!("endpoint \"{origin}\" id=\"{id}\"\n"));
    lines.collect()
}

/// Two origins that answer with their names.
fn pair() -> [Origin; 2] {
    [Origin::named("a"), Origin::named("b")]
}

fn of_pair([a, b]: &[Origin; 2], affinity: &str) -> String {
    endpoints(&[("a", a), ("b", b)]) + "affinity " + affinity
}

/// A request with this cookie line.
fn ask(proxy: &Proxy, target: &str, cookies: &str) -> Response {
    let headers = match cookies {
        "" => String::new(),
        cookies => format!("Cookie: {cookies}\r\n"),
    };
    proxy.client().ask("GET", target, &headers)
}

/// `name=value` of the cookie that is set.
fn cookie(response: &Response) -> String {
    let set = response.header("set-cookie").expect("a cookie is set");
    set.split(';').next().unwrap_or_default().to_owned()
}

/// A cookie that binds to an endpoint, and the endpoint's name.
fn first(proxy: &Proxy) -> (String, String) {
    let response = ask(proxy, "/first", "");
    assert_eq!(response.status, 200);
    (cookie(&response), response.text())
}

fn told(line: &AccessLine) -> (&str, &str, &str) {
    (
        line.outcome(),
        line.text("affinity"),
        line.text("affinity_issued"),
    )
}

#[test]
fn an_inserted_cookie_binds_and_is_not_set_again_while_it_is_valid() {
    let pair = pair();
    let proxy = before(2, &of_pair(&pair, "cookie=\"at\""));
    let (cookie, name) = first(&proxy);
    assert!(cookie.starts_with("at="), "{cookie}");
    let line = proxy.line_of("/first");
    assert_eq!(told(&line), ("ok", "none", "inserted"));
    for turn in 0..6 {
        let target = format!("/again-{turn}");
        let response = ask(&proxy, &target, &cookie);
        assert_eq!(
            (response.text(), response.header("set-cookie")),
            (name.clone(), None)
        );
        assert_eq!(told(&proxy.line_of(&target)), ("ok", "valid", "none"));
    }
}

#[test]
fn an_inserted_cookie_has_its_attributes_and_keeps_the_answer_out_of_shared_caches() {
    let pair = pair();
    let set = |affinity: &str| {
        let proxy = before(1, &of_pair(&pair, affinity));
        let response = ask(&proxy, "/", "");
        assert_eq!(response.header("cache-control"), Some("private"));
        let set = response.header("set-cookie").expect("it is set").to_owned();
        let (_, attributes) = set.split_once(';').expect("there are attributes");
        let mut attributes: Vec<_> = attributes.split(';').map(|a| a.trim().to_owned()).collect();
        attributes.sort();
        attributes
    };
    assert_eq!(set("cookie=\"at\""), ["HttpOnly", "Path=/"]);
    assert_eq!(
        set(
            "cookie=\"at\" path=\"/shop\" domain=\"shop.example\" secure=#true http-only=#false same-site=\"strict\" max-age=\"1h\""
        ),
        [
            "Domain=shop.example",
            "Max-Age=3600",
            "Path=/shop",
            "SameSite=Strict",
            "Secure"
        ]
    );
}

#[test]
fn the_upstream_does_not_see_an_inserted_cookie_and_cannot_set_it() {
    let origin = Origin::answering(|request| {
        let seen = request.head.header("cookie").unwrap_or("none").to_owned();
        format!(
            "HTTP/1.1 200 OK\r\nSet-Cookie: at=forged\r\nSet-Cookie: own=1\r\nContent-Length: {}\r\n\r\n{seen}",
            seen.len()
        )
        .into_bytes()
    });
    let proxy = before(
        1,
        &(endpoints(&[("a", &origin)]) + "affinity cookie=\"at\""),
    );
    let response = ask(&proxy, "/", "x=1; y=2");
    assert_eq!(response.text(), "x=1; y=2");
    let set = response.head.all("set-cookie");
    assert_eq!((set.len(), set[0]), (2, "own=1"));
    let bound = set[1].split(';').next().unwrap_or_default();
    assert!(bound.starts_with("at=") && bound != "at=forged", "{bound}");
    let response = ask(&proxy, "/", &format!("x=1; {bound}; y=2"));
    assert_eq!(response.text(), "x=1; y=2");
    assert_eq!(response.head.all("set-cookie"), ["own=1"]);
    assert_eq!(ask(&proxy, "/", bound).text(), "none");
}

#[test]
fn a_cookie_that_the_upstream_sets_gets_the_endpoint_for_its_value() {
    let answer = |name: &'static str| {
        Origin::answering(move |request| {
            let set = match request.head.target() {
                "/login" => "Set-Cookie: sid=secret; Path=/app; HttpOnly\r\n",
                _ => "",
            };
            format!("HTTP/1.1 200 OK\r\n{set}Content-Length: 1\r\n\r\n{name}").into_bytes()
        })
    };
    let pair = [answer("a"), answer("b")];
    let proxy = before(1, &of_pair(&pair, "cookie=\"sid\" mode=\"rewrite\""));
    assert_eq!(ask(&proxy, "/", "").header("set-cookie"), None);
    assert_eq!(told(&proxy.line_of("/")), ("ok", "none", "none"));
    let login = ask(&proxy, "/login", "");
    let set = login.header("set-cookie").expect("the upstream set one");
    assert!(
        set.ends_with("; Path=/app; HttpOnly") && !set.contains("secret"),
        "{set}"
    );
    assert_eq!(told(&proxy.line_of("/login")), ("ok", "none", "rewritten"));
    for _ in 0..4 {
        assert_eq!(ask(&proxy, "/", &cookie(&login)).text(), login.text());
    }
}

#[test]
fn a_prefixed_cookie_binds_and_reaches_the_upstream_as_it_set_it() {
    let answer = |name: &'static str| {
        Origin::answering(move |request| {
            let (set, seen) = match request.head.target() {
                "/login" => ("Set-Cookie: sid=session-7\r\n", ""),
                _ => ("", request.head.header("cookie").unwrap_or("none")),
            };
            let body = format!("{name} {seen}");
            format!(
                "HTTP/1.1 200 OK\r\n{set}Content-Length: {}\r\n\r\n{body}",
                body.len()
            )
            .into_bytes()
        })
    };
    let pair = [answer("a"), answer("b")];
    let proxy = before(1, &of_pair(&pair, "cookie=\"sid\" mode=\"prefix\""));
    let login = ask(&proxy, "/login", "");
    let bound = cookie(&login);
    assert!(bound.ends_with("~session-7"), "{bound}");
    assert_eq!(told(&proxy.line_of("/login")), ("ok", "none", "prefixed"));
    let expected = format!("{}sid=session-7", login.text());
    for _ in 0..4 {
        assert_eq!(ask(&proxy, "/use", &bound).text(), expected);
    }
    assert_eq!(told(&proxy.line_of("/use")), ("ok", "valid", "none"));
}

#[test]
fn a_signed_cookie_shows_the_id_and_a_tampered_one_binds_nothing() {
    let pair = pair();
    let affinity = format!("cookie=\"at\" value=\"signed\" secret=\"{SECRET}\"");
    let proxy = before(1, &of_pair(&pair, &affinity));
    let (good, name) = first(&proxy);
    assert!(good.starts_with(&format!("at={name}.")), "{good}");
    assert_eq!(ask(&proxy, "/good", &good).text(), name);
    let other = if name == "a" { "b" } else { "a" };
    let forged = good.replacen(&format!("at={name}."), &format!("at={other}."), 1);
    let response = ask(&proxy, "/forged", &forged);
    assert_eq!(
        told(&proxy.line_of("/forged")),
        ("ok", "invalid", "inserted")
    );
    let issued = cookie(&response);
    assert!(
        issued.starts_with(&format!("at={}.", response.text())),
        "{issued}"
    );
    let elsewhere = format!("cookie=\"at\" value=\"signed\" secret=\"{SECRET}-another\"");
    let elsewhere = before(1, &of_pair(&pair, &elsewhere));
    ask(&elsewhere, "/stranger", &good);
    let line = elsewhere.line_of("/stranger");
    assert_eq!(told(&line), ("ok", "invalid", "inserted"), "another secret");
}

#[test]
fn an_opaque_cookie_hides_the_id_and_holds_across_a_restart_with_the_same_secret() {
    let pair = pair();
    let affinity = format!("cookie=\"at\" secret=\"{SECRET}\"");
    let text = of_pair(&pair, &affinity);
    let (cookie, name) = first(&before(1, &text));
    let restarted = before(1, &text);
    for turn in 0..4 {
        let target = format!("/{turn}");
        assert_eq!(ask(&restarted, &target, &cookie).text(), name);
        assert_eq!(told(&restarted.line_of(&target)), ("ok", "valid", "none"));
    }
    let other = before(1, &text.replace(SECRET, "another-secret-of-size"));
    assert!(ask(&other, "/", &cookie).header("set-cookie").is_some());
    assert_eq!(told(&other.line_of("/")), ("ok", "unknown", "inserted"));
}

#[test]
fn an_id_binds_although_the_address_behind_it_changes() {
    let [a, b, c] = [Origin::named("a"), Origin::named("b"), Origin::named("c")];
    let text = |north: &Origin| {
        let cluster = endpoints(&[("north", north), ("south", &b)]) + "affinity cookie=\"at\"";
        whole(1, &plain(&cluster))
    };
    let proxy = Proxy::start(&text(&a));
    let north = (0..2)
        .map(|_| first(&proxy))
        .find(|(_, name)| name == "a")
        .expect("round robin gets to both");
    proxy.reload(&text(&c)).expect("it is valid");
    for turn in 0..4 {
        let target = format!("/{turn}");
        assert_eq!(ask(&proxy, &target, &north.0).text(), "c");
        assert_eq!(told(&proxy.line_of(&target)), ("ok", "valid", "none"));
    }
}

#[test]
fn a_draining_endpoint_keeps_those_it_has_and_gets_no_others() {
    let pair = pair();
    let proxy = before(2, &of_pair(&pair, "cookie=\"at\""));
    let (cookie, name) = first(&proxy);
    put(&proxy, &name, "drain");
    for turn in 0..4 {
        assert_eq!(ask(&proxy, &format!("/keep-{turn}"), &cookie).text(), name);
        assert_ne!(ask(&proxy, "/new", "").text(), name);
    }
    assert_eq!(told(&proxy.line_of("/keep-0")), ("ok", "valid", "none"));
}

#[test]
fn after_the_drain_and_in_maintenance_another_endpoint_is_picked_and_told() {
    let pair = pair();
    let proxy = before(
        2,
        &(of_pair(&pair, "cookie=\"at\"") + "\ndrain-timeout \"1ms\""),
    );
    for verb in ["drain", "maintain"] {
        let (old, name) = first(&proxy);
        put(&proxy, &name, verb);
        let moved = super::scene::settled(|turn| {
            let target = format!("/{verb}-{turn}");
            let response = ask(&proxy, &target, &old);
            (response.text() != name).then_some((target, response))
        });
        let (target, response) = moved;
        assert_eq!(
            told(&proxy.line_of(&target)),
            ("ok", "valid", "inserted"),
            "it named an endpoint, which could not be had"
        );
        let new = cookie(&response);
        assert_ne!(new, old);
        put(&proxy, &name, "ready");
        for _ in 0..3 {
            assert_eq!(ask(&proxy, "/stays", &new).text(), response.text());
        }
    }
}

#[test]
fn an_endpoint_that_refuses_connections_is_left_for_another_and_the_cookie_issued_anew() {
    let a = Origin::named("a");
    let (socket, gone) = crate::harness::closed_port();
    let text = |endpoint: &dyn std::fmt::Display| {
        format!(
            "balancer \"first\"\nendpoint \"{endpoint}\" id=\"north\"\n{}affinity cookie=\"at\"",
            endpoints(&[("a", &a)])
        )
    };
    let b = Origin::named("b");
    let (old, name) = first(&before(1, &text(&b)));
    assert_eq!(name, "b");
    let proxy = before(1, &text(&gone));
    let response = ask(&proxy, "/moved", &old);
    assert_eq!(response.text(), "a");
    assert_ne!(cookie(&response), old);
    assert_eq!(told(&proxy.line_of("/moved")), ("ok", "valid", "inserted"));
    drop(socket);
}

#[test]
fn a_cookie_names_its_endpoint_across_a_reload() {
    let pair = pair();
    let text = |name: &str| {
        let cluster = of_pair(&pair, "cookie=\"at\"");
        whole(2, &plain(&cluster)).replace("route {", &format!("route \"{name}\" {{"))
    };
    let proxy = Proxy::start(&text("one"));
    let (cookie, name) = first(&proxy);
    proxy.reload(&text("two")).expect("it is valid");
    for turn in 0..4 {
        let target = format!("/{turn}");
        assert_eq!(ask(&proxy, &target, &cookie).text(), name);
        let line = proxy.line_of(&target);
        assert_eq!(told(&line), ("ok", "valid", "none"));
        assert_eq!(line.text("route"), "two");
    }
}

#[test]
fn a_backup_gets_the_requests_whose_cookie_names_it() {
    let [a, b] = pair();
    let proxy = start(
        1,
        &plain(&format!(
            "endpoint \"{a}\" id=\"a\"\nendpoint \"{b}\" id=\"b\" backup=#true\naffinity cookie=\"at\""
        )),
    );
    put(&proxy, "a", "maintain");
    let (cookie, name) = first(&proxy);
    assert_eq!(name, "b", "nobody else can");
    put(&proxy, "a", "ready");
    assert_eq!(ask(&proxy, "/new", "").text(), "a");
    assert_eq!(ask(&proxy, "/bound", &cookie).text(), "b");
    assert_eq!(told(&proxy.line_of("/bound")), ("ok", "valid", "none"));
}
