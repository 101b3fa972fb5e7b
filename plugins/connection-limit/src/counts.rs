//! The counts of one network: its open connections, and the bucket of its new ones.

use std::net::IpAddr;
use std::time::Duration;

use tollgate_plugin_sdk::cidr::network_of;
use tollgate_plugin_sdk::settings::{self, Rate};
use tollgate_plugin_sdk::store::{Store, StoreError, Ttl};

use crate::{ConnectionLimitSettings, Over};

/// The limits, and where their counts are.
pub(crate) struct Counts {
    store: Store,
    connections_max: Option<i64>,
    /// With its burst.
    rate: Option<(Rate, u64)>,
    prefixes: (u8, u8),
    name: Option<String>,
    digest: u64,
    forget: Duration,
}

impl Counts {
    pub(crate) fn new(store: Store, settings: &ConnectionLimitSettings) -> Counts {
        let burst = |rate: Rate| settings.burst.map_or(rate.count, u64::from);
        Counts {
            store,
            connections_max: settings.connections_max.map(i64::from),
            rate: settings.rate.map(|rate| (rate, burst(rate))),
            prefixes: (settings.ipv4_prefix, settings.ipv6_prefix),
            name: settings.name.clone(),
            digest: settings::digest(),
            forget: settings.forget,
        }
    }

    pub(crate) fn wants_closes(&self) -> bool {
        self.connections_max.is_some()
    }

    /// Counts a new connection: which limit it is over, and whether it counts as open. One over a limit counts only in a trial, where it is
    /// let in.
    pub(crate) fn open(
        &self,
        address: IpAddr,
        listener: &str,
        trial: bool,
    ) -> Result<(Option<Over>, bool), StoreError> {
        let mut over = None;
        if let Some((rate, burst)) = self.rate {
            let key = self.key(b'r', address, listener);
            let found = self.store.bucket(&key, burst, rate.count, rate.period, 1)?;
            if !found.allowed {
                over = Some(Over::Rate);
            }
        }
        let Some(most) = self.connections_max.filter(|_| over.is_none() || trial) else {
            return Ok((over, false));
        };
        let key = self.key(b'c', address, listener);
        let open = self.store.add(&key, 1, Ttl::Of(self.forget))?;
        if open > most {
            over = over.or(Some(Over::Connections));
            if !trial {
                self.store.add(&key, -1, Ttl::Of(self.forget))?;
                return Ok((over, false));
            }
        }
        self.store.touch(&key, Ttl::Of(self.forget))?;
        Ok((over, true))
    }

    /// Takes a connection off that was counted. Its count may have been forgotten: then there is nothing to take it off.
    pub(crate) fn close(&self, address: IpAddr, listener: &str) -> Result<(), StoreError> {
        let key = self.key(b'c', address, listener);
        let open = self.store.add(&key, -1, Ttl::Of(self.forget))?;
        if open < 0 {
            self.store.add(&key, 1, Ttl::Of(self.forget))?;
        }
        self.store.touch(&key, Ttl::Of(self.forget))?;
        Ok(())
    }

    fn key(&self, kind: u8, address: IpAddr, listener: &str) -> Vec<u8> {
        let mut key = vec![kind];
        match &self.name {
            Some(name) => key.extend_from_slice(format!("n{name}").as_bytes()),
            // A listener's name has at most 128 bytes.
            None => key.extend_from_slice(format!("u{:016x}{listener}", self.digest).as_bytes()),
        }
        key.push(0);
        match network_of(address, self.prefixes.0, self.prefixes.1) {
            IpAddr::V4(network) => key.extend_from_slice(&network.octets()),
            IpAddr::V6(network) => key.extend_from_slice(&network.octets()),
        }
        key
    }
}
