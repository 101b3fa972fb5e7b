//! Settings of clusters that mean nothing to TCP listeners: connections have no requests, and nothing is known of them but where they
//! come from.

use std::collections::{HashMap, HashSet};

use super::resolve::cluster_references;
use super::{Affinity, Cluster, Config, Diagnostics, KeyPart, ListenerProtocol, Place, Retry};

pub(super) fn check(config: &Config, diagnostics: &mut Diagnostics) {
    let mut tcp: HashMap<&str, Place> = HashMap::new();
    let mut http: HashSet<&str> = HashSet::new();
    for listener in &config.listeners {
        let references = cluster_references(listener).into_iter();
        match listener.protocol {
            ListenerProtocol::Tcp(_) => {
                tcp.extend(references.map(|cluster| (cluster.value.as_str(), cluster.place)));
            }
            ListenerProtocol::Http(_) => {
                http.extend(references.map(|cluster| cluster.value.as_str()));
            }
        }
    }
    for cluster in &config.clusters {
        let name = cluster.name.value.as_str();
        let Some(user) = tcp.get(name) else { continue };
        check_affinity(cluster, *user, diagnostics);
        if !http.contains(name) {
            check_retry(cluster, *user, diagnostics);
        }
    }
}

fn check_affinity(cluster: &Cluster, user: Place, diagnostics: &mut Diagnostics) {
    let by_source = match &cluster.affinity {
        None => true,
        Some(Affinity::Cookie(_)) => false,
        Some(Affinity::Table(table)) => table
            .key
            .iter()
            .all(|part| matches!(part, KeyPart::Text(_) | KeyPart::Source)),
    };
    if !by_source {
        let message = format!(
            "the affinity of cluster `{}` needs requests, and a TCP listener leads here",
            cluster.name.value
        );
        let help = Some("affinity source=#true".to_owned());
        let related = (user, "this listener has connections only");
        diagnostics.error_with(cluster.name.place, message, help, related);
    }
}

fn check_retry(cluster: &Cluster, user: Place, diagnostics: &mut Diagnostics) {
    let without_effect = http_parts(&cluster.retry);
    if !without_effect.is_empty() {
        let message = format!(
            "only TCP listeners lead to cluster `{}`: {} of its `retry` would have no effect",
            cluster.name.value,
            without_effect.join(", ")
        );
        let help = "a TCP connection is tried again when no upstream connection was made: `connect-failure`";
        let related = (user, "this listener has connections only");
        diagnostics.error_with(cluster.name.place, message, Some(help.to_owned()), related);
    }
}

/// What of it needs requests, as written in KDL.
fn http_parts(retry: &Retry) -> Vec<&'static str> {
    [
        ("`on=\"reset\"`", retry.on.reset),
        ("`on=\"timeout\"`", retry.on.timeout),
        ("the statuses in `on`", !retry.on.statuses.is_empty()),
        ("`non-idempotent`", retry.non_idempotent),
        ("`timeout`", retry.timeout.is_some()),
        (
            "`body-bytes-max`",
            retry.body_bytes_max != Retry::default().body_bytes_max,
        ),
        ("`hedge-delay`", retry.hedge_delay.is_some()),
    ]
    .into_iter()
    .filter_map(|(name, given)| given.then_some(name))
    .collect()
}
