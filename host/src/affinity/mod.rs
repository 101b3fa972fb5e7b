//! What a request is bound to, and how that is told to the downstream.
//!
//! An [`Affinity`] is one cluster's setting, compiled. It reads a [`Binding`] off each request: the endpoint that the request's cookie names, or
//! that the cluster's live [`Table`] remembers for its key. Once an endpoint has answered, the binding is settled: the cookie is issued, rewritten
//! or prefixed on the response, or the table remembers. [`Members`] are the cluster's endpoints as affinity knows them, made anew whenever the
//! endpoints change; the table is live state and outlasts reloads.
//!
//! This room knows no health, no queues and no I/O: whether a bound endpoint may be picked, and what happens when it may not, is decided where
//! endpoints are picked. Whoever is picked instead is what [`Affinity::response`] then issues.

mod binding;
mod cookie;
mod issue;
mod key;
mod lru;
mod members;
mod names;
mod table;
mod value;

use std::sync::Arc;

pub use binding::{Binding, BindingState, Issued};
pub use members::Members;
pub use table::{Entry, Table};

use crate::config;
use crate::http::{ConnectionFacts, Exchange};
use issue::CookieJar;
use key::KeyTemplate;

/// One cluster's affinity, compiled. Shared by all workers; holds no lock of its own.
#[derive(Debug)]
pub struct Affinity {
    cluster: Box<str>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Cookie(CookieJar),
    Table { key: KeyTemplate, table: Arc<Table> },
}

impl Affinity {
    /// Compiles the affinity of a cluster. `table` is the live table of that cluster, which only a table affinity keeps; its size and expiry
    /// are not touched here, since a snapshot that is compiled may never be run: call [`Table::configure`] when it is.
    pub fn new(cluster: &str, settings: &config::Affinity, table: Arc<Table>) -> Affinity {
        let kind = match settings {
            config::Affinity::Cookie(cookie) => Kind::Cookie(CookieJar::new(cookie)),
            config::Affinity::Table(settings) => Kind::Table {
                key: KeyTemplate::new(&settings.key),
                table,
            },
        };
        Affinity {
            cluster: cluster.into(),
            kind,
        }
    }

    /// The name of the cluster.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// What a request is bound to, by what it carries. `members` are the endpoints as of now; give the same ones to [`Affinity::response`].
    ///
    /// Call it once per request, after the request filters: it leaves the request as it is to be sent upstream. In insert mode the affinity
    /// cookie is taken off, every one of that name; in prefix mode the prefix is taken off its value. Other cookies stay byte for byte
    /// (several `Cookie` lines become one, RFC 6265 section 5.4), and an emptied `Cookie` header goes. Of several cookies of the name the
    /// first valid one counts. A hit in the table counts as a use of the entry.
    pub fn request(&self, exchange: &mut Exchange, members: &Members) -> Binding {
        match &self.kind {
            Kind::Cookie(jar) => jar.take(exchange.request.fields_mut(), members),
            Kind::Table { key, table } => look_up(table, key.of_request(exchange), members),
        }
    }

    /// What a TCP connection is bound to. There is no request: only the peer's address, the scheme and tags of network filters make a key,
    /// and a cookie affinity binds nothing.
    pub fn connection(&self, facts: &ConnectionFacts, members: &Members) -> Binding {
        match &self.kind {
            Kind::Cookie(_) => Binding::default(),
            Kind::Table { key, table } => look_up(table, key.of_connection(facts), members),
        }
    }

    /// Settles the binding once `endpoint` (its id) has answered: edits the `Set-Cookie` lines of the response, or lets the table remember.
    ///
    /// Call it once per response, before the response filters; nothing is done for an interim one. `members` are those of the request: an
    /// endpoint that is not among them gets no cookie.
    ///
    /// - insert: the cookie is issued unless the request came with the valid one of this endpoint, and a `Set-Cookie` of the same name from
    ///   upstream is dropped. A response that sets the cookie must not be stored by a shared cache, so `Cache-Control: private` is added
    ///   unless `no-store` or `private` is there. A cookie with `Max-Age` is not renewed while it is valid.
    /// - rewrite: the value of the upstream's cookie is replaced, its attributes stay. No cookie is made.
    /// - prefix: the value of the upstream's cookie gets its prefix.
    pub fn response(
        &self,
        exchange: &mut Exchange,
        binding: &Binding,
        endpoint: &str,
        members: &Members,
    ) -> Issued {
        match &self.kind {
            Kind::Cookie(_) if exchange.response.is_interim() => Issued::None,
            Kind::Cookie(jar) => {
                jar.put(exchange.response.fields_mut(), binding, endpoint, members)
            }
            // The look-up has refreshed the entry already.
            Kind::Table { .. } if binding.is_to(endpoint, members) => Issued::None,
            Kind::Table { .. } => self.remember(binding, endpoint),
        }
    }

    /// Lets the table remember that the key of `binding` is now on `endpoint` (its id): for TCP connections once connected, and for requests
    /// whose response is not edited. Does nothing for cookies and without a key.
    pub fn remember(&self, binding: &Binding, endpoint: &str) -> Issued {
        match (&self.kind, &binding.key) {
            (Kind::Table { table, .. }, Some(key)) => {
                table.set_key(key, endpoint);
                Issued::Remembered
            }
            _ => Issued::None,
        }
    }
}

/// What the table knows of a key.
fn look_up(table: &Table, key: Option<key::Key>, members: &Members) -> Binding {
    let Some(key) = key else {
        return Binding::default();
    };
    let (endpoint, state) = match table.find(&key, |id| members.position(id)) {
        Some(Some(position)) => (Some(position), BindingState::Valid),
        Some(None) => (None, BindingState::Unknown),
        None => (None, BindingState::New),
    };
    Binding {
        endpoint,
        state,
        key: Some(key),
    }
}

#[cfg(test)]
mod tests;
