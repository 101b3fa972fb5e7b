//! One configured plugin of any kind: how its instances are started, called, and lost.

use std::cell::RefCell;
use std::sync::Arc;
use std::thread::LocalKey;
use std::time::{Duration, Instant};

use serde_json::Value;
use sha2::{Digest, Sha256};
use wasmtime::Store;
use wasmtime::component::{ComponentType, Lift};

use super::bindings::{self, Configured};
use super::component::{Component, Exports};
use super::engine::{Engine, Identity, Inner};
use super::fault::{Fault, Stats, shard};
use super::grants::{Allowance, Grants};
use super::needs::Plan;
use super::slots::{Slot, Slots, Token};
use super::state::{HostState, LogLimit, Usage};
use super::ticker::Deadline;
use crate::observe::plugin_metrics::{self, PluginMetrics};

/// What an instance may take to start and be configured. Generous, since a worker does it once in an instance's life, and bounded, since
/// it does so on its event loop.
const START_TIME_MAX: Duration = Duration::from_millis(500);
/// Instances that a worker keeps of one plugin while they serve nobody.
const IDLE_MAX: usize = 16;
/// Most errors of settings that are passed on.
const SETTINGS_ERRORS_MAX: usize = 100;

/// A kind of plugin: which functions an instance of it is called by, and where a worker keeps such instances.
pub(super) trait Role: Plan<Raw: ComponentType + Lift> {
    type Calls: Copy + 'static;

    fn resolve(
        instance: &wasmtime::component::Instance,
        store: &mut Store<HostState>,
        exports: &Exports,
    ) -> wasmtime::Result<Self::Calls>;

    /// What else an instance is asked once it is configured.
    fn ask_more(store: &mut Store<HostState>, calls: Self::Calls) -> wasmtime::Result<Self::More>;

    fn slots() -> &'static LocalKey<RefCell<Slots<Self>>>;
}

/// Something wrong with the settings, by the plugin's own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsError {
    /// A JSON pointer into the settings; empty for the whole.
    pub pointer: String,
    pub message: String,
}

/// Why a plugin cannot be used with these settings.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigureError {
    /// Every error that the plugin found, at most 100.
    #[error("the plugin refuses its settings")]
    Settings(Vec<SettingsError>),
    #[error("the plugin failed while it was configured")]
    Fault(#[from] Fault),
    /// The plugin asks for what the host does not do, or is of another kind.
    #[error("the plugin cannot be used: {0}")]
    Refused(String),
}

/// What [`HttpFilter`](super::HttpFilter) and the others have in common.
pub(super) struct Plugin<R: Role> {
    token: Arc<Token>,
    engine: Arc<Inner>,
    component: Arc<Component>,
    label: Arc<str>,
    settings: String,
    memory_max: usize,
    instances_max: u32,
    grants: Grants,
    metrics: Arc<PluginMetrics>,
    call_deadline: Deadline,
    start_deadline: Deadline,
    needs: R,
    stats: Stats,
}

/// One running copy.
pub(super) struct Instance<R: Role> {
    pub(super) store: Store<HostState>,
    pub(super) calls: R::Calls,
}

impl<R: Role> Plugin<R> {
    /// Starts an instance to learn the plan and to see that it runs, and drops it again: workers start their own.
    pub(super) fn configure(
        engine: &Engine,
        component: &Arc<Component>,
        label: &str,
        settings: String,
        Allowance { budgets, grants }: Allowance,
    ) -> Result<Plugin<R>, ConfigureError> {
        grants
            .check(component.inspection())
            .map_err(ConfigureError::Refused)?;
        let metrics = plugin_metrics::open(label);
        let inner = Arc::clone(engine.inner());
        let start = Start {
            engine: &inner,
            component,
            label: &Arc::from(label),
            settings: &settings,
            memory_max: budgets.memory_max,
            grants: &grants,
            metrics: &metrics,
            deadline: inner.ticker.deadline(START_TIME_MAX.max(budgets.time_max)),
        };
        let (_, answer) = start
            .run::<R>(LogLimit::default())
            .map_err(|(fault, _)| fault)?;
        let (raw, more) = answer.map_err(settings_errors)?;
        let needs = R::check(raw, more).map_err(ConfigureError::Refused)?;
        Ok(Plugin {
            token: Arc::new(Token::new()),
            component: Arc::clone(component),
            label: Arc::clone(start.label),
            memory_max: budgets.memory_max,
            instances_max: budgets.instances_max,
            call_deadline: inner.ticker.deadline(budgets.time_max),
            start_deadline: start.deadline,
            needs,
            stats: Stats::default(),
            engine: inner,
            settings,
            grants,
            metrics,
        })
    }

    pub(super) fn label(&self) -> &str {
        &self.label
    }

    pub(super) fn component(&self) -> &Arc<Component> {
        &self.component
    }

    pub(super) fn needs(&self) -> &R {
        &self.needs
    }

    pub(super) fn stats(&self) -> &Stats {
        &self.stats
    }

    pub(super) fn usage(&self) -> Option<Usage> {
        self.slot(|slot| Some(slot.idle.last()?.store.data().usage()))
    }

    /// Calls into this worker's instance, starting one if there is none. An error costs the instance.
    #[inline]
    pub(super) fn call<V>(
        &self,
        phase: &'static str,
        run: impl FnOnce(&mut Instance<R>) -> Result<V, Fault>,
    ) -> Result<V, Fault> {
        let mut instance = match self.slot(|slot| slot.idle.pop()) {
            Some(instance) => instance,
            None => self.start(phase)?,
        };
        match self.run(&mut instance, run) {
            Ok(value) => {
                self.slot(|slot| {
                    slot.health.succeeded();
                    slot.idle.push(instance);
                });
                Ok(value)
            }
            Err(fault) => Err(self.lose(instance, phase, fault)),
        }
    }

    #[inline]
    fn run<V>(
        &self,
        instance: &mut Instance<R>,
        run: impl FnOnce(&mut Instance<R>) -> Result<V, Fault>,
    ) -> Result<V, Fault> {
        self.stats.called(shard());
        let _running = self.engine.ticker.enter();
        self.call_deadline.arm(&mut instance.store);
        run(instance)
    }

    #[cold]
    fn lose(&self, instance: Box<Instance<R>>, phase: &'static str, fault: Fault) -> Fault {
        let log = instance.store.data().log.limit;
        drop(instance);
        self.lost(phase, fault, log)
    }

    /// An instance that serves nobody else until it is given back: by [`Plugin::call_leased`] when it faults, else by
    /// [`Plugin::end_lease`].
    pub(super) fn lease(&self, phase: &'static str) -> Result<Box<Instance<R>>, Fault> {
        let (idle, leased) = self.slot(|slot| (slot.idle.pop(), slot.leased));
        if leased >= self.instances_max {
            self.slot(|slot| slot.idle.extend(idle));
            let fault = Fault::unavailable("`instances-max` exchanges have an instance each");
            self.stats.faulted(fault.kind);
            return Err(fault);
        }
        let instance = match idle {
            Some(instance) => instance,
            None => self.start(phase)?,
        };
        self.slot(|slot| slot.leased += 1);
        Ok(instance)
    }

    /// As [`Plugin::call`], of an instance that is leased; a fault leaves none.
    pub(super) fn call_leased<V>(
        &self,
        leased: &mut Option<Box<Instance<R>>>,
        phase: &'static str,
        run: impl FnOnce(&mut Instance<R>) -> Result<V, Fault>,
    ) -> Result<V, Fault> {
        let Some(instance) = leased else {
            return Err(Fault::unavailable("the instance was lost before"));
        };
        match self.run(instance, run) {
            Ok(value) => {
                self.slot(|slot| slot.health.succeeded());
                Ok(value)
            }
            Err(fault) => {
                let instance = leased.take().expect("it was called just now");
                self.slot(|slot| slot.leased = slot.leased.saturating_sub(1));
                Err(self.lose(instance, phase, fault))
            }
        }
    }

    /// Gives an instance back; after a burst not all of them are kept.
    pub(super) fn end_lease(&self, instance: Box<Instance<R>>) {
        self.slot(|slot| {
            slot.leased = slot.leased.saturating_sub(1);
            if slot.idle.len() < IDLE_MAX {
                slot.idle.push(instance);
            }
        });
    }

    /// Gives the call that runs the time of a start, from now on.
    #[cold]
    pub(super) fn grant_start_time(&self, instance: &mut Instance<R>) {
        self.start_deadline.arm(&mut instance.store);
    }

    /// Gives the call that runs the time of a call, from now on.
    pub(super) fn grant_call_time(&self, instance: &mut Instance<R>) {
        self.call_deadline.arm(&mut instance.store);
    }

    /// Counts and logs a fault that showed only when an answer was put to use, and drops the instance that gave it.
    #[cold]
    pub(super) fn blame(&self, phase: &'static str, fault: Fault) {
        let instance = self.slot(|slot| slot.idle.pop());
        let log = instance.map_or_else(LogLimit::default, |instance| {
            instance.store.data().log.limit
        });
        self.lost(phase, fault, log);
    }

    #[inline]
    fn slot<V>(&self, with: impl FnOnce(&mut Slot<R>) -> V) -> V {
        R::slots().with_borrow_mut(|slots| with(slots.of(&self.token)))
    }

    #[cold]
    fn start(&self, phase: &'static str) -> Result<Box<Instance<R>>, Fault> {
        let (allowed, log) = self.slot(|slot| (slot.health.allows(Instant::now), slot.log));
        if !allowed {
            let fault = Fault::unavailable("backing off after faults in a row");
            self.stats.faulted(fault.kind);
            return Err(fault);
        }
        let start = Start {
            engine: &self.engine,
            component: &self.component,
            label: &self.label,
            settings: &self.settings,
            memory_max: self.memory_max,
            grants: &self.grants,
            metrics: &self.metrics,
            deadline: self.start_deadline,
        };
        match start.run::<R>(log) {
            Ok((instance, Ok(_))) => Ok(instance),
            Ok((instance, Err(_))) => {
                let fault = Fault::bad_output("refuses settings that it accepted before");
                Err(self.lost("configure", fault, instance.store.data().log.limit))
            }
            Err((fault, log)) => Err(self.lost(phase, fault, log)),
        }
    }

    #[cold]
    fn lost(&self, phase: &'static str, fault: Fault, log: LogLimit) -> Fault {
        self.stats.faulted(fault.kind);
        let consequence = self.slot(|slot| {
            slot.log = log;
            slot.health.failed(Instant::now())
        });
        if let Some(unlogged) = consequence.log {
            let (plugin, kind) = (&*self.label, fault.kind.token());
            let backoff_ms = consequence.backoff.as_millis() as u64;
            tracing::warn!(target: "plugin", plugin, kind, phase, backoff_ms, unlogged, "plugin fault: {}", fault.message);
        }
        fault
    }
}

impl<R: Role> Instance<R> {
    /// What went wrong in a call of this instance.
    #[cold]
    pub(super) fn fault(&self, error: &wasmtime::Error) -> Fault {
        Fault::from_wasmtime(error, self.store.data().memory.spent)
    }
}

/// Everything an instance is started from.
struct Start<'a> {
    engine: &'a Inner,
    component: &'a Component,
    label: &'a Arc<str>,
    settings: &'a str,
    memory_max: usize,
    grants: &'a Grants,
    metrics: &'a Arc<PluginMetrics>,
    deadline: Deadline,
}

/// An instance, and what it answered to its settings.
type Started<R> = (Box<Instance<R>>, Answer<R>);

/// What a guest says to its settings.
type Answer<R> = Result<(<R as Plan>::Raw, <R as Plan>::More), Vec<bindings::SettingsError>>;

impl Start<'_> {
    /// On a fault the log limit comes back, for the next instance.
    fn run<R: Role>(&self, log: LogLimit) -> Result<Started<R>, (Fault, LogLimit)> {
        let pre = &self.component.pre;
        let mut store = Store::new(
            pre.engine(),
            HostState::new(
                Arc::clone(self.label),
                self.memory_max,
                log,
                self.grants.clone(),
                Arc::clone(self.metrics),
            ),
        );
        store.limiter(|state| &mut state.memory);
        Deadline::prepare(&mut store);
        self.deadline.arm(&mut store);
        let _running = self.engine.ticker.enter();
        match self.configure::<R>(&mut store) {
            Ok((calls, answer)) => Ok((Box::new(Instance { store, calls }), answer)),
            Err(error) => {
                let state = store.into_data();
                Err((
                    Fault::from_wasmtime(&error, state.memory.spent),
                    state.log.limit,
                ))
            }
        }
    }

    fn configure<R: Role>(
        &self,
        store: &mut Store<HostState>,
    ) -> wasmtime::Result<(R::Calls, Answer<R>)> {
        let instance = self.component.pre.instantiate(&mut *store)?;
        let exports = &self.component.exports;
        let calls = R::resolve(&instance, store, exports)?;
        let configure = instance
            .get_typed_func::<(&str,), Configured<R::Raw>>(&mut *store, exports.configure())?;
        let (answer,) = configure.call(&mut *store, (self.settings,))?;
        let answer = match answer {
            Ok(raw) => Ok((raw, R::ask_more(store, calls)?)),
            Err(errors) => Err(errors),
        };
        Ok((calls, answer))
    }
}

fn settings_errors(errors: Vec<bindings::SettingsError>) -> ConfigureError {
    let taken = errors.into_iter().take(SETTINGS_ERRORS_MAX);
    ConfigureError::Settings(
        taken
            .map(|error| SettingsError {
                pointer: error.pointer,
                message: error.message,
            })
            .collect(),
    )
}

/// The plugin of this identity: the one that is already there, or a new one made by `wrap`.
pub(super) fn find_or_configure<R: Role, T: Send + Sync + 'static>(
    engine: &Engine,
    component: &Arc<Component>,
    (label, owner): (&str, &str),
    settings: &Value,
    allowance: Allowance,
    wrap: impl FnOnce(Plugin<R>) -> T,
) -> Result<Arc<T>, ConfigureError> {
    let settings = settings.to_string();
    let identity = Identity {
        component: *component.digest(),
        settings: Sha256::digest(&settings).into(),
        label: label.to_owned(),
        owner: owner.to_owned(),
        budgets: allowance.budgets,
        stores: allowance
            .grants
            .stores()
            .iter()
            .map(|store| store.name().clone())
            .collect(),
    };
    if let Some(plugin) = engine.configured(&identity) {
        return Ok(plugin);
    }
    let plugin = Arc::new(wrap(Plugin::configure(
        engine, component, label, settings, allowance,
    )?));
    engine.remember(identity, &plugin);
    Ok(plugin)
}

/// For an instance whose component is of another kind than the caller takes it for.
pub(super) fn wrong_kind(component: &Component, wanted: super::Kind) -> Result<(), ConfigureError> {
    if component.kind() == wanted {
        return Ok(());
    }
    Err(ConfigureError::Refused(format!(
        "it is a {}, and a {wanted} is needed here",
        component.kind()
    )))
}

/// A component whose exports were found for another kind; cannot be met behind [`wrong_kind`].
pub(super) fn no_such_export() -> wasmtime::Error {
    wasmtime::Error::msg("the component is of another kind")
}
