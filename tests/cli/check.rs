//! `check`: everything that `run` would refuse, all at once.

use super::{repository, stderr, stdout, tollgate};
use serde_json::Value;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const GOOD: &str = r#"listener "web" "127.0.0.1:0" { route { respond 200 } }"#;
const BAD: &str = r#"
listener "web" "127.0.0.1:0" {
    limits headers-max="many"
    route path="/a" { cluster "nowhere" }
    route path="/b" { filters { acls }; respond 200 }
    rout { respond 200 }
}
"#;

fn written(text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("some.kdl");
    std::fs::write(&file, text).expect("a writable folder");
    (folder, file)
}

fn path(file: &Path) -> &str {
    file.to_str().expect("a temporary path is UTF-8")
}

#[test]
fn a_good_file_is_ok() {
    let (_folder, file) = written(GOOD);
    let output = tollgate(&["check", path(&file)]);
    assert_eq!(
        (output.status.code(), stderr(&output).as_str()),
        (Some(0), "")
    );
    assert!(
        stdout(&output).ends_with("some.kdl: ok\n"),
        "{}",
        stdout(&output)
    );
    let output = tollgate(&["check", path(&file), "--format", "json"]);
    assert_eq!(
        (output.status.code(), stdout(&output).trim()),
        (Some(0), "[]")
    );
}

#[test]
fn a_bad_file_is_refused_with_every_error_at_its_place() {
    let (_folder, file) = written(BAD);
    let output = tollgate(&["check", path(&file)]);
    assert_eq!(
        (output.status.code(), stdout(&output).as_str()),
        (Some(1), "")
    );
    let text = stderr(&output);
    for words in [
        "some.kdl:3:",
        "nowhere",
        "some.kdl:4:",
        "acls",
        "some.kdl:5:",
        "`acl`",
        "some.kdl:6:",
        "`route`",
    ] {
        assert!(text.contains(words), "no {words} in\n{text}");
    }
}

#[test]
fn editors_get_the_errors_as_json() {
    let (_folder, file) = written(BAD);
    let output = tollgate(&["check", path(&file), "--format", "json"]);
    assert_eq!(
        (output.status.code(), stderr(&output).as_str()),
        (Some(1), "")
    );
    let list: Vec<Value> = serde_json::from_str(&stdout(&output)).expect("a JSON array");
    let mut lines: Vec<_> = list
        .iter()
        .map(|diagnostic| diagnostic["line"].as_u64().expect("a line"))
        .collect();
    lines.sort_unstable();
    assert_eq!(lines, [3, 4, 5, 6], "{list:?}");
    for diagnostic in &list {
        assert_eq!(diagnostic["severity"], "error", "{diagnostic}");
        assert!(
            diagnostic["message"]
                .as_str()
                .is_some_and(|message| !message.is_empty()),
            "{diagnostic}"
        );
    }
}

#[test]
fn what_only_a_plugin_can_know_is_refused_too() {
    let (_folder, file) = written(
        r#"listener "web" "127.0.0.1:0" {
    filters {
        headers { request { replace "x-a" "(" "b" } }
    }
    route { respond 200 }
}"#,
    );
    let output = tollgate(&["check", path(&file)]);
    assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
    assert!(
        stderr(&output).contains("some.kdl:3:"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_warning_is_said_and_refuses_nothing() {
    let (_folder, file) = written(
        r#"listener "web" "127.0.0.1:0" {
    route path="/*" { respond 200 }
    route path="/never" { respond 404 }
}"#,
    );
    let output = tollgate(&["check", path(&file)]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(
        stdout(&output).contains("some.kdl:3:"),
        "{}",
        stdout(&output)
    );
}

#[test]
fn a_file_that_is_not_there_is_refused() {
    let output = tollgate(&["check", "/nowhere/config.kdl"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("/nowhere/config.kdl"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn the_shipped_configuration_is_good_and_without_warnings() {
    let output = tollgate(&[
        "check",
        path(&repository().join("config.kdl")),
        "--format",
        "json",
    ]);
    assert_eq!(
        (output.status.code(), stdout(&output).trim()),
        (Some(0), "[]")
    );
}
