//! The filter as a whole, run in the fake host.

use tollgate_plugin_sdk::testing::{
    End, Exchange, Outcome, assert_plan_is_pure, errors, run, samples,
};

use super::*;

fn outcome(settings: &str, exchange: &Exchange) -> Outcome {
    let outcome = run::<Headers>(settings, exchange);
    assert_eq!(outcome.end, End::Passed);
    outcome
}

#[test]
fn request_edits_need_no_call() {
    let settings = r#"{"request":[{
        "remove":["X-Debug"],
        "set":[["x-tenant","shop"],["x-from","{client-ip} {method} {host}{path}?{query}"]],
        "default":[["x-there","no"],["x-new","yes {request-id}"]],
        "append":[["x-list","b"]]
    }]}"#;
    let exchange = Exchange::get("/p?q=1")
        .header("x-debug", "1")
        .header("x-there", "yes")
        .header("x-list", "a");
    let outcome = outcome(settings, &exchange);
    let request = &outcome.exchange.request;
    assert_eq!(outcome.calls, 0);
    assert!(!request.contains("x-debug"));
    assert_eq!(request.text("x-tenant"), "shop");
    assert_eq!(request.text("x-from"), "192.0.2.1 GET example.com/p?q=1");
    assert_eq!(request.text("x-there"), "yes");
    assert_eq!(
        request.text("x-new"),
        format!("yes {}", Exchange::UNIQUE_ID)
    );
    assert_eq!(request.text("x-list"), "a, b");
}

#[test]
fn when_decides_for_request_and_response() {
    let settings = r#"{
        "request":[{"when":{"path":["/a*"]},"set":[["x-a","{header:x-a}!"]]}],
        "response":[{"when":{"header":[["x-a"]]},"set":[["x-seen","{request-header:x-a} {status}"]],"remove":["server"]}]
    }"#;
    let exchange = Exchange::get("/ab")
        .header("x-a", "1")
        .response(200, &[("server", "s")]);
    let edited = outcome(settings, &exchange).exchange;
    assert_eq!(edited.request.text("x-a"), "1!");
    let response = edited.response.expect("there was one").headers;
    assert_eq!(response.text("x-seen"), "1! 200");
    assert!(!response.contains("server"));
    let untouched = Exchange::get("/").response(200, &[("server", "s")]);
    assert_eq!(outcome(settings, &untouched).exchange, untouched);
}

#[test]
fn replacement_works_on_every_line_in_the_call() {
    let settings = r#"{"response":[{"replace":[["location","^http://10\\.0\\.0\\.1(/.*)$","https://example.com$1"],
                                               ["set-cookie","; *Secure",""]]}]}"#;
    let headers = [
        ("location", "http://10.0.0.1/a"),
        ("set-cookie", "a=1; Secure"),
        ("set-cookie", "b=2"),
    ];
    let outcome = outcome(settings, &Exchange::get("/").response(302, &headers));
    let headers = outcome.exchange.response.expect("there was one").headers;
    assert_eq!(outcome.calls, 1);
    assert_eq!(headers.text("location"), "https://example.com/a");
    assert_eq!(
        headers.lines("set-cookie"),
        [b"a=1".to_vec(), b"b=2".to_vec()]
    );
}

#[test]
fn a_called_response_remembers_what_the_request_was() {
    let settings = r#"{"response":[
        {"when":{"query":[["q","1"]]},"set":[["x-one","1"]]},
        {"when":{"path":["/b"]},"set":[["x-two","2"]]}
    ]}"#;
    let exchange = Exchange::get("/a?q=1").response(200, &[]);
    let headers = outcome(settings, &exchange)
        .exchange
        .response
        .expect("there was one")
        .headers;
    assert!(headers.contains("x-one") && !headers.contains("x-two"));
}

#[test]
fn later_edits_see_earlier_ones_in_both_ways() {
    let constant = r#"{"request":[{"set":[["x-a","1"],["x-b","{header:x-a}2"]],"append":[["x-b","{header:x-b}3"]]}]}"#;
    let called = constant.replace(r#""append""#, r#""replace":[["x-none","a","b"]],"append""#);
    for settings in [constant, &called] {
        let edited = outcome(settings, &Exchange::get("/").header("x-a", "0")).exchange;
        assert_eq!(edited.request.text("x-b"), "12, 123", "{settings}");
    }
}

#[test]
fn more_blocks_than_the_contract_takes_are_made_in_the_call() {
    let blocks = |count: usize| {
        let block = |index: usize| format!(r#"{{"set":[["x-{index}","v"]]}}"#);
        let blocks: Vec<_> = (0..count).map(block).collect();
        format!(r#"{{"request":[{}]}}"#, blocks.join(","))
    };
    for (count, calls) in [(60, 0), (61, 1)] {
        let outcome = outcome(&blocks(count), &Exchange::get("/"));
        assert_eq!(
            (outcome.calls, outcome.exchange.request.names().len()),
            (calls, count)
        );
    }
}

#[test]
fn the_plan_is_pure() {
    let exchanges = samples(5, 300);
    let settings = [
        r#"{"request":[{"set":[["x-a","v"]],"append":[["x-b","{header:x-a}"]],"remove":["cookie"]},
                       {"when":{"header":[["x-a","1"]],"not":[{"source":["10.0.0.0/8"]}]},"default":[["x-c","{query}"]]}],
            "response":[{"when":{"path":["/a*"]},"append":[["x-a","{header:x-a} {status}"]],"remove":["server"]}]}"#,
        r#"{"request":[{"when":{"query":[["q"]]},"append":[["x-a","n"]]},{"replace":[["x-a","\\d","<$0>"],["cookie","k=(.)","l=$1"]]}]}"#,
        r#"{"response":[{"when":{"header":[["x-b"]]},"replace":[["server","/.*",""]]},{"set":[["x-d","{header:server}"]]}]}"#,
        r#"{"request":[{"remove":["x-a"]}],"response":[{"when":{"header":[["x-a"]]},"replace":[["x-a","o","0"]]},
            {"default":[["x-a","{request-header:x-a}"]]}]}"#,
        r#"{}"#,
    ];
    for settings in settings {
        assert_plan_is_pure::<Headers>(settings, &exchanges);
    }
}

#[test]
fn bad_settings_are_told_at_their_place() {
    let cases = [
        (
            r#"{"request":[{"set":[["a b","x"]]}]}"#,
            "/request/0/set/0/0: ",
        ),
        (
            r#"{"request":[{"remove":["ok","Host"]}]}"#,
            "/request/0/remove/1: ",
        ),
        (
            r#"{"request":[{"append":[["a","{nothing}"]]}]}"#,
            "/request/0/append/0/1: ",
        ),
        (
            r#"{"request":[{"append":[["a","{status}"]]}]}"#,
            "/request/0/append/0/1: ",
        ),
        (
            r#"{"response":[{},{"replace":[["a","(",""]]}]}"#,
            "/response/1/replace/0/1: ",
        ),
        (r#"{"response":[{"replace":[["a","b","\n "]]}]}"#, ""),
        (
            r#"{"response":[{"replace":[["a","b","x\ny"]]}]}"#,
            "/response/0/replace/0/2: ",
        ),
        (
            r#"{"response":[{"when":{"path":["x"]}}]}"#,
            "/response/0/when/path/0: ",
        ),
        (
            r#"{"request":[{"set":[["a","{request-id}"]]},{"replace":[["a","b","c"]]}]}"#,
            "/request/0: ",
        ),
        (r#"{"request":[{"add":[]}]}"#, "/request/0/add: "),
    ];
    for (settings, expected) in cases {
        let found = errors::<Headers>(settings);
        assert!(
            found.concat().starts_with(expected),
            "{settings}: {found:?}"
        );
        assert_eq!(
            found.len(),
            usize::from(!expected.is_empty()),
            "{settings}: {found:?}"
        );
    }
}
