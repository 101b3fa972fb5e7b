//! HTTP filters: the request and the response phase.

use std::sync::Arc;

use serde_json::Value;

use super::{
    BATCH_MIN, BenchError, Clock, Subject, Used, Workload, cases, checked, settings_in,
    without_faults,
};
use crate::config::Spanned;
use crate::config::cases::{Case, Exchange, Origin, Protocol, Request, Response};
use crate::filter::{Filter, FilterChain, OnFault, Run};
use crate::http;
use crate::plugin::{Budgets, ConfigureError, Engine, HttpFilter};
use crate::trial::given::Given;
use crate::trial::{run, stage};

struct Filters<'g> {
    given: &'g Given,
    engine: &'g Engine,
    plugins: Vec<Arc<HttpFilter>>,
    work: Vec<(FilterChain, Item)>,
}

/// One exchange, and the settings of each time that the plugin is in its chain.
struct Item {
    settings: Vec<Value>,
    budgets: Budgets,
    exchange: Exchange,
}

/// An exchange under way.
struct Staged<'w> {
    chain: &'w FilterChain,
    written: &'w Exchange,
    run: Run,
    /// Away only during a phase.
    exchange: Option<Box<http::Exchange>>,
    passed: bool,
}

pub(super) fn subject<'g>(
    given: &'g Given,
    engine: &'g Engine,
    workload: &Workload,
) -> Result<(Box<dyn Subject + 'g>, Vec<String>), BenchError> {
    let mut items = Vec::new();
    match workload {
        Workload::Settings(settings) => items.push(Item {
            settings: vec![checked(given, settings)?],
            budgets: Budgets::default(),
            exchange: plain(),
        }),
        Workload::Files(files) => {
            for found in cases(files, engine, given)? {
                let Case::Http(case) = found.case else {
                    continue;
                };
                let settings = settings_in(&case.filters, &found.name);
                if !settings.is_empty() {
                    let exchanges = case.exchanges.into_iter();
                    items.extend(exchanges.map(|exchange| Item {
                        settings: settings.clone(),
                        budgets: found.budgets,
                        exchange,
                    }));
                }
            }
        }
    }
    let name = |item: &Item| item.exchange.name.value.clone();
    let (items, left_out) = without_faults(items, name, |item, label| {
        let chain = chain(given, engine, label, item, &mut Vec::new())?;
        let outcome = run::exchange(&chain, &mut Run::default(), &item.exchange);
        Ok(outcome.is_ok_and(|outcome| outcome.counts.faults.is_empty()))
    })?;
    let (mut plugins, mut work) = (Vec::new(), Vec::new());
    for item in items {
        let chain = chain(given, engine, "bench", &item, &mut plugins);
        work.push((chain.map_err(super::refused)?, item));
    }
    let subject = Filters {
        given,
        engine,
        plugins,
        work,
    };
    Ok((Box::new(subject), left_out))
}

fn configure(
    given: &Given,
    engine: &Engine,
    label: &str,
    (settings, budgets): (&Value, Budgets),
) -> Result<Arc<HttpFilter>, ConfigureError> {
    let component = given.component();
    HttpFilter::configure(engine, component, label, settings, budgets)
}

fn chain(
    given: &Given,
    engine: &Engine,
    label: &str,
    item: &Item,
    plugins: &mut Vec<Arc<HttpFilter>>,
) -> Result<FilterChain, ConfigureError> {
    let mut filters = Vec::new();
    for settings in &item.settings {
        let plugin = configure(given, engine, label, (settings, item.budgets))?;
        if !plugins.iter().any(|known| Arc::ptr_eq(known, &plugin)) {
            plugins.push(plugin.clone());
        }
        filters.push(Filter {
            name: label.into(),
            plugin,
            on_fault: OnFault::Deny,
        });
    }
    Ok(FilterChain::new(filters))
}

/// What a filter finds that is measured without cases.
fn plain() -> Exchange {
    let header = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
    let request = Request {
        method: "GET".to_owned(),
        target: "/".to_owned(),
        host: "test.example".to_owned(),
        headers: vec![
            header("user-agent", "tollgate"),
            header("accept", "*/*"),
            header("accept-encoding", "gzip, br"),
        ],
        body: None,
        origin: Origin::default(),
        protocol: Protocol::default(),
    };
    Exchange {
        name: unplaced("GET /".to_owned()),
        request: unplaced(request),
        response: None,
        expect: Default::default(),
    }
}

fn unplaced<T>(value: T) -> Spanned<T> {
    Spanned {
        value,
        place: Default::default(),
    }
}

/// What comes back where a case says nothing of it.
fn empty_response() -> Response {
    Response {
        status: 200,
        headers: vec![("content-type".to_owned(), b"text/plain".to_vec())],
        body: None,
    }
}

impl Subject for Filters<'_> {
    fn phases(&self) -> &'static [&'static str] {
        &["request", "response"]
    }

    fn start(&self, label: &str) -> Result<(), ConfigureError> {
        let (_, first) = &self.work[0];
        let settings = (&first.settings[0], first.budgets);
        configure(self.given, self.engine, label, settings).map(drop)
    }

    fn batch(&mut self, clock: &mut Clock) {
        let used = || Used::of(self.plugins.iter().map(|it| (it.stats(), it.usage())));
        let mut staged: Vec<_> = (0..BATCH_MIN.div_ceil(self.work.len()))
            .flat_map(|_| &self.work)
            .filter_map(|(chain, item)| {
                let exchange = stage::exchange(&item.exchange.request.value).ok()?;
                Some(Staged {
                    chain,
                    written: &item.exchange,
                    run: Run::default(),
                    exchange: Some(exchange),
                    passed: false,
                })
            })
            .collect();
        clock.time(0, staged.len(), used, || {
            staged.iter_mut().for_each(Staged::request);
        });
        let empty = empty_response();
        staged.retain_mut(|staged| staged.answer(&empty));
        let mut body = Vec::new();
        clock.time(1, staged.len(), used, || {
            for staged in &mut staged {
                staged.response(&mut body);
            }
        });
    }
}

impl Staged<'_> {
    fn request(&mut self) {
        if let Some(exchange) = self.exchange.take() {
            let (exchange, result) = self.chain.on_request(&mut self.run, exchange);
            self.passed = result.is_ok();
            self.exchange = Some(exchange);
        }
    }

    /// Whether there is a response phase to come.
    fn answer(&mut self, empty: &Response) -> bool {
        let written = self.written.response.as_ref();
        let written = written.map_or(empty, |response| &response.value);
        let exchange = self.exchange.as_mut().filter(|_| self.passed);
        exchange.is_some_and(|exchange| stage::put_response(exchange, written).is_ok())
    }

    fn response(&mut self, body: &mut Vec<u8>) {
        if let Some(exchange) = self.exchange.take() {
            let (exchange, _) = self.chain.on_response(&mut self.run, exchange, body);
            self.exchange = Some(exchange);
        }
    }
}
