//! Distinguished names as text, by RFC 4514.

use std::fmt::Write as _;

use x509_parser::asn1_rs::{Any, Tag, ToDer};
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

use super::digest::hex;

/// RFC 4514 section 3, and the two that certificates carry most often besides, under the names that OpenSSL gives them.
const ATTRIBUTES: [(&str, &str); 11] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.6", "C"),
    ("2.5.4.9", "STREET"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
    ("2.5.4.5", "serialNumber"),
];

/// The last part first, parts joined by `,`, several attributes of one part by `+`. Attributes without a name here are written by number with
/// their value in hexadecimal, as section 2.4 has it. No control character is left.
pub(super) fn distinguished_name(name: &X509Name<'_>) -> Box<str> {
    let parts: Vec<String> = name
        .iter_rdn()
        .map(|part| part.iter().map(attribute).collect::<Vec<_>>().join("+"))
        .collect();
    let last_first: Vec<_> = parts.into_iter().rev().collect();
    last_first.join(",").into()
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let number = attribute.attr_type().to_id_string();
    let known = ATTRIBUTES.iter().find(|(known, _)| *known == number);
    let text = text(attribute.attr_value());
    match (known, text) {
        (Some((_, name)), Some(text)) => format!("{name}={}", escape(&text)),
        (known, _) => {
            let name = known.map_or(&*number, |(_, name)| *name);
            format!("{name}=#{}", encoded(attribute.attr_value()))
        }
    }
}

/// The value of an ASN.1 string, where it holds what its type allows.
fn text(value: &Any<'_>) -> Option<String> {
    let bytes = value.data;
    match value.tag() {
        Tag::Utf8String => std::str::from_utf8(bytes).ok().map(str::to_owned),
        Tag::PrintableString | Tag::Ia5String | Tag::NumericString | Tag::VisibleString => {
            let ascii = bytes.is_ascii().then_some(bytes)?;
            std::str::from_utf8(ascii).ok().map(str::to_owned)
        }
        // In practice these are Latin-1.
        Tag::T61String => Some(bytes.iter().copied().map(char::from).collect()),
        Tag::BmpString => {
            let (units, rest) = bytes.as_chunks::<2>();
            let units: Vec<_> = units.iter().map(|unit| u16::from_be_bytes(*unit)).collect();
            String::from_utf16(&units).ok().filter(|_| rest.is_empty())
        }
        Tag::UniversalString => {
            let (units, rest) = bytes.as_chunks::<4>();
            let characters = units
                .iter()
                .map(|unit| char::from_u32(u32::from_be_bytes(*unit)));
            characters
                .collect::<Option<_>>()
                .filter(|_| rest.is_empty())
        }
        _ => None,
    }
}

/// RFC 4514 section 2.4; control characters too, which it allows to escape.
fn escape(text: &str) -> String {
    let last = text.chars().count().saturating_sub(1);
    let mut out = String::with_capacity(text.len());
    for (at, character) in text.chars().enumerate() {
        let is_special = match character {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => true,
            '#' => at == 0,
            ' ' => at == 0 || at == last,
            _ => false,
        };
        if character.is_control() {
            for byte in character.to_string().bytes() {
                let _ = write!(out, "\\{byte:02x}");
            }
            continue;
        }
        if is_special {
            out.push('\\');
        }
        out.push(character);
    }
    out
}

/// The whole encoding of a value; nothing for one that cannot be encoded again.
fn encoded(value: &Any<'_>) -> Box<str> {
    hex(&value.to_der_vec().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_characters_are_escaped() {
        for (text, expected) in [
            ("plain name", "plain name"),
            ("", ""),
            (" both ends ", r"\ both ends\ "),
            (" ", r"\ "),
            ("# first, # later", r"\# first\, # later"),
            (r#"a"b+c;d<e>f\g"#, r#"a\"b\+c\;d\<e\>f\\g"#),
            ("line\r\nbreak\0", r"line\0d\0abreak\00"),
            ("\u{85}", r"\c2\85"),
            ("Bücher", "Bücher"),
        ] {
            assert_eq!(escape(text), expected, "{text:?}");
        }
    }

    #[test]
    fn strings_of_every_type_are_read_and_bad_ones_are_not() {
        for (tag, bytes, expected) in [
            (Tag::Utf8String, "Bü".as_bytes(), Some("Bü")),
            (Tag::Utf8String, b"\xff", None),
            (Tag::PrintableString, b"abc", Some("abc")),
            (Tag::PrintableString, b"\xfc", None),
            (Tag::T61String, b"B\xfc", Some("Bü")),
            (Tag::BmpString, b"\0B\0\xfc", Some("Bü")),
            (Tag::BmpString, b"\0B\0", None),
            (Tag::BmpString, b"\xd8\0", None),
            (Tag::UniversalString, b"\0\0\0B", Some("B")),
            (Tag::UniversalString, b"\xff\0\0B", None),
            (Tag::OctetString, b"x", None),
        ] {
            let found = text(&Any::from_tag_and_data(tag, bytes));
            assert_eq!(found.as_deref(), expected, "{tag:?} {bytes:?}");
        }
    }
}
