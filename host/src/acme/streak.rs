//! Orders in a row that failed, over restarts.

use std::time::{Duration, SystemTime};

use super::schedule;
use super::storage::{Failures, digest};
use crate::config::{Acme, AcmeChallenge};

pub(super) struct Streak {
    /// A digest of everything that may decide whether an order succeeds.
    of: String,
    pub(super) count: u32,
    /// No order before then.
    pub(super) not_before: SystemTime,
}

impl Streak {
    pub(super) fn new(settings: &Acme) -> Streak {
        Streak {
            of: fingerprint(settings),
            count: 0,
            not_before: SystemTime::UNIX_EPOCH,
        }
    }

    /// Goes on with the failures of an earlier run, if they were of the same settings.
    pub(super) fn recall(&mut self, failures: Option<Failures>, now: SystemTime) {
        let Some(failures) = failures.filter(|failures| failures.of == self.of) else {
            return;
        };
        let wait = schedule::retry_after_start(failures.count, time(failures.at), now);
        let asked = failures.not_before.map(time);
        let asked = asked.and_then(|until| until.duration_since(now).ok());
        self.count = failures.count;
        self.not_before = now + wait.max(asked.unwrap_or_default().min(schedule::ASKED_MAX));
    }

    /// Counts one more. Gives the wait until the next order, which is as long as the authority `asked` for or longer.
    pub(super) fn fail(
        &mut self,
        now: SystemTime,
        asked: Option<Duration>,
        chance: f64,
    ) -> Duration {
        self.count = self.count.saturating_add(1);
        let wait = schedule::retry(self.count, asked, chance);
        self.not_before = now + wait;
        wait
    }

    pub(super) fn end(&mut self) {
        self.count = 0;
        self.not_before = SystemTime::UNIX_EPOCH;
    }

    /// How an order that begins now is written down: as one that has failed, which holds if we crash in the middle of it.
    pub(super) fn with_one_more(&self, now: SystemTime) -> Failures {
        self.written(self.count.saturating_add(1), now, None)
    }

    pub(super) fn failed(&self, now: SystemTime, asked: Option<Duration>) -> Failures {
        let until = asked.map(|asked| seconds(now + asked.min(schedule::ASKED_MAX)));
        self.written(self.count, now, until)
    }

    fn written(&self, count: u32, now: SystemTime, not_before: Option<u64>) -> Failures {
        Failures {
            of: self.of.clone(),
            count,
            at: seconds(now),
            not_before,
        }
    }
}

fn fingerprint(settings: &Acme) -> String {
    let challenge = match settings.challenge {
        AcmeChallenge::Http01 => "http-01",
        AcmeChallenge::TlsAlpn01 => "tls-alpn-01",
    };
    let ca = settings.ca.as_ref().map(|ca| ca.value.to_string_lossy());
    let mut parts = vec![challenge, &settings.directory.value];
    parts.extend(settings.contact.as_deref());
    parts.extend(ca.as_deref());
    if let Some((id, key)) = &settings.external_account {
        parts.extend([id.as_str(), &key.0]);
    }
    parts.extend(settings.names.iter().map(|name| name.value.as_str()));
    digest(&parts)
}

/// Since 1970.
fn seconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

/// A number that is no time was not written by us, and counts as long ago.
fn time(seconds: u64) -> SystemTime {
    let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
    time.unwrap_or(SystemTime::UNIX_EPOCH)
}
