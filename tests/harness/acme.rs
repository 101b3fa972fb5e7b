//! A certificate authority that speaks ACME (RFC 8555) on the loopback address, and really looks at challenges.
//!
//! ```text
//! let authority = Authority::start(by_http(port));               // or by_handshake(port), or a closure
//! authority.directory()                                          // for `acme "…"`
//! authority.refuse_once("/new-order", Refusal::rate_limited(7200));
//! authority.issued()                                             // the names of each certificate, in order
//! ```
//!
//! Signatures, nonces, addresses, external accounts and certificate requests are checked; what a client does wrong is refused with the
//! problem that a real authority would name. Depends on nothing else of the harness, so that unit tests use it as well.

#![allow(
    dead_code,
    unused_imports,
    reason = "an authority offers more than every selection of tests takes"
)]

#[path = "acme/issue.rs"]
mod issue;
#[path = "acme/look.rs"]
mod look;
#[path = "acme/serve.rs"]
mod serve;
#[path = "acme/signed.rs"]
mod signed;
#[path = "acme/state.rs"]
mod state;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

pub(crate) use look::{Proof, by_handshake, by_http};
use state::State;

/// Says whether a proof is good, or why not.
pub(crate) type Look = dyn Fn(&Proof) -> Result<(), String> + Send + Sync;
type Clock = dyn Fn() -> SystemTime + Send + Sync;

/// Cheap to clone; all clones are the same authority.
#[derive(Clone)]
pub(crate) struct Authority {
    /// Without a slash at the end.
    base: Arc<str>,
    state: Arc<Mutex<State>>,
    look: Arc<Look>,
    clock: Arc<Clock>,
}

/// An answer as it goes out.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) fields: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

/// An answer other than what is due.
#[derive(Debug, Clone)]
pub(crate) struct Refusal(Answer);

impl Refusal {
    /// `kind` is without the prefix that all have.
    pub(crate) fn problem(status: u16, kind: &str, detail: &str) -> Refusal {
        Refusal(Answer::problem(status, kind, detail))
    }

    /// With a `Retry-After` of so many seconds.
    pub(crate) fn rate_limited(seconds: u64) -> Refusal {
        let refusal = Refusal::problem(429, "rateLimited", "too many orders");
        refusal.with("retry-after", &seconds.to_string())
    }

    pub(crate) fn with(mut self, field: &'static str, value: &str) -> Refusal {
        self.0.fields.push((field, value.to_owned()));
        self
    }

    pub(crate) fn raw(status: u16, kind: &str, body: &[u8]) -> Refusal {
        let fields = vec![("content-type", kind.to_owned())];
        Refusal(Answer {
            status,
            fields,
            body: body.to_vec(),
        })
    }
}

impl Authority {
    /// Listens on a port that the system chose, with a thread for each connection. Certificates run for 90 days from now.
    pub(crate) fn start(
        look: impl Fn(&Proof) -> Result<(), String> + Send + Sync + 'static,
    ) -> Authority {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let authority = Authority::new(&format!("http://{address}"), look, SystemTime::now);
        serve::spawn(listener, authority.clone());
        authority
    }

    /// Without a socket: [`Authority::answer`] has to be called.
    pub(crate) fn new(
        base: &str,
        look: impl Fn(&Proof) -> Result<(), String> + Send + Sync + 'static,
        clock: impl Fn() -> SystemTime + Send + Sync + 'static,
    ) -> Authority {
        Authority {
            base: Arc::from(base),
            state: Arc::new(Mutex::new(State::new())),
            look: Arc::new(look),
            clock: Arc::new(clock),
        }
    }

    pub(crate) fn directory(&self) -> String {
        format!("{}/directory", self.base)
    }

    /// Of the certificate that signs, PEM.
    pub(crate) fn root(&self) -> String {
        self.state().issuer.root()
    }

    /// Of certificates to come.
    pub(crate) fn set_lifetime(&self, lifetime: Duration) {
        self.state().lifetime = lifetime;
    }

    /// New accounts must be bound to this one: key id and HMAC key.
    pub(crate) fn demand_external_account(&self, id: &str, key: &[u8]) {
        self.state().external = Some((id.to_owned(), key.to_vec()));
    }

    /// From now on a window for renewal is suggested for every certificate; both ends as RFC 3339 writes them.
    pub(crate) fn suggest(&self, start: &str, end: &str) {
        self.state().window = Some((start.to_owned(), end.to_owned()));
    }

    /// Clients are asked to wait so many seconds between looks at an order.
    pub(crate) fn set_pace(&self, seconds: u64) {
        self.state().pace = Some(seconds);
    }

    /// From now on this name is in no certificate, though it was ordered and proved.
    pub(crate) fn leave_out(&self, name: &str) {
        self.state().left_out = Some(name.to_owned());
    }

    /// The next request whose path begins so is answered with this. Several wait for their turn.
    pub(crate) fn refuse_once(&self, path: &'static str, refusal: Refusal) {
        self.state().refusals.push((path, refusal.0));
    }

    /// Accounts as after a loss of the data base.
    pub(crate) fn forget_accounts(&self) {
        self.state()
            .accounts
            .iter_mut()
            .for_each(|account| account.known = false);
    }

    /// The contacts of each account ever made.
    pub(crate) fn contacts(&self) -> Vec<Vec<String>> {
        let accounts = self.state().accounts.clone();
        accounts
            .into_iter()
            .map(|account| account.contacts)
            .collect()
    }

    /// The names of each order ever made.
    pub(crate) fn ordered(&self) -> Vec<Vec<String>> {
        self.state()
            .orders
            .iter()
            .map(|order| order.names.clone())
            .collect()
    }

    /// Which certificate each order said to replace.
    pub(crate) fn replaced(&self) -> Vec<Option<String>> {
        self.state()
            .orders
            .iter()
            .map(|order| order.replaces.clone())
            .collect()
    }

    /// The names of each certificate issued.
    pub(crate) fn issued(&self) -> Vec<Vec<String>> {
        let state = self.state();
        let issued = state.orders.iter().filter(|order| order.chain.is_some());
        issued.map(|order| order.names.clone()).collect()
    }

    /// Method and path of each request so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.state().requests.clone()
    }

    /// How many requests had this in method and path.
    pub(crate) fn count(&self, path: &str) -> usize {
        let requests = self.requests();
        requests
            .iter()
            .filter(|request| request.contains(path))
            .count()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no request has panicked")
    }
}
