//! Request heads: request line, host, framing.

use super::authority;
use super::fields::Span;
use super::head::{BodyLength, RequestHead, TargetForm, Version};
use super::hop::Hop;
use super::lines::{Limits, Parsed, Refusal, Scan};
use super::syntax::{elements, is_token_byte};
use super::target::{self, BadTarget, PathRules};

/// Longer methods are refused.
const METHOD_BYTES_MAX: usize = 32;

/// Why a request was refused. The connection must be closed after the answer: where the next request starts is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{reason} at byte {offset}")]
#[non_exhaustive]
pub struct BadRequest {
    /// What to answer: 400, 414, 431, 501 or 505.
    pub status: u16,
    /// A stable word for logs, such as `bare-line-feed`.
    pub reason: &'static str,
    /// Where in the bytes, for logs; the start of the line where no closer place is known.
    pub offset: usize,
}

/// Parses the request head at the start of `bytes` into `into`.
///
/// Answers [`Parsed::Partial`] until the head is complete: call again with the same bytes and more behind them; only the new ones are looked
/// at. What follows the head is not touched. After [`Parsed::Complete`] or an error, or with fewer bytes than before, a call starts a new request.
///
/// Refused (400 where nothing is said): any line end but CR LF; folded lines; a blank before a colon; an empty or invalid name; a control
/// character; more than one empty line in front; a method of more than 32 bytes; a target that is not of visible ASCII without `#` and `\`,
/// too long (414), or whose path is disguised (see [`Limits`]); a version other than 1.0 and 1.1 (505); no `Host`, two, or an invalid one
/// (HTTP/1.0 may leave it out); an absolute target that differs from `Host`; a `Content-Length` that is no number, or two that differ;
/// `Transfer-Encoding` other than `chunked` (501 where other codings come before it), on HTTP/1.0, or **together with `Content-Length`**
/// (RFC 9112 section 6.1 would let us drop the length, but no honest downstream sends both); ten or more `Connection` options; a head
/// beyond the limits (431).
pub fn parse_request(
    bytes: &[u8],
    limits: &Limits,
    into: &mut RequestHead,
) -> Result<Parsed, BadRequest> {
    if into.scan.starts_over(bytes) {
        into.clear();
    }
    let parsed = parse(bytes, limits, into);
    if parsed.is_err() {
        into.clear();
        into.scan = Scan::of_refused();
    }
    parsed.map_err(
        |Refusal {
             status,
             reason,
             offset,
         }| BadRequest {
            status,
            reason,
            offset,
        },
    )
}

fn parse(bytes: &[u8], limits: &Limits, into: &mut RequestHead) -> Result<Parsed, Refusal> {
    refuse_other_protocols(bytes)?;
    let parsed = into
        .scan
        .run(bytes, limits, limits.underscores, &mut into.fields)?;
    if let Parsed::Complete { .. } = parsed {
        into.rules = PathRules::from(limits);
        into.understand(bytes)?;
    }
    Ok(parsed)
}

/// A first byte that no request starts with (a TLS hello, say) is refused before a line end turns up.
fn refuse_other_protocols(bytes: &[u8]) -> Result<(), Refusal> {
    match bytes.first() {
        Some(&byte) if !is_token_byte(byte) && !matches!(byte, b'\r' | b'\n') => {
            Err(Refusal::bad("invalid-method", 0))
        }
        _ => Ok(()),
    }
}

impl RequestHead {
    /// Decides everything that is decided once, from a complete head at the start of `bytes`.
    fn understand(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        let target = self.read_request_line()?;
        let hop = Hop::take_from(&mut self.fields)?;
        self.body = self.decide_body(&hop)?;
        self.read_host(&hop)?;
        self.read_target(bytes, target)?;
        self.keep_alive = hop.persists(self.version);
        self.te_trailers = hop.te_trailers;
        if self.version == Version::Http10 {
            self.fields.remove_lines(b"expect");
            return Ok(());
        }
        self.expect_continue = hop.expect_continue;
        if matches!(self.body, BodyLength::None | BodyLength::Fixed(0)) {
            self.upgrade = hop.take_upgrade(&mut self.fields).unwrap_or_default();
        }
        Ok(())
    }

    /// Method and version; answers where the target is.
    fn read_request_line(&mut self) -> Result<Span, Refusal> {
        let whole = self.scan.start_line.unwrap_or_default();
        let at = whole.start as usize;
        let line = self.fields.slice(whole);
        let method_len = memchr::memchr(b' ', line).ok_or(Refusal::bad("request-line", at))?;
        let (method, rest) = line.split_at(method_len);
        if method.is_empty()
            || method_len > METHOD_BYTES_MAX
            || !method.iter().all(|&byte| is_token_byte(byte))
        {
            return Err(Refusal::bad("invalid-method", at));
        }
        let target_len =
            memchr::memrchr(b' ', &rest[1..]).ok_or(Refusal::bad("request-line", at))?;
        self.version = read_version(&rest[target_len + 2..], at + method_len + target_len + 2)?;
        self.method = Span {
            len: method_len as u32,
            ..whole
        };
        Ok(Span {
            start: whole.start + method_len as u32 + 1,
            len: target_len as u32,
        })
    }

    /// `bytes` is the buffer that the head was received in. What is stored is read from there, since the head's own copy may move.
    fn read_target(&mut self, bytes: &[u8], target: Span) -> Result<(), Refusal> {
        let at = target.start as usize;
        let text = &bytes[at..at + target.len as usize];
        match (self.method(), text) {
            ("CONNECT", _) => self.read_authority_form(text, target),
            ("OPTIONS", b"*") => {
                self.form = TargetForm::Asterisk;
                self.target = target;
                self.path_len = 1;
                Ok(())
            }
            (_, [b'/', ..]) => self.read_origin_form(text, target),
            _ => self.read_absolute_form(text, target),
        }
        .map_err(|error| refuse_target(error, at))
    }

    /// Points at the received target where that is in normal form already.
    fn read_origin_form(&mut self, text: &[u8], target: Span) -> Result<(), BadTarget> {
        let path_len = target::checked_path_len(text)?;
        if target::is_normal(&text[..path_len]) {
            self.target = target;
            self.path_len = path_len as u32;
            return Ok(());
        }
        (self.target, self.path_len) =
            target::store_normalised(&mut self.fields, text, self.rules)?;
        Ok(())
    }

    /// `http://host/path?query`, forwarded in origin form (RFC 9112 section 3.2.2). The host must be the one in `Host`: filters and routes
    /// see one, and an upstream that believes the other would be a way around them.
    fn read_absolute_form(&mut self, text: &[u8], target: Span) -> Result<(), BadTarget> {
        let scheme_len = scheme_len(text).ok_or(BadTarget::Form)?;
        let rest = &text[scheme_len..];
        let authority_len = rest
            .iter()
            .position(|byte| matches!(byte, b'/' | b'?'))
            .unwrap_or(rest.len());
        let (authority, origin) = rest.split_at(authority_len);
        if self.authority.len == 0 {
            let named = Span {
                start: target.start + scheme_len as u32,
                len: authority_len as u32,
            };
            self.take_authority(named).ok_or(BadTarget::Form)?;
        } else if !authority.eq_ignore_ascii_case(self.fields.slice(self.authority)) {
            return Err(BadTarget::Form);
        }
        (self.target, self.path_len) = if origin.starts_with(b"/") {
            target::store_normalised(&mut self.fields, origin, self.rules)?
        } else {
            target::store_below_root(&mut self.fields, origin)?
        };
        Ok(())
    }

    fn read_authority_form(&mut self, text: &[u8], target: Span) -> Result<(), BadTarget> {
        let host_len = authority::host_len(text).ok_or(BadTarget::Form)?;
        if host_len == text.len() {
            return Err(BadTarget::Form);
        }
        self.form = TargetForm::Authority;
        self.target = target;
        self.path_len = 0;
        Ok(())
    }

    fn read_host(&mut self, hop: &Hop) -> Result<(), Refusal> {
        match hop.host {
            Some(host) => self
                .take_authority(host)
                .ok_or(Refusal::bad("invalid-host", host.start as usize)),
            None if self.version == Version::Http10 => Ok(()),
            None => Err(Refusal::bad("missing-host", 0)),
        }
    }

    fn take_authority(&mut self, authority: Span) -> Option<()> {
        let host_len = authority::host_len(self.fields.slice(authority))?;
        self.authority = authority;
        self.host = authority::store_host(&mut self.fields, authority, host_len);
        Some(())
    }

    /// RFC 9112 section 6.3, refusing what it leaves to choose.
    fn decide_body(&self, hop: &Hop) -> Result<BodyLength, Refusal> {
        let Some(transfer) = hop.transfer_encoding else {
            return Ok(hop
                .content_length
                .map_or(BodyLength::None, BodyLength::Fixed));
        };
        let (codings, at) = (self.fields.slice(transfer), transfer.start as usize);
        if self.version == Version::Http10 {
            return Err(Refusal::bad("transfer-encoding-on-1.0", at));
        }
        if hop.content_length.is_some() {
            return Err(Refusal::bad("transfer-encoding-and-content-length", at));
        }
        if codings.eq_ignore_ascii_case(b"chunked") {
            return Ok(BodyLength::Chunked);
        }
        let chunked = elements(codings)
            .filter(|coding| coding.eq_ignore_ascii_case(b"chunked"))
            .count();
        let ends_chunked = elements(codings)
            .last()
            .is_some_and(|coding| coding.eq_ignore_ascii_case(b"chunked"));
        let well_formed = elements(codings).all(|coding| !coding.is_empty());
        let status = if ends_chunked && chunked == 1 && well_formed {
            501
        } else {
            400
        };
        Err(Refusal::new(status, "transfer-encoding", at))
    }
}

/// The length of `http://` or `https://` in any case.
fn scheme_len(text: &[u8]) -> Option<usize> {
    let schemes: [&[u8]; 2] = [b"http://", b"https://"];
    let starts_with = |scheme: &&[u8]| {
        text.get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    schemes.into_iter().find(starts_with).map(<[u8]>::len)
}

fn read_version(text: &[u8], at: usize) -> Result<Version, Refusal> {
    match text {
        b"HTTP/1.1" => Ok(Version::Http11),
        b"HTTP/1.0" => Ok(Version::Http10),
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Err(Refusal::new(505, "version", at))
        }
        _ => Err(Refusal::bad("request-line", at)),
    }
}

fn refuse_target(error: BadTarget, at: usize) -> Refusal {
    let status = if error == BadTarget::TooLong {
        414
    } else {
        400
    };
    Refusal::new(status, error.word(), at)
}
