//! A list of endpoints in JSON: `["10.0.0.1:80", {"address": "10.0.0.2:80", "weight": 2}]`.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::entry::{self, Fault, Seen};
use super::{ENDPOINTS_MAX, Found};

/// # Errors
/// What stands in place of what was expected.
pub(super) fn parse(text: &str) -> Result<Vec<Found>, Fault> {
    match serde_json::from_str::<List>(text) {
        Ok(List(found)) => Ok(found),
        Err(error) => Err(fault(&error)),
    }
}

/// The message without the place that it ends with.
fn fault(error: &serde_json::Error) -> Fault {
    let (line, column) = (error.line(), error.column());
    let message = error.to_string();
    let place = format!(" at line {line} column {column}");
    let expected = message.strip_suffix(&place).unwrap_or(&message);
    Fault::new(line.max(1), expected)
}

struct List(Vec<Found>);

impl<'de> Deserialize<'de> for List {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ListVisitor)
    }
}

struct ListVisitor;

impl<'de> Visitor<'de> for ListVisitor {
    type Value = List;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of endpoints")
    }

    // Checked here and not afterwards, while the parser still knows the line.
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<List, A::Error> {
        let (mut list, mut seen) = (Vec::new(), Seen::default());
        while let Some(Item(found)) = items.next_element()? {
            seen.note(&found).map_err(A::Error::custom)?;
            list.push(found);
            if list.len() > ENDPOINTS_MAX {
                let expected = format!("expected at most {ENDPOINTS_MAX} endpoints");
                return Err(A::Error::custom(expected));
            }
        }
        Ok(List(list))
    }
}

struct Item(Found);

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ItemVisitor)
    }
}

struct ItemVisitor;

impl<'de> Visitor<'de> for ItemVisitor {
    type Value = Item;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address like \"10.0.0.1:80\" or an object with an `address`")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Item, E> {
        let address = entry::address(text).map_err(E::custom)?;
        Ok(Item(Found::at(address)))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Item, A::Error> {
        let object = Object::deserialize(MapAccessDeserializer::new(map))?;
        object.found().map(Item).map_err(A::Error::custom)
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Object {
    address: String,
    weight: Option<i64>,
    requests_max: Option<i64>,
    #[serde(default)]
    backup: bool,
    zone: Option<String>,
    id: Option<String>,
}

impl Object {
    fn found(self) -> Result<Found, String> {
        let weight = self.weight.map(|number| entry::weight(number.into()));
        let requests = self.requests_max.map(i128::from);
        let text = |key, value: Option<String>| value.map(|value| entry::text(key, value));
        Ok(Found {
            weight: weight.transpose()?.unwrap_or(1),
            requests_max: requests.map(entry::requests_max).transpose()?,
            backup: self.backup,
            zone: text("zone", self.zone).transpose()?,
            id: text("id", self.id).transpose()?,
            ..Found::at(entry::address(&self.address)?)
        })
    }
}
