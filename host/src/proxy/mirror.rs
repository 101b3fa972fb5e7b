//! Mirroring: a copy of a share of a route's requests goes to another cluster; its answers are read and thrown away.
//!
//! The copy is what was sent upstream, byte for byte. It never delays the original: it has a task of its own, does not wait in queues, and is
//! left out when too many are under way or its body is too large to keep.

use super::attempt::Target;
use super::body::{BodyReader, Wire};
use super::connect::{Ask, NoConnection, Reuse, connect, count_request, take_at_once};
use super::request_body::RequestBody;
use super::retry::{Failure, Tries};
use crate::http::{
    BodyLength, ConnectionFacts, Exchange, Limits, Parsed, ResponseHead, parse_response,
};
use crate::net::buffer::Buffer;
use crate::net::timer::Timer;
use crate::snapshot::Mirror;
use crate::upstream::{Cluster, Dialled, Place, Verdict};
use std::cell::Cell;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

/// Copies under way at once in a worker; beyond it requests are not mirrored.
const UNDER_WAY_MAX: usize = 1024;
/// Bytes of such copies in a worker, likewise.
const BYTES_UNDER_WAY_MAX: usize = 64 << 20;
/// Interim responses that are passed over for one copy.
const INTERIM_MAX: u32 = 16;

thread_local! {
    /// How many, and how many bytes.
    static UNDER_WAY: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

/// A request that is to be mirrored.
#[derive(Debug)]
pub(super) struct Order {
    cluster: Arc<Cluster>,
    ask: Ask,
    method: String,
    limits: Limits,
    body_bytes_max: u64,
    facts: Arc<ConnectionFacts>,
}

impl Order {
    /// Draws whether this request is mirrored.
    pub(super) fn draw(target: &Target, length: BodyLength, exchange: &Exchange) -> Option<Order> {
        let Mirror {
            cluster,
            share,
            body_bytes_max,
        } = target.route.mirror.as_ref()?;
        let too_large = matches!(length, BodyLength::Fixed(length) if length > *body_bytes_max);
        if fastrand::u32(..10_000) >= share.0 || too_large || exchange.request.upgrade().is_some() {
            return None;
        }
        Some(Order {
            cluster: cluster.clone(),
            ask: Ask {
                key: cluster.picker.key(exchange),
                bound: None,
                priority: 0,
                tried: Vec::new(),
            },
            method: exchange.request.method().to_owned(),
            limits: target.limits,
            body_bytes_max: *body_bytes_max,
            facts: exchange.connection.clone(),
        })
    }

    /// Bytes of the body to be kept for it.
    pub(super) fn body_bytes_max(&self) -> u64 {
        self.body_bytes_max
    }
}

/// Sends the copy if the whole request has gone by; `first` is what was sent first.
pub(super) fn start(order: Option<Order>, first: &[u8], tries: &Tries<'_>, body: &RequestBody) {
    let Some(order) = order else { return };
    let Some(copy) = tries
        .whole(first, order.body_bytes_max)
        .filter(|_| body.is_done())
    else {
        tracing::debug!(cluster = %order.cluster.name, "not mirrored: its body was too large or did not end");
        return;
    };
    let Some(under_way) = UnderWay::begin(copy.len()) else {
        return;
    };
    tokio::task::spawn_local(async move {
        let _under_way = under_way;
        // No answer is worth a task for ever.
        let most = order.cluster.connect_timeout + 2 * order.cluster.response_timeout;
        let timer = Timer::new();
        timer.set(most);
        let sent = pin!(send(&order, copy));
        let _ = timer.within(sent).await;
    });
}

/// One of the copies under way in this worker, of so many bytes.
struct UnderWay(usize);

impl UnderWay {
    fn begin(bytes: usize) -> Option<UnderWay> {
        let (count, before) = UNDER_WAY.get();
        (count < UNDER_WAY_MAX && before + bytes <= BYTES_UNDER_WAY_MAX).then(|| {
            UNDER_WAY.set((count + 1, before + bytes));
            UnderWay(bytes)
        })
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let _ = UNDER_WAY.try_with(|under_way| {
            let (count, bytes) = under_way.get();
            under_way.set((count - 1, bytes - self.0));
        });
    }
}

async fn send(order: &Order, copy: Vec<u8>) {
    let cluster = &order.cluster;
    let Some(place) = take_at_once(cluster, &order.ask) else {
        return;
    };
    let timer = Timer::new();
    let Ok(_counted) = count_request(cluster) else {
        return;
    };
    let dialled = match connect(cluster, place.endpoint(), Reuse::Any, &order.facts, &timer).await {
        Ok(dialled) => dialled,
        // It has been logged.
        Err(NoConnection::Stop(stop)) => {
            if let Some(verdict) = Failure::Connect(stop).verdict() {
                cluster.judge(place.endpoint(), verdict, None);
            }
            return;
        }
        Err(NoConnection::PassedOver) => return,
    };
    let reused = dialled.reused;
    let began = Instant::now();
    let mut exchange = Copied {
        order,
        dialled,
        timer,
        head: ResponseHead::new(),
    };
    match exchange.run(&copy, &place, began).await {
        Some(true) => {
            exchange
                .dialled
                .give_back(place.endpoint(), cluster.idle_timeout);
        }
        Some(false) => {}
        // An old connection that was being closed says nothing about the endpoint.
        None if reused => {}
        None => cluster.judge(place.endpoint(), Verdict::Reset, None),
    }
}

struct Copied<'o> {
    order: &'o Order,
    dialled: Dialled,
    timer: Timer,
    head: ResponseHead,
}

impl Copied<'_> {
    /// Whether the connection may be used again; none without an answer.
    async fn run(&mut self, copy: &[u8], place: &Place, began: Instant) -> Option<bool> {
        let cluster = &self.order.cluster;
        self.timer.set(cluster.response_timeout);
        let written = self.timer.within(self.dialled.stream.send(copy)).await;
        written.ok()?.ok()?;
        let mut input = Buffer::take();
        self.read_head(&mut input).await?;
        let verdict = Verdict::Answered(self.head.status());
        cluster.judge(place.endpoint(), verdict, Some(began.elapsed()));
        if self.head.status() == 101 {
            return Some(false);
        }
        let mut reader = BodyReader::new(self.head.body());
        let mut thrown_away = Buffer::take();
        loop {
            thrown_away.clear();
            let moved = reader.transfer(&mut input, &mut thrown_away, Wire::Plain);
            if moved.is_err() {
                return Some(false);
            }
            if reader.is_done() {
                return Some(self.head.keep_alive() && input.is_empty());
            }
            if !self.read(&mut input).await {
                return Some(false);
            }
        }
    }

    async fn read_head(&mut self, input: &mut Buffer) -> Option<()> {
        let mut interim = 0;
        while interim <= INTERIM_MAX {
            if !input.is_empty() {
                let limits = &self.order.limits;
                match parse_response(input, &self.order.method, limits, &mut self.head).ok()? {
                    Parsed::Complete { head_len } => {
                        input.consume(head_len);
                        if !self.head.is_interim() {
                            return Some(());
                        }
                        self.head.clear();
                        interim += 1;
                        continue;
                    }
                    Parsed::Partial => {}
                }
            }
            if !self.read(input).await {
                return None;
            }
        }
        None
    }

    async fn read(&mut self, input: &mut Buffer) -> bool {
        self.timer.set(self.order.cluster.response_timeout);
        let read = self.dialled.stream.receive(input);
        matches!(self.timer.within(read).await, Ok(Ok(count)) if count > 0)
    }
}
