//! Projects made by `plugin new`: each kind builds, its test passes, and the component is what it says.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use tollgate::plugin::inspect;
use tollgate::scaffold::{Kind, create};

use crate::harness::{binary, cache_dir};

/// One target folder for all projects, so that what they share is built once; beside the workspace's own.
fn target_dir() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/scaffold")
}

/// Runs cargo in a project, without what the cargo that runs this test has set.
fn cargo(project: &Path, arguments: &[&str]) {
    let mut command = Command::new("cargo");
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_")
            || name.starts_with("CARGO_MANIFEST_")
            || name.starts_with("RUSTFLAGS")
        {
            command.env_remove(&*name);
        }
    }
    command
        .current_dir(project)
        .args(arguments)
        .env("CARGO_TARGET_DIR", target_dir());
    let output = command.output().expect("cargo can be run");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {arguments:?}: {words}");
    assert!(
        !words.contains("warning: unused"),
        "the template has warnings: {words}"
    );
}

/// Makes a project, builds it and looks into the component. Answers what must be kept, the project and the component.
fn project_builds(name: &str, kind: Kind, expected: &str) -> (TempDir, PathBuf, PathBuf) {
    let root = tempfile::tempdir().expect("a temporary folder");
    let project = root.path().join(name);
    create(&project, name, kind).expect("the folder is new");
    cargo(&project, &["test"]);
    cargo(&project, &["plugin"]);
    let file = target_dir()
        .join("wasm32-unknown-unknown/release")
        .join(name.replace('-', "_"))
        .with_extension("wasm");
    let component = std::fs::read(&file).expect("cargo made it");
    let inspection = inspect(name, &component).expect("it is a plugin");
    assert_eq!(inspection.kind.to_string(), expected);
    assert_eq!(inspection.manifest.name, name);
    assert!(inspection.manifest.settings.is_some());
    assert!(
        !inspection
            .imports
            .iter()
            .any(|import| import.starts_with("wasi:")),
        "{:?}",
        inspection.imports
    );
    (root, project, file)
}

#[test]
fn new_http_filter_builds_and_its_cases_hold() {
    let (_root, project, component) =
        project_builds("scaffold-http", Kind::HttpFilter, "http-filter");
    // The target folder is not the project's own here, so the component is given by hand.
    let output = Command::new(binary())
        .args(["plugin", "test"])
        .args([component, project.join("cases.kdl")])
        .env("TOLLGATE_CACHE_DIR", cache_dir())
        .output()
        .expect("the binary was built with this test");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("4 passed, 0 failed"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn new_network_filter_builds() {
    project_builds("scaffold-network", Kind::NetworkFilter, "network-filter");
}

#[test]
fn new_balancer_builds() {
    project_builds("scaffold-balancer", Kind::Balancer, "balancer");
}
