//! Cutting a head into lines: one pass, strict, and resumable where the bytes ended.

use super::fields::{Fields, Line, Span, Standing};
use super::syntax::{self, NameClass};

/// What a parser may accept. The sizes are maxima, inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a whole head, start line and final empty line included. Default 64 KiB; more than 16 MiB counts as 16 MiB.
    pub head_bytes_max: usize,
    /// Header lines. Default 128.
    pub headers_max: usize,
    /// Request headers with an underscore in their name. Default: drop.
    pub underscores: Underscores,
    /// `%2F` and `%5C` in a path. Default: reject.
    pub escaped_slashes: EscapedSlashes,
    /// Whether several slashes in a row in a path become one. Default: yes.
    pub merge_slashes: bool,
}

/// What to do with a request header whose name has an underscore: applications that turn `-` into `_` cannot tell `x_user` from `x-user`,
/// so a downstream could forge a header that was checked under its other spelling.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Underscores {
    /// Leave the header out.
    #[default]
    Drop,
    Keep,
    /// Refuse the request with 400.
    Reject,
}

/// What to do with an escaped slash or backslash in a path: one application sees a separator in it, another does not.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum EscapedSlashes {
    /// Refuse the request with 400.
    #[default]
    Reject,
    /// Keep it escaped, with upper-case digits. A dot segment beside it is refused all the same.
    Keep,
}

/// How far a parser got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parsed {
    /// The head is complete; what follows `head_len` bytes is body, or the next message.
    Complete { head_len: usize },
    /// Call again with the same bytes and more behind them.
    Partial,
}

/// Why a head was refused: a status (for a request), a stable word, and the position of the fault in the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) reason: &'static str,
    pub(super) offset: usize,
}

/// Where a scan stands between two calls.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Scan {
    /// Where the current line starts.
    line_start: usize,
    /// Up to here there is no line end beyond those already seen.
    searched: usize,
    /// Line ends seen.
    line_ends: usize,
    /// Header lines seen, dropped ones included.
    headers: usize,
    /// The request line or status line, once it is there.
    pub(super) start_line: Option<Span>,
    /// The head was completed or refused: what comes next is another message.
    finished: bool,
}

/// Larger heads are refused whatever the limits say, so that positions fit an index entry.
const HEAD_BYTES_CEILING: usize = 16 * 1024 * 1024;

/// A start line that has grown beyond this without an end is refused before the head limit is reached.
const START_LINE_MAX: usize = super::target::TARGET_BYTES_MAX + 64;

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            head_bytes_max: 64 * 1024,
            headers_max: 128,
            underscores: Underscores::default(),
            escaped_slashes: EscapedSlashes::default(),
            merge_slashes: true,
        }
    }
}

impl Refusal {
    pub(super) fn new(status: u16, reason: &'static str, offset: usize) -> Refusal {
        Refusal {
            status,
            reason,
            offset,
        }
    }

    pub(super) fn bad(reason: &'static str, offset: usize) -> Refusal {
        Refusal::new(400, reason, offset)
    }
}

impl Scan {
    /// A scan of header lines without a start line: a trailer section.
    pub(super) fn of_headers_only() -> Scan {
        Scan {
            start_line: Some(Span::default()),
            ..Scan::default()
        }
    }

    /// Whether `bytes` begin another message: the last head was completed or refused, or they are fewer than were seen of it.
    pub(super) fn starts_over(&self, bytes: &[u8]) -> bool {
        self.finished || bytes.len() < self.searched
    }

    /// The scan of a refused head.
    pub(super) fn of_refused() -> Scan {
        Scan {
            finished: true,
            ..Scan::default()
        }
    }

    /// Indexes the lines of `bytes` that are new since the last call into `fields`; when the head is complete, takes it in.
    pub(super) fn run(
        &mut self,
        bytes: &[u8],
        limits: &Limits,
        underscores: Underscores,
        fields: &mut Fields,
    ) -> Result<Parsed, Refusal> {
        let head_max = limits.head_bytes_max.min(HEAD_BYTES_CEILING);
        while let Some(found) =
            memchr::memchr(b'\n', bytes.get(self.searched..).unwrap_or_default())
        {
            let end = self.searched + found + 1;
            if end > head_max {
                return Err(self.too_large());
            }
            let line = bytes[self.line_start..end].strip_suffix(b"\r\n");
            let line = line.ok_or(Refusal::bad("bare-line-feed", end - 1))?;
            self.line_ends += 1;
            if line.is_empty() && self.start_line.is_some() {
                self.finished = true;
                self.check_controls(&bytes[..end])?;
                fields.receive(&bytes[..end]);
                return Ok(Parsed::Complete { head_len: end });
            }
            self.take_line(line, end, limits.headers_max, underscores, fields)?;
            self.line_start = end;
            self.searched = end;
        }
        self.searched = bytes.len();
        let start_line_max = if self.start_line.is_some() {
            usize::MAX
        } else {
            START_LINE_MAX
        };
        if bytes.len() >= head_max.min(start_line_max) {
            return Err(self.too_large());
        }
        Ok(Parsed::Partial)
    }

    fn take_line(
        &mut self,
        line: &[u8],
        end: usize,
        headers_max: usize,
        underscores: Underscores,
        fields: &mut Fields,
    ) -> Result<(), Refusal> {
        if self.start_line.is_some() {
            self.headers += 1;
            if self.headers > headers_max {
                return Err(Refusal::new(431, "too-many-headers", self.line_start));
            }
            return index_line(line, self.line_start, end, underscores, fields);
        }
        if !line.is_empty() {
            self.start_line = Some(Span {
                start: self.line_start as u32,
                len: line.len() as u32,
            });
        } else if self.line_start > 0 {
            // RFC 9112 section 2.2 asks to ignore at least one empty line before a request; one is all we do.
            return Err(Refusal::bad("empty-lines", self.line_start));
        }
        Ok(())
    }

    /// Each line ends in CR LF, so a head without stray controls has exactly two controls a line. Counting them over the whole head at
    /// once vectorises, unlike looking at each value.
    fn check_controls(&self, head: &[u8]) -> Result<(), Refusal> {
        if syntax::count_controls(head) == 2 * self.line_ends {
            return Ok(());
        }
        let stray = |(at, &byte): (usize, &u8)| match byte {
            b'\r' => head.get(at + 1) != Some(&b'\n'),
            b'\n' => false,
            _ => syntax::is_stray_control(byte),
        };
        let offset = head.iter().enumerate().position(stray).unwrap_or_default();
        Err(Refusal::bad("control-character", offset))
    }

    fn too_large(&self) -> Refusal {
        match self.start_line {
            None => Refusal::new(414, "target-too-long", 0),
            Some(_) => Refusal::new(431, "head-too-large", self.line_start),
        }
    }
}

/// Checks a header line and indexes it. Its value is looked at for controls only when the head is complete.
fn index_line(
    line: &[u8],
    start: usize,
    end: usize,
    underscores: Underscores,
    fields: &mut Fields,
) -> Result<(), Refusal> {
    let (name_len, class) = syntax::scan_name(line);
    if line.get(name_len) != Some(&b':') || name_len == 0 {
        return Err(Refusal::bad(misnamed(line, name_len), start + name_len));
    }
    let Ok(short_name_len) = u16::try_from(name_len) else {
        return Err(Refusal::new(431, "head-too-large", start));
    };
    if class == NameClass::Underscored {
        match underscores {
            Underscores::Keep => {}
            Underscores::Drop => return Ok(()),
            Underscores::Reject => return Err(Refusal::bad("underscore-in-name", start)),
        }
    }
    let (value_start, value_len) = trimmed(line, name_len + 1);
    fields.index(Line {
        start: start as u32,
        end: end as u32,
        value: Span {
            start: (start + value_start) as u32,
            len: value_len as u32,
        },
        name_len: short_name_len,
        standing: Standing::Plain,
    });
    Ok(())
}

/// Where the value of a line that begins behind its colon at `begin` is, without the blanks around it, and its length.
fn trimmed(line: &[u8], begin: usize) -> (usize, usize) {
    let is_blank = |at: usize| matches!(line[at], b' ' | b'\t');
    let (mut start, mut end) = (begin, line.len());
    while start < end && is_blank(start) {
        start += 1;
    }
    while end > start && is_blank(end - 1) {
        end -= 1;
    }
    (start, end - start)
}

/// What is wrong with a line whose token of `name_len` bytes is not followed by a colon, or is empty.
fn misnamed(line: &[u8], name_len: usize) -> &'static str {
    match line.get(name_len) {
        Some(b' ' | b'\t') if name_len == 0 => "folded-line",
        Some(b' ' | b'\t') => "blank-before-colon",
        Some(b':') => "empty-name",
        Some(_) => "invalid-name",
        None => "no-colon",
    }
}
