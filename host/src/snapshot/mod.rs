//! The configuration as it runs: immutable, numbered, swapped as a whole.
//!
//! [`compile`] makes a [`Snapshot`] of a `Config`: it loads plugins, lets them configure themselves, resolves names and finds the live state
//! that goes on under the new generation. Knows no requests.

mod catalog;
mod compile;
mod live;

pub use catalog::Catalog;
pub(crate) use catalog::chain;
pub use compile::compile;

use crate::config::{Percent, Retry, Template};
use crate::filter::{FilterChain, NetworkChain};
use crate::http::Limits;
use crate::route::RouteTable;
use crate::upstream::Cluster;
use ipnet::IpNet;
use std::net::SocketAddr;
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
}

/// Which listening socket: its address, and whose it is where the system chooses the port, so that several may ask for that.
pub type SocketKey = (SocketAddr, Option<(Arc<str>, usize)>);

/// Addresses and how they accept.
#[derive(Debug)]
pub struct Listener {
    pub name: Arc<str>,
    pub addresses: Vec<SocketAddr>,
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
        let system_chosen = |position, address: &SocketAddr| {
            (address.port() == 0).then(|| (self.name.clone(), position))
        };
        self.addresses
            .iter()
            .enumerate()
            .map(move |(position, address)| (*address, system_chosen(position, address)))
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
    pub routes: RouteTable<Arc<Route>>,
}

#[derive(Debug)]
pub struct TcpListener {
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

impl crate::route::RouteRequest for crate::http::RequestHead {
    fn method(&self) -> &str {
        self.method()
    }

    fn host(&self) -> &str {
        self.host()
    }

    fn path(&self) -> &str {
        self.path()
    }

    fn header_matches(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.fields().get_all(name.as_bytes()).any(test)
    }
}
