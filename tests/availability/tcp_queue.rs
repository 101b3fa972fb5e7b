//! TCP connections that wait for a place.

use super::queue::LEAST_OF_200_MS;
use super::scene::{cluster, start, until, until_queue};
use crate::harness::Proxy;
use crate::tcp::{
    connect, echo, end, ends_by_reset, established, line_of, read_exactly, reset, server,
};
use std::io::Write;

fn proxy(cluster: &str) -> Proxy {
    start(
        2,
        &format!(
            "listener \"raw\" \"127.0.0.1:0\" {{ protocol \"tcp\"; route {{ cluster \"c\" }} }}\ncluster \"c\" {{\n{cluster}\n}}\n"
        ),
    )
}

#[test]
fn a_tcp_connection_waits_for_a_place() {
    let origin = server(echo);
    let proxy = proxy(&format!(
        "endpoint \"{origin}\" requests-max=1\nqueue timeout=\"20s\""
    ));
    let first = established(proxy.address("raw"));
    let mut second = connect(proxy.address("raw"));
    second.write_all(b"early").expect("sends");
    until_queue(&proxy, 1);
    end(&proxy, first);
    assert_eq!(read_exactly(&mut second, 5), b"early");
    let line = end(&proxy, second);
    assert!(line.number("queue_us") > 0, "{line:?}");
}

#[test]
fn a_tcp_connection_waits_no_longer_than_the_queue_timeout() {
    let origin = server(echo);
    let proxy = proxy(&format!(
        "endpoint \"{origin}\" requests-max=1\nqueue timeout=\"200ms\"\ntimeouts connect=\"1h\""
    ));
    let first = established(proxy.address("raw"));
    let mut second = connect(proxy.address("raw"));
    assert!(ends_by_reset(&mut second));
    let line = line_of(&proxy, &second);
    assert_eq!(
        (line.outcome(), line.text("endpoint")),
        ("queue-timeout", "")
    );
    assert!(line.number("queue_us") >= LEAST_OF_200_MS, "{line:?}");
    end(&proxy, first);
    end(&proxy, established(proxy.address("raw")));
}

#[test]
fn a_tcp_connection_that_leaves_gives_up_its_turn() {
    let origin = server(echo);
    let proxy = proxy(&format!(
        "endpoint \"{origin}\" requests-max=1\nqueue timeout=\"20s\""
    ));
    let first = established(proxy.address("raw"));
    let leaves = connect(proxy.address("raw"));
    until_queue(&proxy, 1);
    let mut stays = connect(proxy.address("raw"));
    until_queue(&proxy, 2);
    let address = leaves.local_addr().expect("connected").to_string();
    reset(leaves);
    let line = proxy.access_line(|line| line.text("client") == address);
    assert_eq!(
        (line.outcome(), line.text("endpoint")),
        ("downstream-aborted", "")
    );
    until_queue(&proxy, 1);
    end(&proxy, first);
    stays.write_all(b"hello").expect("sends");
    assert_eq!(read_exactly(&mut stays, 5), b"hello");
    end(&proxy, stays);
}

#[test]
fn tcp_connections_beyond_the_queue_are_reset() {
    let origin = server(echo);
    let proxy = proxy(&format!(
        "endpoint \"{origin}\" requests-max=1\nqueue requests-max=1 timeout=\"20s\""
    ));
    let first = established(proxy.address("raw"));
    let mut second = connect(proxy.address("raw"));
    until_queue(&proxy, 1);
    let mut third = connect(proxy.address("raw"));
    assert!(ends_by_reset(&mut third));
    assert_eq!(line_of(&proxy, &third).outcome(), "queue-full");
    end(&proxy, first);
    second.write_all(b"hello").expect("sends");
    assert_eq!(read_exactly(&mut second, 5), b"hello");
    end(&proxy, second);
}

#[test]
fn the_same_client_address_gets_the_same_endpoint() {
    let (a, b) = (server(echo), server(echo));
    let proxy = proxy(&format!(
        "endpoint \"{a}\" id=\"a\"\nendpoint \"{b}\" id=\"b\"\naffinity source=#true"
    ));
    let endpoint = |_| {
        let client = established(proxy.address("raw"));
        end(&proxy, client).text("endpoint").to_owned()
    };
    let endpoints: Vec<_> = (0..6).map(endpoint).collect();
    assert!(
        endpoints.iter().all(|endpoint| *endpoint == endpoints[0]),
        "round robin would alternate: {endpoints:?}"
    );
    let bound = if endpoints[0] == a.to_string() {
        "a"
    } else {
        "b"
    };
    super::scene::put(&proxy, bound, "maintain");
    until("the endpoint to be out", || {
        cluster(&proxy)["endpoints"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|endpoint| endpoint["id"] == bound && endpoint["state"] == "maintenance")
    });
    let client = established(proxy.address("raw"));
    let moved = end(&proxy, client).text("endpoint").to_owned();
    assert_ne!(moved, endpoints[0]);
    super::scene::put(&proxy, bound, "ready");
    for _ in 0..3 {
        let client = established(proxy.address("raw"));
        assert_eq!(end(&proxy, client).text("endpoint"), moved, "re-bound");
    }
}

#[test]
fn a_lower_priority_of_the_tcp_route_goes_first() {
    let origin = server(echo);
    let proxy = start(
        2,
        &format!(
            r#"listener "raw" "127.0.0.1:0" {{ protocol "tcp"; route {{ cluster "c" }} }}
listener "urgent" "127.0.0.1:0" {{ protocol "tcp"; route {{ priority -1; cluster "c" }} }}
cluster "c" {{ endpoint "{origin}" requests-max=1; queue timeout="20s" }}
"#
        ),
    );
    let first = established(proxy.address("raw"));
    let plain = connect(proxy.address("raw"));
    until_queue(&proxy, 1);
    let mut urgent = connect(proxy.address("urgent"));
    until_queue(&proxy, 2);
    end(&proxy, first);
    urgent.write_all(b"hello").expect("sends");
    assert_eq!(read_exactly(&mut urgent, 5), b"hello");
    until_queue(&proxy, 1);
    end(&proxy, urgent);
    end(&proxy, plain);
}
