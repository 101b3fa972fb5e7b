//! Requests that wait for a place, over all workers: one queue for the cluster and one for each endpoint.
//!
//! As HAProxy's (`src/queue.c: pendconn_process_next_strm`): a request that is bound to an endpoint waits for that one, any other for the
//! first of the cluster that has room. A place that becomes free goes to the head of the two queues that may have it: lower class first,
//! then who came first, the endpoint's own queue before the cluster's at a tie. An endpoint that takes no new traffic still serves its own
//! queue.
//!
//! No wake-up is lost: who waits stands in the queue before it looks for room once more, and who leaves has given its place back before
//! it looks into the queue; both with sequentially consistent operations, so at least one of them sees the other. While nobody waits,
//! leaving costs one load of a counter that nobody writes, and no lock.

use super::live::{EndpointState, Place};
use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use tokio::sync::oneshot;

/// The lowest number is served first.
pub const PRIORITY_MIN: i16 = -2047;
pub const PRIORITY_MAX: i16 = 2047;

/// Who waits in a cluster.
#[derive(Debug, Default)]
pub struct Queue {
    /// How many wait in all.
    count: AtomicUsize,
    /// How many of them wait for any endpoint.
    unbound: AtomicUsize,
    lines: Mutex<Lines>,
}

#[derive(Debug, Default)]
struct Lines {
    next_number: u64,
    any: Line,
    /// By endpoint number; a line that is empty is taken away.
    bound: HashMap<u64, Line>,
}

/// In the order in which it is served.
type Line = BTreeMap<Rank, Waiting>;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    class: i16,
    number: u64,
}

#[derive(Debug)]
struct Waiting {
    /// Endpoints it does not want while there is another.
    tried: Box<[u64]>,
    place: oneshot::Sender<Place>,
}

/// What somebody wants to wait for.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    /// From [`PRIORITY_MIN`] to [`PRIORITY_MAX`], lower first.
    pub class: i16,
    /// The number of the one endpoint that will do.
    pub bound: Option<u64>,
    /// Numbers of endpoints that will not, while there is another.
    pub tried: &'a [u64],
}

/// The queue is as long as it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueFull;

impl Queue {
    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.count.load(Ordering::SeqCst) == 0
    }

    /// How many wait in all.
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether somebody waits for any endpoint: then who comes now comes after them.
    pub fn has_unbound(&self) -> bool {
        self.unbound.load(Ordering::Relaxed) > 0
    }

    /// How many wait for this endpoint alone.
    pub fn waiting_for(&self, endpoint: u64) -> usize {
        if self.is_empty() {
            return 0;
        }
        self.lines().bound.get(&endpoint).map_or(0, BTreeMap::len)
    }

    /// Joins the queue, unless `most` wait in it already, or `most_bound` in the one of the endpoint it is bound to. Whoever joins must
    /// then offer the places that are free ([`Queue::serve`]) before it awaits the waiter.
    ///
    /// # Errors
    /// [`QueueFull`].
    pub fn join(
        self: &Arc<Self>,
        wish: Wish<'_>,
        most: usize,
        most_bound: usize,
    ) -> Result<Waiter, QueueFull> {
        let (sender, place) = oneshot::channel();
        let mut lines = self.lines();
        if self.count.load(Ordering::Relaxed) >= most {
            return Err(QueueFull);
        }
        let rank = Rank {
            class: wish.class,
            number: lines.next_number,
        };
        lines.next_number += 1;
        let line = match wish.bound {
            Some(endpoint) => {
                let standing = lines.bound.get(&endpoint).map_or(0, BTreeMap::len);
                if standing >= most_bound {
                    return Err(QueueFull);
                }
                lines.bound.entry(endpoint).or_default()
            }
            None => &mut lines.any,
        };
        let waiting = Waiting {
            tried: wish.tried.into(),
            place: sender,
        };
        line.insert(rank, waiting);
        self.count.fetch_add(1, Ordering::SeqCst);
        if wish.bound.is_none() {
            self.unbound.fetch_add(1, Ordering::SeqCst);
        }
        Ok(Waiter {
            queue: self.clone(),
            rank,
            bound: wish.bound,
            place,
            served: false,
        })
    }

    /// Gives the endpoint's free places to those who wait for them, best first.
    pub fn serve(&self, endpoint: &Arc<EndpointState>) {
        while let Some((waiting, place)) = self.next_for(endpoint) {
            // Whoever left at this moment loses nothing: the place comes back by its drop, which serves again.
            let _ = waiting.place.send(place);
        }
    }

    /// The best of those who may have a place at the endpoint, with the place.
    fn next_for(&self, endpoint: &Arc<EndpointState>) -> Option<(Waiting, Place)> {
        let mut lines = self.lines();
        let own = first_for(lines.bound.get(&endpoint.id()), endpoint);
        let any = endpoint
            .is_open()
            .then(|| first_for(Some(&lines.any), endpoint))
            .flatten();
        let (rank, bound) = match (own, any) {
            (Some(own), Some(any)) if any < own => (any, false),
            (Some(own), _) => (own, true),
            (None, Some(any)) => (any, false),
            (None, None) => return None,
        };
        let place = endpoint.enter()?;
        if !bound && !endpoint.is_open() {
            // It closed meanwhile. The place goes back without the lock, since that serves again.
            drop(lines);
            return None;
        }
        let waiting = self.remove(&mut lines, rank, bound.then(|| endpoint.id()));
        Some((waiting.expect("found under the same lock"), place))
    }

    /// Takes somebody off its line.
    fn remove(&self, lines: &mut Lines, rank: Rank, bound: Option<u64>) -> Option<Waiting> {
        let waiting = match bound {
            None => lines.any.remove(&rank)?,
            Some(endpoint) => {
                let line = lines.bound.get_mut(&endpoint)?;
                let waiting = line.remove(&rank)?;
                if line.is_empty() {
                    lines.bound.remove(&endpoint);
                }
                waiting
            }
        };
        self.count.fetch_sub(1, Ordering::SeqCst);
        if bound.is_none() {
            self.unbound.fetch_sub(1, Ordering::SeqCst);
        }
        Some(waiting)
    }

    /// Those who have tried each of the endpoints that are open now may have one of them again: there is nobody else.
    pub fn forgive(&self, open: &[u64]) {
        let mut lines = self.lines();
        for waiting in lines.any.values_mut() {
            if open.iter().all(|endpoint| waiting.tried.contains(endpoint)) {
                waiting.tried = Box::default();
            }
        }
    }

    /// Sends everybody away who waits for an endpoint that will serve nobody any more; they look elsewhere.
    pub fn dissolve(&self, endpoint: u64) {
        let mut lines = self.lines();
        let Some(line) = lines.bound.remove(&endpoint) else {
            return;
        };
        self.count.fetch_sub(line.len(), Ordering::SeqCst);
        // Dropping the senders wakes them.
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn first_for(line: Option<&Line>, endpoint: &EndpointState) -> Option<Rank> {
    let wanted = |(_, waiting): &(&Rank, &Waiting)| !waiting.tried.contains(&endpoint.id());
    line?.iter().find(wanted).map(|(rank, _)| *rank)
}

/// Somebody in the queue; a future of the place. `None`: the endpoint it waited for is gone. Dropping it leaves the queue, and gives a place
/// back that was on its way.
#[derive(Debug)]
pub struct Waiter {
    queue: Arc<Queue>,
    rank: Rank,
    bound: Option<u64>,
    place: oneshot::Receiver<Place>,
    served: bool,
}

impl Future for Waiter {
    type Output = Option<Place>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Place>> {
        let waiter = self.get_mut();
        Pin::new(&mut waiter.place).poll(cx).map(|place| {
            waiter.served = true;
            place.ok()
        })
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        if self.served {
            return;
        }
        let left = self
            .queue
            .remove(&mut self.queue.lines(), self.rank, self.bound);
        drop(left);
        // A place that was sent meanwhile is in the channel and goes back with it.
    }
}

#[cfg(test)]
mod tests;
