//! Sockets other than those of IPv4: Unix sockets on both sides, IPv6, and listeners with addresses of several kinds.

mod endpoint;
mod families;
mod listener;

use crate::harness::Client;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::Path;
use tempfile::TempDir;

/// A folder for sockets; short, since the length of their paths is limited.
fn folder() -> TempDir {
    tempfile::Builder::new()
        .prefix("s")
        .tempdir()
        .expect("a temporary folder")
}

/// A name that no other test has.
fn name(of: &str) -> String {
    format!("tollgate-test-{of}-{}", std::process::id())
}

fn abstract_address(name: &str) -> SocketAddr {
    SocketAddr::from_abstract_name(name).expect("a name")
}

/// A downstream on a Unix socket.
fn client_at(path: &Path) -> Client {
    over(UnixStream::connect(path).expect("it listens"))
}

fn client_at_name(name: &str) -> Client {
    over(UnixStream::connect_addr(&abstract_address(name)).expect("it listens"))
}

/// The harness speaks TCP, so threads carry the bytes.
fn over(unix: UnixStream) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let near = TcpStream::connect(listener.local_addr().expect("bound")).expect("it listens");
    let (far, _) = listener.accept().expect("it has connected");
    carry(far, unix);
    Client::over(near)
}

/// Both ways, each to its end; how that comes is what the two sides look at.
fn carry(tcp: TcpStream, unix: UnixStream) {
    let (mut from, mut to) = (handle(&tcp), unix.try_clone().expect("a second handle"));
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    let (mut from, mut to) = (unix, tcp);
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
}

fn handle(stream: &TcpStream) -> TcpStream {
    stream.try_clone().expect("a second handle")
}

/// Leads each connection of a Unix socket to an address.
fn lead(listener: UnixListener, to: std::net::SocketAddr) {
    std::thread::spawn(move || {
        for unix in listener.incoming().map_while(Result::ok) {
            carry(TcpStream::connect(to).expect("it listens"), unix);
        }
    });
}
