//! Keys that hold several values: in a property, in arguments, or in both.

use std::collections::HashMap;

use super::decode::Decoder;
use super::syntax::{Item, Node, Scalar};
use super::{Place, Spanned};

impl Decoder<'_> {
    /// What property and children of this name list.
    pub(super) fn values<T>(
        &mut self,
        node: &Node,
        name: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Vec<Spanned<T>> {
        listed(node, name)
            .into_iter()
            .filter_map(|item| self.parsed(item, &parse))
            .collect()
    }

    /// As [`Self::values`], of which no two may be the same.
    pub(super) fn distinct_values<T: AsRef<str>>(
        &mut self,
        node: &Node,
        name: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Vec<Spanned<T>> {
        let values = self.values(node, name, parse);
        self.refuse_doubles(values.iter().map(|text| (text.value.as_ref(), text.place)));
        values
    }

    /// The words that these items are, none twice.
    pub(super) fn distinct_words<T: Copy>(
        &mut self,
        items: &[&Item],
        words: &[(&str, T)],
    ) -> Vec<T> {
        let mut found = Vec::new();
        let mut written = Vec::new();
        for item in items {
            if let (Some(value), Scalar::Text(text)) = (self.word(item, words), &item.value) {
                found.push(value);
                written.push((text.as_str(), item.place));
            }
        }
        self.refuse_doubles(written.into_iter());
        found
    }

    /// Reports each text that was there before.
    pub(super) fn refuse_doubles<'t>(&mut self, texts: impl Iterator<Item = (&'t str, Place)>) {
        let mut seen: HashMap<&str, Place> = HashMap::new();
        for (text, place) in texts {
            if let Some(first) = seen.get(text) {
                let message = format!("`{text}` is given twice");
                let related = (*first, "first given here");
                self.diagnostics.error_with(place, message, None, related);
            } else {
                seen.insert(text, place);
            }
        }
    }
}

/// The property of this name, then the arguments of every child of this name.
pub(super) fn listed<'n>(node: &'n Node, name: &str) -> Vec<&'n Item> {
    let children = node.children().iter().filter(|child| child.name() == name);
    let arguments = children.flat_map(|child| &child.arguments);
    node.property(name).into_iter().chain(arguments).collect()
}
