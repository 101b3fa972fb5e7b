//! What only a listener with `protocol "tcp"` has, and what it must not have.

use std::time::Duration;

use super::decode::Decoder;
use super::syntax::Node;
use super::tls_conditions::{asks_of_hello, conditions};
use super::{Place, Spanned, TcpListener, TcpRoute};

/// Keys of a listener that mean nothing for TCP.
const HTTP_ONLY: &[&str] = &[
    "trust-forwarded",
    "path-normalization",
    "header-underscores",
    "http2",
    "filters",
];
/// What a TCP route may say.
const ROUTE_KEYS: &[&str] = &["sni", "alpn", "cluster", "priority"];
const HELLO_TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);

impl Decoder<'_> {
    pub(super) fn tcp_listener(&mut self, node: &Node, name: &Spanned<String>) -> TcpListener {
        self.refuse_http_keys(node);
        if node.child("route").is_none() {
            let help = "route { cluster \"name\" }";
            self.error_help(node.place(), "this listener has no route", help);
        }
        let routes = node.named("route").enumerate();
        TcpListener {
            routes: routes
                .filter_map(|(index, route)| self.tcp_route(route, name, index + 1))
                .collect(),
            hello_timeout: self.hello_timeout(node),
        }
    }

    fn tcp_route(
        &mut self,
        node: &Node,
        listener: &Spanned<String>,
        number: usize,
    ) -> Option<TcpRoute> {
        let name = self.route_name(node, listener, number);
        let matcher = self.hello_match(node);
        let priority = self.priority(node);
        self.refuse_http_conditions(node);
        let Some(cluster) = node.child("cluster") else {
            let message = "the route of a TCP listener leads to a cluster";
            self.error_help(node.place(), message, "route { cluster \"name\" }");
            return None;
        };
        Some(TcpRoute {
            cluster: self.first_text(cluster)?,
            name,
            matcher,
            priority,
        })
    }

    fn hello_timeout(&mut self, node: &Node) -> Duration {
        let found = self.timeout(node, "hello", HELLO_TIMEOUT_DEFAULT);
        let timeouts = node.child("timeouts");
        let Some(item) = timeouts.and_then(|timeouts| timeouts.property("hello")) else {
            return found;
        };
        if node.child("tls").is_some() {
            let message = "this listener ends TLS itself: the timeout would have no effect";
            let help = "tls { handshake timeout=\"5s\" } bounds the hello as well";
            self.error_help(item.place, message, help);
        } else if !node.named("route").any(asks_of_hello) {
            let message = "no route asks for `sni` or `alpn`: the timeout would have no effect";
            self.error(item.place, message);
        }
        found
    }

    fn refuse_http_keys(&mut self, node: &Node) {
        for child in node.children() {
            let keys: &[&str] = match child.name() {
                "limits" => &["connections-max"],
                "timeouts" => &["idle", "hello"],
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

    fn refuse_http(&mut self, key: &str, place: Place) {
        let message =
            format!("`{key}` needs `protocol \"http\"`: TCP connections have no requests");
        self.error(place, message);
    }

    fn refuse_http_conditions(&mut self, route: &Node) {
        for place in conditions(route, "client-certificate") {
            let message = "`client-certificate` needs `protocol \"http\"`: a TCP route asks for `sni` and `alpn` alone";
            self.error(place, message);
        }
        let properties = route.properties.iter().map(|(name, _)| name);
        let children = route.children().iter().map(|child| &child.name);
        for name in properties.chain(children) {
            let key = name.value.as_str();
            if !ROUTE_KEYS.contains(&key) && key != "client-certificate" {
                self.refuse_http(key, name.place);
            }
        }
    }
}
