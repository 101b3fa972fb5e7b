//! What a table remembers a request by.

use sha2::{Digest, Sha256};

use super::cookie::find_cookie;
use crate::config::KeyPart;
use crate::http::{ConnectionFacts, Exchange, Field};

/// A longer key is kept as a hash.
const KEY_BYTES_MAX: usize = 256;

/// The first byte of a key that is kept as it is.
const PLAIN: u8 = 0;

/// The first byte of a key that is kept as the first 16 bytes of its SHA-256. Not a faster hash: whoever can choose the key must not be able to
/// find two that are the same, and so take over somebody's entry.
const HASHED: u8 = 1;

/// A key of a table: at most 257 bytes, whatever it was made of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key(Box<[u8]>);

/// The pieces that keys of a cluster are made of.
#[derive(Debug)]
pub(super) struct KeyTemplate {
    parts: Box<[KeyPart]>,
}

impl Key {
    /// The key for a text.
    pub(super) fn of(text: &[u8]) -> Key {
        let mut tagged = Vec::with_capacity(text.len() + 1);
        tagged.push(PLAIN);
        tagged.extend_from_slice(text);
        Key::of_tagged(tagged)
    }

    /// As the template made it, for people; a hash as `sha256:` and hexadecimal digits.
    pub(super) fn text(&self) -> String {
        match self.0.split_first() {
            Some((&HASHED, hash)) => {
                let digits = hash.iter().map(|byte| format!("{byte:02x}"));
                format!("sha256:{}", digits.collect::<String>())
            }
            Some((_, text)) => String::from_utf8_lossy(text).into_owned(),
            None => String::new(),
        }
    }

    /// `tagged` begins with [`PLAIN`].
    fn of_tagged(tagged: Vec<u8>) -> Key {
        if tagged.len() <= KEY_BYTES_MAX + 1 {
            return Key(tagged.into_boxed_slice());
        }
        let hash = Sha256::digest(&tagged[1..]);
        Key([&[HASHED], &hash[..16]].concat().into_boxed_slice())
    }
}

impl KeyTemplate {
    pub(super) fn new(parts: &[KeyPart]) -> KeyTemplate {
        KeyTemplate {
            parts: parts.into(),
        }
    }

    /// The key of a request; `None` when there is nothing in it but the texts of the template. What is there and empty counts as absent, so
    /// that all requests with an empty header do not end at one endpoint.
    pub(super) fn of_request(&self, exchange: &Exchange) -> Option<Key> {
        self.make(|part, out| write_of_request(part, exchange, out))
    }

    /// The key of a TCP connection.
    pub(super) fn of_connection(&self, facts: &ConnectionFacts) -> Option<Key> {
        self.make(|part, out| write_of_connection(part, facts, out))
    }

    fn make(&self, mut write: impl FnMut(&KeyPart, &mut Vec<u8>)) -> Option<Key> {
        let mut tagged = Vec::with_capacity(64);
        tagged.push(PLAIN);
        let mut is_present = false;
        for part in &self.parts {
            if let KeyPart::Text(text) = part {
                tagged.extend_from_slice(text.as_bytes());
                continue;
            }
            let before = tagged.len();
            write(part, &mut tagged);
            is_present |= tagged.len() > before;
        }
        is_present.then(|| Key::of_tagged(tagged))
    }
}

/// Appends a piece of the request, if it is there.
fn write_of_request(part: &KeyPart, exchange: &Exchange, out: &mut Vec<u8>) {
    let field = match part {
        KeyPart::Text(_) => return,
        KeyPart::Source => Field::ClientAddress,
        KeyPart::Method => Field::Method,
        KeyPart::Host => Field::Host,
        KeyPart::Path => Field::Path,
        KeyPart::Query => Field::Query,
        KeyPart::Scheme => Field::Scheme,
        KeyPart::Header(name) => {
            exchange.request.fields().joined(name.as_bytes(), out);
            return;
        }
        KeyPart::Cookie(name) => {
            let value = find_cookie(exchange.request.fields(), name.as_bytes());
            out.extend_from_slice(value.unwrap_or_default());
            return;
        }
        KeyPart::Tag(name) => {
            exchange.read_tag(name, out);
            return;
        }
    };
    exchange.read(&field, out);
}

/// Appends a piece of the connection, if it is there; a TCP connection has no message.
fn write_of_connection(part: &KeyPart, facts: &ConnectionFacts, out: &mut Vec<u8>) {
    match part {
        KeyPart::Source => {
            facts.read(&Field::ClientAddress, facts.accepted, out);
        }
        KeyPart::Scheme => out.extend_from_slice(facts.scheme.as_str().as_bytes()),
        KeyPart::Tag(name) => {
            facts.read_tag(name, out);
        }
        KeyPart::Text(_)
        | KeyPart::Method
        | KeyPart::Host
        | KeyPart::Path
        | KeyPart::Query
        | KeyPart::Header(_)
        | KeyPart::Cookie(_) => {}
    }
}

#[cfg(test)]
mod tests;
