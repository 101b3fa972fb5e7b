//! `plugin bench`: that everything is measured, not how long it takes.

use super::{repository, stderr, stdout, tollgate};
use crate::plugins::guests;
use serde_json::Value;

fn measured(arguments: &[&str]) -> Value {
    let all = [
        &["plugin", "bench", "--seconds", "0.02", "--format", "json"],
        arguments,
    ]
    .concat();
    let output = tollgate(&all);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{arguments:?}: {}",
        stderr(&output)
    );
    serde_json::from_str(&stdout(&output)).expect("JSON")
}

fn number(value: &Value) -> f64 {
    value
        .as_f64()
        .unwrap_or_else(|| panic!("{value} is no number"))
}

/// The phases that cases came to, with the calls of each for one case.
fn calls(measured: &Value) -> Vec<(String, f64)> {
    let phases = measured["phases"].as_array().expect("phases").iter();
    phases
        .filter(|phase| phase["cases"] != 0)
        .map(|phase| {
            assert!(
                number(&phase["nanoseconds"]) > 0.0 && number(&phase["cases"]) >= 64.0,
                "{phase}"
            );
            assert!(
                number(&phase["nanoseconds_p99"]) >= number(&phase["nanoseconds"]),
                "{phase}"
            );
            let name = phase["phase"].as_str().expect("a name").to_owned();
            (name, number(&phase["calls_per_case"]))
        })
        .collect()
}

fn of(name: &str, calls: f64) -> (String, f64) {
    (name.to_owned(), calls)
}

#[test]
fn an_http_filter_is_measured_on_cases() {
    let file = repository().join("plugins/acl/cases.kdl");
    let said = measured(&["acl", file.to_str().expect("UTF-8")]);
    let new = &said["new"];
    // Of its eight exchanges two are spared by the guard; those that pass have a response phase without a call.
    assert_eq!(calls(new), [of("request", 0.75), of("response", 0.0)]);
    for figure in [
        "size_bytes",
        "compile_nanoseconds",
        "start_nanoseconds",
        "memory_bytes",
    ] {
        assert!(number(&new[figure]) > 0.0, "{figure}");
    }
    let request = &new["phases"][0];
    assert!(
        number(&request["bytes_in_per_call"]) > 0.0 && number(&request["bytes_out_per_call"]) > 0.0,
        "{request}"
    );
    assert_eq!(new["left_out"], serde_json::json!([]));
}

#[test]
fn each_kind_is_measured_by_its_settings() {
    let all = |arguments: &[&str]| calls(&measured(arguments)["new"]);
    assert_eq!(all(&["round-robin", "--settings", "{}"]), [of("pick", 1.0)]);
    let ip_acl = all(&["ip-acl", "--settings", r#"{"deny":["192.0.2.0/24"]}"#]);
    // Every connection is turned away.
    assert_eq!(ip_acl, [of("accept", 1.0)]);
    let guest = guests::hostile();
    let guest = guest.to_str().expect("UTF-8");
    let flat = measured(&[
        guest,
        "--settings",
        r#"{"mode":"flat"}"#,
        "--compare",
        guest,
    ]);
    assert_eq!(
        calls(&flat["new"]),
        [of("request", 1.0), of("response", 1.0)]
    );
    assert_eq!(calls(&flat["old"]), calls(&flat["new"]));
    assert_eq!(number(&flat["ratios"]["size"]), 1.0);
    // Two fields, of which one is absent: two lengths and the path.
    assert_eq!(number(&flat["new"]["phases"][0]["bytes_in_per_call"]), 9.0);
    assert_eq!(
        number(&flat["new"]["phases"][0]["host_calls_per_call"]),
        0.0
    );
}

#[test]
fn cases_that_fault_are_left_out_and_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("cases.kdl");
    std::fs::write(
        &file,
        r#"plugin "guest" "gone.wasm"
        exchange "good" { filters { guest { mode "edit" } }; request "GET" "/" }
        exchange "bad" { filters { guest { mode "trap" } }; request "GET" "/" }"#,
    )
    .expect("a writable folder");
    let (file, guest) = (file.to_str().expect("UTF-8"), guests::hostile());
    let guest = guest.to_str().expect("UTF-8");
    let said = measured(&[guest, file]);
    assert_eq!(said["new"]["left_out"], serde_json::json!(["bad"]));
    let text = tollgate(&[
        "plugin",
        "bench",
        guest,
        file,
        "--seconds",
        "0.02",
        "--compare",
        guest,
    ]);
    let text = stdout(&text);
    for words in [
        "size",
        "compile",
        "start",
        "memory",
        "request p99",
        "request bytes out",
        "ratio",
        "left out of",
        "`bad`",
    ] {
        assert!(text.contains(words), "no {words} in\n{text}");
    }
}

#[test]
fn what_cannot_be_measured_is_refused() {
    for (arguments, code, words) in [
        (&["cases.kdl"][..], 2, "no component"),
        (&["acl"], 2, "--settings"),
        (&["acl", "cases.kdl", "--settings", "{}"], 2, "--settings"),
        (&["acl", "--settings", "[]"], 2, "JSON object"),
        (
            &["acl", "--settings", "{}", "--seconds", "0"],
            2,
            "0.01 to 60",
        ),
        (
            &["acl", "--settings", r#"{"rule":[{"action":"x"}]}"#],
            1,
            "/rule/0/action",
        ),
        (&["gone.wasm", "--settings", "{}"], 1, "gone.wasm"),
        (&["acl", "gone.kdl"], 1, "gone.kdl"),
    ] {
        let output = tollgate(&[&["plugin", "bench"], arguments].concat());
        assert_eq!(
            output.status.code(),
            Some(code),
            "{arguments:?}: {}",
            stderr(&output)
        );
        assert!(
            stderr(&output).contains(words),
            "{arguments:?}: {}",
            stderr(&output)
        );
    }
}
