//! Sets of address ranges: many CIDR blocks, one binary search.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

/// A set of networks as sorted, disjoint ranges, so that a deny list of thousands costs a dozen comparisons. IPv4 addresses in their
/// IPv6-mapped form count as IPv4.
#[derive(Debug, Default)]
pub(super) struct Networks {
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

impl Networks {
    /// Reads `10.0.0.0/8`, `2001:db8::/32` and single addresses. The host bits of a network are ignored.
    pub(super) fn parse(list: &[String]) -> Result<Networks, String> {
        let mut networks = Networks::default();
        for text in list {
            networks.add(parse_one(text).ok_or_else(|| {
                format!(
                    "`{}` is neither a network nor an address",
                    text.escape_debug()
                )
            })?);
        }
        merge(&mut networks.v4);
        merge(&mut networks.v6);
        Ok(networks)
    }

    pub(super) fn contains(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => holds(&self.v4, u32::from(address)),
            IpAddr::V6(address) => holds(&self.v6, u128::from(address)),
        }
    }

    fn add(&mut self, network: IpNet) {
        match network {
            IpNet::V4(network) => self
                .v4
                .push((network.network().into(), network.broadcast().into())),
            IpNet::V6(network) => match mapped_v4(network) {
                Some(range) => self.v4.push(range),
                None => self
                    .v6
                    .push((network.network().into(), network.broadcast().into())),
            },
        }
    }
}

fn parse_one(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| {
        text.parse()
            .ok()
            .map(|address: IpAddr| IpNet::from(address))
    })
}

/// The IPv4 range that a network below `::ffff:0:0/96` stands for.
fn mapped_v4(network: ipnet::Ipv6Net) -> Option<(u32, u32)> {
    let v4 = |address: std::net::Ipv6Addr| {
        address
            .to_ipv4_mapped()
            .map(|address: Ipv4Addr| u32::from(address))
    };
    Some((v4(network.network())?, v4(network.broadcast())?))
}

/// Sorts the ranges and joins those that overlap.
fn merge<N: Copy + Ord>(ranges: &mut Vec<(N, N)>) {
    ranges.sort_unstable();
    ranges.dedup_by(|next, kept| {
        let overlaps = next.0 <= kept.1;
        if overlaps {
            kept.1 = kept.1.max(next.1);
        }
        overlaps
    });
}

fn holds<N: Copy + Ord>(ranges: &[(N, N)], address: N) -> bool {
    let behind = ranges.partition_point(|range| range.0 <= address);
    behind > 0 && address <= ranges[behind - 1].1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_a_naive_search() {
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..200 {
            let texts: Vec<String> = (0..random.usize(0..20))
                .map(|_| random_network(&mut random))
                .collect();
            let naive: Vec<IpNet> = texts
                .iter()
                .map(|text| text.parse().expect("a network"))
                .collect();
            let networks = Networks::parse(&texts).expect("valid networks");
            for _ in 0..200 {
                let address = random_address(&mut random);
                assert_eq!(
                    networks.contains(address),
                    naive.iter().any(|network| network.contains(&address)),
                    "{address} in {texts:?}"
                );
            }
        }
    }

    fn random_network(random: &mut fastrand::Rng) -> String {
        let address = random_address(random);
        let bits = if address.is_ipv4() {
            random.u8(8..=32)
        } else {
            random.u8(112..=128)
        };
        format!("{address}/{bits}")
    }

    fn random_address(random: &mut fastrand::Rng) -> IpAddr {
        if random.bool() {
            IpAddr::from([10, random.u8(0..3), random.u8(..), random.u8(..)])
        } else {
            IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, random.u16(0..2), random.u16(..)])
        }
    }

    #[test]
    fn mapped_addresses_and_networks_count_as_ipv4() {
        let networks = Networks::parse(&["::ffff:10.0.0.0/104".to_owned(), "192.0.2.1".to_owned()])
            .expect("valid networks");
        for (address, expected) in [
            ("10.9.9.9", true),
            ("::ffff:10.9.9.9", true),
            ("::ffff:192.0.2.1", true),
            ("11.0.0.0", false),
            ("::", false),
        ] {
            assert_eq!(
                networks.contains(address.parse().expect("an address")),
                expected,
                "{address}"
            );
        }
    }

    #[test]
    fn the_whole_space_and_its_ends() {
        let networks = Networks::parse(&["0.0.0.0/0".to_owned()]).expect("valid network");
        assert!(
            networks.contains(IpAddr::from([0, 0, 0, 0]))
                && networks.contains(IpAddr::from([255; 4]))
        );
        assert!(!networks.contains(IpAddr::from([1u16; 8])));
    }
}
