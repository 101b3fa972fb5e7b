//! Moves bytes between two streams: through a lent buffer, or by `splice(2)` while a direction carries bulk.
//!
//! Splicing saves the copy into and out of user space and costs two more steps in the kernel, so it pays for long runs only: a direction is
//! spliced after some reads in a row have filled the buffer, until little arrives at a time again.

use super::buffer::Buffer;
use super::stream::{ReadHalf, Stream, WriteHalf};
use super::timer::Timer;
use std::cell::Cell;
use std::io;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// From this much on a run of bytes of known length is worth splicing.
pub const BULK_BYTES: u64 = 128 * 1024;
/// Reads in a row that fill the buffer before a direction is spliced.
const FULL_READS: u32 = 4;
/// Less than this at a time is no bulk.
const SMALL_BYTES: u64 = 8 * 1024;

/// How a relay ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelayEnd {
    /// Both directions reached their end.
    Finished,
    /// Reading from or writing to the downstream failed.
    Downstream,
    /// Reading from or writing to the upstream failed.
    Upstream,
    /// Nothing moved in either direction for the idle time.
    Idle,
}

/// Bytes that a relay has moved so far; readable while it runs.
#[derive(Debug, Default)]
pub struct Moved {
    /// Received from the downstream.
    pub from_downstream: Cell<u64>,
    /// Received from the upstream.
    pub from_upstream: Cell<u64>,
}

/// Relays both directions until both have ended, one failed, or nothing moved for `idle`. An end of one direction is passed on as a
/// half-close and the other goes on. Uses `timer`.
pub async fn relay(
    downstream: &mut Stream,
    upstream: &mut Stream,
    timer: &Timer,
    idle: Duration,
    moved: &Moved,
) -> RelayEnd {
    timer.set(idle);
    let (mut downstream_read, mut downstream_write) = downstream.split();
    let (mut upstream_read, mut upstream_write) = upstream.split();
    let to_upstream = async {
        let failed = direction(
            &mut downstream_read,
            &mut upstream_write,
            timer,
            idle,
            &moved.from_downstream,
        )
        .await;
        failed.map_err(|side| side.name(RelayEnd::Downstream, RelayEnd::Upstream))
    };
    let to_downstream = async {
        let failed = direction(
            &mut upstream_read,
            &mut downstream_write,
            timer,
            idle,
            &moved.from_upstream,
        )
        .await;
        failed.map_err(|side| side.name(RelayEnd::Upstream, RelayEnd::Downstream))
    };
    let both = async { tokio::try_join!(to_upstream, to_downstream) };
    match timer.within(both).await {
        Ok(Ok(_)) => RelayEnd::Finished,
        Ok(Err(end)) => end,
        Err(_) => RelayEnd::Idle,
    }
}

enum Side {
    Reading,
    Writing,
}

impl Side {
    fn name(self, reading: RelayEnd, writing: RelayEnd) -> RelayEnd {
        match self {
            Side::Reading => reading,
            Side::Writing => writing,
        }
    }
}

async fn direction(
    from: &mut ReadHalf<'_>,
    to: &mut WriteHalf<'_>,
    timer: &Timer,
    idle: Duration,
    moved: &Cell<u64>,
) -> Result<(), Side> {
    let active = |count: u64| {
        moved.set(moved.get() + count);
        timer.set(idle);
    };
    let mut full_reads = 0;
    loop {
        from.readable().await.map_err(|_| Side::Reading)?;
        let mut buffer = Buffer::take();
        let count = from.receive(&mut buffer).await.map_err(|_| Side::Reading)?;
        if count == 0 {
            return to.shutdown().await.map_err(|_| Side::Writing);
        }
        to.send(&buffer).await.map_err(|_| Side::Writing)?;
        active(count as u64);
        full_reads = if count == buffer.capacity() {
            full_reads + 1
        } else {
            0
        };
        drop(buffer);
        if full_reads == FULL_READS {
            full_reads = 0;
            // Without a descriptor for a pipe the bytes go on through the buffer.
            if let (Some(from), Some(to)) = (from.as_tcp(), to.as_tcp())
                && let Ok(splicer) = Splicer::take()
            {
                splice_bulk(splicer, from, to, &active).await?;
            }
        }
    }
}

/// Splices until little arrives at a time, or nothing more: the caller's next read tells which.
async fn splice_bulk(
    mut splicer: Splicer,
    from: &TcpStream,
    to: &TcpStream,
    active: &dyn Fn(u64),
) -> Result<(), Side> {
    loop {
        let count = splicer
            .fill(from, u64::MAX)
            .await
            .map_err(|_| Side::Reading)?;
        active(count);
        splicer.empty(to).await.map_err(|_| Side::Writing)?;
        active(0);
        if count < SMALL_BYTES {
            splicer.give_back();
            return Ok(());
        }
    }
}

pub use splice::Splicer;

#[cfg(target_os = "linux")]
mod splice {
    //! A pipe between two sockets.

    use super::*;
    use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
    use std::cell::RefCell;
    use std::os::fd::OwnedFd;
    use tokio::io::Interest;

    /// Bounds the pipes that a worker keeps: 8, with no bytes in them.
    const KEPT_MAX: usize = 8;

    thread_local! {
        static KEPT: RefCell<Vec<Splicer>> = const { RefCell::new(Vec::new()) };
    }

    /// Asked for; where the system's limit for unprivileged pipes is lower, the default (64 KiB) stays.
    const PIPE_BYTES: usize = 512 * 1024;

    /// Carries bytes from one socket to another without bringing them into user space.
    #[derive(Debug)]
    pub struct Splicer {
        read_end: OwnedFd,
        write_end: OwnedFd,
        held_bytes: usize,
    }

    impl Splicer {
        /// An empty pipe: one that the worker has kept, or a new one. Fails when the process is out of descriptors.
        pub fn take() -> io::Result<Splicer> {
            if let Some(kept) = KEPT.with_borrow_mut(Vec::pop) {
                return Ok(kept);
            }
            let (read_end, write_end) = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC)?;
            let _ = fcntl_setpipe_size(&write_end, PIPE_BYTES);
            Ok(Splicer {
                read_end,
                write_end,
                held_bytes: 0,
            })
        }

        /// Keeps the pipe for the next one to take it, if it is empty. One that is only dropped is closed.
        pub fn give_back(self) {
            KEPT.with_borrow_mut(|kept| {
                if self.held_bytes == 0 && kept.len() < KEPT_MAX {
                    kept.push(self);
                }
            });
        }

        /// Takes what `from` has, up to `limit` bytes; 0 at its end. The pipe must be empty.
        pub async fn fill(&mut self, from: &TcpStream, limit: u64) -> io::Result<u64> {
            let length = PIPE_BYTES.min(usize::try_from(limit).unwrap_or(usize::MAX));
            let count = from
                .async_io(Interest::READABLE, || {
                    Ok(splice(
                        from,
                        None,
                        &self.write_end,
                        None,
                        length,
                        SpliceFlags::MOVE | SpliceFlags::NONBLOCK,
                    )?)
                })
                .await?;
            self.held_bytes = count;
            Ok(count as u64)
        }

        /// Gives all it holds to `to`.
        pub async fn empty(&mut self, to: &TcpStream) -> io::Result<()> {
            while self.held_bytes > 0 {
                let length = self.held_bytes;
                let count = to
                    .async_io(Interest::WRITABLE, || {
                        Ok(splice(
                            &self.read_end,
                            None,
                            to,
                            None,
                            length,
                            SpliceFlags::MOVE | SpliceFlags::NONBLOCK,
                        )?)
                    })
                    .await?;
                self.held_bytes -= count;
            }
            Ok(())
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod splice {
    //! Where there is no `splice(2)`: the same through a buffer.

    use super::*;

    /// Carries bytes from one socket to another.
    #[derive(Debug)]
    pub struct Splicer(Buffer);

    impl Splicer {
        /// Never fails here.
        pub fn take() -> io::Result<Splicer> {
            Ok(Splicer(Buffer::take()))
        }

        /// The buffer returns to its pool.
        pub fn give_back(self) {}

        /// Takes what `from` has, up to `limit` bytes; 0 at its end.
        pub async fn fill(&mut self, from: &TcpStream, limit: u64) -> io::Result<u64> {
            self.0.clear();
            let room = self
                .0
                .capacity()
                .min(usize::try_from(limit).unwrap_or(usize::MAX));
            loop {
                from.readable().await?;
                self.0.resize(room, 0);
                match from.try_read(&mut self.0) {
                    Ok(count) => {
                        self.0.truncate(count);
                        return Ok(count as u64);
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.0.clear(),
                    Err(error) => return Err(error),
                }
            }
        }

        /// Gives all it holds to `to`.
        pub async fn empty(&mut self, to: &TcpStream) -> io::Result<()> {
            let mut sent = 0;
            while sent < self.0.len() {
                to.writable().await?;
                match to.try_write(&self.0[sent..]) {
                    Ok(count) => sent += count,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::timer::drive;
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    async fn pair() -> (TcpStream, Stream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = listener.local_addr().expect("bound");
        let (outer, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        (
            outer.expect("connects"),
            Stream::Tcp(accepted.expect("accepts").0),
        )
    }

    async fn with_wheel<F: Future>(test: F) -> F::Output {
        let local = tokio::task::LocalSet::new();
        local.spawn_local(drive());
        local.run_until(test).await
    }

    /// Sends `bytes` through a relay with the far side half-closing first, and what comes back.
    async fn through_relay(bytes: Vec<u8>) -> (Vec<u8>, Vec<u8>, RelayEnd) {
        let (mut client, mut downstream) = pair().await;
        let (mut server, mut upstream) = pair().await;
        let timer = Timer::new();
        let moved = Moved::default();
        let serve = async {
            let mut received = Vec::new();
            server.read_to_end(&mut received).await.expect("reads");
            server
                .write_all(b"answer after the half-close")
                .await
                .expect("writes");
            server.shutdown().await.expect("closes");
            received
        };
        let call = async {
            client.write_all(&bytes).await.expect("writes");
            client.shutdown().await.expect("half-closes");
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).await.expect("reads");
            answer
        };
        let relay = relay(
            &mut downstream,
            &mut upstream,
            &timer,
            Duration::from_secs(5),
            &moved,
        );
        let (received, answer, end) = tokio::join!(serve, call, relay);
        assert_eq!(moved.from_downstream.get(), bytes.len() as u64);
        (received, answer, end)
    }

    #[tokio::test]
    async fn a_half_close_passes_and_the_other_direction_goes_on() {
        with_wheel(async {
            for size in [
                1,
                SMALL_BYTES as usize,
                BULK_BYTES as usize,
                40 * BULK_BYTES as usize + 3,
            ] {
                let bytes: Vec<u8> = (0..size).map(|i| (i * 31 % 251) as u8).collect();
                let (received, answer, end) = through_relay(bytes.clone()).await;
                assert!(received == bytes, "{size} bytes arrived changed");
                assert_eq!(answer, b"answer after the half-close");
                assert_eq!(end, RelayEnd::Finished);
            }
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn ends_when_nothing_moves_for_the_idle_time() {
        with_wheel(async {
            let (_client, mut downstream) = pair().await;
            let (_server, mut upstream) = pair().await;
            let end = relay(
                &mut downstream,
                &mut upstream,
                &Timer::new(),
                Duration::from_secs(7),
                &Moved::default(),
            )
            .await;
            assert_eq!(end, RelayEnd::Idle);
        })
        .await;
    }
}
