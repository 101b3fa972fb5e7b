//! Every whole configuration in the documents is one that the proxy takes.

use super::{repository, stderr, tollgate};
use std::path::{Path, PathBuf};

#[test]
fn every_configuration_in_the_documents_is_accepted() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("block.kdl");
    for document in documents(&repository()) {
        let text = std::fs::read_to_string(&document).expect("a text");
        for (line, block) in blocks(&text)
            .into_iter()
            .filter(|(_, block)| block.contains("listener \""))
        {
            std::fs::write(&file, block).expect("a writable folder");
            let output = tollgate(&["check", file.to_str().expect("UTF-8")]);
            assert_eq!(
                output.status.code(),
                Some(0),
                "{}:{line}\n{}",
                document.display(),
                stderr(&output)
            );
        }
    }
}

/// The Markdown files of the repository that users read.
fn documents(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for place in ["", "docs", "host/docs", "plugin-sdk", "wit", "tests"] {
        collect(&root.join(place), 0, &mut found);
    }
    collect(&root.join("plugins"), 1, &mut found);
    collect(&root.join("host/docs"), 1, &mut found);
    assert!(
        found
            .iter()
            .any(|file| file.ends_with("plugins/acl/README.md")),
        "{found:?}"
    );
    found
}

/// Adds the Markdown files of `folder`, and of the folders `depth` levels below.
fn collect(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    for path in std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
    {
        if path.is_dir() && depth > 0 {
            collect(&path, depth - 1, found);
        } else if path.extension().is_some_and(|extension| extension == "md")
            && !found.contains(&path)
        {
            found.push(path);
        }
    }
}

/// What stands in fences marked `kdl`, with the line that each begins at.
fn blocks(text: &str) -> Vec<(usize, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (index, line) in text.lines().enumerate() {
        match &mut open {
            None if line.trim() == "```kdl" => open = Some((index + 1, String::new())),
            None => {}
            Some(_) if line.trim() == "```" => blocks.extend(open.take()),
            Some((_, block)) => {
                block.push_str(line);
                block.push('\n');
            }
        }
    }
    blocks
}
