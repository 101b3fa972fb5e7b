use tollgate_plugin_sdk::testing::{End, Exchange, assert_plan_is_pure, errors, run, samples};

use super::*;

/// Status and location of the answer; none when the request passes.
fn location(settings: &str, exchange: &Exchange) -> Option<(u16, String)> {
    match run::<Redirect>(settings, exchange).end {
        End::Replied(reply) => {
            assert!(reply.body.is_empty() && reply.headers.len() == 1);
            let (name, value) = &reply.headers[0];
            assert_eq!(name, "location");
            Some((reply.status, String::from_utf8_lossy(value).into_owned()))
        }
        End::Passed => None,
        End::Closed => panic!("it closes nothing"),
    }
}

fn rule(members: &str) -> String {
    format!(r#"{{"rule":[{{{members}}}]}}"#)
}

/// Each target with what comes of it; none when the request passes.
fn locations(members: &str, table: &[(&str, Option<&str>)]) {
    let settings = rule(members);
    for (target, expected) in table {
        let found = location(&settings, &Exchange::get(target));
        assert_eq!(
            found.as_ref().map(|(_, location)| location.as_str()),
            *expected,
            "{members} {target}"
        );
    }
}

#[test]
fn targets_are_filled() {
    locations(
        r#""target":"/new/{rest}","path":["/old/*","/older*"]"#,
        &[
            ("/old/a/b?q", Some("/new/a/b")),
            ("/old/", Some("/new/")),
            ("/older", Some("/new/")),
            ("/other", None),
        ],
    );
    locations(
        r#""target":"https://users.test/{id}?from={host}","path-regex":["^/u/(?<id>[0-9]+)$"],"status":301"#,
        &[
            ("/u/17", Some("https://users.test/17?from=example.com")),
            ("/u/x", None),
        ],
    );
    locations(
        r#""target":"{scheme}://www.{host}{path}?{query}""#,
        &[("/a?b=c", Some("http://www.example.com/a?b=c"))],
    );
    locations(
        r#""target":"/x?a=1#top","keep-query":true,"path":["/a"]"#,
        &[
            ("/a?b=2", Some("/x?a=1&b=2#top")),
            ("/a", Some("/x?a=1#top")),
        ],
    );
}

#[test]
fn the_first_rule_that_fits_and_leads_elsewhere_counts() {
    let settings = r#"{"rule":[
        {"target":"/a","status":307},
        {"target":"/b","path":["/a"],"status":308}
    ]}"#;
    let found = |target| location(settings, &Exchange::get(target));
    assert_eq!(found("/x"), Some((307, "/a".to_owned())));
    assert_eq!(found("/a"), Some((308, "/b".to_owned())));
    assert_eq!(location(r#"{"rule":[]}"#, &Exchange::get("/")), None);
}

#[test]
fn what_a_client_sends_never_becomes_a_host() {
    locations(
        r#""target":"/{rest}","path":["/old/*"]"#,
        &[
            ("/old//evil.test/x", Some("/evil.test/x")),
            ("/old///evil.test", Some("/evil.test")),
            ("/old/\\evil.test", Some("/%5Cevil.test")),
            ("/old/https://evil.test", Some("/https://evil.test")),
        ],
    );
    locations(
        r#""target":"{path}?x""#,
        &[("//evil.test", Some("/evil.test?x"))],
    );
    locations(
        r#""trailing-slash":"add""#,
        &[
            ("//evil.test/a", Some("/evil.test/a/")),
            ("///evil", Some("/evil/")),
        ],
    );
    locations(
        r#""target":"https://a.test{path}""#,
        &[("//evil.test", Some("https://a.test//evil.test"))],
    );
}

#[test]
fn https_is_what_the_client_speaks() {
    let settings = rule(r#""https":true,"status":308"#);
    let get = || Exchange::get("/a?b");
    let found = location(&settings, &get().header("x-forwarded-proto", "http"));
    assert_eq!(found, Some((308, "https://example.com/a?b".to_owned())));
    assert_eq!(
        location(&settings, &get()),
        found,
        "also when a filter has removed the header"
    );
    let secure = run::<Redirect>(&settings, &get().header("x-forwarded-proto", "https"));
    assert_eq!((secure.end, secure.calls), (End::Passed, 0));
    let other = rule(r#""https":true,"https-port":8443,"keep-query":false"#);
    let with_port = get().header("x-forwarded-host", "example.com:8080");
    assert_eq!(
        location(&other, &with_port).map(|(_, location)| location),
        Some("https://example.com:8443/a".to_owned())
    );
    assert_eq!(
        location(&settings, &get().host("")),
        None,
        "nowhere to lead"
    );
}

#[test]
fn hosts_become_the_right_one_on_the_same_port() {
    let cases = [
        (
            r#""www":"remove""#,
            "www.a.test",
            Some("http://a.test:81/x"),
        ),
        (r#""www":"remove""#, "a.test", None),
        (r#""www":"add""#, "a.test", Some("http://www.a.test:81/x")),
        (r#""www":"add""#, "www.a.test", None),
        (r#""www":"add""#, "192.0.2.1", None),
        (r#""www":"add""#, "[::1]", None),
        (r#""www":"add""#, "localhost", None),
        (
            r#""to-host":"B.test""#,
            "a.test",
            Some("http://b.test:81/x"),
        ),
        (r#""to-host":"b.test""#, "b.test", None),
        (
            r#""to-host":"b.test","https":true"#,
            "b.test",
            Some("https://b.test/x"),
        ),
        (
            r#""www":"remove","https":true,"trailing-slash":"add""#,
            "www.a.test",
            Some("https://a.test/x/"),
        ),
    ];
    for (members, host, expected) in cases {
        let authority = format!("{host}:81");
        let exchange = Exchange::get("/x")
            .host(host)
            .header("x-forwarded-host", &authority);
        let found = location(&rule(members), &exchange);
        assert_eq!(
            found.map(|(_, location)| location).as_deref(),
            expected,
            "{members} {host}"
        );
    }
}

#[test]
fn a_rule_that_leads_back_does_not_fit() {
    let here = rule(r#""target":"https://example.com:444{path}","keep-query":true"#);
    let asked = |host: &str, proto: &str| {
        let exchange = Exchange::get("/a?b")
            .header("x-forwarded-host", host)
            .header("x-forwarded-proto", proto);
        location(&here, &exchange).is_some()
    };
    assert!(!asked("example.com:444", "https"));
    assert!(asked("example.com", "https") && asked("example.com:444", "http"));
    locations(
        r#""target":"/a","path":["/a"]"#,
        &[("/a", None), ("/a?b", Some("/a"))],
    );
    locations(r#""target":"/a#top""#, &[("/a", None)]);
    assert_eq!(
        location(
            &rule(r#""target":"/a""#),
            &Exchange::get("*").method("OPTIONS")
        ),
        None
    );
}

#[test]
fn the_plan_is_pure() {
    let exchanges: Vec<Exchange> = samples(21, 300)
        .into_iter()
        .enumerate()
        .map(|(index, exchange)| match index % 3 {
            0 => exchange,
            1 => exchange.header("x-forwarded-proto", "https"),
            _ => exchange
                .header("x-forwarded-proto", "http")
                .header("x-forwarded-host", "example.com:81"),
        })
        .collect();
    let settings = [
        r#"{"rule":[{"https":true,"not":[{"path":["/a*"]}]},{"to-host":"shop.example.com","host":["example.com"]}]}"#,
        r#"{"rule":[{"target":"/x/{rest}","path":["/a/*"],"header":[["x-a","1"]]},{"target":"/u/{n}","path-regex":["(?<n>[0-9])$"]}]}"#,
        r#"{"rule":[{"www":"add","source":["10.0.0.0/8"]},{"trailing-slash":"remove","query":[["q"]]}]}"#,
        r#"{"rule":[]}"#,
    ];
    for settings in settings {
        assert_plan_is_pure::<Redirect>(settings, &exchanges);
    }
}

#[test]
fn bad_settings_are_told_at_their_place() {
    let cases = [
        ("", "/rule/0: "),
        (r#""keep-query":true"#, "/rule/0: "),
        (r#""target":"/","status":200"#, "/rule/0/status: "),
        (r#""target":"/","status":304"#, "/rule/0/status: "),
        (r#""target":"//x""#, "/rule/0/target: "),
        (r#""target":"/{rest}""#, "/rule/0/target: "),
        (
            r#""target":"/{rest}","path":["/a/*","/b"]"#,
            "/rule/0/target: ",
        ),
        (r#""target":"/","https":true"#, "/rule/0/target: "),
        (
            r#""to-host":"a.test","https-port":444"#,
            "/rule/0/https-port: ",
        ),
        (r#""https":true,"https-port":0"#, "/rule/0/https-port: "),
        (r#""to-host":"a.test:80""#, "/rule/0/to-host: "),
        (r#""to-host":"a/b""#, "/rule/0/to-host: "),
        (r#""to-host":"a","www":"add""#, "/rule/0/www: "),
        (r#""www":"yes""#, "/rule/0/www: "),
        (r#""target":"/","path":["a"]"#, "/rule/0/path/0: "),
        (
            r#""target":"/{host}","path-regex":["(?<host>.)"]"#,
            "/rule/0/path-regex: ",
        ),
    ];
    for (members, expected) in cases {
        let found = errors::<Redirect>(&rule(members));
        assert!(
            found.len() == 1 && found[0].starts_with(expected),
            "{members}: {found:?}"
        );
    }
}
