//! Network filters: the trait, the plan, and the glue to the contract.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::ops::Deref;

use crate::bindings::http_filter::tollgate::plugin::types;
use crate::bindings::network_filter::exports::tollgate::plugin::network as wit;
use crate::edits::Edits;
use crate::facts::Facts;
use crate::guard::Guard;
use crate::http::errors_to_wit;
use crate::settings::{self, Errors, Settings};
use crate::{Field, log};

/// A filter on connections, before any byte of them is interpreted.
pub trait NetworkFilter: Sized + 'static {
    /// What can be set.
    type Settings: Settings;

    /// Makes the filter. Must make the same for the same settings.
    ///
    /// # Errors
    /// Everything that is wrong with the settings beyond their schema; shown at its place in the configuration.
    fn new(settings: Self::Settings) -> Result<Self, Errors>;

    /// What the host has to do for this filter; without a plan it is called for every connection's start and end.
    fn plan(&self) -> NetworkPlan {
        NetworkPlan::everything()
    }

    /// Called once for a connection, before anything is read from it.
    fn accept(&self, _connection: &Connection) -> Accepted {
        Accepted::next()
    }

    /// Called once when a connection ends that this filter let pass.
    fn close(&self, _connection: &Connection) {}
}

/// A downstream connection.
#[derive(Clone, Copy, Debug)]
pub struct Connection<'a>(Facts<'a>);

impl<'a> Deref for Connection<'a> {
    type Target = Facts<'a>;

    fn deref(&self) -> &Facts<'a> {
        &self.0
    }
}

/// The answer of a network filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// Go on, with these tags (only [`Edits::tag`] is allowed here).
    Next(Edits),
    /// Close the connection at once.
    Close,
}

impl Accepted {
    /// Go on.
    #[must_use]
    pub const fn next() -> Self {
        Accepted::Next(Edits::new())
    }
}

/// What a network filter needs of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkPlan {
    pub(crate) accept: Option<Vec<Field>>,
    pub(crate) close: Option<Vec<Field>>,
    pub(crate) guard: Guard,
}

impl NetworkPlan {
    /// No call at all; to be built up from.
    #[must_use]
    pub fn nothing() -> Self {
        NetworkPlan {
            accept: None,
            close: None,
            guard: Guard::always(),
        }
    }

    /// Every connection's start and end, nothing handed over: right for any filter, and slow.
    #[must_use]
    pub fn everything() -> Self {
        NetworkPlan::nothing().on_accept([]).on_close([])
    }

    /// Calls `accept`, with these fields at hand.
    #[must_use]
    pub fn on_accept(mut self, fields: impl IntoIterator<Item = Field>) -> Self {
        self.accept = Some(fields.into_iter().collect());
        self
    }

    /// Calls `close`, with these fields at hand.
    #[must_use]
    pub fn on_close(mut self, fields: impl IntoIterator<Item = Field>) -> Self {
        self.close = Some(fields.into_iter().collect());
        self
    }

    /// Calls neither where this does not hold. Only [`source`](crate::source) applies to connections.
    #[must_use]
    pub fn guard(mut self, guard: Guard) -> Self {
        self.guard = guard;
        self
    }

    fn to_wit(&self) -> wit::Needs {
        let phase =
            |fields: &Option<Vec<Field>>| fields.clone().map(|fields| types::Phase { fields });
        wit::Needs {
            accept: phase(&self.accept),
            close: phase(&self.close),
            guard: self.guard.clone().into_wit(),
        }
    }
}

/// A configured filter without its type.
trait Running {
    fn accept(&self, flat: &[u8]) -> Accepted;
    fn close(&self, flat: &[u8]);
}

pub(crate) struct Configured<F> {
    pub(crate) filter: F,
    pub(crate) plan: NetworkPlan,
}

impl<F: NetworkFilter> Configured<F> {
    pub(crate) fn new(settings: &str) -> Result<Self, Errors> {
        let filter = F::new(settings::from_text(settings)?)?;
        let plan = filter.plan();
        Ok(Configured { filter, plan })
    }

    pub(crate) fn accept(&self, declared: &[Field], flat: &[u8]) -> Accepted {
        self.filter.accept(&Connection(Facts::new(declared, flat)))
    }

    pub(crate) fn close(&self, declared: &[Field], flat: &[u8]) {
        self.filter.close(&Connection(Facts::new(declared, flat)));
    }
}

impl<F: NetworkFilter> Running for Configured<F> {
    fn accept(&self, flat: &[u8]) -> Accepted {
        self.accept(self.plan.accept.as_deref().unwrap_or_default(), flat)
    }

    fn close(&self, flat: &[u8]) {
        self.close(self.plan.close.as_deref().unwrap_or_default(), flat);
    }
}

thread_local! {
    static FILTER: RefCell<Option<Box<dyn Running>>> = const { RefCell::new(None) };
}

/// The component's exports for a filter.
#[doc(hidden)]
pub struct NetworkPlugin<F>(PhantomData<F>);

impl<F: NetworkFilter> wit::Guest for NetworkPlugin<F> {
    fn configure(settings: String) -> Result<wit::Needs, Vec<types::SettingsError>> {
        log::log_panics();
        let configured = Configured::<F>::new(&settings).map_err(errors_to_wit)?;
        let needs = configured.plan.to_wit();
        FILTER.set(Some(Box::new(configured)));
        Ok(needs)
    }

    fn accept(fields: Vec<u8>) -> wit::Verdict {
        match with_filter(|filter| filter.accept(&fields)) {
            Accepted::Next(tags) => wit::Verdict::Next(tags.into_bytes()),
            Accepted::Close => wit::Verdict::Close,
        }
    }

    fn close(fields: Vec<u8>) {
        with_filter(|filter| filter.close(&fields));
    }
}

fn with_filter<T>(call: impl FnOnce(&dyn Running) -> T) -> T {
    FILTER.with_borrow(|filter| {
        call(
            filter
                .as_deref()
                .expect("the host configures an instance first"),
        )
    })
}
