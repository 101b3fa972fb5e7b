//! Automatic certificates: ordered of an authority by ACME (RFC 8555), proved by `http-01` (RFC 8555 §8.3) or `tls-alpn-01` (RFC 8737),
//! kept on disk, renewed in time.
//!
//! ```text
//! maintain -- storage: what was kept --> installer           (at the start, and whenever somebody else has renewed it)
//!    |  waits, at most an hour at a time, until `schedule` says that an order is due
//!    '- account --> order -- challenge: shown while the authority looks --> certificate --> storage, installer
//! ```
//!
//! The protocol is `instant-acme`'s; the connections it is spoken over are in `client`. An order is due when there is no certificate that
//! covers the names, when the authority is another one, when a third of the lifetime is left, or when the authority says so (RFC 9773).
//! An order that fails is tried again after 1 min, 2 min, 4 min and so on up to 6 h, later if the authority asks for that, and that holds
//! across restarts: authorities count what fails and shut out who does it often.
//!
//! The room does not know TLS on listeners or requests: an [`Installer`] takes certificates, [`http_challenge`] is asked for answers.

mod account;
mod certificate;
mod challenge;
mod client;
mod error;
mod heed;
mod maintain;
mod order;
mod schedule;
mod storage;
mod streak;
#[cfg(test)]
mod tests;
mod world;

use std::sync::Arc;

use crate::config::Acme;

pub use challenge::http_challenge;

/// Who shows certificates to clients. Called on the task of [`maintain`], so each call should be quick.
pub trait Installer: Send + Sync {
    /// From now on this is the certificate of its names; both are PEM, the chain with the certificate first. They belong together: that
    /// has been checked. An error is logged, and the certificate is kept for the next start all the same.
    fn install(&self, chain_pem: &[u8], key_pem: &[u8]) -> Result<(), String>;

    /// To a client that asks for `name` and offers `acme-tls/1`, and to no other, this self-signed certificate is shown; the key is PKCS#8. An error
    /// fails the order. The certificate has a critical extension that rustls does not know, so its checks of ordinary certificates
    /// (`CertifiedKey::from_der`, `keys_match`) refuse it; `CertifiedKey::new` does not.
    fn show_challenge(
        &self,
        name: &str,
        certificate_der: Vec<u8>,
        key_der: Vec<u8>,
    ) -> Result<(), String>;

    /// No longer so. Called once for every challenge that was shown, also when [`maintain`] is dropped in between.
    fn clear_challenge(&self, name: &str);
}

/// Keeps one certificate: installs what the storage has, orders and renews. Never returns; stops when it is dropped, at any point, and
/// then shows no challenge any longer.
///
/// Several may run on the same storage, in this process and in others, also for the same names: one orders, the others take what it got. It
/// blocks on small files of the storage and of the `ca`, so it belongs on a thread that serves nobody. Says each success by `info` with
/// the expiry and each failure by `warn` with the reason and the next attempt.
///
/// # Panics
/// Outside a tokio runtime with time and I/O.
pub async fn maintain(settings: Acme, installer: Arc<dyn Installer>) {
    maintain::Maintainer::new(settings, installer, world::World::real())
        .run()
        .await;
}

/// The chain and the key that the storage has, both PEM, if they belong together and are for at least one of the names: a certificate
/// that lacks a name or has run out serves better than none until [`maintain`] has got another. Blocks on files.
pub fn stored(settings: &Acme) -> Option<(Vec<u8>, Vec<u8>)> {
    let kept = storage::Storage::new(settings).pair().ok()??;
    let certificate = certificate::Certificate::parse(kept).ok()?;
    let fits = certificate.covers_any(&settings.names);
    fits.then_some(certificate.pair)
}
