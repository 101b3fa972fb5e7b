//! TLS on both sides, by rustls: what a listener shows and asks of its clients, and how a cluster's endpoints are verified.
//!
//! A [`Server`] is one listener's `tls`, compiled; [`Server::accept`] turns an accepted stream into one whose bytes are in the clear, with the
//! [`TlsFacts`](crate::http::TlsFacts) of the handshake. A [`Client`] is one cluster's; [`Client::connect`] does the same to a dialled stream.
//! Both yield a `Stream::Layered` that the spines drive as any other. [`read_hello`] looks at a hello for those who pass TLS through.
//!
//! The way of a handshake: `first` reads the hello, `table` chooses a certificate by it, `accept` goes on with that certificate's configuration,
//! which `template` made, and `facts` writes down what came of it. `policy` is what both sides may restrict, `pem` reads files, `certificate`
//! and `name` read X.509.
//!
//! The room knows streams, timers and the configuration's model. It knows no HTTP, except that plain HTTP is recognised and handed back, and no
//! routes, pools or orders of certificates.

mod accept;
mod certificate;
mod challenge;
mod client;
mod digest;
mod facts;
mod first;
mod hello;
mod name;
mod pem;
mod policy;
pub mod roots;
mod server;
mod table;
mod template;
#[cfg(test)]
mod tests;
mod transport;

use crate::config::Place;

pub use accept::AcceptError;
pub use challenge::Challenges;
pub use client::{Client, host_of};
pub use hello::{HELLO_BYTES_MAX, Hello, HelloRead, read_hello};
pub use policy::{cipher_names, is_cipher};
pub use server::Server;

/// What is wrong with a `tls`, each with the place of the value; the default place stands for the whole of it.
type Errors = Vec<(Place, String)>;

/// The value, or nothing and its errors among the others.
fn keep<T>(result: Result<T, Errors>, errors: &mut Errors) -> Option<T> {
    result.map_err(|more| errors.extend(more)).ok()
}
