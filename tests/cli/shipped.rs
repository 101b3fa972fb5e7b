//! The configuration at the top of the repository: what its first lines promise.

use super::repository;
use crate::harness::{Proxy, Response, closed_port};
use crate::tcp::{end, established};
use crate::websocket::{echoes, open};

/// The file as it is, but for its ports, which other processes may have.
fn shipped() -> String {
    let text = std::fs::read_to_string(repository().join("config.kdl")).expect("it is there");
    let free = [closed_port(), closed_port(), closed_port()];
    let origins = ["127.0.0.1:9101", "127.0.0.1:9102", "127.0.0.1:9103"];
    let listeners = ["127.0.0.1:8080", "127.0.0.1:8081", "127.0.0.1:9900"];
    let listeners = listeners.map(|port| (port, "127.0.0.1:0".into()));
    let places = origins.into_iter().zip(&free);
    let places = places.map(|(port, (_, address))| (port, address.to_string()));
    places.chain(listeners).fold(text, |text, (port, place)| {
        assert!(
            text.contains(port),
            "the configuration does not mention {port}"
        );
        text.replace(port, &place)
    })
}

#[test]
fn the_shipped_configuration_serves_what_it_promises() {
    let text = shipped().replace("format=\"text\"", "format=\"json\"");
    let proxy = Proxy::start(&text);
    let mut client = proxy.client();

    let answers: Vec<_> = (0..6)
        .map(|_| client.ask("GET", "/", "X-Debug: 1\r\n"))
        .collect();
    let from = |name: &str| {
        let first_line = format!("origin: {name}\n");
        let named = |answer: &&Response| answer.text().starts_with(&first_line);
        answers.iter().filter(named).count()
    };
    assert_eq!((from("north"), from("south")), (4, 2), "by weight");
    for answer in &answers {
        let seen = answer.text();
        assert!(seen.contains("\nx-request-id: ") && seen.contains("\nx-client: 127.0.0.1\n"));
        assert!(!seen.contains("x-debug"), "{seen}");
        assert_eq!(
            (answer.header("x-served-by"), answer.header("server")),
            (Some("tollgate"), None)
        );
    }

    assert_eq!(client.get("/admin/").status, 403);
    assert_eq!(proxy.line_of("/admin/").outcome(), "filter-reply");
    let moved = client.get("/old/page");
    assert_eq!(
        (moved.status, moved.header("location")),
        (308, Some("/new/page"))
    );
    let ping = client.get("/ping");
    assert_eq!((ping.status, ping.text().as_str()), (200, "pong\n"));

    let mut socket = open(proxy.address("web"));
    echoes(&mut socket, "what you send");
    drop(socket);
    assert_eq!(proxy.line_of("/ws").outcome(), "tunnel");
    let line = end(&proxy, established(proxy.address("echo")));
    assert_eq!(line.text("cluster"), "echo");
}
