//! WebSockets through the proxy: a client and a server of other people's making, with the proxy's tunnel between them.

mod messages;
mod tunnel;

use crate::harness::{PATIENCE, Proxy, closed_port};
use std::net::{SocketAddr, TcpStream};
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
