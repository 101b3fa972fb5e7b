//! Edits as a filter answers them: one flat value, checked as a whole before any of it is applied.

use crate::http::{Exchange, Fields, is_editable, is_host_tag, valid_name, valid_value};

use super::fault::Fault;

/// Most edits of one answer.
const EDITS_MAX: usize = 256;
/// Most bytes of the edits of one answer.
const EDIT_BYTES_MAX: usize = 256 * 1024;
/// Longest request target that a filter may set.
const TARGET_BYTES_MAX: usize = 16 * 1024;
/// Furthest that a priority lies from 0, to either side (as HAProxy's priority class).
const PRIORITY_MAX: i16 = 2047;

/// The edits of one answer in their flat form, wholly checked when the answer came.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Edits {
    flat: Vec<u8>,
    /// There is one that is applied before the others: a target or a status.
    has_first: bool,
}

/// One edit. Names are valid header names in any case; values are valid header values without outer blanks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit<'a> {
    Set {
        name: &'a [u8],
        value: &'a [u8],
    },
    Append {
        name: &'a [u8],
        value: &'a [u8],
    },
    SetIfAbsent {
        name: &'a [u8],
        value: &'a [u8],
    },
    Remove {
        name: &'a [u8],
    },
    /// Request phase only: the new path and query. At most once in an answer.
    Target(&'a [u8]),
    /// Response phase only: 200 to 599. At most once in an answer.
    Status(u16),
    /// A tag of the exchange or of the connection.
    Tag {
        name: &'a str,
        value: &'a [u8],
    },
    /// Request phase only: with what priority the request waits in queues, -2047 to 2047, lower first. At most once in an answer.
    Priority(i16),
}

/// Where an answer came from: decides which edits it may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Request,
    Response,
    Trailers,
    Accept,
    Close,
}

impl Phase {
    pub(super) fn name(self) -> &'static str {
        match self {
            Phase::Request => "request",
            Phase::Response => "response",
            Phase::Trailers => "trailers",
            Phase::Accept => "accept",
            Phase::Close => "close",
        }
    }
}

impl Edits {
    pub fn is_empty(&self) -> bool {
        self.flat.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = Edit<'_>> {
        let mut rest = self.flat.as_slice();
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let (edit, behind) = decode(rest).ok()?;
            rest = behind;
            Some(edit)
        })
    }

    /// Where those are that are applied before the others.
    fn first(&self) -> impl Iterator<Item = Edit<'_>> {
        self.has_first.then(|| self.iter()).into_iter().flatten()
    }

    /// Applies the edits to the request, all or none.
    ///
    /// # Errors
    /// A [`FaultKind::BadOutput`](super::FaultKind::BadOutput) when the new target is not one that may be forwarded, or the head grows
    /// beyond what the host carries; only the latter leaves the edits before it in place.
    pub fn apply_request(&self, exchange: &mut Exchange) -> Result<(), Fault> {
        if self.is_empty() {
            return Ok(());
        }
        for edit in self.first() {
            if let Edit::Target(target) = edit {
                let bad = |_| Fault::bad_output("the new request target cannot be forwarded");
                exchange.request.set_target(target).map_err(bad)?;
            }
        }
        for edit in self.iter() {
            match edit {
                Edit::Tag { name, value } => exchange.set_tag(name, value),
                Edit::Priority(priority) => exchange.priority = Some(priority),
                other => apply_to_fields(other, exchange.request.fields_mut())?,
            }
        }
        Ok(())
    }

    /// Applies the edits to the response.
    ///
    /// # Errors
    /// A [`FaultKind::BadOutput`](super::FaultKind::BadOutput) when the new status does not go with the body, or the head grows beyond what
    /// the host carries; only the latter leaves the edits before it in place.
    pub fn apply_response(&self, exchange: &mut Exchange) -> Result<(), Fault> {
        for edit in self.first() {
            if let Edit::Status(status) = edit {
                apply_status(status, exchange)?;
            }
        }
        for edit in self.iter() {
            match edit {
                Edit::Tag { name, value } => exchange.set_tag(name, value),
                other => apply_to_fields(other, exchange.response.fields_mut())?,
            }
        }
        Ok(())
    }

    /// The lines of trailers.
    pub(super) fn into_fields(self) -> Result<Fields, Fault> {
        let mut fields = Fields::new();
        for edit in self.iter() {
            apply_to_fields(edit, &mut fields)?;
        }
        Ok(fields)
    }

    /// Takes over what a guest answered once all of it has been checked.
    pub(super) fn check(bytes: Vec<u8>, phase: Phase) -> Result<Edits, Fault> {
        if bytes.len() > EDIT_BYTES_MAX {
            return Err(Fault::bad_output(format!(
                "{} bytes of edits; at most {EDIT_BYTES_MAX}",
                bytes.len()
            )));
        }
        let mut rest = bytes.as_slice();
        let mut seen = Seen::default();
        while !rest.is_empty() {
            let (edit, behind) = decode(rest)
                .map_err(|why| Fault::bad_output(format!("edit {}: {why}", seen.edits)))?;
            check_edit(edit, phase, &mut seen)
                .map_err(|why| Fault::bad_output(format!("edit {}: {why}", seen.edits)))?;
            rest = behind;
        }
        Ok(Edits {
            has_first: seen.target || seen.status,
            flat: bytes,
        })
    }
}

/// What may come only so often in one answer.
#[derive(Default)]
struct Seen {
    edits: usize,
    target: bool,
    status: bool,
    priority: bool,
}

fn check_edit(edit: Edit<'_>, phase: Phase, seen: &mut Seen) -> Result<(), &'static str> {
    seen.edits += 1;
    if seen.edits > EDITS_MAX {
        return Err("more than 256 edits");
    }
    let http = matches!(phase, Phase::Request | Phase::Response);
    match edit {
        Edit::Append { name, value } if phase == Phase::Trailers => check_line(name, value),
        _ if phase == Phase::Trailers => Err("trailers are lines to append"),
        Edit::Tag { name, value } => check_tag(name, value),
        _ if !http => Err("only tags may be set here"),
        Edit::Set { name, value }
        | Edit::Append { name, value }
        | Edit::SetIfAbsent { name, value } => check_line(name, value),
        Edit::Remove { name } => check_name(name),
        Edit::Target(_) if phase != Phase::Request => {
            Err("the target can be set in the request phase only")
        }
        Edit::Target(_) if std::mem::replace(&mut seen.target, true) => {
            Err("the target is set twice")
        }
        Edit::Target(target) => check_target(target),
        Edit::Status(_) if phase != Phase::Response => {
            Err("the status can be set in the response phase only")
        }
        Edit::Status(_) if std::mem::replace(&mut seen.status, true) => {
            Err("the status is set twice")
        }
        Edit::Status(status) => check_status(status),
        Edit::Priority(_) if phase != Phase::Request => {
            Err("the priority can be set in the request phase only")
        }
        Edit::Priority(_) if std::mem::replace(&mut seen.priority, true) => {
            Err("the priority is set twice")
        }
        Edit::Priority(priority) => check_priority(priority),
    }
}

pub(super) fn check_line(name: &[u8], value: &[u8]) -> Result<(), &'static str> {
    check_name(name)?;
    if valid_value(value) {
        Ok(())
    } else {
        Err("invalid header value")
    }
}

pub(super) fn check_name(name: &[u8]) -> Result<(), &'static str> {
    if !valid_name(name) {
        return Err("invalid header name");
    }
    if is_editable(name) {
        Ok(())
    } else {
        Err("a framing or hop-by-hop header cannot be edited")
    }
}

fn check_tag(name: &str, value: &[u8]) -> Result<(), &'static str> {
    if !valid_name(name.as_bytes()) {
        return Err("invalid tag name");
    }
    if is_host_tag(name) {
        return Err("tags under `tls.`, `proxy.` and `exchange.` are the host's");
    }
    if valid_value(value) {
        Ok(())
    } else {
        Err("invalid tag value")
    }
}

fn check_target(target: &[u8]) -> Result<(), &'static str> {
    let visible = |byte: &u8| byte.is_ascii_graphic() && *byte != b'#' && *byte != b'\\';
    let sound = target.first() == Some(&b'/')
        && target.len() <= TARGET_BYTES_MAX
        && target.iter().all(visible);
    if sound {
        Ok(())
    } else {
        Err("invalid request target")
    }
}

pub(super) fn check_status(status: u16) -> Result<(), &'static str> {
    if (200..=599).contains(&status) {
        Ok(())
    } else {
        Err("a status is 200 to 599")
    }
}

fn check_priority(priority: i16) -> Result<(), &'static str> {
    if (-PRIORITY_MAX..=PRIORITY_MAX).contains(&priority) {
        Ok(())
    } else {
        Err("a priority is -2047 to 2047")
    }
}

/// Writes a line in the flat form, as one to append. Longer than a name or a value can be it is not.
pub(super) fn append_flat(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    let (Ok(name_length), Ok(value_length)) =
        (u16::try_from(name.len()), u32::try_from(value.len()))
    else {
        return;
    };
    out.push(2);
    out.extend_from_slice(&name_length.to_le_bytes());
    out.extend_from_slice(name);
    out.extend_from_slice(&value_length.to_le_bytes());
    out.extend_from_slice(value);
}

/// Reads the first edit of the flat form (`wit/http.wit`, `verdict.next`) and answers what lies behind it.
fn decode(bytes: &[u8]) -> Result<(Edit<'_>, &[u8]), &'static str> {
    const CUT: &str = "cut short";
    let (&operation, rest) = bytes.split_first().ok_or(CUT)?;
    let (length, rest) = rest.split_first_chunk::<2>().ok_or(CUT)?;
    let (name, rest) = rest
        .split_at_checked(usize::from(u16::from_le_bytes(*length)))
        .ok_or(CUT)?;
    let (length, rest) = rest.split_first_chunk::<4>().ok_or(CUT)?;
    let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| CUT)?;
    let (value, rest) = rest.split_at_checked(length).ok_or(CUT)?;
    Ok((edit(operation, name, value)?, rest))
}

fn edit<'a>(operation: u8, name: &'a [u8], value: &'a [u8]) -> Result<Edit<'a>, &'static str> {
    let line = without_outer_blanks(value);
    match operation {
        1 => Ok(Edit::Set { name, value: line }),
        2 => Ok(Edit::Append { name, value: line }),
        3 => Ok(Edit::SetIfAbsent { name, value: line }),
        4 => Ok(Edit::Remove { name }),
        5 | 6 | 8 if !name.is_empty() => Err("a name where none belongs"),
        5 => Ok(Edit::Target(value)),
        6 => Ok(Edit::Status(
            decimal_status(value).ok_or("a status is three digits")?,
        )),
        7 => Ok(Edit::Tag {
            name: std::str::from_utf8(name).map_err(|_| "invalid tag name")?,
            value: line,
        }),
        8 => Ok(Edit::Priority(decimal_priority(value).ok_or(
            "a priority is one to four digits, perhaps after a minus",
        )?)),
        _ => Err("unknown operation"),
    }
}

fn decimal_status(text: &[u8]) -> Option<u16> {
    let [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9'] = *text else {
        return None;
    };
    Some(u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0'))
}

/// Neither plus nor blank, and no more digits than the greatest has; the range is checked later.
fn decimal_priority(text: &[u8]) -> Option<i16> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    if !(1..=4).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// A recipient ignores blanks around a value (RFC 9110 section 5.5), so they are dropped here instead of being a fault.
pub(super) fn without_outer_blanks(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

fn apply_status(status: u16, exchange: &mut Exchange) -> Result<(), Fault> {
    let refused = || {
        Fault::bad_output(format!(
            "status {status} does not go with the body of this response"
        ))
    };
    exchange
        .response
        .set_status(status)
        .then_some(())
        .ok_or_else(refused)
}

fn apply_to_fields(edit: Edit<'_>, fields: &mut Fields) -> Result<(), Fault> {
    let result = match edit {
        Edit::Set { name, value } => fields.set_checked(name, value),
        Edit::Append { name, value } => fields.append_checked(name, value),
        Edit::SetIfAbsent { name, value } => fields.set_if_absent(name, value).map(|_| ()),
        Edit::Remove { name } => {
            fields.remove(name);
            Ok(())
        }
        Edit::Target(_) | Edit::Status(_) | Edit::Tag { .. } | Edit::Priority(_) => Ok(()),
    };
    result.map_err(|error| Fault::bad_output(format!("edit refused: {error}")))
}

#[cfg(test)]
mod tests;
