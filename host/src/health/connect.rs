//! Opening a connection to check, and closing it so that the endpoint sees no reset.

use std::io;

use rustix::io::Errno;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::deadline::Deadline;
use super::{Failure, Stage};
use crate::net::address::Address;
use crate::net::stream::Stream;

/// The most that is read and dropped while an endpoint takes leave.
const LEAVE_BYTES_MAX: u64 = 64 * 1024;

pub(super) async fn connect(address: &Address, deadline: &Deadline) -> Result<Stream, Failure> {
    let connected = deadline.bound(Stage::Connection, Stream::connect(address));
    connected.await?.map_err(|error| from_socket(&error))
}

/// Says goodbye and reads on until the endpoint does: closing a socket with unread bytes in it sends a reset, and endpoints log resets.
pub(super) async fn close(mut stream: impl AsyncRead + AsyncWrite + Unpin, deadline: &Deadline) {
    let leave = async {
        stream.shutdown().await?;
        let mut rest = stream.take(LEAVE_BYTES_MAX);
        tokio::io::copy(&mut rest, &mut tokio::io::sink()).await
    };
    deadline.take_leave(leave).await;
}

fn from_socket(error: &io::Error) -> Failure {
    // Ours to run out of. All other errors, a missing protocol family or route among them, mean that the endpoint cannot be reached from
    // here, by requests neither.
    let exhausted = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    match Errno::from_io_error(error) {
        Some(errno) if exhausted.contains(&errno) => Failure::Local(error.to_string()),
        Some(Errno::CONNREFUSED) => Failure::Refused,
        _ => Failure::Connect(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exhaustion_is_not_held_against_the_endpoint() {
        let failure = |errno: Errno| from_socket(&errno.into());
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM] {
            assert!(matches!(failure(errno), Failure::Local(_)), "{errno:?}");
        }
        for errno in [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL, Errno::HOSTUNREACH] {
            assert!(matches!(failure(errno), Failure::Connect(_)), "{errno:?}");
        }
        assert_eq!(failure(Errno::CONNREFUSED), Failure::Refused);
    }
}
