//! The command line.

mod check;
mod documents;
mod endpoint;
mod inspect;
mod plugin_bench;
mod plugin_test;
mod run;
mod shipped;

use crate::harness::{binary, cache_dir};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Runs the binary to its end.
fn tollgate(arguments: &[&str]) -> Output {
    let mut command = Command::new(binary());
    command
        .args(arguments)
        .env("TOLLGATE_CACHE_DIR", cache_dir())
        .env_remove("RUST_BACKTRACE");
    command
        .output()
        .expect("the binary was built with this test")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The top of the repository.
fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .expect("it is there")
}

#[test]
fn wrong_usage_exits_with_2() {
    for arguments in [
        &[][..],
        &["fly"],
        &["check", "--format", "xml"],
        &["run", "extra"],
        &["plugin", "inspect"],
        &["plugin", "new", "x", "--kind", "other"],
    ] {
        let output = tollgate(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(
            !output.stderr.is_empty() && output.stdout.is_empty(),
            "{arguments:?}: {}",
            stderr(&output)
        );
    }
}

#[test]
fn help_and_version_exit_with_0() {
    for (arguments, words) in [
        (&["--help"][..], "Serve"),
        (&["--version"], env!("CARGO_PKG_VERSION")),
        (&["check", "--help"], "--format"),
    ] {
        let output = tollgate(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(
            stdout(&output).contains(words),
            "{arguments:?}: {}",
            stdout(&output)
        );
    }
}
