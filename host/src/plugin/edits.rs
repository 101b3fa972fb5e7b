//! Edits as a filter answers them: one flat value, checked as a whole before any of it is applied.

use crate::http::{Exchange, Fields, is_editable, valid_name, valid_value};

use super::fault::Fault;

/// Most edits of one answer.
const EDITS_MAX: usize = 256;
/// Most bytes of the edits of one answer.
const EDIT_BYTES_MAX: usize = 256 * 1024;
/// Longest request target that a filter may set.
const TARGET_BYTES_MAX: usize = 16 * 1024;

/// The edits of one answer in their flat form, wholly checked when the answer came.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Edits(Vec<u8>);

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
}

/// Where an answer came from: decides which edits it may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Request,
    Response,
    Accept,
    Close,
}

impl Phase {
    pub(super) fn name(self) -> &'static str {
        match self {
            Phase::Request => "request",
            Phase::Response => "response",
            Phase::Accept => "accept",
            Phase::Close => "close",
        }
    }
}

impl Edits {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = Edit<'_>> {
        let mut rest = self.0.as_slice();
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let (edit, behind) = decode(rest).ok()?;
            rest = behind;
            Some(edit)
        })
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
        for edit in self.iter() {
            if let Edit::Target(target) = edit {
                let bad = |_| Fault::bad_output("the new request target cannot be forwarded");
                exchange.request.set_target(target).map_err(bad)?;
            }
        }
        for edit in self.iter() {
            match edit {
                Edit::Tag { name, value } => exchange.set_tag(name, value),
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
        for edit in self.iter() {
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
        Ok(Edits(bytes))
    }
}

/// What may come only so often in one answer.
#[derive(Default)]
struct Seen {
    edits: usize,
    target: bool,
    status: bool,
}

fn check_edit(edit: Edit<'_>, phase: Phase, seen: &mut Seen) -> Result<(), &'static str> {
    seen.edits += 1;
    if seen.edits > EDITS_MAX {
        return Err("more than 256 edits");
    }
    let http = matches!(phase, Phase::Request | Phase::Response);
    match edit {
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
        5 | 6 if !name.is_empty() => Err("a name where none belongs"),
        5 => Ok(Edit::Target(value)),
        6 => Ok(Edit::Status(
            decimal_status(value).ok_or("a status is three digits")?,
        )),
        7 => Ok(Edit::Tag {
            name: std::str::from_utf8(name).map_err(|_| "invalid tag name")?,
            value: line,
        }),
        _ => Err("unknown operation"),
    }
}

fn decimal_status(text: &[u8]) -> Option<u16> {
    let [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9'] = *text else {
        return None;
    };
    Some(u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0'))
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
        Edit::Set { name, value } => fields.set(name, value),
        Edit::Append { name, value } => fields.append(name, value),
        Edit::SetIfAbsent { name, value } => fields.set_if_absent(name, value).map(|_| ()),
        Edit::Remove { name } => {
            fields.remove(name);
            Ok(())
        }
        Edit::Target(_) | Edit::Status(_) | Edit::Tag { .. } => Ok(()),
    };
    result.map_err(|error| Fault::bad_output(format!("edit refused: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(edits: &[(u8, &[u8], &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        for (operation, name, value) in edits {
            out.push(*operation);
            out.extend_from_slice(&(name.len() as u16).to_le_bytes());
            out.extend_from_slice(name);
            out.extend_from_slice(&(value.len() as u32).to_le_bytes());
            out.extend_from_slice(value);
        }
        out
    }

    #[test]
    fn each_operation_is_read_back_in_order() {
        let bytes = flat(&[
            (1, b"x-a", b"1"),
            (2, b"X-B", b" two "),
            (3, b"x-c", b""),
            (4, b"x-d", b"ignored"),
            (5, b"", b"/p?q=1"),
            (7, b"user", b"ann"),
        ]);
        let edits = Edits::check(bytes, Phase::Request).expect("valid edits");
        let found: Vec<Edit<'_>> = edits.iter().collect();
        let expected = [
            Edit::Set {
                name: b"x-a",
                value: b"1",
            },
            Edit::Append {
                name: b"X-B",
                value: b"two",
            },
            Edit::SetIfAbsent {
                name: b"x-c",
                value: b"",
            },
            Edit::Remove { name: b"x-d" },
            Edit::Target(b"/p?q=1"),
            Edit::Tag {
                name: "user",
                value: b"ann",
            },
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn what_the_contract_forbids_is_a_fault() {
        type Case<'a> = (&'a str, Phase, Vec<(u8, &'a [u8], &'a [u8])>);
        let table: Vec<Case<'_>> = vec![
            ("unknown operation", Phase::Request, vec![(9, b"a", b"b")]),
            ("operation 0", Phase::Request, vec![(0, b"a", b"b")]),
            ("empty name", Phase::Request, vec![(1, b"", b"b")]),
            ("name with a blank", Phase::Request, vec![(1, b"a b", b"b")]),
            (
                "line break in a value",
                Phase::Response,
                vec![(1, b"a", b"b\r\nc: d")],
            ),
            ("NUL in a value", Phase::Response, vec![(2, b"a", b"\0")]),
            (
                "framing header",
                Phase::Request,
                vec![(1, b"Content-Length", b"0")],
            ),
            (
                "framing header removed",
                Phase::Request,
                vec![(4, b"transfer-encoding", b"")],
            ),
            ("host", Phase::Request, vec![(3, b"host", b"a")]),
            (
                "target in the response phase",
                Phase::Response,
                vec![(5, b"", b"/")],
            ),
            (
                "target twice",
                Phase::Request,
                vec![(5, b"", b"/"), (5, b"", b"/")],
            ),
            ("target with a name", Phase::Request, vec![(5, b"a", b"/")]),
            (
                "target without slash",
                Phase::Request,
                vec![(5, b"", b"http://a/")],
            ),
            (
                "target with a blank",
                Phase::Request,
                vec![(5, b"", b"/a b")],
            ),
            (
                "target with a fragment",
                Phase::Request,
                vec![(5, b"", b"/a#b")],
            ),
            (
                "status in the request phase",
                Phase::Request,
                vec![(6, b"", b"200")],
            ),
            ("status 199", Phase::Response, vec![(6, b"", b"199")]),
            ("status 600", Phase::Response, vec![(6, b"", b"600")]),
            (
                "status not a number",
                Phase::Response,
                vec![(6, b"", b"2 0")],
            ),
            (
                "status of four digits",
                Phase::Response,
                vec![(6, b"", b"2000")],
            ),
            (
                "header in a network phase",
                Phase::Accept,
                vec![(1, b"a", b"b")],
            ),
            (
                "tag name not UTF-8",
                Phase::Accept,
                vec![(7, b"\xff", b"b")],
            ),
            (
                "tag value with a line break",
                Phase::Accept,
                vec![(7, b"a", b"\n")],
            ),
            ("257 edits", Phase::Request, vec![(1, b"a", b"b"); 257]),
        ];
        for (what, phase, edits) in table {
            let fault = Edits::check(flat(&edits), phase).expect_err(what);
            assert_eq!(fault.kind, super::super::FaultKind::BadOutput, "{what}");
        }
    }

    #[test]
    fn limits_hold_at_their_boundary() {
        assert!(Edits::check(flat(&vec![(1, &b"a"[..], &b"b"[..]); 256]), Phase::Request).is_ok());
        for (status, sound) in [(199, false), (200, true), (599, true), (600, false)] {
            assert_eq!(check_status(status).is_ok(), sound, "{status}");
        }
        let large = vec![b'a'; EDIT_BYTES_MAX - 8];
        assert!(Edits::check(flat(&[(1, b"a", &large)]), Phase::Request).is_ok());
        let larger = vec![b'a'; EDIT_BYTES_MAX - 7];
        assert!(Edits::check(flat(&[(1, b"a", &larger)]), Phase::Request).is_err());
    }

    #[test]
    fn every_cut_of_the_flat_form_is_a_fault() {
        let bytes = flat(&[(1, b"x-a", b"value")]);
        for end in 1..bytes.len() {
            assert!(
                Edits::check(bytes[..end].to_vec(), Phase::Request).is_err(),
                "{end}"
            );
        }
        assert!(
            Edits::check(Vec::new(), Phase::Request)
                .expect("no edits")
                .is_empty()
        );
    }

    #[test]
    fn any_bytes_at_all_are_read_or_refused() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..20_000 {
            let bytes: Vec<u8> = (0..random.usize(0..40)).map(|_| random.u8(0..9)).collect();
            let length = bytes.len();
            if let Ok(edits) = Edits::check(bytes, Phase::Request) {
                assert!(edits.iter().count() <= length);
            }
        }
    }
}
