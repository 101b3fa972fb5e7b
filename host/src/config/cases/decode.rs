//! From nodes to cases.

use std::collections::HashMap;

use super::{
    Case, CaseFile, ConnectionCase, Endpoint, Exchange, HttpCase, Origin, PicksCase, SettingsCase,
    Substitute, Verdict,
};
use crate::config::cluster::without_first_argument;
use crate::config::decode::{Decoder, named};
use crate::config::suggest::one_of;
use crate::config::syntax::{Node, Scalar};
use crate::config::{Filter, OnFault, Percent, Place, Plugin, PluginKind, PluginUse, Spanned};

/// Picks of one case.
const COUNT_MAX: u32 = 1_000_000;

/// What the cases of a file use that bring nothing of their own.
#[derive(Default)]
struct Defaults {
    filters: Option<Vec<Filter>>,
    network_filters: Option<Vec<Filter>>,
    balancer: Option<PluginUse>,
}

impl Decoder<'_> {
    pub(super) fn case_file(mut self, nodes: &[Node], substitute: Option<&Substitute>) -> CaseFile {
        let mut file = CaseFile::default();
        let stands_for = substitute.and_then(|substitute| self.stands_for(nodes, substitute));
        for node in named(nodes, "plugin") {
            let plugin = match (substitute, &stands_for) {
                (Some(substitute), Some(name)) if declares(node, name) => {
                    self.substituted(node, substitute)
                }
                _ => self.plugin(node),
            };
            file.config.plugins.extend(plugin);
        }
        if let (Some(substitute), Some(name)) = (substitute, &stands_for) {
            let manifest = substitute.manifest.clone();
            self.declared.insert(name.clone(), Some(manifest));
        }
        file.substituted = stands_for;
        let defaults = Defaults {
            filters: self.filters_in(nodes),
            network_filters: self.network_filters_in(nodes),
            balancer: self.balancer_in(nodes),
        };
        for node in nodes {
            let case = match node.name() {
                "exchange" => self.lone_exchange(node, &defaults).map(Case::Http),
                "sequence" => self.sequence(node, &defaults).map(Case::Http),
                "connection" => self.connection(node, &defaults).map(Case::Connection),
                "picks" => self
                    .picks(node, &defaults)
                    .map(|case| Case::Picks(Box::new(case))),
                "settings" => self.settings_case(node).map(Case::Settings),
                _ => None,
            };
            file.cases.extend(case);
        }
        self.refuse_double_names(nodes);
        file.config.manifests = self.manifests;
        file
    }

    /// The plugin of the file that a component given by hand stands for.
    fn stands_for(&mut self, nodes: &[Node], substitute: &Substitute) -> Option<String> {
        let mut known = Vec::new();
        used_plugins(nodes, &mut known);
        let declared: Vec<&str> = named(nodes, "plugin").filter_map(first_argument).collect();
        known.extend(&declared);
        known.sort_unstable();
        known.dedup();
        let place = nodes.first().map(Node::place).unwrap_or_default();
        let own = substitute.manifest.name.as_str();
        match (&substitute.stands_for, declared.as_slice()) {
            (Some(name), _) if known.contains(&name.as_str()) => Some(name.clone()),
            (Some(name), _) => {
                let message = format!("nothing here uses a plugin `{name}`");
                let help = format!("this file uses {}", one_of(known.iter().copied()));
                self.diagnostics
                    .error(place, message, (!known.is_empty()).then_some(help));
                None
            }
            (None, _) if known.contains(&own) => Some(own.to_owned()),
            (None, [only]) => Some((*only).to_owned()),
            (None, _) => {
                let message =
                    format!("nothing here uses a plugin `{own}`, as the given one is named");
                let help = "say which plugin of this file it stands for, with --as NAME";
                self.error_help(place, message, help);
                None
            }
        }
    }

    /// The declaration of a plugin whose file is not the one that is tried; its budgets hold.
    fn substituted(&mut self, node: &Node, substitute: &Substitute) -> Option<Plugin> {
        let name = self.name(node.arguments.first())?;
        let file = node.arguments.get(1);
        let path = file.and_then(|item| self.path_beside(item));
        let manifest = substitute.manifest.clone();
        self.manifests.insert(name.value.clone(), manifest);
        Some(Plugin {
            name,
            path,
            sha256: None,
            budgets: self.plugin_budgets(node),
            grants: self.grants(node),
        })
    }

    fn filters_in(&mut self, nodes: &[Node]) -> Option<Vec<Filter>> {
        let node = named(nodes, "filters").next()?;
        Some(self.filters(node.children(), PluginKind::HttpFilter))
    }

    fn network_filters_in(&mut self, nodes: &[Node]) -> Option<Vec<Filter>> {
        let node = named(nodes, "network-filters").next()?;
        Some(self.filters(node.children(), PluginKind::NetworkFilter))
    }

    fn balancer_in(&mut self, nodes: &[Node]) -> Option<PluginUse> {
        let node = named(nodes, "balancer").next()?;
        let name = self.first_text(node)?;
        let settings = without_first_argument(node);
        Some(self.plugin_use(&name, &settings, PluginKind::Balancer))
    }

    fn lone_exchange(&mut self, node: &Node, defaults: &Defaults) -> Option<HttpCase> {
        let own = self.filters_in(node.children());
        let exchange = self.exchange(node);
        let filters = self.chain_of(node, "filters", own, defaults.filters.as_ref());
        let exchange = exchange?;
        Some(HttpCase {
            filters: filters?,
            name: exchange.name.clone(),
            exchanges: vec![exchange],
            is_sequence: false,
        })
    }

    fn sequence(&mut self, node: &Node, defaults: &Defaults) -> Option<HttpCase> {
        let own = self.filters_in(node.children());
        let steps: Vec<_> = node.named("exchange").collect();
        if steps.is_empty() {
            self.error(node.place(), "this sequence has no `exchange`");
        }
        for step in &steps {
            if let Some(filters) = step.child("filters") {
                let help = "put them into the block of `sequence`: its exchanges share one chain";
                self.error_help(filters.place(), "a step has no filters of its own", help);
            }
        }
        let exchanges = steps
            .iter()
            .filter_map(|step| self.exchange(step))
            .collect();
        self.refuse_double_names(node.children());
        Some(HttpCase {
            filters: self.chain_of(node, "filters", own, defaults.filters.as_ref())?,
            name: self.title(node)?,
            exchanges,
            is_sequence: true,
        })
    }

    /// The chain that a case brings, or else that of the file; without any it would show nothing.
    fn chain_of(
        &mut self,
        node: &Node,
        key: &str,
        own: Option<Vec<Filter>>,
        default: Option<&Vec<Filter>>,
    ) -> Option<Vec<Filter>> {
        let chain = own.or_else(|| default.cloned()).unwrap_or_default();
        if chain.is_empty() {
            let message = format!("`{}` has no filters to run", node.name());
            let help = format!("add {key} {{ … }}, to it or at the top of the file for all");
            self.error_help(node.place(), message, help);
            return None;
        }
        Some(chain)
    }

    fn exchange(&mut self, node: &Node) -> Option<Exchange> {
        let Some(request) = node.child("request") else {
            self.error_help(
                node.place(),
                "this exchange has no `request`",
                "it is written: request \"GET\" \"/path?query\" { … }",
            );
            return None;
        };
        let value = self.request(request);
        let response = node.child("response").map(|response| Spanned {
            value: self.response(response),
            place: response.place(),
        });
        let expect = node.child("expect");
        let expect = expect.map_or_else(Default::default, |node| self.http_expect(node));
        if let (Some(Verdict::Next), Some(downstream), None) = (
            expect.verdict.as_ref().map(|is| is.value),
            &expect.downstream,
            &response,
        ) {
            let help = "say what the upstream answers: response 200 { … }";
            let message = "nothing comes back: this exchange has no `response`";
            self.error_help(downstream.place, message, help);
        }
        Some(Exchange {
            name: self.title(node)?,
            request: Spanned {
                value: value?,
                place: request.place(),
            },
            response,
            expect,
        })
    }

    fn connection(&mut self, node: &Node, defaults: &Defaults) -> Option<ConnectionCase> {
        let own = self.network_filters_in(node.children());
        let default = defaults.network_filters.as_ref();
        let expect = node.child("expect");
        Some(ConnectionCase {
            filters: self.chain_of(node, "network-filters", own, default)?,
            origin: self.origin(node),
            expect: expect.map_or_else(Default::default, |node| self.connection_expect(node)),
            name: self.title(node)?,
        })
    }

    fn picks(&mut self, node: &Node, defaults: &Defaults) -> Option<PicksCase> {
        let own = self.balancer_in(node.children());
        let balancer = own.or_else(|| defaults.balancer.clone());
        if balancer.is_none() {
            let help = "add balancer \"name\", to it or at the top of the file for all";
            self.error_help(node.place(), "`picks` has no balancer to ask", help);
        }
        let endpoints = self.endpoints_of_picks(node);
        let request = node.child("request").and_then(|node| {
            Some(Spanned {
                value: self.request(node)?,
                place: node.place(),
            })
        });
        let count = self.integer(node.property("count"), 1..=COUNT_MAX, 1);
        let expect = node.child("expect");
        let expect = expect.map_or_else(Default::default, |node| {
            self.picks_expect(node, &endpoints, count)
        });
        Some(PicksCase {
            balancer: balancer?,
            count,
            keys_differ: self.choice(
                node.property("keys"),
                &[("same", false), ("different", true)],
                false,
            ),
            held: self.choice(
                node.property("in-flight"),
                &[("ends", false), ("stays", true)],
                false,
            ),
            request,
            expect,
            endpoints,
            name: self.title(node)?,
        })
    }

    fn endpoints_of_picks(&mut self, node: &Node) -> Vec<Endpoint> {
        let mut endpoints = Vec::new();
        let mut written = Vec::new();
        for node in node.named("endpoint") {
            let Some(address) = self.first_text(node) else {
                continue;
            };
            written.push((address.value.clone(), address.place));
            let requests = self.integer(node.property("requests"), 0..=10_000_000, 0);
            let full = self.boolean(node.property("full"), false);
            let zero = std::time::Duration::ZERO;
            let latency_max = std::time::Duration::from_secs(3_600);
            let latency = self.duration(node.property("latency"), zero..=latency_max, zero);
            endpoints.push(Endpoint {
                address: address.value,
                weight: self.integer(node.property("weight"), 1..=256, 1),
                requests: (!full).then_some(requests),
                latency_micros: u32::try_from(latency.as_micros()).unwrap_or(u32::MAX),
                failures: self.percent(
                    node.property("failures"),
                    Percent(0)..=Percent(10_000),
                    Percent(0),
                ),
            });
        }
        self.refuse_doubles(written.iter().map(|(text, place)| (text.as_str(), *place)));
        if endpoints.is_empty() {
            self.error(node.place(), "`picks` has no endpoints to pick from");
        }
        endpoints
    }

    /// The settings of one plugin. What its schema has against them is no error of the file.
    fn settings_case(&mut self, node: &Node) -> Option<SettingsCase> {
        let unused: HashMap<_, _> = self.manifests.drain().collect();
        let outer = std::mem::take(self.diagnostics);
        let filters = self.filters_in(node.children()).unwrap_or_default();
        let network_filters = self.network_filters_in(node.children()).unwrap_or_default();
        let balancer = self.balancer_in(node.children());
        let found = std::mem::replace(self.diagnostics, outer);
        let mut all: Vec<(PluginKind, Filter)> = Vec::new();
        all.extend(
            filters
                .into_iter()
                .map(|filter| (PluginKind::HttpFilter, filter)),
        );
        let network_filters = network_filters.into_iter();
        all.extend(network_filters.map(|filter| (PluginKind::NetworkFilter, filter)));
        all.extend(balancer.map(|plugin| {
            let on_fault = OnFault::default();
            (PluginKind::Balancer, Filter { plugin, on_fault })
        }));
        let usable = all
            .iter()
            .all(|(_, filter)| self.manifests.contains_key(&filter.plugin.name.value));
        self.manifests.extend(unused);
        let Ok([(kind, filter)]) = <[_; 1]>::try_from(all) else {
            let help = "put exactly one into filters { … }, network-filters { … } or balancer";
            self.error_help(node.place(), "`settings` is about one plugin", help);
            return None;
        };
        if !usable {
            // No such plugin, or one of another kind.
            self.diagnostics.extend(found);
            return None;
        }
        let expect = self.settings_expect(node, &filter.plugin.settings);
        Some(SettingsCase {
            name: self.title(node)?,
            kind,
            filter,
            schema_errors: found,
            expect,
        })
    }

    /// What a case is called.
    fn title(&mut self, node: &Node) -> Option<Spanned<String>> {
        let title = self.first_text(node)?;
        if title.value.trim().is_empty() || title.value.contains(char::is_control) {
            self.error(title.place, "a name is one line that is not empty");
        }
        Some(title)
    }

    /// Reports and `--filter` go by names.
    fn refuse_double_names(&mut self, nodes: &[Node]) {
        const CASES: [&str; 5] = ["exchange", "sequence", "connection", "picks", "settings"];
        let cases = nodes.iter().filter(|node| CASES.contains(&node.name()));
        let named: Vec<(String, Place)> = cases
            .filter_map(|node| {
                let place = node.arguments.first()?.place;
                Some((first_argument(node)?.to_owned(), place))
            })
            .collect();
        self.refuse_doubles(named.iter().map(|(name, place)| (name.as_str(), *place)));
    }

    pub(super) fn origin(&mut self, node: &Node) -> Origin {
        let default = Origin::default();
        let mut address = |key: &str, default| {
            let item = node.child_argument(key);
            let found = item.and_then(|item| {
                self.parsed(item, |text| {
                    let form = "expected an address with its port, such as 192.0.2.1:4711";
                    text.parse().map_err(|_| form.to_owned())
                })
            });
            found.map_or(default, |found| found.value)
        };
        let (from, to) = (address("from", default.from), address("to", default.to));
        let listener = node
            .child_argument("listener")
            .and_then(|item| self.text(item));
        let schemes = [("http", false), ("https", true)];
        Origin {
            from,
            to,
            listener: listener.map_or(default.listener, |listener| listener.value),
            is_https: self.choice(node.child_argument("scheme"), &schemes, false),
            tags: self.named_bytes(node, "tag"),
        }
    }
}

impl Default for Origin {
    fn default() -> Origin {
        Origin {
            from: ([192, 0, 2, 1], 4711).into(),
            to: ([127, 0, 0, 1], 80).into(),
            listener: "test".to_owned(),
            is_https: false,
            tags: Vec::new(),
        }
    }
}

fn declares(node: &Node, name: &str) -> bool {
    first_argument(node) == Some(name)
}

fn first_argument(node: &Node) -> Option<&str> {
    match &node.arguments.first()?.value {
        Scalar::Text(text) => Some(text),
        _ => None,
    }
}

/// The names of all plugins in chains and balancers.
fn used_plugins<'n>(nodes: &'n [Node], found: &mut Vec<&'n str>) {
    for node in nodes {
        match node.name() {
            "filters" | "network-filters" => found.extend(node.children().iter().map(Node::name)),
            "balancer" => found.extend(first_argument(node)),
            _ => used_plugins(node.children(), found),
        }
    }
}
