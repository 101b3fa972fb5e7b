//! Compares nodes with the table of accepted keys.

use std::collections::HashMap;

use super::keys::{Children, Key, Repeat, TOP, is_later};
use super::suggest::{did_you_mean, one_of};
use super::syntax::Node;
use super::{Diagnostics, Place};

/// Reports every key, property, argument count and repetition that the table of a configuration does not allow.
pub(super) fn check(nodes: &[Node], diagnostics: &mut Diagnostics) {
    check_by(TOP, nodes, diagnostics);
}

/// The same by the table of another kind of file.
pub(super) fn check_by(top: &'static [Key], nodes: &[Node], diagnostics: &mut Diagnostics) {
    Check { top, diagnostics }.level(None, nodes, top);
}

struct Check<'a> {
    top: &'static [Key],
    diagnostics: &'a mut Diagnostics,
}

impl Check<'_> {
    fn level(&mut self, parent: Option<&'static Key>, nodes: &[Node], keys: &'static [Key]) {
        let mut seen: HashMap<&str, Place> = HashMap::new();
        for node in nodes {
            let Some(key) = keys.iter().find(|key| key.name == node.name()) else {
                self.unknown_node(parent, node, keys);
                continue;
            };
            let first = *seen.entry(key.name).or_insert(node.place());
            if key.repeat == Repeat::Once && first != node.place() {
                let message = format!("`{}` is given twice", key.name);
                let related = (first, "first given here");
                self.diagnostics
                    .error_with(node.place(), message, None, related);
            }
            self.node(key, node);
        }
    }

    fn node(&mut self, key: &'static Key, node: &Node) {
        check_arguments(key, node, self.diagnostics);
        if !matches!(key.children, Children::Settings) {
            for (name, _) in &node.properties {
                if !key.properties.contains(&name.value.as_str()) {
                    unknown_property(key, &name.value, name.place, self.diagnostics);
                }
            }
        }
        match key.children {
            Children::Keys(keys) => self.level(Some(key), node.children(), keys),
            Children::Filters | Children::Settings => {}
            Children::None => {
                if node.children.is_some() {
                    let message = format!("`{}` takes no block", key.name);
                    self.diagnostics.error(node.place(), message, usage(key));
                }
            }
        }
    }

    fn unknown_node(&mut self, parent: Option<&'static Key>, node: &Node, keys: &'static [Key]) {
        let name = node.name();
        if parent.is_some_and(|parent| is_later(parent.name, name)) {
            return not_in_this_version(name, node.place(), self.diagnostics);
        }
        let as_property = parent
            .filter(|parent| parent.properties.contains(&name))
            .map(|parent| {
                let parent = parent.name;
                format!("`{name}` is a property: write {name}=…, on the line of `{parent}`")
            });
        let help = as_property
            .or_else(|| did_you_mean(name, keys.iter().map(|key| key.name)))
            .or_else(|| property_of_sibling(keys, name))
            .or_else(|| belongs_elsewhere(self.top, parent, name))
            .or_else(|| {
                let known = one_of(keys.iter().map(|key| key.name));
                Some(format!("expected {known}"))
            });
        let message = match parent {
            None => format!("unknown key `{name}`"),
            Some(parent) => format!("unknown key `{name}` in `{}`", parent.name),
        };
        self.diagnostics.error(node.place(), message, help);
    }
}

fn check_arguments(key: &Key, node: &Node, diagnostics: &mut Diagnostics) {
    let (least, most) = key.arguments;
    if node.arguments.len() < least {
        let message = format!(
            "`{}` lacks {}",
            key.name,
            count(least - node.arguments.len())
        );
        diagnostics.error(node.place(), message, usage(key));
    }
    if let Some(extra) = node.arguments.get(most) {
        let message = match most {
            0 => format!("`{}` takes no arguments", key.name),
            most => format!("`{}` takes no more than {}", key.name, count(most)),
        };
        diagnostics.error(extra.place, message, usage(key));
    }
}

fn count(arguments: usize) -> String {
    match arguments {
        1 => "one argument".to_owned(),
        n => format!("{n} arguments"),
    }
}

fn usage(key: &Key) -> Option<String> {
    Some(format!("it is written: {}", key.usage))
}

fn unknown_property(key: &Key, name: &str, place: Place, diagnostics: &mut Diagnostics) {
    if is_later(key.name, name) {
        return not_in_this_version(name, place, diagnostics);
    }
    let as_child = match key.children {
        Children::Keys(children) => children.iter().find(|child| child.name == name),
        _ => None,
    };
    let help = as_child
        .map(|child| format!("`{name}` goes into the block: {}", child.usage))
        .or_else(|| did_you_mean(name, key.properties.iter().copied()))
        .or_else(|| usage(key));
    let message = format!("unknown property `{name}` of `{}`", key.name);
    diagnostics.error(place, message, help);
}

fn property_of_sibling(keys: &'static [Key], name: &str) -> Option<String> {
    let sibling = keys.iter().find(|key| key.properties.contains(&name))?;
    let (sibling, usage) = (sibling.name, sibling.usage);
    Some(format!("`{name}` is a property of `{sibling}`: {usage}"))
}

fn belongs_elsewhere(top: &'static [Key], parent: Option<&Key>, name: &str) -> Option<String> {
    if top.iter().any(|key| key.name == name) {
        return Some(format!("`{name}` belongs at the top level"));
    }
    let mut parents = Vec::new();
    holders(top, name, &mut parents);
    // The `tls` of a listener holds what that of a cluster does not: its name would be no help here.
    parents.retain(|holder| parent.is_none_or(|parent| parent.name != *holder));
    (!parents.is_empty()).then(|| format!("`{name}` belongs in {}", one_of(parents)))
}

fn holders(level: &[Key], name: &str, parents: &mut Vec<&'static str>) {
    for key in level {
        if let Children::Keys(children) = key.children {
            // `retry` stands in two places; its name says enough.
            let holds = children.iter().any(|child| child.name == name);
            if holds && !parents.contains(&key.name) {
                parents.push(key.name);
            }
            holders(children, name, parents);
        }
    }
}

pub(super) fn not_in_this_version(name: &str, place: Place, diagnostics: &mut Diagnostics) {
    let message = format!("`{name}` is not supported by this version");
    let help = "leave it out: a key that would have no effect is refused".to_owned();
    diagnostics.error(place, message, Some(help));
}
