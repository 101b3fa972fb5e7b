//! Addresses and networks as they are written.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ipnet::IpNet;

use super::EndpointAddress;

/// `192.0.2.1:80`, `[::1]:80`, or `*:80` for every IPv4 address. Port 0 asks the system for a free one.
pub(super) fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    if let Some(port) = text.strip_prefix("*:").and_then(|port| port.parse().ok()) {
        return Ok(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)));
    }
    text.parse().map_err(|_| {
        format!(
            "`{text}` is no address to listen on; write \"192.0.2.1:80\", \"[::1]:80\" or \"*:80\""
        )
    })
}

/// As [`parse_listen`], without the wildcard; or `name:port`.
pub(super) fn parse_endpoint(text: &str) -> Result<EndpointAddress, String> {
    let address = match text.parse::<SocketAddr>() {
        Ok(address) => EndpointAddress::Socket(address),
        Err(_) => parse_name_and_port(text).ok_or_else(|| {
            format!("`{text}` is no endpoint address; write \"192.0.2.1:80\", \"[::1]:80\" or \"name:80\"")
        })?,
    };
    match address.port() {
        0 => Err("an endpoint needs a port above 0".to_owned()),
        _ => Ok(address),
    }
}

impl EndpointAddress {
    pub fn port(&self) -> u16 {
        match self {
            Self::Socket(address) => address.port(),
            Self::Name { port, .. } => *port,
        }
    }
}

fn parse_name_and_port(text: &str) -> Option<EndpointAddress> {
    let (host, port) = text.rsplit_once(':')?;
    // What looks like an IPv4 address but is none (`10.0.0.256`) must not become a name.
    let last = host.trim_end_matches('.').rsplit('.').next()?;
    let numeric = last.bytes().all(|b| b.is_ascii_digit());
    (is_host_name(host) && !numeric).then_some(())?;
    let port = port.bytes().all(|b| b.is_ascii_digit()).then_some(port)?;
    Some(EndpointAddress::Name {
        host: host.to_ascii_lowercase(),
        port: port.parse().ok()?,
    })
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
    fn listen_addresses_are_numeric() {
        for (text, expected) in [
            ("127.0.0.1:80", Some("127.0.0.1:80")),
            ("[::]:0", Some("[::]:0")),
            ("*:8080", Some("0.0.0.0:8080")),
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
    fn endpoints_may_be_names() {
        for (text, expected) in [
            ("127.0.0.1:80", Some("127.0.0.1:80")),
            ("[::1]:80", Some("[::1]:80")),
            ("Api.internal:8080", Some("api.internal:8080")),
            ("a_b:1", Some("a_b:1")),
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
