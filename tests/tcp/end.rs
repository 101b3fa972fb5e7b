//! Ends that are no half-close: silence and resets are passed on as resets, under their own outcome.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::mpsc;

use super::{connect, echo, ends_by_reset, established, read_exactly, reset, server};
use crate::harness::{Gate, PATIENCE, Proxy};

fn proxy(endpoint: SocketAddr, listener: &str) -> Proxy {
    Proxy::start(&format!(
        r#"
        listener "raw" "127.0.0.1:0" {{
            protocol "tcp"
            {listener}
            route {{ cluster "c" }}
        }}
        cluster "c" {{ endpoint "{endpoint}" }}
        "#
    ))
}

#[test]
fn silence_in_both_directions_ends_at_the_idle_timeout() {
    let proxy = proxy(server(echo), r#"timeouts idle="300ms""#);
    let mut client = established(proxy.address("raw"));
    assert!(ends_by_reset(&mut client));
    let line = proxy.access_line(|_| true);
    assert_eq!(line.outcome(), "idle-timeout");
    assert!(line.number("total_us") >= 300_000, "{line:?}");
}

#[test]
fn the_idle_timeout_holds_after_a_half_close_too() {
    let over = Gate::default();
    let held = over.clone();
    let silent = server(move |mut stream| {
        let _ = stream.read_to_end(&mut Vec::new());
        held.wait();
    });
    let proxy = proxy(silent, r#"timeouts idle="300ms""#);
    let mut client = connect(proxy.address("raw"));
    client.write_all(b"x").expect("sends");
    client.shutdown(Shutdown::Write).expect("half-closes");
    assert!(ends_by_reset(&mut client));
    assert_eq!(proxy.access_line(|_| true).outcome(), "idle-timeout");
    over.open();
}

#[test]
fn a_reset_by_the_upstream_reaches_the_downstream_as_one() {
    let proxy = proxy(
        server(|mut stream| {
            let _ = stream.read(&mut [0; 16]);
            reset(stream);
        }),
        "",
    );
    let mut client = connect(proxy.address("raw"));
    client.write_all(b"x").expect("sends");
    assert!(ends_by_reset(&mut client));
    assert_eq!(proxy.access_line(|_| true).outcome(), "upstream-aborted");
}

#[test]
fn a_reset_by_the_downstream_reaches_the_upstream_as_one() {
    let (tell, told) = mpsc::channel();
    let origin = server(move |mut stream| {
        stream.write_all(b"x").expect("sends");
        tell.send(ends_by_reset(&mut stream))
            .expect("the test waits");
    });
    let proxy = proxy(origin, "");
    let mut client = connect(proxy.address("raw"));
    assert_eq!(read_exactly(&mut client, 1), b"x");
    reset(client);
    assert!(
        told.recv_timeout(PATIENCE)
            .expect("the upstream connection ends")
    );
    assert_eq!(proxy.access_line(|_| true).outcome(), "downstream-aborted");
}
