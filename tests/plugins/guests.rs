//! Builds the guests of `tests/guests/`, once in a test process and only what has changed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// An HTTP filter that misbehaves as its setting `mode` says; without it, it does nothing.
pub(crate) fn hostile() -> PathBuf {
    bare().join("guest_hostile.wasm")
}

/// An HTTP filter with every phase; its setting `mode` says what it does to bodies.
pub(crate) fn bodies() -> PathBuf {
    bare().join("guest_bodies.wasm")
}

/// A balancer whose setting `mode` says how it picks.
pub(crate) fn balancer() -> PathBuf {
    bare().join("guest_balancer.wasm")
}

/// An HTTP filter that uses the store and its metrics as its setting `mode` says.
pub(crate) fn counting() -> PathBuf {
    bare().join("guest_counting.wasm")
}

/// A network filter that misbehaves as its setting `mode` says.
pub(crate) fn network() -> PathBuf {
    bare().join("guest_network.wasm")
}

/// An HTTP filter that imports WASI.
pub(crate) fn wasi() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT
        .get_or_init(|| build("wasm32-wasip2", &["guest-wasi"]))
        .join("guest_wasi.wasm")
}

fn bare() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        build(
            "wasm32-unknown-unknown",
            &[
                "guest-bodies",
                "guest-hostile",
                "guest-balancer",
                "guest-counting",
                "guest-network",
            ],
        )
    })
}

fn build(target: &str, packages: &[&str]) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .expect("the workspace is there");
    let target_dir = root.join("target/guests");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root.join("tests/guests"));
    cargo
        .args([
            "build",
            "--quiet",
            "--release",
            "--target",
            target,
            "--target-dir",
        ])
        .arg(&target_dir);
    for package in packages {
        cargo.args(["--package", package]);
    }
    // What the outer cargo was told for the host does not hold for guests.
    for variable in [
        "RUSTFLAGS",
        "CARGO_ENCODED_RUSTFLAGS",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
        "CARGO_BUILD_TARGET",
    ] {
        cargo.env_remove(variable);
    }
    cargo.env(
        "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER",
        "wasm-component-ld",
    );
    let status = cargo.status().expect("cargo runs");
    assert!(
        status.success(),
        "the guests do not build; is the target there? rustup target add {target}"
    );
    target_dir.join(target).join("release")
}
