//! What is wrong, where, and how to mend it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::render;

/// A place in one of the files; later stages attach their diagnostics to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Place {
    pub(super) source: u32,
    /// Both in bytes.
    pub(super) offset: usize,
    pub(super) len: usize,
}

impl Place {
    pub(super) fn new(source: u32, offset: usize, len: usize) -> Self {
        Self {
            source,
            offset,
            len,
        }
    }
}

/// The files that places point into.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    files: Vec<Source>,
}

#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) text: Arc<str>,
}

impl Sources {
    pub(super) fn add(&mut self, path: PathBuf, text: &str) -> u32 {
        self.files.push(Source {
            path,
            text: text.into(),
        });
        // Bounded by `include::FILES_MAX`.
        (self.files.len() - 1) as u32
    }

    /// The file a place is in.
    pub fn path(&self, place: Place) -> Option<&Path> {
        self.source(place).map(|source| source.path.as_path())
    }

    /// `file:line:column`, counted from 1, columns in characters.
    pub fn describe(&self, place: Place) -> String {
        let Some(source) = self.source(place) else {
            return "unknown place".to_owned();
        };
        let (line, column) = render::line_and_column(&source.text, place.offset);
        format!("{}:{line}:{column}", source.path.display())
    }

    pub(super) fn source(&self, place: Place) -> Option<&Source> {
        self.files.get(place.source as usize)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    Error,
    Warning,
}

impl Severity {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    pub severity: Severity,
    pub place: Place,
    /// What is wrong, without a full stop.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// Another place that explains this one, with its role: `first defined here`.
    pub related: Option<(Place, String)>,
}

/// Everything found in one go, in file order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    pub fn error(&mut self, place: Place, message: impl Into<String>, help: Option<String>) {
        self.push(Severity::Error, place, message.into(), help, None);
    }

    /// An error that a second place explains.
    pub fn error_with(
        &mut self,
        place: Place,
        message: impl Into<String>,
        help: Option<String>,
        related: (Place, &str),
    ) {
        let related = Some((related.0, related.1.to_owned()));
        self.push(Severity::Error, place, message.into(), help, related);
    }

    pub fn warn(
        &mut self,
        place: Place,
        message: impl Into<String>,
        help: Option<String>,
        related: Option<(Place, &str)>,
    ) {
        let related = related.map(|(place, role)| (place, role.to_owned()));
        self.push(Severity::Warning, place, message.into(), help, related);
    }

    fn push(
        &mut self,
        severity: Severity,
        place: Place,
        message: String,
        help: Option<String>,
        related: Option<(Place, String)>,
    ) {
        self.list.push(Diagnostic {
            severity,
            place,
            message,
            help,
            related,
        });
    }

    /// Adds what another stage found.
    pub fn extend(&mut self, other: Diagnostics) {
        self.list.extend(other.list);
        self.sort();
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub fn has_errors(&self) -> bool {
        self.iter().any(|d| d.severity == Severity::Error)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }

    /// Warnings are about a configuration that works; what an error left out would give false ones.
    pub(super) fn drop_warnings(&mut self) {
        self.list.retain(|d| d.severity == Severity::Error);
    }

    /// By file and offset; findings at one place keep their order.
    pub(super) fn sort(&mut self) {
        self.list.sort_by_key(|d| (d.place.source, d.place.offset));
    }

    /// For people: each finding with its line, a caret, the reason and the hint.
    pub fn render(&self, sources: &Sources, color: bool) -> String {
        render::graphical(&self.list, sources, color)
    }

    /// For editors: an array of objects with `file`, `line`, `column`, `length`, `severity`, `message` and `help` (or null).
    /// Lines and columns count from 1; columns and lengths are in characters.
    pub fn to_json(&self, sources: &Sources) -> String {
        render::json(&self.list, sources)
    }
}
