//! HTTP filters: the phases of an exchange.

use std::cell::RefCell;
use std::sync::Arc;
use std::thread::LocalKey;

use serde_json::Value;
use wasmtime::Store;
use wasmtime::component::TypedFunc;

use crate::http::{Exchange, Fields};

use super::bindings::{self, HttpVerdict};
use super::body_plan::MoreHttpNeeds;
use super::component::{Component, Exports};
use super::configured::{
    ConfigureError, Instance, Plugin, Role, find_or_configure, no_such_export, wrong_kind,
};
use super::edits::{Edits, Phase, append_flat};
use super::engine::Engine;
use super::fault::{Fault, Stats};
use super::grants::Allowance;
use super::inspect::Kind;
use super::needs::HttpNeeds;
use super::slots::Slots;
use super::state::{HostState, Usage};
use super::verdict::{BodyVerdict, Verdict};

/// A configured HTTP filter. Shared by all workers and by every snapshot that has it with the same component, settings and budgets.
pub struct HttpFilter(Plugin<HttpNeeds>);

impl HttpFilter {
    /// Configures a filter, or finds the one that is in use under the same label with the same component, settings and budgets; then its
    /// warm instances and counters go on. Runs the guest for up to half a second: not for an event loop.
    ///
    /// # Errors
    /// The plugin's own objections to its settings, its fault, or a plan that the host cannot carry out.
    pub fn configure(
        engine: &Engine,
        component: &Arc<Component>,
        label: &str,
        settings: &Value,
        allowance: impl Into<Allowance>,
    ) -> Result<Arc<HttpFilter>, ConfigureError> {
        wrong_kind(component, Kind::HttpFilter)?;
        find_or_configure(
            engine,
            component,
            (label, ""),
            settings,
            allowance.into(),
            HttpFilter,
        )
    }

    /// The name it goes by in logs and metrics.
    pub fn label(&self) -> &str {
        self.0.label()
    }

    pub fn component(&self) -> &Arc<Component> {
        self.0.component()
    }

    pub fn needs(&self) -> &HttpNeeds {
        self.0.needs()
    }

    pub fn stats(&self) -> &Stats {
        self.0.stats()
    }

    /// What this worker's instance has used, if there is one.
    pub fn usage(&self) -> Option<Usage> {
        self.0.usage()
    }

    /// Calls the request phase with `fields` in the flat form. The exchange is lent to the guest's reads and comes back in any case.
    ///
    /// # Errors
    /// The fault that cost the call.
    pub fn request(
        &self,
        exchange: Box<Exchange>,
        fields: &[u8],
    ) -> (Box<Exchange>, Result<Verdict, Fault>) {
        self.call(Phase::Request, exchange, fields.len(), |store, calls| {
            let request: TypedFunc<(&[u8],), (HttpVerdict,)> = calls.request;
            request.call(store, (fields,))
        })
    }

    /// The same for the response phase.
    ///
    /// # Errors
    /// The fault that cost the call.
    pub fn response(
        &self,
        exchange: Box<Exchange>,
        fields: &[u8],
    ) -> (Box<Exchange>, Result<Verdict, Fault>) {
        self.call(Phase::Response, exchange, fields.len(), |store, calls| {
            let response: TypedFunc<(&[u8],), (HttpVerdict,)> = calls.response;
            response.call(store, (fields,))
        })
    }

    /// Takes note of a fault that [`Edits::apply_request`](super::Edits::apply_request) or its sibling found: edits that cannot be
    /// applied to this exchange are a fault like any other.
    pub fn blame(&self, fault: Fault) {
        self.0.blame("edits", fault);
    }

    /// Gives an instance to one exchange; see [`HttpNeeds::wants_lease`].
    ///
    /// # Errors
    /// The fault by which there is none.
    pub fn lease(self: &Arc<HttpFilter>) -> Result<Lease, Fault> {
        let mut instance = Some(self.0.lease("begin")?);
        self.0.call_leased(&mut instance, "begin", |instance| {
            let Some(body) = instance.calls.body else {
                return Ok(());
            };
            let begun = body.begin.call(&mut instance.store, ());
            begun.map_err(|error| instance.fault(&error))
        })?;
        Ok(Lease {
            filter: Arc::clone(self),
            instance,
        })
    }

    /// Calls the phase at the end of an exchange. A fault is counted and logged, and that is all.
    pub fn finish(&self, exchange: Box<Exchange>, fields: &[u8]) -> Box<Exchange> {
        let mut exchange = Some(exchange);
        // The fault is in the log and the counters.
        let _ = self
            .0
            .call("end", |instance| finish(instance, &mut exchange, fields));
        exchange.expect("swapped in and back, whatever the call answers")
    }

    #[inline]
    fn call(
        &self,
        phase: Phase,
        exchange: Box<Exchange>,
        bytes_in: usize,
        run: impl FnOnce(&mut Store<HostState>, HttpCalls) -> wasmtime::Result<(HttpVerdict,)>,
    ) -> (Box<Exchange>, Result<Verdict, Fault>) {
        let mut exchange = Some(exchange);
        let result = self.0.call(phase.name(), |instance| {
            on_head(instance, &mut exchange, phase, bytes_in, run)
        });
        (
            exchange.expect("swapped in and back, whatever the call answers"),
            result,
        )
    }
}

/// One call about a head, with the exchange lent to the guest's reads.
#[inline]
fn on_head(
    instance: &mut Instance<HttpNeeds>,
    exchange: &mut Option<Box<Exchange>>,
    phase: Phase,
    bytes_in: usize,
    run: impl FnOnce(&mut Store<HostState>, HttpCalls) -> wasmtime::Result<(HttpVerdict,)>,
) -> Result<Verdict, Fault> {
    std::mem::swap(&mut instance.store.data_mut().exchange, exchange);
    let answer = run(&mut instance.store, instance.calls);
    let state = instance.store.data_mut();
    std::mem::swap(&mut state.exchange, exchange);
    if let Ok((verdict,)) = &answer {
        state.copied.call(bytes_in, verdict.size());
    }
    let (verdict,) = answer.map_err(|error| instance.fault(&error))?;
    Verdict::check(verdict, phase)
}

fn finish(
    instance: &mut Instance<HttpNeeds>,
    exchange: &mut Option<Box<Exchange>>,
    fields: &[u8],
) -> Result<(), Fault> {
    let Some(end) = instance.calls.end else {
        return Ok(());
    };
    let call: TypedFunc<(&[u8],), ()> = end.finish;
    std::mem::swap(&mut instance.store.data_mut().exchange, exchange);
    let answer = call.call(&mut instance.store, (fields,));
    let state = instance.store.data_mut();
    std::mem::swap(&mut state.exchange, exchange);
    state.copied.call(fields.len(), 0);
    answer.map_err(|error| instance.fault(&error))
}

/// An instance that serves one exchange, until it is dropped.
pub struct Lease {
    filter: Arc<HttpFilter>,
    /// None after a fault: what it had remembered of the exchange is gone.
    instance: Option<Box<Instance<HttpNeeds>>>,
}

impl Lease {
    pub fn filter(&self) -> &Arc<HttpFilter> {
        &self.filter
    }

    /// As [`HttpFilter::request`].
    ///
    /// # Errors
    /// The fault that cost the instance.
    pub fn request(
        &mut self,
        exchange: Box<Exchange>,
        fields: &[u8],
    ) -> (Box<Exchange>, Result<Verdict, Fault>) {
        self.head(Phase::Request, exchange, fields.len(), |store, calls| {
            let request: TypedFunc<(&[u8],), (HttpVerdict,)> = calls.request;
            request.call(store, (fields,))
        })
    }

    /// As [`HttpFilter::response`].
    ///
    /// # Errors
    /// The fault that cost the instance.
    pub fn response(
        &mut self,
        exchange: Box<Exchange>,
        fields: &[u8],
    ) -> (Box<Exchange>, Result<Verdict, Fault>) {
        self.head(Phase::Response, exchange, fields.len(), |store, calls| {
            let response: TypedFunc<(&[u8],), (HttpVerdict,)> = calls.response;
            response.call(store, (fields,))
        })
    }

    /// Hands over a part of the body of the request, or of the response.
    ///
    /// # Errors
    /// The fault that cost the instance.
    pub fn body(
        &mut self,
        direction: Direction,
        part: &[u8],
        last: bool,
    ) -> Result<BodyVerdict, Fault> {
        let phase = direction.phase();
        let Lease { filter, instance } = self;
        filter
            .0
            .call_leased(instance, direction.name(), |instance| {
                let body = instance.calls.body.ok_or_else(no_body_phase)?;
                let call: TypedFunc<(&[u8], bool), (bindings::BodyVerdict,)> = match direction {
                    Direction::Request => body.request,
                    Direction::Response => body.response,
                };
                let answer = call.call(&mut instance.store, (part, last));
                let (verdict,) = answer.map_err(|error| instance.fault(&error))?;
                let state = instance.store.data_mut();
                state.copied.call(part.len(), verdict.size());
                BodyVerdict::check(verdict, part.len(), phase)
            })
    }

    /// Hands over the trailers of a body and answers what becomes of them.
    ///
    /// # Errors
    /// The fault that cost the instance.
    pub fn trailers(&mut self, lines: &Fields) -> Result<Fields, Fault> {
        let mut flat = Vec::new();
        for (name, value) in lines.iter() {
            append_flat(name, value, &mut flat);
        }
        let Lease { filter, instance } = self;
        filter.0.call_leased(instance, "trailers", |instance| {
            let body = instance.calls.body.ok_or_else(no_body_phase)?;
            let call: TypedFunc<(&[u8],), (Vec<u8>,)> = body.trailers;
            let answer = call.call(&mut instance.store, (&flat,));
            let (lines,) = answer.map_err(|error| instance.fault(&error))?;
            Edits::check(lines, Phase::Trailers)?.into_fields()
        })
    }

    /// As [`HttpFilter::finish`].
    pub fn finish(&mut self, exchange: Box<Exchange>, fields: &[u8]) -> Box<Exchange> {
        let mut exchange = Some(exchange);
        let Lease { filter, instance } = self;
        // The fault is in the log and the counters.
        let _ = filter.0.call_leased(instance, "end", |instance| {
            finish(instance, &mut exchange, fields)
        });
        exchange.expect("swapped in and back, whatever the call answers")
    }

    /// Takes note of a fault that showed only when an answer was put to use; the instance is gone.
    pub fn blame(&mut self, phase: &'static str, fault: Fault) {
        // The fault is what is told.
        let _ = self
            .filter
            .0
            .call_leased::<()>(&mut self.instance, phase, |_| Err(fault));
    }

    fn head(
        &mut self,
        phase: Phase,
        exchange: Box<Exchange>,
        bytes_in: usize,
        run: impl FnOnce(&mut Store<HostState>, HttpCalls) -> wasmtime::Result<(HttpVerdict,)>,
    ) -> (Box<Exchange>, Result<Verdict, Fault>) {
        let mut exchange = Some(exchange);
        let Lease { filter, instance } = self;
        let result = filter.0.call_leased(instance, phase.name(), |instance| {
            on_head(instance, &mut exchange, phase, bytes_in, run)
        });
        (
            exchange.expect("swapped in and back, whatever the call answers"),
            result,
        )
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(instance) = self.instance.take() {
            self.filter.0.end_lease(instance);
        }
    }
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lease")
            .field("filter", &self.filter.label())
            .finish_non_exhaustive()
    }
}

/// Whose body it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Request,
    Response,
}

impl Direction {
    /// The phase, for logs.
    pub fn name(self) -> &'static str {
        match self {
            Direction::Request => "request-body",
            Direction::Response => "response-body",
        }
    }

    fn phase(self) -> Phase {
        match self {
            Direction::Request => Phase::Request,
            Direction::Response => Phase::Response,
        }
    }
}

/// Cannot be met: the plan is refused when a filter without the phase asks for bodies.
fn no_body_phase() -> Fault {
    Fault::bad_output("has no body phase")
}

impl std::fmt::Debug for HttpFilter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpFilter")
            .field("label", &self.label())
            .finish_non_exhaustive()
    }
}

type Call = TypedFunc<(&'static [u8],), (HttpVerdict,)>;
type BodyCall = TypedFunc<(&'static [u8], bool), (bindings::BodyVerdict,)>;

#[derive(Clone, Copy)]
pub(super) struct HttpCalls {
    request: Call,
    response: Call,
    body: Option<BodyCalls>,
    end: Option<EndCalls>,
}

#[derive(Clone, Copy)]
struct BodyCalls {
    plan: TypedFunc<(), (bindings::Handlings,)>,
    begin: TypedFunc<(), ()>,
    request: BodyCall,
    response: BodyCall,
    trailers: TypedFunc<(&'static [u8],), (Vec<u8>,)>,
}

#[derive(Clone, Copy)]
struct EndCalls {
    plan: TypedFunc<(), (Option<bindings::Phase>,)>,
    finish: TypedFunc<(&'static [u8],), ()>,
}

impl Role for HttpNeeds {
    type Calls = HttpCalls;

    fn resolve(
        instance: &wasmtime::component::Instance,
        store: &mut Store<HostState>,
        exports: &Exports,
    ) -> wasmtime::Result<HttpCalls> {
        let Exports::Http {
            request,
            response,
            body,
            end,
            ..
        } = exports
        else {
            return Err(no_such_export());
        };
        let body = match body {
            Some(body) => Some(BodyCalls {
                plan: instance.get_typed_func(&mut *store, body.plan)?,
                begin: instance.get_typed_func(&mut *store, body.begin)?,
                request: instance.get_typed_func(&mut *store, body.request)?,
                response: instance.get_typed_func(&mut *store, body.response)?,
                trailers: instance.get_typed_func(&mut *store, body.trailers)?,
            }),
            None => None,
        };
        let end = match end {
            Some(end) => Some(EndCalls {
                plan: instance.get_typed_func(&mut *store, end.plan)?,
                finish: instance.get_typed_func(&mut *store, end.finish)?,
            }),
            None => None,
        };
        let request = instance.get_typed_func(&mut *store, request)?;
        let response = instance.get_typed_func(&mut *store, response)?;
        Ok(HttpCalls {
            request,
            response,
            body,
            end,
        })
    }

    fn ask_more(store: &mut Store<HostState>, calls: HttpCalls) -> wasmtime::Result<MoreHttpNeeds> {
        let bodies = match calls.body {
            Some(body) => Some(body.plan.call(&mut *store, ())?.0),
            None => None,
        };
        let end = match calls.end {
            Some(end) => end.plan.call(&mut *store, ())?.0,
            None => None,
        };
        Ok(MoreHttpNeeds { bodies, end })
    }

    fn slots() -> &'static LocalKey<RefCell<Slots<HttpNeeds>>> {
        thread_local! {
            static SLOTS: RefCell<Slots<HttpNeeds>> = const { RefCell::new(Slots::new()) };
        }
        &SLOTS
    }
}
