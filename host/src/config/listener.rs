//! `listener "name" "address" … { … }`.

use std::ops::RangeInclusive;
use std::time::Duration;

use ipnet::IpNet;

use super::address::{parse_listen, parse_network};
use super::decode::Decoder;
use super::syntax::Node;
use super::{
    EscapedSlashes, Filter, HeaderUnderscores, HttpListener, Listener, ListenerProtocol,
    PathPattern, PluginKind, Spanned, TcpListener,
};

pub(super) const TIMEOUT_RANGE: RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(24 * 3600);
pub(super) const COUNT_MAX: u32 = 10_000_000;

/// Keys of a listener that mean nothing for TCP.
const HTTP_ONLY: &[&str] = &[
    "trust-forwarded",
    "path-normalization",
    "header-underscores",
    "filters",
];

#[derive(Clone, Copy, PartialEq)]
enum Protocol {
    Http,
    Tcp,
}

impl Decoder<'_> {
    pub(super) fn listener(&mut self, node: &Node) -> Option<Listener> {
        let name = self.name(node.arguments.first())?;
        let addresses = node
            .arguments
            .iter()
            .skip(1)
            .filter_map(|item| self.parsed(item, parse_listen))
            .collect();
        let protocol = self.listener_protocol(node);
        let limits = node.child("limits");
        let connections = limits.and_then(|limits| limits.property("connections-max"));
        Some(Listener {
            addresses,
            connections_max: self.integer(connections, 1..=COUNT_MAX, 10_000),
            idle_timeout: self.idle_timeout(node, protocol),
            network_filters: self.chain(node, "network-filters", PluginKind::NetworkFilter),
            protocol: match protocol {
                Protocol::Http => ListenerProtocol::Http(Box::new(self.http_listener(node, &name))),
                Protocol::Tcp => ListenerProtocol::Tcp(self.tcp_listener(node, &name)?),
            },
            name,
        })
    }

    fn listener_protocol(&mut self, node: &Node) -> Protocol {
        let item = node
            .child("protocol")
            .and_then(|node| node.arguments.first());
        let words = [("http", Protocol::Http), ("tcp", Protocol::Tcp)];
        self.choice(item, &words, Protocol::Http)
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

    fn http_listener(&mut self, node: &Node, name: &Spanned<String>) -> HttpListener {
        let default = HttpListener::default();
        let limit = |key| node.child("limits").and_then(|limits| limits.property(key));
        let header_bytes = default.header_bytes_max as u64;
        let body_bytes = limit("body-bytes-max");
        let body_bytes_max = self.size(body_bytes, 0..=u64::MAX, 0);
        let mut listener = HttpListener {
            trust_forwarded: self.trust_forwarded(node),
            header_bytes_max: self.size(limit("header-bytes-max"), 1 << 10..=1 << 20, header_bytes)
                as usize,
            headers_max: self.integer(limit("headers-max"), 1..=10_000, 128) as usize,
            body_bytes_max: body_bytes.map(|_| body_bytes_max),
            request_head_timeout: self.timeout(node, "request-head", default.request_head_timeout),
            request_body_timeout: self.timeout(node, "request-body", default.request_body_timeout),
            tunnel_timeout: self.timeout(node, "tunnel", default.tunnel_timeout),
            header_underscores: self.header_underscores(node),
            filters: self.chain(node, "filters", PluginKind::HttpFilter),
            ..default
        };
        self.path_normalization(node, &mut listener);
        for (index, route) in node.named("route").enumerate() {
            listener.routes.extend(self.route(route, name, index + 1));
        }
        self.check_routes(node, &listener);
        listener
    }

    fn trust_forwarded(&mut self, node: &Node) -> Vec<IpNet> {
        let mut networks = Vec::new();
        for node in node.named("trust-forwarded") {
            if node.arguments.is_empty() && node.properties.is_empty() {
                let help = "trust-forwarded from=\"10.0.0.0/8\"";
                self.error_help(node.place(), "`trust-forwarded` names no network", help);
            }
            for item in node.arguments.iter().chain(node.property("from")) {
                networks.extend(self.parsed(item, parse_network).map(|found| found.value));
            }
        }
        networks
    }

    fn path_normalization(&mut self, node: &Node, listener: &mut HttpListener) {
        let Some(node) = node.child("path-normalization") else {
            return;
        };
        let words = [
            ("reject", EscapedSlashes::Reject),
            ("keep", EscapedSlashes::Keep),
        ];
        listener.escaped_slashes = self.choice(
            node.property("escaped-slashes"),
            &words,
            listener.escaped_slashes,
        );
        listener.merge_slashes =
            self.boolean(node.property("merge-slashes"), listener.merge_slashes);
    }

    fn header_underscores(&mut self, node: &Node) -> HeaderUnderscores {
        let words = [
            ("drop", HeaderUnderscores::Drop),
            ("keep", HeaderUnderscores::Keep),
            ("reject", HeaderUnderscores::Reject),
        ];
        let item = node
            .child("header-underscores")
            .and_then(|node| node.arguments.first());
        self.choice(item, &words, HeaderUnderscores::Drop)
    }

    fn check_routes(&mut self, node: &Node, listener: &HttpListener) {
        if node.child("route").is_none() {
            let help = "route { respond 404 } answers everything";
            self.error_help(node.place(), "this listener has no route", help);
        }
        if listener.merge_slashes {
            let paths = listener
                .routes
                .iter()
                .flat_map(|route| &route.matcher.paths);
            for path in paths.filter(|path| has_double_slash(&path.value)) {
                let help = "path-normalization merge-slashes=#false keeps them".to_owned();
                let message = "this path can never match: `//` in requests becomes `/`";
                self.diagnostics.warn(path.place, message, Some(help), None);
            }
        }
    }

    fn tcp_listener(&mut self, node: &Node, name: &Spanned<String>) -> Option<TcpListener> {
        self.refuse_http_keys(node);
        let routes: Vec<_> = node.named("route").collect();
        let [route] = routes.as_slice() else {
            let place = routes.get(1).map_or(node.place(), |second| second.place());
            let message = "a TCP listener has exactly one route";
            self.error_help(place, message, "route { cluster \"name\" }");
            return None;
        };
        let cluster = route
            .child("cluster")
            .and_then(|node| self.first_text(node));
        self.refuse_conditions(route);
        if route.child("cluster").is_none() {
            let message = "the route of a TCP listener leads to a cluster";
            self.error_help(route.place(), message, "route { cluster \"name\" }");
        }
        Some(TcpListener {
            route: self.route_name(route, name, 1),
            cluster: cluster?,
            priority: self.priority(route),
        })
    }

    fn refuse_http_keys(&mut self, node: &Node) {
        for child in node.children() {
            let keys: &[&str] = match child.name() {
                "limits" => &["connections-max"],
                "timeouts" => &["idle"],
                name if HTTP_ONLY.contains(&name) => {
                    self.refuse_http(child.name(), child.place());
                    continue;
                }
                _ => continue,
            };
            for (name, _) in &child.properties {
                if !keys.contains(&name.value.as_str()) {
                    self.refuse_http(&name.value, name.place);
                }
            }
        }
    }

    fn refuse_http(&mut self, key: &str, place: super::Place) {
        let message =
            format!("`{key}` needs `protocol \"http\"`: TCP connections have no requests");
        self.error(place, message);
    }

    fn refuse_conditions(&mut self, route: &Node) {
        for (name, _) in &route.properties {
            self.refuse_http(&name.value, name.place);
        }
        for child in route.children() {
            if !["cluster", "priority"].contains(&child.name()) {
                self.refuse_http(child.name(), child.place());
            }
        }
    }
}

fn has_double_slash(pattern: &PathPattern) -> bool {
    match pattern {
        PathPattern::Exact(path) | PathPattern::Prefix(path) => path.contains("//"),
        // Empty segments and regexes cannot or need not contain it.
        PathPattern::Segments { .. } | PathPattern::Regex(_) => false,
    }
}
