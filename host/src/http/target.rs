//! Request targets: validation, and the one form of a path that is matched and forwarded.
//!
//! Normalisation is that of RFC 3986 section 6.2.2 (escapes of unreserved characters decoded, digits of the others in upper case, dot segments
//! removed), and stricter where applications are known to disagree: climbing above the root, dot segments hidden by an escaped slash
//! or by a path parameter (`/..;/`), and an escaped NUL are refused. The result normalises to itself.

use super::fields::{Fields, Span};
use super::lines::{EscapedSlashes, Limits};

/// Longer targets are refused, with 414 when received.
pub(super) const TARGET_BYTES_MAX: usize = 16 * 1024;

/// Why a target was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadTarget {
    #[error("a target must start with a slash")]
    Form,
    #[error("a target is longer than 16 KiB")]
    TooLong,
    #[error("a target must consist of visible ASCII without # and \\")]
    Character,
    #[error("an escape is malformed or stands for NUL")]
    Escape,
    #[error("an escaped slash is not accepted")]
    EscapedSlash,
    #[error("dot segments lead above the root or are disguised")]
    DotSegments,
}

/// How paths are normalised.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct PathRules {
    pub(super) escaped_slashes: EscapedSlashes,
    pub(super) merge_slashes: bool,
}

impl BadTarget {
    /// A stable word, as in the reasons of a refused request.
    pub(super) fn word(self) -> &'static str {
        match self {
            BadTarget::Form => "target-form",
            BadTarget::TooLong => "target-too-long",
            BadTarget::Character => "target-character",
            BadTarget::Escape => "target-escape",
            BadTarget::EscapedSlash => "target-escaped-slash",
            BadTarget::DotSegments => "target-dot-segments",
        }
    }
}

impl From<&Limits> for PathRules {
    fn from(limits: &Limits) -> PathRules {
        PathRules {
            escaped_slashes: limits.escaped_slashes,
            merge_slashes: limits.merge_slashes,
        }
    }
}

/// Stores a target in its normal form behind the head and answers where it is and how long its path.
///
/// On an error nothing has been stored.
pub(super) fn store_normalised(
    fields: &mut Fields,
    target: &[u8],
    rules: PathRules,
) -> Result<(Span, u32), BadTarget> {
    let path_len = checked_path_len(target)?;
    if !fields.has_room_for(target.len()) {
        return Err(BadTarget::TooLong);
    }
    let (path, query) = target.split_at(path_len);
    let start = fields.buffer().len();
    if let Err(error) = append_normalised(path, rules, fields.buffer()) {
        fields.buffer().truncate(start);
        return Err(error);
    }
    let path_len = fields.stored_since(start).len;
    fields.buffer().extend_from_slice(query);
    Ok((fields.stored_since(start), path_len))
}

/// Stores the root path with `query`, which is empty or starts with its `?`.
pub(super) fn store_below_root(
    fields: &mut Fields,
    query: &[u8],
) -> Result<(Span, u32), BadTarget> {
    if query.len() >= TARGET_BYTES_MAX {
        return Err(BadTarget::TooLong);
    }
    if !has_only_target_bytes(query) {
        return Err(BadTarget::Character);
    }
    let start = fields.buffer().len();
    fields.buffer().push(b'/');
    fields.buffer().extend_from_slice(query);
    Ok((fields.stored_since(start), 1))
}

/// The length of the path in a target of origin form whose every byte may stand there.
pub(super) fn checked_path_len(target: &[u8]) -> Result<usize, BadTarget> {
    if target.len() > TARGET_BYTES_MAX {
        return Err(BadTarget::TooLong);
    }
    if target.first() != Some(&b'/') {
        return Err(BadTarget::Form);
    }
    if !has_only_target_bytes(target) {
        return Err(BadTarget::Character);
    }
    Ok(memchr::memchr(b'?', target).unwrap_or(target.len()))
}

/// Whether each byte is visible ASCII other than `#`, which would start a fragment, and `\`, which browsers take for a slash.
pub(super) fn has_only_target_bytes(target: &[u8]) -> bool {
    let bad = |byte: u8| (byte <= b' ') | (byte >= 0x7f) | (byte == b'#') | (byte == b'\\');
    target
        .iter()
        .fold(0, |seen, &byte| seen | u8::from(bad(byte)))
        == 0
}

/// Whether a path surely is in normal form: no escape, and no slash followed by a slash or a dot. Most paths pass.
pub(super) fn is_normal(path: &[u8]) -> bool {
    let escapes = path
        .iter()
        .fold(0, |seen, &byte| seen | u8::from(byte == b'%'));
    let after_first = path.get(1..).unwrap_or_default();
    let suspects = path
        .iter()
        .zip(after_first)
        .fold(0, |seen, (&byte, &next)| {
            seen | u8::from((byte == b'/') & ((next == b'/') | (next == b'.')))
        });
    escapes | suspects == 0
}

/// Appends the normal form of `path`, which starts with a slash. On an error `out` holds part of it.
fn append_normalised(path: &[u8], rules: PathRules, out: &mut Vec<u8>) -> Result<(), BadTarget> {
    if is_normal(path) {
        out.extend_from_slice(path);
        return Ok(());
    }
    let base = out.len();
    let mut segments = path[1..].split(|&byte| byte == b'/').peekable();
    while let Some(segment) = segments.next() {
        let start = out.len();
        out.push(b'/');
        append_unescaped(segment, rules.escaped_slashes, out)?;
        let is_last = segments.peek().is_none();
        match &out[start + 1..] {
            b"" if rules.merge_slashes => out.truncate(start),
            b"." => out.truncate(start),
            b".." => out.truncate(
                start_of_last_segment(&out[base..start]).ok_or(BadTarget::DotSegments)? + base,
            ),
            segment if is_disguised_dot_segment(segment) => return Err(BadTarget::DotSegments),
            _ => continue,
        }
        if is_last {
            out.push(b'/');
        }
    }
    Ok(())
}

/// Where the last segment of a path, with its slash, begins; `None` at the root.
fn start_of_last_segment(path: &[u8]) -> Option<usize> {
    memchr::memrchr(b'/', path)
}

/// A segment that some application would read as a dot segment: followed by a path parameter, or set apart by an escaped slash.
fn is_disguised_dot_segment(segment: &[u8]) -> bool {
    let mut part_start = 0;
    for at in memchr::memchr_iter(b'%', segment) {
        if matches!(segment.get(at + 1..at + 3), Some(b"2F" | b"5C")) {
            if is_dots_with_parameter(&segment[part_start..at]) {
                return true;
            }
            part_start = at + 3;
        }
    }
    is_dots_with_parameter(&segment[part_start..])
}

/// One or two dots, alone or before a `;`.
fn is_dots_with_parameter(part: &[u8]) -> bool {
    matches!(
        part,
        b"." | b".." | [b'.', b';', ..] | [b'.', b'.', b';', ..]
    )
}

/// Appends one segment with its escapes in normal form.
fn append_unescaped(
    segment: &[u8],
    escaped_slashes: EscapedSlashes,
    out: &mut Vec<u8>,
) -> Result<(), BadTarget> {
    let mut rest = segment;
    while let Some(at) = memchr::memchr(b'%', rest) {
        out.extend_from_slice(&rest[..at]);
        let byte = escaped_byte(&rest[at..]).ok_or(BadTarget::Escape)?;
        match byte {
            0 => return Err(BadTarget::Escape),
            b'/' | b'\\' if escaped_slashes == EscapedSlashes::Reject => {
                return Err(BadTarget::EscapedSlash);
            }
            _ if is_unreserved(byte) => out.push(byte),
            _ => out.extend_from_slice(&[
                b'%',
                DIGITS[usize::from(byte >> 4)],
                DIGITS[usize::from(byte & 15)],
            ]),
        }
        rest = &rest[at + 3..];
    }
    out.extend_from_slice(rest);
    Ok(())
}

/// The byte that the escape at the start of `text` stands for.
fn escaped_byte(text: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (high, low) = (digit(*text.get(1)?)?, digit(*text.get(2)?)?);
    Some((high * 16 + low) as u8)
}

/// RFC 3986 section 2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
