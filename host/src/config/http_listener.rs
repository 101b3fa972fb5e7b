//! What only a listener with `protocol "http"` has.

use ipnet::IpNet;

use super::address::parse_network;
use super::decode::Decoder;
use super::syntax::Node;
use super::{EscapedSlashes, HeaderUnderscores, HttpListener, PathPattern, PluginKind, Spanned};

impl Decoder<'_> {
    pub(super) fn http_listener(&mut self, node: &Node, name: &Spanned<String>) -> HttpListener {
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
            http2: self.listener_http2(node),
            filters: self.chain(node, "filters", PluginKind::HttpFilter),
            ..default
        };
        self.path_normalization(node, &mut listener);
        self.refuse_hello_timeout(node);
        for (index, route) in node.named("route").enumerate() {
            listener.routes.extend(self.route(route, name, index + 1));
        }
        self.check_routes(node, &listener);
        self.check_tls_conditions(node);
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

    fn refuse_hello_timeout(&mut self, node: &Node) {
        if let Some(timeouts) = node.child("timeouts") {
            let why = "needs `protocol \"tcp\"`; in `tls`, `handshake timeout` bounds the hello";
            self.refuse_properties(timeouts, &["hello"], why);
        }
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
}

fn has_double_slash(pattern: &PathPattern) -> bool {
    match pattern {
        PathPattern::Exact(path) | PathPattern::Prefix(path) => path.contains("//"),
        // Empty segments and regexes cannot or need not contain it.
        PathPattern::Segments { .. } | PathPattern::Regex(_) => false,
    }
}
