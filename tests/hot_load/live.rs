//! What goes on under a new generation: counts, pooled connections, and work that began under the old one.

use super::Way;
use crate::harness::{Gate, Origin, Proxy, closed_port, config};
use crate::tcp::{end, established};

const TEXT: &str = r#"
listener "web" "127.0.0.1:0" {
    limits connections-max=LIMIT
    route "NAME" {
        filters { headers { response { set "x-version" "NAME" } } }
        cluster "c"
    }
}
cluster "c" {
    endpoint "ORIGIN" requests-max=1
    queue requests-max=0
}
"#;

fn text(origin: &Origin, name: &str, limit: u32) -> String {
    config(
        TEXT,
        &[("ORIGIN", origin), ("NAME", &name), ("LIMIT", &limit)],
    )
}

/// An origin that answers `/held` only when the gate is open.
fn origin(gate: &Gate) -> Origin {
    let gate = gate.clone();
    Origin::start(move |mut peer| {
        while let Some(request) = peer.request() {
            if request.head.target() == "/held" {
                gate.wait();
            }
            peer.answer("answer");
        }
    })
}

#[test]
fn a_request_in_flight_ends_under_the_generation_that_it_began_under() {
    let gate = Gate::default();
    let origin = origin(&gate);
    let proxy = Proxy::start(&text(&origin, "one", 10));
    let mut client = proxy.client();
    client.send("GET /held HTTP/1.1\r\nHost: test\r\n\r\n");
    origin.request(0);
    proxy
        .reload(&text(&origin, "two", 10))
        .expect("it is valid");

    // Its place at the endpoint counts under the new generation too.
    let refused = proxy.client().get("/other");
    assert_eq!(
        (refused.status, refused.header("x-version")),
        (503, Some("two"))
    );
    assert_eq!(proxy.line_of("/other").outcome(), "endpoints-full");

    gate.open();
    let response = client.response();
    assert_eq!(
        (response.status, response.header("x-version")),
        (200, Some("one"))
    );
    let line = proxy.line_of("/held");
    assert_eq!((line.number("generation"), line.text("route")), (1, "one"));
    assert_eq!(
        client.get("/next").header("x-version"),
        Some("two"),
        "on the same connection"
    );
    proxy.log_line("\"generation retired\",\"generation\":1");
}

#[test]
fn pooled_upstream_connections_survive_a_reload() {
    let origin = origin(&Gate::default());
    let proxy = Proxy::start(&text(&origin, "one", 10));
    proxy.client().get("/1");
    for way in Way::ALL {
        way.configure(&proxy, &text(&origin, &format!("{way:?}"), 10))
            .expect("it is valid");
        assert_eq!(
            proxy.client().get("/2").header("x-version"),
            Some(&*format!("{way:?}"))
        );
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn open_connections_count_against_a_new_limit() {
    let origin = origin(&Gate::default());
    let proxy = Proxy::start(&text(&origin, "one", 10));
    let mut first = proxy.client();
    assert_eq!(first.get("/1").status, 200);
    proxy.reload(&text(&origin, "two", 1)).expect("it is valid");
    assert!(
        proxy.client().is_at_end(),
        "the first one takes the only place"
    );
    assert_eq!(first.get("/2").header("x-version"), Some("two"));
}

#[test]
fn demo_origins_come_and_go() {
    let ((one, first), (other, second)) = (closed_port(), closed_port());
    drop((one, other));
    let text = |address: std::net::SocketAddr| {
        format!(
            "demo-origins {{ http \"{address}\" name=\"demo\" }}\nlistener \"web\" \"127.0.0.1:0\" {{ route {{ cluster \"c\" }} }}\ncluster \"c\" {{ endpoint \"{address}\" }}\n"
        )
    };
    let proxy = Proxy::start(&text(first));
    assert!(proxy.client().get("/").text().starts_with("origin: demo\n"));
    proxy.reload(&text(second)).expect("it is valid");
    assert!(proxy.client().get("/").text().starts_with("origin: demo\n"));
    assert_eq!(
        proxy
            .access_line(|line| line.number("generation") == 2)
            .text("endpoint"),
        second.to_string()
    );
    assert!(std::net::TcpStream::connect(first).is_err());
}

#[test]
fn a_demo_echo_answers_and_is_logged_under_its_name() {
    let (held, address) = closed_port();
    drop(held);
    let proxy = Proxy::start(&format!(
        "demo-origins {{ tcp-echo \"{address}\" name=\"parrot\" }}\nlistener \"raw\" \"127.0.0.1:0\" {{ protocol \"tcp\"; route {{ cluster \"c\" }} }}\ncluster \"c\" {{ endpoint \"{address}\" }}\n"
    ));
    end(&proxy, established(proxy.address("raw")));
    assert!(
        proxy
            .log_line("\"demo origin\"")
            .contains("\"name\":\"parrot\"")
    );
}
