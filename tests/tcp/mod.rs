//! TCP listeners: bytes both ways, how a connection begins and every way in which it ends.

mod begin;
mod end;
mod network_filters;
mod relay;

use crate::harness::{AccessLine, PATIENCE, Proxy};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

/// A server for this test: `serve` runs in a thread of its own for every connection.
pub(crate) fn server(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = serve.clone();
            thread::spawn(move || {
                stream
                    .set_read_timeout(Some(PATIENCE))
                    .expect("a timeout can be set");
                serve(stream);
            });
        }
    });
    address
}

/// Sends back what it gets, until that ends.
pub(crate) fn echo(mut stream: TcpStream) {
    let mut writer = stream.try_clone().expect("a second handle");
    // How it ends is what the tests look at from the other side.
    let _ = std::io::copy(&mut stream, &mut writer);
    let _ = stream.shutdown(Shutdown::Write);
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the proxy listens");
    stream
        .set_read_timeout(Some(PATIENCE))
        .expect("a timeout can be set");
    stream.set_nodelay(true).expect("no delay can be set");
    stream
}

pub(crate) fn read_all(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream
        .read_to_end(&mut bytes)
        .expect("bytes and then their end");
    bytes
}

pub(crate) fn read_exactly(stream: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    stream
        .read_exact(&mut bytes)
        .expect("as many bytes as were sent");
    bytes
}

/// Waits for the end of a connection on which nothing more may arrive; whether it was a reset.
pub(crate) fn ends_by_reset(stream: &mut TcpStream) -> bool {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => {
            assert_eq!(bytes, b"", "nothing was to arrive");
            false
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
            true
        }
    }
}

/// Bytes that repeat with no short period, so that a lost, doubled or moved part shows.
pub(crate) fn pattern(count: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(count).collect()
}

/// Sends a word to an echo and waits for it: the connection has reached its endpoint.
pub(crate) fn established(address: SocketAddr) -> TcpStream {
    let mut client = connect(address);
    client.write_all(b"hello").expect("sends");
    assert_eq!(read_exactly(&mut client, 5), b"hello");
    client
}

/// Ends a connection to an echo in good order; its access line.
pub(crate) fn end(proxy: &Proxy, mut client: TcpStream) -> AccessLine {
    client.shutdown(Shutdown::Write).expect("half-closes");
    assert_eq!(read_all(&mut client), b"");
    let line = line_of(proxy, &client);
    assert_eq!(line.outcome(), "ok");
    line
}

/// The access line of a connection.
pub(crate) fn line_of(proxy: &Proxy, client: &TcpStream) -> AccessLine {
    let address = client.local_addr().expect("it was connected").to_string();
    proxy.access_line(|line| line.text("kind") == "tcp" && line.text("client") == address)
}

/// Makes the close of this socket a reset.
pub(crate) fn reset(stream: TcpStream) {
    let linger = Some(std::time::Duration::ZERO);
    socket2::SockRef::from(&stream)
        .set_linger(linger)
        .expect("lingering can be set");
}
