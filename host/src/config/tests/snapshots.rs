//! Each `tests/config/bad/NAME.kdl` is refused with exactly the text of `NAME.txt` (warnings: `NAME.kdl` loads with them); so is each file of
//! cases in `bad-cases`.
//!
//! `UPDATE_SNAPSHOTS=1` writes the texts anew; read the difference before committing it.

use std::path::{Path, PathBuf};

use super::fake::load_file;

const FOLDERS: [&str; 2] = ["bad", "bad-cases"];

fn directory(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/config")
        .join(folder)
}

fn cases(folder: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory(folder)).expect("the snapshot directory exists");
    let mut cases: Vec<PathBuf> = entries
        .map(|entry| entry.expect("listed").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "kdl"))
        .collect();
    cases.sort();
    cases
}

fn rendering(path: &Path, (text, json): (String, String)) -> String {
    let findings: serde_json::Value = serde_json::from_str(&json).expect("own output is JSON");
    let count = findings.as_array().map_or(0, Vec::len);
    assert!(count > 0, "{} has nothing wrong", path.display());
    let here = path.parent().expect("it lies in a folder");
    let text = text.replace(&format!("{}/", here.display()), "");
    let trimmed: Vec<&str> = text.lines().map(str::trim_end).collect();
    format!("{count} found\n{}\n", trimmed.join("\n"))
}

#[test]
fn bad_configurations_are_explained() {
    assert_explained("bad", 25, |path| match load_file(path) {
        Ok(loaded) => (
            loaded.warnings.render(&loaded.sources, false),
            loaded.warnings.to_json(&loaded.sources),
        ),
        Err(refused) => (refused.render(false), refused.to_json()),
    });
}

/// Compares what `say` says of each file, as text and as JSON, with what is expected.
#[track_caller]
pub(super) fn assert_explained(
    folder: &str,
    cases_min: usize,
    say: impl Fn(&Path) -> (String, String),
) {
    let cases = cases(folder);
    assert!(cases.len() >= cases_min, "only {} cases", cases.len());
    let update = std::env::var_os("UPDATE_SNAPSHOTS").is_some();
    let mut different = Vec::new();
    for path in &cases {
        let expected_path = path.with_extension("txt");
        let found = rendering(path, say(path));
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
    let folders = FOLDERS.map(|folder| std::fs::read_dir(directory(folder)));
    let entries = folders.map(|entries| entries.expect("the snapshot directory exists"));
    for entry in entries.into_iter().flatten() {
        let path = entry.expect("listed").path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            assert!(path.with_extension("kdl").exists(), "{}", path.display());
        }
    }
}
