//! `rate-limit`: what passes, what is answered, and that all workers count together.

use super::filtered;
use crate::harness::{Admin, Origin, Proxy, config};

fn start(head: &str, filters: &str) -> (Proxy, Origin) {
    let origin = Origin::echo();
    let text = config(
        r#"
process { workers 2; log format="json" }
admin "127.0.0.1:0"
HEAD
listener "web" "127.0.0.1:0" { route { filters { FILTERS }; cluster "c" } }
listener "other" "127.0.0.1:0" { route { filters { FILTERS }; cluster "c" } }
cluster "c" { endpoint "ORIGIN" }
"#,
        &[("ORIGIN", &origin), ("FILTERS", &filters), ("HEAD", &head)],
    );
    (Proxy::start(&text), origin)
}

/// The status of each of so many requests, on connections of their own, for any of the workers.
fn statuses(proxy: &Proxy, count: usize) -> Vec<u16> {
    let ask = |_| proxy.client().get("/").status;
    (0..count).map(ask).collect()
}

fn passed(statuses: &[u16]) -> usize {
    statuses.iter().filter(|status| **status == 200).count()
}

#[test]
fn workers_share_a_limit_and_it_outlives_a_reload() {
    let (proxy, origin) = start("", r#"rate-limit { rule "5/1h" }"#);
    let first = statuses(&proxy, 20);
    assert_eq!(first, [vec![200; 5], vec![429; 15]].concat());
    assert_eq!(origin.requests().len(), 5);
    let text = std::fs::read_to_string(proxy.directory().join("config.kdl")).expect("written");
    let changed = text.replace("rule \"5/1h\"", "status 420; rule \"5/1h\"");
    proxy.reload(&changed).expect("it is valid");
    assert_eq!(
        statuses(&proxy, 3),
        [420; 3],
        "counts are kept with other settings beside them"
    );
    let line = proxy.access_line(|line| line.status() == 429);
    assert_eq!(
        (line.outcome(), line.text("filters")),
        ("filter-reply", "rate-limit")
    );
}

#[test]
fn a_denied_request_is_told_when_to_come_again_and_a_passed_one_what_is_left() {
    let (proxy, _origin) = filtered(
        r#"rate-limit {
            body "slow down"
            rule "2/1h" name="page" { path "/page" }
            rule "100/1h" name="all" algorithm="sliding-window"
        }"#,
    );
    let mut client = proxy.client();
    let first = client.get("/page");
    assert_eq!(first.status, 200);
    assert_eq!(
        first.header("ratelimit-policy"),
        Some(r#""page";q=2;w=3600, "all";q=100;w=3600"#)
    );
    let left = first.header("ratelimit").expect("it is told").to_owned();
    assert!(
        left.starts_with(r#""page";r=1;t="#) && left.contains(r#""all";r=99;t="#),
        "{left}"
    );
    assert_eq!(client.get("/page").status, 200);
    let denied = client.get("/page");
    assert_eq!((denied.status, denied.text().as_str()), (429, "slow down"));
    let wait: u64 = denied
        .header("retry-after")
        .and_then(|text| text.parse().ok())
        .expect("whole seconds");
    assert!(
        (1..=1_800).contains(&wait),
        "half an hour for one of two: {wait}"
    );
    assert!(
        denied
            .header("ratelimit")
            .is_some_and(|text| text.starts_with(r#""page";r=0;t="#)),
        "{}",
        denied.head.raw
    );
    let other = client.get("/other");
    assert_eq!(
        (other.status, other.header("ratelimit-policy")),
        (200, Some(r#""all";q=100;w=3600"#))
    );
}

#[test]
fn a_key_is_made_of_what_is_named() {
    let (proxy, _origin) = filtered(
        r#"rate-limit { rule "1/1h" { key "path" { header "x-api-key"; cookie "user" } } }"#,
    );
    let mut client = proxy.client();
    for (path, headers, expected) in [
        ("/a", "X-Api-Key: one\r\n", 200),
        ("/a", "X-Api-Key: one\r\n", 429),
        ("/b", "X-Api-Key: one\r\n", 200),
        ("/a", "X-Api-Key: two\r\n", 200),
        ("/a", "X-Api-Key: one\r\nCookie: a=1; user=7\r\n", 200),
        ("/a", "X-Api-Key: one\r\nCookie: user=7\r\n", 429),
        ("/a", "", 200),
        ("/a", "", 429),
    ] {
        let response = client.ask("GET", path, headers);
        assert_eq!(response.status, expected, "{path} {headers:?}");
    }
}

#[test]
fn filters_count_together_by_name_and_apart_by_store() {
    let limit = r#"rate-limit { rule "4/1h" name="all" }"#;
    let (proxy, _origin) = start("", limit);
    let ask = |listener| proxy.client_of(listener).get("/").status;
    let seen = ["web", "other", "web", "other", "web", "other"].map(ask);
    assert_eq!(seen, [200, 200, 200, 200, 429, 429]);
    let text = std::fs::read_to_string(proxy.directory().join("config.kdl")).expect("written");
    let moved = text.replace(
        "listener \"web\"",
        "plugin \"rate-limit\" { grant { store \"mine\" } }\nlistener \"web\"",
    );
    proxy.reload(&moved).expect("it is valid");
    assert_eq!(ask("web"), 200, "a grant takes the place of its own store");
    let refused = moved.replace("rule \"4/1h\"", "store \"rate-limit\"; rule \"4/1h\"");
    let refused = proxy.reload(&refused).expect_err("it is not granted");
    assert!(
        refused.contains("not granted the store `rate-limit`"),
        "{refused}"
    );
}

#[test]
fn a_flood_of_keys_is_bounded_and_known_clients_stay_limited() {
    let limit = |error: &str| {
        format!(
            r#"rate-limit {{ on-store-error "{error}"; rule "2/1h" {{ key {{ header "x-key" }} }} }}"#
        )
    };
    let (proxy, _origin) = start(r#"store "rate-limit" { entries-max 50 }"#, &limit("deny"));
    let mut client = proxy.client();
    let mut ask = |key: &str| client.ask("GET", "/", &format!("X-Key: {key}\r\n")).status;
    assert_eq!([ask("known"), ask("known"), ask("known")], [200, 200, 429]);
    let flood: Vec<u16> = (0..200)
        .map(|number| ask(&format!("flood-{number}")))
        .collect();
    assert_eq!(passed(&flood), 49, "as many as there was room for");
    assert!(flood[49..].iter().all(|status| *status == 503), "{flood:?}");
    assert_eq!(ask("known"), 429);
    let admin = Admin::of(&proxy);
    let text = admin.ask("GET", "/metrics", "").text();
    for (decision, count) in [("allowed", 51), ("denied", 2), ("store-error", 151)] {
        let line = format!(
            "tollgate_plugin_decisions_total{{plugin=\"rate-limit\",decision=\"{decision}\",rule=\"1\"}} {count}.0"
        );
        assert!(text.lines().any(|known| known == line), "{line} in\n{text}");
    }
    let said = proxy.log_lines();
    let complaints = said
        .iter()
        .filter(|line| line.contains("not counted"))
        .count();
    assert!(
        (1..=2).contains(&complaints),
        "once for each worker: {complaints}"
    );
    // Where errors let pass, the flood does, and who was known stays limited.
    let text = std::fs::read_to_string(proxy.directory().join("config.kdl")).expect("written");
    proxy
        .reload(&text.replace("\"deny\"", "\"allow\""))
        .expect("it is valid");
    assert_eq!([ask("new"), ask("known")], [200, 429]);
}

#[test]
fn a_trial_lets_everything_pass_and_counts_what_it_would_not() {
    let (proxy, _origin) = start("", r#"rate-limit { dry-run #true; rule "1/1h" }"#);
    let asked = statuses(&proxy, 5);
    assert_eq!(passed(&asked), 5);
    assert_eq!(proxy.client().get("/").header("ratelimit"), None);
    let text = Admin::of(&proxy).ask("GET", "/metrics", "").text();
    let line = "tollgate_plugin_decisions_total{plugin=\"rate-limit\",decision=\"would-deny\",rule=\"1\"} 5.0";
    assert!(text.lines().any(|known| known == line), "{text}");
}

#[test]
fn settings_that_make_no_sense_are_refused_at_their_place() {
    let refused = |filter: &str| {
        let text = format!(
            "listener \"web\" \"127.0.0.1:0\" {{ route {{ filters {{ {filter} }}; respond 200 }} }}\n"
        );
        Proxy::try_start(&text)
            .err()
            .unwrap_or_else(|| panic!("{filter} was let in"))
    };
    for (filter, words) in [
        ("rate-limit", "at least one rule"),
        (r#"rate-limit { rule "100" }"#, "`100` is not a rate"),
        (
            r#"rate-limit { rule "100/1m" algorithm="leaky" }"#,
            "token-bucket",
        ),
        (
            r#"rate-limit { store "other"; rule "1/1s" }"#,
            "grant { store",
        ),
    ] {
        let said = refused(filter);
        assert!(said.contains(words), "{filter}: {said}");
    }
}
