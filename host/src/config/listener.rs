//! `listener "name" "address" … { … }`: what every listener has.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::net::address::{Address, ListenAddress, UnixAddress};

use super::address::parse_listen;
use super::decode::Decoder;
use super::syntax::Node;
use super::{Filter, Listener, ListenerProtocol, PluginKind, Spanned};

pub(super) const TIMEOUT_RANGE: RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(24 * 3600);
pub(super) const COUNT_MAX: u32 = 10_000_000;

#[derive(Clone, Copy, PartialEq)]
enum Protocol {
    Http,
    Tcp,
}

impl Decoder<'_> {
    pub(super) fn listener(&mut self, node: &Node) -> Option<Listener> {
        let name = self.name(node.arguments.first())?;
        let addresses: Vec<_> = node
            .arguments
            .iter()
            .skip(1)
            .filter_map(|item| self.parsed(item, parse_listen))
            .collect();
        let kind = self.listener_protocol(node);
        let limits = node.child("limits");
        let connections = limits.and_then(|limits| limits.property("connections-max"));
        let protocol = match kind {
            Protocol::Http => ListenerProtocol::Http(Box::new(self.http_listener(node, &name))),
            Protocol::Tcp => ListenerProtocol::Tcp(self.tcp_listener(node, &name)),
        };
        Some(Listener {
            unix_mode: self.unix_mode(node, &addresses),
            tls: self.server_tls(node, &protocol),
            proxy_protocol: self.proxy_protocol_in(node, &addresses),
            connections_max: self.integer(connections, 1..=COUNT_MAX, 10_000),
            idle_timeout: self.idle_timeout(node, kind),
            network_filters: self.chain(node, "network-filters", PluginKind::NetworkFilter),
            protocol,
            addresses,
            name,
        })
    }

    fn listener_protocol(&mut self, node: &Node) -> Protocol {
        let words = [("http", Protocol::Http), ("tcp", Protocol::Tcp)];
        self.choice(node.child_argument("protocol"), &words, Protocol::Http)
    }

    fn unix_mode(&mut self, node: &Node, addresses: &[Spanned<ListenAddress>]) -> Option<u32> {
        let item = node.child_argument("unix-mode")?;
        let has_file = |address: &Spanned<ListenAddress>| {
            matches!(
                address.value,
                ListenAddress::One(Address::Unix(UnixAddress::Path(_)))
            )
        };
        if !addresses.iter().any(has_file) {
            let message = "no address of this listener is the path of a Unix socket: `unix-mode` would have no effect";
            self.error_help(item.place, message, "write \"unix:/run/web.sock\"");
        }
        self.parsed(item, parse_mode).map(|mode| mode.value)
    }

    fn idle_timeout(&mut self, node: &Node, protocol: Protocol) -> Duration {
        let default = match protocol {
            Protocol::Http => Duration::from_secs(60),
            Protocol::Tcp => Duration::from_secs(3600),
        };
        self.timeout(node, "idle", default)
    }

    /// The property `name` of the node's `timeouts`.
    pub(super) fn timeout(&mut self, node: &Node, name: &str, default: Duration) -> Duration {
        let item = node
            .child("timeouts")
            .and_then(|timeouts| timeouts.property(name));
        self.duration(item, TIMEOUT_RANGE, default)
    }

    /// The filters in the child `name`.
    pub(super) fn chain(&mut self, node: &Node, name: &str, kind: PluginKind) -> Vec<Filter> {
        node.child(name)
            .map_or(Vec::new(), |chain| self.filters(chain.children(), kind))
    }
}

/// Octal digits, as `chmod` takes them. Bits beyond `0777` mean nothing for a socket.
fn parse_mode(text: &str) -> Result<u32, String> {
    let octal = (3..=4).contains(&text.len()) && text.bytes().all(|b| (b'0'..=b'7').contains(&b));
    let mode = octal.then(|| u32::from_str_radix(text, 8).ok()).flatten();
    mode.filter(|mode| *mode <= 0o777)
        .ok_or_else(|| format!("`{text}` are no permissions; write octal digits such as \"0660\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_octal() {
        for (text, expected) in [
            ("0660", Some(0o660)),
            ("660", Some(0o660)),
            ("0777", Some(0o777)),
            ("000", Some(0)),
            ("1000", None),
            ("0680", None),
            ("00660", None),
            ("66", None),
            ("0o660", None),
            ("+660", None),
            ("", None),
        ] {
            assert_eq!(parse_mode(text).ok(), expected, "{text}");
        }
    }
}
