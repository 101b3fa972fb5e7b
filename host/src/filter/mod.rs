//! Runs a chain of filters: order, phases, verdicts, fault policy.
//!
//! Requests pass the chain first to last, responses pass back last to first through exactly the filters whose request phase was passed; a
//! reply by filter *k* passes back through those before it. What a filter does not need is not done: no call where its guard is false or
//! the phase unwanted, and constant edits are applied here. Bodies pass in `body.rs`. Knows no wasmtime types, no
//! sockets and no time.

mod body;
mod network;

pub use body::{BodyChain, BodyHalt};
pub use network::{NetworkChain, NetworkFilter};

use crate::http::{Exchange, is_editable};
use crate::plugin::{Decision, Edits, Fault, HttpFilter, Reply, Verdict, flatten};
use body::{Flags, SharedLease};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

/// Filters of one route, listener's first. Bounded so that a run fits into a bit set.
pub const FILTERS_MAX: usize = 64;

/// One configured step of a chain.
#[derive(Debug)]
pub struct Filter {
    /// The configuration's name for the plugin.
    pub name: Arc<str>,
    pub plugin: Arc<HttpFilter>,
    pub on_fault: OnFault,
}

/// What happens to an exchange or connection when a filter faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFault {
    /// 500, or close.
    Deny,
    /// As if the filter were not there.
    Skip,
}

/// The filters of a route in order; at most [`FILTERS_MAX`].
#[derive(Debug, Default)]
pub struct FilterChain {
    filters: Vec<Filter>,
    wants_end: bool,
}

/// What one exchange has done with its chain so far. Reused; [`Run::clear`] keeps its buffers.
#[derive(Debug, Default)]
pub struct Run {
    /// One for each filter whose request phase was passed.
    decisions: Vec<Decision>,
    scratch: Vec<u8>,
    /// Filters with edits for the exchange, constant or by a call, and those that answered or closed.
    acted: u64,
    faulted: u64,
    /// The instances of filters that have one to themselves, by their place in the chain.
    leases: Vec<(usize, SharedLease)>,
    body_flags: Flags,
}

/// Why a chain did not let the message through.
#[derive(Debug)]
pub enum Halt {
    /// A filter answers.
    Reply(Reply),
    /// A filter wants the connection closed.
    Close,
    /// A filter faulted and its policy is to deny.
    Fault,
}

/// How the response phases left the response in the exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passed {
    /// Perhaps edited; the body is the one it had.
    Kept,
    /// Replaced as a whole by a filter's reply; the new body is in the [`Body`] that was handed in.
    Replaced,
    /// The same by the answer to a filter's fault.
    Faulted,
    /// Nothing is to be sent.
    Close,
}

/// The body of a reply by a filter, or of the one that takes a faulted filter's place.
pub type Body = Vec<u8>;

impl FilterChain {
    /// A chain; the caller has checked that there are at most [`FILTERS_MAX`].
    pub fn new(filters: Vec<Filter>) -> FilterChain {
        debug_assert!(filters.len() <= FILTERS_MAX);
        let wants_end = filters
            .iter()
            .any(|filter| filter.plugin.needs().end.is_some());
        FilterChain { filters, wants_end }
    }

    /// Runs the request phases. On a halt, [`FilterChain::on_response`] runs the response phases of the filters before the one that halted.
    pub fn on_request(
        &self,
        run: &mut Run,
        mut exchange: Box<Exchange>,
    ) -> (Box<Exchange>, Result<(), Halt>) {
        for (index, filter) in self.filters.iter().enumerate() {
            let decision = filter.plugin.needs().decide(&exchange);
            run.acted |= u64::from(decision.edits()) << index;
            let verdict;
            (exchange, verdict) = filter.request(index, decision, run, exchange);
            if let Err(halt) = run.settle(filter, index, verdict, |edits| {
                edits.apply_request(&mut exchange)
            }) {
                return (exchange, Err(halt));
            }
            let is_lost = run.faulted >> index & 1 == 1 && filter.plugin.needs().wants_lease();
            run.decisions.push(match is_lost {
                true => decision.uncalled(),
                false => decision,
            });
        }
        (exchange, Ok(()))
    }

    /// Runs the response phases over the response in the exchange, for every filter that the request passed, last first. When it is
    /// replaced, `body` holds the new body.
    pub fn on_response(
        &self,
        run: &mut Run,
        mut exchange: Box<Exchange>,
        body: &mut Body,
    ) -> (Box<Exchange>, Passed) {
        let mut passed = Passed::Kept;
        for index in (0..run.decisions.len()).rev() {
            let filter = &self.filters[index];
            let verdict;
            (exchange, verdict) = filter.response(index, run, exchange);
            let settled = run.settle(filter, index, verdict, |edits| {
                edits.apply_response(&mut exchange)
            });
            match settled {
                Ok(()) => continue,
                Err(Halt::Close) => return (exchange, Passed::Close),
                Err(Halt::Reply(reply)) => {
                    *body = put_reply(&mut exchange, reply);
                    passed = Passed::Replaced;
                }
                Err(Halt::Fault) => {
                    *body = put_fault(&mut exchange);
                    passed = Passed::Faulted;
                }
            }
        }
        (exchange, passed)
    }

    /// Whether some filter wants to know how an exchange ends.
    pub fn wants_end(&self) -> bool {
        self.wants_end
    }

    /// Runs the phases at the end of an exchange, whose outcome stands in its tags.
    pub fn on_end(&self, run: &mut Run, mut exchange: Box<Exchange>) -> Box<Exchange> {
        for index in 0..run.decisions.len() {
            let plugin = &self.filters[index].plugin;
            let Some(fields) = &plugin.needs().end else {
                continue;
            };
            if !run.decisions[index].called() {
                continue;
            }
            flatten(fields, &exchange, run.fresh_scratch());
            exchange = match run.lease(index) {
                Some(lease) => lease.borrow_mut().finish(exchange, &run.scratch),
                None => plugin.finish(exchange, &run.scratch),
            };
        }
        exchange
    }

    /// Names of the filters that acted in a run, and of those that faulted.
    pub fn acted<'c>(&'c self, run: &Run) -> impl Iterator<Item = (&'c str, bool)> {
        let (acted, faulted) = run.flags();
        let flagged = move |index: usize| (acted | faulted) >> index & 1 == 1;
        self.filters
            .iter()
            .enumerate()
            .filter(move |(index, _)| flagged(*index))
            .map(move |(index, filter)| (&*filter.name, faulted >> index & 1 == 1))
    }

    /// The filters in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Filter> {
        self.filters.iter()
    }
}

impl Filter {
    /// Constant edits, then the call if the filter needs one.
    fn request(
        &self,
        index: usize,
        decision: Decision,
        run: &mut Run,
        mut exchange: Box<Exchange>,
    ) -> (Box<Exchange>, Result<Verdict, Fault>) {
        let needs = self.plugin.needs();
        needs.apply_request_edits(decision, &mut exchange, &mut run.scratch);
        if needs.wants_lease() && decision.called() {
            return self.request_leased(index, run, exchange);
        }
        match &needs.request {
            Some(fields) if decision.called() => {
                flatten(fields, &exchange, run.fresh_scratch());
                self.plugin.request(exchange, &run.scratch)
            }
            Some(_) => {
                self.plugin.stats().guard_missed();
                (exchange, Ok(Verdict::Next(Edits::default())))
            }
            None => (exchange, Ok(Verdict::Next(Edits::default()))),
        }
    }

    /// As [`Filter::request`], of a filter that has an instance to itself for the exchange.
    fn request_leased(
        &self,
        index: usize,
        run: &mut Run,
        exchange: Box<Exchange>,
    ) -> (Box<Exchange>, Result<Verdict, Fault>) {
        let mut lease = match self.plugin.lease() {
            Ok(lease) => lease,
            Err(fault) => return (exchange, Err(fault)),
        };
        let (exchange, verdict) = match &self.plugin.needs().request {
            Some(fields) => {
                flatten(fields, &exchange, run.fresh_scratch());
                lease.request(exchange, &run.scratch)
            }
            None => (exchange, Ok(Verdict::Next(Edits::default()))),
        };
        if verdict.is_ok() {
            run.leases.push((index, Rc::new(RefCell::new(lease))));
        }
        (exchange, verdict)
    }

    fn response(
        &self,
        index: usize,
        run: &mut Run,
        mut exchange: Box<Exchange>,
    ) -> (Box<Exchange>, Result<Verdict, Fault>) {
        let (needs, decision) = (self.plugin.needs(), run.decisions[index]);
        needs.apply_response_edits(decision, &mut exchange, &mut run.scratch);
        match &needs.response {
            Some(fields) if decision.called() => {
                flatten(fields, &exchange, run.fresh_scratch());
                match run.lease(index) {
                    Some(lease) => lease.borrow_mut().response(exchange, &run.scratch),
                    None => self.plugin.response(exchange, &run.scratch),
                }
            }
            _ => (exchange, Ok(Verdict::Next(Edits::default()))),
        }
    }
}

impl Run {
    /// Forgets the last exchange.
    pub fn clear(&mut self) {
        self.decisions.clear();
        (self.acted, self.faulted) = (0, 0);
        self.leases.clear();
        if self.body_flags.get() != (0, 0) {
            // Not set back: whoever still holds it speaks of another exchange.
            self.body_flags = Flags::default();
        }
    }

    /// Gives back the instances that filters had to themselves.
    pub fn release(&mut self) {
        self.leases.clear();
    }

    /// Whether some filter of the exchange may see bodies.
    pub fn has_leases(&self) -> bool {
        !self.leases.is_empty()
    }

    /// The instance that a filter has to itself.
    fn lease(&self, index: usize) -> Option<SharedLease> {
        let (_, lease) = self.leases.iter().find(|(of, _)| *of == index)?;
        Some(lease.clone())
    }

    fn flags(&self) -> (u64, u64) {
        let (acted, faulted) = self.body_flags.get();
        (self.acted | acted, self.faulted | faulted)
    }

    fn fresh_scratch(&mut self) -> &mut Vec<u8> {
        self.scratch.clear();
        &mut self.scratch
    }

    /// Applies a verdict, or the fault policy: a fault of applying edits is the filter's fault like any other.
    fn settle(
        &mut self,
        filter: &Filter,
        index: usize,
        verdict: Result<Verdict, Fault>,
        apply: impl FnOnce(&Edits) -> Result<(), Fault>,
    ) -> Result<(), Halt> {
        let outcome = match verdict {
            Ok(Verdict::Next(edits)) if edits.is_empty() => return Ok(()),
            Ok(Verdict::Next(edits)) => apply(&edits)
                .map(|()| None)
                .map_err(|fault| filter.plugin.blame(fault)),
            Ok(Verdict::Reply(reply)) => Ok(Some(Halt::Reply(reply))),
            Ok(Verdict::Close) => Ok(Some(Halt::Close)),
            Err(_) => Err(()),
        };
        match outcome {
            Ok(halt) => {
                self.acted |= 1 << index;
                halt.map_or(Ok(()), Err)
            }
            Err(()) => {
                self.faulted |= 1 << index;
                self.leases.retain(|(of, _)| *of != index);
                match filter.on_fault {
                    OnFault::Deny => Err(Halt::Fault),
                    OnFault::Skip => Ok(()),
                }
            }
        }
    }
}

/// Makes a filter's reply the response of the exchange; returns its body.
pub fn put_reply(exchange: &mut Exchange, reply: Reply) -> Body {
    exchange.response.begin(reply.status);
    exchange.has_response = true;
    for (name, value) in &reply.headers {
        debug_assert!(
            is_editable(name.as_bytes()),
            "the plugin room has refused framing headers"
        );
        // Names and values were checked when the reply was taken from the plugin.
        let _ = exchange
            .response
            .fields_mut()
            .append(name.as_bytes(), value);
    }
    reply.body
}

/// Makes the answer to a fault under `on-fault="deny"` the response of the exchange; returns its body. It says nothing about the fault.
pub fn put_fault(exchange: &mut Exchange) -> Body {
    put_plain(exchange, 500, b"internal error\n")
}

/// Makes a short plain text the response of the exchange; returns its body.
pub fn put_plain(exchange: &mut Exchange, status: u16, text: &[u8]) -> Body {
    exchange.response.begin(status);
    exchange.has_response = true;
    let _ = exchange
        .response
        .fields_mut()
        .append(b"content-type", b"text/plain; charset=utf-8");
    text.to_vec()
}
