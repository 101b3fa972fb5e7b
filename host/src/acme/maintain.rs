//! The life of one certificate: taken from the storage, watched, renewed.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use instant_acme::{CertificateIdentifier, Error};

use super::Installer;
use super::certificate::{Certificate, Pair};
use super::error::AcmeError;
use super::heed::Heed;
use super::order::Ordering;
use super::storage::{Failures, Record, Storage};
use super::streak::Streak;
use super::world::World;
use super::{account, schedule};
use crate::config::Acme;

/// How long to sleep at most before looking at clock and storage again: the clock may be set, and somebody else may have renewed.
const LOOK: Duration = Duration::from_secs(3600);
/// Until the next look when somebody else is ordering.
const LOCKED: Duration = Duration::from_secs(60);
/// After a start no authority is asked for a window before up to this time by chance has passed, so that a quick series of reloads asks nothing.
const FIRST_ASK: Duration = Duration::from_secs(600);
/// Between two such questions, whatever the authority says.
const ASK_MIN: Duration = Duration::from_secs(3600);
const ASK_MAX: Duration = Duration::from_secs(24 * 3600);
/// The same after one that failed.
const ASK_RETRY: Duration = Duration::from_secs(6 * 3600);

pub(super) struct Maintainer {
    settings: Acme,
    installer: Arc<dyn Installer>,
    world: World,
    storage: Storage,
    /// What was last seen in the storage, whether or not it was fit.
    seen: Option<Pair>,
    current: Option<Current>,
    streak: Streak,
}

struct Current {
    certificate: Certificate,
    /// 1970 if it has to be replaced as soon as possible.
    due: SystemTime,
    /// 0 to 1: where in every window this certificate is renewed.
    share: f64,
    /// When to ask the authority for a window.
    ask: SystemTime,
    /// Whether it has given one, so that it may be told what is replaced.
    hinted: bool,
}

impl Maintainer {
    pub(super) fn new(settings: Acme, installer: Arc<dyn Installer>, world: World) -> Maintainer {
        Maintainer {
            storage: Storage::new(&settings),
            streak: Streak::new(&settings),
            settings,
            installer,
            world,
            seen: None,
            current: None,
        }
    }

    pub(super) async fn run(mut self) {
        self.streak
            .recall(self.storage.record().failures, self.now());
        loop {
            self.take_stored();
            self.ask_for_window().await;
            match self.wait() {
                Duration::ZERO => self.renew().await,
                wait => tokio::time::sleep(wait.min(LOOK)).await,
            }
        }
    }

    /// Until the next order; zero if it is due.
    fn wait(&self) -> Duration {
        let current = self.current.as_ref();
        let due = current.map_or(SystemTime::UNIX_EPOCH, |current| current.due);
        let moment = due.max(self.streak.not_before);
        moment.duration_since(self.now()).unwrap_or_default()
    }

    fn now(&self) -> SystemTime {
        (self.world.now)()
    }

    fn chance(&self) -> f64 {
        (self.world.chance)()
    }

    /// Installs what the storage has if it is new to us and fit.
    fn take_stored(&mut self) {
        let stored = match self.storage.pair() {
            Ok(Some(stored)) if self.seen.as_ref() != Some(&stored) => stored,
            Ok(_) => return,
            Err(error) => return self.unusable(&error),
        };
        self.seen = Some(stored.clone());
        match Certificate::parse(stored) {
            Ok(certificate) if certificate.covers_any(&self.settings.names) => {
                self.install(certificate, self.storage.record().directory.as_deref());
            }
            Ok(_) => self.unusable(&AcmeError::OtherNames),
            Err(error) => self.unusable(&error),
        }
    }

    fn unusable(&self, error: &AcmeError) {
        let (names, error) = (self.names(), error.chain());
        tracing::warn!(names, error, "the stored certificate cannot be used");
    }

    /// `from` is the directory that it came from; a certificate that somebody else has put there has none, and is renewed like ours.
    fn install(&mut self, certificate: Certificate, from: Option<&str>) {
        match self
            .installer
            .install(&certificate.pair.0, &certificate.pair.1)
        {
            Ok(()) => tracing::info!(
                names = self.names(),
                expires = httpdate::fmt_http_date(certificate.not_after),
                "certificate installed"
            ),
            Err(error) => tracing::error!(names = self.names(), error, "certificate not installed"),
        }
        let stays = from.is_none_or(|from| from == self.settings.directory.value)
            && certificate.lacks(&self.settings.names).is_none();
        let (now, share) = (self.now(), self.chance());
        let due = match stays {
            true => schedule::renewal(&certificate, share),
            false => SystemTime::UNIX_EPOCH,
        };
        if due > now {
            self.streak.end();
        }
        self.current = Some(Current {
            certificate,
            due,
            share,
            ask: now + FIRST_ASK.mul_f64(share),
            hinted: false,
        });
    }

    /// Moves the renewal into the window that the authority suggests now, if it does. A failure changes nothing: the question is only for
    /// better times than our own.
    async fn ask_for_window(&mut self) {
        let now = self.now();
        let asks = |current: &Current| current.due > now && current.ask <= now;
        if !self.current.as_ref().is_some_and(asks) {
            return;
        }
        let answer = self.window().await;
        let Some(current) = &mut self.current else {
            return;
        };
        match answer {
            Ok((window, again)) => {
                current.due = schedule::suggested(&current.certificate, window, current.share);
                current.hinted = true;
                current.ask = now + again.clamp(ASK_MIN, ASK_MAX);
            }
            Err(error) => {
                current.ask = now + ASK_RETRY;
                tracing::debug!(error = error.chain(), "no window for renewal");
            }
        }
    }

    /// With how long to wait before asking again.
    async fn window(&self) -> Result<((SystemTime, SystemTime), Duration), AcmeError> {
        let unsupported = || AcmeError::from(Error::Unsupported("renewal information"));
        let current = self.current.as_ref();
        let id = current.and_then(|current| current.certificate.id.as_ref());
        let id = id.ok_or_else(unsupported)?;
        let http = Heed::new((self.world.connect)(&self.settings)?);
        let account = account::existing(&self.settings, &self.storage, &http).await?;
        let account = account.ok_or_else(unsupported)?;
        let (info, again) = account.renewal_info(id).await?;
        let window = info.suggested_window;
        Ok(((window.start.into(), window.end.into()), again))
    }

    async fn renew(&mut self) {
        let lock = match self.storage.prepare().and_then(|()| self.storage.lock()) {
            Ok(Some(lock)) => lock,
            Ok(None) => return tokio::time::sleep(LOCKED).await,
            Err(error) => return self.failed(&error, None),
        };
        // Who had the lock before us may have got what we want.
        self.take_stored();
        if self.wait().is_zero() {
            self.order().await;
        }
        drop(lock);
    }

    async fn order(&mut self) {
        let http = match (self.world.connect)(&self.settings) {
            Ok(http) => Heed::new(http),
            Err(error) => return self.failed(&error, None),
        };
        match self.ordered(&http).await {
            Ok(certificate) => self.succeeded(certificate),
            Err(error) => self.failed(&error, http.asked()),
        }
    }

    async fn ordered(&self, http: &Heed) -> Result<Certificate, AcmeError> {
        // Counted before it begins, so that a crash in the middle of it does not begin it again and again. It also shows that the storage can
        // be written to: a certificate that cannot be kept is ordered at every start.
        self.remember(self.streak.with_one_more(self.now()))?;
        let account = account::open(&self.settings, &self.storage, http).await?;
        let ordering = Ordering {
            settings: &self.settings,
            installer: &self.installer,
            http,
            replaces: self.replaces(),
        };
        ordering.run(&account).await
    }

    /// Not said a second time after a failure, since it may be what the authority did not like.
    fn replaces(&self) -> Option<CertificateIdentifier<'static>> {
        let first = self.streak.count == 0;
        let current = self.current.as_ref();
        let current = current.filter(|current| first && current.hinted);
        current.and_then(|current| current.certificate.id.clone())
    }

    fn succeeded(&mut self, certificate: Certificate) {
        if let Err(error) = self.keep(&certificate) {
            // It is used all the same, and ordered again only at the next start.
            let (names, error) = (self.names(), error.chain());
            tracing::error!(names, error, "the certificate is not kept");
        }
        let directory = self.settings.directory.value.clone();
        self.install(certificate, Some(&directory));
        if self.wait().is_zero() {
            self.failed(&AcmeError::DueAtOnce, None);
        }
    }

    fn keep(&mut self, certificate: &Certificate) -> Result<(), AcmeError> {
        self.seen = Some(certificate.pair.clone());
        self.storage.save_pair(&certificate.pair)?;
        self.storage.save_record(&Record {
            directory: Some(self.settings.directory.value.clone()),
            failures: None,
        })
    }

    /// `asked`: how long the authority wants us to wait.
    fn failed(&mut self, error: &AcmeError, asked: Option<Duration>) {
        if matches!(error, AcmeError::AccountUnknown) {
            // If it cannot be removed, the next attempt fails in the same way and says so.
            let _ = self.storage.forget_account();
        }
        let (now, chance) = (self.now(), self.chance());
        let wait = self.streak.fail(now, asked, chance);
        tracing::warn!(
            names = self.names(),
            authority = self.settings.directory.value,
            failures = self.streak.count,
            retry_seconds = wait.as_secs(),
            error = error.chain(),
            "no certificate could be had"
        );
        let remembered = self.remember(self.streak.failed(now, asked));
        // A storage that fails has been spoken of already.
        if let (Err(failed), false) = (remembered, error.is_storage()) {
            tracing::warn!(names = self.names(), "{}", failed.chain());
        }
    }

    fn remember(&self, failures: Failures) -> Result<(), AcmeError> {
        self.storage.save_record(&Record {
            directory: self.storage.record().directory,
            failures: Some(failures),
        })
    }

    fn names(&self) -> String {
        let names = self.settings.names.iter();
        let names: Vec<&str> = names.map(|name| name.value.as_str()).collect();
        names.join(" ")
    }
}
