//! Listeners come, go and move while connections live.

use super::{Way, message, responding};
use crate::harness::{Client, Gate, Origin, Proxy, closed_port, config};
use crate::tcp::{connect, echo, end, established, server};
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};

/// An address of our own choice, free for the proxy to take.
fn free_address() -> SocketAddr {
    closed_port().1
}

fn is_refused(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

fn listener(name: &str, address: SocketAddr, body: &str) -> String {
    format!("listener \"{name}\" \"{address}\" {{ route {{ respond 200 body=\"{body}\" }} }}\n")
}

#[test]
fn a_listener_is_added_and_removed_and_the_other_one_notices_nothing() {
    let second = responding("second").replace("\"web\"", "\"second\"");
    let both = format!("{}{second}", responding("first"));
    let proxy = Proxy::start(&responding("first"));
    let mut kept = proxy.client();
    assert_eq!(kept.get("/").text(), "first");

    proxy.reload(&both).expect("it is valid");
    let address = proxy.address("second");
    let mut idle = Client::connect(address);
    assert_eq!(idle.get("/").text(), "second");
    assert_eq!(kept.get("/").text(), "first");

    proxy.reload(&responding("first")).expect("it is valid");
    assert!(
        idle.is_at_end(),
        "an idle connection of the removed listener is closed"
    );
    assert!(is_refused(address));
    assert_eq!(kept.get("/").text(), "first");
    assert_eq!(proxy.client().get("/").text(), "first");
}

#[test]
fn a_request_in_flight_on_a_removed_listener_is_answered_and_then_the_connection_closes() {
    let gate = Gate::default();
    let held = gate.clone();
    let origin = Origin::start(move |mut peer| {
        while peer.request().is_some() {
            held.wait();
            peer.answer("late");
        }
    });
    let text = |also: &str| {
        config(
            &format!("LISTENER\ncluster \"c\" {{ endpoint \"ORIGIN\" }}\n{also}"),
            &[
                ("ORIGIN", &origin),
                ("LISTENER", &responding("other").replace("web", "other")),
            ],
        )
    };
    let proxy = Proxy::start(&text(
        "listener \"web\" \"127.0.0.1:0\" { route { cluster \"c\" } }\n",
    ));
    let mut client = proxy.client();
    client.send("GET /late HTTP/1.1\r\nHost: test\r\n\r\n");
    origin.request(0);
    proxy
        .reload(&text(
            "listener \"unused\" \"127.0.0.1:0\" { route { cluster \"c\" } }\n",
        ))
        .expect("it is valid");
    gate.open();
    let response = client.response();
    assert_eq!((response.status, response.text().as_str()), (200, "late"));
    assert_eq!(response.header("connection"), Some("close"));
    assert!(client.is_at_end());
    assert_eq!(proxy.line_of("/late").outcome(), "ok");
}

#[test]
fn a_listener_moves_to_another_address_with_its_connections() {
    let (from, to) = (free_address(), free_address());
    let proxy = Proxy::start(&listener("web", from, "before"));
    let mut kept = Client::connect(from);
    assert_eq!(kept.get("/").text(), "before");
    proxy
        .reload(&listener("web", to, "after"))
        .expect("it is valid");
    assert_eq!(Client::connect(to).get("/").text(), "after");
    assert!(is_refused(from), "the old address is given up");
    assert_eq!(
        kept.get("/").text(),
        "after",
        "a connection made at the old address is the listener's still"
    );
    proxy
        .reload(&listener("web", from, "back"))
        .expect("it is valid");
    assert_eq!(Client::connect(from).get("/").text(), "back");
    assert!(is_refused(to));
}

#[test]
fn an_address_passes_from_one_listener_to_another() {
    let (one, other) = (free_address(), free_address());
    let text = |first: SocketAddr, second: SocketAddr| {
        format!(
            "{}{}",
            listener("a", first, "a"),
            listener("b", second, "b")
        )
    };
    let proxy = Proxy::start(&text(one, other));
    let mut kept = Client::connect(one);
    assert_eq!(kept.get("/").text(), "a");
    proxy.reload(&text(other, one)).expect("it is valid");
    assert_eq!(Client::connect(one).get("/").text(), "b");
    assert_eq!(Client::connect(other).get("/").text(), "a");
    assert_eq!(
        kept.get("/").text(),
        "a",
        "a connection stays with the listener that accepted it"
    );
}

/// Nothing but the listener that is gone could hold the generation.
#[test]
fn a_listener_without_connections_takes_its_generation_with_it() {
    let named = |name: &str| responding(name).replace("\"web\"", &format!("\"{name}\""));
    let proxy = Proxy::start(&format!("{}{}", named("a"), named("b")));
    for (number, (what, text)) in [
        ("removed", named("a")),
        ("renamed", named("c")),
        ("moved", listener("d", free_address(), "d")),
    ]
    .into_iter()
    .enumerate()
    {
        proxy
            .reload(&text)
            .unwrap_or_else(|why| panic!("{what}: {why}"));
        let generation = number + 1;
        proxy.log_line(&format!(
            "\"generation retired\",\"generation\":{generation}"
        ));
    }
}

#[test]
fn an_address_that_is_taken_refuses_the_whole_reload() {
    let (_held, taken) = closed_port();
    let proxy = Proxy::start(&responding("first"));
    let free = free_address();
    let broken = format!(
        "{}{}{}",
        responding("changed"),
        listener("good", free, "x"),
        listener("bad", taken, "x")
    );
    let refusal = proxy
        .reload(&broken)
        .expect_err("another process has the address");
    assert!(
        message(&refusal).contains(&format!("cannot listen on {taken}")),
        "{}",
        message(&refusal)
    );
    assert!(
        message(&refusal).contains("config.kdl:9:"),
        "{}",
        message(&refusal)
    );
    assert_eq!(
        proxy.client().get("/").text(),
        "first",
        "nothing of it is in force"
    );
    assert!(
        is_refused(free),
        "the sockets that could be bound are given back"
    );
}

#[test]
fn a_relay_on_a_removed_tcp_listener_goes_on_to_its_own_end() {
    let origin = server(echo);
    let raw = format!(
        "listener \"raw\" \"127.0.0.1:0\" {{ protocol \"tcp\"; route {{ cluster \"c\" }} }}\ncluster \"c\" {{ endpoint \"{origin}\" }}\n"
    );
    let proxy = Proxy::start(&format!("{}{raw}", responding("web")));
    let address = proxy.address("raw");
    let open = established(address);
    proxy.reload(&responding("web")).expect("it is valid");
    assert!(is_refused(address));
    let mut writer = open.try_clone().expect("a second handle");
    std::io::Write::write_all(&mut writer, b"still").expect("sends");
    assert_eq!(crate::tcp::read_exactly(&mut writer, 5), b"still");
    end(&proxy, open);
}

#[test]
fn the_drain_timeout_bounds_a_relay_of_a_removed_listener() {
    let origin = server(echo);
    let process = "process { workers 1; log format=\"json\"; drain-timeout \"200ms\" }\n";
    let raw = format!(
        "listener \"raw\" \"127.0.0.1:0\" {{ protocol \"tcp\"; route {{ cluster \"c\" }} }}\ncluster \"c\" {{ endpoint \"{origin}\" }}\n"
    );
    let proxy = Proxy::start(&format!("{process}{}{raw}", responding("web")));
    let mut open = established(proxy.address("raw"));
    proxy
        .reload(&format!("{process}{}", responding("web")))
        .expect("it is valid");
    crate::tcp::ends_by_reset(&mut open);
    assert_eq!(proxy.client().get("/").text(), "web");
}

#[test]
fn a_listener_changes_its_protocol() {
    let origin = server(echo);
    let address = free_address();
    let raw = format!(
        "listener \"web\" \"{address}\" {{ protocol \"tcp\"; route {{ cluster \"c\" }} }}\ncluster \"c\" {{ endpoint \"{origin}\" }}\n"
    );
    let proxy = Proxy::start(&listener("web", address, "pong"));
    assert_eq!(Client::connect(address).get("/").text(), "pong");
    Way::Rename.configure(&proxy, &raw).expect("it is valid");
    end(&proxy, established(address));
    Way::Rename
        .configure(&proxy, &listener("web", address, "pong"))
        .expect("it is valid");
    assert_eq!(Client::connect(address).get("/").text(), "pong");
    drop(connect(address));
}
