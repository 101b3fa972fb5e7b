//! Where sockets are: IP addresses with a port, and Unix sockets by path or by abstract name.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::SocketAddr as UnixSocketAddr;
use std::sync::Arc;

/// What a peer on a Unix socket is taken for, which has no address of its own: it is on this machine.
pub const LOCAL_PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// The prefix of a Unix socket's address as written: `unix:/run/app.sock`, `unix:@name`.
pub const UNIX_PREFIX: &str = "unix:";

/// The longest path or name that the system takes (`sun_path` of Linux, without the byte that ends it).
const UNIX_BYTES_MAX: usize = 107;

/// The address of one socket.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    Ip(SocketAddr),
    Unix(UnixAddress),
}

/// The address of a Unix socket.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum UnixAddress {
    Path(Arc<str>),
    /// Of Linux: a name outside the file system, written `@name`.
    Abstract(Arc<str>),
}

/// What a listener binds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ListenAddress {
    One(Address),
    /// The port on every address of the machine, IPv4 and IPv6, by one socket; written `*:80`.
    Every(u16),
}

impl Address {
    /// The IP address and port, if it has them.
    pub fn ip(&self) -> Option<SocketAddr> {
        match self {
            Address::Ip(address) => Some(*address),
            Address::Unix(_) => None,
        }
    }

    /// What filters and headers see of it: a Unix socket counts as [`LOCAL_PEER`].
    pub fn as_peer(&self) -> SocketAddr {
        self.ip().unwrap_or(LOCAL_PEER)
    }
}

impl UnixAddress {
    /// Reads what stands behind `unix:`: a path from the root, or `@` and a name.
    ///
    /// # Errors
    /// What is wrong with it, for a person.
    pub fn parse(text: &str) -> Result<UnixAddress, String> {
        let length = text.strip_prefix('@').unwrap_or(text).len();
        if length > UNIX_BYTES_MAX || text.contains('\0') {
            return Err(format!(
                "a Unix socket's path or name has at most {UNIX_BYTES_MAX} bytes and no NUL"
            ));
        }
        match text.strip_prefix('@') {
            Some("") => Err("an abstract socket needs a name behind the `@`".to_owned()),
            Some(name) => Ok(UnixAddress::Abstract(name.into())),
            None if text.starts_with('/') => Ok(UnixAddress::Path(text.into())),
            None => Err(
                "a Unix socket is written \"unix:/run/app.sock\", with a path from the root, or \"unix:@name\""
                    .to_owned(),
            ),
        }
    }

    /// As the system takes it.
    ///
    /// # Errors
    /// The system's, for one that it cannot express.
    pub fn to_system(&self) -> io::Result<UnixSocketAddr> {
        match self {
            UnixAddress::Path(path) => UnixSocketAddr::from_pathname(&**path),
            UnixAddress::Abstract(name) => UnixSocketAddr::from_abstract_name(name.as_bytes()),
        }
    }
}

impl ListenAddress {
    /// Whether the system chooses the port.
    pub fn is_system_chosen(&self) -> bool {
        match self {
            ListenAddress::One(address) => address.ip().is_some_and(|address| address.port() == 0),
            ListenAddress::Every(port) => *port == 0,
        }
    }

    /// The addresses to try in turn: a machine may have no IPv6.
    pub fn candidates(&self) -> Vec<Address> {
        match self {
            ListenAddress::One(address) => vec![address.clone()],
            ListenAddress::Every(port) => vec![
                Address::Ip((Ipv6Addr::UNSPECIFIED, *port).into()),
                Address::Ip((Ipv4Addr::UNSPECIFIED, *port).into()),
            ],
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Address {
        Address::Ip(address)
    }
}

impl From<SocketAddr> for ListenAddress {
    fn from(address: SocketAddr) -> ListenAddress {
        ListenAddress::One(Address::Ip(address))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Ip(address) => address.fmt(f),
            Address::Unix(address) => address.fmt(f),
        }
    }
}

impl serde::Serialize for Address {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for UnixAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UnixAddress::Path(path) => write!(f, "{UNIX_PREFIX}{path}"),
            UnixAddress::Abstract(name) => write!(f, "{UNIX_PREFIX}@{name}"),
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenAddress::One(address) => address.fmt(f),
            ListenAddress::Every(port) => write!(f, "*:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unix_addresses_are_paths_from_the_root_or_abstract_names() {
        for (text, expected) in [
            ("/run/a.sock", Some("unix:/run/a.sock")),
            ("@a b", Some("unix:@a b")),
            ("run/a.sock", None),
            ("@", None),
            ("", None),
            ("/a\0b", None),
        ] {
            let found = UnixAddress::parse(text).ok();
            assert_eq!(
                found.map(|found| found.to_string()).as_deref(),
                expected,
                "{text:?}"
            );
        }
        assert!(UnixAddress::parse(&format!("/{}", "a".repeat(106))).is_ok());
        assert!(UnixAddress::parse(&format!("/{}", "a".repeat(107))).is_err());
    }
}
