//! A list of endpoints in KDL 2, one node on a line: `endpoint "10.0.0.1:80" weight=2 zone="a"`.
//!
//! Each line is parsed by itself: the KDL parser calls itself for each block, comment and error inside another one, so what it is given at
//! once must be short. Nothing in such a list needs more than a line.

use ::kdl::{KdlDocument, KdlEntry, KdlNode, KdlValue};

use super::entry::{self, Fault, Seen};
use super::{ENDPOINTS_MAX, Found};

/// An address and four properties, two of them texts of 256 bytes.
const LINE_BYTES_MAX: usize = 1024;

/// # Errors
/// What stands in place of what was expected.
pub(super) fn parse(text: &str) -> Result<Vec<Found>, Fault> {
    let (mut list, mut seen) = (Vec::new(), Seen::default());
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (number, line) in (1..).zip(text.lines()) {
        let fault = |expected: String| Fault::new(number, expected);
        for node in nodes(line).map_err(fault)? {
            let found = endpoint(&node).map_err(fault)?;
            seen.note(&found).map_err(fault)?;
            list.push(found);
        }
        if list.len() > ENDPOINTS_MAX {
            let expected = format!("expected at most {ENDPOINTS_MAX} endpoints");
            return Err(fault(expected));
        }
    }
    Ok(list)
}

fn nodes(line: &str) -> Result<Vec<KdlNode>, String> {
    if line.len() > LINE_BYTES_MAX {
        return Err(format!(
            "expected one endpoint on a line of at most {LINE_BYTES_MAX} bytes"
        ));
    }
    let mut document = KdlDocument::parse_v2(line).map_err(|error| syntax(&error))?;
    Ok(std::mem::take(document.nodes_mut()))
}

fn syntax(error: &::kdl::KdlError) -> String {
    let detail = error.diagnostics.first();
    let detail = detail.and_then(|diagnostic| diagnostic.message.as_deref());
    format!(
        "expected a KDL node on one line, like `endpoint \"10.0.0.1:80\" weight=2`: {}",
        detail.unwrap_or("this is none")
    )
}

fn endpoint(node: &KdlNode) -> Result<Found, String> {
    let name = node.name().value();
    if name != "endpoint" || node.ty().is_some() {
        return Err(format!("expected `endpoint`, found `{name}`"));
    }
    if node.children().is_some() {
        return Err("expected no block".to_owned());
    }
    let (properties, arguments): (Vec<&KdlEntry>, Vec<_>) = node
        .entries()
        .iter()
        .partition(|entry| entry.name().is_some());
    let [argument] = arguments[..] else {
        return Err("expected one address like \"10.0.0.1:80\"".to_owned());
    };
    let mut found = Found::at(entry::address(&string("the address", argument)?)?);
    let mut names = std::collections::HashSet::new();
    for property in properties {
        let key = property.name().map_or("", |name| name.value());
        if !names.insert(key) {
            return Err(format!("expected `{key}` once"));
        }
        set(&mut found, key, property)?;
    }
    Ok(found)
}

fn set(found: &mut Found, key: &str, entry: &KdlEntry) -> Result<(), String> {
    match key {
        "weight" => found.weight = entry::weight(integer(key, entry)?)?,
        "requests-max" => found.requests_max = Some(entry::requests_max(integer(key, entry)?)?),
        "backup" => found.backup = boolean(key, entry)?,
        "zone" => found.zone = Some(entry::text(key, string(key, entry)?)?),
        "id" => found.id = Some(entry::text(key, string(key, entry)?)?),
        _ => {
            return Err(format!(
                "expected `weight`, `requests-max`, `backup`, `zone` or `id`, found `{key}`"
            ));
        }
    }
    Ok(())
}

fn string(key: &str, entry: &KdlEntry) -> Result<String, String> {
    match entry.value() {
        KdlValue::String(text) if entry.ty().is_none() => Ok(text.clone()),
        _ => Err(format!("expected {key} as a string")),
    }
}

fn integer(key: &str, entry: &KdlEntry) -> Result<i128, String> {
    match entry.value() {
        KdlValue::Integer(number) if entry.ty().is_none() => Ok(*number),
        _ => Err(format!("expected `{key}` as a whole number")),
    }
}

fn boolean(key: &str, entry: &KdlEntry) -> Result<bool, String> {
    match entry.value() {
        KdlValue::Bool(value) if entry.ty().is_none() => Ok(*value),
        _ => Err(format!("expected `{key}` as #true or #false")),
    }
}
