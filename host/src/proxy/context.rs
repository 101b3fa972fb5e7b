//! What one request carries along the spine.

use crate::affinity::{Binding, Issued};
use crate::filter::{Body, FilterChain, Run};
use crate::http::{ConnectionFacts, Exchange};
use crate::observe::access::Timers;
use crate::upstream::{Cluster, EndpointState, Verdict, View};
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Bounds what a worker keeps after a burst.
const KEPT_MAX: usize = 64;
/// Exchange numbers are handed to workers in blocks, so that the counter is not a shared write per request.
const BLOCK: u64 = 4096;

static NEXT_BLOCK: AtomicU64 = AtomicU64::new(0);

thread_local! {
    #[expect(clippy::vec_box, reason = "lending one moves a pointer, not some hundred bytes")]
    static KEPT: RefCell<Vec<Box<RequestContext>>> = const { RefCell::new(Vec::new()) };
    static NUMBERS: RefCell<(u64, u64)> = const { RefCell::new((0, 0)) };
}

/// One request under way: the exchange, its run through the filters, and what the access line will say.
#[derive(Debug)]
pub(super) struct RequestContext {
    exchange: Option<Box<Exchange>>,
    pub run: Run,
    pub timers: Timers,
    /// The first byte of the request was there.
    pub began: Instant,
    /// The last stage ended here.
    pub mark: Instant,
    pub attempts: u32,
    /// Of the last attempt.
    pub endpoint: Option<Arc<EndpointState>>,
    /// What the request is bound to, where its cluster has affinity, and what was told to the downstream.
    pub bond: Option<Bond>,
    /// What the connection had received and sent before.
    bytes_before: (u64, u64),
}

/// The affinity of one request.
#[derive(Debug)]
pub(super) struct Bond {
    /// The endpoints as they stood when the request came.
    pub view: Arc<View>,
    pub binding: Binding,
    pub issued: Issued,
}

/// A context on loan from the worker; returns when dropped.
#[derive(Debug)]
pub(super) struct LentContext(Option<Box<RequestContext>>);

impl RequestContext {
    /// A context for the next request on a connection.
    pub(super) fn lend(facts: &Arc<ConnectionFacts>) -> LentContext {
        let now = Instant::now();
        let kept = KEPT.with_borrow_mut(Vec::pop);
        let mut ctx = kept.unwrap_or_else(|| Box::new(RequestContext::new(facts, now)));
        ctx.begin(facts, now);
        LentContext(Some(ctx))
    }

    fn new(facts: &Arc<ConnectionFacts>, now: Instant) -> RequestContext {
        RequestContext {
            exchange: Some(Box::new(Exchange::new(facts.clone()))),
            run: Run::default(),
            timers: Timers::default(),
            began: now,
            mark: now,
            attempts: 0,
            endpoint: None,
            bond: None,
            bytes_before: (0, 0),
        }
    }

    fn begin(&mut self, facts: &Arc<ConnectionFacts>, now: Instant) {
        let unique = [fastrand::u64(..), fastrand::u64(..)];
        self.exchange_mut().begin(next_number(), facts, unique, now);
        self.run.clear();
        self.timers = Timers::default();
        (self.began, self.mark) = (now, now);
        self.attempts = 0;
        self.bytes_before = (
            facts.downstream_bytes.load(Ordering::Relaxed),
            facts.upstream_bytes.load(Ordering::Relaxed),
        );
    }

    pub(super) fn exchange(&self) -> &Exchange {
        self.exchange
            .as_deref()
            .expect("the exchange is away only during a filter call")
    }

    pub(super) fn exchange_mut(&mut self) -> &mut Exchange {
        self.exchange
            .as_deref_mut()
            .expect("the exchange is away only during a filter call")
    }

    /// Runs the request phases of a chain.
    pub(super) fn filter_request(
        &mut self,
        chain: &FilterChain,
    ) -> Result<(), crate::filter::Halt> {
        let exchange = self
            .exchange
            .take()
            .expect("the exchange is away only during a filter call");
        let (exchange, result) = chain.on_request(&mut self.run, exchange);
        self.exchange = Some(exchange);
        result
    }

    /// Runs the response phases of a chain.
    pub(super) fn filter_response(
        &mut self,
        chain: &FilterChain,
        body: &mut Body,
    ) -> crate::filter::Passed {
        let exchange = self
            .exchange
            .take()
            .expect("the exchange is away only during a filter call");
        let (exchange, passed) = chain.on_response(&mut self.run, exchange, body);
        self.exchange = Some(exchange);
        passed
    }

    /// Runs the phases of a chain at the end of the exchange.
    pub(super) fn filter_end(&mut self, chain: &FilterChain) {
        let exchange = self
            .exchange
            .take()
            .expect("the exchange is away only during a filter call");
        self.exchange = Some(chain.on_end(&mut self.run, exchange));
    }

    /// What the filters have done so far, and what they do it to.
    pub(super) fn run_and_exchange(&mut self) -> (&Run, &mut Exchange) {
        let exchange = self
            .exchange
            .as_deref_mut()
            .expect("the exchange is away only during a filter call");
        (&self.run, exchange)
    }

    /// Counts bytes sent to the downstream.
    pub(super) fn count_sent(&self, count: usize) {
        self.exchange().connection.count_sent(count as u64);
    }

    /// Bytes received from the downstream during this exchange.
    pub(super) fn received_bytes(&self, facts: &ConnectionFacts) -> u64 {
        facts.downstream_bytes.load(Ordering::Relaxed) - self.bytes_before.0
    }

    /// Bytes sent to the downstream during this exchange.
    pub(super) fn sent_bytes(&self, facts: &ConnectionFacts) -> u64 {
        facts.upstream_bytes.load(Ordering::Relaxed) - self.bytes_before.1
    }

    /// Finds out what the request is bound to, and makes it what it is to be upstream. The endpoint, if it may have the request.
    pub(super) fn bind(&mut self, cluster: &Cluster) -> Option<Arc<EndpointState>> {
        let affinity = cluster.affinity.as_ref()?;
        let view = arc_swap::Guard::into_inner(cluster.live.view());
        let binding = affinity.request(self.exchange_mut(), &view.members);
        let bound = view.bound(binding.endpoint);
        let bound = bound.map(|endpoint| endpoint.state.clone());
        self.bond = Some(Bond {
            view,
            binding,
            issued: Issued::None,
        });
        bound
    }

    /// Tells the downstream, or the table, which endpoint has answered.
    pub(super) fn settle_affinity(&mut self, cluster: &Cluster) {
        let Some(affinity) = &cluster.affinity else {
            return;
        };
        let Some((mut bond, endpoint)) = self.bond.take().zip(self.endpoint.clone()) else {
            return;
        };
        if bond.view.endpoint(&endpoint).is_none() {
            // It joined since.
            bond.view = arc_swap::Guard::into_inner(cluster.live.view());
        }
        if let Some(endpoint) = bond.view.endpoint(&endpoint) {
            let id = endpoint.spec.affinity_id();
            bond.issued =
                affinity.response(self.exchange_mut(), &bond.binding, id, &bond.view.members);
        }
        self.bond = Some(bond);
    }

    /// Counts an answer for or against its endpoint.
    pub(super) fn judge_answer(&self, cluster: &Cluster, status: u16, latency: Option<Duration>) {
        if let Some(endpoint) = &self.endpoint {
            cluster.judge(endpoint, Verdict::Answered(status), latency);
        }
    }

    /// The time since the last stage ended; the next begins now.
    pub(super) fn lap(&mut self) -> std::time::Duration {
        let now = Instant::now();
        let lap = now - self.mark;
        self.mark = now;
        self.exchange_mut().now = now;
        lap
    }
}

impl std::ops::Deref for LentContext {
    type Target = RequestContext;
    fn deref(&self) -> &RequestContext {
        self.0.as_deref().expect("held until dropped")
    }
}

impl std::ops::DerefMut for LentContext {
    fn deref_mut(&mut self) -> &mut RequestContext {
        self.0.as_deref_mut().expect("held until dropped")
    }
}

impl Drop for LentContext {
    fn drop(&mut self) {
        let Some(mut ctx) = self.0.take() else { return };
        // A context that waits for the next request keeps nothing alive.
        (ctx.endpoint, ctx.bond) = (None, None);
        ctx.run.release();
        let _ = KEPT.try_with(|kept| {
            if let Ok(mut kept) = kept.try_borrow_mut()
                && kept.len() < KEPT_MAX
            {
                kept.push(ctx);
            }
        });
    }
}

/// Unique during the life of the process; also the source of connection numbers.
pub fn next_number() -> u64 {
    NUMBERS.with_borrow_mut(|(next, end)| {
        if next == end {
            *next = NEXT_BLOCK.fetch_add(1, Ordering::Relaxed) * BLOCK + 1;
            *end = *next + BLOCK;
        }
        *next += 1;
        *next - 1
    })
}
