//! One look at a source.

use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::Instant;

use super::found::{Missing, sorted};
use super::resolver::Resolver;
use super::{Found, LookError, file, srv};
use crate::config::{Discovery, DiscoverySource};

/// The time for one look.
const LOOK_MAX: Duration = Duration::from_secs(5);

/// Bounds of a time to live: who publishes 0 is still not asked all the time, and a mistake of years is noticed within a day.
const TTL_MIN: Duration = Duration::from_secs(1);
const TTL_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// No `refresh` is shorter, whatever is asked for.
const REFRESH_MIN: Duration = Duration::from_millis(10);

/// How often a watched file is looked at even when nothing is heard of it: some file systems tell nothing.
const FILE_REFRESH: Duration = Duration::from_secs(10);

/// What a look brought.
#[derive(Debug)]
pub(super) struct Looked {
    /// At least one; sorted, without doubles.
    pub(super) found: Vec<Found>,
    /// When to look again.
    pub(super) again: Duration,
    pub(super) missing: Vec<Missing>,
}

/// What a source says, before `discover`'s own settings are applied.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) found: Vec<Found>,
    pub(super) ttl: Duration,
    pub(super) missing: Vec<Missing>,
}

/// One look, for start and reload: so that a new generation begins with endpoints. The list is sorted by address and without doubles;
/// with it comes how long to wait until the next look (the time to live of the answer, 1 s to 1 day, or `refresh`).
///
/// Takes at most 5 s. Dropping the future abandons the look.
///
/// A name that has only IPv4 or only IPv6 addresses is fine. If one kind of address, or one of many targets,
/// cannot be asked for, the others are given.
///
/// # Errors
/// [`LookError`], whenever there is not one endpoint.
pub async fn look(source: &Discovery) -> Result<(Vec<Found>, Duration), LookError> {
    let looking = look_closely(source);
    let looked = match &source.source.value {
        DiscoverySource::File(path) => tokio::time::timeout(LOOK_MAX, looking)
            .await
            .unwrap_or_else(|_| Err(file::too_slow(path)))?,
        // Partial answers at the deadline count, so it is told to the questions.
        DiscoverySource::Dns { .. } | DiscoverySource::Srv { .. } => looking.await?,
    };
    Ok((looked.found, looked.again))
}

/// As [`look`], with what is missing; a file may take its time.
pub(super) async fn look_closely(source: &Discovery) -> Result<Looked, LookError> {
    let deadline = Instant::now() + LOOK_MAX;
    let answer = match &source.source.value {
        DiscoverySource::Dns { host, port } => {
            let resolver = Resolver::new(&source.nameservers, deadline)?;
            addresses(&resolver, host, *port).await?
        }
        DiscoverySource::Srv { name } => {
            let resolver = Resolver::new(&source.nameservers, deadline)?;
            srv::look(&resolver, name).await?
        }
        DiscoverySource::File(path) => Answer {
            found: file::look(path).await?,
            ttl: FILE_REFRESH,
            missing: Vec::new(),
        },
    };
    let mut missing = answer.missing;
    if answer.found.is_empty() && !missing.is_empty() {
        return Err(missing.swap_remove(0).error);
    }
    Ok(Looked {
        found: sorted(with_default(answer.found, source.requests_max))?,
        again: again(answer.ttl, source.refresh),
        missing,
    })
}

async fn addresses(resolver: &Resolver, host: &str, port: u16) -> Result<Answer, LookError> {
    let addresses = resolver.addresses(host).await?;
    let found = addresses.ips.into_iter();
    Ok(Answer {
        found: found
            .map(|ip| Found::at(SocketAddr::new(ip, port)))
            .collect(),
        ttl: addresses.ttl,
        missing: addresses.missing.into_iter().collect(),
    })
}

fn with_default(found: Vec<Found>, requests_max: Option<u32>) -> impl Iterator<Item = Found> {
    found.into_iter().map(move |mut found| {
        found.requests_max = found.requests_max.or(requests_max);
        found
    })
}

fn again(ttl: Duration, refresh: Option<Duration>) -> Duration {
    match refresh {
        Some(refresh) => refresh.max(REFRESH_MIN),
        None => ttl.clamp(TTL_MIN, TTL_MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refresh_or_else_the_time_to_live_decides_when_to_look_again() {
        let seconds = Duration::from_secs;
        for (ttl, refresh, expected) in [
            (seconds(0), None, seconds(1)),
            (seconds(1), None, seconds(1)),
            (seconds(7), None, seconds(7)),
            (seconds(86_400), None, seconds(86_400)),
            (seconds(86_401), None, seconds(86_400)),
            (seconds(7), Some(seconds(60)), seconds(60)),
            (seconds(7), Some(seconds(2)), seconds(2)),
            (seconds(7), Some(Duration::ZERO), REFRESH_MIN),
        ] {
            assert_eq!(again(ttl, refresh), expected, "{ttl:?} {refresh:?}");
        }
    }
}
