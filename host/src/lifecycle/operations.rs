//! What the admin API can see and do, on the running proxy; and where it listens.

use crate::admin::{self, NewEndpoint, Operations, Refusal, Service};
use crate::config::{Diagnostics, Spanned};
use crate::observe::plugin_metrics;
use crate::snapshot::Snapshot;
use crate::upstream::{Ask, ClusterState, RuntimeError, Spec, Weight};
use arc_swap::ArcSwap;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::task::AbortHandle;

/// The admin listeners and what they speak about.
#[derive(Default)]
pub(super) struct Admin {
    running: Arc<Running>,
    listening: HashMap<SocketAddr, AbortHandle>,
}

impl Admin {
    /// Sockets for addresses that are not listened on yet.
    pub(super) fn bind(
        &self,
        addresses: &[Spanned<SocketAddr>],
    ) -> Result<Vec<(SocketAddr, TcpListener)>, Diagnostics> {
        let mut errors = Diagnostics::default();
        let mut bound = Vec::new();
        for address in addresses {
            if self.listening.contains_key(&address.value) {
                continue;
            }
            match bind(address.value) {
                Ok(socket) => bound.push((address.value, socket)),
                Err(error) => errors.error(
                    address.place,
                    format!("cannot listen on {}: {error}", address.value),
                    None,
                ),
            }
        }
        if errors.has_errors() {
            Err(errors)
        } else {
            Ok(bound)
        }
    }

    /// Speaks about `snapshot` from now on, on these addresses.
    pub(super) fn apply(
        &mut self,
        snapshot: &Snapshot,
        addresses: &[Spanned<SocketAddr>],
        bound: Vec<(SocketAddr, TcpListener)>,
    ) {
        let clusters = snapshot.clusters.iter();
        let clusters = clusters.map(|cluster| cluster.live.clone()).collect();
        self.running.clusters.store(Arc::new(clusters));
        self.listening.retain(|address, task| {
            let wanted = addresses.iter().any(|wanted| wanted.value == *address);
            if !wanted {
                task.abort();
            }
            wanted
        });
        for (address, socket) in bound {
            match tokio::net::TcpListener::from_std(socket) {
                Ok(socket) => {
                    let local = socket.local_addr().unwrap_or(address);
                    tracing::info!(address = %local, "admin API is listening");
                    let serving = tokio::spawn(admin::serve(socket, self.running.clone()));
                    self.listening.insert(address, serving.abort_handle());
                }
                Err(error) => {
                    tracing::error!(%address, %error, "the admin socket could not be registered");
                }
            }
        }
        self.set_ready(true);
    }

    /// What `/ready` answers.
    pub(super) fn set_ready(&self, ready: bool) {
        self.running.ready.store(ready, Ordering::Relaxed);
    }
}

fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = TcpListener::bind(address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// The running proxy as the admin API sees it.
#[derive(Debug, Default)]
struct Running {
    clusters: ArcSwap<Vec<Arc<ClusterState>>>,
    ready: AtomicBool,
}

impl Running {
    fn find(&self, name: &str) -> Option<Arc<ClusterState>> {
        let clusters = self.clusters.load();
        clusters
            .iter()
            .find(|cluster| &*cluster.name == name)
            .cloned()
    }

    fn change(
        &self,
        cluster: &str,
        change: impl FnOnce(&ClusterState) -> Result<(), RuntimeError>,
    ) -> Result<(), Refusal> {
        let cluster = self.find(cluster).ok_or(Refusal::NoSuchCluster)?;
        change(&cluster).map_err(|error| match error {
            RuntimeError::NoSuchEndpoint { .. } => Refusal::NoSuchEndpoint,
            RuntimeError::Exists { .. } => Refusal::Exists,
            RuntimeError::IdTaken { .. } | RuntimeError::TooMany { .. } => {
                Refusal::Invalid(error.to_string())
            }
        })
    }
}

impl Operations for Running {
    fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    fn clusters(&self) -> Value {
        let clusters = self.clusters.load();
        let reports: Vec<_> = clusters.iter().map(|cluster| cluster.report()).collect();
        json!(reports)
    }

    fn cluster(&self, name: &str) -> Option<Value> {
        self.find(name).map(|cluster| json!(cluster.report()))
    }

    fn affinity(&self, cluster: &str, limit: usize) -> Option<Value> {
        let cluster = self.find(cluster)?;
        let entries: Vec<_> = cluster
            .table
            .entries(limit)
            .into_iter()
            .map(|entry| {
                json!({
                    "key": entry.key_text,
                    "endpoint": &*entry.endpoint,
                    "expires-in-ms": u64::try_from(entry.expires_in.as_millis()).unwrap_or(u64::MAX),
                })
            })
            .collect();
        Some(json!({ "size": cluster.table.len(), "entries": entries }))
    }

    fn metrics(&self) -> (&'static str, String) {
        (plugin_metrics::CONTENT_TYPE, plugin_metrics::render())
    }

    fn plugin_metrics(&self, plugin: &str) -> Option<Value> {
        plugin_metrics::report(plugin)
    }

    fn set_service(
        &self,
        cluster: &str,
        endpoint: &str,
        service: Service,
        by: &str,
    ) -> Result<(), Refusal> {
        let ask = match service {
            Service::Ready => Ask::Ready,
            Service::Drain { timeout } => Ask::Drain { timeout },
            Service::Maintain => Ask::Maintain,
        };
        self.change(cluster, |cluster| cluster.set_service(endpoint, ask, by))
    }

    fn set_weight(
        &self,
        cluster: &str,
        endpoint: &str,
        weight: admin::Weight,
        by: &str,
    ) -> Result<(), Refusal> {
        let weight = match weight {
            admin::Weight::Absolute(weight) => Weight::Absolute(weight),
            admin::Weight::Percent(share) => Weight::Relative(share),
        };
        self.change(cluster, |cluster| cluster.set_weight(endpoint, weight, by))
    }

    fn add(&self, cluster: &str, endpoint: NewEndpoint, by: &str) -> Result<(), Refusal> {
        let spec = Spec {
            address: endpoint.address.into(),
            label: endpoint.address.to_string().into(),
            weight: endpoint.weight,
            requests_max: endpoint.requests_max,
            backup: endpoint.backup,
            zone: endpoint.zone,
            id: endpoint.id,
        };
        self.change(cluster, |cluster| cluster.add(spec, by))
    }

    fn remove(&self, cluster: &str, endpoint: &str, by: &str) -> Result<(), Refusal> {
        self.change(cluster, |cluster| cluster.remove(endpoint, by))
    }
}
