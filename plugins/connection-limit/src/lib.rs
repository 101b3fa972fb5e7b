//! Network filter `connection-limit`: so many connections at once from a source network, and so many new ones in a time. The counting is the
//! host's; which counts there are is in `counts.rs`.

mod counts;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::time::Duration;

use counts::Counts;
use tollgate_plugin_sdk::cidr::Network;
use tollgate_plugin_sdk::metrics::Counter;
use tollgate_plugin_sdk::prelude::*;
use tollgate_plugin_sdk::settings::Rate;
use tollgate_plugin_sdk::store::{Store, StoreError};
use tollgate_plugin_sdk::{clock, is_header_name, settings, warn};

/// How often a store that answers nothing is said in the log, at most, by each instance.
const COMPLAINT_EVERY: Duration = Duration::from_secs(10);
const NAME_BYTES_MAX: usize = 64;

/// Settings of the filter.
#[derive(Settings)]
pub struct ConnectionLimitSettings {
    /// Connections at once from one network; no limit when absent.
    #[setting(range = 1..=10000000)]
    connections_max: Option<u32>,
    /// New connections from one network and the time they may take, such as `20/10s`; no limit when absent.
    rate: Option<Rate>,
    /// How many new connections may come at once; the number of the rate when absent.
    #[setting(range = 1..=1000000000)]
    burst: Option<u32>,
    /// How many leading bits of an IPv4 address make its network.
    #[setting(default = 32, range = 0..=32)]
    ipv4_prefix: u8,
    /// How many leading bits of an IPv6 address make its network.
    #[setting(default = 64, range = 0..=128)]
    ipv6_prefix: u8,
    /// Networks that are neither limited nor counted.
    exempt: Vec<String>,
    /// Limits of one name in one store count together, over listeners too. When absent, each listener counts for itself.
    name: Option<String>,
    /// The store that counts are kept in; one that the plugin was granted. The first of those when absent.
    store: Option<String>,
    /// What happens to a connection that cannot be counted, since the store is full or away.
    #[setting(default = "allow")]
    on_store_error: OnStoreError,
    /// When the count of a network is forgotten of which no connection comes or goes: what a fault has left in it, with it.
    #[setting(default = "1h")]
    forget: Duration,
    /// Count and measure, and let everything in.
    dry_run: bool,
}

/// What happens when a connection cannot be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Settings)]
pub enum OnStoreError {
    /// It is let in, uncounted.
    Allow,
    /// It is closed.
    Deny,
}

/// The filter.
pub struct ConnectionLimit {
    counts: Option<Counts>,
    exempt: Vec<(String, Network)>,
    on_store_error: OnStoreError,
    dry_run: bool,
    /// On connections that were counted, and so are taken off again.
    tag: String,
    refused: [Option<Counter>; 3],
    complained: Cell<Option<Duration>>,
}

/// Why a connection is over a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Over {
    Connections,
    Rate,
}

impl NetworkFilter for ConnectionLimit {
    type Settings = ConnectionLimitSettings;

    fn new(settings: ConnectionLimitSettings) -> Result<Self, Errors> {
        let mut errors = Errors::new();
        check(&settings, &mut errors);
        let store = match &settings.store {
            None => Store::of_setting(None, &mut errors),
            Some(name) => errors.inside("store", |errors| Store::of_setting(Some(name), errors)),
        };
        let exempt = errors.inside("exempt", |errors| networks(&settings.exempt, errors));
        let counter = |reason| {
            let help = "Connections over a limit, or that could not be counted";
            Counter::define("connections_over", help, &[("reason", reason)]).ok()
        };
        errors.finish(ConnectionLimit {
            on_store_error: settings.on_store_error,
            dry_run: settings.dry_run,
            tag: format!("connection-limit.{:016x}", settings::digest()),
            refused: ["connections", "rate", "store-error"].map(counter),
            counts: store.map(|store| Counts::new(store, &settings)),
            exempt,
            complained: Cell::new(None),
        })
    }

    fn plan(&self) -> NetworkPlan {
        let listener = Field::Listener;
        let plan = NetworkPlan::nothing().on_accept([Field::ClientAddress, listener.clone()]);
        let plan = match self.counts.as_ref().is_some_and(Counts::wants_closes) {
            true => plan.on_close([Field::ClientAddress, listener, Field::Tag(self.tag.clone())]),
            false => plan,
        };
        match self.exempt.is_empty() {
            true => plan,
            false => plan.guard(not(source(
                self.exempt.iter().map(|(text, _)| text.clone()),
            ))),
        }
    }

    fn accept(&self, connection: &Connection) -> Accepted {
        let Some(address) = connection.client_address() else {
            // Nobody's network: there is nothing to count by.
            return Accepted::next();
        };
        let Some(counts) = &self.counts else {
            return Accepted::next();
        };
        if self
            .exempt
            .iter()
            .any(|(_, network)| network.contains(address))
        {
            return Accepted::next();
        }
        match counts.open(address, &connection.listener(), self.dry_run) {
            Ok((None, counted)) => self.let_in(counted),
            Ok((Some(over), counted)) => {
                self.count(over as usize);
                match self.dry_run {
                    true => self.let_in(counted),
                    false => Accepted::Close,
                }
            }
            Err(error) => self.on_error(&error),
        }
    }

    fn close(&self, connection: &Connection) {
        let counted = connection.tag(&self.tag).is_some();
        let counts = self.counts.as_ref().filter(|_| counted);
        if let (Some(counts), Some(address)) = (counts, connection.client_address())
            && let Err(error) = counts.close(address, &connection.listener())
        {
            self.complain(&error);
        }
    }
}

impl ConnectionLimit {
    fn let_in(&self, counted: bool) -> Accepted {
        let mut tags = Edits::new();
        if counted {
            tags.tag(&self.tag, "1");
        }
        Accepted::Next(tags)
    }

    fn on_error(&self, error: &StoreError) -> Accepted {
        self.count(2);
        self.complain(error);
        match self.on_store_error {
            OnStoreError::Deny if !self.dry_run => Accepted::Close,
            OnStoreError::Allow | OnStoreError::Deny => Accepted::next(),
        }
    }

    fn count(&self, reason: usize) {
        if let Some(Some(counter)) = self.refused.get(reason) {
            counter.add(1.0);
        }
    }

    fn complain(&self, error: &StoreError) {
        let now = clock::monotonic();
        let before = self.complained.get();
        if before.is_none_or(|before| now.saturating_sub(before) >= COMPLAINT_EVERY) {
            self.complained.set(Some(now));
            warn!("not counted: {error}");
        }
    }
}

fn check(settings: &ConnectionLimitSettings, errors: &mut Errors) {
    if settings.connections_max.is_none() && settings.rate.is_none() {
        errors.add("a connection limit has `connections-max`, `rate` or both");
    }
    if settings.burst.is_some() && settings.rate.is_none() {
        errors.inside("burst", |errors| errors.add("a burst belongs to a `rate`"));
    }
    if settings.forget.is_zero() {
        errors.inside("forget", |errors| {
            errors.add("this forgets every connection at once")
        });
    }
    if let Some(name) = &settings.name
        && (!is_header_name(name) || name.len() > NAME_BYTES_MAX)
    {
        errors.inside("name", |errors| {
            errors.add(format!(
                "a name has letters, digits, `-`, `_` and `.`, at most {NAME_BYTES_MAX}"
            ));
        });
    }
}

fn networks(written: &[String], errors: &mut Errors) -> Vec<(String, Network)> {
    let parse = |(index, text): (usize, &String)| {
        let network = errors.inside(index, |errors| errors.check(text.parse()))?;
        Some((text.clone(), network))
    };
    written.iter().enumerate().filter_map(parse).collect()
}

network_filter!(ConnectionLimit);
