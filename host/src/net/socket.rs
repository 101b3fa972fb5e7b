//! Listening sockets: for an IP address one per worker, sharing the port by `SO_REUSEPORT`; for a Unix address one that all workers share.

use super::address::{Address, ListenAddress, UnixAddress};
use super::stream::Stream;
use socket2::{Domain, Protocol, Socket, Type};
use std::fs::Permissions;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Connections that wait in the kernel for the worker to accept them; the system's `somaxconn` may lower it.
const BACKLOG: i32 = 4096;

/// A bound socket that accepts connections.
#[derive(Debug)]
pub enum Listening {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// The same, in an event loop.
#[derive(Debug)]
pub enum Acceptor {
    Tcp(tokio::net::TcpListener),
    Unix(tokio::net::UnixListener),
}

impl Listening {
    /// Where it listens, for the log.
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Listening::Tcp(socket) => socket.local_addr().ok(),
            Listening::Unix(_) => None,
        }
    }

    /// Registers it with the event loop of this thread.
    ///
    /// # Errors
    /// The system's.
    pub fn register(self) -> io::Result<Acceptor> {
        Ok(match self {
            Listening::Tcp(socket) => Acceptor::Tcp(tokio::net::TcpListener::from_std(socket)?),
            Listening::Unix(socket) => Acceptor::Unix(tokio::net::UnixListener::from_std(socket)?),
        })
    }
}

impl Acceptor {
    /// The next connection, with its peer. Cancel safe.
    ///
    /// # Errors
    /// The system's, about one connection or about the process.
    pub async fn accept(&self) -> io::Result<(Stream, Address)> {
        match self {
            Acceptor::Tcp(socket) => {
                let (stream, peer) = socket.accept().await?;
                Ok((Stream::Tcp(stream), Address::Ip(canonical(peer))))
            }
            Acceptor::Unix(socket) => {
                let (stream, _) = socket.accept().await?;
                Ok((Stream::Unix(stream), unnamed()))
            }
        }
    }

    /// The address that it listens on, where that is one address.
    pub fn local(&self) -> Option<SocketAddr> {
        match self {
            Acceptor::Tcp(socket) => {
                let local = socket.local_addr().ok()?;
                (!local.ip().is_unspecified()).then_some(local)
            }
            Acceptor::Unix(_) => Some(super::address::LOCAL_PEER),
        }
    }

    /// The connections that wait in the kernel at this moment: a socket that is closed resets them.
    pub fn into_waiting(self) -> Vec<(Stream, Address)> {
        match self {
            Acceptor::Tcp(socket) => socket.into_std().map_or(Vec::new(), |socket| {
                let accepted = std::iter::from_fn(|| socket.accept().ok());
                accepted
                    .filter_map(|(stream, peer)| {
                        stream.set_nonblocking(true).ok()?;
                        let stream = tokio::net::TcpStream::from_std(stream).ok()?;
                        Some((Stream::Tcp(stream), Address::Ip(canonical(peer))))
                    })
                    .collect()
            }),
            // Other workers, and the next generation perhaps, accept from the same queue.
            Acceptor::Unix(socket) => socket.into_std().map_or(Vec::new(), |socket| {
                let accepted = std::iter::from_fn(|| socket.accept().ok());
                accepted
                    .filter_map(|(stream, _)| {
                        stream.set_nonblocking(true).ok()?;
                        let stream = tokio::net::UnixStream::from_std(stream).ok()?;
                        Some((Stream::Unix(stream), unnamed()))
                    })
                    .collect()
            }),
        }
    }
}

/// The peer of a Unix socket: clients have no name as a rule.
fn unnamed() -> Address {
    Address::Unix(UnixAddress::Abstract("".into()))
}

/// An IPv4 peer on a socket for both families comes as an IPv6 address that holds the other.
pub fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Binds `count` sockets to one address; port 0 becomes one port for all of them. `unix_mode` is for the file of a Unix socket.
///
/// # Errors
/// The first socket's error names the reason (in use, not permitted, not an address of this machine). Nothing stays bound then.
pub fn bind_shared(
    address: &ListenAddress,
    count: usize,
    unix_mode: Option<u32>,
) -> io::Result<Vec<Listening>> {
    let both_families = matches!(address, ListenAddress::Every(_));
    let mut failed = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for candidate in address.candidates() {
        match bind_candidate(&candidate, count, both_families, unix_mode) {
            Err(error) if both_families && is_without_family(&error) => failed = error,
            done => return done,
        }
    }
    Err(failed)
}

/// Whether the machine lacks IPv6.
fn is_without_family(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable
        || error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error())
}

fn bind_candidate(
    address: &Address,
    count: usize,
    both_families: bool,
    unix_mode: Option<u32>,
) -> io::Result<Vec<Listening>> {
    match address {
        Address::Ip(address) => {
            let first = bind_one(*address, both_families)?;
            let bound = first.local_addr()?;
            let mut sockets = vec![Listening::Tcp(first)];
            for _ in 1..count {
                sockets.push(Listening::Tcp(bind_one(bound, both_families)?));
            }
            Ok(sockets)
        }
        Address::Unix(address) => {
            let first = bind_unix(address, unix_mode)?;
            first.set_nonblocking(true)?;
            let mut sockets = Vec::with_capacity(count);
            for _ in 1..count {
                sockets.push(Listening::Unix(first.try_clone()?));
            }
            sockets.push(Listening::Unix(first));
            Ok(sockets)
        }
    }
}

fn bind_one(address: SocketAddr, both_families: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(!both_families)?;
    }
    // Accepted connections inherit it.
    socket.set_tcp_nodelay(true)?;
    #[cfg(target_os = "linux")]
    {
        // That the first bytes have come is said along with the answer, not by a segment of its own (HAProxy's `tcp-smart-accept`). Inherited, too.
        let _ = socket.set_tcp_quickack(false);
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn bind_unix(address: &UnixAddress, mode: Option<u32>) -> io::Result<UnixListener> {
    let UnixAddress::Path(path) = address else {
        return listen_unix(address);
    };
    let path = Path::new(&**path);
    refuse_taken(path)?;
    // Under another name until its permissions are right and it listens; the renaming replaces what a process that died left behind.
    let under = preliminary(path);
    let preliminary = UnixAddress::Path(under.to_string_lossy().into());
    let bound = listen_unix(&preliminary).and_then(|socket| {
        if let Some(mode) = mode {
            std::fs::set_permissions(&under, Permissions::from_mode(mode))?;
        }
        std::fs::rename(&under, path)?;
        Ok(socket)
    });
    if bound.is_err() {
        // It may not have come to be.
        let _ = std::fs::remove_file(&under);
    }
    bound
}

fn listen_unix(address: &UnixAddress) -> io::Result<UnixListener> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    let named = match address {
        UnixAddress::Path(path) => rustix::net::SocketAddrUnix::new(&**path)?,
        UnixAddress::Abstract(name) => {
            rustix::net::SocketAddrUnix::new_abstract_name(name.as_bytes())?
        }
    };
    rustix::net::bind(&socket, &named)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// A name beside the path, as short as can be: the length is limited.
fn preliminary(path: &Path) -> PathBuf {
    path.with_file_name(format!(".{:x}", std::process::id()))
}

/// A socket on which somebody listens is not taken away, nor is any other file.
fn refuse_taken(path: &Path) -> io::Result<()> {
    let Ok(metadata) = std::fs::symlink_metadata(path) else {
        return Ok(());
    };
    if !metadata.file_type().is_socket() {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "there is a file of that name which is no socket",
        ));
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
        Err(error) if is_abandoned(&error) => Ok(()),
        // Not ours to look at, say; that does not mean that nobody listens.
        Err(error) => Err(error),
    }
}

/// Nobody listens on it, or whoever did has just removed it.
fn is_abandoned(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, NotFound};
    matches!(error.kind(), ConnectionRefused | NotFound)
}

/// Sets the permissions of the file of a Unix socket; other addresses have none.
///
/// # Errors
/// The system's: somebody may have removed the file.
pub fn set_mode(address: &ListenAddress, mode: u32) -> io::Result<()> {
    match address {
        ListenAddress::One(Address::Unix(UnixAddress::Path(path))) => {
            std::fs::set_permissions(&**path, Permissions::from_mode(mode))
        }
        _ => Ok(()),
    }
}

/// Removes the file of a Unix socket that nobody listens on any more.
pub fn remove_file(address: &ListenAddress) {
    if let ListenAddress::One(Address::Unix(UnixAddress::Path(path))) = address {
        // Somebody else may have removed it.
        let _ = std::fs::remove_file(&**path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen(text: &str) -> ListenAddress {
        text.parse::<SocketAddr>().expect("an address").into()
    }

    #[test]
    fn all_sockets_share_the_port_that_the_first_was_given() {
        let sockets = bind_shared(&listen("127.0.0.1:0"), 3, None).expect("binds");
        let ports: Vec<u16> = sockets
            .iter()
            .map(|socket| socket.address().expect("bound").port())
            .collect();
        assert_eq!(ports.len(), 3);
        assert!(ports[0] != 0 && ports.iter().all(|&port| port == ports[0]));
    }

    #[test]
    fn every_address_takes_both_families() {
        let sockets = bind_shared(&ListenAddress::Every(0), 1, None).expect("binds");
        let port = sockets[0].address().expect("bound").port();
        std::net::TcpStream::connect(("127.0.0.1", port)).expect("IPv4 connects");
        // A machine without IPv6 has none to connect by.
        if TcpListener::bind("[::1]:0").is_ok() {
            std::net::TcpStream::connect(("::1", port)).expect("IPv6 connects");
        }
    }

    #[test]
    fn a_unix_socket_replaces_one_that_nobody_listens_on_and_nothing_else() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a.sock");
        let address = ListenAddress::One(Address::Unix(UnixAddress::Path(
            path.to_string_lossy().into(),
        )));
        let first = bind_shared(&address, 2, Some(0o600)).expect("binds");
        assert_eq!(first.len(), 2);
        let mode = path.metadata().expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        UnixStream::connect(&path).expect("connects");
        let taken = bind_shared(&address, 1, None).expect_err("somebody listens");
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        drop(first);
        drop(bind_shared(&address, 1, None).expect("what was left behind is replaced"));
        remove_file(&address);
        std::fs::write(&path, "precious").expect("writes");
        assert!(bind_shared(&address, 1, None).is_err());
        assert_eq!(std::fs::read(&path).expect("still there"), b"precious");
    }

    #[test]
    fn an_abstract_socket_leaves_no_file() {
        let name = format!("tollgate-test-{}", std::process::id());
        let address = UnixAddress::Abstract(name.as_str().into());
        let _bound = bind_shared(&ListenAddress::One(Address::Unix(address.clone())), 1, None)
            .expect("binds");
        let system = address.to_system().expect("expressible");
        UnixStream::connect_addr(&system).expect("connects");
    }
}
