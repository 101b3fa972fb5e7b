//! Header edits that the host carries out by itself: a name, an operation, a value put together from fixed text and fields.

use crate::http::{BadField, Exchange, Field, Fields, valid_value};

use super::bindings::{self, Operation};
use super::edits::{check_name, without_outer_blanks};
use super::guard::lower_name;
use super::needs::check_field;

/// Most parts of one value.
const PARTS_MAX: usize = 64;
/// Most bytes of fixed text in one value.
const TEXT_BYTES_MAX: usize = 16 * 1024;

/// One header edit whose value needs no call.
#[derive(Debug)]
pub struct ConstantEdit {
    name: Box<str>,
    action: Action,
}

#[derive(Debug)]
enum Action {
    Set(Template),
    SetIfAbsent(Template),
    Append(Template),
    Remove,
}

/// A value to be put together for each message.
#[derive(Debug)]
enum Template {
    /// The same for every message: nothing is put together.
    Fixed(Box<[u8]>),
    Parts(Vec<Part>),
}

#[derive(Debug)]
enum Part {
    Text(Box<[u8]>),
    Field(Field),
    UniqueId,
}

impl ConstantEdit {
    /// The header it edits, lower case.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn check(edit: bindings::Edit) -> Result<ConstantEdit, String> {
        let name = lower_name(edit.name)?;
        check_name(name.as_bytes()).map_err(|why| format!("`{name}`: {why}"))?;
        let template =
            || Template::check(edit.value).map_err(|why| format!("the value for `{name}`: {why}"));
        let action = match edit.operation {
            Operation::Set => Action::Set(template()?),
            Operation::SetIfAbsent => Action::SetIfAbsent(template()?),
            Operation::Append => Action::Append(template()?),
            Operation::Remove => Action::Remove,
        };
        Ok(ConstantEdit { name, action })
    }

    pub(super) fn apply_request(&self, exchange: &mut Exchange, scratch: &mut Vec<u8>) {
        self.render(exchange, scratch);
        self.apply(exchange.request.fields_mut(), scratch);
    }

    pub(super) fn apply_response(&self, exchange: &mut Exchange, scratch: &mut Vec<u8>) {
        self.render(exchange, scratch);
        self.apply(exchange.response.fields_mut(), scratch);
    }

    fn render(&self, exchange: &Exchange, scratch: &mut Vec<u8>) {
        match &self.action {
            Action::Set(Template::Parts(parts))
            | Action::SetIfAbsent(Template::Parts(parts))
            | Action::Append(Template::Parts(parts)) => {
                scratch.clear();
                parts.iter().for_each(|part| part.render(exchange, scratch));
            }
            _ => {}
        }
    }

    fn apply(&self, fields: &mut Fields, rendered: &[u8]) {
        let name = self.name.as_bytes();
        let result = match &self.action {
            Action::Set(template) => fields.set(name, template.value(rendered)),
            Action::SetIfAbsent(template) => fields
                .set_if_absent(name, template.value(rendered))
                .map(|_| ()),
            Action::Append(template) => fields.append(name, template.value(rendered)),
            Action::Remove => {
                fields.remove(name);
                Ok(())
            }
        };
        // Names and fixed values were checked when the plugin was configured, and fields of a message are valid values. What is left is
        // a head that has grown to the limit of what the host carries; it goes on without the line.
        debug_assert!(
            matches!(result, Ok(()) | Err(BadField::TooLarge | BadField::Value)),
            "{result:?}"
        );
    }
}

impl Template {
    fn check(parts: Vec<bindings::Part>) -> Result<Template, String> {
        if parts.len() > PARTS_MAX {
            return Err(format!("{} parts; at most {PARTS_MAX}", parts.len()));
        }
        let parts = parts
            .into_iter()
            .map(Part::check)
            .collect::<Result<Vec<_>, _>>()?;
        let text: Vec<u8> = parts
            .iter()
            .filter_map(Part::text)
            .flatten()
            .copied()
            .collect();
        if text.len() > TEXT_BYTES_MAX {
            return Err(format!("{} bytes; at most {TEXT_BYTES_MAX}", text.len()));
        }
        if parts.iter().all(|part| part.text().is_some()) {
            return Ok(Template::Fixed(without_outer_blanks(&text).into()));
        }
        Ok(Template::Parts(parts))
    }

    fn value<'a>(&'a self, rendered: &'a [u8]) -> &'a [u8] {
        match self {
            Template::Fixed(value) => value,
            Template::Parts(_) => rendered,
        }
    }
}

impl Part {
    fn check(part: bindings::Part) -> Result<Part, String> {
        match part {
            // Blanks at the ends of a part may stand in the middle of the value.
            bindings::Part::Text(text) if valid_value(without_outer_blanks(&text)) => {
                Ok(Part::Text(text.into()))
            }
            bindings::Part::Text(text) => Err(format!(
                "`{}` cannot stand in a header",
                text.escape_ascii()
            )),
            bindings::Part::Field(field) => check_field(field).map(Part::Field),
            bindings::Part::UniqueId => Ok(Part::UniqueId),
        }
    }

    fn text(&self) -> Option<&[u8]> {
        match self {
            Part::Text(text) => Some(text),
            Part::Field(_) | Part::UniqueId => None,
        }
    }

    fn render(&self, exchange: &Exchange, out: &mut Vec<u8>) {
        match self {
            Part::Text(text) => out.extend_from_slice(text),
            Part::UniqueId => out.extend_from_slice(&exchange.unique_id()),
            Part::Field(field) => {
                // An absent field adds nothing.
                exchange.read(field, out);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bindings::Part as Raw;

    fn edit(name: &str, operation: Operation, value: Vec<Raw>) -> Result<ConstantEdit, String> {
        ConstantEdit::check(bindings::Edit {
            name: name.to_owned(),
            operation,
            value,
        })
    }

    #[test]
    fn only_what_can_always_be_carried_out_is_accepted() {
        let text = |text: &[u8]| vec![Raw::Text(text.to_vec())];
        let table: Vec<(&str, &str, Vec<Raw>, bool)> = vec![
            ("plain", "x-a", text(b"b"), true),
            ("upper case", "X-A", text(b"b"), false),
            ("framing", "content-length", text(b"1"), false),
            ("hop by hop", "connection", text(b"close"), false),
            ("line break", "x-a", text(b"b\r\nc: d"), false),
            ("line break at the end", "x-a", text(b"b\n"), false),
            ("many parts", "x-a", vec![Raw::UniqueId; 64], true),
            ("too many parts", "x-a", vec![Raw::UniqueId; 65], false),
            ("long", "x-a", text(&[b'a'; TEXT_BYTES_MAX]), true),
            ("too long", "x-a", text(&[b'a'; TEXT_BYTES_MAX + 1]), false),
            (
                "bad field",
                "x-a",
                vec![Raw::Field(bindings::Field::Header("A B".to_owned()))],
                false,
            ),
        ];
        for (what, name, value, sound) in table {
            assert_eq!(edit(name, Operation::Set, value).is_ok(), sound, "{what}");
        }
    }

    #[test]
    fn text_alone_becomes_one_fixed_value() {
        let parts = vec![Raw::Text(b" a ".to_vec()), Raw::Text(b"b ".to_vec())];
        let edit = edit("x-a", Operation::Append, parts).expect("valid edit");
        assert!(
            matches!(&edit.action, Action::Append(Template::Fixed(value)) if **value == *b"a b")
        );
    }
}
