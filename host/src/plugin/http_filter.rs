//! HTTP filters: the request and the response phase of a message.

use std::cell::RefCell;
use std::sync::Arc;
use std::thread::LocalKey;

use serde_json::Value;
use wasmtime::Store;
use wasmtime::component::TypedFunc;

use crate::http::Exchange;

use super::bindings::HttpVerdict;
use super::component::{Component, Exports};
use super::configured::{
    ConfigureError, Plugin, Role, find_or_configure, no_such_export, wrong_kind,
};
use super::edits::Phase;
use super::engine::Engine;
use super::fault::{Fault, Stats};
use super::grants::Allowance;
use super::inspect::Kind;
use super::needs::HttpNeeds;
use super::slots::Slots;
use super::state::{HostState, Usage};
use super::verdict::Verdict;

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
            std::mem::swap(&mut instance.store.data_mut().exchange, &mut exchange);
            let answer = run(&mut instance.store, instance.calls);
            let state = instance.store.data_mut();
            std::mem::swap(&mut state.exchange, &mut exchange);
            if let Ok((verdict,)) = &answer {
                state.copied.call(bytes_in, verdict.size());
            }
            let (verdict,) = answer.map_err(|error| instance.fault(&error))?;
            Verdict::check(verdict, phase)
        });
        (
            exchange.expect("swapped in and back, whatever the call answers"),
            result,
        )
    }
}

impl std::fmt::Debug for HttpFilter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpFilter")
            .field("label", &self.label())
            .finish_non_exhaustive()
    }
}

type Call = TypedFunc<(&'static [u8],), (HttpVerdict,)>;

#[derive(Clone, Copy)]
pub(super) struct HttpCalls {
    request: Call,
    response: Call,
}

impl Role for HttpNeeds {
    type Calls = HttpCalls;

    fn resolve(
        instance: &wasmtime::component::Instance,
        store: &mut Store<HostState>,
        exports: &Exports,
    ) -> wasmtime::Result<HttpCalls> {
        let Exports::Http {
            request, response, ..
        } = exports
        else {
            return Err(no_such_export());
        };
        let request = instance.get_typed_func(&mut *store, request)?;
        let response = instance.get_typed_func(&mut *store, response)?;
        Ok(HttpCalls { request, response })
    }

    fn slots() -> &'static LocalKey<RefCell<Slots<HttpNeeds>>> {
        thread_local! {
            static SLOTS: RefCell<Slots<HttpNeeds>> = const { RefCell::new(Slots::new()) };
        }
        &SLOTS
    }
}
