//! Edits, checked and applied as the host does.

use super::exchange::{Exchange, Headers};
use crate::bindings::http_filter::tollgate::plugin::types::{Edit, Operation};
use crate::{Part, Reply, is_editable, is_header_name, is_header_value};

pub(crate) fn constant(exchange: &mut Exchange, edits: &[Edit]) {
    for edit in edits {
        let mut value = Vec::new();
        for part in &edit.value {
            match part {
                Part::Text(text) => value.extend_from_slice(text),
                Part::Field(field) => value.extend(exchange.read(field).unwrap_or_default()),
                Part::UniqueId => value.extend_from_slice(Exchange::UNIQUE_ID.as_bytes()),
            }
        }
        let value = value.trim_ascii();
        check_header(&edit.name, value);
        let headers = current_headers(exchange);
        match edit.operation {
            Operation::Set => headers.set(&edit.name, value),
            Operation::SetIfAbsent => headers.set_if_absent(&edit.name, value),
            Operation::Append => headers.append(&edit.name, value),
            Operation::Remove => headers.remove(&edit.name),
        }
    }
}

pub(crate) fn flat(exchange: &mut Exchange, mut edits: &[u8]) {
    let mut seen = Vec::new();
    while let Some((operation, rest)) = edits.split_first() {
        let (name, rest) = take::<2>(rest);
        let (value, rest) = take::<4>(rest);
        let name = std::str::from_utf8(name).expect("a name is ASCII");
        check_lone(*operation, name, &mut seen);
        one(exchange, *operation, name, value);
        edits = rest;
    }
}

fn one(exchange: &mut Exchange, operation: u8, name: &str, value: &[u8]) {
    let text = || std::str::from_utf8(value).expect("text");
    match operation {
        1..=4 => {
            check_header(name, value);
            let headers = current_headers(exchange);
            match operation {
                1 => headers.set(name, value),
                2 => headers.append(name, value),
                3 => headers.set_if_absent(name, value),
                _ => headers.remove(name),
            }
        }
        5 => {
            assert!(
                exchange.response.is_none(),
                "the target cannot be set in the response phase"
            );
            assert!(
                text().starts_with('/'),
                "a target starts with a slash: {}",
                text()
            );
            assert!(
                text()
                    .bytes()
                    .all(|byte| byte.is_ascii_graphic() && byte != b'#'),
                "not a target: {}",
                text()
            );
            exchange.set_target(text());
        }
        6 => {
            let response = exchange
                .response
                .as_mut()
                .expect("the status is set in the response phase only");
            response.status = text().parse().expect("a status is a number");
        }
        7 => {
            exchange.tags.retain(|(tag, _)| tag != name);
            exchange.tags.push((name.to_owned(), value.to_vec()));
        }
        8 => {
            assert!(
                exchange.response.is_none(),
                "the priority cannot be set in the response phase"
            );
            exchange.priority = Some(priority(text()));
        }
        other => panic!("unknown edit {other}"),
    }
}

/// Target, status and priority have no name and come at most once.
fn check_lone(operation: u8, name: &str, seen: &mut Vec<u8>) {
    if !matches!(operation, 5 | 6 | 8) {
        return;
    }
    assert!(
        name.is_empty(),
        "edit {operation} has no name, but was given {name:?}"
    );
    assert!(
        !seen.contains(&operation),
        "edit {operation} is made twice in one answer"
    );
    seen.push(operation);
}

fn priority(text: &str) -> i16 {
    let digits = text.strip_prefix('-').unwrap_or(text);
    assert!(
        (1..=4).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()),
        "not a priority: {text}"
    );
    let priority = text.parse().expect("four digits fit");
    assert!(
        (-2047..=2047).contains(&priority),
        "a priority is -2047 to 2047, not {priority}"
    );
    priority
}

pub(crate) fn check_reply(reply: &Reply) {
    assert!(
        (200..=599).contains(&reply.status),
        "status {} in a reply",
        reply.status
    );
    assert!(
        reply.body.len() <= 1 << 20,
        "a reply's body is at most 1 MiB"
    );
    reply
        .headers
        .iter()
        .for_each(|(name, value)| check_header(name, value));
}

fn check_header(name: &str, value: &[u8]) {
    assert!(
        is_header_name(name) && name.to_ascii_lowercase() == name,
        "bad header name {name:?}"
    );
    assert!(is_editable(name), "{name} cannot be edited");
    assert!(is_header_value(value), "bad value of {name}: {value:?}");
}

fn current_headers(exchange: &mut Exchange) -> &mut Headers {
    match &mut exchange.response {
        Some(response) => &mut response.headers,
        None => &mut exchange.request,
    }
}

/// What a little-endian length of `N` bytes announces, and the rest.
fn take<const N: usize>(bytes: &[u8]) -> (&[u8], &[u8]) {
    let (length, rest) = bytes.split_at_checked(N).expect("an edit is whole");
    let length = length
        .iter()
        .rev()
        .fold(0, |number, byte| number << 8 | usize::from(*byte));
    rest.split_at_checked(length).expect("an edit is whole")
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;
    use crate::Edits;

    /// Applied in the request phase, or in the response phase.
    fn applied(edits: &Edits, response: bool) -> Result<Exchange, ()> {
        let bytes = edits.clone().into_bytes();
        let apply = move || {
            let mut exchange = Exchange::get("/");
            if response {
                exchange = exchange.response(200, &[]);
            }
            flat(&mut exchange, &bytes);
            exchange
        };
        catch_unwind(apply).map_err(|_| ())
    }

    #[test]
    fn a_priority_is_held_to_its_range_and_phase() {
        let table = [
            (-2048, None),
            (-2047, Some(-2047)),
            (0, Some(0)),
            (2047, Some(2047)),
            (2048, None),
            (i16::MIN, None),
        ];
        for (priority, expected) in table {
            let mut edits = Edits::new();
            edits.priority(priority);
            let found = applied(&edits, false).ok();
            let found = found.and_then(|exchange| exchange.priority);
            assert_eq!(found, expected, "{priority}");
            assert!(applied(&edits, true).is_err(), "{priority}");
        }
    }

    #[test]
    fn target_status_and_priority_come_at_most_once() {
        type Make = fn(&mut Edits) -> &mut Edits;
        let table: [(&str, Make, bool); 3] = [
            ("target", |edits| edits.target("/a"), false),
            ("status", |edits| edits.status(404), true),
            ("priority", |edits| edits.priority(1), false),
        ];
        for (what, make, response) in table {
            let mut edits = Edits::new();
            make(&mut edits);
            assert!(applied(&edits, response).is_ok(), "{what}");
            make(&mut edits);
            assert!(applied(&edits, response).is_err(), "{what} twice");
        }
    }
}
