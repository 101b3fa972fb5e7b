//! Reading settings without a schema: children are always arrays.

use serde_json::{Map, Value};

use super::{Builder, Part, Parts, below};
use crate::config::Place;
use crate::config::syntax::{Item, Node, Scalar};

impl Builder<'_> {
    pub(super) fn untyped_object(&mut self, node: &Node, pointer: &str) -> Value {
        let mut members = Map::new();
        if !node.arguments.is_empty() {
            let below = below(pointer, ARGUMENTS);
            self.places.insert(below.clone(), node.arguments[0].place);
            let mut elements = Vec::new();
            self.untyped_arguments(node, &below, &mut elements);
            members.insert(ARGUMENTS.to_owned(), Value::Array(elements));
        }
        let mut parts = Parts::default();
        parts.add_named(node);
        for (name, parts) in &parts.members {
            let below = below(pointer, name);
            if members.contains_key(*name) {
                let message = format!("`{name}` is taken by the arguments of `{}`", node.name());
                self.broken(parts[0].place(), &message, &below);
                continue;
            }
            self.places.insert(below.clone(), parts[0].place());
            let value = self.untyped_member(parts, &below);
            members.insert((*name).to_owned(), value);
        }
        Value::Object(members)
    }

    /// A property alone is a plain value; nodes are elements of an array, as is a property beside them.
    pub(super) fn untyped_member(&mut self, parts: &[Part<'_>], pointer: &str) -> Value {
        if let [Part::Item(item)] = parts {
            return self.plain(item, pointer);
        }
        let mut elements = Vec::new();
        for part in parts {
            self.untyped_elements(part, pointer, &mut elements);
        }
        Value::Array(elements)
    }

    pub(super) fn untyped_elements(
        &mut self,
        part: &Part<'_>,
        pointer: &str,
        elements: &mut Vec<Value>,
    ) {
        let below = below(pointer, &elements.len().to_string());
        match part {
            Part::Item(item) => {
                let value = self.plain(item, &below);
                elements.push(value);
            }
            Part::Node(node) if !node.properties.is_empty() || node.children.is_some() => {
                self.places.insert(below.clone(), node.place());
                let value = self.untyped_object(node, &below);
                elements.push(value);
            }
            Part::Node(node) if node.arguments.is_empty() => {
                self.places.insert(below, node.place());
                elements.push(Value::Bool(true));
            }
            Part::Node(node) => self.untyped_arguments(node, pointer, elements),
        }
    }

    fn untyped_arguments(&mut self, node: &Node, pointer: &str, elements: &mut Vec<Value>) {
        for item in &node.arguments {
            let below = below(pointer, &elements.len().to_string());
            let value = self.plain(item, &below);
            elements.push(value);
        }
    }

    pub(super) fn plain(&mut self, item: &Item, pointer: &str) -> Value {
        self.places.insert(pointer.to_owned(), item.place);
        match as_json(&item.value) {
            Ok(value) => value,
            Err(message) => self.broken(item.place, message, pointer),
        }
    }

    /// Null, after reporting the error.
    pub(super) fn broken(&mut self, place: Place, message: &str, pointer: &str) -> Value {
        self.reported.push(pointer.to_owned());
        if !message.is_empty() {
            self.diagnostics.error(place, message, None);
        }
        Value::Null
    }
}

const ARGUMENTS: &str = "arguments";

/// An error without message was reported already.
fn as_json(scalar: &Scalar) -> Result<Value, &'static str> {
    match scalar {
        Scalar::Text(text) => Ok(Value::from(text.as_str())),
        Scalar::Integer(number) => i64::try_from(*number)
            .map(Value::from)
            .or_else(|_| u64::try_from(*number).map(Value::from))
            .map_err(|_| "this number is too large"),
        Scalar::Float(number) => serde_json::Number::from_f64(*number)
            .map(Value::Number)
            .ok_or("settings cannot carry infinities or NaN"),
        Scalar::Bool(value) => Ok(Value::Bool(*value)),
        Scalar::Null => Ok(Value::Null),
        Scalar::Broken => Err(""),
    }
}
