//! The two kinds of message head, with what was decided from them once.

use super::fields::{Fields, Span};
use super::syntax::ascii;
pub use super::syntax::{is_editable, valid_name, valid_value};
use super::target::{self, BadTarget, PathRules};

/// How the end of a body is found (RFC 9112 section 6.3).
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum BodyLength {
    /// There is no body, by the rules of the method or status.
    #[default]
    None,
    /// Exactly this many bytes, possibly zero.
    Fixed(u64),
    /// Chunked transfer coding.
    Chunked,
    /// Everything until the connection is closed; responses only.
    UntilClose,
}

/// The version of a received message.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    Http10,
    #[default]
    Http11,
}

/// The form of a request target (RFC 9112 section 3.2).
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum TargetForm {
    /// A path and perhaps a query. An absolute-form target becomes this one.
    #[default]
    Origin,
    /// `host:port`, with CONNECT only. The caller refuses it; there is no path.
    Authority,
    /// `*`, with OPTIONS only; the path reads `*`.
    Asterisk,
}

/// The head of a request, after the checks and removals of [`super::parse_request`].
///
/// One value is reused for one request after the other: [`RequestHead::clear`] keeps its buffers.
#[derive(Debug, Default)]
pub struct RequestHead {
    pub(super) fields: Fields,
    pub(super) scan: super::lines::Scan,
    pub(super) method: Span,
    /// Path with query, as forwarded.
    pub(super) target: Span,
    /// Length of the path within `target`.
    pub(super) path_len: u32,
    pub(super) authority: Span,
    pub(super) host: Span,
    pub(super) upgrade: Span,
    pub(super) version: Version,
    pub(super) form: TargetForm,
    pub(super) body: BodyLength,
    pub(super) rules: PathRules,
    pub(super) keep_alive: bool,
    pub(super) expect_continue: bool,
    pub(super) te_trailers: bool,
}

impl RequestHead {
    /// An empty head that holds no buffer yet.
    pub fn new() -> RequestHead {
        RequestHead::default()
    }

    /// The header section.
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// The header section, for edits.
    pub fn fields_mut(&mut self) -> &mut Fields {
        &mut self.fields
    }

    /// The method as sent, at most 32 bytes.
    pub fn method(&self) -> &str {
        ascii(self.fields.slice(self.method))
    }

    /// The normalised path without the query. Starts with `/`, except that it is `*` in the asterisk form and empty with CONNECT.
    pub fn path(&self) -> &str {
        ascii(self.path_bytes())
    }

    /// The query without its `?`; `None` when there is no `?`.
    pub fn query(&self) -> Option<&str> {
        self.fields
            .slice(self.target)
            .get(self.path_len as usize + 1..)
            .map(ascii)
    }

    /// Path and query, as forwarded; with CONNECT the authority.
    pub fn target(&self) -> &str {
        ascii(self.fields.slice(self.target))
    }

    /// Replaces path and query: origin form, or `*` with OPTIONS. Validated and normalised by the same rules as a received target.
    ///
    /// On an error the target is as it was.
    pub fn set_target(&mut self, target: &[u8]) -> Result<(), BadTarget> {
        if target == b"*" && self.method() == "OPTIONS" {
            self.target = self.fields.store(b"*");
            self.path_len = 1;
            self.form = TargetForm::Asterisk;
            return Ok(());
        }
        if self.form == TargetForm::Authority {
            return Err(BadTarget::Form);
        }
        let (target, path_len) = target::store_normalised(&mut self.fields, target, self.rules)?;
        self.target = target;
        self.path_len = path_len;
        self.form = TargetForm::Origin;
        Ok(())
    }

    /// The host asked for: lower case, without port and without a final dot, an IPv6 address in its brackets. Empty when an HTTP/1.0 request named none.
    pub fn host(&self) -> &str {
        ascii(self.fields.slice(self.host))
    }

    /// Host and port as received, which is what goes out in `Host`. Empty when an HTTP/1.0 request named none.
    pub fn authority(&self) -> &str {
        ascii(self.fields.slice(self.authority))
    }

    /// Replaces what goes out in `Host` and what [`RequestHead::host`] answers; says whether it was a valid host with an optional port.
    /// Otherwise nothing has changed.
    pub fn set_authority(&mut self, authority: &[u8]) -> bool {
        let Some(host_len) = super::authority::host_len(authority) else {
            return false;
        };
        self.authority = self.fields.store(authority);
        self.host = super::authority::store_host(&mut self.fields, self.authority, host_len);
        true
    }

    /// Adds a line of this name with the authority as its value, if there is one. The name is known to be valid and editable.
    pub(crate) fn put_authority(&mut self, name: &'static str) {
        let (start, len) = (self.authority.start as usize, self.authority.len as usize);
        if len > 0 {
            self.fields.put(name, len, |out| {
                out.extend_from_within(start..start + len);
            });
        }
    }

    /// The version the downstream spoke.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The form of the target; CONNECT has [`TargetForm::Authority`].
    pub fn form(&self) -> TargetForm {
        self.form
    }

    /// How the body is delimited as received. Never [`BodyLength::UntilClose`].
    pub fn body(&self) -> BodyLength {
        self.body
    }

    /// Whether the downstream keeps the connection open after this exchange.
    pub fn keep_alive(&self) -> bool {
        self.keep_alive
    }

    /// The protocol the downstream wants to switch to, such as `websocket`: `Connection: upgrade` with exactly one `Upgrade` line of one
    /// protocol that is not `h2c`, on HTTP/1.1, without a body (or an empty one). Anything less is stripped and answers `None`.
    pub fn upgrade(&self) -> Option<&str> {
        Some(ascii(self.fields.slice(self.upgrade))).filter(|protocol| !protocol.is_empty())
    }

    /// Whether the downstream waits for `100 Continue` before it sends the body. False on HTTP/1.0 (RFC 9110 section 10.1.1).
    pub fn expect_continue(&self) -> bool {
        self.expect_continue
    }

    /// Whether the downstream said `TE: trailers`.
    pub fn te_trailers(&self) -> bool {
        self.te_trailers
    }

    /// Whether sending the request twice does the same as once (RFC 9110 section 9.2.2): GET, HEAD, OPTIONS, TRACE, PUT, DELETE.
    pub fn is_idempotent(&self) -> bool {
        matches!(
            self.method(),
            "GET" | "HEAD" | "OPTIONS" | "TRACE" | "PUT" | "DELETE"
        )
    }

    /// Forgets everything and keeps the buffers.
    pub fn clear(&mut self) {
        let mut fields = std::mem::take(&mut self.fields);
        fields.clear();
        *self = RequestHead {
            fields,
            ..RequestHead::default()
        };
    }

    pub(super) fn path_bytes(&self) -> &[u8] {
        self.fields.slice(Span {
            len: self.path_len,
            ..self.target
        })
    }
}

/// The head of a response, received from upstream ([`super::parse_response`]) or made here ([`ResponseHead::begin`]).
///
/// One value is reused for one response after the other: [`ResponseHead::clear`] keeps its buffers.
#[derive(Debug, Default)]
pub struct ResponseHead {
    pub(super) fields: Fields,
    pub(super) scan: super::lines::Scan,
    pub(super) status: u16,
    pub(super) reason: Span,
    pub(super) upgrade: Span,
    pub(super) version: Version,
    pub(super) body: BodyLength,
    pub(super) content_length: Option<u64>,
    pub(super) keep_alive: bool,
}

impl ResponseHead {
    /// An empty head that holds no buffer yet.
    pub fn new() -> ResponseHead {
        ResponseHead::default()
    }

    /// Clears the head and starts a response of our own: HTTP/1.1, this status (100 to 599; anything else counts as 500) with its usual
    /// reason, no header, no body, connection kept.
    pub fn begin(&mut self, status: u16) {
        self.clear();
        self.keep_alive = true;
        self.assign_status(if (100..=599).contains(&status) {
            status
        } else {
            500
        });
    }

    /// The header section.
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// The header section, for edits.
    pub fn fields_mut(&mut self) -> &mut Fields {
        &mut self.fields
    }

    /// 100 to 599; 0 in an empty head.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Replaces the status, and the reason by the usual one for it, and says whether it was done.
    ///
    /// The framing has been decided and stays, so the new status must be of the same kind: with a possible body or without (204, 304). An
    /// interim response or a 101 cannot be changed, and no response can become one.
    pub fn set_status(&mut self, status: u16) -> bool {
        let is_bodiless = |status| matches!(status, 204 | 304);
        let same_kind = self.status >= 200 && is_bodiless(status) == is_bodiless(self.status);
        if !(200..=599).contains(&status) || !same_kind {
            return false;
        }
        self.assign_status(status);
        true
    }

    fn assign_status(&mut self, status: u16) {
        self.status = status;
        self.reason = self.fields.store(usual_reason(status).as_bytes());
        self.upgrade = Span::default();
    }

    /// The reason phrase, perhaps empty; may hold bytes beyond ASCII.
    pub fn reason(&self) -> &[u8] {
        self.fields.slice(self.reason)
    }

    /// The version the upstream spoke.
    pub fn version(&self) -> Version {
        self.version
    }

    /// How the body is delimited as received: [`BodyLength::None`] for 1xx, 204, 304 and any answer to HEAD.
    pub fn body(&self) -> BodyLength {
        self.body
    }

    /// What `Content-Length` said, also where no body follows (HEAD, 304).
    pub fn content_length(&self) -> Option<u64> {
        self.content_length
    }

    /// Makes the length of the body unknown: it is being rewritten on its way. It is then framed as chunked, and no `Content-Length` goes out;
    /// where there is no body, as in an answer to HEAD, there is none still.
    pub fn forget_length(&mut self) {
        self.content_length = None;
        if self.body != BodyLength::None {
            self.body = BodyLength::Chunked;
        }
    }

    /// Whether the upstream connection may be used again once the body has been read to its end.
    pub fn keep_alive(&self) -> bool {
        self.keep_alive
    }

    /// An interim answer: 1xx other than 101. Another response to the same request follows.
    pub fn is_interim(&self) -> bool {
        matches!(self.status, 100 | 102..=199)
    }

    /// The protocol of a 101, or the one a 426 asks for; else `None`. The caller checks that a 101 was asked for.
    pub fn upgrade(&self) -> Option<&str> {
        Some(ascii(self.fields.slice(self.upgrade))).filter(|protocol| !protocol.is_empty())
    }

    /// Forgets everything and keeps the buffers.
    pub fn clear(&mut self) {
        let mut fields = std::mem::take(&mut self.fields);
        fields.clear();
        *self = ResponseHead {
            fields,
            ..ResponseHead::default()
        };
    }
}

/// The reason phrases of RFC 9110 section 15 and the common additions of other RFCs; empty for a status that has none.
pub fn usual_reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        102 => "Processing",
        103 => "Early Hints",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        207 => "Multi-Status",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        425 => "Too Early",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        507 => "Insufficient Storage",
        511 => "Network Authentication Required",
        _ => "",
    }
}
