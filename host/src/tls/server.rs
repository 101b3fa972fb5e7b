//! One listener's TLS, compiled.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::sign::CertifiedKey;

use super::challenge::Challenges;
use super::digest::Digest;
use super::policy::{Policy, default_provider};
use super::table::{Shown, Table};
use super::template::Template;
use super::{Errors, keep, pem};
use crate::config::{self, Place, ServerTls, UnknownName};

/// Certificates, client authentication, tickets and limits of one listener; shared by the workers.
#[derive(Debug)]
pub struct Server {
    pub(super) table: ArcSwap<Table>,
    pub(super) template: Template,
    pub(super) unknown_name: UnknownName,
    pub(super) handshake_timeout: Duration,
    handshakes_max: u32,
    handshakes: Arc<AtomicU32>,
    pub(super) challenges: Arc<Challenges>,
}

impl Server {
    /// Reads all files; blocks. `previous` is the one that this replaces on a reload: its count of handshakes, its challenges and the
    /// certificates that were installed into it go on here, and so do its ticket keys if what a ticket proves is the same in both (client
    /// authentication, contents of its files, versions).
    ///
    /// A certificate that has expired is warned of and shown all the same: clients say more about it than a proxy that does not start.
    ///
    /// # Errors
    /// Everything that is wrong, with the place of the value; the default place stands for the whole of `tls`.
    pub fn new(
        settings: &ServerTls,
        previous: Option<&Server>,
    ) -> Result<Server, Vec<(Place, String)>> {
        let mut errors = Errors::new();
        let policy = keep(Policy::new(&settings.policy), &mut errors);
        let template = policy.and_then(|policy| {
            let previous = previous.map(|previous| &previous.template);
            keep(Template::new(settings, &policy, previous), &mut errors)
        });
        let pairs = keep(pairs(&settings.certificates), &mut errors);
        let (Some(template), Some(pairs)) = (template, pairs) else {
            return Err(errors);
        };
        let written = pairs.into_iter().map(|pair| template.shown(pair)).collect();
        let installed = previous.map(|previous| previous.installed_for(settings));
        let installed = installed.unwrap_or_default().into_iter();
        let installed = installed.map(|pair| template.shown(pair)).collect();
        Ok(Server {
            table: ArcSwap::from_pointee(Table::new(written, installed)),
            template,
            unknown_name: settings.unknown_name,
            handshake_timeout: settings.handshake_timeout,
            handshakes_max: settings.handshakes_max,
            handshakes: previous
                .map(|previous| previous.handshakes.clone())
                .unwrap_or_default(),
            challenges: previous
                .map(|previous| previous.challenges.clone())
                .unwrap_or_default(),
        })
    }

    /// Where certificates for the validation of names (tls-alpn-01) are set and cleared.
    pub fn challenges(&self) -> &Arc<Challenges> {
        &self.challenges
    }

    /// From now on shows this certificate (PEM: the certificate, then its chain; PEM key) to new connections that ask for one of its names, before those of
    /// the configuration, in place of earlier ones that were installed for any of them. Connections under way keep theirs.
    ///
    /// # Errors
    /// What is wrong with chain or key.
    pub fn install(&self, chain_pem: &[u8], key_pem: &[u8]) -> Result<(), String> {
        let pair = pem::pair_of(chain_pem, key_pem, self.template.provider())?;
        let shown = self.template.shown(Arc::new(pair));
        if shown.names.is_empty() {
            return Err("the certificate is for no DNS name".to_owned());
        }
        self.table.rcu(|table| table.with_installed(&shown));
        Ok(())
    }

    /// Shows what was installed into `earlier` as well, of which this one was made: it may have come since then.
    pub fn catch_up(&self, earlier: &Server) {
        for shown in earlier.table.load().installed() {
            let shown = self.template.shown(shown.pair.clone());
            self.table.rcu(|table| table.with_installed(&shown));
        }
    }

    /// How long a handshake may take.
    pub fn handshake_timeout(&self) -> Duration {
        self.handshake_timeout
    }

    /// Whether a certificate was installed, here or in what this one replaces.
    pub fn has_installed(&self) -> bool {
        !self.table.load().installed().is_empty()
    }

    /// A place among the handshakes under way, unless there are as many as may be.
    pub(super) fn place(&self) -> Option<HandshakePlace<'_>> {
        let more = |count: u32| (count < self.handshakes_max).then_some(count + 1);
        let taken = self
            .handshakes
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, more);
        taken.ok().map(|_| HandshakePlace(&self.handshakes))
    }

    /// What was installed and is still wanted: certificates for a name that `settings` has ordered.
    fn installed_for(&self, settings: &ServerTls) -> Vec<Arc<CertifiedKey>> {
        let Some(acme) = &settings.acme else {
            return Vec::new();
        };
        let is_wanted = |shown: &&Arc<Shown>| {
            let mut wanted = acme.names.iter();
            wanted.any(|name| shown.names.iter().any(|own| **own == *name.value))
        };
        let table = self.table.load();
        let wanted = table.installed().iter().filter(is_wanted);
        wanted.map(|shown| shown.pair.clone()).collect()
    }
}

/// One of the handshakes under way; gives its place back when dropped.
#[derive(Debug)]
pub(super) struct HandshakePlace<'s>(&'s AtomicU32);

impl Drop for HandshakePlace<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Every certificate with its key and staple.
fn pairs(written: &[config::Certificate]) -> Result<Vec<Arc<CertifiedKey>>, Errors> {
    let mut errors = Errors::new();
    let mut pairs = Vec::new();
    for certificate in written {
        pairs.extend(keep(pair(certificate), &mut errors));
    }
    if errors.is_empty() {
        Ok(pairs)
    } else {
        Err(errors)
    }
}

fn pair(written: &config::Certificate) -> Result<Arc<CertifiedKey>, Errors> {
    let mut errors = Errors::new();
    let pair = keep(
        pem::pair(written, &default_provider(), &mut Digest::new()),
        &mut errors,
    );
    let staple = written.ocsp.as_ref().map(pem::staple).transpose();
    let staple = keep(staple.map_err(|error| vec![error]), &mut errors);
    match (pair, staple) {
        (Some(pair), Some(ocsp)) => Ok(Arc::new(CertifiedKey { ocsp, ..pair })),
        _ => Err(errors),
    }
}
