//! Runs cases through the host's own chains and balancers.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use serde_json::{Value, json};

use super::outcome::{Counts, Message, Outcome, Start, headers};
use super::stage;
use crate::balance::Picker;
use crate::config::cases::{self, ConnectionCase, Endpoint, Exchange, PicksCase, Verdict};
use crate::filter::{FilterChain, Halt, NetworkChain, Passed, Run, put_fault, put_reply};
use crate::http;
use crate::plugin::{Balancer, EndpointTable, FaultKind, Measure, Stats};

/// Runs one exchange. `run` is cleared first.
///
/// # Errors
/// Why the host refuses one of the messages.
pub(super) fn exchange(
    chain: &FilterChain,
    run: &mut Run,
    case: &Exchange,
) -> Result<Outcome, String> {
    let before = Counted::of(http_stats(chain));
    run.clear();
    let exchange = stage::exchange(&case.request.value)?;
    let (mut exchange, result) = chain.on_request(run, exchange);
    let mut body = Vec::new();
    let mut upstream = None;
    let mut verdict = match result {
        Ok(()) => {
            upstream = Some(request_seen(&exchange, &case.request.value));
            if let Some(response) = &case.response {
                stage::put_response(&mut exchange, &response.value)?;
                body = response.value.body.clone().unwrap_or_default();
            }
            Some(Verdict::Next)
        }
        Err(Halt::Reply(reply)) => {
            body = put_reply(&mut exchange, reply);
            Some(Verdict::Reply)
        }
        Err(Halt::Fault) => {
            body = put_fault(&mut exchange);
            None
        }
        Err(Halt::Close) => Some(Verdict::Close),
    };
    if exchange.has_response {
        let passed;
        (exchange, passed) = chain.on_response(run, exchange, &mut body);
        match passed {
            Passed::Kept => {}
            Passed::Replaced => verdict = Some(Verdict::Reply),
            Passed::Faulted => verdict = None,
            Passed::Close => {
                exchange.has_response = false;
                verdict = Some(Verdict::Close);
            }
        }
    }
    let sent = exchange.has_response;
    Ok(Outcome {
        verdict,
        upstream,
        downstream: sent.then(|| Message {
            start: Start::Response {
                status: exchange.response.status(),
            },
            headers: headers(exchange.response.fields()),
            body,
        }),
        counts: Counted::of(http_stats(chain)).since(&before),
        tags: tags(&exchange.connection.tags, &exchange.tags),
        priority: exchange.priority,
    })
}

fn request_seen(exchange: &http::Exchange, written: &cases::Request) -> Message {
    Message {
        start: Start::Request {
            method: exchange.request.method().to_owned(),
            target: exchange.request.target().to_owned(),
        },
        headers: headers(exchange.request.fields()),
        body: written.body.clone().unwrap_or_default(),
    }
}

type Tags = [(Box<str>, Vec<u8>)];

/// Those of the exchange hide those of its connection.
fn tags(connection: &Tags, exchange: &Tags) -> Vec<(String, Vec<u8>)> {
    let hidden = |name: &str| exchange.iter().any(|(own, _)| **own == *name);
    let visible = connection.iter().filter(|(name, _)| !hidden(name));
    visible
        .chain(exchange)
        .map(|(name, value)| (name.to_string(), value.clone()))
        .collect()
}

/// Runs one connection from its beginning to its end.
pub(super) fn connection(chain: &NetworkChain, case: &ConnectionCase) -> Outcome {
    let before = Counted::of(network_stats(chain));
    let mut facts = Arc::new(stage::facts(&case.origin, false));
    let verdict = match chain.on_accept(&mut facts) {
        Ok(()) => {
            chain.on_close(&facts);
            Some(Verdict::Next)
        }
        Err(refused) => (!refused.faulted).then_some(Verdict::Close),
    };
    Outcome {
        verdict,
        upstream: None,
        downstream: None,
        counts: Counted::of(network_stats(chain)).since(&before),
        tags: tags(&facts.tags, &[]),
        priority: None,
    }
}

/// The counters of each filter once: two filters with the same plugin and settings are one plugin.
fn http_stats(chain: &FilterChain) -> Vec<(&str, &Stats)> {
    let filters = chain.iter();
    distinct(filters.map(|filter| (&*filter.name, filter.plugin.stats())))
}

fn network_stats(chain: &NetworkChain) -> Vec<(&str, &Stats)> {
    let filters = chain.iter();
    distinct(filters.map(|filter| (&*filter.name, filter.plugin.stats())))
}

fn distinct<'c>(all: impl Iterator<Item = (&'c str, &'c Stats)>) -> Vec<(&'c str, &'c Stats)> {
    let mut seen = HashSet::new();
    all.filter(|(_, stats)| seen.insert(std::ptr::from_ref(*stats)))
        .collect()
}

/// How the counters of a chain stand.
struct Counted<'c>(Vec<(&'c str, u64, [u64; FaultKind::ALL.len()])>);

impl<'c> Counted<'c> {
    fn of(stats: Vec<(&'c str, &Stats)>) -> Counted<'c> {
        let stats = stats.into_iter();
        let counted = stats.map(|(name, stats)| {
            (
                name,
                stats.calls(),
                FaultKind::ALL.map(|kind| stats.faults(kind)),
            )
        });
        Counted(counted.collect())
    }

    fn since(&self, before: &Counted<'_>) -> Counts {
        let mut counts = Counts::default();
        for ((name, calls, faults), (_, calls_before, faults_before)) in
            self.0.iter().zip(&before.0)
        {
            let calls = calls - calls_before;
            match counts.calls.iter_mut().find(|(known, _)| known == name) {
                Some((_, known)) => *known += calls,
                None => counts.calls.push(((*name).to_owned(), calls)),
            }
            for kind in FaultKind::ALL {
                let new = faults[kind as usize] - faults_before[kind as usize];
                let fault = ((*name).to_owned(), kind.token());
                counts.faults.extend((0..new).map(|_| fault.clone()));
            }
        }
        counts
    }
}

/// What came of picks.
#[derive(Debug)]
pub(super) struct Picks {
    /// The address that each pick named, if any.
    pub(super) picked: Vec<Option<String>>,
    pub(super) faults: Vec<&'static str>,
}

impl Picks {
    pub(super) fn to_json(&self) -> Value {
        json!({ "picked": self.picked, "faults": self.faults })
    }
}

/// Picks as often as the case says. What the plugin names is taken as it is: whether the endpoint has room is the host's to see.
///
/// # Errors
/// Why the host refuses the request whose key is to be had.
pub(super) fn picks(balancer: &Arc<Balancer>, case: &PicksCase) -> Result<Picks, String> {
    let key = match &case.request {
        Some(request) => request_key(balancer, &*stage::exchange(&request.value)?),
        None => 0,
    };
    let endpoints = Arc::new(Table::new(&case.endpoints));
    let table: Arc<dyn EndpointTable> = endpoints.clone();
    let mut picks = Picks {
        picked: Vec::new(),
        faults: Vec::new(),
    };
    for number in 0..u64::from(case.count) {
        let key = if case.keys_differ {
            other_key(number)
        } else {
            key
        };
        let picked = match balancer.pick(&table, key, &[]) {
            Ok(picked) => picked,
            Err(fault) => {
                picks.faults.push(fault.kind.token());
                None
            }
        };
        if let (Some(index), true) = (picked, case.held) {
            endpoints.hold(index);
        }
        let address = |index: u32| endpoints.addresses[index as usize].0.clone();
        picks.picked.push(picked.map(address));
    }
    Ok(picks)
}

/// The key of a request: a hash of what the balancer asked for.
pub(super) fn request_key(balancer: &Arc<Balancer>, exchange: &http::Exchange) -> u64 {
    Picker::new(balancer.clone()).key(exchange)
}

/// A key unlike the others (Steele and others, "Fast splittable pseudorandom number generators", the mixing step of SplitMix64); never 0,
/// which stands for none.
pub(super) fn other_key(number: u64) -> u64 {
    let mut key = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    key = (key ^ (key >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    key = (key ^ (key >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (key ^ (key >> 31)).max(1)
}

/// The endpoints of a case.
pub(super) struct Table {
    addresses: Vec<(String, u32)>,
    /// In flight; `u32::MAX` where none can be taken.
    loads: Vec<AtomicU32>,
    latencies_and_failures: Vec<(u32, u8)>,
}

impl Table {
    pub(super) fn new(endpoints: &[Endpoint]) -> Table {
        let list = endpoints.iter();
        Table {
            addresses: list
                .clone()
                .map(|endpoint| (endpoint.address.clone(), endpoint.weight))
                .collect(),
            loads: list
                .clone()
                .map(|endpoint| endpoint.requests.unwrap_or(u32::MAX).into())
                .collect(),
            latencies_and_failures: list
                .map(|endpoint| {
                    let failures = endpoint.failures.0.min(10_000) * 255 / 10_000;
                    (endpoint.latency_micros, failures as u8)
                })
                .collect(),
        }
    }

    fn hold(&self, index: u32) {
        if let Some(load) = self.loads.get(index as usize) {
            load.store(load.load(Relaxed).saturating_add(1), Relaxed);
        }
    }
}

impl EndpointTable for Table {
    fn endpoints(&self) -> &[(String, u32)] {
        &self.addresses
    }

    fn load(&self, index: u32) -> u32 {
        let load = self.loads.get(index as usize);
        load.map_or(u32::MAX, |load| load.load(Relaxed))
    }

    fn measure(&self, index: u32) -> u64 {
        let Some((latency_micros, failures)) = self.latencies_and_failures.get(index as usize)
        else {
            return Measure::UNAVAILABLE.packed();
        };
        let load = self.load(index);
        let measure = Measure {
            latency_micros: *latency_micros,
            failures: *failures,
            requests: (load != u32::MAX).then_some(load),
        };
        measure.packed()
    }
}
