//! The command line.

use crate::harness::{binary, cache_dir};
use std::process::{Command, Output};

fn tollgate(arguments: &[&str]) -> Output {
    Command::new(binary())
        .args(arguments)
        .env("TOLLGATE_CACHE_DIR", cache_dir())
        .output()
        .expect("the binary was built with this test")
}

#[test]
fn wrong_usage_exits_with_2() {
    for arguments in [
        &[][..],
        &["fly"],
        &["check", "--format", "xml"],
        &["run", "extra"],
    ] {
        assert_eq!(tollgate(arguments).status.code(), Some(2), "{arguments:?}");
    }
}
