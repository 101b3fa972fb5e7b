//! Looking for as long as somebody wants to know: waits between looks, the last good list, and what is said about failures.

use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

use super::found::{Family, Missing, sorted};
use super::look::{Looked, look_closely};
use super::watch::FileWatch;
use super::{Found, LookError};
use crate::config::{Discovery, DiscoverySource};

/// Between a failed look and the next: the first wait, doubled each time, up to the last.
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(30);

/// Looks until it is dropped.
#[derive(Debug)]
pub struct DiscoveryTask {
    task: JoinHandle<()>,
}

impl Drop for DiscoveryTask {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Runs one source until the returned task is dropped; calls `publish` with the whole list, sorted by address and without doubles, each
/// time it differs from the last one published. A list is never empty.
///
/// `initial` is the list that [`look`](super::look()) found, and counts as published; the next look then follows after a second, or
/// `refresh` if that is shorter. Without it the first look is at once. `publish` is called on the task, so it should be quick; after the
/// drop it is not called again, save that a call under way on another thread ends. `cluster` is for the log, which speaks once when looks
/// begin to fail and once when they succeed again.
///
/// # Panics
/// Outside a tokio runtime with time and I/O.
pub fn spawn(
    source: Discovery,
    cluster: Arc<str>,
    initial: Option<Vec<Found>>,
    publish: impl Fn(Vec<Found>) + Send + Sync + 'static,
) -> DiscoveryTask {
    let looker = Looker {
        failures: 0,
        last: initial,
        cluster,
        source,
        publish,
    };
    DiscoveryTask {
        task: tokio::spawn(looker.run()),
    }
}

struct Looker<P> {
    source: Discovery,
    cluster: Arc<str>,
    /// The last good list.
    last: Option<Vec<Found>>,
    /// Looks in a row that failed at least in part.
    failures: u32,
    publish: P,
}

impl<P: Fn(Vec<Found>)> Looker<P> {
    async fn run(mut self) {
        // Begun before the first look, so that a change after that look is heard of.
        let mut watch = match &self.source.source.value {
            DiscoverySource::File(path) => Some(FileWatch::new(path)),
            DiscoverySource::Dns { .. } | DiscoverySource::Srv { .. } => None,
        };
        let mut wait = self.first_wait(watch.is_some());
        loop {
            match &mut watch {
                Some(watch) => watch.changed_within(wait).await,
                None => tokio::time::sleep(wait).await,
            }
            let looked = look_closely(&self.source).await;
            wait = self.take(looked);
        }
    }

    /// A file that changed after `initial` was read is not heard of, so it is looked at right away; names would only be asked for twice.
    fn first_wait(&self, is_file: bool) -> Duration {
        match self.last.is_some() && !is_file {
            true => RETRY_MIN.min(self.source.refresh.unwrap_or(RETRY_MIN)),
            false => Duration::ZERO,
        }
    }

    /// Publishes what is new and says what went wrong. Gives the wait until the next look.
    fn take(&mut self, looked: Result<Looked, LookError>) -> Duration {
        let complete = looked.and_then(|looked| {
            let again = looked.again;
            let (found, error) = self.complete(looked)?;
            self.publish(found);
            Ok((again, error))
        });
        match complete {
            Ok((again, None)) => {
                self.succeeded();
                again
            }
            Ok((again, Some(error))) => again.min(self.failed(&error)),
            Err(error) => self.failed(&error),
        }
    }

    /// Fills up with the last good list what could not be asked for, and gives one reason for that. Among what is kept may be an endpoint that
    /// is gone; the next whole answer tells.
    fn complete(&self, looked: Looked) -> Result<(Vec<Found>, Option<LookError>), LookError> {
        let mut found = looked.found;
        let kept: Vec<Found> = self
            .last
            .iter()
            .flatten()
            .filter(|known| is_missing(known, &looked.missing) && !contains(&found, known))
            .cloned()
            .collect();
        found.extend(kept);
        let error = looked.missing.into_iter().next();
        Ok((sorted(found)?, error.map(|missing| missing.error)))
    }

    fn publish(&mut self, found: Vec<Found>) {
        if self.last.as_ref() != Some(&found) {
            self.last = Some(found.clone());
            (self.publish)(found);
        }
    }

    fn succeeded(&mut self) {
        if self.failures > 0 {
            self.failures = 0;
            let (cluster, source) = (&self.cluster, subject(&self.source));
            tracing::info!(%cluster, source, "discovery works again");
        }
    }

    fn failed(&mut self, error: &LookError) -> Duration {
        if self.failures == 0 {
            let (cluster, source, error) = (&self.cluster, subject(&self.source), error.chain());
            tracing::warn!(%cluster, source, error, "discovery failed; what was found last stays");
        }
        self.failures = self.failures.saturating_add(1);
        retry_wait(self.failures).min(self.source.refresh.unwrap_or(RETRY_MAX))
    }
}

fn is_missing(known: &Found, missing: &[Missing]) -> bool {
    let family = Family::of(known.address.ip());
    missing
        .iter()
        .any(|missing| missing.families.contains(&family))
}

/// `list` is sorted.
fn contains(list: &[Found], wanted: &Found) -> bool {
    list.binary_search_by_key(&wanted.address, |found| found.address)
        .is_ok()
}

/// After so many failures in a row.
fn retry_wait(failures: u32) -> Duration {
    let doubled = 1_u32.checked_shl(failures.saturating_sub(1));
    RETRY_MIN
        .saturating_mul(doubled.unwrap_or(u32::MAX))
        .min(RETRY_MAX)
}

/// What is looked for, for the log.
fn subject(source: &Discovery) -> String {
    match &source.source.value {
        DiscoverySource::Dns { host, .. } => host.clone(),
        DiscoverySource::Srv { name } => name.clone(),
        DiscoverySource::File(path) => path.display().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Place, Spanned};
    use std::io::Write;
    use std::sync::Mutex;
    use tracing_subscriber::fmt::MakeWriter;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("no test panicked").write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl<'w> MakeWriter<'w> for Log {
        type Writer = Log;

        fn make_writer(&'w self) -> Log {
            self.clone()
        }
    }

    fn looker(refresh: Option<Duration>) -> Looker<impl Fn(Vec<Found>)> {
        publishing(refresh, drop)
    }

    fn publishing<P>(refresh: Option<Duration>, publish: P) -> Looker<P> {
        let name = "_http._tcp.example".to_owned();
        Looker {
            source: Discovery {
                source: Spanned {
                    value: DiscoverySource::Srv { name },
                    place: Place::default(),
                },
                refresh,
                nameservers: Vec::new(),
                requests_max: None,
            },
            cluster: Arc::from("api"),
            last: None,
            failures: 0,
            publish,
        }
    }

    fn good(missing: Vec<Missing>) -> Result<Looked, LookError> {
        Ok(Looked {
            found: vec![Found::at("192.0.2.1:80".parse().expect("an address"))],
            again: Duration::from_secs(60),
            missing,
        })
    }

    fn partly() -> Result<Looked, LookError> {
        good(vec![Missing {
            families: &[Family::V6],
            error: LookError::Timeout {
                name: "api.example".to_owned(),
                kind: "AAAA",
            },
        }])
    }

    #[test]
    fn waits_double_up_to_half_a_minute() {
        for (failures, seconds) in [
            (1, 1),
            (2, 2),
            (3, 4),
            (5, 16),
            (6, 30),
            (33, 30),
            (u32::MAX, 30),
        ] {
            let expected = Duration::from_secs(seconds);
            assert_eq!(retry_wait(failures), expected, "{failures}");
        }
    }

    #[test]
    fn the_next_look_comes_after_the_answer_s_time_or_sooner_after_a_failure() {
        let failed = || Err(LookError::Empty);
        type Looks = Vec<(Result<Looked, LookError>, u64)>;
        let table: [(Option<u64>, Looks); 2] = [
            (
                None,
                vec![
                    (good(vec![]), 60),
                    (failed(), 1),
                    (failed(), 2),
                    (partly(), 4),
                    (good(vec![]), 60),
                    (partly(), 1),
                ],
            ),
            (Some(1), vec![(failed(), 1), (failed(), 1), (failed(), 1)]),
        ];
        for (refresh, looks) in table {
            let mut looker = looker(refresh.map(Duration::from_secs));
            for (looked, seconds) in looks {
                assert_eq!(looker.take(looked), Duration::from_secs(seconds));
            }
        }
    }

    #[test]
    fn failures_publish_nothing_and_forget_nothing() {
        let published = std::cell::RefCell::new(Vec::new());
        let mut looker = publishing(None, |list: Vec<Found>| published.borrow_mut().push(list));
        for looked in [
            Err(LookError::Empty),
            good(vec![]),
            Err(LookError::TooMany),
            good(vec![]),
            partly(),
        ] {
            looker.take(looked);
        }
        let expected = good(vec![]).expect("good").found;
        assert_eq!(*published.borrow(), [expected]);
    }

    #[test]
    fn what_is_found_now_takes_the_place_of_what_is_kept() {
        let at = |address: &str, weight| Found {
            weight,
            ..Found::at(address.parse().expect("an address"))
        };
        let mut looker = looker(None);
        looker.last = Some(vec![
            at("192.0.2.1:80", 9),
            at("192.0.2.2:80", 9),
            at("[2001:db8::2]:80", 9),
        ]);
        let families = &[Family::V4];
        let error = LookError::Empty;
        looker.take(good(vec![Missing { families, error }]));
        let expected = vec![at("192.0.2.1:80", 1), at("192.0.2.2:80", 9)];
        assert_eq!(looker.last, Some(expected));
    }

    #[test]
    fn a_failure_is_told_when_it_begins_and_when_it_is_over() {
        let log = Log::default();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(log.clone())
            .with_ansi(false)
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            let mut looker = looker(None);
            for looked in [
                good(vec![]),
                Err(LookError::Empty),
                partly(),
                good(vec![]),
                good(vec![]),
                partly(),
            ] {
                looker.take(looked);
            }
        });
        let text = String::from_utf8(log.0.lock().expect("no test panicked").clone());
        let text = text.expect("text");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        for (line, words) in lines.iter().zip([
            "no endpoint was found",
            "works again",
            "AAAA records of api.example",
        ]) {
            let names = ["cluster=api", "_http._tcp.example", words];
            assert!(names.iter().all(|name| line.contains(name)), "{line}");
        }
    }
}
