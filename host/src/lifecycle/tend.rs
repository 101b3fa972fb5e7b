//! Looks after the clusters of the generation in force: health checks, discovery, and what time alone changes. Runs on the control thread.

use crate::config::Discovery;
use crate::discovery::{self, DiscoveryTask, Found};
use crate::health::{self, CheckTask, Failure, Pace, Passed, Subject, Target};
use crate::snapshot::Snapshot;
use crate::upstream::{Cluster, ClusterState, EndpointState, Spec};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::AbortHandle;

/// How often clusters look at the clock.
const TICK: Duration = Duration::from_millis(100);

/// Everything that is being looked after. Ends when dropped.
#[derive(Default)]
pub(super) struct Tending {
    checks: HashMap<Arc<str>, Checks>,
    discoveries: HashMap<(Arc<str>, String), DiscoveryTask>,
    ticking: Option<Task>,
}

/// The checks of one cluster.
struct Checks {
    check: Arc<health::Check>,
    _task: Task,
}

/// A task that ends when dropped.
struct Task(AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Tending {
    /// Looks after the clusters of `snapshot` from now on. What is the same goes on undisturbed.
    pub(super) fn apply(&mut self, snapshot: &Snapshot) {
        self.check(&snapshot.clusters);
        self.discover(&snapshot.clusters);
        let live: Vec<_> = snapshot
            .clusters
            .iter()
            .map(|cluster| cluster.live.clone())
            .collect();
        self.ticking = Some(Task(tokio::spawn(tick(live)).abort_handle()));
    }

    fn check(&mut self, clusters: &[Arc<Cluster>]) {
        let mut before = std::mem::take(&mut self.checks);
        for cluster in clusters {
            let Some(check) = &cluster.health_check else {
                continue;
            };
            let same = before
                .remove(&cluster.name)
                .filter(|checks| checks.check.is_same(check));
            let checks = same.unwrap_or_else(|| Checks {
                check: check.clone(),
                _task: Task(
                    tokio::task::spawn_local(check_all(check.clone(), cluster.live.clone()))
                        .abort_handle(),
                ),
            });
            self.checks.insert(cluster.name.clone(), checks);
        }
    }

    fn discover(&mut self, clusters: &[Arc<Cluster>]) {
        let mut before = std::mem::take(&mut self.discoveries);
        for cluster in clusters {
            for source in &cluster.discovery {
                // Without its place, which moves with every edit above it.
                let settings = format!(
                    "{:?} {:?} {:?} {:?}",
                    source.source.value, source.refresh, source.nameservers, source.requests_max
                );
                let key = (cluster.name.clone(), settings);
                let task = before.remove(&key).unwrap_or_else(|| {
                    let (live, of) = (cluster.live.clone(), source.clone());
                    discovery::spawn(source.clone(), cluster.name.clone(), None, move |found| {
                        live.discovered(&of, found.into_iter().map(spec).collect());
                    })
                });
                self.discoveries.insert(key, task);
            }
        }
    }
}

/// What sources of endpoints answered, by cluster.
pub(super) type Looked = HashMap<Arc<str>, Vec<(Discovery, Vec<Spec>)>>;

/// Looks at the sources that have not answered yet, so that a generation begins with endpoints. One that does not answer is said and looked at
/// again later.
pub(super) async fn look(clusters: &[Arc<Cluster>]) -> Looked {
    let sources = clusters.iter().flat_map(|cluster| {
        let unknown = cluster.discovery.iter();
        let unknown = unknown.filter(|source| !cluster.live.has_discovered(source));
        unknown.map(|source| (cluster.clone(), source.clone()))
    });
    let looks = sources.map(|(cluster, source)| async move {
        match discovery::look(&source).await {
            Ok((found, _)) => {
                let found = found.into_iter().map(spec).collect();
                Some((cluster.name.clone(), (source, found)))
            }
            Err(error) => {
                tracing::warn!(cluster = %cluster.name, error = %crate::snapshot::chain(&error), "no endpoints found yet");
                None
            }
        }
    });
    let mut looked = Looked::new();
    for (cluster, found) in futures_util::future::join_all(looks)
        .await
        .into_iter()
        .flatten()
    {
        looked.entry(cluster).or_default().push(found);
    }
    looked
}

fn spec(found: Found) -> Spec {
    Spec {
        address: found.address.into(),
        label: found.label.into(),
        weight: found.weight.into(),
        requests_max: found.requests_max,
        backup: found.backup,
        zone: found.zone,
        id: found.id,
    }
}

async fn tick(clusters: Vec<Arc<ClusterState>>) {
    let mut interval = tokio::time::interval(TICK);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        clusters.iter().for_each(|cluster| cluster.tick());
    }
}

/// Checks the endpoints of a cluster as they come and go.
async fn check_all(check: Arc<health::Check>, live: Arc<ClusterState>) {
    let mut membership = live.membership();
    let mut tasks: HashMap<u64, CheckTask> = HashMap::new();
    let mut begins = true;
    loop {
        let endpoints = live.to_check();
        let staying: HashSet<u64> = endpoints.iter().map(|endpoint| endpoint.id()).collect();
        tasks.retain(|id, _| staying.contains(id));
        for (position, endpoint) in endpoints.iter().enumerate() {
            tasks.entry(endpoint.id()).or_insert_with(|| {
                let subject = Checked {
                    live: live.clone(),
                    endpoint: endpoint.clone(),
                };
                // Who comes later is checked at once.
                let stagger = if begins {
                    (position, endpoints.len())
                } else {
                    (0, 1)
                };
                health::spawn(check.clone(), Arc::new(subject), stagger)
            });
        }
        begins = false;
        if membership.changed().await.is_err() {
            return;
        }
    }
}

/// An endpoint as health checks know it.
struct Checked {
    live: Arc<ClusterState>,
    endpoint: Arc<EndpointState>,
}

impl Subject for Checked {
    fn target(&self) -> Target {
        Target {
            address: self.endpoint.address.clone(),
            label: self.endpoint.label.to_string(),
        }
    }

    fn report(&self, result: &Result<Passed, Failure>) -> Pace {
        match result {
            Ok(passed) => self.live.checked(&self.endpoint, Ok(&passed.detail)),
            // That we have no socket says nothing about the endpoint.
            Err(Failure::Local(reason)) => {
                tracing::warn!(cluster = %self.live.name, endpoint = %self.endpoint.label, %reason, "health check could not be made");
                self.live.pace(&self.endpoint)
            }
            Err(failure) => {
                let words = crate::snapshot::chain(failure);
                self.live.checked(&self.endpoint, Err(&words))
            }
        }
    }
}
