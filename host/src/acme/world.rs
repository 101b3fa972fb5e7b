//! Time, chance and the network, which tests bring along.

use std::sync::Arc;
use std::time::SystemTime;

use instant_acme::HttpClient;

use super::client::Client;
use super::error::AcmeError;
use crate::config::Acme;

pub(super) struct World {
    pub(super) now: Box<dyn Fn() -> SystemTime + Send + Sync>,
    /// From 0 to 1.
    pub(super) chance: Box<dyn Fn() -> f64 + Send + Sync>,
    pub(super) connect: Box<Connect>,
}

/// Made anew for each order, so that a `ca` file that was mended is read again.
pub(super) type Connect = dyn Fn(&Acme) -> Result<Arc<dyn HttpClient>, AcmeError> + Send + Sync;

impl World {
    pub(super) fn real() -> World {
        World {
            now: Box::new(SystemTime::now),
            chance: Box::new(fastrand::f64),
            connect: Box::new(|settings| {
                let ca = settings.ca.as_ref().map(|ca| ca.value.as_path());
                Ok(Arc::new(Client::new(ca)?))
            }),
        }
    }
}
