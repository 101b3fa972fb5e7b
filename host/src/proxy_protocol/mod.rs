//! The PROXY protocol, versions 1 and 2, in both directions: who a connection is relayed for, said ahead of its first byte.
//!
//! [`parse`] is pure, [`receive`] takes a header off a stream and nothing behind it, [`write()`] makes one, and [`write_for`] fills it with
//! what is known of a downstream. The protocol is HAProxy's (`doc/proxy-protocol.txt`). Who may send a header is the listener's business:
//! a receiver never guesses whether there is one. The room knows neither listeners nor clusters.

mod binary;
mod common_name;
mod receive;
mod text;
mod values;
mod write;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;

use crate::http::ProxyFacts;

pub use receive::{ReceiveError, receive};
pub use values::{write_for, write_local};
pub use write::{Header, write};

/// The longest header of version 1, with its CRLF: `UNKNOWN` with the longest addresses and ports.
pub const LINE_BYTES_MAX: usize = 107;

/// The longest header that is taken, and made: one of version 2 with 4 KiB of addresses and values. The protocol would allow 64 KiB.
pub const HEADER_BYTES_MAX: usize = binary::FIXED_BYTES + 4096;

/// What a header said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Who opened the connection. `None`: the real address of the connection stays, for the header is about the sender itself (`LOCAL`), or
    /// about something without such an address (`UNKNOWN`, unspecified, a Unix socket). An IPv4 address mapped into IPv6 is given as IPv4, so
    /// that rules for it hold.
    pub source: Option<SocketAddr>,
    /// What it was opened to; there if and only if the source is.
    pub destination: Option<SocketAddr>,
    /// With the version and the values; the sender is for the caller to fill in.
    pub facts: ProxyFacts,
}

/// What [`parse`] made of the bytes that there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parsed {
    /// The header goes on; all bytes so far belong to it.
    Partial,
    /// The header is the first `length` bytes.
    Complete { received: Received, length: usize },
}

/// Why bytes are no header, or none that may be trusted. The connection is of no use then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadHeader {
    #[error("no PROXY header")]
    NoHeader,
    #[error("the line is longer than {LINE_BYTES_MAX} bytes")]
    LongLine,
    #[error("the line does not end with CRLF")]
    LineEnd,
    #[error("malformed line")]
    Line,
    #[error("version {0}, which is unknown")]
    Version(u8),
    #[error("command {0}, which is unknown")]
    Command(u8),
    /// The byte with both.
    #[error("address family and transport {0:#04x}, which are unknown")]
    Family(u8),
    #[error("{0} bytes of addresses and values, which is too much")]
    Length(u16),
    #[error("no room for the addresses of its family")]
    NoAddresses,
    /// By its type: it ends behind the header, or its length is one that its type cannot have.
    #[error("malformed value of type {0:#04x}")]
    Value(u8),
    #[error("wrong checksum")]
    Checksum,
}

/// Reads a header of either version from the front of `bytes`, strictly. What is none is refused by its first byte that shows it; only
/// addresses and values are looked at when all is there.
///
/// A checksum is verified where there is one. A `LOCAL` header is taken whatever its addresses and values are, as the protocol demands.
///
/// # Errors
/// [`BadHeader`].
pub fn parse(bytes: &[u8]) -> Result<Parsed, BadHeader> {
    match bytes.first() {
        None => Ok(Parsed::Partial),
        Some(b'P') => text::parse(bytes),
        Some(_) => binary::parse(bytes),
    }
}

/// How many bytes a header that begins with `bytes` has at least; more than there are, where it is [`Parsed::Partial`].
fn length_min(bytes: &[u8]) -> usize {
    match bytes.first() {
        None => text::BYTES_MIN,
        Some(b'P') => text::length_min(bytes),
        Some(_) => binary::length_min(bytes),
    }
}
