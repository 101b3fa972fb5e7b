//! `plugin test`.

use super::{repository, stderr, stdout, tollgate};
use crate::plugins::guests;
use serde_json::Value;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn written(text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("cases.kdl");
    std::fs::write(&file, text).expect("a writable folder");
    (folder, file)
}

fn path(file: &Path) -> &str {
    file.to_str().expect("UTF-8")
}

/// Runs a file of this text; its exit code and what it says as JSON.
fn tried(text: &str, more: &[&str]) -> (Option<i32>, Value) {
    let (_folder, file) = written(text);
    let arguments = [&["plugin", "test", path(&file), "--format", "json"], more].concat();
    let output = tollgate(&arguments);
    let said = serde_json::from_str(&stdout(&output));
    (
        output.status.code(),
        said.unwrap_or_else(|_| panic!("{}{}", stdout(&output), stderr(&output))),
    )
}

/// What is said to differ, of all cases: `what: expected, got`.
fn differences(said: &Value) -> Vec<String> {
    let cases = said["cases"].as_array().expect("cases").iter();
    cases
        .flat_map(|case| case["differences"].as_array().expect("a list"))
        .map(|it| {
            let text = |name: &str| it[name].as_str().expect("a text").to_owned();
            format!("{}: {}, {}", text("what"), text("expected"), text("got"))
        })
        .collect()
}

#[track_caller]
fn assert_good(text: &str) {
    let (code, said) = tried(text, &[]);
    assert_eq!((code, differences(&said)), (Some(0), vec![]));
    assert_eq!(said["failed"], 0);
}

#[track_caller]
fn assert_differs(text: &str, expected: &[&str]) {
    let (code, said) = tried(text, &[]);
    assert_eq!(
        (code, differences(&said)),
        (
            Some(1),
            expected.iter().map(|it| (*it).to_owned()).collect()
        )
    );
}

fn hostile() -> String {
    format!(
        "plugin \"guest\" {:?} {{ time-max \"20ms\"; memory-max \"4MiB\" }}",
        guests::hostile()
    )
}

#[test]
fn the_cases_of_the_bundled_plugins_hold() {
    for name in ["acl", "headers", "rewrite"] {
        let file = repository().join("plugins").join(name).join("cases.kdl");
        let output = tollgate(&["plugin", "test", path(&file)]);
        assert_eq!(
            output.status.code(),
            Some(0),
            "{}{}",
            stdout(&output),
            stderr(&output)
        );
        assert!(
            stdout(&output).contains(" 0 failed\n"),
            "{}",
            stdout(&output)
        );
    }
}

#[test]
fn the_cases_in_the_reference_hold() {
    let text = std::fs::read_to_string(repository().join("host/docs/plugin-test.md"))
        .expect("it is there");
    let blocks: Vec<_> = text.split("```kdl\n").skip(1).collect();
    assert_eq!(blocks.len(), 2);
    for block in blocks {
        assert_good(block.split("```").next().unwrap_or_default());
    }
}

#[test]
fn every_difference_is_listed_with_its_place() {
    let text = r#"filters { acl { rule "deny" { path "/admin/*" } } }
exchange "denied" {
    request "GET" "/admin/x"
    response 200
    expect {
        next
        upstream { header "x-a" "1" }
        downstream { status 200; header "content-type"; no-header "x-b"; body "x" }
        calls 0
        fault "trap"
        tag "k" "v"
        no-tag "l"
        priority 3
    }
}
exchange "passes" {
    request "GET" "/a?b" { header "x-a" "1"; header "x-a" "2" }
    response 200 { header "server" "x"; body "hello" }
    expect {
        close
        upstream { method "PUT"; target "/b"; header "x-a" "1"; header "x-a" matches="^1$"; header "x-b"; no-header "x-a"; body "x" }
        calls "acl" 1
        calls "other" 1
    }
}
exchange "as expected" { request "GET" "/"; expect { next; upstream { header "host" "test.example" } } }"#;
    assert_differs(
        text,
        &[
            "verdict: next, reply",
            "upstream: a request that goes on, none",
            "downstream status: 200, 403",
            "downstream header `content-type`: a line, no such header",
            "downstream body: \"x\", \"\"",
            "calls: 0, 1",
            "fault: trap, none",
            "tag `k`: \"v\", no such tag",
            "priority: 3, none",
            "verdict: close, next",
            "upstream method: PUT, GET",
            "upstream target: /b, /a?b",
            "upstream header `x-a`: \"1\", \"1\", \"2\"",
            "upstream header `x-a`: lines that match \"^1$\", \"1\", \"2\"",
            "upstream header `x-b`: a line, no such header",
            "upstream header `x-a`: no such header, \"1\", \"2\"",
            "upstream body: \"x\", \"\"",
            "calls of `acl`: 1, 0",
            "calls of `other`: 1, no such filter in the chain",
        ],
    );
    let (_folder, file) = written(text);
    let output = tollgate(&["plugin", "test", path(&file)]);
    let said = stdout(&output);
    for words in [
        "FAIL  denied",
        "cases.kdl:6:9",
        "FAIL  passes",
        "ok    as expected",
        "3 cases: 1 passed, 2 failed",
    ] {
        assert!(said.contains(words), "no {words} in\n{said}");
    }
}

#[test]
fn a_fault_is_expected_or_a_difference() {
    let guest = hostile();
    let case = |mode: &str, on_fault: &str, expect: &str| {
        format!(
            "{guest}\nfilters {{ guest on-fault=\"{on_fault}\" {{ mode \"{mode}\" }} }}\nexchange \"a\" {{ request \"GET\" \"/\"; response 200; expect {{ {expect} }} }}"
        )
    };
    for kind in ["trap", "time", "memory", "stack-overflow", "bad-output"] {
        let mode = match kind {
            "time" => "spin",
            "memory" => "allocate",
            "stack-overflow" => "recurse",
            "bad-output" => "bad-name",
            other => other,
        };
        assert_good(&case(
            mode,
            "deny",
            &format!("fault \"{kind}\"; downstream {{ status 500 }}; calls 1"),
        ));
    }
    assert_good(&case(
        "trap",
        "skip",
        "fault \"trap\"; next; downstream { status 200 }",
    ));
    assert_differs(
        &case("trap", "deny", "next"),
        &["verdict: next, fault", "fault: none, trap in `guest`"],
    );
    assert_differs(
        &case("trap", "deny", "fault \"time\""),
        &[
            "fault: time, trap in `guest`",
            "fault: none, trap in `guest`",
        ],
    );
    let (_, said) = tried(&case("trap", "deny", ""), &[]);
    let log = said["cases"][0]["log"].to_string();
    assert!(log.contains("plugin fault"), "{log}");
}

#[test]
fn cases_share_nothing_and_the_steps_of_a_sequence_do() {
    let step = |name: &str, calls: u32| {
        format!(
            "exchange \"{name}\" {{ request \"GET\" \"/\"; expect {{ upstream {{ header \"x-calls\" \"{calls}\" }} }} }}\n"
        )
    };
    let filters = "filters { guest { mode \"calls\" } }";
    let (first, second) = (step("first", 1), step("second", 2));
    let cases = [step("a", 1), step("b", 1)].concat();
    let text = format!(
        "{}\n{filters}\n{cases}sequence \"s\" {{\n{first}{second}}}\nsequence \"t\" {{\n{filters}\n{first}{second}}}",
        hostile()
    );
    assert_good(&text);
    let (_, said) = tried(&text, &[]);
    let names = said["cases"].as_array().expect("cases").iter();
    let names: Vec<_> = names
        .map(|case| case["name"].as_str().unwrap_or_default())
        .collect();
    assert_eq!(
        names,
        [
            "a",
            "b",
            "s / first",
            "s / second",
            "t / first",
            "t / second"
        ]
    );
}

#[test]
fn replies_pass_back_and_tags_reach_later_filters() {
    assert_good(
        r#"filters {
            headers {
                request { set "x-sni" "{tag:tls.sni}" }
                response { set "x-served-by" "tollgate" }
            }
            acl { rule "deny" status=451 body="no" { path "/no" } }
        }
        exchange "denied behind" {
            request "GET" "/no"
            expect { reply 451 { header "x-served-by" "tollgate"; body "no" } }
        }
        exchange "a tag" {
            request "GET" "/" { tag "tls.sni" "a.example" }
            expect { upstream { header "x-sni" "a.example" }; tag "tls.sni" "a.example"; no-tag "other" }
        }
        exchange "an id" {
            filters { request-id }
            request "POST" "/" { body base64="AAE=" }
            expect { upstream { header "x-request-id" matches="^[0-9a-f]{32}$"; body base64="AAE=" } }
        }"#,
    );
}

#[test]
fn connections_and_picks_and_settings_are_tried() {
    assert_good(
        r#"network-filters { ip-acl { deny "192.0.2.0/24" } }
        connection "denied" { from "192.0.2.9:1"; expect { close; calls 1 } }
        connection "let in" { from "198.51.100.9:1"; expect { next; calls 0 } }
        balancer "least-request"
        picks "the least, each time" count=4 {
            endpoint "a:1" requests=3
            endpoint "b:1" requests=1
            expect { same; share "b:1" "100%" }
        }
        picks "evened out" count=40 in-flight="stays" {
            endpoint "a:1" requests=20
            endpoint "b:1"
            expect { share "b:1" "75%" within="5%" }
        }
        picks "by key" count=2000 keys="different" {
            balancer "maglev"
            endpoint "a:1"
            endpoint "b:1"
            expect { share "a:1" "50%" within="8%" }
        }
        picks "one key" count=20 {
            balancer "maglev"
            endpoint "a:1"
            endpoint "b:1"
            request "GET" "/" { from "10.0.0.1:9" }
            expect { same }
        }
        settings "by the schema" { filters { acl { rule "deny" status="x" } }; expect { refused "/rule/0/status" } }
        settings "by the plugin" { filters { acl { rule "deny" { path-regex "(" } } }; expect { refused "/rule/0/path-regex/0" } }
        settings "taken" { balancer "ring-hash" { load-factor 125 }; expect { accepted } }"#,
    );
    assert_differs(
        r#"connection "a" { network-filters { ip-acl { deny "192.0.2.0/24" } }; expect { next } }
        picks "b" count=3 {
            balancer "round-robin"
            endpoint "a:1"
            endpoint "b:1"
            expect { order "b:1" "b:1"; share "a:1" "10%"; same }
        }
        picks "c" { balancer "first"; endpoint "a:1"; expect { none } }
        settings "d" { filters { acl { rule "deny" } }; expect { refused "/rule/0" } }
        settings "e" { filters { acl { rule "deny" status=99 } }; expect { refused "/rule/0/status" contains="nonsense" } }"#,
        &[
            "verdict: next, close",
            "order: b:1 b:1, a:1 b:1",
            "share of a:1: 10% within 0%, 66.67%",
            "picks: the same endpoint each time, a:1 and b:1",
            "picks: none, a:1",
            "settings: refused at `/rule/0`, accepted",
            "settings: refused at `/rule/0/status` with \"nonsense\", refused: expected 200 or more, found the number 99",
        ],
    );
}

#[test]
fn what_host_or_plugin_refuse_is_an_error_of_the_file() {
    for (text, words) in [
        (
            r#"exchange "a" { filters { acl { rule "deny" } }; request "GET" "/a/%2e%2e/%00" }"#,
            "the host refuses this request: 400",
        ),
        (
            r#"exchange "a" { filters { acl { rule "deny" { path-regex "(" } } }; request "GET" "/" }"#,
            "cases.kdl:1:",
        ),
        (
            r#"plugin "p" "gone.wasm"; exchange "a" { filters { p }; request "GET" "/" }"#,
            "No such file",
        ),
        ("}", "syntax"),
    ] {
        let (_folder, file) = written(text);
        let output = tollgate(&["plugin", "test", path(&file)]);
        assert_eq!(
            (output.status.code(), stdout(&output)),
            (Some(1), String::new()),
            "{text}"
        );
        assert!(
            stderr(&output).contains(words),
            "no {words} in\n{}",
            stderr(&output)
        );
        let (code, said) = tried(text, &[]);
        assert_eq!(code, Some(1), "{text}");
        let first = &said["refused"][0];
        assert!(first["line"] == 1 && first["message"].is_string(), "{said}");
    }
}

#[test]
fn another_build_is_tried_in_place_of_the_one_that_is_named() {
    let (_folder, file) = written(
        r#"plugin "mine" "not-built-yet.wasm"
        exchange "replies" { filters { mine { mode "reply" } }; request "GET" "/" }
        exchange "passes" { filters { mine { mode "flat" } }; request "GET" "/" }"#,
    );
    let guest = guests::hostile();
    let run =
        |more: &[&str]| tollgate(&[&["plugin", "test", path(&guest), path(&file)], more].concat());
    let output = run(&[]);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}{}",
        stdout(&output),
        stderr(&output)
    );
    let same = run(&["--compare", path(&guest)]);
    assert_eq!(
        same.status.code(),
        Some(0),
        "{}{}",
        stdout(&same),
        stderr(&same)
    );
    assert!(
        stdout(&same).contains("0 came out otherwise before"),
        "{}",
        stdout(&same)
    );
    // A filter that does nothing stands for the old build.
    let other = run(&["--compare", path(&guests::wasi())]);
    let said = stdout(&other);
    assert_eq!(other.status.code(), Some(1), "{said}{}", stderr(&other));
    assert!(
        said.contains("DIFF  replies") && said.contains("/verdict: was"),
        "{said}"
    );
    let one = run(&["--filter", "repl"]);
    assert!(
        stdout(&one).contains("1 case: 1 passed"),
        "{}",
        stdout(&one)
    );
    let none = run(&["--filter", "nothing is called so"]);
    assert_eq!(
        (none.status.code(), stderr(&none).as_str()),
        (Some(1), "no case was run\n")
    );
}

#[test]
fn what_a_component_stands_for_has_to_be_clear() {
    let (_folder, file) = written(
        r#"exchange "a" { filters { acl { rule "deny" } }; request "GET" "/"; expect { reply 403 } }"#,
    );
    let guest = guests::hostile();
    let unclear = tollgate(&["plugin", "test", path(&guest), path(&file)]);
    assert_eq!(unclear.status.code(), Some(1));
    assert!(
        stderr(&unclear).contains("--as NAME"),
        "{}",
        stderr(&unclear)
    );
    let clear = tollgate(&["plugin", "test", "acl", path(&file)]);
    assert_eq!(clear.status.code(), Some(0), "{}", stderr(&clear));
    for wrong in [
        &["plugin", "test", "acl"][..],
        &["plugin", "test", path(&file), "--as", "acl"],
        &["plugin", "test"],
    ] {
        assert_eq!(tollgate(wrong).status.code(), Some(2), "{wrong:?}");
    }
}
