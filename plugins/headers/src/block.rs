//! A block of edits: checked settings, and their application in a call.

use regex_lite::Regex;
use tollgate_plugin_sdk::conditions::{Condition, Missing};
use tollgate_plugin_sdk::settings::Errors;
use tollgate_plugin_sdk::{
    Field, Template, TemplatePhase, is_editable, is_header_name, is_header_value,
};

use crate::BlockSettings;
use crate::view::View;

/// A block, ready to be applied.
#[derive(Debug)]
pub(crate) struct Block {
    /// None: always.
    pub(crate) when: Option<Condition>,
    pub(crate) edits: Vec<Edit>,
}

/// One edit; header names are in lower case.
#[derive(Debug)]
pub(crate) enum Edit {
    Remove(String),
    Set(String, Template),
    Default(String, Template),
    Append(String, Template),
    Replace(String, Regex, String),
}

/// Makes the edit of a header by a value.
type MakeEdit = fn(String, Template) -> Edit;

/// Checks and prepares the blocks of a phase.
pub(crate) fn compile(
    phase_name: &str,
    blocks: Vec<BlockSettings>,
    phase: TemplatePhase,
    errors: &mut Errors,
) -> Vec<Block> {
    let compile = |(index, block): (usize, BlockSettings)| {
        errors.inside(phase_name, |errors| {
            errors.inside(index, |errors| compile_block(&block, phase, errors))
        })
    };
    blocks.into_iter().enumerate().map(compile).collect()
}

fn compile_block(block: &BlockSettings, phase: TemplatePhase, errors: &mut Errors) -> Block {
    let when = block
        .when
        .as_ref()
        .map(|when| errors.inside("when", |errors| when.compile(Missing::Holds, errors)));
    let mut edits = Vec::new();
    errors.inside("remove", |errors| {
        for (index, name) in block.remove.iter().enumerate() {
            edits.extend(
                errors
                    .inside(index, |errors| header_name(name, errors))
                    .map(Edit::Remove),
            );
        }
    });
    for (member, pairs, make) in [
        ("set", &block.set, Edit::Set as MakeEdit),
        ("default", &block.default, Edit::Default),
        ("append", &block.append, Edit::Append),
    ] {
        errors.inside(member, |errors| {
            for (index, pair) in pairs.iter().enumerate() {
                edits.extend(errors.inside(index, |errors| valued_edit(pair, phase, make, errors)));
            }
        });
    }
    errors.inside("replace", |errors| {
        for (index, replace) in block.replace.iter().enumerate() {
            edits.extend(errors.inside(index, |errors| replace_edit(replace, errors)));
        }
    });
    Block {
        when: when.filter(|when| !when.is_always()),
        edits,
    }
}

fn valued_edit(
    (name, value): &(String, String),
    phase: TemplatePhase,
    make: MakeEdit,
    errors: &mut Errors,
) -> Option<Edit> {
    let name = errors.inside(0_usize, |errors| header_name(name, errors));
    let value = errors.inside(1_usize, |errors| {
        errors.check(Template::parse(value, phase))
    });
    Some(make(name?, value?))
}

fn replace_edit(
    (name, regex, replacement): &(String, String, String),
    errors: &mut Errors,
) -> Option<Edit> {
    let name = errors.inside(0_usize, |errors| header_name(name, errors));
    let regex = errors.inside(1_usize, |errors| {
        errors
            .check(Regex::new(regex).map_err(|error| format!("not a regular expression: {error}")))
    });
    if !is_header_value(replacement.trim().as_bytes()) {
        errors.inside(2_usize, |errors| {
            errors.add("a header value has no control characters")
        });
    }
    Some(Edit::Replace(name?, regex?, replacement.clone()))
}

fn header_name(name: &str, errors: &mut Errors) -> Option<String> {
    if !is_header_name(name) {
        errors.add(format!("`{name}` is not a header name"));
        return None;
    }
    if !is_editable(name) {
        errors.add(format!(
            "`{name}` belongs to the framing of messages and cannot be edited"
        ));
        return None;
    }
    Some(name.to_ascii_lowercase())
}

impl Block {
    /// Makes the edits one after the other; each sees what those before it did.
    pub(crate) fn apply(&self, view: &mut View) {
        for edit in &self.edits {
            match edit {
                Edit::Remove(name) => view.remove(name),
                Edit::Set(name, value) => view.set(name, value),
                Edit::Default(name, value) => view.set_if_absent(name, value),
                Edit::Append(name, value) => view.append(name, value),
                Edit::Replace(name, regex, replacement) => {
                    view.replace(name, |line| {
                        regex.replace_all(line, replacement).into_owned()
                    });
                }
            }
        }
    }

    /// The fields that its edits read.
    pub(crate) fn fields(&self) -> impl Iterator<Item = Field> {
        self.edits.iter().flat_map(|edit| match edit {
            Edit::Remove(_) => Vec::new(),
            Edit::Set(_, value) => value.fields().cloned().collect(),
            Edit::Default(name, value) | Edit::Append(name, value) => value
                .fields()
                .cloned()
                .chain([Field::Header(name.clone())])
                .collect(),
            Edit::Replace(name, ..) => vec![Field::Header(name.clone())],
        })
    }
}

impl Edit {
    /// The value to be set, if any.
    pub(crate) fn value(&self) -> Option<&Template> {
        match self {
            Edit::Set(_, value) | Edit::Default(_, value) | Edit::Append(_, value) => Some(value),
            Edit::Remove(_) | Edit::Replace(..) => None,
        }
    }
}
