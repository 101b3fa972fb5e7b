//! From a configuration as written to one as it runs. Everything that can fail does so here, before anything is in force.

use super::live::open_connections;
use super::plugins::Plugins;
use super::transports::http2_server;
use super::{
    Action, HttpListener, Listener, Mirror, Protocol, Route, Snapshot, Split, TcpListener, TcpRoute,
};
use crate::affinity::Affinity;
use crate::balance::{LevelPolicy, Picker};
use crate::config::{self, Config, Diagnostics, EndpointAddress, Spanned};
use crate::filter::FILTERS_MAX;
use crate::http::{EscapedSlashes, Limits, Underscores};
use crate::net::address::Address;
use crate::plugin::Engine;
use crate::route::RouteTable;
use crate::upstream::{Cluster, Rules, Spec, cluster_state};
use std::collections::HashMap;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;

/// Compiles a configuration into generation `generation`. Blocks: on component compilation, name resolution and the plugins' own
/// `configure`; call it off the event loops. `running` is the generation that this one may replace: TLS sessions go on from it.
///
/// # Errors
/// Every reason at once, each at its place. Nothing has been changed then.
pub fn compile(
    config: &Config,
    generation: u64,
    engine: &Engine,
    running: Option<&Snapshot>,
) -> Result<Snapshot, Diagnostics> {
    let mut compiler = Compiler {
        config,
        running,
        plugins: Plugins::new(config, engine),
        errors: Diagnostics::default(),
    };
    let clusters = compiler.clusters();
    let in_order = config.clusters.iter();
    let in_order = in_order
        .filter_map(|cluster| clusters.get(&cluster.name.value).cloned())
        .collect();
    let listeners: Vec<_> = config
        .listeners
        .iter()
        .filter_map(|listener| compiler.listener(listener, &clusters))
        .collect();
    if compiler.errors.has_errors() {
        return Err(compiler.errors);
    }
    Ok(Snapshot {
        generation,
        listeners,
        drain_timeout: config.process.drain_timeout,
        clusters: in_order,
        plugins: compiler
            .plugins
            .loaded(running.map_or(&[], |running| &running.plugins)),
        stores: compiler.plugins.into_stores(),
    })
}

type Clusters = HashMap<String, Arc<Cluster>>;

pub(super) struct Compiler<'c> {
    config: &'c Config,
    pub(super) running: Option<&'c Snapshot>,
    plugins: Plugins<'c>,
    pub(super) errors: Diagnostics,
}

impl Compiler<'_> {
    fn clusters(&mut self) -> Clusters {
        let config = self.config;
        config
            .clusters
            .iter()
            .filter_map(|cluster| {
                Some((cluster.name.value.clone(), Arc::new(self.cluster(cluster)?)))
            })
            .collect()
    }

    fn cluster(&mut self, written: &config::Cluster) -> Option<Cluster> {
        let name: Arc<str> = written.name.value.as_str().into();
        let mut endpoints = Vec::new();
        for endpoint in &written.endpoints {
            let Some(spec) = self.endpoint(endpoint) else {
                continue;
            };
            self.refuse_double(&endpoints, &spec, endpoint.address.place);
            endpoints.push(spec);
        }
        let balancer = self
            .plugins
            .balancer(&name, &written.balancer, &mut self.errors)?;
        let transport = Arc::new(self.transport(written)?);
        let health_check = self.health_check(written, &transport)?;
        let live = cluster_state(&name);
        let affinity = written.affinity.as_ref();
        Some(Cluster {
            affinity: affinity.map(|settings| Affinity::new(&name, settings, live.table.clone())),
            identity: transport.identity(),
            is_plain: transport.is_plain(),
            transport,
            live,
            picker: Picker::new(balancer),
            connect_timeout: written.connect_timeout,
            response_timeout: written.response_timeout,
            idle_timeout: written.idle_timeout,
            queue: written.queue.clone(),
            retry: written.retry.clone(),
            breaker: written.circuit_breaker.clone(),
            outlier_detection: written.outlier_detection.clone(),
            on_down: written.on_down,
            health_check,
            discovery: written.discovery.clone(),
            endpoints,
            rules: rules(written),
            name,
        })
    }

    /// Two names of one address would be one endpoint.
    fn refuse_double(&mut self, before: &[Spec], spec: &Spec, place: config::Place) {
        if let Some(same) = before.iter().find(|other| other.address == spec.address) {
            let message = format!(
                "endpoint `{}` is at {}, as `{}` is",
                spec.label, spec.address, same.label
            );
            let help = Some("give one of them more `weight` instead".to_owned());
            self.errors.error(place, message, help);
        }
    }

    fn endpoint(&mut self, written: &config::Endpoint) -> Option<Spec> {
        Some(Spec {
            address: self.resolve(&written.address)?,
            label: written.address.value.to_string().into(),
            weight: written.weight.into(),
            requests_max: written.requests_max,
            backup: written.backup,
            zone: written.zone.clone(),
            id: written.id.clone(),
        })
    }

    /// A name stands for its first IPv4 address, or its first IPv6 address if it has no other; it is looked up once a generation. Many names,
    /// `localhost` among them, have an IPv6 address that nobody listens on.
    fn resolve(&mut self, address: &Spanned<EndpointAddress>) -> Option<Address> {
        let (host, port) = match &address.value {
            EndpointAddress::Socket(address) => return Some(Address::Ip(*address)),
            EndpointAddress::Unix(address) => return Some(Address::Unix(address.clone())),
            EndpointAddress::Name { host, port } => (host.as_str(), *port),
        };
        let mut found: Vec<SocketAddr> = match (host, port).to_socket_addrs() {
            Ok(addresses) => addresses.collect(),
            Err(error) => {
                let message = format!("`{host}` cannot be resolved: {error}");
                return self.refuse(address.place, message, None);
            }
        };
        found.sort_by_key(SocketAddr::is_ipv6);
        match found.first() {
            Some(first) => Some(Address::Ip(*first)),
            None => self.refuse(address.place, format!("`{host}` has no address"), None),
        }
    }

    fn listener(
        &mut self,
        written: &config::Listener,
        clusters: &Clusters,
    ) -> Option<Arc<Listener>> {
        let name: Arc<str> = written.name.value.as_str().into();
        let network_filters = self
            .plugins
            .network_chain(&written.network_filters, &mut self.errors);
        let protocol = match &written.protocol {
            config::ListenerProtocol::Http(http) => {
                Protocol::Http(Box::new(self.http_listener(http, clusters)))
            }
            config::ListenerProtocol::Tcp(tcp) => Protocol::Tcp(tcp_listener(tcp, clusters)?),
        };
        let tls = self.server_tls(written)?;
        Some(Arc::new(Listener {
            open: open_connections(&name),
            name,
            addresses: written
                .addresses
                .iter()
                .map(|address| address.value.clone())
                .collect(),
            tls,
            proxy_protocol: written.proxy_protocol.clone(),
            connections_max: written.connections_max,
            idle_timeout: written.idle_timeout,
            network_filters: Arc::new(network_filters),
            protocol,
        }))
    }

    fn http_listener(
        &mut self,
        written: &config::HttpListener,
        clusters: &Clusters,
    ) -> HttpListener {
        let routes = written
            .routes
            .iter()
            .filter_map(|route| self.route(route, &written.filters, clusters))
            .collect();
        HttpListener {
            limits: limits(written),
            body_bytes_max: written.body_bytes_max,
            request_head_timeout: written.request_head_timeout,
            request_body_timeout: written.request_body_timeout,
            tunnel_timeout: written.tunnel_timeout,
            trust_forwarded: written.trust_forwarded.clone(),
            http2_only: written.http2.only,
            http2: http2_server(written),
            routes: RouteTable::new(routes),
        }
    }

    fn route(
        &mut self,
        written: &config::Route,
        listener_filters: &[config::Filter],
        clusters: &Clusters,
    ) -> Option<(config::RouteMatch, Arc<Route>)> {
        let filters: Vec<_> = listener_filters.iter().chain(&written.filters).collect();
        if filters.len() > FILTERS_MAX {
            let message = format!(
                "{} filters on one route; at most {FILTERS_MAX}",
                filters.len()
            );
            return self.refuse(
                written.name.place,
                message,
                Some("the listener's filters count for each of its routes".to_owned()),
            );
        }
        let filters = self.plugins.chain(filters.into_iter(), &mut self.errors);
        let action = action(&written.action, clusters)?;
        let route = Route {
            name: written.name.value.as_str().into(),
            filters,
            action,
            response_timeout: written.response_timeout,
            priority: written.priority,
            retry: written.retry.clone(),
            compress: written.compress.clone(),
            mirror: match &written.mirror {
                Some(mirror) => Some(Mirror {
                    cluster: clusters.get(&mirror.cluster.value)?.clone(),
                    share: mirror.share,
                    body_bytes_max: mirror.body_bytes_max,
                }),
                None => None,
            },
        };
        Some((written.matcher.clone(), Arc::new(route)))
    }

    pub(super) fn refuse<T>(
        &mut self,
        place: config::Place,
        message: impl Into<String>,
        help: Option<String>,
    ) -> Option<T> {
        self.errors.error(place, message, help);
        None
    }
}

/// None when a cluster could not be compiled, which has been reported.
fn action(written: &config::Action, clusters: &Clusters) -> Option<Action> {
    Some(match written {
        config::Action::Cluster(name) => Action::Cluster(clusters.get(&name.value)?.clone()),
        config::Action::Split(shares) => {
            let shares = shares
                .iter()
                .map(|share| Some((share.weight, clusters.get(&share.cluster.value)?.clone())));
            Action::Split(Split::new(shares.collect::<Option<_>>()?))
        }
        config::Action::Redirect { target, status } => Action::Redirect {
            target: target.clone(),
            status: *status,
        },
        config::Action::Respond {
            status,
            body,
            headers,
        } => Action::Respond {
            status: *status,
            body: body.clone(),
            headers: headers.clone(),
        },
    })
}

/// None when a cluster could not be compiled, which has been reported.
fn tcp_listener(written: &config::TcpListener, clusters: &Clusters) -> Option<TcpListener> {
    let routes = written.routes.iter().map(|route| {
        Some(Arc::new(TcpRoute {
            name: route.name.value.as_str().into(),
            matcher: route.matcher.clone(),
            cluster: clusters.get(&route.cluster.value)?.clone(),
            priority: route.priority,
        }))
    });
    let asks = |route: &config::TcpRoute| route.matcher != config::HelloMatch::default();
    Some(TcpListener {
        routes: routes.collect::<Option<_>>()?,
        needs_hello: written.routes.iter().any(asks),
        hello_timeout: written.hello_timeout,
    })
}

/// What the cluster says about who may be picked.
fn rules(written: &config::Cluster) -> Rules {
    let zone = written.prefer_zone.as_ref();
    let check = written.health_check.as_ref();
    Rules {
        levels: LevelPolicy {
            panic_threshold: written.panic_threshold,
            backups: written.backups,
            spill_below: zone.map(|zone| zone.spill_below),
        },
        zone: zone.map(|zone| zone.zone.clone()),
        slow_start: written.slow_start,
        endpoint_requests_max: written.circuit_breaker.endpoint_requests_max,
        connections_max: written.circuit_breaker.connections_max,
        endpoint_connections_max: written.circuit_breaker.endpoint_connections_max,
        outlier_detection: written.outlier_detection.clone(),
        health: check.map(|check| (check.rise, check.fall, check.initial)),
        drain_timeout: written.drain_timeout,
        affinity: written.affinity.clone(),
    }
}

fn limits(written: &config::HttpListener) -> Limits {
    Limits {
        head_bytes_max: written.header_bytes_max,
        headers_max: written.headers_max,
        underscores: match written.header_underscores {
            config::HeaderUnderscores::Drop => Underscores::Drop,
            config::HeaderUnderscores::Keep => Underscores::Keep,
            config::HeaderUnderscores::Reject => Underscores::Reject,
        },
        escaped_slashes: match written.escaped_slashes {
            config::EscapedSlashes::Reject => EscapedSlashes::Reject,
            config::EscapedSlashes::Keep => EscapedSlashes::Keep,
        },
        merge_slashes: written.merge_slashes,
    }
}
