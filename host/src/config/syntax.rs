//! One file's KDL as nodes whose every part knows its [`Place`]; `${NAME}` in strings is replaced here, once for all.

use kdl::{KdlDocument, KdlEntry, KdlIdentifier, KdlNode, KdlValue};
use miette::SourceSpan;

use super::depth::{DEPTH_MAX, too_deep};
use super::environment::{self, Environment};
use super::{Diagnostics, Place, Spanned};

/// A node with all its parts.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) name: Spanned<String>,
    pub(super) arguments: Vec<Item>,
    pub(super) properties: Vec<(Spanned<String>, Item)>,
    /// `None` without a block, as opposed to an empty one.
    pub(super) children: Option<Vec<Node>>,
}

/// A value: an argument, or what a property is set to.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) value: Scalar,
    /// A property's place covers its name too.
    pub(super) place: Place,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scalar {
    Text(String),
    Integer(i128),
    Float(f64),
    Bool(bool),
    Null,
    /// Already reported; whoever meets it says nothing more.
    Broken,
}

impl Scalar {
    /// For messages: `the number 5`.
    pub(super) fn described(&self) -> String {
        match self {
            Self::Text(text) => format!("the string {text:?}"),
            Self::Integer(number) => format!("the number {number}"),
            Self::Float(number) => format!("the number {number}"),
            Self::Bool(value) => format!("#{value}"),
            Self::Null => "#null".to_owned(),
            Self::Broken => "a broken value".to_owned(),
        }
    }
}

impl Node {
    pub(super) fn place(&self) -> Place {
        self.name.place
    }

    pub(super) fn name(&self) -> &str {
        &self.name.value
    }

    pub(super) fn children(&self) -> &[Node] {
        self.children.as_deref().unwrap_or_default()
    }

    /// The child of this name; of several, the first (the others were reported by the shape check).
    pub(super) fn child(&self, name: &str) -> Option<&Node> {
        self.children().iter().find(|node| node.name() == name)
    }

    /// The first argument of the child of this name.
    pub(super) fn child_argument(&self, name: &str) -> Option<&Item> {
        self.child(name)?.arguments.first()
    }

    pub(super) fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Node> {
        self.children()
            .iter()
            .filter(move |node| node.name() == name)
    }

    pub(super) fn property(&self, name: &str) -> Option<&Item> {
        self.properties
            .iter()
            .find(|(key, _)| key.value == name)
            .map(|(_, item)| item)
    }
}

/// Parses `text`; on a syntax error reports it and gives what there is, which is nothing.
pub(super) fn parse(
    text: &str,
    source: u32,
    env: Environment<'_>,
    diagnostics: &mut Diagnostics,
) -> Vec<Node> {
    if let Some(offset) = too_deep(text) {
        let place = Place::new(source, offset, 1);
        let message = format!("blocks are nested more than {DEPTH_MAX} deep");
        diagnostics.error(place, message, None);
        return Vec::new();
    }
    match parse_on_large_stack(text) {
        Some(Ok(document)) => Reader {
            text,
            source,
            env,
            diagnostics,
        }
        .nodes(&document),
        Some(Err(error)) => {
            report_syntax(&error, text, source, diagnostics);
            Vec::new()
        }
        None => {
            let message = "this file is too broken to say where";
            diagnostics.error(Place::new(source, 0, 0), message, None);
            Vec::new()
        }
    }
}

/// The parser's stack. It recovers from each syntax error by a call that does not return before the end (640 bytes, optimised), and
/// there is at most one error for each byte of a file of 1 MiB: somebody who names the wrong file must not overflow the stack. Only
/// what is used costs memory.
const STACK_BYTES: usize = 768 << 20;

/// `None` when the parser panicked.
fn parse_on_large_stack(text: &str) -> Option<Result<KdlDocument, kdl::KdlError>> {
    std::thread::scope(|scope| {
        let parser = std::thread::Builder::new()
            .name("config-parser".to_owned())
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, || KdlDocument::parse_v2(text));
        match parser {
            Ok(parser) => parser.join().ok(),
            // Where so much cannot even be reserved, the caller's stack does for some thousand errors.
            Err(_) => Some(KdlDocument::parse_v2(text)),
        }
    })
}

/// Syntax errors that are reported of one file: after a few, the others are mostly their consequence.
const SYNTAX_ERRORS_MAX: usize = 20;

fn report_syntax(error: &kdl::KdlError, text: &str, source: u32, diagnostics: &mut Diagnostics) {
    let mut found: Vec<_> = error
        .diagnostics
        .iter()
        .map(|found| (clamp(text, source, found.span), found))
        .collect();
    found.sort_by_key(|(place, _)| *place);
    for (place, found) in found.iter().take(SYNTAX_ERRORS_MAX) {
        let message = found.message.as_deref().unwrap_or("this is not KDL");
        let covered = &text[place.offset..place.offset + place.len];
        let help = match covered {
            "true" | "false" | "null" => Some(format!("KDL 2 writes `#{covered}`")),
            _ => found.help.clone(),
        };
        diagnostics.error(*place, format!("syntax: {}", decapitalised(message)), help);
    }
    if let Some((place, _)) = found.get(SYNTAX_ERRORS_MAX) {
        let more = found.len() - SYNTAX_ERRORS_MAX;
        diagnostics.error(
            *place,
            format!("syntax: {more} more errors from here on"),
            None,
        );
    }
}

fn decapitalised(message: &str) -> String {
    let mut characters = message.trim_end_matches('.').chars();
    characters.next().map_or(String::new(), |first| {
        first.to_lowercase().chain(characters).collect()
    })
}

/// The span as a place inside one line of the text, whatever the parser says.
fn clamp(text: &str, source: u32, span: SourceSpan) -> Place {
    let start = floor_boundary(text, span.offset());
    let covered = &text[start..floor_boundary(text, start.saturating_add(span.len()))];
    let line = covered.lines().next().unwrap_or_default();
    Place::new(source, start, line.trim_end().len())
}

fn floor_boundary(text: &str, offset: usize) -> usize {
    let offset = offset.min(text.len());
    (0..=offset)
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0)
}

struct Reader<'a> {
    text: &'a str,
    source: u32,
    env: Environment<'a>,
    diagnostics: &'a mut Diagnostics,
}

impl Reader<'_> {
    fn nodes(&mut self, document: &KdlDocument) -> Vec<Node> {
        document
            .nodes()
            .iter()
            .map(|node| self.node(node))
            .collect()
    }

    fn node(&mut self, node: &KdlNode) -> Node {
        self.refuse_type(node.ty());
        let mut read = Node {
            name: self.name(node.name()),
            arguments: Vec::new(),
            properties: Vec::new(),
            children: None,
        };
        for entry in node.entries() {
            self.entry(entry, &mut read);
        }
        read.children = node.children().map(|document| self.nodes(document));
        read
    }

    fn entry(&mut self, entry: &KdlEntry, node: &mut Node) {
        self.refuse_type(entry.ty());
        let place = self.place(entry.span());
        let item = Item {
            value: self.scalar(entry.value(), place),
            place,
        };
        match entry.name() {
            None => node.arguments.push(item),
            Some(name) => {
                let name = self.name(name);
                self.property(name, item, node);
            }
        }
    }

    /// In KDL the last of several equal properties wins; here that would be a key accepted and ignored.
    fn property(&mut self, name: Spanned<String>, item: Item, node: &mut Node) {
        let first = node.property(&name.value).map(|first| first.place);
        match first {
            None => node.properties.push((name, item)),
            Some(first) => self.diagnostics.error_with(
                item.place,
                format!("property `{}` is set twice", name.value),
                None,
                (first, "first set here"),
            ),
        }
    }

    fn scalar(&mut self, value: &KdlValue, place: Place) -> Scalar {
        match value {
            KdlValue::String(text) => {
                match environment::expand(text, self.env, place, self.diagnostics) {
                    Some(text) => Scalar::Text(text),
                    None => Scalar::Broken,
                }
            }
            KdlValue::Integer(number) => Scalar::Integer(*number),
            KdlValue::Float(number) => Scalar::Float(*number),
            KdlValue::Bool(value) => Scalar::Bool(*value),
            KdlValue::Null => Scalar::Null,
        }
    }

    fn name(&self, name: &KdlIdentifier) -> Spanned<String> {
        Spanned {
            value: name.value().to_owned(),
            place: self.place(name.span()),
        }
    }

    fn refuse_type(&mut self, ty: Option<&KdlIdentifier>) {
        if let Some(ty) = ty {
            let place = self.place(ty.span());
            let message = format!("type annotation `({})` means nothing here", ty.value());
            self.diagnostics.error(place, message, None);
        }
    }

    fn place(&self, span: SourceSpan) -> Place {
        clamp(self.text, self.source, span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (Vec<Node>, Diagnostics) {
        let mut diagnostics = Diagnostics::default();
        let nodes = parse(text, 0, &|_| None, &mut diagnostics);
        (nodes, diagnostics)
    }

    #[test]
    fn every_part_knows_its_place() {
        let text = "ä 1\nlistener \"web\"  key=\"x y\" {\n  child #true\n}\n";
        let (nodes, diagnostics) = parsed(text);
        assert!(diagnostics.is_empty());
        let node = &nodes[1];
        let at = |what: &str| {
            let offset = text.find(what).expect("the text has it");
            Place::new(0, offset, what.len())
        };
        assert_eq!(node.place(), at("listener"));
        assert_eq!(node.arguments[0].place, at("\"web\""));
        assert_eq!(node.properties[0].1.place, at("key=\"x y\""));
        assert_eq!(node.properties[0].0.place, at("key"));
        assert_eq!(node.children()[0].arguments[0].place, at("#true"));
    }

    #[test]
    fn depth_is_bounded_before_parsing() {
        let nested = |depth: usize| format!("{}{}", "a {".repeat(depth), "}".repeat(depth));
        assert!(parsed(&nested(DEPTH_MAX)).1.is_empty());
        assert!(parsed(&nested(DEPTH_MAX + 1)).1.has_errors());
        assert!(parsed(&"/*".repeat(100_000)).1.has_errors());
        let strings = "a \"}\" #\"}\"# \"\"\"\n}\n\"\"\" \"\\\"}\" { // }\n/* } */ ";
        assert!(parsed(&strings.repeat(DEPTH_MAX + 1)).1.has_errors());
        assert!(parsed(&"a \"{\" // {\n".repeat(DEPTH_MAX + 1)).1.is_empty());
    }

    #[test]
    fn a_file_of_errors_does_not_overflow_the_stack() {
        for broken in ["}", "a =\n", "=", "\"", "a{}"] {
            let (_, diagnostics) = parsed(&broken.repeat(3_000));
            assert!(diagnostics.has_errors(), "{broken:?}");
            assert!(diagnostics.iter().count() <= SYNTAX_ERRORS_MAX + 1);
        }
    }

    #[test]
    fn broken_syntax_is_reported_inside_the_text() {
        for text in [
            "a {",
            "a \"",
            "}",
            "a =",
            "a true",
            "\u{1}",
            "a 1 2 } ä",
            "ä \"ö",
        ] {
            let (nodes, diagnostics) = parsed(text);
            assert!(nodes.is_empty() && diagnostics.has_errors(), "{text:?}");
            for found in diagnostics.iter() {
                assert!(found.place.offset + found.place.len <= text.len());
            }
        }
    }
}
