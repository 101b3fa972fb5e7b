//! Network filters: what is asked when a connection begins and told when it ends.

use std::cell::RefCell;
use std::sync::Arc;
use std::thread::LocalKey;

use serde_json::Value;
use wasmtime::Store;
use wasmtime::component::TypedFunc;

use crate::http::Field;

use super::bindings;
use super::component::{Component, Exports};
use super::configured::{
    ConfigureError, Instance, Plugin, Role, find_or_configure, no_such_export, wrong_kind,
};
use super::edits::Phase;
use super::engine::Engine;
use super::fault::{Fault, Stats};
use super::grants::Allowance;
use super::inspect::Kind;
use super::needs::NetworkNeeds;
use super::slots::Slots;
use super::state::{HostState, Usage};
use super::verdict::NetworkVerdict;

/// What can be read of a connection during a call.
pub trait ConnectionPhase: Send {
    /// Appends the value of a field to `out` and says whether there is one.
    fn read(&self, field: &Field, out: &mut Vec<u8>) -> bool;
}

/// A configured network filter; shared as [`HttpFilter`](super::HttpFilter) is.
pub struct NetworkFilter(Plugin<NetworkNeeds>);

impl NetworkFilter {
    /// As [`HttpFilter::configure`](super::HttpFilter::configure).
    ///
    /// # Errors
    /// The same.
    pub fn configure(
        engine: &Engine,
        component: &Arc<Component>,
        label: &str,
        settings: &Value,
        allowance: impl Into<Allowance>,
    ) -> Result<Arc<NetworkFilter>, ConfigureError> {
        wrong_kind(component, Kind::NetworkFilter)?;
        find_or_configure(
            engine,
            component,
            (label, ""),
            settings,
            allowance.into(),
            NetworkFilter,
        )
    }

    /// The name it goes by in logs and metrics.
    pub fn label(&self) -> &str {
        self.0.label()
    }

    pub fn component(&self) -> &Arc<Component> {
        self.0.component()
    }

    pub fn needs(&self) -> &NetworkNeeds {
        self.0.needs()
    }

    pub fn stats(&self) -> &Stats {
        self.0.stats()
    }

    /// What this worker's instance has used, if there is one.
    pub fn usage(&self) -> Option<Usage> {
        self.0.usage()
    }

    /// Calls the accept phase. The connection is lent to the guest's reads and comes back in any case.
    ///
    /// # Errors
    /// The fault that cost the call.
    pub fn accept(
        &self,
        connection: Box<dyn ConnectionPhase>,
        fields: &[u8],
    ) -> (Box<dyn ConnectionPhase>, Result<NetworkVerdict, Fault>) {
        let mut connection = Some(connection);
        let result = self.0.call(Phase::Accept.name(), |instance| {
            let accept: TypedFunc<(&[u8],), (bindings::NetworkVerdict,)> = instance.calls.accept;
            let (verdict,) = lend(instance, &mut connection, |store| {
                accept.call(store, (fields,))
            })?;
            let copied = &mut instance.store.data_mut().copied;
            copied.call(fields.len(), verdict.size());
            NetworkVerdict::check(verdict)
        });
        (
            connection.expect("swapped in and back, whatever the call answers"),
            result,
        )
    }

    /// Calls the close phase.
    ///
    /// # Errors
    /// The fault that cost the call; it is counted and logged by then.
    pub fn close(&self, connection: Box<dyn ConnectionPhase>, fields: &[u8]) -> Result<(), Fault> {
        let mut connection = Some(connection);
        self.0.call(Phase::Close.name(), |instance| {
            let close: TypedFunc<(&[u8],), ()> = instance.calls.close;
            let copied = &mut instance.store.data_mut().copied;
            copied.call(fields.len(), 0);
            lend(instance, &mut connection, |store| {
                close.call(store, (fields,))
            })
        })
    }
}

/// Runs a call with the connection in the store.
fn lend<V>(
    instance: &mut Instance<NetworkNeeds>,
    connection: &mut Option<Box<dyn ConnectionPhase>>,
    run: impl FnOnce(&mut Store<HostState>) -> wasmtime::Result<V>,
) -> Result<V, Fault> {
    std::mem::swap(&mut instance.store.data_mut().connection, connection);
    let answer = run(&mut instance.store);
    std::mem::swap(&mut instance.store.data_mut().connection, connection);
    answer.map_err(|error| instance.fault(&error))
}

impl std::fmt::Debug for NetworkFilter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NetworkFilter")
            .field("label", &self.label())
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Copy)]
pub(super) struct NetworkCalls {
    accept: TypedFunc<(&'static [u8],), (bindings::NetworkVerdict,)>,
    close: TypedFunc<(&'static [u8],), ()>,
}

impl Role for NetworkNeeds {
    type Calls = NetworkCalls;

    fn resolve(
        instance: &wasmtime::component::Instance,
        store: &mut Store<HostState>,
        exports: &Exports,
    ) -> wasmtime::Result<NetworkCalls> {
        let Exports::Network { accept, close, .. } = exports else {
            return Err(no_such_export());
        };
        let accept = instance.get_typed_func(&mut *store, accept)?;
        let close = instance.get_typed_func(&mut *store, close)?;
        Ok(NetworkCalls { accept, close })
    }

    fn ask_more(_: &mut Store<HostState>, _: Self::Calls) -> wasmtime::Result<()> {
        Ok(())
    }

    fn slots() -> &'static LocalKey<RefCell<Slots<NetworkNeeds>>> {
        thread_local! {
            static SLOTS: RefCell<Slots<NetworkNeeds>> = const { RefCell::new(Slots::new()) };
        }
        &SLOTS
    }
}
