//! What a filter answers.

use crate::bindings::http_filter::exports::tollgate::plugin::http as wit;
use crate::edits::Edits;

/// The answer of an HTTP filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go on, with these edits.
    Next(Edits),
    /// In the request phase: answer with this, send nothing upstream. In the response phase: replace the response.
    Reply(Reply),
    /// Close the downstream connection without an answer.
    Close,
}

impl Verdict {
    /// Go on unchanged.
    #[must_use]
    pub const fn next() -> Self {
        Verdict::Next(Edits::new())
    }

    pub(crate) fn into_wit(self) -> wit::Verdict {
        match self {
            Verdict::Next(edits) => wit::Verdict::Next(edits.into_bytes()),
            Verdict::Reply(reply) => {
                let Reply {
                    status,
                    headers,
                    body,
                } = reply;
                wit::Verdict::Reply(wit::Reply {
                    status,
                    headers,
                    body,
                })
            }
            Verdict::Close => wit::Verdict::Close,
        }
    }
}

impl From<Edits> for Verdict {
    fn from(edits: Edits) -> Self {
        Verdict::Next(edits)
    }
}

impl From<Reply> for Verdict {
    fn from(reply: Reply) -> Self {
        Verdict::Reply(reply)
    }
}

/// A response made by the filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// 200 to 599.
    pub status: u16,
    /// Lower-case names; framing headers are the host's.
    pub headers: Vec<(String, Vec<u8>)>,
    /// At most 1 MiB.
    pub body: Vec<u8>,
}

impl Reply {
    /// Without headers and body. The status is 200 to 599; the host refuses others.
    #[must_use]
    pub const fn new(status: u16) -> Self {
        Reply {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// Adds a header line. Lower-case name.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// The body, as it is.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// A body of plain text, with its `content-type`.
    #[must_use]
    pub fn text(self, text: &str) -> Self {
        self.header("content-type", "text/plain; charset=utf-8")
            .body(text)
    }
}
