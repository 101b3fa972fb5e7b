//! WebSockets through the proxy: a client and a server of other people's making, with the proxy's tunnel between them.

mod messages;
mod secure;
mod tunnel;

use crate::harness::{Authority, PATIENCE, Proxy, TlsClient, TlsFront, closed_port, config};
use std::fmt::Display;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use tokio_tungstenite::tungstenite::client::client;
use tokio_tungstenite::tungstenite::handshake::client::Response;
use tokio_tungstenite::tungstenite::{Error, Message, WebSocket};

pub(crate) type Socket = WebSocket<TcpStream>;

/// A proxy before a demo origin, whose `/ws` echoes messages; `listener` goes into the listener.
pub(crate) fn proxy(listener: &str) -> Proxy {
    let (held, origin) = closed_port();
    drop(held);
    Proxy::start(&format!(
        r#"
        demo-origins {{ http "{origin}" name="demo" }}
        listener "web" "127.0.0.1:0" {{
            {listener}
            route "all" {{ cluster "demo" }}
        }}
        cluster "demo" {{ endpoint "{origin}" }}
        "#
    ))
}

/// Opens a WebSocket at `/ws`, or says what answered instead.
pub(crate) fn try_open(address: SocketAddr) -> Result<(Socket, Response), u16> {
    let stream = TcpStream::connect(address).expect("the proxy listens");
    stream
        .set_read_timeout(Some(PATIENCE))
        .expect("a timeout can be set");
    match client(format!("ws://{address}/ws"), stream) {
        Ok(opened) => Ok(opened),
        Err(tokio_tungstenite::tungstenite::HandshakeError::Failure(Error::Http(answer))) => {
            Err(answer.status().as_u16())
        }
        Err(error) => panic!("no handshake: {error}"),
    }
}

pub(crate) fn open(address: SocketAddr) -> Socket {
    try_open(address).expect("it is switched").0
}

/// Sends a text and waits for its echo.
pub(crate) fn echoes(socket: &mut Socket, text: &str) {
    socket.send(Message::text(text)).expect("sends");
    assert_eq!(socket.read().expect("an echo"), Message::text(text));
}

/// A proxy before a WebSocket server that is no part of it; `serve` has the accepted connection.
fn before(serve: impl Fn(TcpStream) + Send + 'static) -> Proxy {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || listener.incoming().flatten().for_each(serve));
    Proxy::before(&address)
}

/// Sends every text and binary message back.
fn echo_messages(mut socket: Socket) {
    while let Ok(message) = socket.read() {
        if message.is_text() || message.is_binary() {
            socket.send(message).expect("sends");
        }
    }
}

/// A proxy that speaks TLS with its clients, as `site.test`, and with its endpoint, before `behind`; `listener` goes into the listener.
pub(crate) fn secured(behind: &dyn Display, listener: &str) -> (Proxy, TlsClient, TlsFront) {
    let authority = Authority::new();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let put = |name, text| std::fs::write(folder.path().join(name), text).expect("writes");
    put("site.pem", authority.issue(&["site.test"]).both());
    put("ca.pem", authority.pem());
    let front = TlsFront::before(behind, &authority.issue(&["origin.test"]), &[], None);
    let text = config(
        r#"listener "web" "127.0.0.1:0" {
            tls { certificate "site.pem" }
            LISTENER
            route { cluster "origin" }
        }
        cluster "origin" {
            endpoint "ORIGIN"
            tls server-name="origin.test" ca="ca.pem"
        }"#,
        &[("LISTENER", &listener), ("ORIGIN", &front)],
    );
    let proxy = Proxy::start_in(folder, &text).expect("it starts");
    let tls = TlsClient::new(&authority, "site.test").alpn(&["http/1.1"]);
    (proxy, tls, front)
}
