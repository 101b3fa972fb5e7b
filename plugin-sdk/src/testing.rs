//! A fake host: plugin logic runs in native unit tests, with guards and constant edits evaluated as the host does.
//!
//! ```
//! # use tollgate_plugin_sdk::prelude::*;
//! # #[derive(Settings)] struct Hello {}
//! # impl HttpFilter for Hello {
//! #     type Settings = Self;
//! #     fn new(settings: Self) -> Result<Self, Errors> { Ok(settings) }
//! #     fn request(&self, request: &Request) -> Verdict {
//! #         let mut edits = Edits::new();
//! #         edits.set("x-hello", request.path().as_bytes());
//! #         edits.into()
//! #     }
//! # }
//! use tollgate_plugin_sdk::testing::{Exchange, run};
//!
//! let outcome = run::<Hello>("{}", &Exchange::get("/world"));
//! assert_eq!(outcome.exchange.request.text("x-hello"), "/world");
//! ```

mod apply;
pub(crate) mod capabilities;
mod exchange;
mod guard;
mod samples;
mod store;

use std::cell::RefCell;
use std::fmt;

pub use exchange::{Exchange, Headers, Response};
pub use guard::holds as guard_holds;
pub use samples::samples;

use capabilities::FakeMetric;
use store::FakeStores;

use crate::http::{self, HttpFilter};
use crate::log::Level;
use crate::measures::Measure;
use crate::network::{self, Accepted, NetworkFilter};
use crate::random::Generator;
use crate::settings::Errors;
use crate::store::StoreError;

use crate::verdict::{Reply, Verdict};
use crate::{Field, Plan};

/// How an exchange with a filter ended.
#[derive(Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Whether it passed.
    pub end: End,
    /// The messages as they are after the filter.
    pub exchange: Exchange,
    /// How often the filter was called.
    pub calls: u32,
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} after {} calls: {:?}",
            self.end, self.calls, self.exchange
        )
    }
}

/// The end of an exchange, seen from one filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Request and response passed.
    Passed,
    /// The filter answered.
    Replied(Reply),
    /// The filter closed the connection.
    Closed,
}

/// Runs one exchange through a filter as the host would, by its plan. An exchange without a response ends after the request phase.
///
/// # Panics
/// When the settings are refused, or an answer is one that the host would count as a fault.
pub fn run<F: HttpFilter>(settings: &str, exchange: &Exchange) -> Outcome {
    let configured = configure::<F>(settings);
    run_plan(&configured.filter, &configured.plan, exchange)
}

/// Runs one exchange through a filter without its plan: every phase is called, nothing is handed over, no edit is made by the host.
///
/// # Panics
/// As [`run`].
pub fn run_everything<F: HttpFilter>(settings: &str, exchange: &Exchange) -> Outcome {
    run_plan(
        &configure::<F>(settings).filter,
        &Plan::everything(),
        exchange,
    )
}

/// Asserts that the plan is only an optimisation: with it and without it, each exchange ends the same.
///
/// # Panics
/// When it does not, and as [`run`].
pub fn assert_plan_is_pure<F: HttpFilter>(settings: &str, exchanges: &[Exchange]) {
    for exchange in exchanges {
        let (planned, everything) = (
            run::<F>(settings, exchange),
            run_everything::<F>(settings, exchange),
        );
        assert_eq!(
            planned.end, everything.end,
            "settings {settings}, exchange {exchange:?}"
        );
        assert!(
            planned.exchange.same_messages(&everything.exchange),
            "settings {settings}\nexchange {exchange:?}\nby plan {planned:?}\nby calls {everything:?}"
        );
    }
}

/// The errors that settings are refused with, as `pointer: message`; empty when they are accepted.
pub fn errors<F: HttpFilter>(settings: &str) -> Vec<String> {
    written(http::Configured::<F>::new(settings).err())
}

/// As [`errors`], for a network filter.
pub fn network_errors<F: NetworkFilter>(settings: &str) -> Vec<String> {
    written(network::Configured::<F>::new(settings).err())
}

/// Whether a network filter lets a connection in. Asserts that its plan does not change that.
///
/// # Panics
/// When the settings are refused, the address is none, or plan and everything differ.
pub fn accepts<F: NetworkFilter>(settings: &str, from: &str) -> bool {
    let configured =
        network::Configured::<F>::new(settings).unwrap_or_else(|errors| refused(&errors));
    let exchange = Exchange::get("/").from(from);
    with_host(|host| host.exchange = Some(exchange.clone()));
    let everything = configured.accept(&[], &[]) != Accepted::Close;
    let planned = match &configured.plan.accept {
        Some(fields) if guard::holds(&configured.plan.guard, &exchange) => {
            configured.accept(fields, &exchange.flat(fields)) != Accepted::Close
        }
        _ => true,
    };
    assert_eq!(
        planned, everything,
        "the plan changes what happens to {from}"
    );
    planned
}

/// A connection that a network filter let in, for filters that want to know when it ends.
pub struct Opened<F> {
    configured: network::Configured<F>,
    exchange: Exchange,
}

/// Opens a connection from this address, by the filter's plan; none when the filter closes it.
///
/// # Panics
/// When the settings are refused.
pub fn connect<F: NetworkFilter>(settings: &str, from: &str) -> Option<Opened<F>> {
    let configured =
        network::Configured::<F>::new(settings).unwrap_or_else(|errors| refused(&errors));
    let mut exchange = Exchange::get("/").from(from);
    with_host(|host| host.exchange = Some(exchange.clone()));
    if let Some(fields) = &configured.plan.accept
        && guard::holds(&configured.plan.guard, &exchange)
    {
        match configured.accept(fields, &exchange.flat(fields)) {
            Accepted::Next(tags) => apply::flat(&mut exchange, &tags.into_bytes()),
            Accepted::Close => return None,
        }
    }
    Some(Opened {
        configured,
        exchange,
    })
}

impl<F: NetworkFilter> Opened<F> {
    /// Ends the connection.
    pub fn close(self) {
        let plan = &self.configured.plan;
        if let Some(fields) = &plan.close
            && guard::holds(&plan.guard, &self.exchange)
        {
            with_host(|host| host.exchange = Some(self.exchange.clone()));
            self.configured.close(fields, &self.exchange.flat(fields));
        }
    }
}

/// What plugins reach outside of themselves; one for each test thread.
#[derive(Debug)]
pub struct Host {
    /// What `Request` and `Response` read beyond the fields handed over.
    pub exchange: Option<Exchange>,
    /// Lines logged so far.
    pub log: Vec<(Level, String)>,
    /// Nanoseconds on the monotonic clock.
    pub monotonic: u64,
    /// Nanoseconds since 1970.
    pub wall: u64,
    /// Requests in flight by endpoint.
    pub loads: Vec<u32>,
    /// What [`measures::read`](crate::measures::read) answers, by endpoint; beyond its end there is no endpoint.
    pub measures: Vec<Measure>,
    /// The stores that the plugin is granted; one called `store` unless a test says otherwise.
    pub stores: Vec<String>,
    /// What every store answers instead of doing anything, if set: how does the plugin take a full one?
    pub store_error: Option<StoreError>,
    kept: FakeStores,
    metrics: Vec<FakeMetric>,
    generator: Generator,
}

impl Host {
    pub(crate) fn read(&self, field: &Field) -> Option<Vec<u8>> {
        self.exchange.as_ref()?.read(field)
    }

    pub(crate) fn header_lines(&self, name: &str) -> Vec<Vec<u8>> {
        self.exchange
            .as_ref()
            .map(|exchange| exchange.current_headers().lines(name))
            .unwrap_or_default()
    }

    pub(crate) fn header_names(&self) -> Vec<String> {
        self.exchange
            .as_ref()
            .map(|exchange| exchange.current_headers().names())
            .unwrap_or_default()
    }

    pub(crate) fn random(&mut self) -> u64 {
        self.generator.draw()
    }

    pub(crate) fn load(&self, index: u32) -> u32 {
        self.loads
            .get(index as usize)
            .copied()
            .unwrap_or(crate::loads::UNAVAILABLE)
    }

    pub(crate) fn measure(&self, index: u32) -> Measure {
        self.measures
            .get(index as usize)
            .copied()
            .unwrap_or(Measure::UNAVAILABLE)
    }
}

thread_local! {
    static HOST: RefCell<Host> = RefCell::new(Host {
        exchange: None,
        log: Vec::new(),
        monotonic: 0,
        wall: 0,
        loads: Vec::new(),
        measures: Vec::new(),
        stores: vec!["store".to_owned()],
        store_error: None,
        kept: FakeStores::default(),
        metrics: Vec::new(),
        generator: Generator::seeded(1),
    });
}

/// Looks at the fake host of this thread or changes it.
pub fn with_host<T>(look: impl FnOnce(&mut Host) -> T) -> T {
    HOST.with_borrow_mut(look)
}

fn configure<F: HttpFilter>(settings: &str) -> http::Configured<F> {
    http::Configured::new(settings).unwrap_or_else(|errors| refused(&errors))
}

fn refused(errors: &Errors) -> ! {
    panic!("settings refused: {:?}", errors.iter().collect::<Vec<_>>())
}

fn written(errors: Option<Errors>) -> Vec<String> {
    let line =
        |error: &crate::settings::SettingsError| format!("{}: {}", error.pointer, error.message);
    errors
        .map(|errors| errors.iter().map(line).collect())
        .unwrap_or_default()
}

fn run_plan<F: HttpFilter>(filter: &F, plan: &Plan, exchange: &Exchange) -> Outcome {
    let guard_holds = guard::holds(&plan.guard, exchange);
    let groups: Vec<_> = plan
        .edits
        .iter()
        .filter(|edits| guard::holds(&edits.guard, exchange))
        .collect();
    let mut outcome = Outcome {
        end: End::Passed,
        exchange: exchange.clone(),
        calls: 0,
    };
    outcome.exchange.response = None;
    groups
        .iter()
        .for_each(|edits| apply::constant(&mut outcome.exchange, &edits.request));
    if let (Some(fields), true) = (&plan.request, guard_holds) {
        let verdict = call(
            &mut outcome,
            |flat| filter.request(&crate::Request::new(crate::Facts::new(fields, flat))),
            fields,
        );
        apply_verdict(&mut outcome, verdict);
    }
    if outcome.end != End::Passed || exchange.response.is_none() {
        return outcome;
    }
    outcome.exchange.response.clone_from(&exchange.response);
    groups
        .iter()
        .for_each(|edits| apply::constant(&mut outcome.exchange, &edits.response));
    if let (Some(fields), true) = (&plan.response, guard_holds) {
        let verdict = call(
            &mut outcome,
            |flat| filter.response(&crate::Response::new(crate::Facts::new(fields, flat))),
            fields,
        );
        apply_verdict(&mut outcome, verdict);
    }
    outcome
}

fn call(outcome: &mut Outcome, phase: impl FnOnce(&[u8]) -> Verdict, fields: &[Field]) -> Verdict {
    outcome.calls += 1;
    with_host(|host| host.exchange = Some(outcome.exchange.clone()));
    phase(&outcome.exchange.flat(fields))
}

fn apply_verdict(outcome: &mut Outcome, verdict: Verdict) {
    match verdict {
        Verdict::Next(edits) => apply::flat(&mut outcome.exchange, &edits.into_bytes()),
        Verdict::Reply(reply) => {
            apply::check_reply(&reply);
            outcome.end = End::Replied(reply);
        }
        Verdict::Close => outcome.end = End::Closed,
    }
}
