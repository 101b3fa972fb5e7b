use super::super::live::test_endpoint;
use super::*;
use futures_util::FutureExt;
use std::sync::atomic::AtomicU32;

const ANY: Wish<'static> = Wish {
    class: 0,
    bound: None,
    tried: &[],
};

fn of_class(class: i16) -> Wish<'static> {
    Wish { class, ..ANY }
}

fn bound_to(endpoint: &EndpointState) -> Wish<'static> {
    Wish {
        bound: Some(endpoint.id()),
        ..ANY
    }
}

fn join(queue: &Arc<Queue>, wish: Wish<'_>) -> Waiter {
    queue
        .join(wish, usize::MAX, usize::MAX)
        .expect("there is no limit")
}

/// The waiter's place, if it has one by now.
fn served(waiter: &mut Waiter) -> Option<Place> {
    waiter.now_or_never().flatten()
}

#[test]
fn a_place_goes_to_the_lowest_class_then_to_who_came_first() {
    let queue = Arc::new(Queue::default());
    let endpoint = test_endpoint(&queue, 1);
    let mut place = endpoint.enter();
    let mut waiters: Vec<_> = [0, 5, 0, -3, 5, -3]
        .map(|class| join(&queue, of_class(class)))
        .into_iter()
        .map(Some)
        .collect();
    let mut order = Vec::new();
    while order.len() < waiters.len() {
        drop(place.take());
        let position = (0..waiters.len())
            .find(|&position| {
                let waiter = waiters[position].as_mut();
                place = waiter.and_then(served);
                place.is_some()
            })
            .expect("a place that is free goes to somebody");
        waiters[position] = None;
        order.push(position);
    }
    assert_eq!(order, [3, 5, 0, 2, 1, 4]);
    drop(place);
    assert!(queue.is_empty() && endpoint.in_flight() == 0);
}

#[test]
fn an_endpoint_serves_who_came_first_of_its_own_queue_and_the_clusters() {
    let queue = Arc::new(Queue::default());
    let (one, other) = (test_endpoint(&queue, 1), test_endpoint(&queue, 1));
    let (held, _other_held) = (one.enter(), other.enter());
    let mut bound_elsewhere = join(&queue, bound_to(&other));
    let mut any = join(&queue, ANY);
    let mut bound = join(&queue, bound_to(&one));
    assert_eq!((one.waiting(), other.waiting(), queue.len()), (1, 1, 3));
    drop(held);
    let place = served(&mut any).expect("it came first");
    assert!(served(&mut bound).is_none());
    drop(place);
    assert!(served(&mut bound).is_some());
    assert!(served(&mut bound_elsewhere).is_none());
}

#[test]
fn a_closed_endpoint_serves_its_own_queue_only() {
    let queue = Arc::new(Queue::default());
    let endpoint = test_endpoint(&queue, 1);
    let held = endpoint.enter();
    let mut any = join(&queue, of_class(-1));
    let mut bound = join(&queue, bound_to(&endpoint));
    endpoint.set_open(false);
    drop(held);
    assert!(served(&mut any).is_none());
    assert!(served(&mut bound).is_some());
}

#[test]
fn who_has_tried_an_endpoint_is_passed_over_there() {
    let queue = Arc::new(Queue::default());
    let endpoint = test_endpoint(&queue, 1);
    let held = endpoint.enter();
    let tried = [endpoint.id()];
    let mut choosy = join(
        &queue,
        Wish {
            tried: &tried,
            ..ANY
        },
    );
    let mut other = join(&queue, ANY);
    drop(held);
    assert!(served(&mut choosy).is_none());
    assert!(served(&mut other).is_some());
}

#[test]
fn who_leaves_is_out_of_the_queue_and_gives_back_what_was_on_its_way() {
    let queue = Arc::new(Queue::default());
    let endpoint = test_endpoint(&queue, 1);
    let held = endpoint.enter();
    let (first, mut second) = (join(&queue, ANY), join(&queue, ANY));
    drop(first);
    assert_eq!(queue.len(), 1);
    let third = join(&queue, of_class(-1));
    drop(held);
    // The place is in the channel of the third; it goes on to the second.
    assert_eq!((queue.len(), endpoint.in_flight()), (1, 1));
    drop(third);
    assert!(served(&mut second).is_some());
    drop(second);
    assert_eq!((queue.len(), endpoint.in_flight()), (0, 0));
}

#[test]
fn a_queue_takes_so_many_and_not_one_more() {
    let queue = Arc::new(Queue::default());
    let endpoint = test_endpoint(&queue, 1);
    let _held = endpoint.enter();
    let bound = bound_to(&endpoint);
    assert_eq!(queue.join(ANY, 0, 9).err(), Some(QueueFull));
    assert_eq!(queue.join(bound, 9, 0).err(), Some(QueueFull));
    let _first = queue.join(bound, 2, 1).expect("the first");
    assert_eq!(queue.join(bound, 2, 1).err(), Some(QueueFull));
    let _second = queue.join(ANY, 2, 1).expect("the second");
    assert_eq!(queue.join(ANY, 2, 1).err(), Some(QueueFull));
    assert_eq!((queue.len(), endpoint.waiting()), (2, 1));
}

#[test]
fn a_dissolved_queue_sends_everybody_away() {
    let queue = Arc::new(Queue::default());
    let endpoint = test_endpoint(&queue, 1);
    let _held = endpoint.enter();
    let bound = join(&queue, bound_to(&endpoint));
    let any = join(&queue, ANY);
    queue.dissolve(endpoint.id());
    assert!(matches!(bound.now_or_never(), Some(None)));
    assert_eq!(queue.len(), 1);
    drop(any);
    assert!(queue.is_empty());
}

/// What the queue should do, said in the plainest way: a list in order of arrival.
#[derive(Default)]
struct Model {
    waiting: Vec<(i16, u64, Option<usize>)>,
    busy: [u32; 3],
}

impl Model {
    /// Who gets a place that is free at `endpoint`, by order of arrival.
    fn next(&mut self, endpoint: usize, limit: u32) -> Option<u64> {
        if self.busy[endpoint] >= limit {
            return None;
        }
        let may = |(_, _, bound): &&(i16, u64, Option<usize>)| {
            bound.is_none_or(|bound| bound == endpoint)
        };
        let best = self
            .waiting
            .iter()
            .filter(may)
            .min_by_key(|(class, number, _)| (*class, *number));
        let number = best?.1;
        self.waiting.retain(|(_, other, _)| *other != number);
        self.busy[endpoint] += 1;
        Some(number)
    }
}

/// Random arrivals, departures and ends, compared with the model after each step: the same places to the same people, nobody forgotten while
/// there is room.
#[test]
fn it_does_what_the_model_does() {
    for seed in 0..200 {
        let mut random = fastrand::Rng::with_seed(seed);
        let limit = random.u32(1..4);
        let queue = Arc::new(Queue::default());
        let endpoints: Vec<_> = (0..3).map(|_| test_endpoint(&queue, limit)).collect();
        let mut model = Model::default();
        let mut waiters: Vec<(u64, Waiter)> = Vec::new();
        let mut places: Vec<(usize, Place)> = Vec::new();
        for number in 0..300_u64 {
            match random.u32(..10) {
                0..5 => {
                    let class = random.i16(-2..3);
                    let bound = random.bool().then(|| random.usize(..3));
                    let wish = Wish {
                        class,
                        bound: bound.map(|position| endpoints[position].id()),
                        tried: &[],
                    };
                    waiters.push((number, join(&queue, wish)));
                    model.waiting.push((class, number, bound));
                    endpoints.iter().for_each(|endpoint| queue.serve(endpoint));
                }
                5..8 if !places.is_empty() => {
                    let (endpoint, place) = places.swap_remove(random.usize(..places.len()));
                    model.busy[endpoint] -= 1;
                    drop(place);
                }
                8 if !waiters.is_empty() => {
                    let (gone, waiter) = waiters.swap_remove(random.usize(..waiters.len()));
                    model.waiting.retain(|(_, number, _)| *number != gone);
                    drop(waiter);
                }
                _ => {}
            }
            let mut expected: Vec<(u64, usize)> = Vec::new();
            for endpoint in 0..3 {
                while let Some(number) = model.next(endpoint, limit) {
                    expected.push((number, endpoint));
                }
            }
            let mut found = Vec::new();
            waiters.retain_mut(|(number, waiter)| match served(waiter) {
                Some(place) => {
                    let is =
                        |endpoint: &Arc<EndpointState>| Arc::ptr_eq(endpoint, place.endpoint());
                    let position = endpoints.iter().position(is).expect("one of them");
                    found.push((*number, position));
                    places.push((position, place));
                    false
                }
                None => true,
            });
            expected.sort_unstable();
            found.sort_unstable();
            assert_eq!(found, expected, "seed {seed}, step {number}");
            assert_eq!(queue.len(), model.waiting.len());
            for (endpoint, busy) in endpoints.iter().zip(model.busy) {
                assert_eq!(endpoint.in_flight(), busy);
            }
        }
        drop(places);
        drop(waiters);
        assert!(queue.is_empty());
        assert!(endpoints.iter().all(|endpoint| endpoint.in_flight() == 0));
    }
}

/// Many threads enter, wait and leave at one endpoint: each one is served, and the limit holds.
#[test]
fn nobody_waits_in_vain_across_threads() {
    let queue = Arc::new(Queue::default());
    let endpoint = test_endpoint(&queue, 2);
    let (highest, waited) = (AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_time()
                    .build()
                    .expect("a runtime");
                runtime.block_on(async {
                    for round in 0..2_000 {
                        let place = match endpoint.enter() {
                            Some(place) if !queue.has_unbound() => place,
                            entered => {
                                drop(entered);
                                let waiter = join(&queue, of_class(round % 3));
                                queue.serve(&endpoint);
                                waited.fetch_add(1, Ordering::Relaxed);
                                let patience = std::time::Duration::from_secs(60);
                                tokio::time::timeout(patience, waiter)
                                    .await
                                    .expect("no wake-up is lost")
                                    .expect("the endpoint stays")
                            }
                        };
                        highest.fetch_max(endpoint.in_flight(), Ordering::Relaxed);
                        std::thread::yield_now();
                        drop(place);
                    }
                });
            });
        }
    });
    assert!(highest.into_inner() <= 2);
    assert!(waited.into_inner() > 0, "the test was about waiting");
    assert!(queue.is_empty());
    assert_eq!(endpoint.in_flight(), 0);
}
