//! The configuration as it runs: immutable, numbered, swapped as a whole.
//!
//! [`compile`] makes a [`Snapshot`] of a `Config`: it loads plugins, lets them configure themselves, resolves names and finds the live state
//! that goes on under the new generation. Knows no requests.

mod catalog;
mod compile;
mod live;
mod plugins;
mod transports;

pub use catalog::Catalog;
pub(crate) use catalog::chain;
pub use compile::compile;
pub use plugins::LoadedPlugin;
pub(crate) use plugins::{Plugins, declared_budgets};

use crate::config::{
    ClientCertificateMatch, Compress, HelloMatch, Percent, ProxyProtocolIn, Retry, Template,
};
use crate::filter::{FilterChain, NetworkChain};
use crate::http::{ClientCertificate, Limits};
use crate::http2;
use crate::net::address::ListenAddress;
use crate::route::RouteTable;
use crate::store::{self, Store};
use crate::tls;
use crate::upstream::Cluster;
use ipnet::IpNet;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

/// One generation of the configuration.
#[derive(Debug)]
pub struct Snapshot {
    /// 1 for the first.
    pub generation: u64,
    pub listeners: Vec<Arc<Listener>>,
    /// How long work of an old generation may last.
    pub drain_timeout: Duration,
    pub clusters: Vec<Arc<Cluster>>,
    /// What plugins were granted, with the limits that this generation writes.
    pub stores: Vec<(Arc<Store>, store::Limits)>,
    /// Those in use, for the log: by name.
    pub plugins: Vec<LoadedPlugin>,
}

impl Snapshot {
    /// Puts the limits of its stores in force; they live longer than a generation.
    pub fn limit_stores(&self) {
        for (store, limits) in &self.stores {
            store.set_limits(*limits);
        }
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        tracing::info!(generation = self.generation, "generation retired");
    }
}

/// A listener of one generation, as a worker holds it.
#[derive(Debug)]
pub struct Bound {
    pub snapshot: Arc<Snapshot>,
    pub listener: Arc<Listener>,
    /// By position in the table of routes, as they are asked for.
    routes: RefCell<Vec<Option<HeldRoute>>>,
}

/// A route as a worker's requests hold it, which may outlive their generation: counted by the worker itself, so that no request writes to
/// memory that all workers share.
pub type HeldRoute = Rc<Arc<Route>>;

impl Bound {
    pub fn new(snapshot: Arc<Snapshot>, listener: Arc<Listener>) -> Bound {
        Bound {
            snapshot,
            listener,
            routes: RefCell::default(),
        }
    }

    /// The route, which is at this position, for a request to hold.
    pub fn hold(&self, position: usize, route: &Arc<Route>) -> HeldRoute {
        let mut routes = self.routes.borrow_mut();
        if routes.len() <= position {
            routes.resize(position + 1, None);
        }
        let held = routes[position].get_or_insert_with(|| Rc::new(route.clone()));
        held.clone()
    }
}

/// Which listening socket: its address, and whose it is where the system chooses the port, so that several may ask for that.
pub type SocketKey = (ListenAddress, Option<(Arc<str>, usize)>);

/// Addresses and how they accept.
#[derive(Debug)]
pub struct Listener {
    pub name: Arc<str>,
    pub addresses: Vec<ListenAddress>,
    pub tls: Option<Arc<tls::Server>>,
    pub proxy_protocol: Option<ProxyProtocolIn>,
    pub connections_max: u32,
    pub idle_timeout: Duration,
    pub network_filters: Arc<NetworkChain>,
    pub protocol: Protocol,
    /// Connections open now, across workers and generations.
    pub open: Arc<AtomicU32>,
}

impl Listener {
    /// What identifies its sockets across generations, in the order of the addresses.
    pub fn socket_keys(&self) -> impl Iterator<Item = SocketKey> {
        let system_chosen = |position, address: &ListenAddress| {
            let chosen = address.is_system_chosen();
            chosen.then(|| (self.name.clone(), position))
        };
        self.addresses
            .iter()
            .enumerate()
            .map(move |(position, address)| (address.clone(), system_chosen(position, address)))
    }
}

/// What is spoken on a listener.
#[derive(Debug)]
pub enum Protocol {
    Http(Box<HttpListener>),
    Tcp(TcpListener),
}

#[derive(Debug)]
pub struct HttpListener {
    pub limits: Limits,
    pub body_bytes_max: Option<u64>,
    pub request_head_timeout: Duration,
    pub request_body_timeout: Duration,
    pub tunnel_timeout: Duration,
    pub trust_forwarded: Vec<IpNet>,
    /// None: not spoken.
    pub http2: Option<http2::server::Settings>,
    /// HTTP/1.1 is not spoken.
    pub http2_only: bool,
    pub routes: RouteTable<Arc<Route>>,
}

#[derive(Debug)]
pub struct TcpListener {
    /// In file order; the first that matches wins.
    pub routes: Vec<Arc<TcpRoute>>,
    /// Some route asks for something of the TLS hello.
    pub needs_hello: bool,
    pub hello_timeout: Duration,
}

/// Where connections go whose TLS hello fits.
#[derive(Debug)]
pub struct TcpRoute {
    pub name: Arc<str>,
    pub matcher: HelloMatch,
    pub cluster: Arc<Cluster>,
    /// In queues: lower first.
    pub priority: i16,
}

/// What happens to the requests of one route.
#[derive(Debug)]
pub struct Route {
    pub name: Arc<str>,
    /// The listener's filters, then the route's.
    pub filters: FilterChain,
    pub action: Action,
    /// Takes the place of the cluster's.
    pub response_timeout: Option<Duration>,
    /// In queues: lower first.
    pub priority: i16,
    /// Takes the place of the cluster's.
    pub retry: Option<Retry>,
    pub mirror: Option<Mirror>,
    pub compress: Option<Compress>,
}

/// Where copies of a route's requests go.
#[derive(Debug)]
pub struct Mirror {
    pub cluster: Arc<Cluster>,
    pub share: Percent,
    /// Requests with a larger body are not mirrored.
    pub body_bytes_max: u64,
}

#[derive(Debug)]
pub enum Action {
    Cluster(Arc<Cluster>),
    Split(Split),
    Redirect {
        target: Template,
        status: u16,
    },
    Respond {
        status: u16,
        body: Template,
        headers: Vec<(String, Template)>,
    },
}

/// Clusters by weight.
#[derive(Debug)]
pub struct Split {
    /// With the sum of the weights up to and including each.
    shares: Vec<(u32, Arc<Cluster>)>,
    total: u32,
}

impl Split {
    /// Shares with weights; at least one is above zero.
    pub fn new(shares: Vec<(u32, Arc<Cluster>)>) -> Split {
        let mut total = 0;
        let shares = shares
            .into_iter()
            .map(|(weight, cluster)| {
                total += weight;
                (total, cluster)
            })
            .collect();
        Split { shares, total }
    }

    /// The cluster for a number drawn from `0..total`.
    pub fn at(&self, draw: u32) -> &Arc<Cluster> {
        let position = self.shares.partition_point(|(up_to, _)| *up_to <= draw);
        &self.shares[position.min(self.shares.len() - 1)].1
    }

    /// A cluster at random, by weight.
    pub fn draw(&self) -> &Arc<Cluster> {
        self.at(fastrand::u32(..self.total.max(1)))
    }
}

impl crate::route::RouteRequest for crate::http::Exchange {
    fn method(&self) -> &str {
        self.request.method()
    }

    fn host(&self) -> &str {
        self.request.host()
    }

    fn path(&self) -> &str {
        self.request.path()
    }

    fn header_matches(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.request.fields().get_all(name.as_bytes()).any(test)
    }

    fn sni(&self) -> Option<&str> {
        self.connection.tls.as_ref()?.sni.as_deref()
    }

    fn client_certificate_matches(&self, asked: &ClientCertificateMatch) -> bool {
        let tls = self.connection.tls.as_ref();
        let client = tls.and_then(|tls| tls.client.as_ref());
        client.is_some_and(|client| certificate_matches(asked, client))
    }
}

/// Of each kind that is asked for, any value will do.
fn certificate_matches(asked: &ClientCertificateMatch, client: &ClientCertificate) -> bool {
    let any = |wanted: &[String], holds: &dyn Fn(&str) -> bool| {
        wanted.is_empty() || wanted.iter().any(|wanted| holds(wanted))
    };
    any(&asked.subjects, &|subject| *client.subject == *subject)
        && any(&asked.fingerprints, &|print| *client.fingerprint == *print)
        && any(&asked.names, &|wanted| {
            let mut names = client.names.iter();
            names.any(|name| match wanted.strip_suffix('*') {
                Some(start) => name.starts_with(start),
                None => **name == *wanted,
            })
        })
}
