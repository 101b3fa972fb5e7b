//! Memory over two thousand reloads.

use super::generation;
use crate::harness::{Origin, Proxy, config};
use crate::plugins::guests;
use rustix::process::Signal;

const TEXT: &str = r#"
plugin "mine" "mine.wasm"

listener "web" "127.0.0.1:0" {
    network-filters { ip-acl { deny "192.0.2.0/24" } }
    filters { request-id }
    route {
        filters {
            mine
            acl { rule "deny" { path "/admin/*" } }
            headers { response { replace "x-a" "a" "b" } }
        }
        cluster "c"
    }
}
listener "raw" "127.0.0.1:0" { protocol "tcp"; route { cluster "d" } }
cluster "c" { balancer "least-request"; endpoint "ORIGIN" }
cluster "d" { endpoint "ORIGIN" }
"#;

const WARM_UP: u64 = 200;
const RELOADS: u64 = 2_000;
/// A generation of this configuration takes some tens of kilobytes, so every one kept, or a quarter of them, shows. Alone the test sees the
/// process shrink by some megabytes; beside others, threads that come and go move it by as much the other way.
const GROWTH_MAX_KIB: u64 = 12 * 1024;

#[test]
fn two_thousand_reloads_leave_memory_flat_and_one_generation_alive() {
    let origin = Origin::named("x");
    let directory = tempfile::tempdir().expect("a temporary folder");
    std::fs::copy(guests::hostile(), directory.path().join("mine.wasm")).expect("it was built");
    let proxy =
        Proxy::start_in(directory, &config(TEXT, &[("ORIGIN", &origin)])).expect("it is valid");
    let mut client = proxy.client();
    let mut reload = |times: u64| {
        for _ in 0..times {
            let mark = proxy.log_mark();
            proxy.signal(Signal::HUP);
            proxy.reloaded_after(mark).expect("it is valid");
            assert_eq!(client.get("/").text(), "x");
        }
    };
    reload(WARM_UP);
    let before = resident_kib(&proxy);
    reload(RELOADS - WARM_UP);
    let after = resident_kib(&proxy);
    assert!(
        after < before + GROWTH_MAX_KIB,
        "{before} KiB after {WARM_UP} reloads, {after} KiB after {RELOADS}"
    );

    proxy.log_line(&format!("\"generation retired\",\"generation\":{RELOADS},"));
    let lines = proxy.log_lines();
    let of = |words: &str| {
        lines
            .iter()
            .filter(|line| line.contains(words))
            .map(|line| generation(line))
            .collect::<Vec<_>>()
    };
    let mut retired = of("\"generation retired\"");
    retired.sort_unstable();
    assert_eq!(retired, (1..=RELOADS).collect::<Vec<_>>());
    assert_eq!(of("\"reloaded\"").last(), Some(&(RELOADS + 1)));
    assert_eq!(
        origin.connections(),
        1,
        "the pooled connection has seen them all"
    );
}

fn resident_kib(proxy: &Proxy) -> u64 {
    let path = format!("/proc/{}/status", proxy.pid().as_raw_nonzero());
    let status = std::fs::read_to_string(path).expect("it runs");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .expect("a process has a resident set");
    line.trim()
        .trim_end_matches(" kB")
        .parse()
        .expect("a number")
}
