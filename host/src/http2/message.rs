//! Bodies in both notations: DATA and trailers to HTTP/1.1 text and back, under flow control.

mod incoming;
mod outgoing;

pub(super) use incoming::{Framing, Incoming};
pub(super) use outgoing::Outgoing;

use std::io;

/// A failure of HTTP/2 as one of a byte stream: a reset by either side is `ConnectionReset`.
pub(super) fn broken(error: h2::Error) -> io::Error {
    if error.is_io() {
        let lost = || io::ErrorKind::ConnectionReset.into();
        return error.into_io().unwrap_or_else(lost);
    }
    let kind = if error.is_reset() || error.is_go_away() {
        io::ErrorKind::ConnectionReset
    } else {
        io::ErrorKind::InvalidData
    };
    io::Error::new(kind, error)
}

/// Why a stream took nothing more: whatever h2 says, there is no other reason for what we give it than that either side has reset it.
pub(super) fn gone(error: h2::Error) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, error)
}
