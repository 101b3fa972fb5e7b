//! A cluster's `discover` nodes.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use super::address::{is_host_name, parse_endpoint};
use super::decode::{Decoder, words};
use super::syntax::{Item, Node};
use super::{Discovery, DiscoverySource, EndpointAddress, Spanned};

const REFRESH_RANGE: RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(24 * 3600);
/// A resolver asks one after the other; more than these are a mistake.
const NAMESERVERS_MAX: usize = 16;
const DNS_PORT: u16 = 53;

impl Decoder<'_> {
    pub(super) fn discovery(&mut self, cluster: &Node) -> Vec<Discovery> {
        let mut all: Vec<Discovery> = Vec::new();
        for node in cluster.named("discover") {
            let Some(found) = self.discover(node) else {
                continue;
            };
            let same = |other: &&Discovery| other.source.value == found.source.value;
            if let Some(first) = all.iter().find(same) {
                let message = "this source is asked twice";
                let related = (first.source.place, "first here");
                let place = found.source.place;
                self.diagnostics.error_with(place, message, None, related);
            }
            all.push(found);
        }
        all
    }

    fn discover(&mut self, node: &Node) -> Option<Discovery> {
        let refresh = self.optional_duration(node.property("refresh"), REFRESH_RANGE);
        let nameservers = node
            .property("nameserver")
            .and_then(|item| self.parsed(item, parse_nameservers));
        let requests_max = self.count(node.property("requests-max"));
        let (kind, item) = self.one_property(node, &["dns", "srv", "file"])?;
        let source = match kind {
            "dns" => self.parsed(item, parse_dns),
            "srv" => self.parsed(item, parse_srv),
            _ => {
                let why = "means nothing for a file: it is watched";
                self.refuse_properties(node, &["refresh", "nameserver"], why);
                self.discovery_file(item)
            }
        };
        Some(Discovery {
            source: source?,
            refresh,
            nameservers: nameservers.map_or(Vec::new(), |found| found.value),
            requests_max,
        })
    }

    fn discovery_file(&mut self, item: &Item) -> Option<Spanned<DiscoverySource>> {
        let path = self.path_beside(item)?;
        let extension = path.value.extension().and_then(|found| found.to_str());
        if !matches!(extension, Some("json" | "kdl")) {
            let message = "the file of a discovery ends in `.json` or `.kdl`";
            self.error(path.place, message);
        }
        Some(Spanned {
            value: DiscoverySource::File(path.value),
            place: path.place,
        })
    }
}

fn parse_dns(text: &str) -> Result<DiscoverySource, String> {
    match parse_endpoint(text) {
        Ok(EndpointAddress::Name { host, port }) => Ok(DiscoverySource::Dns { host, port }),
        Ok(EndpointAddress::Socket(_) | EndpointAddress::Unix(_)) => Err(format!(
            "`{text}` is an address already; write endpoint \"{text}\""
        )),
        Err(_) => Err(format!(
            "`{text}` is no name with a port; write \"api.internal:8080\""
        )),
    }
}

fn parse_srv(text: &str) -> Result<DiscoverySource, String> {
    if text.contains(':') {
        return Err(
            "an SRV record says the port; write \"_http._tcp.api.internal\" without one".to_owned(),
        );
    }
    match is_host_name(text) {
        true => Ok(DiscoverySource::Srv {
            name: text.to_ascii_lowercase(),
        }),
        false => Err(format!(
            "`{text}` is no name; write \"_http._tcp.api.internal\""
        )),
    }
}

fn parse_nameservers(text: &str) -> Result<Vec<SocketAddr>, String> {
    let servers: Vec<SocketAddr> = words(text)
        .map(parse_nameserver)
        .collect::<Result<_, _>>()?;
    match servers.len() {
        0 => Err("expected the address of a name server, such as \"127.0.0.1:5353\"".to_owned()),
        1..=NAMESERVERS_MAX => Ok(servers),
        _ => Err(format!("more than {NAMESERVERS_MAX} name servers")),
    }
}

fn parse_nameserver(word: &str) -> Result<SocketAddr, String> {
    let address = match word.parse::<IpAddr>() {
        Ok(address) => Some(SocketAddr::new(address, DNS_PORT)),
        Err(_) => word.parse::<SocketAddr>().ok(),
    };
    address
        .filter(|address| address.port() != 0)
        .ok_or_else(|| {
            format!(
                "`{word}` is no address of a name server; write \"192.0.2.53\" or \"[::1]:5353\""
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_from_addresses() {
        let dns = |host: &str, port| DiscoverySource::Dns {
            host: host.to_owned(),
            port,
        };
        for (text, expected) in [
            ("Api.internal:8080", Some(dns("api.internal", 8080))),
            ("api:1", Some(dns("api", 1))),
            ("api.internal", None),
            ("api:0", None),
            ("127.0.0.1:80", None),
            ("[::1]:80", None),
            ("", None),
        ] {
            assert_eq!(parse_dns(text).ok(), expected, "{text}");
        }
        let srv = |name: &str| DiscoverySource::Srv {
            name: name.to_owned(),
        };
        for (text, expected) in [
            (
                "_http._tcp.API.internal",
                Some(srv("_http._tcp.api.internal")),
            ),
            ("api.internal.", Some(srv("api.internal."))),
            ("_http._tcp.api:80", None),
            ("a..b", None),
            ("", None),
        ] {
            assert_eq!(parse_srv(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn nameservers_have_a_port_of_their_own() {
        for (text, expected) in [
            ("192.0.2.1", Some(vec!["192.0.2.1:53"])),
            ("192.0.2.1:5353", Some(vec!["192.0.2.1:5353"])),
            (
                "::1, [::1]:54 10.0.0.1",
                Some(vec!["[::1]:53", "[::1]:54", "10.0.0.1:53"]),
            ),
            ("", None),
            (",", None),
            ("dns.internal", None),
            ("192.0.2.1:0", None),
            ("192.0.2.1;192.0.2.2", None),
        ] {
            let found = parse_nameservers(text).ok();
            let found = found.map(|list| list.iter().map(ToString::to_string).collect::<Vec<_>>());
            let expected = expected.map(|list| list.into_iter().map(str::to_owned).collect());
            assert_eq!(found, expected, "{text}");
        }
        assert!(parse_nameservers(&"::1 ".repeat(16)).is_ok());
        assert!(parse_nameservers(&"::1 ".repeat(17)).is_err());
    }
}
