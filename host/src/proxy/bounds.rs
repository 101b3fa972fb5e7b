//! What may end an exchange from outside: the deadline of the downstream, and the end of its endpoint.

use super::outcome::Outcome;
use super::response::{Delivered, Delivery, NoAnswer};
use crate::config::OnDown;
use crate::net::timer::Timer;
use crate::upstream::{Cluster, EndpointState};
use std::cell::Cell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Instant;

/// `exchanged`, or its end when the deadline passes before a response has begun, whatever moves until then.
pub(super) async fn before(
    deadline: Option<Instant>,
    responding: &Cell<Option<u16>>,
    mut exchanged: Pin<&mut impl Future<Output = Result<Delivery, NoAnswer>>>,
) -> Result<Delivery, NoAnswer> {
    let Some(deadline) = deadline else {
        return exchanged.await;
    };
    let timer = Timer::new();
    timer.set(deadline.saturating_duration_since(Instant::now()));
    std::future::poll_fn(|cx| {
        if let Poll::Ready(done) = exchanged.as_mut().poll(cx) {
            return Poll::Ready(done);
        }
        if responding.get().is_none() && timer.poll_expired(cx).is_ready() {
            return Poll::Ready(Err(NoAnswer::Deadline));
        }
        Poll::Pending
    })
    .await
}

/// What is left of an exchange whose endpoint went down.
pub(super) fn cut(responding: &Cell<Option<u16>>) -> Result<Delivery, NoAnswer> {
    let status = responding.get().ok_or(NoAnswer::EndpointDown)?;
    Ok(Delivery {
        status,
        delivered: Delivered::Broken(Outcome::EndpointDown),
    })
}

/// `work`, or none when the endpoint goes down first and its sessions are to be closed then.
pub(super) async fn unless_down<T>(
    cluster: &Cluster,
    endpoint: &EndpointState,
    mut work: Pin<&mut impl Future<Output = T>>,
) -> Option<T> {
    if cluster.on_down == OnDown::Keep {
        return Some(work.await);
    }
    let mut cut = pin!(endpoint.cut.notified());
    // It may have gone down while it was being connected to.
    if endpoint.is_cut() {
        return None;
    }
    std::future::poll_fn(|cx| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(Some(done));
        }
        cut.as_mut().poll(cx).map(|()| None)
    })
    .await
}
