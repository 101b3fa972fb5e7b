//! A cluster's `endpoint`s, and the zone it prefers of theirs.

use std::collections::HashMap;

use super::address::parse_endpoint;
use super::decode::Decoder;
use super::listener::COUNT_MAX;
use super::suggest::did_you_mean;
use super::syntax::{Item, Node};
use super::{Discovery, Endpoint, EndpointAddress, Percent, Place, PreferZone, Spanned};

const SPILL_BELOW_DEFAULT: Percent = Percent(7_000);

impl Decoder<'_> {
    pub(super) fn endpoints(&mut self, cluster: &Node) -> Vec<Endpoint> {
        let mut endpoints: Vec<Endpoint> = Vec::new();
        let mut ids: HashMap<String, Place> = HashMap::new();
        for node in cluster.named("endpoint") {
            let Some(endpoint) = self.endpoint(node) else {
                continue;
            };
            let same = |other: &&Endpoint| other.address.value == endpoint.address.value;
            if let Some(first) = endpoints.iter().find(same) {
                self.diagnostics.error_with(
                    endpoint.address.place,
                    format!("endpoint `{}` is listed twice", endpoint.address.value),
                    Some("give one of them more `weight` instead".to_owned()),
                    (first.address.place, "first listed here"),
                );
            } else {
                self.check_id(node, &endpoint, &mut ids);
                self.check_unix_id(cluster, &endpoint);
            }
            endpoints.push(endpoint);
        }
        if cluster.child("endpoint").is_none() && cluster.child("discover").is_none() {
            let help = "endpoint \"127.0.0.1:9001\", or discover dns=\"api.internal:8080\"";
            self.error_help(cluster.place(), "this cluster has no endpoint", help);
        }
        endpoints
    }

    fn endpoint(&mut self, node: &Node) -> Option<Endpoint> {
        let weight = self.integer(node.property("weight"), 0..=256, 1) as u16;
        let requests_max = self.count(node.property("requests-max"));
        let backup = self.boolean(node.property("backup"), false);
        let zone = self.name(node.property("zone")).map(|zone| zone.value);
        let id = node.property("id");
        let id = id.and_then(|item| self.parsed(item, parse_id));
        Some(Endpoint {
            address: self.parsed(node.arguments.first()?, parse_endpoint)?,
            weight,
            requests_max,
            backup,
            zone,
            id: id.map(|id| id.value),
        })
    }

    /// An address that another endpoint has for its id would be as ambiguous as an id given twice.
    fn check_id(&mut self, node: &Node, endpoint: &Endpoint, ids: &mut HashMap<String, Place>) {
        let address = || endpoint.address.value.to_string();
        let id = endpoint.id.clone().unwrap_or_else(address);
        let item = node.property("id");
        let place = item.map_or(endpoint.address.place, |item| item.place);
        if let Some(first) = ids.get(&id) {
            let message = format!("two endpoints of this cluster have the id `{id}`");
            let related = (*first, "the other is here");
            self.diagnostics.error_with(place, message, None, related);
        } else {
            ids.insert(id, place);
        }
    }

    /// The path of a Unix socket may hold what an id must not.
    fn check_unix_id(&mut self, cluster: &Node, endpoint: &Endpoint) {
        let bound_by_cookie = || cluster.child("affinity")?.property("cookie");
        let address = &endpoint.address;
        if matches!(address.value, EndpointAddress::Unix(_))
            && endpoint.id.is_none()
            && bound_by_cookie().is_some()
            && let Err(why) = parse_id(&address.value.to_string())
        {
            let help = "give it an `id` of its own, which cookies name it by";
            self.error_help(address.place, why, help);
        }
    }

    pub(super) fn count(&mut self, item: Option<&Item>) -> Option<u32> {
        self.optional_integer(item, 1..=COUNT_MAX)
    }

    pub(super) fn prefer_zone(
        &mut self,
        cluster: &Node,
        endpoints: &[Endpoint],
        discovery: &[Discovery],
    ) -> Option<PreferZone> {
        let node = cluster.child("prefer-zone")?;
        let all = Percent(0)..=Percent(10_000);
        let spill_below = self.percent(node.property("spill-below"), all, SPILL_BELOW_DEFAULT);
        let zone = self.name(node.arguments.first())?;
        if discovery.is_empty() {
            self.warn_of_empty_zone(&zone, endpoints);
        }
        Some(PreferZone {
            zone: zone.value,
            spill_below,
        })
    }

    fn warn_of_empty_zone(&mut self, zone: &Spanned<String>, endpoints: &[Endpoint]) {
        let known = || endpoints.iter().filter_map(|known| known.zone.as_deref());
        if known().all(|known| known != zone.value) {
            let message = format!("no endpoint of this cluster is in zone `{}`", zone.value);
            let help = did_you_mean(&zone.value, known());
            self.diagnostics.warn(zone.place, message, help, None);
        }
    }
}

/// It stands in cookies: what ends or quotes a cookie's value (RFC 6265 section 4.1.1), and the `~` that ends a prefix, cannot be in it.
pub fn parse_id(text: &str) -> Result<String, String> {
    let good = |b: u8| b.is_ascii_graphic() && !b";,\"\\~".contains(&b);
    match (1..=64).contains(&text.len()) && text.bytes().all(good) {
        true => Ok(text.to_owned()),
        false => Err(
            "an endpoint's id is 1 to 64 visible ASCII characters without `;`, `,`, `\"`, `\\` and `~`"
                .to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_fit_into_cookies() {
        for text in ["a", "10.0.0.1:80", "[::1]:80", "a=b", &"x".repeat(64)] {
            assert_eq!(parse_id(text).as_deref(), Ok(text));
        }
        for text in [
            "",
            "a b",
            "a;b",
            "a,b",
            "a\"b",
            "a\\b",
            "a~b",
            "a\tb",
            "ä",
            &"x".repeat(65),
        ] {
            assert!(parse_id(text).is_err(), "{text}");
        }
    }
}
