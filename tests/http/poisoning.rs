//! Bytes that an origin sends where no response belongs never become one.

use crate::harness::{Gate, Origin, Proxy};
use std::sync::Arc;

const EVIL: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";

#[test]
fn a_body_where_none_belongs_spoils_the_connection() {
    for (method, head) in [
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 44\r\n\r\n"),
        (
            "GET",
            "HTTP/1.1 204 No Content\r\nContent-Length: 44\r\n\r\n",
        ),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n"),
        (
            "GET",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 44\r\n\r\n",
        ),
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        (
            "GET",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
    ] {
        let answer = format!("{head}{EVIL}");
        let origin = Origin::answering(move |request| match request.head.target() {
            "/after" => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".into(),
            _ => answer.clone().into(),
        });
        let proxy = Proxy::before(&origin);
        let mut client = proxy.client();
        assert_eq!(client.ask(method, "/", "").body, b"", "{head}");
        assert_eq!(client.get("/after").text(), "ok", "{head}");
        assert_eq!(origin.connections(), 2, "{head}");
    }
}

#[test]
fn bytes_that_arrive_on_an_idle_connection_spoil_it() {
    let (idle, sent) = (Gate::default(), Gate::default());
    let gates = Arc::new((idle.clone(), sent.clone()));
    let origin = Origin::start(move |mut peer| {
        while peer.request().is_some() {
            peer.answer("ok");
            if peer.number == 0 {
                gates.0.wait();
                peer.send(EVIL);
                gates.1.open();
            }
        }
    });
    let proxy = Proxy::before(&origin);
    let mut client = proxy.client();
    assert_eq!(client.get("/1").text(), "ok");
    proxy.line_of("/1");
    idle.open();
    sent.wait();
    assert_eq!(client.post("/2", "x").text(), "ok");
    assert_eq!(
        (client.get("/3").text(), origin.connections()),
        ("ok".to_owned(), 2)
    );
}
