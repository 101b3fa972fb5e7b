//! Builds the guests of `tests/guests/`, once in a test process and only what has changed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

pub(super) fn hostile() -> PathBuf {
    bare().join("guest_hostile.wasm")
}

pub(super) fn balancer() -> PathBuf {
    bare().join("guest_balancer.wasm")
}

/// The filter that imports `store` and `metrics`.
pub(super) fn counting() -> PathBuf {
    bare().join("guest_counting.wasm")
}

/// The balancer that imports `measures`.
pub(super) fn measures() -> PathBuf {
    bare().join("guest_measures.wasm")
}

pub(super) fn network() -> PathBuf {
    bare().join("guest_network.wasm")
}

/// The guest that imports WASI.
pub(super) fn wasi() -> PathBuf {
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
                "guest-hostile",
                "guest-balancer",
                "guest-counting",
                "guest-measures",
                "guest-network",
            ],
        )
    })
}

fn build(target: &str, packages: &[&str]) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let target_dir = root.join("target/guests");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(root.join("tests/guests"))
        .args([
            "build",
            "--quiet",
            "--release",
            "--target",
            target,
            "--target-dir",
        ])
        .arg(&target_dir);
    packages.iter().for_each(|package| {
        cargo.args(["--package", package]);
    });
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
