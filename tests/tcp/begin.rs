//! Which endpoint a connection gets, and what happens when there is none.

use super::{connect, echo, end, ends_by_reset, established, server};
use crate::harness::{Proxy, closed_port, deaf_port};

fn proxy(cluster: &str, listener: &str) -> Proxy {
    Proxy::start(&format!(
        r#"
        listener "raw" "127.0.0.1:0" {{
            protocol "tcp"
            {listener}
            route {{ cluster "c" }}
        }}
        cluster "c" {{ {cluster} }}
        "#
    ))
}

#[test]
fn a_refused_endpoint_is_passed_over_for_the_next() {
    let ((_held, gone), good) = (closed_port(), server(echo));
    let proxy = proxy(&format!(r#"endpoint "{gone}"; endpoint "{good}""#), "");
    for _ in 0..6 {
        let client = established(proxy.address("raw"));
        assert_eq!(end(&proxy, client).text("endpoint"), good.to_string());
    }
}

#[test]
fn when_every_endpoint_refuses_the_connection_is_reset() {
    let ((_one, first), (_other, second)) = (closed_port(), closed_port());
    let proxy = proxy(&format!(r#"endpoint "{first}"; endpoint "{second}""#), "");
    let mut client = connect(proxy.address("raw"));
    let address = client.local_addr().expect("connected").to_string();
    assert!(
        ends_by_reset(&mut client),
        "an orderly end would look like an empty answer"
    );
    let line = proxy.access_line(|line| line.text("client") == address);
    assert_eq!(
        (line.outcome(), line.number("connect_us")),
        ("connect-failed", -1)
    );
    let last = line.text("endpoint");
    assert!(
        last == first.to_string() || last == second.to_string(),
        "the last one tried: {line:?}"
    );
    for endpoint in [first, second] {
        proxy.log_line(&format!("\"endpoint\":\"{endpoint}\""));
    }
}

#[test]
fn a_cluster_without_an_eligible_endpoint_resets() {
    let origin = server(echo);
    let proxy = proxy(&format!(r#"endpoint "{origin}" weight=0"#), "");
    let mut client = connect(proxy.address("raw"));
    assert!(ends_by_reset(&mut client));
    assert_eq!(proxy.access_line(|_| true).outcome(), "no-endpoint");
}

#[test]
fn an_endpoint_that_does_not_answer_in_time_is_a_connect_timeout() {
    let (_held, _queued, silent) = deaf_port();
    let proxy = proxy(
        &format!(r#"endpoint "{silent}"; timeouts connect="200ms""#),
        "",
    );
    let mut client = connect(proxy.address("raw"));
    assert!(ends_by_reset(&mut client));
    assert_eq!(proxy.access_line(|_| true).outcome(), "connect-timeout");
}

#[test]
fn requests_max_bounds_the_connections_of_an_endpoint() {
    let origin = server(echo);
    let proxy = proxy(
        &format!(r#"endpoint "{origin}" requests-max=2; queue requests-max=0"#),
        "",
    );
    let (first, second) = (
        established(proxy.address("raw")),
        established(proxy.address("raw")),
    );
    assert!(
        ends_by_reset(&mut connect(proxy.address("raw"))),
        "a third has no place"
    );
    assert_eq!(proxy.access_line(|_| true).outcome(), "endpoints-full");
    end(&proxy, first);
    let third = established(proxy.address("raw"));
    end(&proxy, second);
    end(&proxy, third);
}

#[test]
fn a_full_endpoint_leaves_the_connection_to_another() {
    let (small, large) = (server(echo), server(echo));
    let proxy = proxy(
        &format!(r#"endpoint "{small}" requests-max=1; endpoint "{large}""#),
        "",
    );
    let clients: Vec<_> = (0..5).map(|_| established(proxy.address("raw"))).collect();
    let endpoints: Vec<_> = clients
        .into_iter()
        .map(|client| end(&proxy, client).text("endpoint").to_owned())
        .collect();
    let count = |address: std::net::SocketAddr| {
        endpoints
            .iter()
            .filter(|endpoint| **endpoint == address.to_string())
            .count()
    };
    assert_eq!((count(small), count(large)), (1, 4), "{endpoints:?}");
}

#[test]
fn connections_max_turns_the_next_away_until_one_has_ended() {
    let origin = server(echo);
    let proxy = proxy(
        &format!(r#"endpoint "{origin}""#),
        "limits connections-max=2",
    );
    let (first, second) = (
        established(proxy.address("raw")),
        established(proxy.address("raw")),
    );
    ends_by_reset(&mut connect(proxy.address("raw")));
    proxy.log_line("connections-max is reached");
    end(&proxy, first);
    let third = established(proxy.address("raw"));
    end(&proxy, second);
    end(&proxy, third);
}

#[test]
fn a_listener_serves_each_of_its_addresses() {
    let ((one, first), (other, second)) = (closed_port(), closed_port());
    let origin = server(echo);
    drop((one, other));
    let proxy = Proxy::start(&format!(
        r#"
        listener "raw" "{first}" "{second}" {{ protocol "tcp"; route {{ cluster "c" }} }}
        cluster "c" {{ endpoint "{origin}" }}
        "#
    ));
    for address in [first, second] {
        end(&proxy, established(address));
    }
}
