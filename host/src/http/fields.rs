//! The header section of one message: received bytes, an index of lines, and edits.

use super::syntax::{is_editable, trim, valid_name, valid_value};

/// A buffer larger than this is given back when a message has been dealt with, so that one large head does not hold memory for good.
const KEPT_BYTES_MAX: usize = 64 * 1024;

/// Most bytes that a header section may grow to by edits, twice the largest head that can be received. Far within the 32 bits of a [`Span`].
const BYTES_MAX: usize = 32 * 1024 * 1024;

/// The header section of one message.
///
/// Holds the received head in one buffer with an index of its lines. Edits mark lines as removed and append new ones to the same buffer, each in
/// the form it has on the wire, so that serialising copies runs of untouched lines as they are. Names are compared without regard to case and
/// kept as received. No line can hold an invalid name or value, and none added here can be a framing header (see [`is_editable`]).
///
/// Every look-up walks the index; heads have some ten lines, and comparing lengths first makes that cheaper than a map.
#[derive(Debug, Default)]
pub struct Fields {
    bytes: Vec<u8>,
    lines: Vec<Line>,
}

/// Why an edit was refused; the section is as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadField {
    #[error("not a valid header name")]
    Name,
    #[error("not a valid header value")]
    Value,
    #[error("a framing or hop-by-hop header belongs to the proxy")]
    Framing,
    #[error("the header section is too large")]
    TooLarge,
}

/// A run of bytes in the buffer of a [`Fields`].
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) len: u32,
}

/// What a line is to the outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Read, edited and sent on.
    Plain,
    /// Read but never copied to the wire: the host writes this header itself, from what it decided.
    Held,
    /// Gone.
    Removed,
}

/// One line: `name ":" OWS value OWS CRLF` from `start` to `end`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) value: Span,
    pub(super) name_len: u16,
    pub(super) standing: Standing,
}

/// The lines that a [`Fields`] still has, in order, as name and value; made by [`Fields::iter`].
#[derive(Debug, Clone)]
pub struct Lines<'a> {
    bytes: &'a [u8],
    lines: std::slice::Iter<'a, Line>,
}

impl Fields {
    /// An empty section that holds no buffer yet.
    pub fn new() -> Fields {
        Fields::default()
    }

    /// The value of the first line of this name (any case), trimmed.
    pub fn get<'a>(&'a self, name: &[u8]) -> Option<&'a [u8]> {
        self.get_all(name).next()
    }

    /// The values of every line of this name, in order.
    pub fn get_all<'a>(&'a self, name: &[u8]) -> impl Iterator<Item = &'a [u8]> {
        self.lines
            .iter()
            .filter(move |line| self.is_named(line, name))
            .map(|line| self.slice(line.value))
    }

    /// Whether there is a line of this name, even an empty one.
    pub fn contains(&self, name: &[u8]) -> bool {
        self.lines.iter().any(|line| self.is_named(line, name))
    }

    /// Name and value of each line in order. Names are as received, so any case.
    pub fn iter(&self) -> Lines<'_> {
        Lines {
            bytes: &self.bytes,
            lines: self.lines.iter(),
        }
    }

    /// The names of all lines in order, as received, repeated as they repeat.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.iter().map(|(name, _)| name)
    }

    /// Number of lines.
    pub fn len(&self) -> usize {
        self.lines
            .iter()
            .filter(|line| line.standing != Standing::Removed)
            .count()
    }

    /// Whether there is no line.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// Appends the lines of this name to `out` as one value and says whether there was any: joined by `, ` (RFC 9110 section 5.3), `cookie`
    /// by `; ` (RFC 9113 section 8.2.3); of `set-cookie`, which cannot be joined, the first.
    pub fn joined(&self, name: &[u8], out: &mut Vec<u8>) -> bool {
        let mut values = self.get_all(name);
        let Some(first) = values.next() else {
            return false;
        };
        out.extend_from_slice(first);
        if name.eq_ignore_ascii_case(b"set-cookie") {
            return true;
        }
        let separator = if name.eq_ignore_ascii_case(b"cookie") {
            b"; "
        } else {
            b", "
        };
        for value in values {
            out.extend_from_slice(separator);
            out.extend_from_slice(value);
        }
        true
    }

    /// Leaves exactly one line of this name, with this value.
    pub fn set(&mut self, name: &[u8], value: &[u8]) -> Result<(), BadField> {
        let value = self.checked(name, value)?;
        self.remove_lines(name);
        self.push(name, value);
        Ok(())
    }

    /// Adds a line and keeps those that are there.
    pub fn append(&mut self, name: &[u8], value: &[u8]) -> Result<(), BadField> {
        let value = self.checked(name, value)?;
        self.push(name, value);
        Ok(())
    }

    /// Adds the line unless there is one of this name already; says whether it did.
    pub fn set_if_absent(&mut self, name: &[u8], value: &[u8]) -> Result<bool, BadField> {
        let value = self.checked(name, value)?;
        if self.contains(name) {
            return Ok(false);
        }
        self.push(name, value);
        Ok(true)
    }

    /// Removes every line of this name and says whether there was any. A framing header is not removed.
    pub fn remove(&mut self, name: &[u8]) -> bool {
        is_editable(name) && self.remove_lines(name)
    }

    /// Forgets everything and keeps the buffers for the next message, unless they have grown beyond 64 KiB.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_BYTES_MAX);
        self.lines.clear();
        self.lines.shrink_to(KEPT_BYTES_MAX / size_of::<Line>());
    }

    /// The value without outer blanks, if the line may be added.
    fn checked<'v>(&self, name: &[u8], value: &'v [u8]) -> Result<&'v [u8], BadField> {
        let value = trim(value);
        if !valid_name(name) {
            return Err(BadField::Name);
        }
        if !is_editable(name) {
            return Err(BadField::Framing);
        }
        if !valid_value(value) {
            return Err(BadField::Value);
        }
        if !self.has_room_for(name.len() + value.len() + 4) {
            return Err(BadField::TooLarge);
        }
        Ok(value)
    }

    /// Appends a line whose parts have been checked.
    fn push(&mut self, name: &[u8], value: &[u8]) {
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(name);
        self.bytes.extend_from_slice(b": ");
        let value = self.store(value);
        self.bytes.extend_from_slice(b"\r\n");
        let end = self.bytes.len() as u32;
        self.lines.push(Line {
            start,
            end,
            value,
            name_len: name.len() as u16,
            standing: Standing::Plain,
        });
    }

    pub(super) fn remove_lines(&mut self, name: &[u8]) -> bool {
        let mut found = false;
        for index in 0..self.lines.len() {
            if self.is_named(&self.lines[index], name) {
                self.lines[index].standing = Standing::Removed;
                found = true;
            }
        }
        found
    }

    /// Removes every line whose name is the text at `name`, itself part of this head.
    pub(super) fn remove_nominated(&mut self, name: Span) {
        for index in 0..self.lines.len() {
            if self.is_named(&self.lines[index], self.slice(name)) {
                self.lines[index].standing = Standing::Removed;
            }
        }
    }

    /// As [`Fields::set`], for a line that was found to be valid and editable before.
    pub(crate) fn set_checked(&mut self, name: &[u8], value: &[u8]) -> Result<(), BadField> {
        self.check_room(name, value)?;
        self.remove_lines(name);
        self.push(name, value);
        Ok(())
    }

    /// As [`Fields::append`], likewise.
    pub(crate) fn append_checked(&mut self, name: &[u8], value: &[u8]) -> Result<(), BadField> {
        self.check_room(name, value)?;
        self.push(name, value);
        Ok(())
    }

    fn check_room(&self, name: &[u8], value: &[u8]) -> Result<(), BadField> {
        debug_assert!(valid_name(name) && is_editable(name) && valid_value(value));
        let has_room = self.has_room_for(name.len() + value.len() + 4);
        has_room.then_some(()).ok_or(BadField::TooLarge)
    }

    /// Adds a line of a name that is known to be valid and editable, whose value `write` appends; what that appends is known to be valid. A
    /// section that has no room for `room` bytes of it is left as it is.
    pub(crate) fn put(
        &mut self,
        name: &'static str,
        room: usize,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        debug_assert!(valid_name(name.as_bytes()) && is_editable(name.as_bytes()));
        if !self.has_room_for(name.len() + room + 4) {
            return;
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.extend_from_slice(b": ");
        let value_start = self.bytes.len();
        write(&mut self.bytes);
        let value = self.stored_since(value_start);
        debug_assert!(valid_value(self.slice(value)) && value.len as usize <= room);
        self.bytes.extend_from_slice(b"\r\n");
        self.lines.push(Line {
            start: start as u32,
            end: self.bytes.len() as u32,
            value,
            name_len: name.len() as u16,
            standing: Standing::Plain,
        });
    }

    /// Removes every line whose name does not pass.
    pub(crate) fn retain(&mut self, mut passes: impl FnMut(&[u8]) -> bool) {
        for index in 0..self.lines.len() {
            let line = &self.lines[index];
            if line.standing != Standing::Removed && !passes(self.name_of(line)) {
                self.lines[index].standing = Standing::Removed;
            }
        }
    }

    /// Takes in a received head whose lines have been indexed with [`Fields::index`] already; their positions count from its start.
    pub(super) fn receive(&mut self, head: &[u8]) {
        debug_assert!(self.bytes.is_empty());
        self.bytes.extend_from_slice(head);
    }

    /// Whether the buffer may grow by this much.
    pub(super) fn has_room_for(&self, bytes: usize) -> bool {
        bytes <= BYTES_MAX.saturating_sub(self.bytes.len())
    }

    pub(super) fn index(&mut self, line: Line) {
        self.lines.push(line);
    }

    pub(super) fn lines(&self) -> &[Line] {
        &self.lines
    }

    pub(super) fn stand(&mut self, index: usize, standing: Standing) {
        self.lines[index].standing = standing;
    }

    /// Stores bytes that are no line (a rewritten path, a lower-cased host) behind the head.
    pub(super) fn store(&mut self, bytes: &[u8]) -> Span {
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(bytes);
        Span {
            start,
            len: bytes.len() as u32,
        }
    }

    /// The buffer itself, for writers that build what [`Fields::stored_since`] then names.
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// What was appended to the buffer from `start` on.
    pub(super) fn stored_since(&self, start: usize) -> Span {
        Span {
            start: start as u32,
            len: (self.bytes.len() - start) as u32,
        }
    }

    /// The bytes of a span; empty when it does not lie in the buffer.
    pub(super) fn slice(&self, span: Span) -> &[u8] {
        let start = span.start as usize;
        self.bytes
            .get(start..start + span.len as usize)
            .unwrap_or_default()
    }

    pub(super) fn name_of(&self, line: &Line) -> &[u8] {
        self.slice(Span {
            start: line.start,
            len: u32::from(line.name_len),
        })
    }

    /// Appends all lines that are sent on, neighbours in one copy.
    pub(super) fn write_lines(&self, out: &mut Vec<u8>) {
        let (mut start, mut end) = (0, 0);
        for line in self
            .lines
            .iter()
            .filter(|line| line.standing == Standing::Plain)
        {
            if line.start != end {
                out.extend_from_slice(self.slice(Span {
                    start,
                    len: end - start,
                }));
                start = line.start;
            }
            end = line.end;
        }
        out.extend_from_slice(self.slice(Span {
            start,
            len: end - start,
        }));
    }

    fn is_named(&self, line: &Line, name: &[u8]) -> bool {
        usize::from(line.name_len) == name.len()
            && line.standing != Standing::Removed
            && self.name_of(line).eq_ignore_ascii_case(name)
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.lines.find(|line| line.standing != Standing::Removed)?;
        let part = |start: u32, len: u32| {
            self.bytes
                .get(start as usize..(start + len) as usize)
                .unwrap_or_default()
        };
        Some((
            part(line.start, u32::from(line.name_len)),
            part(line.value.start, line.value.len),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_buffer_is_given_back() {
        let mut fields = Fields::new();
        let value = vec![b'v'; 2 * KEPT_BYTES_MAX];
        fields.append(b"a", &value).expect("a valid line");
        fields.clear();
        assert!(fields.bytes.capacity() <= KEPT_BYTES_MAX && fields.bytes.capacity() > 0);
    }
}
