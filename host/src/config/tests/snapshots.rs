//! Each `tests/config/bad/NAME.kdl` is refused with exactly the text of `NAME.txt` (warnings: `NAME.kdl` loads with them).
//!
//! `UPDATE_SNAPSHOTS=1` writes the texts anew; read the difference before committing it.

use std::path::{Path, PathBuf};

use super::fake::load_file;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/config/bad")
}

fn cases() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory()).expect("the snapshot directory exists");
    let mut cases: Vec<PathBuf> = entries
        .map(|entry| entry.expect("listed").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "kdl"))
        .collect();
    cases.sort();
    cases
}

fn rendering(path: &Path) -> String {
    let (text, json) = match load_file(path) {
        Ok(loaded) => (
            loaded.warnings.render(&loaded.sources, false),
            loaded.warnings.to_json(&loaded.sources),
        ),
        Err(refused) => (refused.render(false), refused.to_json()),
    };
    let findings: serde_json::Value = serde_json::from_str(&json).expect("own output is JSON");
    let count = findings.as_array().map_or(0, Vec::len);
    assert!(count > 0, "{} has nothing wrong", path.display());
    let here = format!("{}/", directory().display());
    let text = text.replace(&here, "");
    let trimmed: Vec<&str> = text.lines().map(str::trim_end).collect();
    format!("{count} found\n{}\n", trimmed.join("\n"))
}

#[test]
fn bad_configurations_are_explained() {
    let cases = cases();
    assert!(cases.len() >= 25, "only {} cases", cases.len());
    let update = std::env::var_os("UPDATE_SNAPSHOTS").is_some();
    let mut different = Vec::new();
    for path in &cases {
        let expected_path = path.with_extension("txt");
        let found = rendering(path);
        let expected = std::fs::read_to_string(&expected_path).unwrap_or_default();
        if found != expected {
            if update {
                std::fs::write(&expected_path, &found).expect("written");
            }
            different.push(format!("{}:\n{found}", path.display()));
        }
    }
    assert!(update || different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn every_expected_text_has_its_case() {
    for entry in std::fs::read_dir(directory()).expect("the snapshot directory exists") {
        let path = entry.expect("listed").path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            assert!(path.with_extension("kdl").exists(), "{}", path.display());
        }
    }
}
