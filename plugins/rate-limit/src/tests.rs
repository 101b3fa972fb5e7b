//! The filter against the fake host.

use tollgate_plugin_sdk::store::StoreError;
use tollgate_plugin_sdk::testing::{
    End, Exchange, Outcome, assert_plan_is_pure, errors, run, samples, with_host,
};

use super::*;

fn ends(settings: &str, exchanges: &[Exchange]) -> Vec<u16> {
    let status = |exchange| match run::<RateLimit>(settings, exchange).end {
        End::Passed => 200,
        End::Replied(reply) => reply.status,
        End::Closed => 0,
    };
    exchanges.iter().map(status).collect()
}

fn reply(outcome: Outcome) -> Reply {
    match outcome.end {
        End::Replied(reply) => reply,
        other => panic!("not answered: {other:?}"),
    }
}

fn header<'r>(reply: &'r Reply, name: &str) -> &'r str {
    let mut headers = reply.headers.iter();
    let found = headers.find(|(known, _)| known == name);
    found.map_or("", |(_, value)| std::str::from_utf8(value).unwrap_or("?"))
}

fn wait(seconds: u64) {
    with_host(|host| host.monotonic += seconds * 1_000_000_000);
}

#[test]
fn each_client_has_a_count_of_its_own_and_gets_it_back_in_time() {
    let settings = r#"{"rule":[{"rate":"2/10s"}]}"#;
    let (one, other) = (
        Exchange::get("/").from("192.0.2.1"),
        Exchange::get("/").from("192.0.2.2"),
    );
    let asked = [one.clone(), one.clone(), one.clone(), other];
    assert_eq!(ends(settings, &asked), [200, 200, 429, 200]);
    wait(5);
    assert_eq!(ends(settings, &[one.clone(), one.clone()]), [200, 429]);
    wait(10);
    assert_eq!(
        ends(settings, &[one.clone(), one.clone(), one]),
        [200, 200, 429]
    );
}

#[test]
fn a_burst_is_what_may_come_at_once() {
    let settings = r#"{"rule":[{"rate":"1/1s","burst":3}]}"#;
    let four = vec![Exchange::get("/"); 4];
    assert_eq!(ends(settings, &four), [200, 200, 200, 429]);
    wait(2);
    assert_eq!(ends(settings, &four), [200, 200, 429, 429]);
}

#[test]
fn a_sliding_window_lets_no_more_than_its_requests_through() {
    let settings = r#"{"rule":[{"rate":"3/10s","algorithm":"sliding-window"}]}"#;
    let four = vec![Exchange::get("/"); 4];
    assert_eq!(ends(settings, &four), [200, 200, 200, 429]);
    wait(20);
    assert_eq!(ends(settings, &four[..1]), [200]);
}

#[test]
fn addresses_count_by_their_network() {
    let settings = r#"{"rule":[{"rate":"1/1h","ipv4-prefix":24,"ipv6-prefix":56}]}"#;
    let from = |address| Exchange::get("/").from(address);
    let asked = [
        from("192.0.2.1"),
        from("192.0.2.200"),
        from("192.0.3.1"),
        from("2001:db8:0:1::1"),
        from("2001:db8:0:2::2"),
        from("2001:db8:0:100::1"),
        from("::ffff:192.0.2.9"),
    ];
    let expected = [200, 429, 200, 200, 429, 200, 429];
    assert_eq!(ends(settings, &asked), expected);
    let all = r#"{"rule":[{"rate":"1/1h","ipv4-prefix":0,"name":"all"}]}"#;
    assert_eq!(
        ends(all, &[from("192.0.2.1"), from("10.0.0.1")]),
        [200, 429]
    );
}

#[test]
fn keys_are_told_apart_by_every_part_and_what_is_missing_is_one_of_its_own() {
    let settings =
        r#"{"rule":[{"rate":"1/1h","key":{"fact":["path"],"header":["X-Key"],"cookie":["id"]}}]}"#;
    let get = |path: &str, key: &str, cookie: &str| {
        let mut exchange = Exchange::get(path);
        if !key.is_empty() {
            exchange = exchange.header("x-key", key);
        }
        exchange.header("cookie", cookie)
    };
    let asked = [
        get("/a", "k", "id=1"),
        get("/a", "k", "a=b; id=1"),
        get("/b", "k", "id=1"),
        get("/a", "l", "id=1"),
        get("/a", "k", "id=2"),
        get("/a", "", "id=1"),
        get("/a", "", "id=1"),
        get("/a", "k", "idx=1"),
        get("/a", "k", "ID=1"),
    ];
    let expected = [200, 429, 200, 200, 200, 200, 429, 200, 429];
    assert_eq!(ends(settings, &asked), expected);
    // However long a value is, the whole of it counts.
    let long = |end: char| get("/long", &format!("{}{end}", "x".repeat(5_000)), "");
    assert_eq!(
        ends(settings, &[long('a'), long('b'), long('a')]),
        [200, 200, 429]
    );
}

#[test]
fn rules_are_about_the_requests_that_they_name_and_the_first_without_room_answers() {
    let settings = r#"{"body":"slow down\n","rule":[
        {"rate":"1/1m","path":["/login"],"method":["POST"],"name":"login"},
        {"rate":"3/1s","name":"all"}
    ]}"#;
    let (login, page) = (
        Exchange::get("/login").method("POST"),
        Exchange::get("/page"),
    );
    assert_eq!(ends(settings, std::slice::from_ref(&login)), [200]);
    let denied = reply(run::<RateLimit>(settings, &login));
    assert_eq!(
        (denied.status, denied.body.as_slice()),
        (429, &b"slow down\n"[..])
    );
    assert_eq!(header(&denied, "retry-after"), "60");
    assert_eq!(header(&denied, "ratelimit-policy"), "\"login\";q=1;w=60");
    assert_eq!(header(&denied, "ratelimit"), "\"login\";r=0;t=60");
    assert_eq!(
        ends(settings, &[page.clone(), page.clone(), page]),
        [200, 200, 429]
    );
    let counted = |rule, decision| {
        let labels = [("rule", rule), ("decision", decision)];
        with_host(|host| host.metric("decisions", &labels))
    };
    assert_eq!(counted("login", "denied"), Some(1.0));
    assert_eq!(counted("all", "allowed"), Some(3.0));
    assert_eq!(counted("all", "denied"), Some(1.0));
}

#[test]
fn responses_say_what_is_left_in_the_style_that_is_set() {
    let rules = r#""rule":[{"rate":"10/1m","name":"a"},{"rate":"5/1s","name":"b"}]"#;
    let told = |style: &str| {
        with_host(|host| host.clear_stores());
        let settings = format!(r#"{{"headers":"{style}",{rules}}}"#);
        let outcome = run::<RateLimit>(&settings, &Exchange::get("/").response(200, &[]));
        let response = outcome.exchange.response.expect("it passed");
        let names = [
            "ratelimit-policy",
            "ratelimit",
            "x-ratelimit-limit",
            "x-ratelimit-remaining",
            "x-ratelimit-reset",
        ];
        names.map(|name| response.headers.text(name))
    };
    assert_eq!(
        told("standard"),
        [
            r#""a";q=10;w=60, "b";q=5;w=1"#,
            r#""a";r=9;t=6, "b";r=4;t=1"#,
            "",
            "",
            ""
        ]
    );
    assert_eq!(told("x-ratelimit"), ["", "", "5", "4", "1"]);
    assert_eq!(told("none"), [""; 5]);
}

#[test]
fn a_trial_counts_and_lets_pass() {
    let settings = r#"{"dry-run":true,"rule":[{"rate":"1/1h"}]}"#;
    let three = vec![Exchange::get("/"); 3];
    assert_eq!(ends(settings, &three), [200, 200, 200]);
    let labels = [("rule", "1"), ("decision", "would-deny")];
    assert_eq!(
        with_host(|host| host.metric("decisions", &labels)),
        Some(2.0)
    );
}

#[test]
fn a_store_that_does_not_count_lets_pass_or_not_as_is_set_and_is_told_of_once() {
    with_host(|host| host.store_error = Some(StoreError::Full));
    let two = vec![Exchange::get("/"); 2];
    assert_eq!(ends(r#"{"rule":[{"rate":"1/1h"}]}"#, &two), [200, 200]);
    let deny = r#"{"on-store-error":"deny","rule":[{"rate":"1/1h"}]}"#;
    assert_eq!(ends(deny, &two), [503, 503]);
    let trial = r#"{"on-store-error":"deny","dry-run":true,"rule":[{"rate":"1/1h"}]}"#;
    assert_eq!(ends(trial, &two), [200, 200]);
    let filter = RateLimit::new(settings::from_text(deny).expect("valid")).expect("valid");
    with_host(|host| host.log.clear());
    filter.complain(&filter.rules[0], &StoreError::Full);
    filter.complain(&filter.rules[0], &StoreError::Full);
    wait(10);
    filter.complain(&filter.rules[0], &StoreError::Full);
    assert_eq!(with_host(|host| host.log.len()), 2);
}

#[test]
fn rules_of_one_name_count_together_and_others_by_what_they_say() {
    let get = [Exchange::get("/")];
    assert_eq!(ends(r#"{"rule":[{"rate":"1/1h"}]}"#, &get), [200]);
    assert_eq!(
        ends(r#"{"status":420,"rule":[{"rate":"1/1h"}]}"#, &get),
        [420]
    );
    assert_eq!(ends(r#"{"rule":[{"rate":"1/2h"}]}"#, &get), [200]);
    assert_eq!(
        ends(r#"{"rule":[{"rate":"1/1h","name":"n"}]}"#, &get),
        [200]
    );
    assert_eq!(
        ends(
            r#"{"rule":[{"rate":"1/1h","name":"n","path":["/*"]}]}"#,
            &get
        ),
        [429]
    );
}

#[test]
fn nothing_is_called_where_no_rule_is_about_the_request() {
    let settings = r#"{"rule":[{"rate":"1/1h","path":["/api/*"]}]}"#;
    let outcome = run::<RateLimit>(settings, &Exchange::get("/").response(200, &[]));
    assert_eq!((outcome.end, outcome.calls), (End::Passed, 0));
}

#[test]
fn the_plan_is_pure() {
    let settings = r#"{"headers":"none","rule":[
        {"rate":"1000000/1s","key":{"fact":["source","host","path","method","listener"],"header":["x-a"],"tag":["t"]}},
        {"rate":"1000000/1s","algorithm":"sliding-window","path":["/a*"],"not":[{"header":[["x-b","2"]]}],"key":{"cookie":["k"]}}
    ]}"#;
    assert_plan_is_pure::<RateLimit>(settings, &samples(5, 300));
}

#[test]
fn bad_settings_are_told_at_their_place() {
    let cases = [
        (r#"{}"#, ": a rate limit has at least one rule"),
        (
            r#"{"rule":[{"rate":"100"}]}"#,
            "/rule/0/rate: `100` is not a rate",
        ),
        (
            r#"{"rule":[{"rate":"0/1s"}]}"#,
            "/rule/0/rate: a rate begins with",
        ),
        (
            r#"{"rule":[{"rate":"1/0s"}]}"#,
            "/rule/0/rate: a rate has a time",
        ),
        (r#"{"rule":[{"rate":"1/s"}]}"#, "/rule/0/rate: "),
        (
            r#"{"rule":[{"rate":"1/1s","algorithm":"leaky"}]}"#,
            "/rule/0/algorithm: ",
        ),
        (
            r#"{"rule":[{"rate":"1/1s","algorithm":"sliding-window","burst":2}]}"#,
            "/rule/0/burst: a sliding window has no burst",
        ),
        (
            r#"{"rule":[{"rate":"1/1s","key":{}}]}"#,
            "/rule/0/key: name something",
        ),
        (
            r#"{"rule":[{"rate":"1/1s","key":{"header":["a b"]}}]}"#,
            "/rule/0/key/header/0: ",
        ),
        (
            r#"{"rule":[{"rate":"1/1s","key":{"tag":["a","b","c","d","e","f","g","h"]}}]}"#,
            "/rule/0/key: 8 parts",
        ),
        (
            r#"{"rule":[{"rate":"1/1s","ipv4-prefix":33}]}"#,
            "/rule/0/ipv4-prefix: ",
        ),
        (
            r#"{"rule":[{"rate":"1/1s","name":"a b"}]}"#,
            "/rule/0/name: ",
        ),
        (
            r#"{"rule":[{"rate":"1/1s"},{"rate":"1/1s"}]}"#,
            "/rule/1: this rule is there already",
        ),
        (
            r#"{"store":"other","rule":[{"rate":"1/1s"}]}"#,
            "/store: this plugin is not granted",
        ),
        (r#"{"status":200,"rule":[{"rate":"1/1s"}]}"#, "/status: "),
    ];
    for (settings, expected) in cases {
        let found = errors::<RateLimit>(settings);
        assert!(
            found.len() == 1 + usize::from(settings.contains("\"key\":{\"header\""))
                && found[0].starts_with(expected),
            "{settings}: {found:?}"
        );
    }
}
