//! Taking a header off a stream.

use std::io;

use tokio::io::AsyncReadExt;

use super::{BadHeader, Parsed, Received, length_min, parse};
use crate::net::stream::Stream;

/// Why there is no header.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiveError {
    #[error("bad PROXY header")]
    Bad(#[from] BadHeader),
    /// The peer said nothing at all; checks of load balancers do so.
    #[error("connection closed before the PROXY header")]
    Silent,
    #[error("connection closed within the PROXY header")]
    Closed,
    #[error("the PROXY header cannot be read")]
    Io(#[source] io::Error),
}

/// Reads a header, and nothing behind it: the next read gives the first byte of what the connection is for. So the second part of the answer,
/// bytes from behind the header, is always empty.
///
/// A header of version 2 that comes whole takes two reads, one of version 1 some more, for its end is not known before it is there: a read
/// never asks for more than the shortest header with that beginning has. Waits for as long as the peer takes; the caller has the deadline.
/// Not cancel safe: what was read is lost, and the stream then stands in the middle of a header.
///
/// # Errors
/// [`ReceiveError`]; the connection is of no use then.
pub async fn receive(stream: &mut Stream) -> Result<(Received, Vec<u8>), ReceiveError> {
    // Bounded by `HEADER_BYTES_MAX` and `LINE_BYTES_MAX`, which `parse` enforces before a length is believed.
    let mut header = Vec::with_capacity(length_min(&[]));
    loop {
        match parse(&header)? {
            Parsed::Complete { received, .. } => return Ok((received, Vec::new())),
            Parsed::Partial => read_some(stream, &mut header).await?,
        }
    }
}

/// One read of what the header lacks at least.
async fn read_some(stream: &mut Stream, header: &mut Vec<u8>) -> Result<(), ReceiveError> {
    let missing = length_min(header).saturating_sub(header.len()).max(1);
    let mut limited = stream.take(missing as u64);
    match limited.read_buf(header).await {
        Ok(0) if header.is_empty() => Err(ReceiveError::Silent),
        Ok(0) => Err(ReceiveError::Closed),
        Ok(_) => Ok(()),
        Err(error) => Err(ReceiveError::Io(error)),
    }
}
