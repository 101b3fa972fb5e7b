//! Questions to the name service.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use hickory_resolver::system_conf::read_system_conf;
use tokio::time::Instant;

use super::LookError;
use super::found::{Family, Missing};

/// For one question to one server, repeated meanwhile as the resolver sees fit. With it a look outlasts two servers that are dead.
const QUESTION_MAX: Duration = Duration::from_secs(2);

/// Aliases of a service that are followed one after the other, as the resolver does for addresses.
const ALIASES_MAX: usize = 8;

/// The time to live of what needs no question.
const FOREVER: Duration = Duration::MAX;

/// For one look: the next look reads the system's configuration anew, and finds no remembered answers.
///
/// Servers are asked in the order in which they are written: the second one only if the first one fails, as the C library does. (One
/// resolver for all of them would ask two at once, let the faster one decide, and take its SERVFAIL for an answer.)
pub(super) struct Resolver {
    /// At least one.
    servers: Vec<TokioResolver>,
    /// The index of the last one that answered.
    first: AtomicUsize,
    deadline: Instant,
}

/// The addresses of a name.
#[derive(Debug)]
pub(super) struct Addresses {
    pub(super) ips: Vec<IpAddr>,
    /// The shortest of all records.
    pub(super) ttl: Duration,
    pub(super) missing: Option<Missing>,
}

impl Resolver {
    /// Asks `nameservers`, by UDP and where an answer is cut short by TCP, and these alone: no hosts file, no search list. Without any,
    /// does as the system is configured.
    ///
    /// # Errors
    /// [`LookError::System`].
    pub(super) fn new(
        nameservers: &[SocketAddr],
        deadline: Instant,
    ) -> Result<Resolver, LookError> {
        let servers = match nameservers {
            [] => read_system_conf().and_then(|(config, options)| one_each(config, &options)),
            _ => one_each(only(nameservers), &without_hosts()),
        };
        Ok(Resolver {
            servers: servers.map_err(|error| LookError::System(Box::new(error)))?,
            first: AtomicUsize::new(0),
            deadline,
        })
    }

    /// Every address of `host`, at least one. `host` may be an address itself.
    ///
    /// # Errors
    /// If there is no address: [`LookError::Absent`] only if both kinds are known to be absent.
    pub(super) async fn addresses(&self, host: &str) -> Result<Addresses, LookError> {
        if let Ok(ip) = host.parse() {
            return Ok(Addresses {
                ips: vec![ip],
                ttl: FOREVER,
                missing: None,
            });
        }
        let (v4, v6) = tokio::join!(
            self.lookup(host, RecordType::A),
            self.lookup(host, RecordType::AAAA)
        );
        let (answers, missing) = match (v4, v6) {
            (Ok(v4), Ok(v6)) => (vec![v4, v6], None),
            (Ok(v4), Err(error)) => (vec![v4], unless_absent(&[Family::V6], error)),
            (Err(error), Ok(v6)) => (vec![v6], unless_absent(&[Family::V4], error)),
            (Err(v4), Err(v6)) => return Err(if v4.is_absent() { v6 } else { v4 }),
        };
        let records = answers.iter().flat_map(Lookup::answers);
        Ok(Addresses {
            ips: records.clone().filter_map(ip_of).collect(),
            ttl: ttl_of(records),
            missing,
        })
    }

    /// The SRV records of `name`, with whatever else the answer carries, and the time to live of them all.
    ///
    /// Follows aliases itself, since the resolver takes the answer for an alias to have none.
    pub(super) async fn services(&self, name: &str) -> Result<(Lookup, Duration), LookError> {
        let (mut real, mut ttl) = (name.to_owned(), FOREVER);
        for _ in 0..=ALIASES_MAX {
            let error = match self.lookup(&real, RecordType::SRV).await {
                Err(error) if error.is_absent() => error,
                answer => {
                    return answer.map(|answer| {
                        let ttl = ttl.min(ttl_of(answer.answers().iter()));
                        (answer, ttl)
                    });
                }
            };
            let Ok(alias) = self.lookup(&real, RecordType::CNAME).await else {
                return Err(error);
            };
            ttl = ttl.min(ttl_of(alias.answers().iter()));
            real = alias.answers().iter().find_map(alias_of).ok_or(error)?;
        }
        let (name, kind) = (name.to_owned(), RecordType::SRV.into());
        Err(LookError::Absent { name, kind })
    }

    /// The first proper answer.
    async fn lookup(&self, host: &str, record_type: RecordType) -> Result<Lookup, LookError> {
        let first = self.first.load(Ordering::Relaxed);
        let mut failure = None;
        for index in (first..self.servers.len()).chain(0..first) {
            match self.ask(&self.servers[index], host, record_type).await {
                Err(error) if !error.is_absent() => failure = failure.or(Some(error)),
                answer => {
                    self.first.store(index, Ordering::Relaxed);
                    return answer;
                }
            }
        }
        Err(failure.expect("there is at least one server, and each failed"))
    }

    async fn ask(
        &self,
        server: &TokioResolver,
        host: &str,
        record_type: RecordType,
    ) -> Result<Lookup, LookError> {
        let (name, kind) = (host.to_owned(), record_type.into());
        match tokio::time::timeout_at(self.deadline, server.lookup(host, record_type)).await {
            Ok(Ok(lookup)) => Ok(lookup),
            Ok(Err(NetError::Dns(DnsError::NoRecordsFound(_)))) => {
                Err(LookError::Absent { name, kind })
            }
            Err(_) | Ok(Err(NetError::Timeout)) => Err(LookError::Timeout { name, kind }),
            Ok(Err(error)) => Err(LookError::Query {
                name,
                kind,
                cause: Box::new(error),
            }),
        }
    }
}

fn unless_absent(families: &'static [Family], error: LookError) -> Option<Missing> {
    (!error.is_absent()).then_some(Missing { families, error })
}

fn alias_of(record: &Record) -> Option<String> {
    match &record.data {
        RData::CNAME(alias) => Some(fully_qualified(&alias.0)),
        _ => None,
    }
}

/// Without the last dot the search list would be tried.
pub(super) fn fully_qualified(name: &Name) -> String {
    let mut name = name.clone();
    name.set_fqdn(true);
    name.to_ascii()
}

pub(super) fn ip_of(record: &Record) -> Option<IpAddr> {
    match &record.data {
        RData::A(address) => Some(IpAddr::V4(address.0)),
        RData::AAAA(address) => Some(IpAddr::V6(address.0)),
        _ => None,
    }
}

/// The shortest of all.
pub(super) fn ttl_of<'r>(records: impl Iterator<Item = &'r Record>) -> Duration {
    let shortest = records.map(|record| record.ttl).min();
    shortest.map_or(FOREVER, |seconds| Duration::from_secs(seconds.into()))
}

fn only(nameservers: &[SocketAddr]) -> ResolverConfig {
    let servers = nameservers.iter().map(|address| {
        let mut server = NameServerConfig::udp_and_tcp(address.ip());
        for connection in &mut server.connections {
            connection.port = address.port();
        }
        server
    });
    ResolverConfig::from_parts(None, Vec::new(), servers.collect())
}

fn without_hosts() -> ResolverOpts {
    let mut options = ResolverOpts::default();
    options.use_hosts_file = ResolveHosts::Never;
    options
}

/// A resolver for each server of `config`; one without any, which knows the hosts file, if there is none.
fn one_each(
    config: ResolverConfig,
    options: &ResolverOpts,
) -> Result<Vec<TokioResolver>, NetError> {
    let mut sets: Vec<_> = config
        .name_servers
        .into_iter()
        .map(|one| vec![one])
        .collect();
    if sets.is_empty() {
        sets.push(Vec::new());
    }
    let resolvers = sets.into_iter().map(|set| {
        let config = ResolverConfig::from_parts(config.domain.clone(), config.search.clone(), set);
        let provider = TokioRuntimeProvider::default();
        let mut builder = TokioResolver::builder_with_config(config, provider);
        *builder.options_mut() = bounded(options.clone());
        builder.build()
    });
    resolvers.collect()
}

fn bounded(mut options: ResolverOpts) -> ResolverOpts {
    options.cache_size = 0;
    options.timeout = options.timeout.min(QUESTION_MAX);
    options.attempts = 0;
    options
}
