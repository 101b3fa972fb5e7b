//! From nodes to values: the small layer that every section decodes with.
//!
//! A getter reports what is wrong with a value and then gives the default, so that decoding goes on to the next error; with an error
//! reported, the result is never used.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::suggest::{did_you_mean, one_of};
use super::syntax::{Item, Node, Scalar};
use super::units::{self, show_duration, show_size};
use super::{Config, Diagnostics, Place, PluginCatalog, PluginManifest, Sources, Spanned};

/// What decoding needs beyond the nodes.
pub(super) struct Decoder<'a> {
    pub(super) catalog: &'a dyn PluginCatalog,
    pub(super) sources: &'a Sources,
    pub(super) diagnostics: &'a mut Diagnostics,
    /// Declared plugins by name; `None` for one that could not be read, which was reported.
    pub(super) declared: HashMap<String, Option<PluginManifest>>,
    /// Every plugin that was used or declared so far.
    pub(super) manifests: HashMap<String, PluginManifest>,
}

impl<'a> Decoder<'a> {
    pub(super) fn new(
        catalog: &'a dyn PluginCatalog,
        sources: &'a Sources,
        diagnostics: &'a mut Diagnostics,
    ) -> Self {
        Self {
            catalog,
            sources,
            diagnostics,
            declared: HashMap::new(),
            manifests: HashMap::new(),
        }
    }

    /// Plugins come first, since the schemas decide how settings are read.
    pub(super) fn config(mut self, nodes: &[Node]) -> Config {
        let mut config = Config::default();
        for node in named(nodes, "plugin") {
            config.plugins.extend(self.plugin(node));
        }
        if let Some(node) = named(nodes, "process").next() {
            config.process = self.process(node);
        }
        for node in named(nodes, "listener") {
            config.listeners.extend(self.listener(node));
        }
        for node in named(nodes, "cluster") {
            config.clusters.extend(self.cluster(node));
        }
        for node in named(nodes, "demo-origins") {
            self.demo_origins(node, &mut config.demo_origins);
        }
        config.manifests = self.manifests;
        config
    }

    pub(super) fn error(&mut self, place: Place, message: impl Into<String>) {
        self.diagnostics.error(place, message, None);
    }

    pub(super) fn error_help(
        &mut self,
        place: Place,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.diagnostics.error(place, message, Some(help.into()));
    }

    /// The text of an item that must be a string.
    pub(super) fn text(&mut self, item: &Item) -> Option<Spanned<String>> {
        match &item.value {
            Scalar::Text(text) => Some(Spanned {
                value: text.clone(),
                place: item.place,
            }),
            other => {
                self.wrong_type(item, other, "a string");
                None
            }
        }
    }

    /// The node's first argument, which must be a string. Its absence is the shape check's to report.
    pub(super) fn first_text(&mut self, node: &Node) -> Option<Spanned<String>> {
        self.text(node.arguments.first()?)
    }

    /// A name: what diagnostics, metrics and the log will call the thing.
    pub(super) fn name(&mut self, item: Option<&Item>) -> Option<Spanned<String>> {
        let name = self.text(item?)?;
        let printable = name
            .value
            .chars()
            .all(|c| !c.is_control() && !c.is_whitespace());
        if name.value.is_empty() || name.value.len() > NAME_LEN_MAX || !printable {
            self.error(
                name.place,
                format!("a name has 1 to {NAME_LEN_MAX} bytes and no white space"),
            );
        }
        Some(name)
    }

    /// Parses an item's text by `parse`, whose error is reported at the item.
    pub(super) fn parsed<T>(
        &mut self,
        item: &Item,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<Spanned<T>> {
        let text = self.text(item)?;
        match parse(&text.value) {
            Ok(value) => Some(Spanned {
                value,
                place: text.place,
            }),
            Err(message) => {
                self.error(text.place, message);
                None
            }
        }
    }

    pub(super) fn duration(
        &mut self,
        item: Option<&Item>,
        range: RangeInclusive<Duration>,
        default: Duration,
    ) -> Duration {
        let Some(item) = item else { return default };
        let Some(found) = self.with_unit(item, units::parse_duration, units::DURATION_FORM) else {
            return default;
        };
        if !range.contains(&found) {
            let (least, most) = (show_duration(*range.start()), show_duration(*range.end()));
            self.out_of_range(item, &least, &most);
        }
        found
    }

    pub(super) fn size(
        &mut self,
        item: Option<&Item>,
        range: RangeInclusive<u64>,
        default: u64,
    ) -> u64 {
        let Some(item) = item else { return default };
        let Some(found) = self.with_unit(item, units::parse_size, units::SIZE_FORM) else {
            return default;
        };
        if !range.contains(&found) {
            let (least, most) = (show_size(*range.start()), show_size(*range.end()));
            self.out_of_range(item, &least, &most);
        }
        found
    }

    /// A bare number is told which form is expected.
    fn with_unit<T>(
        &mut self,
        item: &Item,
        parse: fn(&str) -> Result<T, String>,
        form: &str,
    ) -> Option<T> {
        let result = match &item.value {
            Scalar::Broken => return None,
            Scalar::Text(text) => parse(text),
            _ => Err(form.to_owned()),
        };
        result
            .map_err(|message| self.error(item.place, message))
            .ok()
    }

    pub(super) fn integer(
        &mut self,
        item: Option<&Item>,
        range: RangeInclusive<u32>,
        default: u32,
    ) -> u32 {
        let Some(item) = item else { return default };
        match &item.value {
            Scalar::Integer(number) => match u32::try_from(*number) {
                Ok(number) if range.contains(&number) => return number,
                _ => self.out_of_range(item, &range.start().to_string(), &range.end().to_string()),
            },
            other => self.wrong_type(item, other, "a whole number"),
        }
        default
    }

    pub(super) fn boolean(&mut self, item: Option<&Item>, default: bool) -> bool {
        let Some(item) = item else { return default };
        match &item.value {
            Scalar::Bool(value) => *value,
            other => {
                self.wrong_type(item, other, "#true or #false");
                default
            }
        }
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(
        &mut self,
        item: Option<&Item>,
        words: &[(&str, T)],
        default: T,
    ) -> T {
        let Some(text) = item.and_then(|item| self.text(item)) else {
            return default;
        };
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text.value) {
            return *value;
        }
        let names = || words.iter().map(|(word, _)| *word);
        let message = format!("expected {}, found `{}`", one_of(names()), text.value);
        let help = did_you_mean(&text.value, names());
        self.diagnostics.error(text.place, message, help);
        default
    }

    fn wrong_type(&mut self, item: &Item, found: &Scalar, expected: &str) {
        if *found != Scalar::Broken {
            let message = format!("expected {expected}, found {}", found.described());
            self.error(item.place, message);
        }
    }

    fn out_of_range(&mut self, item: &Item, least: &str, most: &str) {
        self.error(
            item.place,
            format!("out of range: expected {least} to {most}"),
        );
    }
}

const NAME_LEN_MAX: usize = 128;

/// The nodes of this name, in file order.
pub(super) fn named<'n>(nodes: &'n [Node], name: &'static str) -> impl Iterator<Item = &'n Node> {
    nodes.iter().filter(move |node| node.name() == name)
}
