//! What the connection headers of a message say, and the removal of everything that concerns one hop only (RFC 9110 section 7.6.1).
//!
//! Runs before anything else sees a head, so that a downstream cannot nominate for removal what a filter adds later.

use super::fields::{Fields, Span, Standing};
use super::lines::Refusal;
use super::syntax::{elements, parse_decimal};

/// A `Connection` header with this many elements or more is refused, as Envoy does.
const NOMINATIONS_MAX: usize = 10;

/// What the headers that frame a message and steer its connection said.
#[derive(Debug, Default)]
pub(super) struct Hop {
    pub(super) host: Option<Span>,
    pub(super) content_length: Option<u64>,
    pub(super) transfer_encoding: Option<Span>,
    pub(super) close: bool,
    pub(super) keep_alive: bool,
    pub(super) expect_continue: bool,
    pub(super) te_trailers: bool,
    connection_upgrade: bool,
    upgrade: Option<(usize, Span)>,
    upgrade_lines: usize,
    nominated: [Span; NOMINATIONS_MAX],
    nominations: usize,
    elements: usize,
}

/// A header that is more than passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Special {
    Connection,
    ContentLength,
    Expect,
    Host,
    Te,
    TransferEncoding,
    Upgrade,
    /// For one hop only, and of no further interest.
    OneHop,
}

impl Hop {
    /// Reads and takes out of `fields` all that concerns this hop. `Host` and `Content-Length` stay readable, but are no longer copied.
    pub(super) fn take_from(fields: &mut Fields) -> Result<Hop, Refusal> {
        let mut hop = Hop::default();
        for index in 0..fields.lines().len() {
            if let Some(special) = special(fields.name_of(&fields.lines()[index])) {
                hop.take_line(special, index, fields)?;
            }
        }
        for name in &hop.nominated[..hop.nominations] {
            fields.remove_nominated(*name);
        }
        Ok(hop)
    }

    /// The one protocol to upgrade to, if `Connection` nominated it; its line is then readable again.
    ///
    /// `h2c` is never passed on: what follows would be HTTP/2 that nobody here inspects.
    pub(super) fn take_upgrade(&self, fields: &mut Fields) -> Option<Span> {
        let (index, value) = self
            .upgrade
            .filter(|_| self.connection_upgrade && self.upgrade_lines == 1)?;
        let protocol = fields.slice(value);
        let name = protocol
            .split(|&byte| byte == b'/')
            .next()
            .unwrap_or_default();
        let is_protocol = protocol.len() <= 64
            && protocol
                .iter()
                .all(|&byte| byte == b'/' || super::syntax::is_token_byte(byte));
        if !is_protocol || name.is_empty() || name.eq_ignore_ascii_case(b"h2c") {
            return None;
        }
        fields.stand(index, Standing::Held);
        Some(value)
    }

    /// Whether the connection stays open, by the rule of the version (RFC 9112 section 9.3).
    pub(super) fn persists(&self, version: super::Version) -> bool {
        !self.close && (version == super::Version::Http11 || self.keep_alive)
    }

    fn take_line(
        &mut self,
        special: Special,
        index: usize,
        fields: &mut Fields,
    ) -> Result<(), Refusal> {
        let line = fields.lines()[index];
        let (value, at) = (fields.slice(line.value), line.start as usize);
        let standing = match special {
            Special::Expect => {
                self.expect_continue |= value.eq_ignore_ascii_case(b"100-continue");
                return Ok(());
            }
            Special::Host => self.take_host(line.value, at)?,
            Special::ContentLength => self.take_content_length(value, at)?,
            Special::TransferEncoding => self.take_transfer_encoding(line.value, at)?,
            Special::Connection => self.take_connection(value, line.value.start, at)?,
            Special::Te => {
                self.te_trailers |=
                    elements(value).any(|coding| coding.eq_ignore_ascii_case(b"trailers"));
                Standing::Removed
            }
            Special::Upgrade => {
                self.upgrade_lines += 1;
                self.upgrade = Some((index, line.value));
                Standing::Removed
            }
            Special::OneHop => Standing::Removed,
        };
        fields.stand(index, standing);
        Ok(())
    }

    fn take_host(&mut self, value: Span, at: usize) -> Result<Standing, Refusal> {
        match self.host.replace(value) {
            None => Ok(Standing::Held),
            Some(_) => Err(Refusal::bad("duplicate-host", at)),
        }
    }

    /// Equal repetitions count as one; a list, even of equal numbers, is refused.
    fn take_content_length(&mut self, value: &[u8], at: usize) -> Result<Standing, Refusal> {
        let length = parse_decimal(value).ok_or(Refusal::bad("content-length", at))?;
        match self.content_length.replace(length) {
            None => Ok(Standing::Held),
            Some(earlier) if earlier == length => Ok(Standing::Removed),
            Some(_) => Err(Refusal::bad("content-length-conflict", at)),
        }
    }

    fn take_transfer_encoding(&mut self, value: Span, at: usize) -> Result<Standing, Refusal> {
        match self.transfer_encoding.replace(value) {
            None => Ok(Standing::Removed),
            Some(_) => Err(Refusal::bad("duplicate-transfer-encoding", at)),
        }
    }

    fn take_connection(
        &mut self,
        list: &[u8],
        list_start: u32,
        at: usize,
    ) -> Result<Standing, Refusal> {
        let mut position = list_start;
        for piece in list.split(|&byte| byte == b',') {
            let element = super::syntax::trim(piece);
            let blanks = if element.is_empty() {
                0
            } else {
                piece
                    .iter()
                    .take_while(|&&byte| matches!(byte, b' ' | b'\t'))
                    .count()
            };
            self.take_option(element, position + blanks as u32, at)?;
            position += piece.len() as u32 + 1;
        }
        Ok(Standing::Removed)
    }

    fn take_option(&mut self, option: &[u8], start: u32, at: usize) -> Result<(), Refusal> {
        self.elements += 1;
        if self.elements >= NOMINATIONS_MAX {
            return Err(Refusal::bad("too-many-connection-options", at));
        }
        if option.is_empty() {
            return Ok(());
        }
        if !super::syntax::valid_name(option) {
            return Err(Refusal::bad("connection-option", at));
        }
        if option.eq_ignore_ascii_case(b"close") {
            self.close = true;
        } else if option.eq_ignore_ascii_case(b"keep-alive") {
            self.keep_alive = true;
        } else if option.eq_ignore_ascii_case(b"upgrade") {
            self.connection_upgrade = true;
        } else if !is_beyond_nomination(option) {
            self.nominated[self.nominations] = Span {
                start,
                len: option.len() as u32,
            };
            self.nominations += 1;
        }
        Ok(())
    }
}

/// The special meaning of a header, by length first: most names end there.
fn special(name: &[u8]) -> Option<Special> {
    let candidates: &[(&str, Special)] = match name.len() {
        2 => &[("te", Special::Te)],
        4 => &[("host", Special::Host)],
        6 => &[("expect", Special::Expect)],
        7 => &[("upgrade", Special::Upgrade)],
        10 => &[
            ("connection", Special::Connection),
            ("keep-alive", Special::OneHop),
        ],
        14 => &[
            ("content-length", Special::ContentLength),
            ("http2-settings", Special::OneHop),
        ],
        16 => &[("proxy-connection", Special::OneHop)],
        17 => &[("transfer-encoding", Special::TransferEncoding)],
        18 => &[("proxy-authenticate", Special::OneHop)],
        19 => &[("proxy-authorization", Special::OneHop)],
        _ => return None,
    };
    candidates
        .iter()
        .find(|(word, _)| name.eq_ignore_ascii_case(word.as_bytes()))
        .map(|&(_, special)| special)
}

/// Headers that a peer cannot have removed by nominating them: what routes, frames or authenticates a message, or says where it came from.
fn is_beyond_nomination(name: &[u8]) -> bool {
    const KEPT: [&str; 8] = [
        "host",
        "content-length",
        "cookie",
        "set-cookie",
        "authorization",
        "www-authenticate",
        "forwarded",
        "x-real-ip",
    ];
    let prefix = b"x-forwarded-";
    let is_forwarding = name
        .get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    is_forwarding
        || KEPT
            .iter()
            .any(|kept| name.eq_ignore_ascii_case(kept.as_bytes()))
}
