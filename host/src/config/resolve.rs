//! What spans sections: names that must be there, names that must not be there twice, things that have no effect.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::path::Path;

use crate::net::address::{Address, ListenAddress, UnixAddress};

use super::suggest::did_you_mean;
use super::{
    Action, Cluster, Config, Diagnostics, Filter, Listener, ListenerProtocol, Place, Spanned, acme,
    shadow, store, tcp_clusters,
};

pub(super) fn check(config: &Config, diagnostics: &mut Diagnostics) {
    check_doubles(config, diagnostics);
    check_references(config, diagnostics);
    tcp_clusters::check(config, diagnostics);
    warn_of_unused_plugins(config, diagnostics);
    acme::check(config, diagnostics);
    store::check(config, diagnostics);
    for listener in &config.listeners {
        match &listener.protocol {
            ListenerProtocol::Http(http) => {
                shadow::warn_of_unreachable(&http.routes, diagnostics);
            }
            ListenerProtocol::Tcp(tcp) => {
                shadow::warn_of_unreachable_tcp(&tcp.routes, diagnostics);
            }
        }
    }
    // An empty file is more often a save half done than a wish to serve nothing.
    if config.listeners.is_empty() && !diagnostics.has_errors() {
        let help = "listener \"web\" \"127.0.0.1:8080\" { route { respond 200 body=\"hello\" } }";
        diagnostics.error(
            Place::default(),
            "there is no listener: nothing would be served",
            Some(help.to_owned()),
        );
    }
}

fn check_doubles(config: &Config, diagnostics: &mut Diagnostics) {
    let listeners = config.listeners.iter().map(|listener| &listener.name);
    check_names("listener", listeners, diagnostics);
    check_names(
        "cluster",
        config.clusters.iter().map(|cluster| &cluster.name),
        diagnostics,
    );
    check_names(
        "plugin",
        config.plugins.iter().map(|plugin| &plugin.name),
        diagnostics,
    );
    check_names(
        "store",
        config.stores.iter().map(|store| &store.name),
        diagnostics,
    );
    let routes = config.listeners.iter().flat_map(route_names);
    check_names("route", routes, diagnostics);
    let listen = config.listeners.iter();
    let listen = listen.flat_map(|listener| &listener.addresses);
    let demo = config.demo_origins.iter().map(|origin| &origin.address);
    let (admin, demo) = (config.admin.iter().map(one), demo.map(one));
    let all: Vec<_> = admin.chain(listen.cloned()).chain(demo).collect();
    check_addresses(&all, diagnostics);
    check_ports(&all, diagnostics);
}

fn one(address: &Spanned<SocketAddr>) -> Spanned<ListenAddress> {
    Spanned {
        value: ListenAddress::from(address.value),
        place: address.place,
    }
}

fn check_names<'c>(
    kind: &str,
    names: impl Iterator<Item = &'c Spanned<String>>,
    diagnostics: &mut Diagnostics,
) {
    let mut seen: HashMap<&str, Place> = HashMap::new();
    for name in names {
        if let Some(first) = seen.get(name.value.as_str()) {
            let message = format!("{kind} `{}` is defined twice", name.value);
            diagnostics.error_with(name.place, message, None, (*first, "first defined here"));
        } else {
            seen.insert(&name.value, name.place);
        }
    }
}

/// What no two sockets can be bound to at once.
#[derive(PartialEq, Eq, Hash)]
enum Bound<'a> {
    Ip(SocketAddr),
    Every(u16),
    /// Compared as a path: `/run//a` is `/run/a`.
    Path(&'a Path),
    Abstract(&'a str),
}

fn bound(address: &ListenAddress) -> Bound<'_> {
    match address {
        ListenAddress::One(Address::Ip(address)) => Bound::Ip(*address),
        ListenAddress::One(Address::Unix(UnixAddress::Path(path))) => {
            Bound::Path(Path::new(&**path))
        }
        ListenAddress::One(Address::Unix(UnixAddress::Abstract(name))) => Bound::Abstract(name),
        ListenAddress::Every(port) => Bound::Every(*port),
    }
}

fn check_addresses(addresses: &[Spanned<ListenAddress>], diagnostics: &mut Diagnostics) {
    let mut seen: HashMap<Bound<'_>, Place> = HashMap::new();
    // Port 0 gives a port of its own to each.
    for address in addresses
        .iter()
        .filter(|address| !address.value.is_system_chosen())
    {
        let key = bound(&address.value);
        if let Some(first) = seen.get(&key) {
            let message = format!("address `{}` is listened on twice", address.value);
            diagnostics.error_with(address.place, message, None, (*first, "first here"));
        } else {
            seen.insert(key, address.place);
        }
    }
}

/// `*:80` is every address with this port, so that no other can have it.
fn check_ports(addresses: &[Spanned<ListenAddress>], diagnostics: &mut Diagnostics) {
    let mut every: HashMap<u16, Place> = HashMap::new();
    for address in addresses {
        if let ListenAddress::Every(port @ 1..) = address.value {
            every.entry(port).or_insert(address.place);
        }
    }
    for address in addresses {
        let ListenAddress::One(Address::Ip(ip)) = &address.value else {
            continue;
        };
        if let Some(wide) = every.get(&ip.port()) {
            let message = format!("address `{ip}` is listened on twice");
            let related = (*wide, "this is every address with its port");
            diagnostics.error_with(address.place, message, None, related);
        }
    }
}

fn check_references(config: &Config, diagnostics: &mut Diagnostics) {
    let mut used: HashSet<&str> = HashSet::new();
    for reference in config.listeners.iter().flat_map(cluster_references) {
        let known = || {
            config
                .clusters
                .iter()
                .map(|cluster| cluster.name.value.as_str())
        };
        if known().any(|name| name == reference.value) {
            used.insert(&reference.value);
            continue;
        }
        let help = did_you_mean(&reference.value, known())
            .unwrap_or_else(|| format!("define it with: cluster \"{}\" {{ … }}", reference.value));
        let message = format!("unknown cluster `{}`", reference.value);
        diagnostics.error(reference.place, message, Some(help));
    }
    for Cluster { name, .. } in &config.clusters {
        if !used.contains(name.value.as_str()) {
            let message = format!("cluster `{}` is not used by any route", name.value);
            diagnostics.warn(name.place, message, None, None);
        }
    }
}

/// Mirrors included.
pub(super) fn cluster_references(listener: &Listener) -> Vec<&Spanned<String>> {
    match &listener.protocol {
        ListenerProtocol::Tcp(tcp) => tcp.routes.iter().map(|route| &route.cluster).collect(),
        ListenerProtocol::Http(http) => http
            .routes
            .iter()
            .flat_map(|route| {
                let mirror = route.mirror.iter().map(|mirror| &mirror.cluster);
                clusters_of(&route.action).into_iter().chain(mirror)
            })
            .collect(),
    }
}

fn clusters_of(action: &Action) -> Vec<&Spanned<String>> {
    match action {
        Action::Cluster(cluster) => vec![cluster],
        Action::Split(shares) => shares.iter().map(|share| &share.cluster).collect(),
        Action::Redirect { .. } | Action::Respond { .. } => Vec::new(),
    }
}

fn warn_of_unused_plugins(config: &Config, diagnostics: &mut Diagnostics) {
    let filters = config
        .listeners
        .iter()
        .flat_map(filters_of)
        .map(|filter| &filter.plugin);
    let balancers = config.clusters.iter().map(|cluster| &cluster.balancer);
    let used: HashSet<&str> = filters
        .chain(balancers)
        .map(|plugin| plugin.name.value.as_str())
        .collect();
    for plugin in &config.plugins {
        if !used.contains(plugin.name.value.as_str()) {
            let message = format!("plugin `{}` is not used", plugin.name.value);
            diagnostics.warn(plugin.name.place, message, None, None);
        }
    }
}

fn filters_of(listener: &Listener) -> Vec<&Filter> {
    let mut filters: Vec<&Filter> = listener.network_filters.iter().collect();
    if let ListenerProtocol::Http(http) = &listener.protocol {
        filters.extend(&http.filters);
        filters.extend(http.routes.iter().flat_map(|route| &route.filters));
    }
    filters
}

fn route_names(listener: &Listener) -> Vec<&Spanned<String>> {
    match &listener.protocol {
        ListenerProtocol::Tcp(tcp) => tcp.routes.iter().map(|route| &route.name).collect(),
        ListenerProtocol::Http(http) => http.routes.iter().map(|route| &route.name).collect(),
    }
}
