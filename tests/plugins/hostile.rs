//! A plugin that misbehaves costs its own exchanges something, and nobody else's anything.

use super::{folder, guests};
use crate::harness::{Client, Origin, Proxy, config};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

const TEXT: &str = r#"
process { workers WORKERS; log format="json" }
plugin "hostile" "hostile.wasm" { BUDGET }
plugin "good" "good.wasm" { time-max "5s" }

listener "web" "127.0.0.1:0" {
    route path="/bad/*" { filters { hostile { mode "MODE" } }; cluster "c" }
    route { filters { good { mode "edit" } }; cluster "c" }
}
cluster "c" { endpoint "ORIGIN" }
"#;

fn start(workers: u32, mode: &str, budget: &str) -> (Proxy, Origin) {
    let origin = Origin::echo();
    let text = config(
        TEXT,
        &[
            ("WORKERS", &workers),
            ("MODE", &mode),
            ("BUDGET", &budget),
            ("ORIGIN", &origin),
        ],
    );
    let files = folder(&[
        ("hostile.wasm", &guests::hostile()),
        ("good.wasm", &guests::hostile()),
    ]);
    (Proxy::start_in(files, &text).expect("it is valid"), origin)
}

/// Asks the bad route until the other side is through; every answer is a whole 500.
fn hammer(address: SocketAddr, over: &AtomicBool) -> usize {
    let mut client = Client::connect(address);
    let mut asked = 0;
    while !over.load(Ordering::Relaxed) || asked == 0 {
        let response = client.get("/bad/x");
        assert_eq!(
            (response.status, response.complete),
            (500, true),
            "{}",
            response.head.raw
        );
        asked += 1;
    }
    asked
}

/// Ends the hammering however the test ends.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Every way to misbehave, and the word for it in the log.
const MODES: [(&str, &str); 12] = [
    ("trap", "trap"),
    ("spin", "time"),
    ("recurse", "stack-overflow"),
    ("allocate", "memory"),
    ("huge", "bad-output"),
    ("bad-name", "bad-output"),
    ("bad-value", "bad-output"),
    ("framing", "bad-output"),
    ("cut", "bad-output"),
    ("bad-target", "bad-output"),
    ("reply-status", "bad-output"),
    ("reply-header", "bad-output"),
];

#[test]
fn while_a_bad_filter_is_hammered_every_request_on_another_route_is_served() {
    for (mode, kind) in MODES {
        let (proxy, _origin) = start(2, mode, "time-max \"100ms\"; memory-max \"16MiB\"");
        let (address, over) = (proxy.address("web"), AtomicBool::new(false));
        thread::scope(|scope| {
            let hammers: Vec<_> = (0..2)
                .map(|_| scope.spawn(|| hammer(address, &over)))
                .collect();
            let end = Over(&over);
            let mut client = Client::connect(address);
            for number in 0..100 {
                let seen = client.get(&format!("/good/{number}")).echoed();
                assert_eq!(
                    seen.header("x-edit"),
                    Some("value"),
                    "{mode}: its neighbour's filter works"
                );
            }
            drop(end);
            hammers
                .into_iter()
                .for_each(|hammer| assert!(hammer.join().expect("whole answers") > 0));
        });
        proxy.log_line(&format!("\"plugin\":\"hostile\",\"kind\":\"{kind}\""));
        assert_eq!(
            proxy
                .access_line(|line| line.text("target") == "/bad/x")
                .outcome(),
            "filter-fault",
            "{mode}"
        );
        let failed = proxy
            .access_lines()
            .into_iter()
            .find(|line| line.contains("/good/") && !line.contains("\"outcome\":\"ok\""));
        assert_eq!(failed, None, "{mode}");
    }
}

#[test]
fn faults_in_a_row_back_off_and_a_success_ends_it() {
    let (proxy, _origin) = start(1, "trap-on-path", "time-max \"5s\"");
    let mut client = proxy.client();
    let text = std::fs::read_to_string(proxy.directory().join("config.kdl"))
        .expect("the harness wrote it");
    proxy.reload(&text.replace("/bad/*", "/trap").replace("route {", "route path=\"/also\" { filters { hostile { mode \"trap-on-path\" } }; cluster \"c\" }\n    route {")).expect("it is valid");
    for _ in 0..4 {
        assert_eq!(client.get("/trap").status, 500);
    }
    proxy.log_line("\"backoff_ms\":10,");
    // The same filter on the other path answers again as soon as the pause is over, with nothing done about it.
    let deadline = std::time::Instant::now() + crate::harness::PATIENCE;
    while client.get("/also").status != 200 {
        assert!(std::time::Instant::now() < deadline, "it never comes back");
    }
    assert_eq!(client.get("/also").status, 200);
    // And the count starts anew: three faults are free.
    let mark = proxy.log_mark();
    assert_eq!(client.get("/trap").status, 500);
    proxy.log_line_after(mark, "\"backoff_ms\":0,");
    assert_eq!(client.get("/also").status, 200);
}

#[test]
fn memory_max_is_what_an_instance_may_take() {
    // 64 KiB more with every call.
    let faults = |budget: &str| {
        let (proxy, _origin) = start(
            1,
            "leak",
            &format!("time-max \"5s\"; memory-max \"{budget}\""),
        );
        let mut client = proxy.client();
        let statuses: Vec<_> = (0..100).map(|_| client.get("/bad/x").status).collect();
        statuses.iter().filter(|status| **status == 500).count()
    };
    assert_eq!(faults("16MiB"), 0);
    let some = faults("3MiB");
    assert!(
        (2..=6).contains(&some),
        "{some}: some forty calls an instance"
    );
}

#[test]
fn time_max_is_what_a_call_may_take() {
    let took = |budget: &str| {
        let (proxy, _origin) = start(1, "spin", &format!("time-max \"{budget}\""));
        assert_eq!(proxy.client().get("/bad/x").status, 500);
        proxy.log_line("\"kind\":\"time\",\"phase\":\"request\"");
        proxy.line_of("/bad/x").number("active_us")
    };
    let (short, long) = (took("10ms"), took("600ms"));
    assert!((10_000..600_000).contains(&short), "{short}");
    assert!(long >= 600_000, "{long}");
}

#[test]
fn a_balancer_that_faults_is_passed_over() {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let text = config(
        r#"
        plugin "mine" "balancer.wasm"
        listener "web" "127.0.0.1:0" { route { cluster "c" } }
        cluster "c" { balancer "mine" { mode "trap" }; endpoint "A-END"; endpoint "B-END" }
        "#,
        &[("A-END", &a), ("B-END", &b)],
    );
    let proxy = Proxy::start_in(folder(&[("balancer.wasm", &guests::balancer())]), &text)
        .expect("it is valid");
    let mut client = proxy.client();
    let answers: Vec<_> = (0..10).map(|_| client.get("/").text()).collect();
    assert_eq!(
        answers.iter().filter(|answer| *answer == "a").count(),
        5,
        "{answers:?}"
    );
    proxy.log_line("\"plugin\":\"mine\",\"kind\":\"trap\"");
}
