//! A plugin's settings: from KDL to the JSON that its `configure` receives.
//!
//! The settings are a JSON object. Each *member* of it comes from what the node of the plugin holds under that name:
//!
//! | in KDL | gives the member |
//! |---|---|
//! | a property, `status=403` | `status` |
//! | a child node, `country "NO" "SE"` | `country` |
//! | an argument, `"deny"` | named by the schema's `x-arguments`: a list of member names that the arguments fill in order; if the last of them is an array, it takes all that remain |
//!
//! **With a schema** its type for the member decides what it becomes. Names are kept as written, numbers, strings, booleans and null
//! keep their KDL type.
//!
//! | the schema says | then |
//! |---|---|
//! | string, number, integer, boolean, `enum` | one property, or one node with one argument. A boolean node without argument is true |
//! | array of those | every argument of every node of that name is an element, in order |
//! | array of objects | every node of that name is an element |
//! | array of arrays (tuples: `prefixItems`) | every node of that name is an element: the array of its arguments |
//! | tuple (`prefixItems` on the member itself) | one node; its arguments are the elements |
//! | object | one node, read by these same rules: its properties, arguments and children are the members |
//! | object with `additionalProperties` as a schema | a map: every property and child is an entry |
//! | nothing (any value) | as without a schema |
//!
//! A property or argument for an object, or for an element that is an object, is that object's first argument. A string whose
//! `format` is `duration` or `size` must be written like the host's own: `"250ms"`, `"64KiB"`. `$ref` into the schema itself, `anyOf`
//! and `oneOf` are followed; of several alternatives the one that fits the written form is taken. An object that lists `properties`
//! has no others unless it says so by `additionalProperties`: a mistaken name is an error, never ignored.
//!
//! **Without a schema** every child node gives an array, whether there is one or many: a node that has only arguments gives each of
//! them as an element, a node without anything gives `true`, and a node with properties or children gives one object, whose member
//! `arguments` is the array of its arguments, whose properties are plain members, and whose children follow this rule again. The
//! plugin's own node is such an object too.
//!
//! The order of nodes is kept within a name, not between names: where it matters, use one name for all steps.

mod schema;
mod typed;
mod untyped;
mod validate;

use std::collections::HashMap;

use serde_json::{Map, Value};

use self::schema::{Form, Schema};
use super::syntax::{Item, Node};
use super::{Diagnostics, Place};

/// Settings as the plugin sees them, and where each is written.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Always an object.
    pub json: Value,
    /// By JSON pointer.
    pub places: HashMap<String, Place>,
    /// The plugin's node.
    pub node: Place,
}

impl Settings {
    pub fn empty(node: Place) -> Self {
        Self {
            json: Value::Object(Map::new()),
            places: HashMap::new(),
            node,
        }
    }

    /// The place of what this JSON pointer (`/rule/0/status`) names, or of the nearest thing around it that is written.
    pub fn place_of(&self, pointer: &str) -> Place {
        let mut pointer = pointer;
        loop {
            if let Some(place) = self.places.get(pointer) {
                return *place;
            }
            match pointer.rfind('/') {
                Some(end) => pointer = &pointer[..end],
                None => return self.node,
            }
        }
    }
}

/// Reads the settings in `node`, from which everything that is the host's was taken away, and checks them against the schema.
pub(super) fn read(node: &Node, schema: Option<&Value>, diagnostics: &mut Diagnostics) -> Settings {
    let mut builder = Builder {
        places: HashMap::new(),
        reported: Vec::new(),
        diagnostics,
    };
    let json = match schema {
        Some(schema) => builder.object(node, Schema::root(schema), ""),
        None => builder.untyped_object(node, ""),
    };
    let reported = builder.reported;
    let settings = Settings {
        json,
        places: builder.places,
        node: node.place(),
    };
    if let Some(schema) = schema {
        validate::check(schema, &settings, &reported, node.name(), diagnostics);
    }
    settings
}

struct Builder<'a> {
    places: HashMap<String, Place>,
    /// JSON pointers of what an error was reported for. Its value is null, about which the schema has nothing to add.
    reported: Vec<String>,
    diagnostics: &'a mut Diagnostics,
}

/// One thing written under a member's name.
#[derive(Clone, Copy)]
enum Part<'n> {
    /// A property's or argument's value.
    Item(&'n Item),
    Node(&'n Node),
}

impl Part<'_> {
    fn place(&self) -> Place {
        match self {
            Self::Item(item) => item.place,
            Self::Node(node) => node.place(),
        }
    }

    fn form(&self) -> Form {
        match self {
            Self::Item(item) => Form::value(&item.value),
            Self::Node(node) => Form::node(node),
        }
    }
}

/// Everything under one name, in the order written; members in the order of their first part.
#[derive(Default)]
struct Parts<'n> {
    members: Vec<(&'n str, Vec<Part<'n>>)>,
}

impl<'n> Parts<'n> {
    fn add(&mut self, name: &'n str, part: Part<'n>) {
        match self.members.iter_mut().find(|(known, _)| *known == name) {
            Some((_, parts)) => parts.push(part),
            None => self.members.push((name, vec![part])),
        }
    }

    fn add_named(&mut self, node: &'n Node) {
        for (name, item) in &node.properties {
            self.add(&name.value, Part::Item(item));
        }
        for child in node.children() {
            self.add(child.name(), Part::Node(child));
        }
    }
}

/// A JSON pointer one step down (RFC 6901 section 3).
fn below(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
}
