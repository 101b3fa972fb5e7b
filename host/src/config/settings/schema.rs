//! JSON Schema, as far as the mapping needs it: what shape a member has.
//!
//! It is read from `type`, `properties`, `additionalProperties`, `items`, `prefixItems`, `enum`, `format`, `x-arguments`, and
//! through `$ref` into the schema itself, `allOf`, `anyOf` and `oneOf`.

use serde_json::Value;

use crate::config::syntax::{Node, Scalar};

/// A part of a schema, and the whole for its references.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schema<'s> {
    root: &'s Value,
    at: &'s Value,
}

/// What a value is, for the mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Object,
    Array,
    /// An array with `prefixItems`.
    Tuple,
    Boolean,
    Scalar,
    /// The schema does not say.
    Any,
}

/// What an object schema says about a name.
pub(super) enum Member<'s> {
    Schema(Schema<'s>),
    /// Allowed, without a schema.
    Free,
    Unknown,
}

/// How a member is written, to choose between alternatives.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form {
    structured: bool,
    arguments: usize,
    /// Of a single value: the JSON types it fits.
    types: &'static [&'static str],
}

impl Form {
    pub(super) fn value(value: &Scalar) -> Self {
        Self {
            structured: false,
            arguments: 1,
            types: match value {
                Scalar::Text(_) => &["string"],
                Scalar::Integer(_) => &["integer", "number"],
                Scalar::Float(_) => &["number"],
                Scalar::Bool(_) => &["boolean"],
                Scalar::Null => &["null"],
                Scalar::Broken => &[],
            },
        }
    }

    pub(super) fn node(node: &Node) -> Self {
        let types = match node.arguments.as_slice() {
            [item] => Self::value(&item.value).types,
            _ => &[],
        };
        Self {
            structured: !node.properties.is_empty() || node.children.is_some(),
            arguments: node.arguments.len(),
            types,
        }
    }
}

/// References and alternatives followed from one place; deeper ones are taken as "any value".
const DEPTH_MAX: usize = 16;

impl<'s> Schema<'s> {
    pub(super) fn root(schema: &'s Value) -> Self {
        Self {
            root: schema,
            at: schema,
        }
    }

    fn sub(self, at: &'s Value) -> Self {
        Self { at, ..self }.resolved()
    }

    fn resolved(mut self) -> Self {
        for _ in 0..DEPTH_MAX {
            let target = self.at["$ref"]
                .as_str()
                .and_then(|reference| reference.strip_prefix('#'))
                .and_then(|pointer| self.root.pointer(pointer));
            match target {
                Some(target) => self.at = target,
                None => break,
            }
        }
        self
    }

    /// The schemas that may apply by themselves: itself, or what `anyOf`, `oneOf`, `allOf` list, without null.
    fn alternatives(self) -> Vec<Self> {
        let mut found = Vec::new();
        self.resolved().collect_alternatives(DEPTH_MAX, &mut found);
        found
    }

    fn collect_alternatives(self, depth: usize, found: &mut Vec<Self>) {
        let lists = ["anyOf", "oneOf", "allOf"]
            .into_iter()
            .filter_map(|keyword| self.at[keyword].as_array());
        let before = found.len();
        if depth > 0 {
            for branch in lists.flatten() {
                let branch = self.sub(branch);
                if branch.at["type"] != "null" {
                    branch.collect_alternatives(depth - 1, found);
                }
            }
        }
        // A schema with alternatives may have members of its own beside them.
        if found.len() == before || self.own_kind() != Kind::Any {
            found.push(self);
        }
    }

    /// The alternative that a part of this form, one of `parts`, is most likely meant for.
    pub(super) fn fitting(self, form: &Form, parts: usize) -> Self {
        let mut best = (0, self.resolved());
        for alternative in self.alternatives() {
            let score = alternative.score(form, parts);
            if score > best.0 {
                best = (score, alternative);
            }
        }
        best.1
    }

    fn score(self, form: &Form, parts: usize) -> u32 {
        match (self.kind(), form.structured, form.arguments) {
            (Kind::Object, true, _) => 8,
            (Kind::Object, false, _) => 2,
            (Kind::Array, true, _) => 6,
            (Kind::Array, false, _) if parts > 1 => 7,
            (Kind::Array | Kind::Tuple, false, arguments) if arguments > 1 => 6,
            (Kind::Array | Kind::Tuple, _, _) => 3,
            (Kind::Boolean, false, 0) => 5,
            (Kind::Boolean | Kind::Scalar, false, 1) if self.accepts(form.types) => 5,
            (Kind::Boolean | Kind::Scalar, false, 1) => 4,
            (Kind::Boolean | Kind::Scalar | Kind::Any, _, _) => 1,
        }
    }

    fn accepts(self, types: &[&str]) -> bool {
        self.types().iter().any(|ty| types.contains(ty))
            || self.at["enum"].is_array() && types.contains(&"string")
    }

    pub(super) fn kind(self) -> Kind {
        let alternatives = self.alternatives();
        match alternatives.as_slice() {
            [one] => one.own_kind(),
            [first, others @ ..] => {
                let kind = first.own_kind();
                let same = others.iter().all(|other| other.own_kind() == kind);
                if same { kind } else { self.own_kind() }
            }
            [] => Kind::Any,
        }
    }

    fn own_kind(self) -> Kind {
        let has = |keyword: &str| self.at.get(keyword).is_some();
        match self.types().first().copied() {
            Some("object") => Kind::Object,
            Some("array") if has("prefixItems") => Kind::Tuple,
            Some("array") => Kind::Array,
            Some("boolean") => Kind::Boolean,
            Some(_) => Kind::Scalar,
            None if has("properties") || has("additionalProperties") || has("x-arguments") => {
                Kind::Object
            }
            None if has("prefixItems") => Kind::Tuple,
            None if has("items") => Kind::Array,
            None if has("enum") || has("const") => Kind::Scalar,
            None => Kind::Any,
        }
    }

    /// The listed types, without null.
    fn types(self) -> Vec<&'s str> {
        match &self.at["type"] {
            Value::String(ty) => vec![ty.as_str()],
            Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
        .into_iter()
        .filter(|ty| *ty != "null")
        .collect()
    }

    pub(super) fn is_scalar(self) -> bool {
        matches!(self.kind(), Kind::Scalar | Kind::Boolean)
    }

    /// Whether any alternative is an array that takes as many values as there are.
    pub(super) fn takes_many(self) -> bool {
        self.alternatives()
            .iter()
            .any(|schema| schema.own_kind() == Kind::Array)
    }

    pub(super) fn items(self) -> Option<Self> {
        let items = self.resolved().at.get("items")?;
        items.is_object().then(|| self.sub(items))
    }

    /// The schema of a tuple's element.
    pub(super) fn element(self, index: usize) -> Option<Self> {
        match self.resolved().at["prefixItems"].get(index) {
            Some(element) => Some(self.sub(element)),
            None => self.items(),
        }
    }

    /// How many elements a tuple may have, when it says that there are no others.
    pub(super) fn tuple_len_max(self) -> Option<usize> {
        let schema = self.resolved().at;
        let closed = schema.get("items") == Some(&Value::Bool(false));
        let listed = schema["prefixItems"].as_array()?;
        closed.then_some(listed.len())
    }

    pub(super) fn format(self) -> Option<&'s str> {
        self.resolved().at["format"].as_str()
    }

    pub(super) fn argument_names(self) -> Vec<String> {
        let list = self
            .alternatives()
            .into_iter()
            .find_map(|schema| schema.at["x-arguments"].as_array());
        list.into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    }

    pub(super) fn member(self, name: &str) -> Member<'s> {
        let alternatives = self.alternatives();
        let listed = alternatives
            .iter()
            .find_map(|schema| Some(schema.sub(schema.at["properties"].get(name)?)));
        if let Some(member) = listed {
            return Member::Schema(member);
        }
        alternatives
            .iter()
            .map(|schema| schema.other_member())
            .find(|member| !matches!(member, Member::Unknown))
            .unwrap_or(Member::Unknown)
    }

    fn other_member(self) -> Member<'s> {
        match self.at.get("additionalProperties") {
            Some(Value::Bool(true)) => Member::Free,
            Some(schema @ Value::Object(_)) => Member::Schema(self.sub(schema)),
            Some(_) => Member::Unknown,
            // What lists no property does not describe its members at all.
            None if self.at.get("properties").is_none() => Member::Free,
            None => Member::Unknown,
        }
    }

    pub(super) fn member_names(self) -> Vec<&'s str> {
        let alternatives = self.alternatives();
        let lists = alternatives
            .iter()
            .filter_map(|schema| schema.at["properties"].as_object());
        let mut names: Vec<&str> = lists
            .flat_map(|list| list.keys().map(String::as_str))
            .collect();
        names.dedup();
        names
    }
}
