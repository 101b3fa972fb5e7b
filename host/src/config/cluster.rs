//! `cluster "name" { … }`.

use std::time::Duration;

use super::address::parse_endpoint;
use super::decode::Decoder;
use super::listener::COUNT_MAX;
use super::syntax::{Item, Node, Scalar};
use super::{Cluster, Endpoint, PluginKind, PluginUse, Spanned, UpstreamProtocol, shape};

const DEFAULT_BALANCER: &str = "round-robin";

impl Decoder<'_> {
    pub(super) fn cluster(&mut self, node: &Node) -> Option<Cluster> {
        let name = self.name(node.arguments.first())?;
        self.refuse_other_protocols(node);
        Some(Cluster {
            balancer: self.balancer(node),
            endpoints: self.endpoints(node),
            protocol: UpstreamProtocol::Http1,
            connect_timeout: self.timeout(node, "connect", Duration::from_secs(1)),
            response_timeout: self.timeout(node, "response", Duration::from_secs(30)),
            idle_timeout: self.timeout(node, "idle", Duration::from_secs(60)),
            name,
        })
    }

    fn refuse_other_protocols(&mut self, node: &Node) {
        let Some(item) = node
            .child("protocol")
            .and_then(|node| node.arguments.first())
        else {
            return;
        };
        match &item.value {
            Scalar::Text(word) if word == "h2" => {
                shape::not_in_this_version("h2", item.place, self.diagnostics);
            }
            _ => self.choice(Some(item), &[("http/1.1", ())], ()),
        }
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

    fn endpoints(&mut self, cluster: &Node) -> Vec<Endpoint> {
        let mut endpoints: Vec<Endpoint> = Vec::new();
        for node in cluster.named("endpoint") {
            let Some(endpoint) = self.endpoint(node) else {
                continue;
            };
            let same = |other: &&Endpoint| other.address.value == endpoint.address.value;
            if let Some(first) = endpoints.iter().find(same) {
                self.diagnostics.error_with(
                    endpoint.address.place,
                    format!("endpoint `{}` is listed twice", endpoint.address.value),
                    Some("give one of them more `weight` instead".to_owned()),
                    (first.address.place, "first listed here"),
                );
            }
            endpoints.push(endpoint);
        }
        if cluster.child("endpoint").is_none() {
            let help = "endpoint \"127.0.0.1:9001\"";
            self.error_help(cluster.place(), "this cluster has no endpoint", help);
        }
        endpoints
    }

    fn endpoint(&mut self, node: &Node) -> Option<Endpoint> {
        let weight = self.integer(node.property("weight"), 0..=256, 1) as u16;
        let requests_max = self.count(node.property("requests-max"));
        Some(Endpoint {
            address: self.parsed(node.arguments.first()?, parse_endpoint)?,
            weight,
            requests_max,
        })
    }

    fn count(&mut self, item: Option<&Item>) -> Option<u32> {
        item.map(|item| self.integer(Some(item), 1..=COUNT_MAX, 1))
    }
}

/// The first argument of `balancer` is the plugin; what remains is its settings.
fn without_first_argument(node: &Node) -> Node {
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
