//! The task that checks one endpoint again and again.

use std::future::Future;
use std::sync::Arc;

use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

use super::pace::{first_wait, wait};
use super::{Failure, Pace, Passed, Prober, Target, Transport};
use crate::config::{HealthCheck, Probe, TlsProbe};

/// What is checked and where results go.
pub trait Subject {
    /// Asked before each check, so an endpoint may move.
    fn target(&self) -> Target;

    /// Takes the result of a finished check and says how soon to check again. Called in the order of the checks, from one task.
    fn report(&self, result: &Result<Passed, Failure>) -> Pace;
}

/// How the endpoints of a cluster are checked; shared by their tasks.
#[derive(Debug)]
pub struct Check {
    pub prober: Prober,
    pub settings: HealthCheck,
    /// The settings as text, since a regex cannot be compared.
    written: String,
    /// The file that `ca` names, as it was read.
    ca: Option<Vec<u8>>,
}

impl Check {
    /// Blocks on file reads, as [`Prober::new`], whose errors it has.
    pub fn new(settings: HealthCheck, transport: Transport) -> Result<Check, String> {
        let prober = Prober::new(&settings, transport)?;
        let ca = match &settings.probe {
            Probe::Tls(TlsProbe { ca: Some(ca), .. }) => std::fs::read(ca).ok(),
            _ => None,
        };
        Ok(Check {
            prober,
            written: format!("{settings:?}"),
            settings,
            ca,
        })
    }

    /// Whether it asks the same, in the same way, by the same certificates.
    pub fn is_same(&self, other: &Check) -> bool {
        self.written == other.written
            && self.ca == other.ca
            && self.prober.is_same_transport(&other.prober)
    }
}

/// A running check; ends when dropped, and closes the sockets of a probe under way without reporting it.
#[derive(Debug)]
pub struct CheckTask(AbortHandle);

impl CheckTask {
    /// Whether the subject said [`Pace::Stop`].
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

impl Drop for CheckTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Checks `subject` until the handle is dropped or the subject says [`Pace::Stop`]. Must be called within a `LocalSet`,
/// for streams stay on one thread.
///
/// `stagger` is the position of the endpoint among how many of its cluster: the first check comes after that share of
/// `interval-changing`, not before. Later intervals count from the start of the check before and vary by the jitter; a check that takes
/// longer delays the next, so there are never two at once.
pub fn spawn(
    check: Arc<Check>,
    subject: Arc<dyn Subject + Send + Sync>,
    stagger: (usize, usize),
) -> CheckTask {
    let task = tokio::task::spawn_local(async move {
        let Check {
            prober, settings, ..
        } = &*check;
        run(prober, settings, &*subject, stagger, fastrand::Rng::new()).await;
    });
    CheckTask(task.abort_handle())
}

/// What [`run`] needs of a [`Prober`].
pub(super) trait Probing {
    fn probe(&self, target: &Target) -> impl Future<Output = Result<Passed, Failure>>;
}

impl Probing for Prober {
    fn probe(&self, target: &Target) -> impl Future<Output = Result<Passed, Failure>> {
        Prober::probe(self, target)
    }
}

pub(super) async fn run(
    prober: &impl Probing,
    settings: &HealthCheck,
    subject: &(dyn Subject + Send + Sync),
    stagger: (usize, usize),
    mut random: fastrand::Rng,
) {
    let mut due = Instant::now() + first_wait(settings, stagger);
    loop {
        sleep_until(due).await;
        let begun = Instant::now();
        let result = prober.probe(&subject.target()).await;
        match wait(settings, subject.report(&result), random.f64()) {
            Some(wait) => due = begun + wait,
            None => return,
        }
    }
}
