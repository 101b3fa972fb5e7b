//! How endpoints go out of traffic and come back: checks, ejections, and what time alone changes.

use super::live::EndpointState;
use super::passive::outliers;
use super::shape::Shape;
use super::state::{ClusterState, lock};
use crate::config::OutlierDetection;
use crate::health::{Counter, Pace, Transition};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

/// How often the affinity table is looked through for what is past its time.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);

impl ClusterState {
    /// Lets time pass: steps of slow start, ends of ejections and drains, comparison of success rates. To be called several times a second.
    pub fn tick(&self) {
        let now = Instant::now();
        let mut shape = self.shape();
        if shape
            .swept
            .is_none_or(|swept| now.duration_since(swept) >= SWEEP_INTERVAL)
        {
            shape.swept = Some(now);
            self.table.sweep(now);
        }
        let mut changed = self.readmit(&shape);
        changed |= self.compare(&mut shape, now);
        changed |= shape.drains_ended(now);
        changed |= shape.is_stepping(now);
        if changed {
            self.refresh(&mut shape);
        }
    }

    fn readmit(&self, shape: &Shape) -> bool {
        let mut changed = false;
        for member in &shape.members {
            if lock(&member.state).readmit(false, "ejection is over") {
                tracing::info!(cluster = %self.name, endpoint = %member.state.label, "ejection is over");
                changed = true;
            }
        }
        changed
    }

    /// Compares success rates once an interval, and forgives those who gave no reason.
    fn compare(&self, shape: &mut Shape, now: Instant) -> bool {
        let Some(policy) = shape.rules.outlier_detection.clone() else {
            return false;
        };
        let since = *shape.compared.get_or_insert(now);
        if now.duration_since(since) < policy.interval {
            return false;
        }
        shape.compared = Some(now);
        let intervals: Vec<_> = shape
            .members
            .iter()
            .map(|member| member.state.passive.take_interval())
            .collect();
        let found = policy
            .success_rate
            .as_ref()
            .map_or(Vec::new(), |rule| outliers(&intervals, rule));
        let mut changed = false;
        for (position, member) in shape.members.iter().enumerate() {
            if found.contains(&position) {
                changed |= self.eject_member(shape, &member.state, &policy, "success rate");
            } else {
                lock(&member.state).forgive();
            }
        }
        changed
    }

    /// Takes an endpoint out of traffic for a time, unless too many are out already.
    pub fn eject(&self, endpoint: &Arc<EndpointState>, policy: &OutlierDetection, reason: &str) {
        endpoint.passive.reset();
        let ejected = self.ejected.load(Ordering::Relaxed);
        if ejected > 0 && is_too_many(ejected, self.count.load(Ordering::Relaxed), policy) {
            return;
        }
        let mut shape = self.shape();
        if self.eject_member(&shape, endpoint, policy, reason) {
            self.refresh(&mut shape);
        }
    }

    fn eject_member(
        &self,
        shape: &Shape,
        endpoint: &Arc<EndpointState>,
        policy: &OutlierDetection,
        reason: &str,
    ) -> bool {
        let (mut ejected, mut is_member, mut has_other) = (0, false, false);
        for member in &shape.members {
            let is_it = member.state.id() == endpoint.id();
            let status = lock(&member.state);
            is_member |= is_it;
            ejected += u32::from(status.is_ejected());
            has_other |= !is_it && status.is_healthy() && shape.takes_traffic(member);
        }
        let too_many = is_too_many(ejected, shape.members.len() as u32, policy);
        let mut status = lock(endpoint);
        // At least one may be ejected whatever the share (SEMANTICS 39), but never the last that can serve: a bad answer is better than none.
        if !is_member || !has_other || status.is_ejected() || (ejected > 0 && too_many) {
            return false;
        }
        let time = status.eject(policy.ejection, policy.ejection_max, reason);
        tracing::warn!(
            cluster = %self.name, endpoint = %endpoint.label, reason, seconds = time.as_secs_f64(), "endpoint ejected"
        );
        true
    }

    /// Takes the result of a health check: words for what was seen. Answers how soon to check again.
    pub fn checked(&self, endpoint: &Arc<EndpointState>, result: Result<&str, &str>) -> Pace {
        let mut status = lock(endpoint);
        let transition = status.checked(result);
        let passed = result.is_ok();
        let returned = passed && status.is_up() && status.readmit(true, "a health check passed");
        let pace = status.counter.as_ref().map_or(Pace::Stop, Counter::pace);
        drop(status);
        if let Some(transition) = transition {
            self.log_transition(endpoint, transition, result);
        }
        if transition.is_some() || returned {
            self.refresh(&mut self.shape());
        }
        if transition == Some(Transition::Down) {
            endpoint.cut.notify_waiters();
        }
        pace
    }

    /// How soon to check the endpoint again.
    pub fn pace(&self, endpoint: &EndpointState) -> Pace {
        lock(endpoint)
            .counter
            .as_ref()
            .map_or(Pace::Stop, Counter::pace)
    }

    fn log_transition(
        &self,
        endpoint: &EndpointState,
        transition: Transition,
        result: Result<&str, &str>,
    ) {
        let reason = result.unwrap_or_else(|failure| failure);
        match transition {
            Transition::Up => {
                tracing::info!(cluster = %self.name, endpoint = %endpoint.label, reason, "endpoint is up");
            }
            Transition::Down => {
                tracing::warn!(cluster = %self.name, endpoint = %endpoint.label, reason, "endpoint is down");
            }
        }
    }
}

/// Whether one more ejected endpoint would be more than the share allows.
fn is_too_many(ejected: u32, count: u32, policy: &OutlierDetection) -> bool {
    (u64::from(ejected) + 1) * 10_000 > u64::from(count) * u64::from(policy.ejected_max.0)
}
