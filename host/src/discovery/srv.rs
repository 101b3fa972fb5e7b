//! SRV records (RFC 2782) as endpoints.
//!
//! The records of the lowest priority value are active, all others backups: who comes after whom among the backups is lost. Every address
//! of a target is an endpoint of the record's weight. Targets whose addresses come with the answer are not asked for again.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::proto::rr::rdata::SRV;
use hickory_resolver::proto::rr::{Name, RData};

use super::found::{Family, Missing};
use super::look::Answer;
use super::resolver::{Addresses, Resolver, fully_qualified, ip_of, ttl_of};
use super::{Found, LookError};

/// Targets asked for at once.
const TARGETS_AT_ONCE: usize = 32;

/// The largest weight of an endpoint.
const WEIGHT_MAX: u16 = 256;

type Targets = BTreeMap<Name, Option<Addresses>>;

/// # Errors
/// [`LookError`] when the records cannot be had. A target that does not exist is left out; one that cannot be asked for is reported as
/// missing, since who is behind it may well be there.
pub(super) async fn look(resolver: &Resolver, name: &str) -> Result<Answer, LookError> {
    let (lookup, ttl) = resolver.services(name).await?;
    let records: Vec<&SRV> = services(&lookup).collect();
    let targets = resolve(resolver, &lookup, &records).await;
    let resolved = targets.values().flatten();
    let ttl = resolved
        .map(|addresses| addresses.ttl)
        .fold(ttl, Duration::min);
    Ok(Answer {
        found: endpoints(&records, &targets),
        ttl,
        missing: targets
            .into_values()
            .flatten()
            .filter_map(|addresses| addresses.missing)
            .collect(),
    })
}

/// The target `.` means that the service is decidedly not there.
fn services(lookup: &Lookup) -> impl Iterator<Item = &SRV> {
    let records = lookup.answers().iter();
    records.filter_map(|record| match &record.data {
        RData::SRV(service) if !service.target.is_root() && service.port > 0 => Some(service),
        _ => None,
    })
}

/// Bounded by the answer, at most 64 KiB with at least 20 bytes for each record, and by the look's deadline.
async fn resolve(resolver: &Resolver, lookup: &Lookup, records: &[&SRV]) -> Targets {
    let mut targets = told_along(lookup, records);
    let open: Vec<Name> = targets
        .iter()
        .filter(|(_, addresses)| addresses.is_none())
        .map(|(target, _)| target.clone())
        .collect();
    let questions = stream::iter(open).map(async |target| {
        let addresses = match resolver.addresses(&fully_qualified(&target)).await {
            Ok(addresses) => Some(addresses),
            Err(error) if error.is_absent() => None,
            Err(error) => Some(unknown(error)),
        };
        (target, addresses)
    });
    let answers: Vec<_> = questions.buffer_unordered(TARGETS_AT_ONCE).collect().await;
    targets.extend(answers);
    targets
}

fn unknown(error: LookError) -> Addresses {
    let families = &[Family::V4, Family::V6];
    Addresses {
        ips: Vec::new(),
        ttl: Duration::MAX,
        missing: Some(Missing { families, error }),
    }
}

/// Every target, with its addresses if the answer has them in its additional section.
fn told_along(lookup: &Lookup, records: &[&SRV]) -> Targets {
    let mut told: BTreeMap<&Name, Vec<_>> = BTreeMap::new();
    for record in lookup.additionals() {
        if ip_of(record).is_some() {
            told.entry(&record.name).or_default().push(record);
        }
    }
    let targets = records.iter().map(|service| {
        let addresses = told.get(&service.target).map(|records| Addresses {
            ips: records.iter().copied().filter_map(ip_of).collect(),
            ttl: ttl_of(records.iter().copied()),
            missing: None,
        });
        (service.target.clone(), addresses)
    });
    targets.collect()
}

fn endpoints(records: &[&SRV], targets: &Targets) -> Vec<Found> {
    let active = records.iter().map(|service| service.priority).min();
    let heaviest = records.iter().map(|service| service.weight).max();
    let each = records.iter().flat_map(|service| {
        let ips = targets.get(&service.target).into_iter().flatten();
        ips.flat_map(|addresses| &addresses.ips)
            .map(move |ip| Found {
                weight: scaled(service.weight, heaviest.unwrap_or_default()),
                backup: Some(service.priority) != active,
                ..Found::at(SocketAddr::new(*ip, service.port))
            })
    });
    each.collect()
}

/// Weights as they are, if they fit; otherwise so that the heaviest has the largest weight and shares stay as they were. A weight of 0 means
/// a very small chance (RFC 2782), not none, so nothing is less than 1.
fn scaled(weight: u16, heaviest: u16) -> u16 {
    let share = match heaviest {
        0..=WEIGHT_MAX => u32::from(weight),
        _ => u32::from(weight) * u32::from(WEIGHT_MAX) / u32::from(heaviest),
    };
    u16::try_from(share).map_or(WEIGHT_MAX, |share| share.clamp(1, WEIGHT_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_keep_their_shares_and_are_never_none() {
        for (weight, heaviest, expected) in [
            (0, 0, 1),
            (0, 10, 1),
            (10, 10, 10),
            (256, 256, 256),
            (0, 65_535, 1),
            (1, 65_535, 1),
            (32_768, 65_535, 128),
            (65_535, 65_535, 256),
            (300, 600, 128),
            (257, 257, 256),
        ] {
            assert_eq!(scaled(weight, heaviest), expected, "{weight} of {heaviest}");
        }
    }
}
