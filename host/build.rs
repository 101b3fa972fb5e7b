//! Builds the bundled plugins to components and embeds them, and the plugin SDK's sources for `plugin new`.
//!
//! The plugins are built by a cargo of their own, in a target folder of their own (`<target>/plugins`): the outer cargo holds the lock of
//! the usual one.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

const TARGET: &str = "wasm32-unknown-unknown";

fn main() {
    let root = path_of("CARGO_MANIFEST_DIR")
        .join("..")
        .canonicalize()
        .expect("the workspace is there");
    let out = path_of("OUT_DIR");
    let names = plugin_names(&root.join("plugins"));
    // A plugin's README changes no component. A plugin that is new changes the lock file.
    let of_plugins = names
        .iter()
        .flat_map(|name| ["Cargo.toml", "src"].map(|part| format!("plugins/{name}/{part}")));
    let others = [
        "plugin-sdk",
        "wit",
        "Cargo.toml",
        "Cargo.lock",
        "host/build.rs",
    ];
    for watched in of_plugins.chain(others.map(str::to_owned)) {
        println!("cargo::rerun-if-changed={}", root.join(watched).display());
    }
    ensure_target();
    let built = build_plugins(&root, &out, &names);
    let mut code = bundled_code(&names, &built, &out);
    code.push_str(&sdk_code(&root.join("plugin-sdk")));
    fs::write(out.join("bundled.rs"), code).expect("OUT_DIR can be written");
}

/// Every folder of `plugins/` that holds a crate; its name is the plugin's.
fn plugin_names(plugins: &Path) -> Vec<String> {
    let entries = fs::read_dir(plugins)
        .expect("plugins/ is part of the sources")
        .flatten();
    let crates = entries.filter(|entry| entry.path().join("Cargo.toml").is_file());
    let mut names: Vec<_> = crates
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Installs the target when it is missing; without it the build ends with one line that says what to do.
fn ensure_target() {
    if target_installed() {
        return;
    }
    let added = rustup_target_add();
    if !(added && target_installed()) {
        fail(&format!(
            "the bundled plugins need the target {TARGET}: run `rustup target add {TARGET}` and build again"
        ));
    }
}

fn target_installed() -> bool {
    let sysroot = clean(Command::new("rustc"))
        .args(["--print", "sysroot"])
        .output();
    let sysroot = sysroot.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    sysroot.is_ok_and(|sysroot| {
        Path::new(&sysroot)
            .join("lib/rustlib")
            .join(TARGET)
            .join("lib")
            .is_dir()
    })
}

fn rustup_target_add() -> bool {
    let status = clean(Command::new("rustup"))
        .args(["target", "add", TARGET])
        .status();
    status.is_ok_and(|status| status.success())
}

/// Runs one cargo for all plugins; answers the folder that the components are in.
fn build_plugins(root: &Path, out: &Path, names: &[String]) -> PathBuf {
    // OUT_DIR is <target>/<profile>/build/<package>/out.
    let target_dir = out
        .ancestors()
        .nth(4)
        .expect("OUT_DIR lies deep")
        .join("plugins");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = clean(Command::new(cargo));
    command.current_dir(root).env(
        "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER",
        "wasm-component-ld",
    );
    command
        .args([
            "build",
            "--profile",
            "plugin",
            "--target",
            TARGET,
            "--target-dir",
        ])
        .arg(&target_dir);
    for name in names {
        command.arg("-p").arg(package(name));
    }
    let output = command
        .output()
        .unwrap_or_else(|error| fail(&format!("cannot run cargo for the plugins: {error}")));
    if !output.status.success() {
        // Shown by cargo together with the message, since the build script fails.
        let _ = std::io::stderr().write_all(&output.stderr);
        fail("the bundled plugins do not build; cargo's words are above");
    }
    target_dir.join(TARGET).join("plugin")
}

/// Without what the outer cargo (or clippy, or rustdoc) sets for its own work.
fn clean(mut command: Command) -> Command {
    const KEPT: [&str; 7] = [
        "CARGO_HOME",
        "CARGO_NET_",
        "CARGO_HTTP_",
        "CARGO_REGISTR",
        "CARGO_SOURCE_",
        "CARGO_TERM_",
        "CARGO_INCREMENTAL",
    ];
    const OTHERS: [&str; 8] = [
        "RUSTC",
        "RUSTDOC",
        "RUSTFLAGS",
        "CLIPPY_",
        "MAKEFLAGS",
        "MFLAGS",
        "DEP_",
        "__CARGO",
    ];
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy();
        let cargos = name.starts_with("CARGO_") && !KEPT.iter().any(|kept| name.starts_with(kept));
        if cargos || OTHERS.iter().any(|other| name.starts_with(other)) {
            command.env_remove(&*name);
        }
    }
    command
}

/// Copies the components into OUT_DIR, and writes the table of names and bytes.
fn bundled_code(names: &[String], built: &Path, out: &Path) -> String {
    let mut code = String::from("static BUNDLED: &[(&str, &[u8])] = &[\n");
    for name in names {
        let file = built
            .join(package(name).replace('-', "_"))
            .with_extension("wasm");
        let bytes =
            fs::read(&file).unwrap_or_else(|error| fail(&format!("{}: {error}", file.display())));
        refuse_wasi(name, &bytes);
        let copy = out.join(name).with_extension("wasm");
        fs::write(&copy, bytes).expect("OUT_DIR can be written");
        writeln!(code, "    ({name:?}, include_bytes!({copy:?})),").expect("a string takes all");
    }
    code.push_str("];\n");
    code
}

/// Bundled plugins use the public contract only.
fn refuse_wasi(name: &str, component: &[u8]) {
    let imports = |import: &[u8]| {
        component
            .windows(import.len())
            .any(|window| window == import)
    };
    if imports(b"wasi:") || imports(b"wasi_snapshot") {
        fail(&format!(
            "the bundled plugin `{name}` imports WASI: a dependency asks for files, sockets or the environment"
        ));
    }
}

/// The table of the SDK's files, relative to its folder.
fn sdk_code(sdk: &Path) -> String {
    let mut files = Vec::new();
    collect_files(sdk, &mut files);
    files.sort();
    let mut code = String::from("static SDK_SOURCES: &[(&str, &str)] = &[\n");
    for file in files {
        let relative = file
            .strip_prefix(sdk)
            .expect("collected below it")
            .to_string_lossy()
            .replace('\\', "/");
        writeln!(code, "    ({relative:?}, include_str!({file:?})),").expect("a string takes all");
    }
    code.push_str("];\n");
    code
}

/// Sources only: whatever else lies there (a target folder, a lock file) is left out.
fn collect_files(folder: &Path, files: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder)
        .unwrap_or_else(|error| fail(&format!("{}: {error}", folder.display())));
    for path in entries.flatten().map(|entry| entry.path()) {
        let source = path
            .extension()
            .is_some_and(|extension| extension == "rs" || extension == "md");
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            collect_files(&path, files);
        } else if source || path.file_name().is_some_and(|name| name == "Cargo.toml") {
            files.push(path);
        }
    }
}

fn package(name: &str) -> String {
    format!("tollgate-plugin-{name}")
}

fn path_of(variable: &str) -> PathBuf {
    env::var_os(variable)
        .map(PathBuf::from)
        .unwrap_or_else(|| fail(&format!("cargo does not set {variable}")))
}

/// Ends the build with one line.
fn fail(message: &str) -> ! {
    println!("cargo::error={message}");
    std::process::exit(1)
}
