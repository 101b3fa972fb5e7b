//! The shape of settings as a constant tree, and its JSON Schema. Everything here can run at compile time, so that a component carries its
//! schema in a custom section and the host can read it without running anything.

/// The shape of a setting's value. Built by `#[derive(Settings)]`; see [`Settings`](crate::Settings).
#[derive(Clone, Copy, Debug)]
pub enum Schema {
    /// Any value at all.
    Any,
    /// `true` or `false`.
    Boolean,
    /// A whole number within these bounds, both included.
    Integer {
        /// Least value.
        minimum: i64,
        /// Greatest value.
        maximum: i64,
    },
    /// Any number.
    Number,
    /// A string; the format, if any, is `duration` or `size`.
    Text {
        /// How the text is to be read.
        format: Option<&'static str>,
    },
    /// One of these strings.
    Choice(&'static [&'static str]),
    /// A list of equal items.
    List(&'static Schema),
    /// A list with one shape for each position, of which the first `required` must be there.
    Tuple {
        /// The shapes.
        items: &'static [Schema],
        /// How many are required.
        required: usize,
    },
    /// An object with known members.
    Object(&'static [Member]),
}

/// A member of an object.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    /// Kebab-case.
    pub name: &'static str,
    /// What it means: the doc comment of the field.
    pub description: &'static str,
    /// The shape of its value.
    pub schema: Schema,
    /// What holds when it is absent, as JSON.
    pub default: Option<&'static str>,
    /// Must be there.
    pub required: bool,
    /// Is filled by a positional argument of the KDL node.
    pub argument: bool,
    /// Its own members stand among those of the object around it.
    pub flatten: bool,
}

impl Schema {
    /// Whether an object of this shape has such a member. False for other shapes.
    #[must_use]
    pub fn has_member(&self, name: &str) -> bool {
        let Schema::Object(members) = self else {
            return false;
        };
        members.iter().any(|member| match member.flatten {
            true => member.schema.has_member(name),
            false => member.name == name,
        })
    }
}

/// Writes JSON at compile time. With `N` = 0 it only counts, which gives the `N` of the second run.
pub(crate) struct Writer<const N: usize> {
    pub(crate) bytes: [u8; N],
    pub(crate) length: usize,
}

impl<const N: usize> Writer<N> {
    pub(crate) const fn new() -> Self {
        Writer {
            bytes: [0; N],
            length: 0,
        }
    }

    /// Text as it is.
    pub(crate) const fn raw(&mut self, text: &str) {
        let text = text.as_bytes();
        let mut at = 0;
        while at < text.len() {
            self.byte(text[at]);
            at += 1;
        }
    }

    /// A JSON string.
    pub(crate) const fn text(&mut self, text: &str) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let text = text.as_bytes();
        let mut at = 0;
        self.byte(b'"');
        while at < text.len() {
            match text[at] {
                b'"' => self.raw("\\\""),
                b'\\' => self.raw("\\\\"),
                b'\n' => self.raw("\\n"),
                byte if byte < 0x20 => {
                    self.raw("\\u00");
                    self.byte(HEX[(byte >> 4) as usize]);
                    self.byte(HEX[(byte & 15) as usize]);
                }
                byte => self.byte(byte),
            }
            at += 1;
        }
        self.byte(b'"');
    }

    /// The JSON Schema (draft 2020-12) of a shape, with what its member says of it. Which members the positional arguments of a KDL node
    /// fill is told by the extension keyword `x-arguments`.
    pub(crate) const fn schema(
        &mut self,
        schema: &Schema,
        description: &str,
        default: Option<&str>,
    ) {
        self.byte(b'{');
        let start = self.length;
        match schema {
            Schema::Any => {}
            Schema::Boolean => self.raw("\"type\":\"boolean\""),
            Schema::Integer { minimum, maximum } => {
                self.raw("\"type\":\"integer\",\"minimum\":");
                self.integer(*minimum);
                self.raw(",\"maximum\":");
                self.integer(*maximum);
            }
            Schema::Number => self.raw("\"type\":\"number\""),
            Schema::Text { format } => self.text_schema(*format),
            Schema::Choice(choices) => self.choice(choices),
            Schema::List(item) => {
                self.raw("\"type\":\"array\",\"items\":");
                self.schema(item, "", None);
            }
            Schema::Tuple { items, required } => self.tuple(items, *required),
            Schema::Object(members) => self.object(members),
        }
        if !description.is_empty() {
            self.comma(start);
            self.raw("\"description\":");
            self.text(description);
        }
        if let Some(default) = default {
            self.comma(start);
            self.raw("\"default\":");
            self.raw(default);
        }
        self.byte(b'}');
    }

    const fn text_schema(&mut self, format: Option<&str>) {
        self.raw("\"type\":\"string\"");
        if let Some(format) = format {
            self.raw(",\"format\":");
            self.text(format);
        }
    }

    const fn choice(&mut self, choices: &[&str]) {
        self.raw("\"type\":\"string\",\"enum\":[");
        let start = self.length;
        let mut at = 0;
        while at < choices.len() {
            self.comma(start);
            self.text(choices[at]);
            at += 1;
        }
        self.byte(b']');
    }

    const fn tuple(&mut self, items: &[Schema], required: usize) {
        self.raw("\"type\":\"array\",\"prefixItems\":[");
        let start = self.length;
        let mut at = 0;
        while at < items.len() {
            self.comma(start);
            self.schema(&items[at], "", None);
            at += 1;
        }
        self.raw("],\"items\":false,\"minItems\":");
        self.integer(required as i64);
        self.raw(",\"maxItems\":");
        self.integer(items.len() as i64);
    }

    const fn object(&mut self, members: &[Member]) {
        self.raw("\"type\":\"object\",\"properties\":{");
        let start = self.length;
        self.properties(members, start);
        self.raw("},\"additionalProperties\":false,\"required\":[");
        let start = self.length;
        self.names(members, Which::Required, start);
        self.raw("],\"x-arguments\":[");
        let start = self.length;
        self.names(members, Which::Arguments, start);
        self.byte(b']');
    }

    const fn properties(&mut self, members: &[Member], start: usize) {
        let mut at = 0;
        while at < members.len() {
            let member = &members[at];
            if let (true, Schema::Object(inner)) = (member.flatten, &member.schema) {
                self.properties(inner, start);
            } else {
                self.comma(start);
                self.text(member.name);
                self.byte(b':');
                self.schema(&member.schema, member.description, member.default);
            }
            at += 1;
        }
    }

    const fn names(&mut self, members: &[Member], which: Which, start: usize) {
        let mut at = 0;
        while at < members.len() {
            let member = &members[at];
            let wanted = match which {
                Which::Required => member.required,
                Which::Arguments => member.argument,
            };
            if let (true, Schema::Object(inner)) = (member.flatten, &member.schema) {
                self.names(inner, which, start);
            } else if wanted {
                self.comma(start);
                self.text(member.name);
            }
            at += 1;
        }
    }

    /// A comma, unless nothing has been written since `start`.
    const fn comma(&mut self, start: usize) {
        if self.length > start {
            self.byte(b',');
        }
    }

    const fn integer(&mut self, number: i64) {
        if number < 0 {
            self.byte(b'-');
        }
        let mut rest = number.unsigned_abs();
        let mut power = 1;
        while rest / power >= 10 {
            power *= 10;
        }
        while power > 0 {
            self.byte(b'0' + (rest / power) as u8);
            rest %= power;
            power /= 10;
        }
    }

    const fn byte(&mut self, byte: u8) {
        if self.length < N {
            self.bytes[self.length] = byte;
        }
        self.length += 1;
    }
}

#[derive(Clone, Copy)]
enum Which {
    Required,
    Arguments,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(schema: &Schema) -> String {
        let mut writer = Writer::<4096>::new();
        writer.schema(schema, "", None);
        let mut counter = Writer::<0>::new();
        counter.schema(schema, "", None);
        assert_eq!(counter.length, writer.length);
        String::from_utf8(writer.bytes[..writer.length].to_vec()).expect("made of strings")
    }

    const TEXT: Schema = Schema::Text { format: None };

    const fn member(name: &'static str, schema: Schema) -> Member {
        Member {
            name,
            description: "",
            schema,
            default: None,
            required: false,
            argument: false,
            flatten: false,
        }
    }

    #[test]
    fn every_shape_becomes_json_schema() {
        let cases: [(Schema, &str); 8] = [
            (Schema::Any, "{}"),
            (Schema::Boolean, r#"{"type":"boolean"}"#),
            (
                Schema::Integer {
                    minimum: -10,
                    maximum: i64::MAX,
                },
                r#"{"type":"integer","minimum":-10,"maximum":9223372036854775807}"#,
            ),
            (Schema::Number, r#"{"type":"number"}"#),
            (
                Schema::Text {
                    format: Some("duration"),
                },
                r#"{"type":"string","format":"duration"}"#,
            ),
            (
                Schema::Choice(&["a", "b\"\\\n\u{1}"]),
                r#"{"type":"string","enum":["a","b\"\\\n\u0001"]}"#,
            ),
            (
                Schema::List(&TEXT),
                r#"{"type":"array","items":{"type":"string"}}"#,
            ),
            (
                Schema::Tuple {
                    items: &[TEXT, Schema::Any],
                    required: 1,
                },
                r#"{"type":"array","prefixItems":[{"type":"string"},{}],"items":false,"minItems":1,"maxItems":2}"#,
            ),
        ];
        for (schema, expected) in cases {
            assert_eq!(written(&schema), expected);
        }
    }

    #[test]
    fn flattened_members_stand_among_the_others() {
        const INNER: Schema = Schema::Object(&[Member {
            required: true,
            argument: true,
            ..member("in", TEXT)
        }]);
        const OUTER: Schema = Schema::Object(&[
            Member {
                default: Some("false"),
                description: "On.",
                ..member("on", Schema::Boolean)
            },
            Member {
                flatten: true,
                ..member("inner", INNER)
            },
        ]);
        assert_eq!(
            written(&OUTER),
            r#"{"type":"object","properties":{"on":{"type":"boolean","description":"On.","default":false},"in":{"type":"string"}},"additionalProperties":false,"required":["in"],"x-arguments":["in"]}"#
        );
        assert!(OUTER.has_member("in") && OUTER.has_member("on") && !OUTER.has_member("inner"));
    }
}
