//! [`Found`], and lists of it in their one order.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use super::{ENDPOINTS_MAX, LookError};

/// An endpoint as found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub address: SocketAddr,
    /// The address as text, `ip:port`.
    pub label: String,
    /// 0 to 256, default 1; 0 takes no new work.
    pub weight: u16,
    /// Its own, or else what `discover` says for all.
    pub requests_max: Option<u32>,
    /// Takes traffic only when no other endpoint can.
    pub backup: bool,
    pub zone: Option<String>,
    /// What affinity knows it by. Default: its address.
    pub id: Option<String>,
}

impl Found {
    /// With weight 1, active, and nothing else said.
    pub(super) fn at(address: SocketAddr) -> Found {
        Found {
            address,
            label: address.to_string(),
            weight: 1,
            requests_max: None,
            backup: false,
            zone: None,
            id: None,
        }
    }
}

/// The two kinds of address, each asked for by a query of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    pub(super) fn of(address: IpAddr) -> Family {
        match address {
            IpAddr::V4(_) => Family::V4,
            IpAddr::V6(_) => Family::V6,
        }
    }
}

/// What could not be asked for while other questions were answered: what was known of it should be kept.
#[derive(Debug)]
pub(super) struct Missing {
    pub(super) families: &'static [Family],
    pub(super) error: LookError,
}

/// Sorted by address, each once. Of doubles the one that serves more stays: an active one before a backup, then the greater weight.
///
/// # Errors
/// [`LookError::Empty`] and [`LookError::TooMany`].
pub(super) fn sorted(found: impl IntoIterator<Item = Found>) -> Result<Vec<Found>, LookError> {
    let mut by_address: BTreeMap<SocketAddr, Found> = BTreeMap::new();
    for new in found {
        match by_address.get(&new.address) {
            Some(old) if standing(old) >= standing(&new) => {}
            _ => {
                by_address.insert(new.address, new);
            }
        }
        if by_address.len() > ENDPOINTS_MAX {
            return Err(LookError::TooMany);
        }
    }
    match by_address.is_empty() {
        true => Err(LookError::Empty),
        false => Ok(by_address.into_values().collect()),
    }
}

fn standing(found: &Found) -> (bool, u16) {
    (!found.backup, found.weight)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn numbered(number: usize) -> Found {
        let ip = Ipv4Addr::from_bits(0x0a00_0000 + u32::try_from(number).expect("small"));
        Found::at(SocketAddr::from((ip, 80)))
    }

    #[test]
    fn a_list_is_in_order_of_address_and_a_double_keeps_who_serves_more() {
        let with = |weight, backup| Found {
            weight,
            backup,
            ..numbered(7)
        };
        for (doubles, stays) in [
            ([with(1, false), with(2, false)], with(2, false)),
            ([with(9, true), with(1, false)], with(1, false)),
            ([with(1, false), with(9, true)], with(1, false)),
            ([with(3, true), with(4, true)], with(4, true)),
        ] {
            let list = sorted([numbered(9)].into_iter().chain(doubles)).expect("a list");
            assert_eq!(list, [stays, numbered(9)]);
        }
    }

    #[test]
    fn a_list_holds_one_to_ten_thousand_endpoints() {
        assert!(matches!(sorted([]), Err(LookError::Empty)));
        let most = sorted((0..ENDPOINTS_MAX).map(numbered)).expect("the most");
        assert_eq!(most.len(), ENDPOINTS_MAX);
        let more = sorted((0..=ENDPOINTS_MAX).map(numbered));
        assert!(matches!(more, Err(LookError::TooMany)));
        let doubled = (0..ENDPOINTS_MAX).chain([0, 1, 2]).map(numbered);
        assert_eq!(sorted(doubled).expect("doubles count once"), most);
    }
}
