//! `cluster "name" { … }`.

use std::time::Duration;

use super::decode::Decoder;
use super::listener::TIMEOUT_RANGE;
use super::syntax::Node;
use super::{Backups, Cluster, PluginKind, PluginUse, Retry, Spanned};

const DEFAULT_BALANCER: &str = "round-robin";

impl Decoder<'_> {
    pub(super) fn cluster(&mut self, node: &Node) -> Option<Cluster> {
        let name = self.name(node.arguments.first())?;
        let (endpoints, discovery) = (self.endpoints(node), self.discovery(node));
        let protocol = self.upstream_protocol(node);
        Some(Cluster {
            balancer: self.balancer(node),
            prefer_zone: self.prefer_zone(node, &endpoints, &discovery),
            http2: self.cluster_http2(node, protocol),
            tls: self.client_tls(node, protocol, &endpoints),
            proxy_protocol: self.proxy_protocol_out(node, protocol),
            health_check: self.health_check(node, &endpoints),
            endpoints,
            discovery,
            protocol,
            connect_timeout: self.timeout(node, "connect", Duration::from_secs(1)),
            response_timeout: self.timeout(node, "response", Duration::from_secs(30)),
            idle_timeout: self.timeout(node, "idle", Duration::from_secs(60)),
            on_down: self.on_down(node),
            outlier_detection: self.outlier_detection(node),
            panic_threshold: self.panic_threshold(node),
            queue: self.queue(node),
            retry: node
                .child("retry")
                .map_or_else(Retry::default, |node| self.retry(node)),
            circuit_breaker: self.circuit_breaker(node),
            affinity: node.child("affinity").and_then(|node| self.affinity(node)),
            slow_start: self.optional_duration(node.child_argument("slow-start"), TIMEOUT_RANGE),
            backups: self.backups(node),
            drain_timeout: self
                .optional_duration(node.child_argument("drain-timeout"), TIMEOUT_RANGE),
            name,
        })
    }

    fn backups(&mut self, node: &Node) -> Backups {
        let words = [("first", Backups::First), ("all", Backups::All)];
        self.choice(node.child_argument("backups"), &words, Backups::default())
    }

    fn balancer(&mut self, cluster: &Node) -> PluginUse {
        let written = cluster
            .child("balancer")
            .and_then(|node| Some((node, node.arguments.first()?)));
        let (name, settings) = match written {
            Some((node, item)) => (self.text(item), without_first_argument(node)),
            None => (
                Some(Spanned {
                    value: DEFAULT_BALANCER.to_owned(),
                    place: cluster.place(),
                }),
                empty_node(&cluster.name),
            ),
        };
        match name {
            Some(name) => self.plugin_use(&name, &settings, PluginKind::Balancer),
            None => PluginUse::unusable(&cluster.name),
        }
    }
}

/// The first argument of `balancer` is the plugin; what remains is its settings.
pub(super) fn without_first_argument(node: &Node) -> Node {
    let mut settings = node.clone();
    settings.arguments.remove(0);
    settings
}

fn empty_node(name: &Spanned<String>) -> Node {
    Node {
        name: name.clone(),
        arguments: Vec::new(),
        properties: Vec::new(),
        children: None,
    }
}
