//! Addresses and networks as they are written.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use crate::net::address::{Address, ListenAddress, UNIX_PREFIX, UnixAddress};

use super::EndpointAddress;

/// `192.0.2.1:80`, `[::1]:80`, `*:80` for every address of both families, `unix:/run/web.sock` or `unix:@web`. Port 0 asks the system
/// for a free one.
pub(super) fn parse_listen(text: &str) -> Result<ListenAddress, String> {
    if let Some(unix) = text.strip_prefix(UNIX_PREFIX) {
        return UnixAddress::parse(unix).map(|unix| ListenAddress::One(Address::Unix(unix)));
    }
    if let Some(port) = text.strip_prefix("*:").and_then(parse_port) {
        return Ok(ListenAddress::Every(port));
    }
    text.parse::<SocketAddr>().map(ListenAddress::from).map_err(|_| {
        format!(
            "`{text}` is no address to listen on; write \"192.0.2.1:80\", \"[::1]:80\", \"*:80\" or \"unix:/run/web.sock\""
        )
    })
}

/// One IP address with its port, where nothing else is listened on.
pub(super) fn parse_socket(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        format!("`{text}` is no address to listen on here; write \"127.0.0.1:80\" or \"[::1]:80\"")
    })
}

/// An address and a port above 0, `name:port`, or a Unix socket.
pub(super) fn parse_endpoint(text: &str) -> Result<EndpointAddress, String> {
    if let Some(unix) = text.strip_prefix(UNIX_PREFIX) {
        return UnixAddress::parse(unix).map(EndpointAddress::Unix);
    }
    let (address, port) = match text.parse::<SocketAddr>() {
        Ok(address) => (EndpointAddress::Socket(address), address.port()),
        Err(_) => parse_name_and_port(text).ok_or_else(|| {
            format!(
                "`{text}` is no endpoint address; write \"192.0.2.1:80\", \"[::1]:80\", \"name:80\" or \"unix:/run/app.sock\""
            )
        })?,
    };
    match port {
        0 => Err("an endpoint needs a port above 0".to_owned()),
        _ => Ok(address),
    }
}

fn parse_name_and_port(text: &str) -> Option<(EndpointAddress, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    // What looks like an IPv4 address but is none (`10.0.0.256`) must not become a name.
    let last = host.trim_end_matches('.').rsplit('.').next()?;
    let numeric = last.bytes().all(|b| b.is_ascii_digit());
    (is_host_name(host) && !numeric).then_some(())?;
    let (host, port) = (host.to_ascii_lowercase(), parse_port(port)?);
    Some((EndpointAddress::Name { host, port }, port))
}

/// Digits alone: `parse` would take a sign.
fn parse_port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok())?
}

/// Letters, digits, `-`, `_`, in labels of 1 to 63 bytes; at most 253 in all (RFC 1035 section 2.3.4, plus the underscore in use).
pub(super) fn is_host_name(text: &str) -> bool {
    let text = text.strip_suffix('.').unwrap_or(text);
    text.len() <= 253
        && text.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        })
}

/// `10.0.0.0/8`, or one address. Bits beyond the prefix are refused: they mean that prefix or address is mistaken.
pub(super) fn parse_network(text: &str) -> Result<IpNet, String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address));
    }
    let network: IpNet = text.parse().map_err(|_| {
        format!("`{text}` is no network; write \"10.0.0.0/8\", \"2001:db8::/32\" or one address")
    })?;
    let truncated = network.trunc();
    match network == truncated {
        true => Ok(network),
        false => Err(format!(
            "`{text}` has bits beyond its prefix; did you mean `{truncated}`?"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listen_addresses_are_numeric_or_unix_sockets() {
        for (text, expected) in [
            ("127.0.0.1:80", Some("127.0.0.1:80")),
            ("[::]:0", Some("[::]:0")),
            ("*:8080", Some("*:8080")),
            ("*:0", Some("*:0")),
            ("unix:/run/web.sock", Some("unix:/run/web.sock")),
            ("unix:@web", Some("unix:@web")),
            ("unix:web.sock", None),
            ("unix:@", None),
            ("unix:", None),
            ("/run/web.sock", None),
            ("*:+80", None),
            ("*:65536", None),
            ("*:", None),
            ("localhost:80", None),
            (":80", None),
            ("80", None),
            ("::1:80", None),
        ] {
            let found = parse_listen(text).ok().map(|address| address.to_string());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_single_socket_is_an_ip_address() {
        assert!(parse_socket("127.0.0.1:0").is_ok() && parse_socket("[::1]:80").is_ok());
        for text in ["*:80", "unix:@a", "localhost:80", "127.0.0.1"] {
            assert!(parse_socket(text).is_err(), "{text}");
        }
    }

    #[test]
    fn endpoints_may_be_names_or_unix_sockets() {
        for (text, expected) in [
            ("127.0.0.1:80", Some("127.0.0.1:80")),
            ("[::1]:80", Some("[::1]:80")),
            ("Api.internal:8080", Some("api.internal:8080")),
            ("a_b:1", Some("a_b:1")),
            ("unix:/run/App.sock", Some("unix:/run/App.sock")),
            ("unix:@App", Some("unix:@App")),
            ("unix:80", None),
            ("api.internal", None),
            ("api:0", None),
            ("127.0.0.1:0", None),
            ("10.0.0.256:80", None),
            ("api:+80", None),
            ("a..b:80", None),
            ("http://api:80", None),
            ("*:80", None),
            (":80", None),
        ] {
            let found = parse_endpoint(text).ok().map(|address| address.to_string());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn networks_have_no_stray_bits() {
        for (text, expected) in [
            ("10.0.0.0/8", Some("10.0.0.0/8")),
            ("10.1.2.3", Some("10.1.2.3/32")),
            ("::1", Some("::1/128")),
            ("10.0.0.1/8", None),
            ("10.0.0.0/33", None),
            ("ten", None),
        ] {
            let found = parse_network(text).ok().map(|network| network.to_string());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }
}
