//! The tasks that order and renew certificates; each outlives reloads that leave its settings as they are.

use crate::acme::{self, Installer};
use crate::config::{self, Acme, Config};
use crate::snapshot::Snapshot;
use crate::tls;
use arc_swap::ArcSwap;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::task::AbortHandle;

/// One task for each listener that has automatic certificates.
#[derive(Default)]
pub(super) struct Certificates(HashMap<Arc<str>, Kept>);

struct Kept {
    settings: Acme,
    target: Arc<Target>,
    task: AbortHandle,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Certificates {
    /// Keeps the certificates of this generation, and no others.
    pub(super) fn apply(&mut self, snapshot: &Snapshot, config: &Config) {
        let mut before = std::mem::take(&mut self.0);
        for (listener, written) in snapshot.listeners.iter().zip(&config.listeners) {
            let acme = written.tls.as_ref().and_then(|tls| tls.acme.as_ref());
            let (Some(server), Some(settings)) = (&listener.tls, acme) else {
                continue;
            };
            let kept = before.remove(&listener.name);
            let kept = match kept.filter(|kept| is_same(&kept.settings, settings)) {
                Some(kept) => {
                    kept.target.move_to(server);
                    kept
                }
                None => start(settings, server),
            };
            self.0.insert(listener.name.clone(), kept);
        }
    }
}

fn start(settings: &Acme, server: &Arc<tls::Server>) -> Kept {
    let target = Arc::new(Target(ArcSwap::new(server.clone())));
    let task = tokio::spawn(acme::maintain(settings.clone(), target.clone()));
    Kept {
        settings: settings.clone(),
        target,
        task: task.abort_handle(),
    }
}

/// Whether two settings say the same, wherever they are written.
fn is_same(one: &Acme, other: &Acme) -> bool {
    let says = |acme: &Acme| {
        let values = |list: &[config::Spanned<String>]| -> Vec<String> {
            list.iter().map(|name| name.value.clone()).collect()
        };
        (
            acme.directory.value.clone(),
            values(&acme.names),
            acme.contact.clone(),
            acme.storage.value.clone(),
            acme.challenge,
            acme.ca.as_ref().map(|ca| ca.value.clone()),
            acme.external_account
                .as_ref()
                .map(|(id, key)| (id.clone(), key.0.clone())),
        )
    };
    says(one) == says(other)
}

/// The TLS of a listener as it runs now.
struct Target(ArcSwap<tls::Server>);

impl Target {
    /// What was installed while the new one was being built goes along.
    fn move_to(&self, server: &Arc<tls::Server>) {
        let earlier = self.0.swap(server.clone());
        server.catch_up(&earlier);
    }
}

impl Installer for Target {
    fn install(&self, chain_pem: &[u8], key_pem: &[u8]) -> Result<(), String> {
        self.0.load().install(chain_pem, key_pem)
    }

    fn show_challenge(
        &self,
        name: &str,
        certificate_der: Vec<u8>,
        key_der: Vec<u8>,
    ) -> Result<(), String> {
        let server = self.0.load();
        server.challenges().set(name, certificate_der, key_der)
    }

    fn clear_challenge(&self, name: &str) {
        self.0.load().challenges().clear(name);
    }
}
