//! Projects made by `plugin new`: each kind builds, its test passes, and the component is what it says.

use std::path::Path;
use std::process::Command;

use tollgate::plugin::inspect;
use tollgate::scaffold::{Kind, create};

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

fn project_builds(name: &str, kind: Kind, expected: &str) {
    let root = tempfile::tempdir().expect("a temporary folder");
    let project = root.path().join(name);
    create(&project, name, kind).expect("the folder is new");
    cargo(&project, &["test"]);
    cargo(&project, &["plugin"]);
    let file = target_dir()
        .join("wasm32-unknown-unknown/release")
        .join(name.replace('-', "_"))
        .with_extension("wasm");
    let component = std::fs::read(file).expect("cargo made it");
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
}

#[test]
fn new_http_filter_builds() {
    project_builds("scaffold-http", Kind::HttpFilter, "http-filter");
}

#[test]
fn new_network_filter_builds() {
    project_builds("scaffold-network", Kind::NetworkFilter, "network-filter");
}

#[test]
fn new_balancer_builds() {
    project_builds("scaffold-balancer", Kind::Balancer, "balancer");
}
