//! Diagnostics as text: drawn for people by miette, or as JSON for editors.

use std::fmt;
use std::sync::Arc;

use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents,
    SourceCode, SourceSpan, SpanContents,
};
use serde_json::json;

use super::{Diagnostic, Severity, Sources};

/// Each finding with its line, a caret, the reason and the hint.
pub(super) fn graphical(list: &[Diagnostic], sources: &Sources, color: bool) -> String {
    let theme = match color {
        true => GraphicalTheme::unicode(),
        false => GraphicalTheme::unicode_nocolor(),
    };
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_links(false)
        .with_width(RENDER_WIDTH)
        .with_context_lines(1);
    let mut text = String::new();
    for diagnostic in list.iter().take(DRAWN_MAX) {
        render_one(diagnostic, sources, &handler, &mut text);
    }
    if list.len() > DRAWN_MAX {
        text.push_str(&format!("… and {} more\n", list.len() - DRAWN_MAX));
    }
    text
}

/// An array of objects; see [`super::Diagnostics::to_json`].
pub(super) fn json(list: &[Diagnostic], sources: &Sources) -> String {
    let list: Vec<_> = list
        .iter()
        .map(|diagnostic| as_json(diagnostic, sources))
        .collect();
    format!("{:#}", serde_json::Value::Array(list))
}

/// Findings drawn; nobody reads more, and each costs a pass over its file.
const DRAWN_MAX: usize = 200;

const RENDER_WIDTH: usize = 110;

fn render_one(
    diagnostic: &Diagnostic,
    sources: &Sources,
    handler: &GraphicalReportHandler,
    text: &mut String,
) {
    use fmt::Write as _;
    let report = Report::new(diagnostic, sources);
    if handler.render_report(text, &report).is_err() {
        // The handler fails only where a span lies outside its text; the finding must not be lost with the picture.
        let _ = write!(text, "{}: {}", report.at, diagnostic.message);
    }
    text.push('\n');
}

fn as_json(diagnostic: &Diagnostic, sources: &Sources) -> serde_json::Value {
    let place = diagnostic.place;
    let source = sources.source(place);
    let text = source.map_or("", |source| &source.text);
    let (line, column) = line_and_column(text, place.offset);
    let end = place.offset.saturating_add(place.len).min(text.len());
    let length = text
        .get(place.offset..end)
        .map_or(0, |covered| covered.chars().count());
    json!({
        "file": source.map(|source| source.path.display().to_string()),
        "line": line,
        "column": column,
        "length": length,
        "severity": diagnostic.severity.name(),
        "message": diagnostic.message,
        "help": help_with_related(diagnostic, sources, true),
    })
}

/// The hint, and the related place where it cannot be shown as a label.
fn help_with_related(
    diagnostic: &Diagnostic,
    sources: &Sources,
    always_related: bool,
) -> Option<String> {
    let related = diagnostic
        .related
        .as_ref()
        .filter(|(place, _)| always_related || place.source != diagnostic.place.source)
        .map(|(place, role)| format!("{role}: {}", sources.describe(*place)));
    match (&diagnostic.help, related) {
        (Some(help), Some(related)) => Some(format!("{help}\n{related}")),
        (help, related) => help.clone().or(related),
    }
}

pub(super) fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (
        before.matches('\n').count() + 1,
        before[line_start..].chars().count() + 1,
    )
}

/// A finding in the form that miette draws.
#[derive(Debug)]
struct Report {
    severity: Severity,
    message: String,
    at: String,
    help: Option<String>,
    labels: Vec<LabeledSpan>,
    source: Option<WholeLines>,
}

impl Report {
    fn new(diagnostic: &Diagnostic, sources: &Sources) -> Self {
        // A file that could not be read has no lines to show; its name goes into the message.
        let source = sources
            .source(diagnostic.place)
            .filter(|source| !source.text.is_empty());
        let at = sources.describe(diagnostic.place);
        Self {
            severity: diagnostic.severity,
            message: match source {
                Some(_) => diagnostic.message.clone(),
                None => format!("{}: {}", at, diagnostic.message),
            },
            at,
            help: help_with_related(diagnostic, sources, false),
            labels: labels(diagnostic),
            source: source.map(|source| WholeLines {
                name: source.path.display().to_string(),
                text: source.text.clone(),
            }),
        }
    }
}

fn labels(diagnostic: &Diagnostic) -> Vec<LabeledSpan> {
    let place = diagnostic.place;
    let mut labels = vec![LabeledSpan::new_primary_with_span(
        None,
        (place.offset, place.len),
    )];
    if let Some((related, role)) = &diagnostic.related
        && related.source == place.source
    {
        labels.push(LabeledSpan::new(
            Some(role.clone()),
            related.offset,
            related.len,
        ));
    }
    labels
}

/// A source that shows the lines a span is on, whole and without their neighbours.
#[derive(Debug)]
struct WholeLines {
    name: String,
    text: Arc<str>,
}

impl SourceCode for WholeLines {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        lines_before: usize,
        lines_after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let mut span = *span;
        // miette asks without context when it wants the exact position, with context when it draws.
        if lines_before > 0 || lines_after > 0 {
            span = whole_lines(&self.text, span).ok_or(MietteError::OutOfBounds)?;
        }
        let found = self.text.as_bytes().read_span(&span, 0, 0)?;
        Ok(Box::new(MietteSpanContents::new_named(
            self.name.clone(),
            found.data(),
            *found.span(),
            found.line(),
            found.column(),
            found.line_count(),
        )))
    }
}

fn whole_lines(text: &str, span: SourceSpan) -> Option<SourceSpan> {
    let end = span.offset().checked_add(span.len())?;
    let start = text
        .get(..span.offset())?
        .rfind('\n')
        .map_or(0, |at| at + 1);
    let end = text
        .get(end..)?
        .find('\n')
        .map_or(text.len(), |at| end + at);
    Some((start, end - start).into())
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Report {}

impl miette::Diagnostic for Report {
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as _)
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        self.source.as_ref().map(|source| source as _)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.source.as_ref()?;
        Some(Box::new(self.labels.iter().cloned()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Diagnostics, Place};
    use super::*;

    #[test]
    fn lines_and_columns_count_characters_from_one() {
        for (text, offset, expected) in [
            ("", 0, (1, 1)),
            ("ab", 1, (1, 2)),
            ("ä b", 3, (1, 3)),
            ("a\nb", 2, (2, 1)),
            ("a\nb", 99, (2, 2)),
        ] {
            assert_eq!(line_and_column(text, offset), expected, "{text:?} {offset}");
        }
    }

    #[test]
    fn json_has_one_object_per_finding() {
        let mut sources = Sources::default();
        let source = sources.add("a.kdl".into(), "one\ntwo ä\n");
        let mut diagnostics = Diagnostics::default();
        diagnostics.error_with(
            Place::new(source, 8, 2),
            "bad",
            Some("mend it".into()),
            (Place::new(source, 0, 3), "first here"),
        );
        let json: serde_json::Value =
            serde_json::from_str(&diagnostics.to_json(&sources)).expect("own output is JSON");
        assert_eq!(
            json,
            json!([{
                "file": "a.kdl", "line": 2, "column": 5, "length": 1, "severity": "error",
                "message": "bad", "help": "mend it\nfirst here: a.kdl:1:1",
            }])
        );
    }

    #[test]
    fn the_last_of_very_many_are_only_counted() {
        let mut sources = Sources::default();
        let source = sources.add("a.kdl".into(), "x");
        let mut diagnostics = Diagnostics::default();
        for _ in 0..=DRAWN_MAX {
            diagnostics.error(Place::new(source, 0, 1), "bad", None);
        }
        let text = diagnostics.render(&sources, false);
        assert_eq!(text.matches("bad").count(), DRAWN_MAX);
        assert!(text.ends_with("… and 1 more\n"));
    }

    #[test]
    fn a_place_outside_the_text_still_renders_its_message() {
        let mut sources = Sources::default();
        let source = sources.add("a.kdl".into(), "x");
        let mut diagnostics = Diagnostics::default();
        diagnostics.error(Place::new(source, 100, 5), "lost", None);
        diagnostics.error(Place::new(77, 0, 0), "elsewhere", None);
        let text = diagnostics.render(&sources, false);
        assert!(
            text.contains("lost") && text.contains("elsewhere"),
            "{text}"
        );
    }
}
