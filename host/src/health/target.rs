//! What is checked, and how it is spoken to.

use hyper::Uri;

use super::Failure;
use crate::net::address::{Address, UNIX_PREFIX};
use crate::net::stream::Stream;

/// What a Unix socket is called where a host is needed, as curl and nginx do it.
const LOCAL_HOST: &str = "localhost";

/// The endpoint to check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The endpoint's own; the probe's `address` and `port` go before it.
    pub address: Address,
    /// As written, with its port: what is sent as `Host`, and without the port the name asked for in TLS. A Unix socket is `localhost` there.
    pub label: String,
}

/// A connection that a probe may speak on.
pub(super) struct Spoken<'t> {
    pub(super) stream: Stream,
    /// The target's.
    pub(super) label: &'t str,
    /// The stream has TLS.
    pub(super) secure: bool,
}

impl Spoken<'_> {
    /// As HTTP/2 needs it, in full.
    pub(super) fn uri(&self, authority: &str, path: &str) -> Result<Uri, Failure> {
        Uri::builder()
            .scheme(if self.secure { "https" } else { "http" })
            .authority(authority)
            .path_and_query(path)
            .build()
            .map_err(|_| Failure::Name(authority.to_owned(), "an authority"))
    }
}

/// What an endpoint is asked for by.
pub(super) fn authority(label: &str) -> &str {
    if label.starts_with(UNIX_PREFIX) {
        LOCAL_HOST
    } else {
        label
    }
}
