//! Networks: an address and how many of its leading bits count.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::json::Json;
use crate::schema::Schema;
use crate::settings::{Errors, Settings};

/// A network such as `10.0.0.0/8` or `2001:db8::/32`; a bare address is a network of one.
///
/// Bits after the prefix must be zero: `10.0.0.1/8` is a mistake more often than a wish. An IPv4 network never holds an IPv6 address, except
/// one that is an IPv4 address in IPv6 dress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// Left-aligned, so that both families compare alike.
    bits: u128,
    prefix: u8,
    version_4: bool,
}

impl Network {
    /// Whether the address lies in this network.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let (bits, version_4) = left_aligned(address);
        version_4 == self.version_4 && (bits ^ self.bits) & mask(self.prefix) == 0
    }

    /// How many leading bits count: 0 to 32, or 0 to 128.
    #[must_use]
    pub fn prefix(&self) -> u8 {
        self.prefix
    }
}

/// The network of this many leading bits that an address lies in, for counting by networks: its first address. An IPv4 address in IPv6 dress is
/// an IPv4 address.
#[must_use]
pub fn network_of(address: IpAddr, ipv4_prefix: u8, ipv6_prefix: u8) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let mask = (mask(ipv4_prefix) >> 96) as u32;
            IpAddr::V4((address.to_bits() & mask).into())
        }
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() & mask(ipv6_prefix)).into()),
    }
}

impl FromStr for Network {
    type Err = BadNetwork;

    fn from_str(text: &str) -> Result<Self, BadNetwork> {
        let bad = |reason| BadNetwork {
            text: text.to_owned(),
            reason,
        };
        let (address, prefix) = text
            .split_once('/')
            .map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address
            .parse()
            .map_err(|_| bad("expected an address or a network such as `10.0.0.0/8`"))?;
        let (bits, version_4) = left_aligned(address);
        let longest = if version_4 { 32 } else { 128 };
        let prefix = match prefix {
            None => longest,
            Some(prefix) => decimal(prefix)
                .filter(|prefix| *prefix <= longest)
                .ok_or_else(|| bad("the prefix is too long or no number"))?,
        };
        match bits & !mask(prefix) {
            0 => Ok(Network {
                bits,
                prefix,
                version_4,
            }),
            _ => Err(bad("bits after the prefix are set")),
        }
    }
}

impl Settings for Network {
    const SCHEMA: Schema = Schema::Text { format: None };

    fn read(json: &Json, errors: &mut Errors) -> Option<Self> {
        let text = String::read(json, errors)?;
        errors.check(text.parse())
    }
}

/// Why a text is not a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadNetwork {
    text: String,
    reason: &'static str,
}

impl fmt::Display for BadNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not a network: {}", self.text, self.reason)
    }
}

impl std::error::Error for BadNetwork {}

fn left_aligned(address: IpAddr) -> (u128, bool) {
    match address.to_canonical() {
        IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, true),
        IpAddr::V6(address) => (address.to_bits(), false),
    }
}

fn mask(prefix: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0)
}

/// No sign, no leading zero.
fn decimal(text: &str) -> Option<u8> {
    let plain =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_their_addresses() {
        let cases = [
            ("10.0.0.0/8", "10.255.255.255", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("0.0.0.0/0", "255.255.255.255", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "1.2.3.4", false),
            ("::/0", "ffff::", true),
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("2001:db8::/33", "2001:db8:7fff::", true),
            ("2001:db8::/33", "2001:db8:8000::", false),
            ("192.0.2.128/25", "192.0.2.127", false),
        ];
        for (network, address, inside) in cases {
            let parsed: Network = network.parse().expect("a good network");
            assert_eq!(
                parsed.contains(address.parse().expect("a good address")),
                inside,
                "{network} {address}"
            );
        }
    }

    #[test]
    fn addresses_have_the_network_of_their_prefix() {
        let cases = [
            ("192.0.2.77", 32, "192.0.2.77"),
            ("192.0.2.77", 24, "192.0.2.0"),
            ("192.0.2.77", 0, "0.0.0.0"),
            ("::ffff:192.0.2.77", 24, "192.0.2.0"),
            ("2001:db8:1:2:3::4", 0, "2001:db8:1::"),
        ];
        for (address, prefix, network) in cases {
            let address = address.parse().expect("a good address");
            assert_eq!(network_of(address, prefix, 48).to_string(), network);
        }
    }

    #[test]
    fn what_is_not_a_network_is_refused() {
        for text in [
            "",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.1/8",
            "10.0.0.0/",
            "10.0.0.0/08",
            "10.0.0.0/+8",
            "10.0.0/8",
            "a",
        ] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
