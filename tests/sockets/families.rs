//! IPv6, both families on one socket, and listeners with addresses of several kinds.

use super::{client_at, folder};
use crate::harness::{Client, Origin, Proxy, config};
use serde_json::Value;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

/// Whether this machine speaks IPv6 with itself.
fn has_ipv6() -> bool {
    TcpListener::bind("[::1]:0").is_ok()
}

/// Every address that the log says a listener has, in order.
fn addresses(proxy: &Proxy) -> Vec<String> {
    let lines = proxy.log_lines();
    let lines = lines
        .iter()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|line| line["message"] == "listening");
    let addresses = lines.map(|line| line["address"].as_str().map(str::to_owned));
    addresses.flatten().collect()
}

fn listening(addresses: &str, origin: &Origin) -> Proxy {
    Proxy::start(&config(
        r#"listener "web" ADDRESSES { route { cluster "origin" } }
        cluster "origin" { endpoint "ORIGIN" }"#,
        &[("ADDRESSES", &addresses), ("ORIGIN", origin)],
    ))
}

#[test]
fn clients_come_by_ipv6() {
    if !has_ipv6() {
        return;
    }
    let origin = Origin::echo();
    let proxy = listening("\"[::1]:0\"", &origin);
    assert!(proxy.address("web").is_ipv6());
    let seen = proxy
        .client()
        .ask("GET", "/x", "Forwarded: for=192.0.2.7\r\n")
        .echoed();
    assert_eq!(seen.header("x-forwarded-for"), Some("::1"));
    assert_eq!(seen.header("forwarded"), Some("for=\"[::1]\";proto=http"));
    let line = proxy.line_of("/x");
    assert_eq!((line.outcome(), line.text("client")), ("ok", "::1"));
}

#[test]
fn endpoints_are_reached_by_ipv6() {
    if !has_ipv6() {
        return;
    }
    let listener = TcpListener::bind("[::1]:0").expect("there is IPv6");
    let origin = Origin::start_on(listener, |mut peer| {
        while peer.request().is_some() {
            peer.answer("by IPv6");
        }
    });
    let proxy = Proxy::before(&origin);
    assert_eq!(proxy.client().get("/x").text(), "by IPv6");
    let line = proxy.line_of("/x");
    assert_eq!(line.outcome(), "ok");
    assert_eq!(line.text("endpoint"), origin.address().to_string());
}

#[test]
fn every_address_of_the_machine_is_one_socket_for_both_families() {
    let origin = Origin::echo();
    let proxy = listening("\"*:0\"", &origin);
    assert_eq!(addresses(&proxy).len(), 1);
    let port = proxy.address("web").port();
    let mut ways = vec![(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), "127.0.0.1")];
    if has_ipv6() {
        ways.push((SocketAddr::from((Ipv6Addr::LOCALHOST, port)), "::1"));
    }
    for (address, expected) in ways {
        let target = format!("/{expected}");
        let seen = Client::connect(address).get(&target).echoed();
        assert_eq!(seen.header("x-forwarded-for"), Some(expected));
        let line = proxy.line_of(&target);
        assert_eq!((line.outcome(), line.text("client")), ("ok", expected));
    }
}

#[test]
fn rules_for_ipv4_hold_on_a_socket_for_both_families() {
    let proxy = Proxy::start(
        r#"listener "web" "*:0" {
            trust-forwarded "127.0.0.0/8"
            filters { acl { rule "deny" { source "198.51.100.0/24" } } }
            route { respond 200 body="hello" }
        }"#,
    );
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, proxy.address("web").port()));
    let claim = "X-Forwarded-For: 198.51.100.7\r\n";
    assert_eq!(Client::connect(address).ask("GET", "/x", claim).status, 403);
    assert_eq!(proxy.line_of("/x").outcome(), "filter-reply");
    assert_eq!(Client::connect(address).get("/y").status, 200);
}

#[test]
fn a_listener_has_addresses_of_every_kind() {
    let folder = folder();
    let path = folder.path().join("web.sock");
    let origin = Origin::echo();
    let unix = format!("unix:{}", path.display());
    let v6 = if has_ipv6() { "\"[::1]:0\"" } else { "" };
    let proxy = listening(&format!("\"127.0.0.1:0\" {v6} \"{unix}\""), &origin);
    let all = addresses(&proxy);
    assert_eq!(all.len(), if has_ipv6() { 3 } else { 2 }, "{all:?}");
    for address in all {
        let (mut client, expected) = match address.parse::<SocketAddr>() {
            Ok(address) => (Client::connect(address), address.ip().to_string()),
            Err(_) => {
                assert_eq!(address, unix);
                (client_at(&path), "127.0.0.1".to_owned())
            }
        };
        let target = format!("/{}", address.len());
        let seen = client.get(&target).echoed();
        assert_eq!(seen.header("x-forwarded-for"), Some(expected.as_str()));
        let line = proxy.line_of(&target);
        assert_eq!(
            (line.outcome(), line.text("client")),
            ("ok", expected.as_str())
        );
    }
}
