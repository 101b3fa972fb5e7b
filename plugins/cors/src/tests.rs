use tollgate_plugin_sdk::testing::{
    End, Exchange, Headers, Outcome, assert_plan_is_pure, errors, run, samples,
};

use super::*;

const EXACT: &str = r#"{"origin":["https://a.test","https://b.test:81"],"method":["GET","PUT"],"header":["x-a","x-b"],
    "expose":["x-total"],"credentials":true,"max-age":"10m"}"#;
const PATTERN: &str = r#"{"origin":["https://*.a.test","https://b.test"],"credentials":true,"header":["*"],"method":["*"]}"#;
const ANY: &str =
    r#"{"origin":["*"],"expose":["*"],"header":["*","authorization"],"private-network":true}"#;
const DENY: &str = r#"{"origin":["https://a.test"],"disallowed":"deny"}"#;

fn from(origin: &str) -> Exchange {
    Exchange::get("/").header("origin", origin)
}

/// The response to a request of this origin, where the origin server has a policy of its own.
fn answered(settings: &str, origin: &str) -> (Headers, u32) {
    let theirs = [
        ("access-control-allow-origin", "*"),
        ("access-control-allow-credentials", "true"),
        ("access-control-expose-headers", "x-inner"),
        ("access-control-max-age", "1"),
        ("vary", "accept"),
    ];
    let request = match origin {
        "" => Exchange::get("/"),
        origin => from(origin),
    };
    let outcome = run::<Cors>(settings, &request.response(200, &theirs));
    assert_eq!(outcome.end, End::Passed);
    let headers = outcome.exchange.response.expect("there was one").headers;
    (headers, outcome.calls)
}

/// The answer to a preflight, each line as `name: value`.
fn preflight(settings: &str, headers: &[(&str, &str)]) -> (u16, Vec<String>) {
    let mut exchange = Exchange::get("/x").method("OPTIONS");
    for (name, value) in headers {
        exchange = exchange.header(name, value);
    }
    let Outcome {
        end: End::Replied(reply),
        ..
    } = run::<Cors>(settings, &exchange)
    else {
        panic!("the filter answers: {settings} {headers:?}");
    };
    let lines = reply.headers.iter();
    let line =
        |(name, value): &(String, Vec<u8>)| format!("{name}: {}", String::from_utf8_lossy(value));
    (reply.status, lines.map(line).collect())
}

#[test]
fn an_allowed_origin_is_named_and_no_other() {
    for (settings, origin, allowed, calls) in [
        (EXACT, "https://a.test", true, 0),
        (EXACT, "https://b.test:81", true, 0),
        (EXACT, "https://b.test", false, 0),
        (EXACT, "https://a.test.evil.test", false, 0),
        (EXACT, "http://a.test", false, 0),
        (EXACT, "null", false, 0),
        (EXACT, "https://A.test", false, 0),
        (EXACT, "", false, 0),
        (PATTERN, "https://x.a.test", true, 2),
        (PATTERN, "https://b.test", true, 2),
        (PATTERN, "https://a.test", false, 2),
        (PATTERN, "", false, 0),
        (r#"{"origin":["null"]}"#, "null", true, 0),
    ] {
        let (headers, called) = answered(settings, origin);
        assert_eq!(called, calls, "{settings} {origin}");
        let named = if allowed { origin } else { "" };
        assert_eq!(
            headers.text("access-control-allow-origin"),
            named,
            "{settings} {origin}"
        );
        assert_eq!(
            headers.text("vary"),
            "accept, Origin",
            "{settings} {origin}"
        );
        let credentials = allowed && settings.contains("credentials");
        assert_eq!(
            headers.contains("access-control-allow-credentials"),
            credentials,
            "{settings} {origin}"
        );
        assert!(
            !headers.contains("access-control-max-age"),
            "{settings} {origin}"
        );
    }
    let (headers, _) = answered(EXACT, "https://a.test");
    assert_eq!(headers.text("access-control-expose-headers"), "x-total");
    let (headers, _) = answered(PATTERN, "https://x.a.test");
    assert!(!headers.contains("access-control-expose-headers"));
}

#[test]
fn with_a_star_nothing_depends_on_who_asks() {
    for origin in ["", "https://a.test", "null"] {
        let (headers, calls) = answered(ANY, origin);
        assert_eq!(calls, 0);
        assert_eq!(headers.text("access-control-allow-origin"), "*");
        assert_eq!(headers.text("access-control-expose-headers"), "*");
        assert!(!headers.contains("access-control-allow-credentials"));
        assert_eq!(headers.text("vary"), "accept");
    }
}

#[test]
fn preflights_are_answered_here() {
    let put = ("access-control-request-method", "PUT");
    let asked = ("access-control-request-headers", "x-a,  X-C");
    assert_eq!(
        preflight(EXACT, &[("origin", "https://a.test"), put, asked]),
        (
            204,
            vec![
                "vary: Origin".to_owned(),
                "access-control-allow-origin: https://a.test".to_owned(),
                "access-control-allow-credentials: true".to_owned(),
                "access-control-allow-methods: GET, PUT".to_owned(),
                "access-control-allow-headers: x-a, x-b".to_owned(),
                "access-control-max-age: 600".to_owned(),
            ]
        )
    );
    assert_eq!(
        preflight(PATTERN, &[("origin", "https://x.a.test"), put, asked]),
        (
            204,
            vec![
                "vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers"
                    .to_owned(),
                "access-control-allow-origin: https://x.a.test".to_owned(),
                "access-control-allow-credentials: true".to_owned(),
                "access-control-allow-methods: PUT".to_owned(),
                "access-control-allow-headers: x-a, X-C".to_owned(),
            ]
        )
    );
    let private = ("access-control-request-private-network", "true");
    assert_eq!(
        preflight(ANY, &[("origin", "null"), put, private]),
        (
            204,
            vec![
                "vary: Access-Control-Request-Private-Network".to_owned(),
                "access-control-allow-origin: *".to_owned(),
                "access-control-allow-methods: GET, HEAD, POST".to_owned(),
                "access-control-allow-headers: *, authorization".to_owned(),
                "access-control-allow-private-network: true".to_owned(),
            ]
        )
    );
    let (_, lines) = preflight(ANY, &[("origin", "null"), put]);
    assert!(
        !lines
            .iter()
            .any(|line| line.contains("allow-private-network"))
    );
}

#[test]
fn a_preflight_of_another_origin_gets_no_permission() {
    let put = ("access-control-request-method", "PUT");
    for (settings, status) in [(EXACT, 204), (DENY, 403)] {
        let (found, lines) = preflight(settings, &[("origin", "https://evil.test"), put]);
        assert_eq!((found, lines[0].as_str()), (status, "vary: Origin"));
        assert!(
            !lines.iter().any(|line| line.contains("access-control")),
            "{lines:?}"
        );
    }
}

#[test]
fn what_is_asked_for_is_repeated_only_when_it_is_names() {
    let long = "a".repeat(4097);
    for (asked, repeated) in [
        ("x-a", true),
        ("x-a, y", true),
        ("", false),
        ("x a", false),
        ("a,,b", false),
        ("a;b", false),
        ("<script>", false),
        (&long[1..], true),
        (&long, false),
    ] {
        let (_, lines) = preflight(
            PATTERN,
            &[
                ("origin", "https://b.test"),
                ("access-control-request-method", "G@T"),
                ("access-control-request-headers", asked),
            ],
        );
        assert_eq!(
            lines
                .iter()
                .any(|line| line.starts_with("access-control-allow-headers")),
            repeated,
            "{asked}"
        );
        assert!(!lines.iter().any(|line| line.contains("allow-methods")));
    }
}

#[test]
fn options_that_are_no_preflight_pass() {
    for headers in [
        vec![("origin", "https://a.test")],
        vec![("access-control-request-method", "PUT")],
        vec![],
    ] {
        let options = Exchange::get("/").method("OPTIONS");
        let exchange = headers.iter().fold(options, |exchange, (name, value)| {
            exchange.header(name, value)
        });
        let outcome = run::<Cors>(EXACT, &exchange.response(200, &[]));
        assert_eq!(
            (outcome.end, outcome.calls),
            (End::Passed, 0),
            "{headers:?}"
        );
    }
}

#[test]
fn other_origins_can_be_denied_but_not_the_sites_own() {
    let end = |exchange: &Exchange| match run::<Cors>(DENY, exchange).end {
        End::Replied(reply) => reply.status,
        End::Passed => 0,
        End::Closed => panic!("it closes nothing"),
    };
    let own =
        |authority: &str| from("https://example.com:81").header("x-forwarded-host", authority);
    assert_eq!(end(&from("https://a.test")), 0);
    assert_eq!(end(&Exchange::get("/")), 0);
    assert_eq!(end(&from("https://evil.test")), 403);
    assert_eq!(end(&from("null")), 403);
    assert_eq!(end(&own("Example.com:81")), 0);
    assert_eq!(
        end(&own("example.com")),
        403,
        "another port is another origin"
    );
    assert_eq!(end(&from("https://example.com")), 0);
    let two = from("https://evil.test").header("origin", "https://example.com");
    assert_eq!(end(&two), 403);
}

#[test]
fn more_origins_than_the_contract_takes_groups_are_judged_in_the_call() {
    let settings = |count: usize| {
        let origins: Vec<_> = (0..count)
            .map(|index| format!(r#""https://o{index}.test""#))
            .collect();
        format!(r#"{{"origin":[{}]}}"#, origins.join(","))
    };
    for (count, calls) in [(59, 0), (60, 2)] {
        let (headers, called) = answered(&settings(count), "https://o58.test");
        assert_eq!(called, calls);
        assert_eq!(
            headers.text("access-control-allow-origin"),
            "https://o58.test"
        );
    }
}

#[test]
fn the_plan_is_pure() {
    let origins = [
        "https://a.test",
        "https://b.test:81",
        "https://x.a.test",
        "https://b.test",
        "https://example.com",
        "null",
        "https://a.test, https://b.test:81",
    ];
    let with_origin = |(index, mut exchange): (usize, Exchange)| {
        if index % 5 > 0 {
            exchange = exchange.header("origin", origins[index % origins.len()]);
        }
        if index % 11 == 0 {
            exchange = exchange.header("origin", "https://a.test");
        }
        match index % 3 {
            0 => exchange
                .method("OPTIONS")
                .header("access-control-request-method", "PUT"),
            1 => exchange.method("OPTIONS"),
            _ => exchange,
        }
    };
    let exchanges: Vec<_> = samples(51, 400)
        .into_iter()
        .enumerate()
        .map(with_origin)
        .collect();
    let pattern_denying = r#"{"origin":["https://*.a.test"],"disallowed":"deny","expose":["x-a"]}"#;
    for settings in [EXACT, PATTERN, ANY, DENY, pattern_denying] {
        assert_plan_is_pure::<Cors>(settings, &exchanges);
    }
}

#[test]
fn bad_settings_are_told_at_their_place() {
    let cases = [
        ("{}", ": `origin` is missing"),
        (r#"{"origin":["*"],"credentials":true}"#, "/origin/0: "),
        (r#"{"origin":["null"],"credentials":true}"#, "/origin/0: "),
        (r#"{"origin":["https://a.test","*"]}"#, "/origin/1: "),
        (r#"{"origin":["https://a.test/"]}"#, "/origin/0: "),
        (r#"{"origin":["*"],"disallowed":"deny"}"#, "/disallowed: "),
        (r#"{"origin":["*"],"disallowed":"block"}"#, "/disallowed: "),
        (r#"{"origin":["*"],"method":["G T"]}"#, "/method/0: "),
        (r#"{"origin":["*"],"header":["a","b:"]}"#, "/header/1: "),
        (
            r#"{"origin":["https://a.test"],"credentials":true,"expose":["*"]}"#,
            "/expose: ",
        ),
        (r#"{"origin":["*"],"max-age":"100ms"}"#, "/max-age: "),
        (r#"{"origin":["*"],"max-age":600}"#, "/max-age: "),
    ];
    for (settings, expected) in cases {
        let found = errors::<Cors>(settings);
        assert!(
            found.len() == 1 && found[0].starts_with(expected),
            "{settings}: {found:?}"
        );
    }
}
