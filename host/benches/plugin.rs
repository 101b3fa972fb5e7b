//! What one call of a plugin costs, by shape of call, and what starting an instance costs.
//!
//! `raw` is the floor: the same component called through the bindings that wasmtime's macro generates, without budgets, stats, checks or
//! the worker's table. The difference to `filter` and `pick` is the room's own work.

use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use criterion::{Criterion, criterion_group, criterion_main};
use serde_json::{Value, json};
use tollgate::bundled;
use tollgate::http::{
    ConnectionFacts, EscapedSlashes, Exchange, Limits, Scheme, Underscores, parse_request,
};
use tollgate::plugin::{
    Balancer, Budgets, EndpointTable, Engine, HttpFilter, Measure, flatten, retire_worker_instances,
};

#[path = "../src/plugin/tests/guests.rs"]
#[allow(
    dead_code,
    reason = "shared with the tests, which load more guests than this"
)]
mod guests;

mod raw {
    wasmtime::component::bindgen!({ world: "http-filter", path: "../wit" });
}

fn settings(mode: &str) -> Value {
    json!({ "mode": mode })
}

fn exchange() -> Box<Exchange> {
    let facts = ConnectionFacts {
        id: 7,
        peer: "10.1.2.3:4567".parse().expect("an address"),
        local: "127.0.0.1:80".parse().expect("an address"),
        listener: "web".into(),
        scheme: Scheme::Http,
        http2: false,
        tls: None,
        proxy: None,
        accepted: Instant::now(),
        tags: Vec::new(),
        downstream_bytes: 0.into(),
        upstream_bytes: 0.into(),
    };
    let limits = Limits {
        head_bytes_max: 64 * 1024,
        headers_max: 128,
        underscores: Underscores::Drop,
        escaped_slashes: EscapedSlashes::Reject,
        merge_slashes: true,
    };
    let mut exchange = Box::new(Exchange::new(Arc::new(facts)));
    let head = "GET /api/items HTTP/1.1\r\nhost: shop.example.com\r\nx-a: one two three\r\naccept: */*\r\n\r\n";
    parse_request(head.as_bytes(), &limits, &mut exchange.request).expect("a valid request");
    exchange
}

fn filter(engine: &Engine, mode: &str) -> Arc<HttpFilter> {
    let component = engine
        .load_file(&guests::hostile())
        .expect("the guest loads");
    HttpFilter::configure(
        engine,
        &component,
        mode,
        &settings(mode),
        Budgets::default(),
    )
    .expect("configured")
}

fn filters(criterion: &mut Criterion) {
    let engine = Engine::new(None).expect("an engine");
    let mut group = criterion.benchmark_group("filter");
    for (shape, mode) in [
        ("no fields, no edit", "needs-nothing"),
        ("two fields, no edit", "flat"),
        ("two fields, one edit", "edit"),
    ] {
        let filter = filter(&engine, mode);
        let asked = filter.needs().request.clone().unwrap_or_default();
        let (mut fields, mut lent) = (Vec::new(), Some(exchange()));
        group.bench_function(shape, |bencher| {
            bencher.iter(|| {
                let exchange = lent.take().expect("lent and given back");
                flatten(&asked, &exchange, &mut fields);
                let (exchange, verdict) = filter.request(exchange, &fields);
                lent = Some(exchange);
                black_box(verdict).expect("a verdict")
            });
        });
    }
    let constant = filter(&engine, "constant");
    let exchange = exchange();
    group.bench_function("guard that does not hold", |bencher| {
        bencher.iter(|| black_box(constant.needs().decide(black_box(&exchange))));
    });
    group.finish();
}

/// The macro's bindings on a store of our settings.
fn generated(criterion: &mut Criterion) {
    use raw::HttpFilter as Generated;
    let mut config = wasmtime::Config::new();
    config.epoch_interruption(true).concurrency_support(false);
    let engine = wasmtime::Engine::new(&config).expect("an engine");
    let component = wasmtime::component::Component::from_file(&engine, guests::hostile())
        .expect("the guest loads");
    let mut linker = wasmtime::component::Linker::<()>::new(&engine);
    linker
        .define_unknown_imports_as_traps(&component)
        .expect("stubs");
    let mut group = criterion.benchmark_group("raw");
    for (shape, mode, fields) in [
        ("no fields, no edit", "needs-nothing", &b""[..]),
        (
            "two fields, no edit",
            "flat",
            b"\x0a\0\0\0/api/items\x0d\0\0\0one two three",
        ),
        (
            "two fields, one edit",
            "edit",
            b"\x0a\0\0\0/api/items\x0d\0\0\0one two three",
        ),
    ] {
        let mut store = wasmtime::Store::new(&engine, ());
        store.set_epoch_deadline(u64::from(u32::MAX));
        let instance =
            Generated::instantiate(&mut store, &component, &linker).expect("an instance");
        let guest = instance.tollgate_plugin_http();
        guest
            .call_configure(&mut store, &settings(mode).to_string())
            .expect("no trap")
            .expect("accepted");
        group.bench_function(shape, |bencher| {
            bencher.iter(|| {
                black_box(
                    guest
                        .call_request(&mut store, black_box(fields))
                        .expect("no trap"),
                )
            });
        });
    }
    group.finish();
}

struct Table(Vec<(String, u32)>);

impl EndpointTable for Table {
    fn endpoints(&self) -> &[(String, u32)] {
        &self.0
    }

    fn load(&self, index: u32) -> u32 {
        index % 7
    }

    fn measure(&self, index: u32) -> u64 {
        let measure = Measure {
            latency_micros: 1_000 + index,
            failures: 0,
            requests: Some(index % 7),
        };
        measure.packed()
    }
}

fn table(endpoints: u32) -> Arc<dyn EndpointTable> {
    let list = (0..endpoints).map(|index| (format!("10.0.0.1:{index}"), 1));
    Arc::new(Table(list.collect()))
}

fn picks(criterion: &mut Criterion) {
    let engine = Engine::new(None).expect("an engine");
    let component = engine
        .load_file(&guests::balancer())
        .expect("the guest loads");
    let mut group = criterion.benchmark_group("pick");
    for mode in ["round-robin", "pair", "loads"] {
        let balancer = Balancer::configure(
            &engine,
            &component,
            mode,
            "bench",
            &settings(mode),
            Budgets::default(),
        )
        .expect("configured");
        for endpoints in [10, 100, 1_000] {
            let table = table(endpoints);
            group.bench_function(format!("{mode}, {endpoints}"), |bencher| {
                bencher.iter(|| black_box(balancer.pick(&table, 0, &[])).expect("a pick"));
            });
        }
    }
    group.finish();
}

/// What ships, for a cluster of a hundred equal endpoints; every key is another one.
fn bundled_picks(criterion: &mut Criterion) {
    let engine = Engine::new(None).expect("an engine");
    let mut group = criterion.benchmark_group("bundled pick, 100 endpoints");
    let table = table(100);
    for (name, plugin, settings) in [
        ("round-robin", "round-robin", json!({})),
        ("least-request", "least-request", json!({})),
        ("random", "random", json!({})),
        ("peak-ewma", "peak-ewma", json!({})),
        ("ring-hash", "ring-hash", json!({})),
        (
            "ring-hash, load-factor 125",
            "ring-hash",
            json!({ "load-factor": 125 }),
        ),
        ("maglev", "maglev", json!({})),
        ("first", "first", json!({})),
    ] {
        let bytes = bundled::get(plugin).expect("it is bundled");
        let component = engine.load_bytes(plugin, bytes).expect("it loads");
        let balancer = Balancer::configure(
            &engine,
            &component,
            plugin,
            name,
            &settings,
            Budgets::default(),
        )
        .expect("configured");
        let mut key = 1_u64;
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                key = key.wrapping_mul(0x9e37_79b9_7f4a_7c15).max(1);
                black_box(balancer.pick(&table, key, &[])).expect("a pick")
            });
        });
    }
    group.finish();
}

fn instances(criterion: &mut Criterion) {
    let engine = Engine::new(None).expect("an engine");
    let mut group = criterion.benchmark_group("instance");
    let path: PathBuf = guests::hostile();
    group.sample_size(50);
    group.bench_function("configure and first call", |bencher| {
        let mut lent = Some(exchange());
        let component = engine.load_file(&path).expect("the guest loads");
        bencher.iter(|| {
            let filter = HttpFilter::configure(
                &engine,
                &component,
                "flat",
                &settings("flat"),
                Budgets::default(),
            )
            .expect("configured");
            let (exchange, verdict) =
                filter.request(lent.take().expect("lent and given back"), &[]);
            lent = Some(exchange);
            drop(filter);
            retire_worker_instances();
            verdict.expect("a verdict")
        });
    });
    group.finish();
}

criterion_group!(benches, filters, generated, picks, bundled_picks, instances);
criterion_main!(benches);
