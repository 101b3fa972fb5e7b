//! What reaching an endpoint costs a request: a pick from the view of its cluster, a place at the endpoint, and a pooled connection lent
//! and taken back, by the number of endpoints known.

mod common;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use common::{exchange, snapshot};
use criterion::{Criterion, criterion_group, criterion_main};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tollgate::net::timer::Timer;
use tollgate::upstream::{Cluster, EndpointState, checkout, dial};

const IDLE_TIMEOUT: Duration = Duration::from_secs(3600);

/// The view loaded, an endpoint picked, its place taken and given back.
fn picks(criterion: &mut Criterion) {
    for balancer in ["round-robin", "random", "least-request"] {
        for count in [1, 100, 10_000] {
            let cluster = cluster(balancer, unused(count));
            criterion.bench_function(&format!("pick by view/{balancer}, {count}"), |bencher| {
                bencher.iter(|| {
                    let view = cluster.live.view();
                    cluster.picker.pick(&view, 0, &[]).expect("a place")
                });
            });
        }
    }
}

fn places(criterion: &mut Criterion) {
    for (name, limit) in [("no limit", ""), ("limited", " requests-max=100")] {
        let endpoints = unused(1).map(|endpoint| endpoint + limit);
        let cluster = cluster("round-robin", endpoints);
        let endpoint = endpoints_of(&cluster).remove(0);
        criterion.bench_function(&format!("place/enter and leave, {name}"), |bencher| {
            bencher.iter(|| black_box(&endpoint).enter().expect("a place"));
        });
    }
}

/// Idle connections lent and taken back, of one endpoint or of many in turn.
fn checkouts(criterion: &mut Criterion) {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    // Some timer is always set on a worker, which spares a checkout the reading of the clock.
    let timer = Timer::new();
    for (connected, known) in [(1, 1), (1, 10_000), (400, 10_000)] {
        let idle = runtime.block_on(connect(connected, known, &timer));
        let mut in_turn = idle.endpoints.iter().cycle();
        let name = format!("connection pool/{connected} connected of {known}");
        criterion.bench_function(&name, |bencher| {
            bencher.iter(|| {
                let endpoint = in_turn.next().expect("it begins anew");
                let lent = checkout(&idle.cluster, endpoint, true).expect("an idle connection");
                lent.give_back(endpoint, IDLE_TIMEOUT);
            });
        });
    }
    let cluster = cluster("round-robin", unused(1));
    let endpoint = endpoints_of(&cluster).remove(0);
    criterion.bench_function("connection pool/nothing idle", |bencher| {
        bencher.iter(|| checkout(&cluster, black_box(&endpoint), true).is_none());
    });
}

/// Endpoints with one idle connection each.
struct Idle {
    cluster: Arc<Cluster>,
    endpoints: Vec<Arc<EndpointState>>,
    /// Kept, or the connections would be stale.
    _peers: Vec<TcpStream>,
}

/// The first `connected` of `known` endpoints, with an idle connection in the pool of this thread. Leaves the timer set.
async fn connect(connected: usize, known: usize, timer: &Timer) -> Idle {
    let mut listeners = Vec::new();
    for _ in 0..connected {
        listeners.push(TcpListener::bind("127.0.0.1:0").await.expect("binds"));
    }
    let listening = listeners.iter().map(TcpListener::local_addr);
    let listening = listening.map(|address| endpoint(&address.expect("bound").to_string()));
    let cluster = cluster("round-robin", listening.chain(unused(known - connected)));
    let mut endpoints = endpoints_of(&cluster);
    endpoints.truncate(connected);
    let facts = exchange().connection;
    let mut peers = Vec::new();
    for (listener, endpoint) in listeners.into_iter().zip(&endpoints) {
        let dialled = dial(&cluster, endpoint, &facts, timer);
        let (dialled, peer) = tokio::join!(dialled, listener.accept());
        dialled.expect("connects").give_back(endpoint, IDLE_TIMEOUT);
        peers.push(peer.expect("accepts").0);
    }
    timer.set(IDLE_TIMEOUT);
    Idle {
        cluster,
        endpoints,
        _peers: peers,
    }
}

/// A cluster of endpoints as they are written.
fn cluster(balancer: &str, endpoints: impl Iterator<Item = String>) -> Arc<Cluster> {
    let endpoints: Vec<_> = endpoints.collect();
    let endpoints = endpoints.join("\n");
    let text = format!(
        r#"
        listener "web" "127.0.0.1:0" {{ route {{ cluster "bench" }} }}
        cluster "bench" {{
            balancer "{balancer}"
            {endpoints}
        }}
        "#
    );
    snapshot(&text).clusters[0].clone()
}

/// Endpoints that nobody dials.
fn unused(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|number| endpoint(&format!("127.1.{}.{}:9", number / 250, number % 250)))
}

fn endpoint(address: &str) -> String {
    format!("endpoint \"{address}\"")
}

/// In the order in which they are written.
fn endpoints_of(cluster: &Cluster) -> Vec<Arc<EndpointState>> {
    let view = cluster.live.view();
    let endpoints = view.endpoints.iter();
    endpoints.map(|endpoint| endpoint.state.clone()).collect()
}

criterion_group!(benches, picks, places, checkouts);
criterion_main!(benches);
