//! `route … { … }` of an HTTP listener.

use super::decode::Decoder;
use super::keys::is_route_key;
use super::listener::TIMEOUT_RANGE;
use super::path_pattern::{parse_path, parse_path_regex};
use super::route_match::{parse_header_name, parse_header_value, parse_host, parse_method};
use super::syntax::{Item, Node};
use super::tls_conditions::values;
use super::{
    Action, HeaderMatch, PathPattern, PluginKind, Route, RouteMatch, Share, Spanned, Template,
};

/// The children that say what to do; a route has exactly one.
const ACTIONS: &[&str] = &["cluster", "split", "redirect", "respond"];

/// What only a route that forwards may say.
const UPSTREAM_KEYS: &[&str] = &["priority", "retry", "mirror", "compress"];

/// Written by the host, or meaningful only hop by hop.
pub(super) const FRAMING_HEADERS: &[&str] = &[
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

const SHARE_WEIGHT_MAX: u32 = 65_535;

impl Decoder<'_> {
    /// The route with this number, from 1, in the listener.
    pub(super) fn route(
        &mut self,
        node: &Node,
        listener: &Spanned<String>,
        number: usize,
    ) -> Option<Route> {
        let name = self.route_name(node, listener, number);
        let matcher = self.route_match(node);
        let filters = self.chain(node, "filters", PluginKind::HttpFilter);
        let response = node
            .child("timeouts")
            .and_then(|node| node.property("response"));
        let response_timeout = response.map(|item| {
            let default = std::time::Duration::from_secs(30);
            self.duration(Some(item), TIMEOUT_RANGE, default)
        });
        let (priority, retry) = (self.priority(node), node.child("retry"));
        let retry = retry.map(|node| self.retry(node));
        let mirror = node.child("mirror").and_then(|node| self.mirror(node));
        let compress = node.child("compress").map(|node| self.compress(node));
        let action = self.action(node, &matcher)?;
        if let Action::Redirect { .. } | Action::Respond { .. } = action {
            self.refuse_upstream_keys(node, response);
        }
        Some(Route {
            priority,
            retry,
            mirror,
            compress,
            name,
            matcher,
            filters,
            action,
            response_timeout,
        })
    }

    fn refuse_upstream_keys(&mut self, node: &Node, response: Option<&Item>) {
        const WHY: &str = "this route asks no upstream";
        if let Some(item) = response {
            let message = format!("{WHY}: the timeout would have no effect");
            self.error(item.place, message);
        }
        for child in node.children() {
            if UPSTREAM_KEYS.contains(&child.name()) {
                let message = format!("{WHY}: `{}` would have no effect", child.name());
                self.error(child.place(), message);
            }
        }
    }

    /// In queues: lower first.
    pub(super) fn priority(&mut self, node: &Node) -> i16 {
        let item = node.child_argument("priority");
        let found = item.and_then(|item| self.whole_number(item, -2047..=2047));
        found
            .and_then(|found| i16::try_from(found).ok())
            .unwrap_or(0)
    }

    pub(super) fn route_name(
        &mut self,
        node: &Node,
        listener: &Spanned<String>,
        number: usize,
    ) -> Spanned<String> {
        self.name(node.arguments.first())
            .unwrap_or_else(|| Spanned {
                value: format!("{}/{number}", listener.value),
                place: node.place(),
            })
    }

    fn route_match(&mut self, node: &Node) -> RouteMatch {
        RouteMatch {
            hosts: values(self.values(node, "host", parse_host)),
            paths: self.paths(node),
            methods: values(self.values(node, "method", parse_method)),
            headers: node
                .named("header")
                .filter_map(|node| self.header_match(node))
                .collect(),
            snis: self.snis(node),
            client_certificate: self.client_certificate_match(node),
        }
    }

    fn paths(&mut self, node: &Node) -> Vec<Spanned<PathPattern>> {
        let mut paths = self.values(node, "path", parse_path);
        paths.extend(self.values(node, "path-regex", parse_path_regex));
        paths
    }

    fn header_match(&mut self, node: &Node) -> Option<HeaderMatch> {
        let name = self.parsed(node.arguments.first()?, parse_header_name);
        let value = match node.arguments.get(1) {
            Some(item) => Some(self.parsed(item, parse_header_value)?.value),
            None => None,
        };
        Some(HeaderMatch {
            name: name?.value,
            value,
        })
    }

    fn action(&mut self, node: &Node, matcher: &RouteMatch) -> Option<Action> {
        let mut actions = node
            .children()
            .iter()
            .filter(|child| ACTIONS.contains(&child.name()));
        let Some(first) = actions.next() else {
            if node
                .children()
                .iter()
                .all(|child| is_route_key(child.name()))
            {
                let help = "one of `cluster`, `split`, `redirect` or `respond`";
                self.error_help(node.place(), "this route does not say what to do", help);
            }
            return None;
        };
        // A second node of one name was reported by the shape check.
        for other in actions.filter(|other| other.name() != first.name()) {
            self.diagnostics.error_with(
                other.place(),
                format!(
                    "a route does one thing: `{}` or `{}`",
                    first.name(),
                    other.name()
                ),
                None,
                (first.place(), "this is what it does"),
            );
        }
        match first.name() {
            "cluster" => self.first_text(first).map(Action::Cluster),
            "split" => self.split(first),
            "redirect" => self.redirect(first, matcher),
            _ => self.respond(first, matcher),
        }
    }

    fn split(&mut self, node: &Node) -> Option<Action> {
        let shares: Vec<Share> = node
            .named("cluster")
            .filter_map(|node| self.share(node))
            .collect();
        if shares.iter().all(|share| share.weight == 0) {
            let help = "split { cluster \"a\" weight=95; cluster \"b\" weight=5 }";
            let message = "a split needs a cluster with a weight above 0";
            self.error_help(node.place(), message, help);
            return None;
        }
        Some(Action::Split(shares))
    }

    fn share(&mut self, node: &Node) -> Option<Share> {
        let weight = self.integer(node.property("weight"), 0..=SHARE_WEIGHT_MAX, 1);
        Some(Share {
            cluster: self.first_text(node)?,
            weight,
        })
    }

    fn redirect(&mut self, node: &Node, matcher: &RouteMatch) -> Option<Action> {
        let codes = [301, 302, 303, 307, 308];
        let item = node.property("status");
        let status = self.integer(item, 300..=399, 302) as u16;
        if let Some(item) = item.filter(|_| !codes.contains(&status)) {
            self.error(
                item.place,
                "a redirect has status 301, 302, 303, 307 or 308",
            );
        }
        let target = self.template(node.arguments.first()?, matcher)?;
        self.check_target(node.arguments.first()?, &target);
        Some(Action::Redirect { target, status })
    }

    fn check_target(&mut self, item: &Item, target: &Template) {
        let text = self.text(item).map(|text| text.value).unwrap_or_default();
        let plain = text.chars().all(|c| c.is_ascii_graphic());
        if target.parts.is_empty() || !plain {
            self.error(
                item.place,
                "a redirect needs a URL of visible ASCII characters; percent-encode others",
            );
        }
    }

    fn respond(&mut self, node: &Node, matcher: &RouteMatch) -> Option<Action> {
        let status = self.integer(node.arguments.first(), 200..=599, 200) as u16;
        let body = match node.property("body") {
            Some(item) => self.template(item, matcher),
            None => Some(Template::default()),
        };
        if let Some(item) = node.property("body")
            && matches!(status, 204 | 205 | 304)
        {
            self.error(
                item.place,
                format!("a response with status {status} has no body"),
            );
        }
        let headers = node
            .named("header")
            .filter_map(|node| self.response_header(node, matcher))
            .collect();
        Some(Action::Respond {
            status,
            body: body?,
            headers,
        })
    }

    fn response_header(&mut self, node: &Node, matcher: &RouteMatch) -> Option<(String, Template)> {
        let name = self.parsed(node.arguments.first()?, parse_header_name);
        let item = node.arguments.get(1)?;
        self.parsed(item, parse_header_value)?;
        let value = self.template(item, matcher);
        let name = name?;
        if FRAMING_HEADERS.contains(&name.value.as_str()) {
            let message = format!("`{}` is written by the proxy itself", name.value);
            self.error(name.place, message);
        }
        Some((name.value, value?))
    }

    fn template(&mut self, item: &Item, matcher: &RouteMatch) -> Option<Template> {
        let text = self.text(item)?;
        match Template::parse(&text.value, &common_captures(&matcher.paths)) {
            Ok(template) => Some(template),
            Err(errors) => {
                for (message, help) in errors {
                    self.error_help(text.place, message, help);
                }
                None
            }
        }
    }
}

/// Of several patterns any may have matched: only what all of them capture is there for sure.
fn common_captures(paths: &[Spanned<PathPattern>]) -> Vec<String> {
    let Some((first, others)) = paths.split_first() else {
        return Vec::new();
    };
    first
        .value
        .captures()
        .into_iter()
        .filter(|name| {
            others
                .iter()
                .all(|path| path.value.captures().contains(name))
        })
        .map(str::to_owned)
        .collect()
}
