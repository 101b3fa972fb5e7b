//! What a filter answers, checked: nothing in these types can break a message.

use super::bindings;
use super::edits::{Edits, Phase, check_line, check_status, without_outer_blanks};
use super::fault::Fault;

/// Most header lines of a reply, and most bytes of their names and values.
const REPLY_HEADERS_MAX: usize = 128;
const REPLY_HEADER_BYTES_MAX: usize = 64 * 1024;
/// How much longer a part of a body may become in one call.
const BODY_GROWTH_MAX: usize = 16 * 1024 * 1024;
/// Longest body of a reply.
const REPLY_BODY_BYTES_MAX: usize = 1024 * 1024;

/// What an HTTP filter answers.
#[derive(Debug)]
pub enum Verdict {
    /// Go on with these edits, which may be none.
    Next(Edits),
    /// Answer with this instead.
    Reply(Reply),
    /// Close the downstream connection without an answer.
    Close,
}

/// What an HTTP filter answers to a part of a body.
#[derive(Debug)]
pub enum BodyVerdict {
    Next {
        /// In place of the part.
        content: Option<Vec<u8>>,
        /// Of the head, while that is held back.
        edits: Edits,
    },
    Reply(Reply),
    Close,
}

/// What a network filter answers on accept.
#[derive(Debug)]
pub enum NetworkVerdict {
    /// Go on; each edit is an [`Edit::Tag`](super::Edit::Tag).
    Next(Edits),
    /// Close the connection at once.
    Close,
}

/// A response made by a filter. The names and values are valid and none is a framing header.
#[derive(Debug, PartialEq, Eq)]
pub struct Reply {
    /// 200 to 599.
    pub status: u16,
    pub headers: Vec<(String, Vec<u8>)>,
    /// At most 1 MiB.
    pub body: Vec<u8>,
}

impl Verdict {
    pub(super) fn check(answer: bindings::HttpVerdict, phase: Phase) -> Result<Verdict, Fault> {
        match answer {
            bindings::HttpVerdict::Next(bytes) => Edits::check(bytes, phase).map(Verdict::Next),
            bindings::HttpVerdict::Reply(reply) => Reply::check(reply).map(Verdict::Reply),
            bindings::HttpVerdict::Close => Ok(Verdict::Close),
        }
    }
}

impl BodyVerdict {
    /// `part` is what it was asked about; `phase` tells which head the edits are for.
    pub(super) fn check(
        answer: bindings::BodyVerdict,
        part: usize,
        phase: Phase,
    ) -> Result<BodyVerdict, Fault> {
        match answer {
            bindings::BodyVerdict::Next(bindings::Change { content, edits }) => {
                let length = content.as_ref().map_or(0, Vec::len);
                if length > part.saturating_add(BODY_GROWTH_MAX) {
                    return Err(Fault::bad_output(format!(
                        "{length} bytes in place of {part}; at most {BODY_GROWTH_MAX} more"
                    )));
                }
                let edits = Edits::check(edits, phase)?;
                Ok(BodyVerdict::Next { content, edits })
            }
            bindings::BodyVerdict::Reply(reply) => Reply::check(reply).map(BodyVerdict::Reply),
            bindings::BodyVerdict::Close => Ok(BodyVerdict::Close),
        }
    }
}

impl NetworkVerdict {
    pub(super) fn check(answer: bindings::NetworkVerdict) -> Result<NetworkVerdict, Fault> {
        match answer {
            bindings::NetworkVerdict::Next(bytes) => {
                Edits::check(bytes, Phase::Accept).map(NetworkVerdict::Next)
            }
            bindings::NetworkVerdict::Close => Ok(NetworkVerdict::Close),
        }
    }
}

impl Reply {
    fn check(reply: bindings::Reply) -> Result<Reply, Fault> {
        let bindings::Reply {
            status,
            mut headers,
            body,
        } = reply;
        let bad = |why: &str| Fault::bad_output(format!("reply: {why}"));
        check_status(status).map_err(bad)?;
        if body.len() > REPLY_BODY_BYTES_MAX {
            return Err(bad("a body of more than 1 MiB"));
        }
        let bytes: usize = headers
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        if headers.len() > REPLY_HEADERS_MAX || bytes > REPLY_HEADER_BYTES_MAX {
            return Err(bad("more than 128 headers or 64 KiB of them"));
        }
        for (name, value) in &mut headers {
            *value = without_outer_blanks(value).to_vec();
            check_line(name.as_bytes(), value).map_err(bad)?;
        }
        Ok(Reply {
            status,
            headers,
            body,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_checked() {
        let reply = |status, name: &str, value: &[u8], body: usize| {
            let headers = vec![(name.to_owned(), value.to_vec())];
            Reply::check(bindings::Reply {
                status,
                headers,
                body: vec![b'a'; body],
            })
        };
        assert_eq!(
            reply(403, "x-a", b" b ", 3).expect("valid reply").headers,
            [("x-a".to_owned(), b"b".to_vec())]
        );
        assert!(reply(200, "x-a", b"", REPLY_BODY_BYTES_MAX).is_ok());
        assert!(reply(200, "x-a", b"", REPLY_BODY_BYTES_MAX + 1).is_err());
        assert!(reply(100, "x-a", b"", 0).is_err());
        assert!(reply(200, "content-length", b"1", 0).is_err());
        assert!(reply(200, "x a", b"1", 0).is_err());
        assert!(reply(200, "x-a", b"\r\n", 0).is_err());
    }
}
