//! `proxy-protocol …`: of a listener, who begins with a PROXY header; of a cluster, what header its connections begin with.

use std::time::Duration;

use ipnet::IpNet;

use crate::net::address::{Address, ListenAddress};

use super::address::parse_network;
use super::decode::Decoder;
use super::lists::listed;
use super::server_tls::GREETING_RANGE;
use super::syntax::{Item, Node};
use super::{
    Place, ProxyProtocolIn, ProxyProtocolOut, ProxyValue, ProxyVersion, Spanned, UpstreamProtocol,
};

const TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);

/// One `from`.
#[derive(Clone, Copy)]
enum Sender {
    Network(IpNet),
    Unix,
}

impl Decoder<'_> {
    pub(super) fn proxy_protocol_in(
        &mut self,
        listener: &Node,
        addresses: &[Spanned<ListenAddress>],
    ) -> Option<ProxyProtocolIn> {
        listener.child("proxy-protocol")?;
        let mut senders = Vec::new();
        for node in listener.named("proxy-protocol") {
            let items = || node.arguments.iter().chain(node.property("from"));
            if items().next().is_none() {
                let help = "proxy-protocol from=\"10.0.0.0/8\"";
                self.error_help(node.place(), "`proxy-protocol` names no sender", help);
            }
            senders.extend(items().filter_map(|item| self.parsed(item, parse_sender)));
        }
        self.refuse_absent_senders(&senders, addresses);
        let networks = senders.iter().filter_map(|sender| match sender.value {
            Sender::Network(network) => Some(network),
            Sender::Unix => None,
        });
        Some(ProxyProtocolIn {
            from: networks.collect(),
            from_unix: senders.iter().any(|sender| is_unix(&sender.value)),
            timeout: self.header_timeout(listener),
        })
    }

    /// A sender whose kind of socket the listener has not could send nothing.
    fn refuse_absent_senders(
        &mut self,
        senders: &[Spanned<Sender>],
        addresses: &[Spanned<ListenAddress>],
    ) {
        let is_unix_socket = |address: &Spanned<ListenAddress>| {
            matches!(address.value, ListenAddress::One(Address::Unix(_)))
        };
        for sender in senders {
            let unix = is_unix(&sender.value);
            let missing = addresses.iter().all(|found| is_unix_socket(found) != unix);
            if missing && !addresses.is_empty() {
                let message = match unix {
                    true => "no address of this listener is a Unix socket",
                    false => "this listener has Unix sockets alone, whose peers have no address",
                };
                self.error(sender.place, message);
            }
        }
    }

    /// Of all nodes together.
    fn header_timeout(&mut self, listener: &Node) -> Duration {
        let nodes = listener.named("proxy-protocol");
        let items: Vec<&Item> = nodes.filter_map(|node| node.property("timeout")).collect();
        let places = items.iter().map(|item| ("timeout", item.place));
        self.refuse_doubles(places);
        self.duration(items.first().copied(), GREETING_RANGE, TIMEOUT_DEFAULT)
    }

    pub(super) fn proxy_protocol_out(
        &mut self,
        cluster: &Node,
        protocol: UpstreamProtocol,
    ) -> Option<ProxyProtocolOut> {
        let node = cluster.child("proxy-protocol")?;
        if protocol == UpstreamProtocol::Http2 {
            let message = "a PROXY header names one client, and a connection of `protocol \"h2\"` carries many";
            self.error(node.place(), message);
        }
        let words = [("v1", ProxyVersion::V1), ("v2", ProxyVersion::V2)];
        let version = self.word(node.arguments.first()?, &words);
        if version == Some(ProxyVersion::V1) {
            self.refuse_version_2(node);
        }
        Some(ProxyProtocolOut {
            version: version?,
            values: self.proxy_values(node),
            checksum: self.boolean(node.property("checksum"), false),
        })
    }

    fn refuse_version_2(&mut self, node: &Node) {
        let properties = node.properties.iter().map(|(name, _)| name);
        let children = node.children().iter().map(|child| &child.name);
        let names: Vec<(String, Place)> = properties
            .chain(children)
            .filter(|name| ["checksum", "tlv"].contains(&name.value.as_str()))
            .map(|name| (name.value.clone(), name.place))
            .collect();
        for (name, place) in names {
            self.error(place, format!("`{name}` needs `proxy-protocol \"v2\"`"));
        }
    }

    fn proxy_values(&mut self, node: &Node) -> Vec<ProxyValue> {
        let words = [
            ("authority", ProxyValue::Authority),
            ("alpn", ProxyValue::Alpn),
            ("ssl", ProxyValue::Ssl),
            ("unique-id", ProxyValue::UniqueId),
            ("custom", ProxyValue::Custom),
        ];
        self.distinct_words(&listed(node, "tlv"), &words)
    }
}

fn is_unix(sender: &Sender) -> bool {
    matches!(sender, Sender::Unix)
}

fn parse_sender(text: &str) -> Result<Sender, String> {
    match text {
        "unix" => Ok(Sender::Unix),
        _ => parse_network(text).map(Sender::Network),
    }
}
