//! Reads and edits `Cookie` and `Set-Cookie` lines.
//!
//! A `Cookie` line is read as servers read it (RFC 6265 sections 4.2 and 5.2): split at every `;`, name and value split at the first `=`, blanks
//! around both dropped, names compared with regard to case. Quotes have no meaning and are part of the value.

use std::ops::Range;

use crate::http::Fields;

const COOKIE: &[u8] = b"Cookie";
const SET_COOKIE: &[u8] = b"Set-Cookie";

/// What becomes of a cookie on a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate<'v> {
    Keep,
    Remove,
    /// Its value is replaced by a part of itself.
    Replace(&'v [u8]),
}

/// What becomes of a cookie that the upstream sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SetFate<'v> {
    Remove,
    Replace(&'v [u8]),
    /// This and a [`PREFIX_END`] are put before its value.
    Prefix(&'v [u8]),
}

/// Ends the prefix of a value, as HAProxy's `COOKIE_DELIM` does.
pub(super) const PREFIX_END: u8 = b'~';

/// The value of the first cookie of this name.
pub(super) fn find_cookie<'f>(fields: &'f Fields, name: &[u8]) -> Option<&'f [u8]> {
    fields
        .get_all(COOKIE)
        .flat_map(pieces)
        .find_map(|piece| value_in(piece, name).map(|value| &piece[value]))
}

/// Shows the value of every cookie of this name to `judge`, in order, and does with it what that says. Without such a cookie, or when all
/// are kept, nothing is copied.
///
/// Edited lines are joined to one. In a head that has reached its size limit nothing is edited: the upstream then sees the cookie.
pub(super) fn edit_cookies(
    fields: &mut Fields,
    name: &[u8],
    mut judge: impl for<'v> FnMut(&'v [u8]) -> Fate<'v>,
) {
    if find_cookie(fields, name).is_none() {
        return;
    }
    let (mut out, mut edited) = (Vec::new(), false);
    for line in fields.get_all(COOKIE) {
        edited |= append_edited(line, name, &mut judge, &mut out);
    }
    if edited && out.is_empty() {
        fields.remove(COOKIE);
    } else if edited {
        let _at_the_size_limit = fields.set(COOKIE, &out);
    }
}

/// Does `fate` to every `Set-Cookie` line of this name and says whether there was one. In a head that has reached its size limit a line that no
/// longer fits is lost.
pub(super) fn edit_set_cookies(fields: &mut Fields, name: &[u8], fate: SetFate<'_>) -> bool {
    let is_named = |line| value_in(first_piece(line), name).is_some();
    if !fields.get_all(SET_COOKIE).any(is_named) {
        return false;
    }
    let lines: Vec<Vec<u8>> = fields
        .get_all(SET_COOKIE)
        .filter_map(|line| edit_set_cookie(line, name, fate))
        .collect();
    fields.remove(SET_COOKIE);
    for line in lines {
        let _at_the_size_limit = fields.append(SET_COOKIE, &line);
    }
    true
}

/// Adds a `Set-Cookie` line and says whether it could be.
pub(super) fn append_set_cookie(fields: &mut Fields, line: &[u8]) -> bool {
    fields.append(SET_COOKIE, line).is_ok()
}

/// Appends a `Cookie` line as it is after the edits to `out`, which holds the lines before it, and says whether there were edits.
fn append_edited(
    line: &[u8],
    name: &[u8],
    judge: &mut impl for<'v> FnMut(&'v [u8]) -> Fate<'v>,
    out: &mut Vec<u8>,
) -> bool {
    let before = out.len();
    if before > 0 {
        out.extend_from_slice(b"; ");
    }
    let start = out.len();
    let (mut is_first, mut edited) = (true, false);
    for piece in pieces(line) {
        // The blank after the semicolon of a piece that went.
        let piece = if is_first {
            piece.trim_ascii_start()
        } else {
            piece
        };
        let value = value_in(piece, name);
        let fate = value
            .clone()
            .map_or(Fate::Keep, |value| judge(&piece[value]));
        edited |= fate != Fate::Keep;
        if fate == Fate::Remove {
            continue;
        }
        if !is_first {
            out.push(b';');
        }
        is_first = false;
        match (fate, value) {
            (Fate::Replace(new), Some(old)) => append_replaced(piece, old, new, out),
            _ => out.extend_from_slice(piece),
        }
    }
    let kept = out[start..].trim_ascii_end().len();
    let is_void = out[start..]
        .iter()
        .all(|byte| matches!(byte, b';' | b' ' | b'\t'));
    out.truncate(if is_void { before } else { start + kept });
    edited
}

/// A `Set-Cookie` line after the edit; as it is when it is of another name.
fn edit_set_cookie(line: &[u8], name: &[u8], fate: SetFate<'_>) -> Option<Vec<u8>> {
    let Some(old) = value_in(first_piece(line), name) else {
        return Some(line.to_vec());
    };
    let mut edited = Vec::with_capacity(line.len() + 64);
    match fate {
        SetFate::Remove => return None,
        SetFate::Replace(new) => append_replaced(line, old, new, &mut edited),
        SetFate::Prefix(prefix) => {
            let new = [prefix, &[PREFIX_END], &line[old.clone()]].concat();
            append_replaced(line, old, &new, &mut edited);
        }
    }
    Some(edited)
}

fn append_replaced(text: &[u8], old: Range<usize>, new: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&text[..old.start]);
    out.extend_from_slice(new);
    out.extend_from_slice(&text[old.end..]);
}

fn pieces(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|&byte| byte == b';')
}

fn first_piece(line: &[u8]) -> &[u8] {
    pieces(line).next().unwrap_or_default()
}

/// Where in a piece the value of the cookie of this name is, if it is of this name.
fn value_in(piece: &[u8], name: &[u8]) -> Option<Range<usize>> {
    let equals = memchr::memchr(b'=', piece)?;
    if piece[..equals].trim_ascii() != name {
        return None;
    }
    let value = piece[equals + 1..].trim_ascii_start();
    let start = piece.len() - value.len();
    Some(start..start + value.trim_ascii_end().len())
}
