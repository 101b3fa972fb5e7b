//! Why an exchange failed, and whether its request may be sent again.

use std::borrow::Cow;
use std::io;

/// The endpoint has not acted on the request and says so (RFC 9113 section 8.7), or it was never sent: it may be sent again, whatever it is.
#[derive(Debug, Clone, thiserror::Error)]
#[error("not processed: {why}")]
pub struct NotProcessed {
    why: Cow<'static, str>,
}

/// Whether `error`, from reading or writing a stream of this room, says that its request was not processed.
pub fn is_not_processed(error: &io::Error) -> bool {
    error
        .get_ref()
        .is_some_and(|inner| inner.is::<NotProcessed>())
}

/// Whether `error`, from a stream of this room, says that the endpoint has reset the stream: it has seen the request.
pub fn is_stream_reset(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ConnectionReset && error.get_ref().is_some()
}

/// A failed exchange: an `io::Error` that can be given more than once, as both directions meet it.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    kind: io::ErrorKind,
    why: Cow<'static, str>,
}

/// Stands for [`NotProcessed`] alone.
const NOT_PROCESSED: io::ErrorKind = io::ErrorKind::ConnectionRefused;

impl Failure {
    pub(super) fn not_processed(why: impl Into<Cow<'static, str>>) -> Failure {
        Failure {
            kind: NOT_PROCESSED,
            why: why.into(),
        }
    }

    /// The peer sent what it may not.
    pub(super) fn invalid(why: impl Into<Cow<'static, str>>) -> Failure {
        Failure {
            kind: io::ErrorKind::InvalidData,
            why: why.into(),
        }
    }

    /// The request cannot be said in HTTP/2.
    pub(super) fn unfit(why: impl Into<Cow<'static, str>>) -> Failure {
        Failure {
            kind: io::ErrorKind::InvalidInput,
            why: why.into(),
        }
    }

    /// The peer takes no more of the request body.
    pub(super) fn unwanted() -> Failure {
        Failure {
            kind: io::ErrorKind::BrokenPipe,
            why: "the endpoint takes no more of the request".into(),
        }
    }

    pub(super) fn cut() -> Failure {
        Failure {
            kind: io::ErrorKind::UnexpectedEof,
            why: "the response ended before its announced length".into(),
        }
    }

    /// A stream could not be begun: nothing of the request has left, unless it is the request itself that does not fit.
    pub(super) fn of_unsent(error: &h2::Error) -> Failure {
        if error.reason().is_none() && !error.is_io() {
            return Failure::unfit(error.to_string());
        }
        Failure::not_processed(error.to_string())
    }

    /// A stream failed whose request was sent. `answered` says that something of a response was there: then the peer has acted on the
    /// request, whatever it says.
    pub(super) fn of_sent(error: &h2::Error, answered: bool) -> Failure {
        // A GOAWAY fails only the streams that it says were not processed; the others go on.
        let is_refusal = error.is_remote()
            && (error.is_go_away() || error.reason() == Some(h2::Reason::REFUSED_STREAM));
        let kind = match error {
            _ if is_refusal && !answered => NOT_PROCESSED,
            _ if error.is_library() => io::ErrorKind::InvalidData,
            _ if is_flood(error) => io::ErrorKind::InvalidData,
            _ if error.is_io() => io::ErrorKind::UnexpectedEof,
            _ => io::ErrorKind::ConnectionReset,
        };
        Failure {
            kind,
            why: error.to_string().into(),
        }
    }

    /// Whether the peer has stopped taking the request, rather than the request being at fault.
    pub(super) fn is_unwanted(&self) -> bool {
        self.kind == io::ErrorKind::BrokenPipe
    }

    pub(super) fn to_io(&self) -> io::Error {
        let why = self.why.clone();
        match self.kind {
            NOT_PROCESSED => io::Error::new(NOT_PROCESSED, NotProcessed { why }),
            kind => io::Error::new(kind, why),
        }
    }
}

/// The guard below `h2` answers so; the system has no such error for a socket.
fn is_flood(error: &h2::Error) -> bool {
    error
        .get_io()
        .is_some_and(|error| error.kind() == io::ErrorKind::InvalidData)
}

/// A failed handshake is one of the stream below: nothing of the peer's has been read.
pub(super) fn of_handshake(error: h2::Error) -> io::Error {
    let why = error.to_string();
    error.into_io().unwrap_or_else(|| io::Error::other(why))
}
