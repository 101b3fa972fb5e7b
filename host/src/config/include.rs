//! The main file and everything it includes, as one list of nodes.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::environment::Environment;
use super::syntax::{self, Item, Node, Scalar};
use super::{Diagnostics, Place, Sources, Watched, glob};

/// What was read.
pub(super) struct Tree {
    /// Top-level nodes in the order in which the files say them; those of an included file follow its `include`.
    pub(super) nodes: Vec<Node>,
    pub(super) sources: Sources,
    pub(super) watched: Watched,
}

pub(super) fn read_all(path: &Path, env: Environment<'_>, diagnostics: &mut Diagnostics) -> Tree {
    let mut reader = Reader {
        env,
        diagnostics,
        sources: Sources::default(),
        watched: Watched::default(),
        open: Vec::new(),
        done: Vec::new(),
    };
    let nodes = reader.file(path, None);
    Tree {
        nodes,
        sources: reader.sources,
        watched: reader.watched,
    }
}

/// Files that include each other in a chain: reading calls itself for each.
const CHAIN_MAX: usize = 16;
/// Files in one configuration.
const FILES_MAX: usize = 1000;
/// Bytes in one file; `syntax::STACK_BYTES` depends on it.
const FILE_BYTES_MAX: u64 = 1 << 20;

struct Reader<'a> {
    env: Environment<'a>,
    diagnostics: &'a mut Diagnostics,
    sources: Sources,
    watched: Watched,
    /// The chain of files that include each other, down to the one being read. Bounded by `CHAIN_MAX`.
    open: Vec<PathBuf>,
    done: Vec<PathBuf>,
}

impl Reader<'_> {
    /// The nodes of one file, which was included at `from`; `None` for the main file.
    fn file(&mut self, path: &Path, from: Option<Place>) -> Vec<Node> {
        let identity = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if let Some(from) = from
            && self.refuse_again(&identity, path, from)
        {
            return Vec::new();
        }
        self.watched.files.push(path.to_owned());
        let text = match read_text(path) {
            Ok(text) => text,
            Err(error) => {
                self.unreadable(path, &error, from);
                return Vec::new();
            }
        };
        let source = self.sources.add(path.to_owned(), &text);
        self.open.push(identity.clone());
        let nodes = syntax::parse(&text, source, self.env, self.diagnostics);
        let nodes = self.with_included(nodes, path);
        self.open.pop();
        self.done.push(identity);
        nodes
    }

    fn refuse_again(&mut self, identity: &PathBuf, path: &Path, from: Place) -> bool {
        let shown = file_name(path);
        let message = if self.open.contains(identity) {
            format!("`{shown}` includes itself")
        } else if self.done.contains(identity) {
            format!("`{shown}` is included twice")
        } else if self.open.len() >= CHAIN_MAX {
            format!("includes are nested more than {CHAIN_MAX} deep")
        } else if self.done.len() + self.open.len() >= FILES_MAX {
            format!("more than {FILES_MAX} files")
        } else {
            return false;
        };
        self.diagnostics.error(from, message, None);
        true
    }

    fn unreadable(&mut self, path: &Path, error: &io::Error, from: Option<Place>) {
        // Without a place of its own, the file itself is the place.
        let place = from.unwrap_or_else(|| Place::new(self.sources.add(path.to_owned(), ""), 0, 0));
        let message = match from {
            Some(_) => format!("cannot read `{}`: {error}", file_name(path)),
            None => format!("cannot read this file: {error}"),
        };
        self.diagnostics.error(place, message, None);
    }

    fn with_included(&mut self, nodes: Vec<Node>, path: &Path) -> Vec<Node> {
        let mut all = Vec::with_capacity(nodes.len());
        for node in nodes {
            let patterns = match node.name() {
                "include" => node.arguments.clone(),
                _ => Vec::new(),
            };
            all.push(node);
            for pattern in patterns {
                all.extend(self.included(&pattern, path));
            }
        }
        all
    }

    fn included(&mut self, pattern: &Item, includer: &Path) -> Vec<Node> {
        let text = match &pattern.value {
            Scalar::Text(text) => text,
            Scalar::Broken => return Vec::new(),
            other => {
                let message = format!("expected a file or pattern, found {}", other.described());
                self.diagnostics.error(pattern.place, message, None);
                return Vec::new();
            }
        };
        let beside = includer.parent().unwrap_or(Path::new(""));
        match glob::expand(beside, text) {
            Ok(found) => {
                self.watched.directories.extend(found.directories);
                found
                    .files
                    .iter()
                    .flat_map(|file| self.file(file, Some(pattern.place)))
                    .collect()
            }
            Err(error) => {
                let message = format!("cannot look for `{text}`: {error}");
                self.diagnostics.error(pattern.place, message, None);
                Vec::new()
            }
        }
    }
}

/// For messages: the place shows the pattern as it is written.
fn file_name(path: &Path) -> std::path::Display<'_> {
    Path::new(path.file_name().unwrap_or(path.as_os_str())).display()
}

/// Reads at most `FILE_BYTES_MAX`, so that a device or a mistaken path cannot fill the memory.
fn read_text(path: &Path) -> io::Result<String> {
    let file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut text = String::new();
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::other("it is larger than 1MiB"));
    }
    Ok(text)
}
