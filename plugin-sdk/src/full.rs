//! HTTP filters with every phase: bodies and the end of exchanges, beside the heads.

use std::cell::RefCell;
use std::marker::PhantomData;

use crate::bindings::full_http_filter::exports::tollgate::plugin::{body, end, http};
use crate::bindings::http_filter::tollgate::plugin::types;
use crate::edits::Edits;
use crate::facts::Facts;
use crate::http::{Configured, HttpFilter, Request, Response, errors_to_wit};
use crate::verdict::{Reply, Verdict};
use crate::{Field, log};

/// The further phases of an [`HttpFilter`]; registered by [`full_http_filter!`](crate::full_http_filter).
///
/// Where the filter asks for a body, an instance serves one exchange at a time, and `Exchange` is what it remembers of that one: made anew for
/// each, with its `Default`. A filter that asks for no body serves exchanges in turns, as ever, and must not rely on it.
pub trait FullHttpFilter: HttpFilter {
    /// What is remembered from one call for an exchange to the next.
    type Exchange: Default + 'static;

    /// Which bodies are wanted, and how. As the plan, it must be the same each time.
    fn bodies(&self) -> Bodies {
        Bodies::none()
    }

    /// The fields that [`FullHttpFilter::finish`] wants; none: it is not called.
    fn end(&self) -> Option<Vec<Field>> {
        None
    }

    /// As [`HttpFilter::request`], which it calls unless it is written anew, with what is remembered.
    fn begin_request(&self, _exchange: &mut Self::Exchange, request: &Request) -> Verdict {
        self.request(request)
    }

    /// As [`HttpFilter::response`], likewise.
    fn begin_response(&self, _exchange: &mut Self::Exchange, response: &Response) -> Verdict {
        self.response(response)
    }

    /// Called with each part of a request body, or with the whole of it.
    fn request_body(&self, _exchange: &mut Self::Exchange, _part: Part<'_>) -> BodyVerdict {
        BodyVerdict::next()
    }

    /// The same for a response body.
    fn response_body(&self, _exchange: &mut Self::Exchange, _part: Part<'_>) -> BodyVerdict {
        BodyVerdict::next()
    }

    /// Called with the trailers of a body that was handed over: lines that may be changed.
    fn trailers(&self, _exchange: &mut Self::Exchange, _lines: &mut Vec<(String, Vec<u8>)>) {}

    /// Called when an exchange is over. Tags under `exchange.` say how it ended.
    fn finish(&self, _exchange: &mut Self::Exchange, _facts: &Facts<'_>) {}
}

/// A part of a body, or the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// The bytes of it, perhaps none.
    pub bytes: &'a [u8],
    /// No other one follows.
    pub last: bool,
}

/// How bodies are handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bodies {
    pub(crate) request: Option<Handling>,
    pub(crate) response: Option<Handling>,
}

/// How one body is handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handling {
    /// The most bytes of a whole; none: part by part.
    buffered: Option<u64>,
    passes_excess: bool,
    decoded: bool,
}

impl Bodies {
    /// None at all; to be built up from.
    #[must_use]
    pub const fn none() -> Self {
        Bodies {
            request: None,
            response: None,
        }
    }

    /// Those of requests.
    #[must_use]
    pub const fn of_requests(self, handling: Handling) -> Self {
        Bodies {
            request: Some(handling),
            ..self
        }
    }

    /// Those of responses.
    #[must_use]
    pub const fn of_responses(self, handling: Handling) -> Self {
        Bodies {
            response: Some(handling),
            ..self
        }
    }
}

impl Handling {
    /// Part by part, as it passes.
    #[must_use]
    pub const fn streamed() -> Self {
        Handling {
            buffered: None,
            passes_excess: false,
            decoded: false,
        }
    }

    /// Whole, up to so many bytes; what is larger is refused.
    #[must_use]
    pub const fn buffered(bytes_max: u64) -> Self {
        Handling {
            buffered: Some(bytes_max),
            ..Handling::streamed()
        }
    }

    /// What is larger, or coded in an unknown way, goes by unseen.
    #[must_use]
    pub const fn passing_excess(self) -> Self {
        Handling {
            passes_excess: true,
            ..self
        }
    }

    /// Without its content coding.
    #[must_use]
    pub const fn decoded(self) -> Self {
        Handling {
            decoded: true,
            ..self
        }
    }
}

/// What a filter answers to a part of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyVerdict {
    /// Go on: with this in its place, if there is something, and with these edits of the head, where the body was handed over whole.
    Next(Option<Vec<u8>>, Edits),
    /// Answer with this, while that is still possible.
    Reply(Reply),
    /// Close the downstream connection.
    Close,
}

impl BodyVerdict {
    /// Go on with the part as it is.
    #[must_use]
    pub const fn next() -> Self {
        BodyVerdict::Next(None, Edits::new())
    }

    /// Go on with this in its place.
    #[must_use]
    pub fn replace(bytes: impl Into<Vec<u8>>) -> Self {
        BodyVerdict::Next(Some(bytes.into()), Edits::new())
    }

    fn into_wit(self) -> body::Verdict {
        match self {
            BodyVerdict::Next(content, edits) => body::Verdict::Next(body::Change {
                content,
                edits: edits.into_bytes(),
            }),
            BodyVerdict::Reply(reply) => body::Verdict::Reply(reply_to_wit(reply)),
            BodyVerdict::Close => body::Verdict::Close,
        }
    }
}

impl From<Reply> for BodyVerdict {
    fn from(reply: Reply) -> Self {
        BodyVerdict::Reply(reply)
    }
}

fn reply_to_wit(reply: Reply) -> http::Reply {
    http::Reply {
        status: reply.status,
        headers: reply.headers,
        body: reply.body,
    }
}

fn verdict_to_wit(verdict: Verdict) -> http::Verdict {
    match verdict {
        Verdict::Next(edits) => http::Verdict::Next(edits.into_bytes()),
        Verdict::Reply(reply) => http::Verdict::Reply(reply_to_wit(reply)),
        Verdict::Close => http::Verdict::Close,
    }
}

/// A configured filter without its type, so that one static can hold any.
trait Running {
    fn bodies(&self) -> Bodies;
    fn end(&self) -> Option<Vec<Field>>;
    fn begin(&mut self);
    fn request(&mut self, flat: &[u8]) -> Verdict;
    fn response(&mut self, flat: &[u8]) -> Verdict;
    fn request_body(&mut self, part: Part<'_>) -> BodyVerdict;
    fn response_body(&mut self, part: Part<'_>) -> BodyVerdict;
    fn trailers(&mut self, lines: &mut Vec<(String, Vec<u8>)>);
    fn finish(&mut self, flat: &[u8]);
}

struct FullConfigured<F: FullHttpFilter> {
    configured: Configured<F>,
    end: Option<Vec<Field>>,
    exchange: F::Exchange,
}

impl<F: FullHttpFilter> Running for FullConfigured<F> {
    fn bodies(&self) -> Bodies {
        self.configured.filter.bodies()
    }

    fn end(&self) -> Option<Vec<Field>> {
        self.end.clone()
    }

    fn begin(&mut self) {
        self.exchange = F::Exchange::default();
    }

    fn request(&mut self, flat: &[u8]) -> Verdict {
        let Configured { filter, plan } = &self.configured;
        let facts = Facts::new(plan.request.as_deref().unwrap_or_default(), flat);
        filter.begin_request(&mut self.exchange, &Request::new(facts))
    }

    fn response(&mut self, flat: &[u8]) -> Verdict {
        let Configured { filter, plan } = &self.configured;
        let facts = Facts::new(plan.response.as_deref().unwrap_or_default(), flat);
        filter.begin_response(&mut self.exchange, &Response::new(facts))
    }

    fn request_body(&mut self, part: Part<'_>) -> BodyVerdict {
        self.configured
            .filter
            .request_body(&mut self.exchange, part)
    }

    fn response_body(&mut self, part: Part<'_>) -> BodyVerdict {
        self.configured
            .filter
            .response_body(&mut self.exchange, part)
    }

    fn trailers(&mut self, lines: &mut Vec<(String, Vec<u8>)>) {
        self.configured.filter.trailers(&mut self.exchange, lines);
    }

    fn finish(&mut self, flat: &[u8]) {
        let facts = Facts::new(self.end.as_deref().unwrap_or_default(), flat);
        self.configured.filter.finish(&mut self.exchange, &facts);
    }
}

thread_local! {
    static FILTER: RefCell<Option<Box<dyn Running>>> = const { RefCell::new(None) };
}

fn with_filter<T>(call: impl FnOnce(&mut dyn Running) -> T) -> T {
    FILTER.with_borrow_mut(|filter| {
        call(
            filter
                .as_deref_mut()
                .expect("the host configures an instance first"),
        )
    })
}

/// The component's exports for a filter.
#[doc(hidden)]
pub struct FullHttpPlugin<F>(PhantomData<F>);

impl<F: FullHttpFilter> http::Guest for FullHttpPlugin<F> {
    fn configure(settings: String) -> Result<http::Needs, Vec<types::SettingsError>> {
        log::log_panics();
        let configured = Configured::<F>::new(&settings).map_err(errors_to_wit)?;
        let needs = configured.plan.to_wit();
        let bodies = configured.filter.bodies();
        FILTER.set(Some(Box::new(FullConfigured {
            end: configured.filter.end(),
            configured,
            exchange: F::Exchange::default(),
        })));
        Ok(http::Needs {
            request: needs.request,
            response: needs.response,
            request_body: mode(bodies.request),
            response_body: mode(bodies.response),
            guard: needs.guard,
            edits: needs.edits,
        })
    }

    fn request(fields: Vec<u8>) -> http::Verdict {
        verdict_to_wit(with_filter(|filter| filter.request(&fields)))
    }

    fn response(fields: Vec<u8>) -> http::Verdict {
        verdict_to_wit(with_filter(|filter| filter.response(&fields)))
    }
}

fn mode(handling: Option<Handling>) -> types::BodyMode {
    match handling.map(|handling| handling.buffered) {
        None => types::BodyMode::None,
        Some(None) => types::BodyMode::Stream,
        Some(Some(bytes_max)) => types::BodyMode::Buffer(bytes_max),
    }
}

impl<F: FullHttpFilter> body::Guest for FullHttpPlugin<F> {
    fn plan() -> body::Handlings {
        let bodies = with_filter(|filter| filter.bodies());
        let to_wit = |handling: Option<Handling>| {
            let handling = handling.unwrap_or(Handling::streamed());
            body::Handling {
                excess: match handling.passes_excess {
                    true => body::Excess::Pass,
                    false => body::Excess::Refuse,
                },
                decoded: handling.decoded,
            }
        };
        body::Handlings {
            request: to_wit(bodies.request),
            response: to_wit(bodies.response),
        }
    }

    fn begin() {
        with_filter(|filter| filter.begin());
    }

    fn request(part: Vec<u8>, last: bool) -> body::Verdict {
        let part = Part { bytes: &part, last };
        with_filter(|filter| filter.request_body(part)).into_wit()
    }

    fn response(part: Vec<u8>, last: bool) -> body::Verdict {
        let part = Part { bytes: &part, last };
        with_filter(|filter| filter.response_body(part)).into_wit()
    }

    fn trailers(lines: Vec<u8>) -> Vec<u8> {
        let mut lines = crate::edits::lines(&lines);
        with_filter(|filter| filter.trailers(&mut lines));
        let mut edits = Edits::new();
        for (name, value) in &lines {
            edits.append(name, value);
        }
        edits.into_bytes()
    }
}

impl<F: FullHttpFilter> end::Guest for FullHttpPlugin<F> {
    fn plan() -> Option<types::Phase> {
        let fields = with_filter(|filter| filter.end())?;
        Some(types::Phase { fields })
    }

    fn finish(fields: Vec<u8>) {
        with_filter(|filter| filter.finish(&fields));
    }
}
