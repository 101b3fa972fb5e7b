//! HTTP filters: the trait, the plan, and the glue to the contract.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::ops::Deref;

use crate::bindings::http_filter::exports::tollgate::plugin::http as wit;
use crate::bindings::http_filter::tollgate::plugin::types;
use crate::facts::Facts;
use crate::guard::Guard;
use crate::settings::{self, Errors, Settings};
use crate::verdict::Verdict;
use crate::{Field, Part, log};

/// Fields that the host hands over with one call at most.
const FIELDS_MAX: usize = 128;

/// A filter on HTTP messages. One instance serves a worker for a long time, one exchange after another (and several at once, in turns):
/// keep nothing about an exchange in it.
pub trait HttpFilter: Sized + 'static {
    /// What can be set.
    type Settings: Settings;

    /// Makes the filter. Must make the same for the same settings.
    ///
    /// # Errors
    /// Everything that is wrong with the settings beyond their schema; shown at its place in the configuration.
    fn new(settings: Self::Settings) -> Result<Self, Errors>;

    /// What the host has to do for this filter: when to call it, what to hand over, which edits it makes without a call. Decides how fast
    /// the filter is, never what it does; without a plan it is called for everything.
    fn plan(&self) -> Plan {
        Plan::everything()
    }

    /// Called with each request head where the plan's guard holds.
    fn request(&self, _request: &Request) -> Verdict {
        Verdict::next()
    }

    /// Called with each response head whose request this filter let pass.
    fn response(&self, _response: &Response) -> Verdict {
        Verdict::next()
    }
}

/// The request of the current exchange.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a>(Facts<'a>);

impl<'a> Request<'a> {
    pub(crate) fn new(facts: Facts<'a>) -> Self {
        Request(facts)
    }
}

impl<'a> Deref for Request<'a> {
    type Target = Facts<'a>;

    fn deref(&self) -> &Facts<'a> {
        &self.0
    }
}

/// The response of the current exchange. `header` reads the response; the request's facts are at hand too.
#[derive(Clone, Copy, Debug)]
pub struct Response<'a>(Facts<'a>);

impl<'a> Response<'a> {
    pub(crate) fn new(facts: Facts<'a>) -> Self {
        Response(facts)
    }

    /// The status; 0 when the host does not know it.
    #[must_use]
    pub fn status(&self) -> u16 {
        let status = self.0.field(&Field::Status).unwrap_or_default();
        status.iter().fold(0, |number: u16, digit| {
            number
                .wrapping_mul(10)
                .wrapping_add(u16::from(digit.wrapping_sub(b'0')))
        })
    }

    /// A header of the request, by lower-case name.
    #[must_use]
    pub fn request_header(&self, name: &str) -> Option<std::borrow::Cow<'a, [u8]>> {
        self.0.field(&Field::RequestHeader(name.to_owned()))
    }
}

impl<'a> Deref for Response<'a> {
    type Target = Facts<'a>;

    fn deref(&self) -> &Facts<'a> {
        &self.0
    }
}

/// What an HTTP filter needs of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub(crate) request: Option<Vec<Field>>,
    pub(crate) response: Option<Vec<Field>>,
    pub(crate) guard: Guard,
    pub(crate) edits: Vec<ConstantEdits>,
}

impl Plan {
    /// No call in any phase; to be built up from.
    #[must_use]
    pub fn nothing() -> Self {
        Plan {
            request: None,
            response: None,
            guard: Guard::always(),
            edits: Vec::new(),
        }
    }

    /// Every request and every response, nothing handed over: right for any filter, and slow.
    #[must_use]
    pub fn everything() -> Self {
        Plan::nothing().on_request([]).on_response([])
    }

    /// Calls `request`, with these fields at hand.
    #[must_use]
    pub fn on_request(mut self, fields: impl IntoIterator<Item = Field>) -> Self {
        self.request = Some(distinct(fields));
        self
    }

    /// Calls `response`, with these fields at hand.
    #[must_use]
    pub fn on_response(mut self, fields: impl IntoIterator<Item = Field>) -> Self {
        self.response = Some(distinct(fields));
        self
    }

    /// Calls neither for exchanges where this does not hold, judged by the request as the filter finds it.
    #[must_use]
    pub fn guard(mut self, guard: Guard) -> Self {
        self.guard = guard;
        self
    }

    /// Lets the host make these edits. At most 60 groups.
    #[must_use]
    pub fn edits(mut self, edits: ConstantEdits) -> Self {
        self.edits.push(edits);
        self
    }

    pub(crate) fn to_wit(&self) -> wit::Needs {
        let phase =
            |fields: &Option<Vec<Field>>| fields.clone().map(|fields| types::Phase { fields });
        wit::Needs {
            request: phase(&self.request),
            response: phase(&self.response),
            request_body: types::BodyMode::None,
            response_body: types::BodyMode::None,
            guard: self.guard.clone().into_wit(),
            edits: self
                .edits
                .iter()
                .cloned()
                .map(ConstantEdits::into_wit)
                .collect(),
        }
    }
}

/// Each field once. What is beyond the host's limit is left out: it is fetched when it is read.
fn distinct(fields: impl IntoIterator<Item = Field>) -> Vec<Field> {
    let mut list = Vec::new();
    for field in fields {
        if list.len() < FIELDS_MAX && !list.contains(&field) {
            list.push(field);
        }
    }
    list
}

/// Header edits that the host makes by itself, in this order, before it calls the filter (if it does).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConstantEdits {
    pub(crate) guard: Guard,
    pub(crate) request: Vec<types::Edit>,
    pub(crate) response: Vec<types::Edit>,
    in_response: bool,
}

impl ConstantEdits {
    /// Edits of requests for which the guard holds.
    #[must_use]
    pub fn on_request(guard: Guard) -> Self {
        ConstantEdits {
            guard,
            request: Vec::new(),
            response: Vec::new(),
            in_response: false,
        }
    }

    /// Edits of responses; the guard is about the request.
    #[must_use]
    pub fn on_response(guard: Guard) -> Self {
        ConstantEdits {
            in_response: true,
            ..Self::on_request(guard)
        }
    }

    /// Exactly one line of this header remains, with this value.
    #[must_use]
    pub fn set(self, name: &str, value: Vec<Part>) -> Self {
        self.push(name, types::Operation::Set, value)
    }

    /// Adds a line unless the header is already there.
    #[must_use]
    pub fn set_if_absent(self, name: &str, value: Vec<Part>) -> Self {
        self.push(name, types::Operation::SetIfAbsent, value)
    }

    /// Adds a line, keeping those that are there.
    #[must_use]
    pub fn append(self, name: &str, value: Vec<Part>) -> Self {
        self.push(name, types::Operation::Append, value)
    }

    /// Removes every line of this header.
    #[must_use]
    pub fn remove(self, name: &str) -> Self {
        self.push(name, types::Operation::Remove, Vec::new())
    }

    fn push(mut self, name: &str, operation: types::Operation, value: Vec<Part>) -> Self {
        let list = if self.in_response {
            &mut self.response
        } else {
            &mut self.request
        };
        list.push(types::Edit {
            name: name.to_ascii_lowercase(),
            operation,
            value,
        });
        self
    }

    fn into_wit(self) -> types::Edits {
        types::Edits {
            guard: self.guard.into_wit(),
            request: self.request,
            response: self.response,
        }
    }
}

/// A configured filter without its type, so that one static can hold any.
trait Running {
    fn request(&self, flat: &[u8]) -> Verdict;
    fn response(&self, flat: &[u8]) -> Verdict;
}

pub(crate) struct Configured<F> {
    pub(crate) filter: F,
    pub(crate) plan: Plan,
}

impl<F: HttpFilter> Configured<F> {
    pub(crate) fn new(settings: &str) -> Result<Self, Errors> {
        let filter = F::new(settings::from_text(settings)?)?;
        let plan = filter.plan();
        Ok(Configured { filter, plan })
    }
}

impl<F: HttpFilter> Running for Configured<F> {
    fn request(&self, flat: &[u8]) -> Verdict {
        let declared = self.plan.request.as_deref().unwrap_or_default();
        self.filter
            .request(&Request::new(Facts::new(declared, flat)))
    }

    fn response(&self, flat: &[u8]) -> Verdict {
        let declared = self.plan.response.as_deref().unwrap_or_default();
        self.filter
            .response(&Response::new(Facts::new(declared, flat)))
    }
}

thread_local! {
    static FILTER: RefCell<Option<Box<dyn Running>>> = const { RefCell::new(None) };
}

/// The component's exports for a filter.
#[doc(hidden)]
pub struct HttpPlugin<F>(PhantomData<F>);

impl<F: HttpFilter> wit::Guest for HttpPlugin<F> {
    fn configure(settings: String) -> Result<wit::Needs, Vec<types::SettingsError>> {
        log::log_panics();
        let configured = Configured::<F>::new(&settings).map_err(errors_to_wit)?;
        let needs = configured.plan.to_wit();
        FILTER.set(Some(Box::new(configured)));
        Ok(needs)
    }

    fn request(fields: Vec<u8>) -> wit::Verdict {
        with_filter(|filter| filter.request(&fields)).into_wit()
    }

    fn response(fields: Vec<u8>) -> wit::Verdict {
        with_filter(|filter| filter.response(&fields)).into_wit()
    }
}

fn with_filter(call: impl FnOnce(&dyn Running) -> Verdict) -> Verdict {
    FILTER.with_borrow(|filter| {
        call(
            filter
                .as_deref()
                .expect("the host configures an instance first"),
        )
    })
}

pub(crate) fn errors_to_wit(errors: Errors) -> Vec<types::SettingsError> {
    let to_wit = |error: settings::SettingsError| types::SettingsError {
        pointer: error.pointer,
        message: error.message,
    };
    errors.into_list().into_iter().map(to_wit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_name_each_field_once_and_no_more_than_the_host_takes() {
        let header = |index: usize| Field::Header(format!("x-{}", index / 2));
        let few = Plan::nothing().on_request((0..4).map(header));
        assert_eq!(few.request, Some(vec![header(0), header(2)]));
        let many = Plan::nothing().on_response((0..FIELDS_MAX * 4).map(header));
        assert_eq!(many.response.map(|fields| fields.len()), Some(FIELDS_MAX));
    }

    #[test]
    fn needs_say_what_the_plan_says() {
        let edits = ConstantEdits::on_response(Guard::never()).remove("Server");
        let needs = Plan::nothing()
            .on_request([Field::Path])
            .edits(edits)
            .to_wit();
        assert_eq!(
            needs.request.map(|phase| phase.fields),
            Some(vec![Field::Path])
        );
        assert!(needs.response.is_none() && needs.guard.is_empty());
        assert_eq!(needs.edits.len(), 1);
        assert_eq!(needs.edits[0].response[0].name, "server");
        assert_eq!(needs.edits[0].guard.len(), 1);
    }
}
