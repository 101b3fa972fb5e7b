//! `run`: start and stop.

use super::{stderr, tollgate};
use crate::harness::{Gate, Origin, PATIENCE, Proxy, config};
use rustix::process::Signal;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Instant;

#[test]
fn a_bad_configuration_is_refused_with_exit_code_1() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("bad.kdl");
    std::fs::write(
        &file,
        "listener \"web\" \"127.0.0.1:0\" { route { cluster \"nowhere\" } }\n",
    )
    .expect("a writable folder");
    let output = tollgate(&["run", "--config", file.to_str().expect("UTF-8")]);
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(
        text.contains("bad.kdl:1:") && text.contains("nowhere"),
        "{text}"
    );
}

#[test]
fn an_address_in_use_is_refused_at_its_place() {
    let held = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = held.local_addr().expect("bound");
    let text = "listener \"web\" \"ADDRESS\" { route { respond 200 } }";
    let refused = Proxy::try_start(&config(text, &[("ADDRESS", &address)]));
    let text = refused.err().expect("it cannot listen there");
    assert!(
        text.contains(&format!("cannot listen on {address}")) && text.contains("config.kdl:"),
        "{text}"
    );
}

#[test]
fn as_many_workers_run_as_are_asked_for() {
    for workers in [1, 3] {
        let text = format!(
            "process {{ workers {workers} }}\nlistener \"web\" \"127.0.0.1:0\" {{ route {{ respond 200 }} }}\n"
        );
        let proxy = Proxy::start(&text);
        let threads = format!("/proc/{}/task", proxy.pid().as_raw_nonzero());
        let threads = std::fs::read_dir(threads).expect("the system tells its threads");
        let names = threads.flatten().map(|thread| {
            // A thread may end while we look.
            std::fs::read_to_string(thread.path().join("comm")).unwrap_or_default()
        });
        let running = names.filter(|name| name.starts_with("worker-")).count();
        assert_eq!(running, workers);
    }
}

#[test]
fn a_proxy_that_is_told_to_stop_finishes_what_it_does_and_exits_with_0() {
    let finish = Gate::default();
    let gate = finish.clone();
    let origin = Origin::start(move |mut peer| {
        peer.request();
        peer.answer("ok");
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha");
        gate.wait();
        peer.send("lf");
        peer.request();
    });
    let text = r#"
        listener "web" "127.0.0.1:0" {
            timeouts request-head="10m" idle="10m"
            route { cluster "origin" }
        }
        cluster "origin" { endpoint "ORIGIN" }"#;
    let mut proxy = Proxy::start(&config(text, &[("ORIGIN", &origin)]));
    let mut idle = proxy.client();
    let mut used = proxy.client();
    assert_eq!(used.get("/first").text(), "ok");
    let mut busy = proxy.client();
    busy.send("GET /busy HTTP/1.1\r\nHost: a\r\n\r\n");
    busy.response_head();
    assert_eq!(busy.take(2), b"ha");
    proxy.signal(Signal::TERM);
    proxy.log_line("draining");
    assert!(idle.is_at_end() && used.is_at_end());
    wait_until_refused(proxy.address("web"));
    finish.open();
    assert_eq!(busy.take(2), b"lf");
    assert!(busy.is_at_end());
    assert_eq!(proxy.line_of("/busy").outcome(), "ok");
    assert_eq!(proxy.wait().code(), Some(0));
}

#[test]
fn the_drain_timeout_ends_what_does_not_end_by_itself() {
    let origin = Origin::start(|mut peer| while peer.request().is_some() {});
    let text = r#"
process {
    workers 1
    log format="json"
    drain-timeout "300ms"
}
listener "web" "127.0.0.1:0" { route { cluster "origin" } }
cluster "origin" { endpoint "ORIGIN" }
"#;
    let mut proxy = Proxy::start(&config(text, &[("ORIGIN", &origin)]));
    let mut client = proxy.client();
    client.send("GET /endless HTTP/1.1\r\nHost: a\r\n\r\n");
    origin.request(0);
    proxy.signal(Signal::TERM);
    proxy.log_line("drain timeout");
    assert!(client.is_at_end());
    assert_eq!(proxy.wait().code(), Some(0));
}

/// The workers close their sockets a moment after the log says that they will.
fn wait_until_refused(address: SocketAddr) {
    let deadline = Instant::now() + PATIENCE;
    while TcpStream::connect(address).is_ok() {
        assert!(Instant::now() < deadline, "it still accepts");
    }
}
