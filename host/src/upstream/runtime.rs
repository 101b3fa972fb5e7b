//! What an operator can do to a cluster while it runs, and what there is to see of it.

use super::cluster::Spec;
use super::live::UNLIMITED;
use super::shape::{Member, Override, Service, Shape, Weight};
use super::state::{ClusterState, lock};
use crate::config::InitialHealth;
use crate::health::Counter;
use crate::net::address::Address;
use serde::Serialize;
use std::time::{Duration, UNIX_EPOCH};
use tokio::time::Instant;

/// Endpoints that may be added at run time to one cluster.
const ADDED_MAX: usize = 10_000;

/// Why a change was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeError {
    #[error("cluster `{cluster}` has no endpoint `{endpoint}`")]
    NoSuchEndpoint { cluster: String, endpoint: String },
    #[error("cluster `{cluster}` has the endpoint `{endpoint}` already")]
    Exists { cluster: String, endpoint: String },
    #[error("cluster `{cluster}` has an endpoint with the id `{id}` already")]
    IdTaken { cluster: String, id: String },
    #[error("cluster `{cluster}` has as many endpoints added at run time as it may have")]
    TooMany { cluster: String },
}

/// A cluster as it stands.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ClusterReport {
    pub cluster: String,
    /// Requests waiting for a place.
    pub queue: usize,
    /// Health is being ignored, since too few are healthy.
    pub panic: bool,
    pub endpoints: Vec<EndpointReport>,
}

/// An endpoint as it stands.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct EndpointReport {
    /// As written.
    pub endpoint: String,
    pub address: Address,
    /// What affinity knows it by.
    pub id: String,
    /// `up`, `down`, `ejected`, `draining` or `maintenance`: the first that applies of maintenance, draining, down, ejected.
    pub state: &'static str,
    /// Why it is not up, or what the last check saw.
    pub reason: Option<String>,
    /// Whether new requests may go to it now.
    pub eligible: bool,
    /// The weight in force, slow start aside.
    pub weight: u32,
    pub written_weight: u32,
    pub backup: bool,
    pub zone: Option<String>,
    /// Requests and TCP connections being served: the sessions that are left while it drains.
    pub requests: u32,
    /// The most it may serve at once now.
    pub requests_max: Option<u32>,
    /// Requests that wait for this endpoint alone.
    pub queue: usize,
    /// Upstream connections, idle ones included.
    pub connections: u32,
    /// Latest last.
    pub history: Vec<ChangeReport>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ChangeReport {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub at_ms: u64,
    pub to: &'static str,
    pub reason: String,
}

/// What is asked for an endpoint's service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    Ready,
    /// It keeps what is bound to it for `timeout`, by default the cluster's `drain-timeout`.
    Drain {
        timeout: Option<Duration>,
    },
    Maintain,
}

impl ClusterState {
    /// Everything there is to see.
    pub fn report(&self) -> ClusterReport {
        let shape = self.shape();
        let view = self.view();
        ClusterReport {
            cluster: self.name.to_string(),
            queue: self.queue.len(),
            panic: view.panic,
            endpoints: shape
                .members
                .iter()
                .map(|member| shape.report(member))
                .collect(),
        }
    }

    /// Takes an endpoint out of service or back.
    ///
    /// # Errors
    /// [`RuntimeError::NoSuchEndpoint`].
    pub fn set_service(&self, endpoint: &str, ask: Ask, by: &str) -> Result<(), RuntimeError> {
        let mut shape = self.shape();
        let address = self.find(&shape, endpoint)?;
        let before = shape.said(&address).service;
        let service = match ask {
            Ask::Ready => Service::Ready,
            Ask::Maintain => Service::Maintenance,
            Ask::Drain { timeout } => Service::Draining {
                until: timeout
                    .or(shape.rules.drain_timeout)
                    .map(|timeout| Instant::now() + timeout),
            },
        };
        shape.overrides.entry(address.clone()).or_default().service = service;
        let states = shape
            .members
            .iter()
            .filter(|member| member.spec.address == address);
        for member in states {
            let mut status = lock(&member.state);
            status.note(name(service), by);
            if service == Service::Ready && before != Service::Ready {
                status.came = Some(Instant::now());
            }
            if service == Service::Ready && before == Service::Maintenance {
                // Nobody has looked after it meanwhile: the first check decides (as in HAProxy).
                let health = shape.rules.health;
                status.counter =
                    health.map(|(rise, fall, _)| Counter::new(rise, fall, InitialHealth::Up));
            }
        }
        tracing::info!(cluster = %self.name, endpoint, state = name(service), by, "endpoint service changed");
        shape.forget_plain(&address);
        self.refresh(&mut shape);
        drop(shape);
        self.members_changed();
        Ok(())
    }

    /// Changes a weight; 100 % takes the written one again.
    ///
    /// # Errors
    /// [`RuntimeError::NoSuchEndpoint`].
    pub fn set_weight(&self, endpoint: &str, weight: Weight, by: &str) -> Result<(), RuntimeError> {
        let mut shape = self.shape();
        let address = self.find(&shape, endpoint)?;
        let plain = weight == Weight::Relative(crate::config::Percent(10_000));
        shape.overrides.entry(address.clone()).or_default().weight = (!plain).then_some(weight);
        for member in shape
            .members
            .iter()
            .filter(|member| member.spec.address == address)
        {
            let weight = shape.weight(&member.spec);
            lock(&member.state).note("weight", format!("{weight}, {by}"));
            tracing::info!(cluster = %self.name, endpoint, weight, by, "endpoint weight changed");
        }
        shape.forget_plain(&address);
        self.refresh(&mut shape);
        Ok(())
    }

    /// Adds an endpoint. One that was removed at run time comes back as `spec` has it, not as it is written.
    ///
    /// # Errors
    /// [`RuntimeError::Exists`], [`RuntimeError::IdTaken`], [`RuntimeError::TooMany`].
    pub fn add(&self, spec: Spec, by: &str) -> Result<(), RuntimeError> {
        let mut shape = self.shape();
        if self.find(&shape, &spec.label).is_ok()
            || self.find(&shape, &spec.address.to_string()).is_ok()
        {
            return Err(RuntimeError::Exists {
                cluster: self.name.to_string(),
                endpoint: spec.label.to_string(),
            });
        }
        if self.find(&shape, spec.affinity_id()).is_ok() {
            return Err(RuntimeError::IdTaken {
                cluster: self.name.to_string(),
                id: spec.affinity_id().to_owned(),
            });
        }
        if shape.added.len() >= ADDED_MAX {
            return Err(RuntimeError::TooMany {
                cluster: self.name.to_string(),
            });
        }
        tracing::info!(cluster = %self.name, endpoint = %spec.label, by, "endpoint added");
        shape.removed.remove(&spec.address);
        shape.added.retain(|other| other.address != spec.address);
        shape.added.push(spec);
        self.rebuild(&mut shape);
        Ok(())
    }

    /// Takes an endpoint off the list, wherever it came from, until it is added again. What it serves goes on.
    ///
    /// # Errors
    /// [`RuntimeError::NoSuchEndpoint`].
    pub fn remove(&self, endpoint: &str, by: &str) -> Result<(), RuntimeError> {
        let mut shape = self.shape();
        let address = self.find(&shape, endpoint)?;
        tracing::info!(cluster = %self.name, endpoint, by, "endpoint removed");
        shape.added.retain(|spec| spec.address != address);
        shape.overrides.remove(&address);
        shape.removed.insert(address);
        self.rebuild(&mut shape);
        Ok(())
    }

    /// By its label, its address or its affinity id.
    fn find(&self, shape: &Shape, endpoint: &str) -> Result<Address, RuntimeError> {
        let is = |member: &&Member| {
            &*member.spec.label == endpoint
                || member.spec.address.to_string() == endpoint
                || member.spec.id.as_deref() == Some(endpoint)
        };
        let found = shape.members.iter().find(is);
        found
            .map(|member| member.spec.address.clone())
            .ok_or_else(|| RuntimeError::NoSuchEndpoint {
                cluster: self.name.to_string(),
                endpoint: endpoint.to_owned(),
            })
    }
}

impl Shape {
    /// An override that says nothing is none.
    fn forget_plain(&mut self, address: &Address) {
        if self.overrides.get(address) == Some(&Override::default()) {
            self.overrides.remove(address);
        }
    }

    fn report(&self, member: &Member) -> EndpointReport {
        let status = lock(&member.state);
        let service = self.said(&member.spec.address).service;
        let state = match service {
            Service::Maintenance | Service::Draining { .. } => name(service),
            Service::Ready if !status.is_up() => "down",
            Service::Ready if status.is_ejected() => "ejected",
            Service::Ready => "up",
        };
        let last = status.history().filter(|change| change.to == state).last();
        let reason = match state {
            "up" => status.last_check.as_ref().map(|(_, words)| words.clone()),
            _ => last.map(|change| change.reason.clone()),
        };
        let limit = member.state.limit();
        EndpointReport {
            endpoint: member.spec.label.to_string(),
            address: member.spec.address.clone(),
            id: member.spec.affinity_id().to_owned(),
            state,
            reason,
            eligible: member.state.is_open(),
            weight: self.weight(&member.spec),
            written_weight: member.spec.weight,
            backup: member.spec.backup,
            zone: member.spec.zone.clone(),
            requests: member.state.in_flight(),
            requests_max: (limit != UNLIMITED).then_some(limit),
            queue: member.state.waiting(),
            connections: member.state.connections(),
            history: status.history().map(change_report).collect(),
        }
    }
}

fn name(service: Service) -> &'static str {
    match service {
        Service::Ready => "ready",
        Service::Draining { .. } => "draining",
        Service::Maintenance => "maintenance",
    }
}

fn change_report(change: &super::status::Change) -> ChangeReport {
    let since = change.at.duration_since(UNIX_EPOCH).unwrap_or_default();
    ChangeReport {
        at_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
        to: change.to,
        reason: change.reason.clone(),
    }
}
