//! Reading settings as the schema says.

use serde_json::{Map, Value};

use super::schema::{Form, Kind, Member, Schema};
use super::{Builder, Part, Parts, below};
use crate::config::suggest::{did_you_mean, one_of};
use crate::config::syntax::{Item, Node, Scalar};
use crate::config::{Spanned, units};

impl Builder<'_> {
    pub(super) fn object(&mut self, node: &Node, schema: Schema<'_>, pointer: &str) -> Value {
        let names = schema.argument_names();
        let mut parts = Parts::default();
        self.assign_arguments(node, schema, &names, &mut parts);
        parts.add_named(node);
        let mut members = Map::new();
        for (name, parts) in &parts.members {
            let below = below(pointer, name);
            self.places.insert(below.clone(), parts[0].place());
            let value = match schema.member(name) {
                Member::Schema(member) => self.member(member, parts, &below),
                Member::Free => self.untyped_member(parts, &below),
                Member::Unknown => {
                    self.unknown_member(name, parts, schema);
                    continue;
                }
            };
            members.insert((*name).to_owned(), value);
        }
        Value::Object(members)
    }

    fn assign_arguments<'n>(
        &mut self,
        node: &'n Node,
        schema: Schema<'_>,
        names: &'n [String],
        parts: &mut Parts<'n>,
    ) {
        let takes_rest = |name: &str| match schema.member(name) {
            Member::Schema(member) => member.takes_many(),
            Member::Free | Member::Unknown => false,
        };
        for (index, item) in node.arguments.iter().enumerate() {
            let name = names
                .get(index)
                .or_else(|| names.last().filter(|last| takes_rest(last)));
            match name {
                Some(name) => parts.add(name, Part::Item(item)),
                None => return self.too_many_arguments(node, item, names),
            }
        }
    }

    fn too_many_arguments(&mut self, node: &Node, item: &Item, names: &[String]) {
        let (message, help) = match names {
            [] => (format!("`{}` takes no arguments", node.name()), None),
            names => (
                format!(
                    "`{}` takes no argument after `{}`",
                    node.name(),
                    names.join("`, `")
                ),
                None,
            ),
        };
        self.diagnostics.error(item.place, message, help);
    }

    fn unknown_member(&mut self, name: &str, parts: &[Part<'_>], schema: Schema<'_>) {
        let known = schema.member_names();
        let help = did_you_mean(name, known.iter().copied()).or_else(|| match known.is_empty() {
            true => Some("it has no settings".to_owned()),
            false => Some(format!("it has {}", one_of(known.iter().copied()))),
        });
        for part in parts {
            let message = format!("unknown setting `{name}`");
            self.diagnostics.error(part.place(), message, help.clone());
        }
    }

    fn member(&mut self, schema: Schema<'_>, parts: &[Part<'_>], pointer: &str) -> Value {
        let chosen = schema.fitting(&parts[0].form(), parts.len());
        match chosen.kind() {
            Kind::Array => self.array(chosen, parts, pointer),
            Kind::Any => self.untyped_member(parts, pointer),
            Kind::Tuple | Kind::Object | Kind::Boolean | Kind::Scalar => {
                if let [first, second, ..] = parts {
                    let name = pointer.rsplit('/').next().unwrap_or_default();
                    let message = format!("setting `{name}` is given twice");
                    let first = (first.place(), "first given here");
                    self.diagnostics
                        .error_with(second.place(), message, None, first);
                }
                self.one(chosen, parts[0], pointer)
            }
        }
    }

    fn array(&mut self, schema: Schema<'_>, parts: &[Part<'_>], pointer: &str) -> Value {
        let items = schema.items();
        let mut elements = Vec::new();
        for part in parts {
            let element = items.map(|items| items.fitting(&part.form(), 1));
            match (element, part) {
                (Some(element), Part::Node(node)) if element.is_scalar() => {
                    self.each_argument(element, node, pointer, &mut elements);
                }
                (Some(element), part) if element.kind() != Kind::Any => {
                    let below = below(pointer, &elements.len().to_string());
                    self.places.insert(below.clone(), part.place());
                    let value = self.one(element, *part, &below);
                    elements.push(value);
                }
                (_, part) => self.untyped_elements(part, pointer, &mut elements),
            }
        }
        Value::Array(elements)
    }

    fn each_argument(
        &mut self,
        schema: Schema<'_>,
        node: &Node,
        pointer: &str,
        elements: &mut Vec<Value>,
    ) {
        self.refuse_structure(node);
        if node.arguments.is_empty() {
            let message = format!("`{}` needs at least one value", node.name());
            self.diagnostics.error(node.place(), message, None);
            self.reported.push(pointer.to_owned());
        }
        for item in &node.arguments {
            let below = below(pointer, &elements.len().to_string());
            let value = self.scalar(schema, item, &below);
            elements.push(value);
        }
    }

    /// One value from one part.
    fn one(&mut self, schema: Schema<'_>, part: Part<'_>, pointer: &str) -> Value {
        match (schema.kind(), part) {
            (Kind::Object, Part::Node(node)) => self.object(node, schema, pointer),
            (Kind::Object, Part::Item(item)) => {
                self.object(&wrapped(item, pointer), schema, pointer)
            }
            (Kind::Array | Kind::Tuple, Part::Node(node)) => self.tuple(schema, node, pointer),
            (Kind::Array | Kind::Tuple, Part::Item(item)) => {
                let message = "this setting is a list of values: write it as a node with arguments";
                self.broken(item.place, message, pointer)
            }
            (Kind::Any, part) => self.untyped_member(&[part], pointer),
            (Kind::Boolean | Kind::Scalar, Part::Item(item)) => self.scalar(schema, item, pointer),
            (Kind::Boolean | Kind::Scalar, Part::Node(node)) => {
                self.scalar_node(schema, node, pointer)
            }
        }
    }

    fn scalar_node(&mut self, schema: Schema<'_>, node: &Node, pointer: &str) -> Value {
        self.refuse_structure(node);
        match (node.arguments.as_slice(), schema.kind()) {
            ([item], _) => self.scalar(schema, item, pointer),
            ([], Kind::Boolean) => Value::Bool(true),
            ([], _) => {
                let message = format!("`{}` needs a value", node.name());
                self.broken(node.place(), &message, pointer)
            }
            ([_, second, ..], _) => {
                let message = format!("`{}` takes one value", node.name());
                self.broken(second.place, &message, pointer)
            }
        }
    }

    fn tuple(&mut self, schema: Schema<'_>, node: &Node, pointer: &str) -> Value {
        self.refuse_structure(node);
        let len_max = schema.tuple_len_max().unwrap_or(usize::MAX);
        if let Some(item) = node.arguments.get(len_max) {
            let message = format!("`{}` takes at most {len_max} values", node.name());
            self.diagnostics.error(item.place, message, None);
        }
        let mut elements = Vec::new();
        for (index, item) in node.arguments.iter().enumerate().take(len_max) {
            let below = below(pointer, &index.to_string());
            let value = match schema.element(index) {
                Some(element) => {
                    let element = element.fitting(&Form::value(&item.value), 1);
                    self.scalar(element, item, &below)
                }
                None => self.plain(item, &below),
            };
            elements.push(value);
        }
        Value::Array(elements)
    }

    fn scalar(&mut self, schema: Schema<'_>, item: &Item, pointer: &str) -> Value {
        if let Some(problem) = format_problem(schema.format(), &item.value) {
            return self.broken(item.place, &problem, pointer);
        }
        self.plain(item, pointer)
    }

    /// For a node that has arguments only.
    fn refuse_structure(&mut self, node: &Node) {
        for (name, _) in &node.properties {
            let message = format!("`{}` has no property `{}`", node.name(), name.value);
            self.diagnostics.error(name.place, message, None);
        }
        if node.children.is_some() {
            let message = format!("`{}` takes no block", node.name());
            self.diagnostics.error(node.place(), message, None);
        }
    }
}

fn format_problem(format: Option<&str>, value: &Scalar) -> Option<String> {
    let (parsed, form) = match (format?, value) {
        ("duration", Scalar::Text(text)) => (units::parse_duration(text).map(drop), ""),
        ("size", Scalar::Text(text)) => (units::parse_size(text).map(drop), ""),
        ("duration", Scalar::Integer(_) | Scalar::Float(_)) => (Ok(()), units::DURATION_FORM),
        ("size", Scalar::Integer(_) | Scalar::Float(_)) => (Ok(()), units::SIZE_FORM),
        _ => return None,
    };
    match form {
        "" => parsed.err(),
        form => Some(form.to_owned()),
    }
}

/// A node that has just this argument.
fn wrapped(item: &Item, pointer: &str) -> Node {
    let name = pointer.rsplit('/').next().unwrap_or_default();
    Node {
        name: Spanned {
            value: name.to_owned(),
            place: item.place,
        },
        arguments: vec![item.clone()],
        properties: Vec::new(),
        children: None,
    }
}
