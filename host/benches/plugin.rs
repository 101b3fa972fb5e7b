//! What one call of a plugin costs, by shape of call, what a chain of filters costs, and what starting an instance costs.
//!
//! `raw` is the floor: the same component called through the bindings that wasmtime's macro generates, without budgets, stats, checks or
//! the worker's table. The difference to `filter` and `pick` is the room's own work.

use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;

use common::{engine, exchange, routes, snapshot};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use serde_json::{Value, json};
use tollgate::bundled;
use tollgate::filter::{FilterChain, Passed, Run};
use tollgate::http::{Exchange, Limits, parse_response};
use tollgate::plugin::{
    Balancer, Budgets, EndpointTable, Engine, HttpFilter, Measure, flatten, retire_worker_instances,
};

mod common;

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
    let engine = engine();
    let mut group = criterion.benchmark_group("filter");
    for (shape, mode) in [
        ("no fields, no edit", "needs-nothing"),
        ("two fields, no edit", "flat"),
        ("two fields, one edit", "edit"),
    ] {
        let filter = filter(engine, mode);
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
    let constant = filter(engine, "constant");
    let exchange = exchange();
    group.bench_function("guard that does not hold", |bencher| {
        bencher.iter(|| black_box(constant.needs().decide(black_box(&exchange))));
    });
    group.finish();
}

/// What filters usually do, none of it in a call: some paths are denied, two request headers set, one response header.
const USUAL: &str = r#"
    acl { rule "deny" { path "/admin/*" } }
    headers {
        request { set "x-tenant" "shop"; set "x-client" "{client-ip}" }
        response { set "x-served-by" "tollgate" }
    }
"#;

/// One request of a client that is within its limit: a call to the store for each rule and, unless clients are told nothing, one for the
/// response.
const LIMITS: [(&str, &str); 3] = [
    (
        "rate-limit, silent",
        r#"headers "none"; rule "1000000000/1s""#,
    ),
    (
        "rate-limit, silent, sliding window",
        r#"headers "none"; rule "1000000000/1s" algorithm="sliding-window""#,
    ),
    ("rate-limit", r#"rule "1000000000/1s""#),
];

/// The request and response phases of a chain, without what comes between them. A called filter is called twice.
fn chains(criterion: &mut Criterion) {
    let forms = [
        ("called", r#"guest { mode "flat" }"#),
        ("called, one edit each", r#"guest { mode "edit" }"#),
        (
            "whose guard does not hold",
            r#"acl { rule "deny" { path "/admin/*" } }"#,
        ),
        (
            "of two constant edits",
            r#"headers { request { set "x-tenant" "shop" }; response { set "x-served-by" "tollgate" } }"#,
        ),
    ];
    chain(criterion, "no filter", "");
    for (form, filter) in forms {
        for count in [1, 4, 10] {
            let filters = vec![filter; count].join("\n");
            chain(criterion, &format!("{count} {form}"), &filters);
        }
    }
    chain(criterion, "acl and headers as usual", USUAL);
    for (form, settings) in LIMITS {
        chain(criterion, form, &format!("rate-limit {{ {settings} }}"));
    }
}

fn chain(criterion: &mut Criterion, name: &str, filters: &str) {
    let guest = guests::hostile();
    let snapshot = snapshot(&format!(
        r#"
        plugin "guest" {guest:?}
        listener "web" "127.0.0.1:0" {{
            route {{
                filters {{
                    {filters}
                }}
                respond 204
            }}
        }}
        "#
    ));
    let (_, route) = routes(&snapshot).iter().next().expect("one route");
    let (mut run, mut body) = (Run::default(), Vec::new());
    criterion.bench_function(&format!("chain/{name}"), |bencher| {
        // Each pass has an exchange of its own: edits would pile up. A batch of them fits into the cache.
        bencher.iter_batched(
            answered,
            |exchange| pass(&route.filters, &mut run, exchange, &mut body),
            BatchSize::NumIterations(64),
        );
    });
}

/// An exchange whose response is there to be shown when the request has passed.
fn answered() -> Box<Exchange> {
    let mut exchange = exchange();
    let head =
        b"HTTP/1.1 200 OK\r\nserver: demo\r\ncontent-type: text/html\r\ncontent-length: 0\r\n\r\n";
    parse_response(head, "GET", &Limits::default(), &mut exchange.response)
        .expect("a valid response");
    exchange
}

fn pass(
    chain: &FilterChain,
    run: &mut Run,
    exchange: Box<Exchange>,
    body: &mut Vec<u8>,
) -> Box<Exchange> {
    run.clear();
    let (mut exchange, halt) = chain.on_request(run, exchange);
    halt.expect("no filter halts");
    exchange.has_response = true;
    let (exchange, passed) = chain.on_response(run, exchange, body);
    assert_eq!(passed, Passed::Kept);
    exchange
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
    let engine = engine();
    let component = engine
        .load_file(&guests::balancer())
        .expect("the guest loads");
    let mut group = criterion.benchmark_group("pick");
    for mode in ["round-robin", "pair", "loads"] {
        let balancer = Balancer::configure(
            engine,
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
    let engine = engine();
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
            engine,
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
    let engine = engine();
    let mut group = criterion.benchmark_group("instance");
    let path: PathBuf = guests::hostile();
    group.sample_size(50);
    group.bench_function("configure and first call", |bencher| {
        let mut lent = Some(exchange());
        let component = engine.load_file(&path).expect("the guest loads");
        bencher.iter(|| {
            let filter = HttpFilter::configure(
                engine,
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

criterion_group!(
    benches,
    filters,
    chains,
    generated,
    picks,
    bundled_picks,
    instances
);
criterion_main!(benches);
