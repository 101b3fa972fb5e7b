//! Allowed and denied networks. The most specific network that holds an address decides, as in a routing table, so the order in which they
//! are written does not matter; a network that is both allowed and denied is denied.

use std::net::IpAddr;

use tollgate_plugin_sdk::cidr::Network;
use tollgate_plugin_sdk::settings::Errors;

/// The networks, longest prefix first, of equals the denied ones first.
#[derive(Debug)]
pub(crate) struct Networks {
    entries: Vec<Entry>,
    /// What happens to an address in none of them: denied as soon as any network is allowed.
    otherwise: bool,
}

#[derive(Debug)]
struct Entry {
    network: Network,
    text: String,
    allowed: bool,
}

impl Networks {
    pub(crate) fn compile(allow: &[String], deny: &[String], errors: &mut Errors) -> Networks {
        let mut entries = parse("deny", deny, false, errors);
        entries.extend(parse("allow", allow, true, errors));
        // Stable: denied ones stay in front of allowed ones of the same prefix.
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.network.prefix()));
        Networks {
            entries,
            otherwise: allow.is_empty(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// A pass over the networks up to the first that holds the address.
    pub(crate) fn allows(&self, address: IpAddr) -> bool {
        let decisive = self
            .entries
            .iter()
            .find(|entry| entry.network.contains(address));
        decisive.map_or(self.otherwise, |entry| entry.allowed)
    }

    /// What happens to a peer without an address.
    pub(crate) fn allows_unknown(&self) -> bool {
        self.otherwise
    }

    /// The denied networks, when there are no others: only there can a connection be closed.
    pub(crate) fn only_denied(&self) -> Option<Vec<String>> {
        self.otherwise.then(|| {
            self.entries
                .iter()
                .map(|entry| entry.text.clone())
                .collect()
        })
    }
}

fn parse(member: &str, networks: &[String], allowed: bool, errors: &mut Errors) -> Vec<Entry> {
    errors.inside(member, |errors| {
        let parse = |(index, text): (usize, &String)| {
            let network = errors.inside(index, |errors| errors.check(text.parse()))?;
            Some(Entry {
                network,
                text: text.clone(),
                allowed,
            })
        };
        networks.iter().enumerate().filter_map(parse).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_network_decides_and_deny_wins_a_tie() {
        let list = |networks: &[&str]| {
            networks
                .iter()
                .map(|text| (*text).to_owned())
                .collect::<Vec<_>>()
        };
        let mut errors = Errors::new();
        let networks = Networks::compile(
            &list(&["10.0.0.0/8", "10.1.2.3", "172.16.0.0/12"]),
            &list(&["10.1.0.0/16", "172.16.0.0/12"]),
            &mut errors,
        );
        assert!(errors.is_empty());
        for (address, allowed) in [
            ("10.0.0.1", true),
            ("10.1.0.1", false),
            ("10.1.2.3", true),
            ("172.16.0.1", false),
            ("8.8.8.8", false),
        ] {
            assert_eq!(
                networks.allows(address.parse().expect("an address")),
                allowed,
                "{address}"
            );
        }
        assert!(!networks.allows_unknown() && networks.only_denied().is_none());
    }
}
