//! How endpoints go out of traffic and come back: checks, ejections, and what time alone changes.
//!
//! What is logged is in force when it is said, so that who reads it can rely on it.

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

/// Why an endpoint is ejected or returns, in the log and its history.
const SUCCESS_RATE: &str = "success rate";
const PASSED: &str = "a health check passed";
const TIME_OVER: &str = "its time is over";

impl ClusterState {
    /// Lets time pass: steps of slow start, ends of ejections and drains, comparison of success rates. To be called several times a second.
    pub fn tick(&self) {
        let now = Instant::now();
        let mut shape = self.shape();
        if is_due(&mut shape.swept, SWEEP_INTERVAL, now) {
            self.table.sweep(now);
        }
        let returned = shape.readmit();
        let ejected = shape.compare(now);
        let mut changed = !returned.is_empty() || !ejected.is_empty();
        changed |= shape.drains_ended(now);
        changed |= shape.is_stepping(now);
        if changed {
            self.refresh(&mut shape);
        }
        drop(shape);
        for endpoint in returned {
            self.log_return(&endpoint, TIME_OVER);
        }
        for (endpoint, time) in ejected {
            self.log_ejection(&endpoint, SUCCESS_RATE, time);
        }
    }

    /// Takes an endpoint out of traffic for a time, unless too many are out already.
    pub fn eject(&self, endpoint: &Arc<EndpointState>, policy: &OutlierDetection, reason: &str) {
        endpoint.passive.reset();
        let ejected = self.ejected.load(Ordering::Relaxed);
        if ejected > 0 && is_too_many(ejected, self.count.load(Ordering::Relaxed), policy) {
            return;
        }
        let mut shape = self.shape();
        let Some(time) = shape.eject_member(endpoint, policy, reason) else {
            return;
        };
        self.refresh(&mut shape);
        drop(shape);
        self.log_ejection(endpoint, reason, time);
    }

    /// Takes the result of a health check: words for what was seen. Answers how soon to check again.
    pub fn checked(&self, endpoint: &Arc<EndpointState>, result: Result<&str, &str>) -> Pace {
        let mut status = lock(endpoint);
        let transition = status.checked(result);
        let passed = result.is_ok();
        let returned = passed && status.is_up() && status.readmit(true, PASSED);
        let pace = status.counter.as_ref().map_or(Pace::Stop, Counter::pace);
        drop(status);
        if transition.is_some() || returned {
            self.refresh(&mut self.shape());
        }
        if let Some(transition) = transition {
            self.log_transition(endpoint, transition, result);
        }
        if returned {
            self.log_return(endpoint, PASSED);
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

    fn log_ejection(&self, endpoint: &EndpointState, reason: &str, time: Duration) {
        let seconds = time.as_secs_f64();
        tracing::warn!(cluster = %self.name, endpoint = %endpoint.label, reason, seconds, "endpoint ejected");
    }

    fn log_return(&self, endpoint: &EndpointState, reason: &str) {
        tracing::info!(cluster = %self.name, endpoint = %endpoint.label, reason, "ejection is over");
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

impl Shape {
    /// Ends the ejections whose time is over; whose.
    fn readmit(&self) -> Vec<Arc<EndpointState>> {
        let states = self.members.iter().map(|member| &member.state);
        let returned = states.filter(|state| lock(state).readmit(false, TIME_OVER));
        returned.cloned().collect()
    }

    /// Compares success rates once an interval, and forgives those who gave no reason. Who is ejected, and for how long.
    fn compare(&mut self, now: Instant) -> Vec<(Arc<EndpointState>, Duration)> {
        let Some(policy) = self.rules.outlier_detection.clone() else {
            return Vec::new();
        };
        if self.compared.is_none() {
            self.compared = Some(now);
        }
        if !is_due(&mut self.compared, policy.interval, now) {
            return Vec::new();
        }
        let intervals: Vec<_> = self
            .members
            .iter()
            .map(|member| member.state.passive.take_interval())
            .collect();
        let found = policy
            .success_rate
            .as_ref()
            .map_or(Vec::new(), |rule| outliers(&intervals, rule));
        let mut ejected = Vec::new();
        for (position, member) in self.members.iter().enumerate() {
            if found.contains(&position) {
                let time = self.eject_member(&member.state, &policy, SUCCESS_RATE);
                ejected.extend(time.map(|time| (member.state.clone(), time)));
            } else {
                lock(&member.state).forgive();
            }
        }
        ejected
    }

    /// Ejects an endpoint unless too many are out already; for how long.
    fn eject_member(
        &self,
        endpoint: &Arc<EndpointState>,
        policy: &OutlierDetection,
        reason: &str,
    ) -> Option<Duration> {
        let (mut ejected, mut is_member) = (0, false);
        for member in &self.members {
            is_member |= member.state.id() == endpoint.id();
            ejected += u32::from(lock(&member.state).is_ejected());
        }
        let too_many = is_too_many(ejected, self.members.len() as u32, policy);
        let mut status = lock(endpoint);
        // At least one may be ejected whatever the share (SEMANTICS 39), also where there is no other: the panic threshold says what then.
        if !is_member || status.is_ejected() || (ejected > 0 && too_many) {
            return None;
        }
        Some(status.eject(policy.ejection, policy.ejection_max, reason))
    }
}

/// Whether something that is done every so often is to be done now; then it counts as done.
fn is_due(done: &mut Option<Instant>, interval: Duration, now: Instant) -> bool {
    let due = done.is_none_or(|done| now.duration_since(done) >= interval);
    if due {
        *done = Some(now);
    }
    due
}

/// Whether one more ejected endpoint would be more than the share allows.
fn is_too_many(ejected: u32, count: u32, policy: &OutlierDetection) -> bool {
    (u64::from(ejected) + 1) * 10_000 > u64::from(count) * u64::from(policy.ejected_max.0)
}
