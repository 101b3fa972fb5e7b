//! Endpoints on Unix sockets.

use std::net::SocketAddr;

use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::net::UnixListener;

use super::super::{Prober, Target, Transport};
use super::tls::Server;
use super::transport::{ANSWER, http, proxy_protocol, tls};
use super::{answer_with, listen, local, prober, settings, travelling, words};
use crate::config::{HealthCheck, Probe, ProxyVersion};
use crate::net::address::{Address, UnixAddress};

fn unix(address: &str) -> Target {
    let address = UnixAddress::parse(address).expect("an address");
    Target {
        label: address.to_string(),
        address: Address::Unix(address),
    }
}

#[tokio::test]
async fn a_unix_socket_is_checked_as_localhost() {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join("app.sock");
    let path = path.to_str().expect("it is text");
    let target = unix(path);
    let result = local(prober(http()).probe(&target)).await;
    let found = words(result);
    assert!(found.starts_with("cannot connect: "), "{found}");

    let listener = UnixListener::bind(path).expect("a new path");
    let prober = travelling(http(), proxy_protocol(ProxyVersion::V1));
    let serve = async {
        let (mut stream, _) = listener.accept().await.expect("the check connects");
        let mut line = [0; 15];
        stream.read_exact(&mut line).await.expect("it is sent");
        assert_eq!(line, *b"PROXY UNKNOWN\r\n");
        answer_with(stream, ANSWER).await
    };
    let checked = async { tokio::join!(prober.probe(&target), serve) };
    let (result, head) = local(checked).await;
    assert_eq!(words(result), "passed: status 200");
    assert!(head.contains("\r\nhost: localhost\r\n"), "{head}");

    drop(listener);
    let result = local(prober.probe(&target)).await;
    assert_eq!(words(result), "connection refused");
}

#[tokio::test]
async fn tls_on_a_unix_socket_needs_a_name_of_its_own() {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join("app.sock");
    let path = path.to_str().expect("it is text");
    let listener = UnixListener::bind(path).expect("a new path");
    let server = Server::new("app.test");
    let cases = [
        (Some("app.test"), "passed: status 200"),
        (None, "TLS handshake failed: "),
    ];
    for (name, expected) in cases {
        let prober = travelling(http(), tls(&server, name, &[]));
        let target = unix(path);
        let serve = async {
            let (stream, _) = listener.accept().await.expect("the check connects");
            if let Ok(stream) = server.acceptor.accept(stream).await {
                answer_with(stream, ANSWER).await;
            }
        };
        let checked = async { tokio::join!(prober.probe(&target), serve) };
        let (result, ()) = local(checked).await;
        let found = words(result);
        assert!(found.starts_with(expected), "{found}");
    }
}

#[tokio::test]
async fn a_port_of_the_check_is_loopbacks_for_a_unix_socket() {
    let (listener, there) = listen().await;
    let there = there.address.ip().expect("not a Unix socket");
    let target = unix("/nowhere/app.sock");
    let check = |address: Option<SocketAddr>, port| {
        let settings = HealthCheck {
            address: address.map(|address| address.ip()),
            port,
            ..settings(Probe::Tcp)
        };
        Prober::new(&settings, Transport::default()).expect("sound")
    };
    let accept = async { drop(listener.accept().await.expect("the check connects")) };
    let prober = check(None, Some(there.port()));
    let (result, ()) = tokio::join!(prober.probe(&target), accept);
    assert_eq!(words(result), "passed: connected");
    let result = check(Some(there), None).probe(&target).await;
    let expected = "cannot connect: `address` without `port` does not do for a Unix socket";
    assert_eq!(words(result), expected);
}
