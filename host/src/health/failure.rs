//! Why a check failed, in words for whoever is woken by it.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use rustls::CertificateError;

/// The longest text of a peer that is repeated, in characters.
const PEER_TEXT_CHARS_MAX: usize = 120;

/// Why a check failed. Texts of the peer in it are cut and hold no control characters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// Nothing was learnt about the endpoint: this side had no socket to check it with. Not to be counted against it.
    #[error("not checked: no socket here: {0}")]
    Local(String),
    #[error("connection refused")]
    Refused,
    #[error("cannot connect: {0}")]
    Connect(String),
    /// The whole check took longer than its timeout; the stage is where it stood.
    #[error("no {stage} within {timeout:?}")]
    Timeout { stage: Stage, timeout: Duration },
    /// The endpoint ended the connection.
    #[error("connection closed before the {0}")]
    Closed(Stage),
    /// What came is not the protocol that was asked for.
    #[error("not a valid {protocol} answer: {reason}")]
    Protocol {
        protocol: &'static str,
        reason: String,
    },
    #[error("status {0}")]
    Status(u16),
    #[error("body does not match")]
    Body,
    #[error("certificate {0}")]
    Certificate(String),
    #[error("TLS handshake failed: {0}")]
    Tls(String),
    /// The endpoint's name is not one that can be asked for.
    #[error("{0:?} cannot be used as {1}")]
    Name(String, &'static str),
    /// The gRPC health service answered, and not that it serves.
    #[error("grpc status {0}")]
    Grpc(String),
}

/// What a check waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Connection,
    Handshake,
    Answer,
    Body,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stage::Connection => "connection",
            Stage::Handshake => "TLS handshake",
            Stage::Answer => "answer",
            Stage::Body => "end of the body",
        })
    }
}

impl Failure {
    /// Of a TLS handshake.
    pub(super) fn from_tls(error: &io::Error) -> Failure {
        let cause = error.get_ref().and_then(|e| e.downcast_ref());
        match cause {
            Some(rustls::Error::InvalidCertificate(fault)) => {
                Failure::Certificate(certificate_words(fault))
            }
            Some(other) => Failure::Tls(printable(&other.to_string())),
            None if has_ended(error) => Failure::Closed(Stage::Handshake),
            None => Failure::Tls(error.to_string()),
        }
    }

    /// The handshake went well, but not to a protocol that the probe could speak then.
    pub(super) fn disagreed(agreed: Option<&[u8]>) -> Failure {
        Failure::Tls(match agreed {
            Some(agreed) => {
                let agreed = printable(&String::from_utf8_lossy(agreed));
                format!("{agreed:?} was agreed on")
            }
            None => "HTTP/2 was not agreed on".to_owned(),
        })
    }

    /// Of an HTTP exchange that broke before `stage` was reached.
    pub(super) fn from_http(error: &hyper::Error, protocol: &'static str, stage: Stage) -> Failure {
        // A request that was not sent, or not answered, is cancelled; if a fault of the connection is the reason, it is further down.
        let mut closed = false;
        let mut reason = String::new();
        let mut cause: Option<&dyn Error> = Some(error);
        while let Some(error) = cause {
            if let Some(http) = error.downcast_ref::<hyper::Error>() {
                closed = http.is_canceled() || http.is_closed() || http.is_incomplete_message();
            }
            closed |= error.downcast_ref().is_some_and(has_ended);
            reason = error.to_string();
            cause = error.source();
        }
        if closed {
            return Failure::Closed(stage);
        }
        let reason = printable(&reason);
        Failure::Protocol { protocol, reason }
    }
}

/// The text of a peer, safe to show: cut, and without control characters.
pub(super) fn printable(text: &str) -> String {
    let safe = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    text.chars().take(PEER_TEXT_CHARS_MAX).map(safe).collect()
}

fn has_ended(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    let kind = error.kind();
    matches!(
        kind,
        BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof
    )
}

fn certificate_words(fault: &CertificateError) -> String {
    use CertificateError::{
        BadSignature, Expired, ExpiredContext, NotValidForName, NotValidForNameContext,
        NotValidYet, NotValidYetContext, UnknownIssuer,
    };
    match fault {
        Expired | ExpiredContext { .. } => "has expired".to_owned(),
        NotValidYet | NotValidYetContext { .. } => "is not valid yet".to_owned(),
        UnknownIssuer => "is not signed by a trusted authority".to_owned(),
        // Typical of a certificate or an authority that was made anew under the same name.
        BadSignature => "is not signed with the key of the trusted authority".to_owned(),
        NotValidForName => "is for another name".to_owned(),
        NotValidForNameContext { expected, .. } => format!("is not for {}", expected.to_str()),
        other => format!("is not acceptable: {}", printable(&other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_peer_is_cut_and_cannot_move_the_cursor() {
        assert_eq!(
            printable("a\u{1b}[2Jb\r\n"),
            "a\u{fffd}[2Jb\u{fffd}\u{fffd}"
        );
        for (chars, shown) in [(119, 119), (120, 120), (121, 120)] {
            assert_eq!(printable(&"é".repeat(chars)), "é".repeat(shown));
        }
    }
}
