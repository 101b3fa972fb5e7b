//! `plugin new`: a project that builds and whose test passes, from embedded templates. The plugin SDK is copied into it, since it is not
//! published; so the project builds anywhere. Knows nothing of running plugins.

mod name;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::bundled;

/// What kind of plugin to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Works on HTTP messages.
    HttpFilter,
    /// Works on connections.
    NetworkFilter,
    /// Chooses endpoints.
    Balancer,
}

/// Why no project was made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScaffoldError {
    /// The name cannot be a plugin's.
    #[error("`{name}` cannot be a plugin's name: {reason}")]
    Name {
        /// As given.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Something is there already.
    #[error("{} exists already and is not an empty folder", .0.display())]
    Exists(PathBuf),
    /// A file or folder cannot be written.
    #[error("cannot write {}", .path.display())]
    Write {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The files of a project besides the SDK: where they go, and their templates.
fn templates(kind: Kind) -> Vec<(&'static str, &'static str)> {
    let (code, readme) = match kind {
        Kind::HttpFilter => (
            include_str!("templates/http-filter.rs.txt"),
            include_str!("templates/http-filter.md.txt"),
        ),
        Kind::NetworkFilter => (
            include_str!("templates/network-filter.rs.txt"),
            include_str!("templates/network-filter.md.txt"),
        ),
        Kind::Balancer => (
            include_str!("templates/balancer.rs.txt"),
            include_str!("templates/balancer.md.txt"),
        ),
    };
    let mut files = vec![
        ("Cargo.toml", include_str!("templates/Cargo.toml.txt")),
        (
            ".cargo/config.toml",
            include_str!("templates/cargo-config.toml.txt"),
        ),
        (".gitignore", "target/\n"),
        (
            "rust-toolchain.toml",
            include_str!("templates/rust-toolchain.toml.txt"),
        ),
        ("README.md", readme),
        ("src/lib.rs", code),
    ];
    if kind == Kind::HttpFilter {
        files.push(("cases.kdl", include_str!("templates/http-filter.cases.txt")));
    }
    files
}

/// Makes the project in `dir`, which must not exist or be empty. Answers the files written, the SDK's last.
///
/// # Errors
/// A name that cannot be a plugin's, a folder that is in use, a file that cannot be written (what was written before it stays).
pub fn create(dir: &Path, name: &str, kind: Kind) -> Result<Vec<PathBuf>, ScaffoldError> {
    name::check(name)?;
    if !is_free(dir) {
        return Err(ScaffoldError::Exists(dir.to_owned()));
    }
    let mut written = Vec::new();
    for (path, template) in templates(kind) {
        written.push(write(&dir.join(path), &filled(template, name, kind))?);
    }
    for (path, text) in bundled::sdk_sources() {
        written.push(write(&dir.join("sdk").join(path), text)?);
    }
    Ok(written)
}

fn is_free(dir: &Path) -> bool {
    match fs::read_dir(dir) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

/// `{{name}}` is the plugin's name, `{{file}}` that of the component, `{{kind}}` the kind in words.
fn filled(template: &str, name: &str, kind: Kind) -> String {
    let kind = match kind {
        Kind::HttpFilter => "HTTP filter",
        Kind::NetworkFilter => "Network filter",
        Kind::Balancer => "Balancer",
    };
    let file = format!("{}.wasm", name.replace('-', "_"));
    template
        .replace("{{name}}", name)
        .replace("{{file}}", &file)
        .replace("{{kind}}", kind)
}

fn write(path: &Path, text: &str) -> Result<PathBuf, ScaffoldError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let written = fs::create_dir_all(folder).and_then(|()| fs::write(path, text));
    match written {
        Ok(()) => Ok(path.to_owned()),
        Err(source) => Err(ScaffoldError::Write {
            path: path.to_owned(),
            source,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_has_its_files_and_the_sdk() {
        for kind in [Kind::HttpFilter, Kind::NetworkFilter, Kind::Balancer] {
            let root = tempfile::tempdir().expect("a temporary folder");
            let dir = root.path().join("my-plugin");
            let files = create(&dir, "my-plugin", kind).expect("the folder is new");
            for file in [
                "Cargo.toml",
                ".cargo/config.toml",
                "src/lib.rs",
                "README.md",
                "sdk/Cargo.toml",
                "sdk/derive/src/lib.rs",
            ] {
                assert!(files.contains(&dir.join(file)), "{file}");
            }
            for file in files
                .iter()
                .filter(|file| !file.starts_with(dir.join("sdk")))
            {
                let text = fs::read_to_string(file).expect("it was written");
                assert!(
                    !text.contains("{{"),
                    "{} has a placeholder left",
                    file.display()
                );
            }
        }
    }

    #[test]
    fn a_folder_in_use_is_left_alone() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        fs::write(dir.path().join("precious"), "x").expect("the folder can be written");
        let refused = create(dir.path(), "mine", Kind::Balancer);
        assert!(
            matches!(refused, Err(ScaffoldError::Exists(_))),
            "{refused:?}"
        );
        let entries = fs::read_dir(dir.path())
            .expect("the folder is there")
            .count();
        assert_eq!(entries, 1);
    }

    #[test]
    fn a_file_in_the_way_is_told() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let file = dir.path().join("file");
        fs::write(&file, "x").expect("the folder can be written");
        let refused = create(&file.join("below"), "mine", Kind::Balancer);
        assert!(refused.is_err(), "{refused:?}");
    }
}
