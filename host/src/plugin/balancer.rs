//! Balancers: which endpoint an attempt goes to.

use std::cell::RefCell;
use std::sync::{Arc, Weak};
use std::thread::LocalKey;

use serde_json::Value;
use wasmtime::Store;
use wasmtime::component::TypedFunc;

use super::bindings;
use super::component::{Component, Exports};
use super::configured::{
    ConfigureError, Instance, Plugin, Role, find_or_configure, no_such_export, wrong_kind,
};
use super::engine::Engine;
use super::fault::{Fault, Stats};
use super::grants::Allowance;
use super::imports::MEASURES;
use super::inspect::Kind;
use super::needs::BalancerNeeds;
use super::slots::Slots;
use super::state::{HostState, Usage};

/// The answer that stands for no endpoint.
const NONE: u32 = u32::MAX;

/// The endpoints that a balancer may pick from. A table never changes; when the endpoints do, there is a new one.
pub trait EndpointTable: Send + Sync {
    /// `ip:port` and weight of each; the position is the index in picks. Weights are 1 to 256, or, while an endpoint of the list starts slowly,
    /// all in hundredths: 1 to 25,600.
    fn endpoints(&self) -> &[(String, u32)];

    /// Requests in flight at the endpoint over all workers; `u32::MAX` when it cannot take a request now, or there is no such index.
    fn load(&self, index: u32) -> u32;

    /// How the endpoint has answered lately over all workers, as [`Measure::packed`](super::Measure::packed) makes it; asked only by a
    /// balancer that [wants measures](Balancer::wants_measures), and only for an index that there is.
    fn measure(&self, index: u32) -> u64;
}

/// A configured balancer of one cluster; shared as [`HttpFilter`](super::HttpFilter) is.
pub struct Balancer(Plugin<BalancerNeeds>);

impl Balancer {
    /// As [`HttpFilter::configure`](super::HttpFilter::configure), for one cluster: two clusters never share a balancer's state.
    ///
    /// # Errors
    /// The same.
    pub fn configure(
        engine: &Engine,
        component: &Arc<Component>,
        label: &str,
        cluster: &str,
        settings: &Value,
        allowance: impl Into<Allowance>,
    ) -> Result<Arc<Balancer>, ConfigureError> {
        wrong_kind(component, Kind::Balancer)?;
        find_or_configure(
            engine,
            component,
            (label, cluster),
            settings,
            allowance.into(),
            Balancer,
        )
    }

    /// The name it goes by in logs and metrics.
    pub fn label(&self) -> &str {
        self.0.label()
    }

    pub fn component(&self) -> &Arc<Component> {
        self.0.component()
    }

    pub fn needs(&self) -> &BalancerNeeds {
        self.0.needs()
    }

    pub fn stats(&self) -> &Stats {
        self.0.stats()
    }

    /// What this worker's instance has used, if there is one.
    pub fn usage(&self) -> Option<Usage> {
        self.0.usage()
    }

    /// Whether its component can ask for [`EndpointTable::measure`]. Only for the clusters of such balancers does the host have to measure.
    pub fn wants_measures(&self) -> bool {
        self.component().inspection().imports_ours(MEASURES)
    }

    /// Asks for an endpoint of `table`; `None` when there is none or the balancer wants none. To the balancer those with the indices
    /// `refused` look like endpoints that cannot take the request. Passes the table to the worker's instance
    /// first if it has not seen it; the instance remembers it weakly until it sees another one.
    ///
    /// # Errors
    /// The fault that cost the call, an index out of range among them.
    pub fn pick(
        &self,
        table: &Arc<dyn EndpointTable>,
        key: u64,
        refused: &[u32],
    ) -> Result<Option<u32>, Fault> {
        if table.endpoints().is_empty() {
            return Ok(None);
        }
        self.0.call("pick", |instance| {
            if !instance.has(table) {
                // A table to be filled takes its time, as starting does.
                self.0.grant_start_time(instance);
                instance.update(table)?;
                self.0.grant_call_time(instance);
            }
            let mut loads = std::mem::take(&mut instance.store.data_mut().loads);
            if self.needs().loads {
                loads.clear();
                loads.extend((0..table.endpoints().len() as u32).map(|index| table.load(index)));
                for &index in refused {
                    if let Some(load) = loads.get_mut(index as usize) {
                        *load = u32::MAX;
                    }
                }
            }
            let known = &mut instance.store.data_mut().refused;
            known.clear();
            known.extend_from_slice(refused);
            let pick: TypedFunc<(u64, &[u32]), (u32,)> = instance.calls.pick;
            let answer = pick.call(&mut instance.store, (key, &loads));
            let state = instance.store.data_mut();
            state.copied.call(size_of_val(loads.as_slice()), 0);
            state.loads = loads;
            let (index,) = answer.map_err(|error| instance.fault(&error))?;
            check_index(index, table.endpoints().len())
        })
    }
}

fn check_index(index: u32, endpoints: usize) -> Result<Option<u32>, Fault> {
    match index {
        NONE => Ok(None),
        index if (index as usize) < endpoints => Ok(Some(index)),
        _ => Err(Fault::bad_output(format!(
            "picked endpoint {index} of {endpoints}"
        ))),
    }
}

impl Instance<BalancerNeeds> {
    fn has(&self, table: &Arc<dyn EndpointTable>) -> bool {
        // The address is enough: even a weak reference keeps it from being given to another table.
        let seen =
            |seen: &Weak<dyn EndpointTable>| std::ptr::addr_eq(seen.as_ptr(), Arc::as_ptr(table));
        self.store.data().endpoints.as_ref().is_some_and(seen)
    }

    #[cold]
    fn update(&mut self, table: &Arc<dyn EndpointTable>) -> Result<(), Fault> {
        self.store.data_mut().endpoints = Some(Arc::downgrade(table));
        let endpoints = table.endpoints().iter();
        let list: Vec<_> = endpoints
            .map(|(address, weight)| bindings::Endpoint {
                address,
                weight: *weight,
            })
            .collect();
        let update: TypedFunc<(&[bindings::Endpoint<'_>],), ()> = self.calls.update;
        update
            .call(&mut self.store, (&list,))
            .map_err(|error| self.fault(&error))
    }
}

impl std::fmt::Debug for Balancer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Balancer")
            .field("label", &self.label())
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Copy)]
pub(super) struct BalancerCalls {
    update: TypedFunc<(&'static [bindings::Endpoint<'static>],), ()>,
    pick: TypedFunc<(u64, &'static [u32]), (u32,)>,
}

impl Role for BalancerNeeds {
    type Calls = BalancerCalls;

    fn resolve(
        instance: &wasmtime::component::Instance,
        store: &mut Store<HostState>,
        exports: &Exports,
    ) -> wasmtime::Result<BalancerCalls> {
        let Exports::Balance { update, pick, .. } = exports else {
            return Err(no_such_export());
        };
        let update = instance.get_typed_func(&mut *store, update)?;
        let pick = instance.get_typed_func(&mut *store, pick)?;
        Ok(BalancerCalls { update, pick })
    }

    fn ask_more(_: &mut Store<HostState>, _: Self::Calls) -> wasmtime::Result<()> {
        Ok(())
    }

    fn slots() -> &'static LocalKey<RefCell<Slots<BalancerNeeds>>> {
        thread_local! {
            static SLOTS: RefCell<Slots<BalancerNeeds>> = const { RefCell::new(Slots::new()) };
        }
        &SLOTS
    }
}
