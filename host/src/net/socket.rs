//! Listening sockets: one per worker and address, sharing the port by `SO_REUSEPORT`.

use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{SocketAddr, TcpListener};

/// Connections that wait in the kernel for the worker to accept them; the system's `somaxconn` may lower it.
const BACKLOG: i32 = 4096;

/// Binds `count` sockets to one address; port 0 becomes one port for all of them.
///
/// # Errors
/// The first socket's error names the reason (in use, not permitted, not an address of this machine). Nothing stays bound then.
pub fn bind_shared(address: SocketAddr, count: usize) -> io::Result<Vec<TcpListener>> {
    let first = bind_one(address)?;
    let bound = first.local_addr()?;
    let mut sockets = vec![first];
    for _ in 1..count {
        sockets.push(bind_one(bound)?);
    }
    Ok(sockets)
}

fn bind_one(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Accepted connections inherit it.
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_sockets_share_the_port_that_the_first_was_given() {
        let sockets = bind_shared("127.0.0.1:0".parse().expect("an address"), 3).expect("binds");
        let ports: Vec<u16> = sockets
            .iter()
            .map(|socket| socket.local_addr().expect("bound").port())
            .collect();
        assert_eq!(ports.len(), 3);
        assert!(ports[0] != 0 && ports.iter().all(|&port| port == ports[0]));
    }
}
