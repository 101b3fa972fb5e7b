//! A proxy, its origins and its downstreams, in sentences.
//!
//! ```text
//! let origin = Origin::echo();                                   // answers each request with the bytes it received
//! let proxy = Proxy::before(&origin);                            // one listener "web", one route, one cluster "origin"
//! let response = proxy.client().get("/x");                       // raw TCP; one response, decoded
//! assert_eq!(response.status, 200);
//! assert_eq!(proxy.line_of("/x").outcome(), "ok");               // the access line of that target
//! ```
//!
//! [`Proxy::start`] takes a whole configuration, in which [`config`] puts addresses at the place of upper-case words. [`Origin::start`] takes a
//! handler that reads and writes a connection by itself. [`Gate`] lets an origin wait for the test. Nothing here sleeps: what is waited for
//! is a line, a byte or a gate, for at most [`PATIENCE`].

#![allow(
    dead_code,
    reason = "a harness offers more than every selection of tests takes"
)]

pub(crate) mod acme;
mod admin;
mod client;
mod gate;
pub(crate) mod h2;
mod head;
mod lines;
mod name_server;
mod origin;
mod proxy;
mod tls;
mod wire;

pub(crate) use admin::{Admin, endpoint_path, wait};
pub(crate) use client::{Client, Response};
pub(crate) use gate::Gate;
pub(crate) use head::Head;
pub(crate) use name_server::NameServer;
pub(crate) use origin::{Origin, Peer, closed_port, deaf_port};
pub(crate) use proxy::{AccessLine, Proxy, binary, cache_dir, whole};
pub(crate) use tls::{Accepted, Authority, Handshake, Identity, TlsClient, TlsFront};
pub(crate) use wire::Wire;

use std::fmt::Display;
use std::time::Duration;

/// How long anything may take before a test gives up. Long, since the machine may be busy; no test that passes waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A configuration with each upper-case word of `values` replaced: `config("… endpoint \"ORIGIN\" …", &[("ORIGIN", &origin)])`.
pub(crate) fn config(text: &str, values: &[(&str, &dyn Display)]) -> String {
    values.iter().fold(text.to_owned(), |text, (word, value)| {
        assert!(
            text.contains(word),
            "the configuration does not mention {word}"
        );
        text.replace(word, &value.to_string())
    })
}
