//! A body on its way through the filters that asked for it.
//!
//! Each filter has an instance to itself for the exchange ([`Lease`]). Parts pass the filters one after the other, requests first to last,
//! responses last to first. A filter that wants a body whole holds it back; as long as one does, the head of the message waits as well, since
//! that filter may still edit it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::{FilterChain, OnFault, Run};
use crate::compress::{self, Coded, Decoder};
use crate::http::{Exchange, Fields};
use crate::plugin::{BodyPlan, BodyVerdict, Direction, Edits, Fault, Lease, Reply};

/// Why a body goes no further.
#[derive(Debug)]
pub enum BodyHalt {
    /// A filter answers.
    Reply(Reply),
    /// A filter wants the connection closed.
    Close,
    /// A filter faulted and its policy is to deny.
    Fault,
    /// It is larger than a filter takes, or coded in a way that cannot be undone for it.
    Refused,
}

/// The filters that one body passes, in order.
#[derive(Debug)]
pub struct BodyChain {
    steps: Vec<Step>,
    flags: Flags,
}

/// What body phases did to an exchange, as [`Run`] has it for the other phases: who acted, who faulted.
pub(super) type Flags = Rc<Cell<(u64, u64)>>;

/// An instance that the phases of one exchange share: a response may begin before the request is over.
pub(super) type SharedLease = Rc<RefCell<Lease>>;

#[derive(Debug)]
struct Step {
    lease: SharedLease,
    /// In the chain.
    index: usize,
    on_fault: OnFault,
    direction: Direction,
    plan: BodyPlan,
    decoder: Option<Box<Decoder>>,
    holding: Holding,
    /// Answered with the body as a whole.
    edits: Edits,
}

#[derive(Debug)]
enum Holding {
    /// Each part is handed over as it comes.
    No,
    /// What has come so far.
    Yes(Vec<u8>),
    /// The filter has nothing to do with the body any more.
    Over,
}

impl FilterChain {
    /// The filters that see the body of the request, none where none does. To be asked after the request phases.
    ///
    /// # Errors
    /// When it is coded in a way that a filter cannot be shown.
    pub fn request_body(
        &self,
        run: &Run,
        exchange: &mut Exchange,
    ) -> Result<Option<Box<BodyChain>>, BodyHalt> {
        if run.leases.is_empty() {
            return Ok(None);
        }
        let steps = self.steps(run, Direction::Request);
        BodyChain::begin(steps.collect(), run, exchange.request.fields_mut())
    }

    /// The same for the response, after the response phases.
    ///
    /// # Errors
    /// As [`FilterChain::request_body`].
    pub fn response_body(
        &self,
        run: &Run,
        exchange: &mut Exchange,
    ) -> Result<Option<Box<BodyChain>>, BodyHalt> {
        if run.leases.is_empty() {
            return Ok(None);
        }
        let mut steps: Vec<Step> = self.steps(run, Direction::Response).collect();
        steps.reverse();
        let fields = exchange.response.fields_mut();
        let chain = BodyChain::begin(steps, run, fields)?;
        if chain.is_some() {
            // The body may become another one.
            compress::unsettle(fields).map_err(|_| BodyHalt::Fault)?;
            exchange.response.forget_length();
        }
        Ok(chain)
    }

    fn steps<'r>(&'r self, run: &'r Run, direction: Direction) -> impl Iterator<Item = Step> + 'r {
        run.leases.iter().filter_map(move |(index, lease)| {
            let filter = &self.filters[*index];
            let needs = filter.plugin.needs();
            let plan = match direction {
                Direction::Request => needs.request_body,
                Direction::Response => needs.response_body,
            }?;
            Some(Step {
                lease: lease.clone(),
                index: *index,
                on_fault: filter.on_fault,
                direction,
                plan,
                decoder: None,
                holding: plan
                    .buffered
                    .map_or(Holding::No, |_| Holding::Yes(Vec::new())),
                edits: Edits::default(),
            })
        })
    }
}

impl BodyChain {
    /// Undoes the content coding before the first filter that asks for it.
    fn begin(
        mut steps: Vec<Step>,
        run: &Run,
        fields: &mut Fields,
    ) -> Result<Option<Box<BodyChain>>, BodyHalt> {
        let mut is_undone = false;
        for step in steps.iter_mut().filter(|step| step.plan.decoded) {
            if is_undone {
                continue;
            }
            match compress::undo(fields).map_err(|_| BodyHalt::Fault)? {
                Coded::Plain => is_undone = true,
                Coded::Undone(decoder) => {
                    step.decoder = Some(decoder);
                    is_undone = true;
                }
                Coded::Unknown if step.plan.passes_excess => step.holding = Holding::Over,
                Coded::Unknown => return Err(BodyHalt::Refused),
            }
        }
        steps.retain(|step| !matches!(step.holding, Holding::Over));
        if steps.is_empty() {
            return Ok(None);
        }
        let flags = run.body_flags.clone();
        Ok(Some(Box::new(BodyChain { steps, flags })))
    }

    /// Hands a part through all filters and appends what comes out to `out`; `last` says that no other one follows.
    ///
    /// # Errors
    /// What ends the body. The chain is not to be used after it.
    pub fn pass(&mut self, part: &[u8], last: bool, out: &mut Vec<u8>) -> Result<(), BodyHalt> {
        let mut made: Option<Vec<u8>> = None;
        for step in &mut self.steps {
            let given = made.as_deref().unwrap_or(part);
            if given.is_empty() && !last {
                return Ok(());
            }
            if let Some(other) = step.pass(given, last, &self.flags)? {
                made = Some(other);
            }
        }
        out.extend_from_slice(made.as_deref().unwrap_or(part));
        Ok(())
    }

    /// Hands the trailers through, which come after the last part; none: they stay as they are.
    ///
    /// # Errors
    /// As [`BodyChain::pass`].
    pub fn pass_trailers(&mut self, trailers: &Fields) -> Result<Option<Fields>, BodyHalt> {
        let mut lines = None;
        for step in &mut self.steps {
            if !matches!(step.holding, Holding::Over) {
                let given = lines.as_ref().unwrap_or(trailers);
                let answered = step.lease.borrow_mut().trailers(given);
                match answered {
                    Ok(others) => lines = Some(others),
                    Err(_) => step.faulted(&self.flags)?,
                }
            }
        }
        Ok(lines)
    }

    /// Whether the head must wait: some filter holds the body back.
    pub fn holds(&self) -> bool {
        self.steps.iter().any(Step::holds)
    }

    /// The largest body that surely comes through while it is held, where there is such a limit.
    pub fn held_bytes_max(&self) -> Option<u64> {
        let refuses =
            |step: &&Step| step.holds() && !step.plan.passes_excess && step.decoder.is_none();
        let limits = self.steps.iter().take(1).filter(refuses);
        limits
            .filter_map(|step| step.plan.buffered)
            .min()
            .map(|bytes| bytes as u64)
    }

    /// Makes the edits that filters answered with the body as a whole.
    ///
    /// # Errors
    /// When one of them cannot be made, and its filter's policy is to deny.
    pub fn edit_head(&mut self, exchange: &mut Exchange) -> Result<(), BodyHalt> {
        for step in &mut self.steps {
            let edits = std::mem::take(&mut step.edits);
            let applied = match step.direction {
                Direction::Request => edits.apply_request(exchange),
                Direction::Response => edits.apply_response(exchange),
            };
            if let Err(fault) = applied {
                step.lease.borrow_mut().blame("edits", fault);
                step.faulted(&self.flags)?;
            }
        }
        Ok(())
    }
}

impl Step {
    fn holds(&self) -> bool {
        matches!(self.holding, Holding::Yes(_))
    }

    /// What becomes of a part; none: it stays as it is.
    fn pass(
        &mut self,
        part: &[u8],
        last: bool,
        flags: &Flags,
    ) -> Result<Option<Vec<u8>>, BodyHalt> {
        let decoded = match &mut self.decoder {
            Some(decoder) => {
                let mut plain = Vec::new();
                let good = decoder.decode(part, last, &mut plain);
                good.map_err(|_| BodyHalt::Refused)?;
                Some(plain)
            }
            None => None,
        };
        let given = decoded.as_deref().unwrap_or(part);
        let answer = match &mut self.holding {
            Holding::Over => None,
            Holding::No if given.is_empty() && !last => None,
            Holding::No => self.call(given, last, flags)?,
            Holding::Yes(held) => {
                held.extend_from_slice(given);
                let held_max = self.plan.buffered.unwrap_or(usize::MAX);
                if held.len() > held_max {
                    if !self.plan.passes_excess {
                        return Err(BodyHalt::Refused);
                    }
                    Some(self.let_go())
                } else if last {
                    let whole = self.let_go();
                    self.call(&whole, true, flags)?.or(Some(whole))
                } else {
                    Some(Vec::new())
                }
            }
        };
        Ok(answer.or(decoded))
    }

    /// What was held; from now on nothing is.
    fn let_go(&mut self) -> Vec<u8> {
        match std::mem::replace(&mut self.holding, Holding::Over) {
            Holding::Yes(held) => held,
            Holding::No | Holding::Over => Vec::new(),
        }
    }

    fn call(
        &mut self,
        part: &[u8],
        last: bool,
        flags: &Flags,
    ) -> Result<Option<Vec<u8>>, BodyHalt> {
        let verdict = self.lease.borrow_mut().body(self.direction, part, last);
        let whole = self.plan.buffered.is_some();
        let late =
            "the head is on its way: only a filter that has the body whole can still do this";
        let answer = match verdict {
            Ok(BodyVerdict::Next { content, edits }) if edits.is_empty() || whole => {
                let acted = content.is_some() || !edits.is_empty();
                self.edits = edits;
                flags.set(with(flags, self.index, acted, false));
                return Ok(content);
            }
            Ok(BodyVerdict::Next { .. }) => None,
            Ok(BodyVerdict::Reply(reply)) if whole || self.direction == Direction::Request => {
                Some(BodyHalt::Reply(reply))
            }
            Ok(BodyVerdict::Reply(_)) => None,
            Ok(BodyVerdict::Close) => Some(BodyHalt::Close),
            Err(_) => return self.faulted(flags).map(|()| None),
        };
        match answer {
            Some(halt) => {
                flags.set(with(flags, self.index, true, false));
                Err(halt)
            }
            None => {
                let fault = Fault::bad_output(late);
                self.lease.borrow_mut().blame(self.direction.name(), fault);
                self.faulted(flags).map(|()| None)
            }
        }
    }

    /// The policy after a fault: the end, or as if the filter were not there.
    fn faulted(&mut self, flags: &Flags) -> Result<(), BodyHalt> {
        flags.set(with(flags, self.index, false, true));
        self.holding = Holding::Over;
        match self.on_fault {
            OnFault::Deny => Err(BodyHalt::Fault),
            OnFault::Skip => Ok(()),
        }
    }
}

fn with(flags: &Flags, index: usize, acted: bool, faulted: bool) -> (u64, u64) {
    let (all_acted, all_faulted) = flags.get();
    (
        all_acted | u64::from(acted) << index,
        all_faulted | u64::from(faulted) << index,
    )
}
