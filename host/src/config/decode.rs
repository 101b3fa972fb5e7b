//! From nodes to values: the small layer that every section decodes with.
//!
//! A getter reports what is wrong with a value and then gives the default, so that decoding goes on to the next error; with an error
//! reported, the result is never used.

use std::collections::{BTreeSet, HashMap};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::percent::{self, show_percent};
use super::suggest::{did_you_mean, one_of};
use super::syntax::{Item, Node, Scalar};
use super::units::{self, show_duration, show_size};
use super::{Config, Diagnostics, Percent, Place, PluginCatalog, PluginManifest, Sources, Spanned};

/// What decoding needs beyond the nodes.
pub(super) struct Decoder<'a> {
    pub(super) catalog: &'a dyn PluginCatalog,
    pub(super) sources: &'a Sources,
    pub(super) diagnostics: &'a mut Diagnostics,
    /// Declared plugins by name; `None` for one that could not be read, which was reported.
    pub(super) declared: HashMap<String, Option<PluginManifest>>,
    /// Every plugin that was used or declared so far.
    pub(super) manifests: HashMap<String, PluginManifest>,
    /// Certificates, keys and the like, readable or not: whoever repairs one wants it noticed.
    pub(super) files: BTreeSet<PathBuf>,
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
            files: BTreeSet::new(),
        }
    }

    /// The configuration, and the files it names beyond those of plugins. Plugins come first, since the schemas decide how settings are
    /// read.
    pub(super) fn config(mut self, nodes: &[Node]) -> (Config, BTreeSet<PathBuf>) {
        let mut config = Config::default();
        for node in named(nodes, "plugin") {
            config.plugins.extend(self.plugin(node));
        }
        if let Some(node) = named(nodes, "process").next() {
            config.process = self.process(node);
        }
        if let Some(node) = named(nodes, "admin").next() {
            config.admin = self.admin(node);
        }
        for node in named(nodes, "store") {
            config.stores.extend(self.store(node));
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
        (config, self.files)
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

    /// The item with a number as its text: for statuses, of which one alone is written like a number.
    pub(super) fn as_text(item: &Item) -> Item {
        let mut item = item.clone();
        if let Scalar::Integer(number) = &item.value {
            item.value = Scalar::Text(number.to_string());
        }
        item
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

    /// A path, which is relative to the file that says it.
    pub(super) fn path_beside(&mut self, item: &Item) -> Option<Spanned<PathBuf>> {
        let written = self.text(item)?;
        Some(self.beside(&written.value, written.place))
    }

    /// The path `written` at, or on behalf of, this place.
    pub(super) fn beside(&self, written: &str, place: Place) -> Spanned<PathBuf> {
        let file = self.sources.path(place);
        let beside = file.and_then(|file| file.parent());
        Spanned {
            value: beside.unwrap_or("".as_ref()).join(written),
            place,
        }
    }

    /// As [`Self::path_beside`], of a file whose changes are changes of the configuration. Whether it is there is for the next stage.
    pub(super) fn file(&mut self, item: &Item) -> Option<Spanned<PathBuf>> {
        let written = self.text(item)?;
        if written.value.is_empty() {
            self.error(written.place, "this names no file");
            return None;
        }
        let path = self.beside(&written.value, written.place);
        self.files.insert(path.value.clone());
        Some(path)
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

    /// As [`Self::duration`], for a key without a default.
    pub(super) fn optional_duration(
        &mut self,
        item: Option<&Item>,
        range: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let fallback = *range.start();
        item.map(|item| self.duration(Some(item), range, fallback))
    }

    pub(super) fn percent(
        &mut self,
        item: Option<&Item>,
        range: RangeInclusive<Percent>,
        default: Percent,
    ) -> Percent {
        let Some(item) = item else { return default };
        let Some(found) = self.with_unit(item, percent::parse_percent, percent::PERCENT_FORM)
        else {
            return default;
        };
        if !range.contains(&found) {
            let (least, most) = (show_percent(*range.start()), show_percent(*range.end()));
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
        let range = i64::from(*range.start())..=i64::from(*range.end());
        let found = item.and_then(|item| self.whole_number(item, range));
        found
            .and_then(|found| u32::try_from(found).ok())
            .unwrap_or(default)
    }

    /// As [`Self::integer`], for a key without a default.
    pub(super) fn optional_integer(
        &mut self,
        item: Option<&Item>,
        range: RangeInclusive<u32>,
    ) -> Option<u32> {
        let fallback = *range.start();
        item.map(|item| self.integer(Some(item), range, fallback))
    }

    /// `None` is reported.
    pub(super) fn whole_number(&mut self, item: &Item, range: RangeInclusive<i64>) -> Option<i64> {
        match &item.value {
            Scalar::Integer(number) => match i64::try_from(*number) {
                Ok(number) if range.contains(&number) => return Some(number),
                _ => self.out_of_range(item, &range.start().to_string(), &range.end().to_string()),
            },
            other => self.wrong_type(item, other, "a whole number"),
        }
        None
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
        item.and_then(|item| self.word(item, words))
            .unwrap_or(default)
    }

    /// As [`Self::choice`], for a key without a default.
    pub(super) fn word<T: Copy>(&mut self, item: &Item, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(item)?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text.value) {
            return Some(*value);
        }
        let names = || words.iter().map(|(word, _)| *word);
        let message = format!("expected {}, found `{}`", one_of(names()), text.value);
        let help = did_you_mean(&text.value, names());
        self.diagnostics.error(text.place, message, help);
        None
    }

    /// The one of these properties that says what the node is about; anything but exactly one is reported.
    pub(super) fn one_property<'n>(
        &mut self,
        node: &'n Node,
        names: &[&'static str],
    ) -> Option<(&'static str, &'n Item)> {
        let found: Vec<_> = names
            .iter()
            .filter_map(|name| Some((*name, node.property(name)?)))
            .collect();
        let expected = || one_of(names.iter().copied());
        match found.as_slice() {
            [one] => return Some(*one),
            [] => {
                let message = format!("`{}` needs {}", node.name(), expected());
                self.error(node.place(), message);
            }
            [(first, item), (second, other), ..] => self.diagnostics.error_with(
                other.place,
                format!("`{first}` and `{second}` exclude each other"),
                Some(format!(
                    "`{}` takes exactly one of {}",
                    node.name(),
                    expected()
                )),
                (item.place, "this is the other"),
            ),
        }
        None
    }

    /// Reports each of these properties that the node has: `why` completes a sentence that begins with its name.
    pub(super) fn refuse_properties(&mut self, node: &Node, names: &[&str], why: &str) {
        for (name, _) in &node.properties {
            if names.contains(&name.value.as_str()) {
                self.error(name.place, format!("`{}` {why}", name.value));
            }
        }
    }

    /// Two durations of which one, absent or not, must not be above the other. `least` and `most` are the names of the properties.
    pub(super) fn ordered(
        &mut self,
        node: &Node,
        (least, low): (&str, Duration),
        (most, high): (&str, Duration),
    ) {
        if low <= high {
            return;
        }
        let item = node.property(most).or_else(|| node.property(least));
        let place = item.map_or(node.place(), |item| item.place);
        let (low, high) = (show_duration(low), show_duration(high));
        let message = format!("`{most}` ({high}) is less than `{least}` ({low})");
        let help = format!("set {most}={low:?} or more");
        self.error_help(place, message, help);
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

/// The parts of a list that is written with commas or blanks: `"reset, 503"`.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', ' ', '\t']).filter(|word| !word.is_empty())
}
