//! Idle upstream connections, kept by each worker for itself: no lock, and a connection never changes its event loop.

use super::dial::Counts;
use super::live::EndpointState;
use super::multiplexed;
use crate::net::stream::Stream;
use crate::net::timer::coarse_now;
use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::time::Duration;

/// Bounds idle connections per endpoint and worker.
const IDLE_MAX: usize = 256;

thread_local! {
    /// Bounded by [`IDLE_MAX`] per endpoint that was used within its idle timeout.
    static POOLS: RefCell<HashMap<u64, Vec<Idle>, BuildHasherDefault<IdHasher>>> = RefCell::default();
}

/// Endpoint numbers are small, unique and ours: they need no mixing, and nobody can choose them to collide.
#[derive(Debug, Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(self.0 << 8 | u64::from(byte));
        }
    }

    fn write_u64(&mut self, id: u64) {
        // The table takes its bucket from the low bits and its tag from the high ones.
        self.0 = id ^ id << 57;
    }
}

#[derive(Debug)]
struct Idle {
    stream: Stream,
    counts: Counts,
    /// Of the transport that it was made by.
    identity: u64,
    /// On the coarse clock.
    since: Duration,
    idle_timeout: Duration,
}

impl Idle {
    fn is_good(&self, now: Duration) -> bool {
        now < self.since + self.idle_timeout && !self.stream.is_stale()
    }
}

/// The most recently used idle connection of this identity that is still good and has been idle for at most `age_max`, or none.
pub(super) fn take(
    endpoint: &EndpointState,
    identity: u64,
    age_max: Duration,
) -> Option<(Stream, Counts)> {
    POOLS.with_borrow_mut(|pools| {
        let pool = pools.get_mut(&endpoint.id())?;
        let now = coarse_now();
        while let Some(idle) = pool.pop_if(|idle| now <= idle.since + age_max) {
            if idle.identity == identity && idle.is_good(now) {
                return Some((idle.stream, idle.counts));
            }
        }
        None
    })
}

/// Keeps a connection on which an exchange has ended cleanly, for at most `idle_timeout`.
pub(super) fn put(
    endpoint: &EndpointState,
    stream: Stream,
    counts: Counts,
    identity: u64,
    idle_timeout: Duration,
) {
    let idle = Idle {
        stream,
        counts,
        identity,
        since: coarse_now(),
        idle_timeout,
    };
    POOLS.with_borrow_mut(|pools| {
        let pool = pools.entry(endpoint.id()).or_default();
        if pool.len() < IDLE_MAX {
            pool.push(idle);
        }
    });
}

/// Closes one idle connection of this worker that `wanted` holds for; false when there is none. Looks at all of them: for when a limit is
/// reached.
pub(super) fn close_one(wanted: impl Fn(&Counts) -> bool) -> bool {
    POOLS.with_borrow_mut(|pools| {
        for pool in pools.values_mut() {
            if let Some(position) = pool.iter().position(|idle| wanted(&idle.counts)) {
                // The longest idle of an endpoint stands first.
                pool.remove(position);
                return true;
            }
        }
        false
    })
}

/// Closes what is past its time or was closed by the endpoint. Each worker calls it about once a second.
pub fn sweep() {
    let now = coarse_now();
    POOLS.with_borrow_mut(|pools| {
        pools.retain(|_, pool| {
            // What is idle at the most connections that a cluster may have keeps other workers from connecting.
            pool.retain(|idle| idle.is_good(now) && !idle.counts.is_crowded());
            !pool.is_empty()
        });
    });
    multiplexed::sweep();
}

#[cfg(test)]
mod tests {
    use super::super::live::test_endpoint;
    use super::*;
    use tokio::net::TcpListener;

    async fn connected() -> (Stream, tokio::net::TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = listener.local_addr().expect("bound").into();
        let (stream, accepted) = tokio::join!(Stream::connect(&address), listener.accept());
        (stream.expect("connects"), accepted.expect("accepts").0)
    }

    fn keep(state: &std::sync::Arc<EndpointState>, stream: Stream) {
        let counts = Counts::of_test(state);
        put(state, stream, counts, 7, Duration::from_secs(60));
    }

    #[tokio::test]
    async fn a_connection_that_the_endpoint_closed_is_not_lent() {
        let state = test_endpoint(&Default::default(), u32::MAX);
        let (good, _peer) = connected().await;
        let (closed, peer) = connected().await;
        keep(&state, good);
        drop(peer);
        closed.readable().await.expect("the end arrives");
        keep(&state, closed);
        assert_eq!(state.connections(), 2);
        let (other, _other_peer) = connected().await;
        put(
            &state,
            other,
            Counts::of_test(&state),
            8,
            Duration::from_secs(60),
        );
        assert!(
            take(&state, 7, Duration::MAX / 2).is_some(),
            "the other identity is passed over"
        );
        assert!(take(&state, 7, Duration::MAX / 2).is_none());
        assert_eq!(state.connections(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_past_its_idle_timeout_is_swept() {
        let state = test_endpoint(&Default::default(), u32::MAX);
        let (stream, _peer) = connected().await;
        keep(&state, stream);
        tokio::time::advance(Duration::from_secs(59)).await;
        sweep();
        assert!(POOLS.with_borrow(|pools| pools.contains_key(&state.id())));
        tokio::time::advance(Duration::from_secs(2)).await;
        sweep();
        assert!(take(&state, 7, Duration::MAX / 2).is_none());
    }
}
