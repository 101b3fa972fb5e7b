//! Response heads: status line, framing.

use super::fields::Span;
use super::head::{BodyLength, ResponseHead, Version};
use super::hop::Hop;
use super::lines::{Limits, Parsed, Refusal, Scan, Underscores};
use super::syntax::parse_decimal;

/// Why a response was refused: answer 502 and close the upstream connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{reason} at byte {offset}")]
#[non_exhaustive]
pub struct BadResponse {
    /// A stable word for logs, such as `bare-line-feed`.
    pub reason: &'static str,
    /// Where in the bytes, for logs; the start of the line where no closer place is known.
    pub offset: usize,
}

/// Parses the response head at the start of `bytes` into `into`; `request_method` decides whether a body follows (HEAD).
///
/// Resumes like [`super::parse_request`] and is as strict about lines, names and values; of `limits` only the two sizes count. Refused as well:
/// a version other than 1.0 and 1.1; a status outside 100 to 599; `Transfer-Encoding` other than `chunked`, on HTTP/1.0, or together with
/// `Content-Length`; a `Content-Length` that is no number, or two that differ; a 101 without `Connection: upgrade` and
/// one `Upgrade`; a 1xx that announces a body.
pub fn parse_response(
    bytes: &[u8],
    request_method: &str,
    limits: &Limits,
    into: &mut ResponseHead,
) -> Result<Parsed, BadResponse> {
    if into.scan.starts_over(bytes) {
        into.clear();
    }
    let parsed = parse(bytes, request_method, limits, into);
    if parsed.is_err() {
        into.clear();
        into.scan = Scan::of_refused();
    }
    parsed.map_err(|Refusal { reason, offset, .. }| BadResponse { reason, offset })
}

fn parse(
    bytes: &[u8],
    request_method: &str,
    limits: &Limits,
    into: &mut ResponseHead,
) -> Result<Parsed, Refusal> {
    if bytes.first().is_some_and(|&byte| byte != b'H') {
        return Err(Refusal::bad("status-line", 0));
    }
    let parsed = into
        .scan
        .run(bytes, limits, Underscores::Keep, &mut into.fields)?;
    if let Parsed::Complete { .. } = parsed {
        into.understand(request_method)?;
    }
    Ok(parsed)
}

impl ResponseHead {
    /// Decides everything that is decided once, from a complete head.
    fn understand(&mut self, request_method: &str) -> Result<(), Refusal> {
        self.read_status_line()?;
        let hop = Hop::take_from(&mut self.fields)?;
        self.check_framing(&hop)?;
        let has_forbidden_body = self.claims_forbidden_body(&hop);
        if has_forbidden_body && self.status < 200 {
            return Err(Refusal::bad("interim-with-body", 0));
        }
        self.content_length = hop.content_length;
        self.body = self.decide_body(&hop, request_method);
        self.keep_alive = hop.persists(self.version)
            && self.body != BodyLength::UntilClose
            && !has_forbidden_body;
        if matches!(self.status, 101 | 426) {
            self.upgrade = hop.take_upgrade(&mut self.fields).unwrap_or_default();
        }
        if self.status == 101 && self.upgrade.len == 0 {
            return Err(Refusal::bad("switching-without-upgrade", 0));
        }
        Ok(())
    }

    /// `HTTP/1.1 200 OK`. A missing reason is common and accepted with or without the blank in front of it.
    fn read_status_line(&mut self) -> Result<(), Refusal> {
        let whole = self.scan.start_line.unwrap_or_default();
        let refused = Refusal::bad("status-line", whole.start as usize);
        let line = self.fields.slice(whole);
        self.version = match line.get(..9).ok_or(refused)? {
            b"HTTP/1.1 " => Version::Http11,
            b"HTTP/1.0 " => Version::Http10,
            _ => return Err(refused),
        };
        let status = parse_decimal(line.get(9..12).ok_or(refused)?);
        self.status = status
            .filter(|status| (100..=599).contains(status))
            .ok_or(refused)? as u16;
        if !matches!(line.get(12), None | Some(b' ')) {
            return Err(refused);
        }
        let reason_len = line.len().saturating_sub(13);
        self.reason = Span {
            start: whole.start + (line.len() - reason_len) as u32,
            len: reason_len as u32,
        };
        Ok(())
    }

    fn check_framing(&self, hop: &Hop) -> Result<(), Refusal> {
        let Some(transfer) = hop.transfer_encoding else {
            return Ok(());
        };
        let refuse = |reason| Err(Refusal::bad(reason, transfer.start as usize));
        if hop.content_length.is_some() {
            return refuse("transfer-encoding-and-content-length");
        }
        if self.version == Version::Http10 {
            return refuse("transfer-encoding-on-1.0");
        }
        if !self.fields.slice(transfer).eq_ignore_ascii_case(b"chunked") {
            return refuse("transfer-encoding");
        }
        Ok(())
    }

    /// RFC 9112 section 6.3.
    fn decide_body(&self, hop: &Hop, request_method: &str) -> BodyLength {
        if request_method == "HEAD" || matches!(self.status, 100..=199 | 204 | 304) {
            return BodyLength::None;
        }
        match (hop.transfer_encoding, hop.content_length) {
            (Some(_), _) => BodyLength::Chunked,
            (None, Some(length)) => BodyLength::Fixed(length),
            (None, None) => BodyLength::UntilClose,
        }
    }

    /// A 1xx or 204 that announces a body all the same: its bytes, if any, must not be taken for the next response.
    fn claims_forbidden_body(&self, hop: &Hop) -> bool {
        let forbidden = matches!(self.status, 100..=199 | 204);
        forbidden
            && (hop.transfer_encoding.is_some()
                || hop.content_length.is_some_and(|length| length > 0))
    }
}
