//! Clients and endpoints in virtual time: events in order, ties in the order in which they were planned.
//!
//! A client asks, waits for its answer, thinks, and asks again. An endpoint of weight *w* serves *w* requests at a time, the others wait
//! at it in turn. A request that is not answered in time counts as an error and goes on costing the endpoint what it costs.

use super::chance;
use super::scenario::*;
use crate::balance::{PickError, Picker};
use crate::plugin::EndpointTable;
use crate::upstream::{Choice, EndpointState, Place, Queue, View, test_endpoint_at};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How it went.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Summary {
    pub answered: usize,
    /// Times until the answer, good or not, in microseconds.
    pub p50: u64,
    pub p99: u64,
    /// Answers that were a failure, and requests that got none in time.
    pub errors: usize,
    /// Jain's index of the requests for each weight: 1 when all are equal, 1/20 when one endpoint gets everything.
    pub fairness: f64,
    /// The most requests for its weight that an endpoint got, of the mean.
    pub peak: f64,
}

pub(super) fn run(picker: &Picker, requests_max: u32, scenario: &Scenario, seed: u64) -> Summary {
    let mut world = World::new(scenario, requests_max, seed);
    while let Some(Reverse((now, _, event))) = world.events.pop() {
        if now >= DURATION {
            break;
        }
        world.now = now;
        world.clock.set(now);
        match event {
            Event::Ask(client) => world.ask(picker, client, now),
            Event::Served(request) => world.served(picker, request),
            Event::TimedOut(request) => world.timed_out(picker, request),
        }
    }
    world.summary(scenario)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Ask(usize),
    Served(usize),
    TimedOut(usize),
}

struct World<'a> {
    scenario: &'a Scenario,
    now: u64,
    clock: Arc<Clock>,
    planned: u64,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    clients: Vec<Client>,
    endpoints: Vec<Endpoint>,
    requests: Vec<Request>,
    /// Clients that found everything full, and since when.
    waiting: VecDeque<(usize, u64)>,
    view: View,
    latencies: Vec<u64>,
    errors: usize,
}

/// Draws by itself, so that it wants the same of every balancer.
struct Client {
    key: u64,
    rng: fastrand::Rng,
}

struct Endpoint {
    state: Arc<EndpointState>,
    free: u32,
    waiting: VecDeque<usize>,
    picked: u64,
}

struct Request {
    client: usize,
    endpoint: usize,
    asked: u64,
    sent: u64,
    service: u64,
    /// Until the client has its answer or gives up.
    place: Option<Place>,
}

impl<'a> World<'a> {
    fn new(scenario: &'a Scenario, requests_max: u32, seed: u64) -> World<'a> {
        let queue = Arc::new(Queue::default());
        let endpoints: Vec<_> = (0..ENDPOINTS)
            .map(|position| Endpoint::new(position, scenario, &queue, requests_max))
            .collect();
        let clock = Arc::new(Clock::new(&queue));
        let mut world = World {
            scenario,
            now: 0,
            view: view(&endpoints, scenario, &clock),
            clock,
            planned: 0,
            events: BinaryHeap::new(),
            clients: (0..CLIENTS as u64)
                .map(|number| Client::new(number, seed))
                .collect(),
            endpoints,
            requests: Vec::new(),
            waiting: VecDeque::new(),
            latencies: Vec::new(),
            errors: 0,
        };
        (0..CLIENTS).for_each(|client| world.think(client));
        world
    }

    fn plan(&mut self, at: u64, event: Event) {
        self.events.push(Reverse((at, self.planned, event)));
        self.planned += 1;
    }

    fn think(&mut self, client: usize) {
        let time = chance::uniform(&mut self.clients[client].rng, THINK_MEAN);
        self.plan(self.now + time, Event::Ask(client));
    }

    fn ask(&mut self, picker: &Picker, client: usize, asked: u64) {
        match picker.pick(&self.view, self.clients[client].key, &[]) {
            Ok(place) => self.send(client, asked, place),
            Err(PickError::Full) => self.waiting.push_back((client, asked)),
            Err(error) => panic!("every endpoint is eligible: {error:?}"),
        }
    }

    fn send(&mut self, client: usize, asked: u64, place: Place) {
        let is_it = |endpoint: &Endpoint| Arc::ptr_eq(&endpoint.state, place.endpoint());
        let endpoint = self.endpoints.iter().position(is_it).expect("one of them");
        let factor = chance::log_normal(&mut self.clients[client].rng, SERVICE_SIGMA);
        let slowness = f64::from((self.scenario.slowness)(endpoint));
        let request = self.requests.len();
        self.requests.push(Request {
            client,
            endpoint,
            asked,
            sent: self.now,
            service: (SERVICE_MEAN as f64 * factor * slowness) as u64,
            place: Some(place),
        });
        self.plan(self.now + RESPONSE_TIMEOUT, Event::TimedOut(request));
        self.arrive(endpoint, request);
    }

    fn arrive(&mut self, endpoint: usize, request: usize) {
        self.endpoints[endpoint].picked += 1;
        if self.scenario.failing == Some(endpoint) {
            return self.plan(self.now + FAILURE_TIME, Event::Served(request));
        }
        self.endpoints[endpoint].waiting.push_back(request);
        self.serve(endpoint);
    }

    /// Begins with whoever waits at the endpoint for as long as there is room; those who gave up meanwhile are passed over.
    fn serve(&mut self, endpoint: usize) {
        while self.endpoints[endpoint].free > 0 {
            let Some(request) = self.endpoints[endpoint].waiting.pop_front() else {
                return;
            };
            if self.requests[request].place.is_some() {
                self.endpoints[endpoint].free -= 1;
                let end = self.end_of(endpoint, self.requests[request].service);
                self.plan(end, Event::Served(request));
            }
        }
    }

    fn end_of(&self, endpoint: usize, service: u64) -> u64 {
        let end = self.now + service;
        let stalls = self.scenario.stalling == Some(endpoint);
        if stalls && self.now < STALL.end && end > STALL.start {
            return end + STALL.end - self.now.max(STALL.start);
        }
        end
    }

    fn served(&mut self, picker: &Picker, request: usize) {
        let endpoint = self.requests[request].endpoint;
        let failed = self.scenario.failing == Some(endpoint);
        if !failed {
            self.endpoints[endpoint].free += 1;
            self.serve(endpoint);
        }
        self.answer(picker, request, failed);
    }

    fn timed_out(&mut self, picker: &Picker, request: usize) {
        self.answer(picker, request, true);
    }

    /// As [`Cluster::judge`](crate::upstream::Cluster::judge) does it: the latency of a failure counts too.
    fn answer(&mut self, picker: &Picker, request: usize, failed: bool) {
        let request = &mut self.requests[request];
        let Some(place) = request.place.take() else {
            return;
        };
        let latency = Duration::from_micros(self.now - request.sent);
        let measures = &place.endpoint().measures;
        measures.record(Some(latency), failed, self.clock.now());
        self.latencies.push(self.now - request.asked);
        self.errors += usize::from(failed);
        let client = request.client;
        drop(place);
        self.think(client);
        if let Some((client, asked)) = self.waiting.pop_front() {
            self.ask(picker, client, asked);
        }
    }

    fn summary(mut self, scenario: &Scenario) -> Summary {
        self.latencies.sort_unstable();
        let count = self.latencies.len();
        let weighed = self.endpoints.iter().enumerate();
        let shares: Vec<f64> = weighed
            .map(|(position, endpoint)| {
                endpoint.picked as f64 / f64::from((scenario.weight)(position))
            })
            .collect();
        let sum: f64 = shares.iter().sum();
        let squares: f64 = shares.iter().map(|share| share * share).sum();
        let most = shares.iter().copied().fold(0.0, f64::max);
        Summary {
            answered: count,
            p50: self.latencies[count / 2],
            p99: self.latencies[count * 99 / 100],
            errors: self.errors,
            fairness: sum * sum / (ENDPOINTS as f64 * squares),
            peak: most * ENDPOINTS as f64 / sum,
        }
    }
}

impl Client {
    fn new(number: u64, seed: u64) -> Client {
        Client {
            key: xxhash_rust::xxh3::xxh3_64(&number.to_le_bytes()).max(1),
            rng: fastrand::Rng::with_seed(seed << 32 | number),
        }
    }
}

impl Endpoint {
    fn new(position: usize, scenario: &Scenario, queue: &Arc<Queue>, limit: u32) -> Endpoint {
        let address = SocketAddr::from(([10, 0, 0, position as u8], 80));
        Endpoint {
            state: test_endpoint_at(address, queue, limit),
            free: (scenario.weight)(position),
            waiting: VecDeque::new(),
            picked: 0,
        }
    }
}

fn view(endpoints: &[Endpoint], scenario: &Scenario, clock: &Arc<Clock>) -> View {
    let weighed = endpoints.iter().enumerate();
    let weighed =
        weighed.map(|(position, endpoint)| (endpoint.state.clone(), (scenario.weight)(position)));
    let choice = Arc::new(Choice::new(weighed.collect(), true));
    let table = Table {
        choice: choice.clone(),
        clock: clock.clone(),
    };
    View {
        choice,
        table: Arc::new(table),
        ..View::empty()
    }
}

/// The endpoints as the host shows them to balancers, only that the time is ours.
struct Table {
    choice: Arc<Choice>,
    clock: Arc<Clock>,
}

impl EndpointTable for Table {
    fn endpoints(&self) -> &[(String, u32)] {
        self.choice.endpoints()
    }

    fn load(&self, index: u32) -> u32 {
        self.choice.load(index)
    }

    fn measure(&self, index: u32) -> u64 {
        self.choice.measure_at(index, self.clock.now())
    }
}

/// Virtual time.
struct Clock {
    began: Instant,
    micros: AtomicU64,
}

impl Clock {
    /// Measures count time from the first one in the process, which must be before the beginning.
    fn new(queue: &Arc<Queue>) -> Clock {
        let first = test_endpoint_at(SocketAddr::from(([127, 0, 0, 1], 80)), queue, 1);
        first.measures.record(None, false, Instant::now());
        Clock {
            began: Instant::now(),
            micros: AtomicU64::new(0),
        }
    }

    fn set(&self, micros: u64) {
        self.micros.store(micros, Ordering::Relaxed);
    }

    fn now(&self) -> Instant {
        self.began + Duration::from_micros(self.micros.load(Ordering::Relaxed))
    }
}
