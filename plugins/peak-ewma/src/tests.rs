use tollgate_plugin_sdk::measures::Measure;
use tollgate_plugin_sdk::settings::from_text;
use tollgate_plugin_sdk::testing::with_host;

use super::*;

fn measure(latency_millis: u64, failure_share: f64, requests: u32) -> Measure {
    Measure {
        latency: Some(Duration::from_millis(latency_millis)),
        failure_share,
        requests: Some(requests),
    }
}

fn balancer(weights: &[u32]) -> PeakEwma {
    let settings = from_text("{}").expect("all has a default");
    let mut balancer = PeakEwma::new(settings).expect("the defaults are right");
    let endpoints: Vec<_> = weights
        .iter()
        .map(|weight| Endpoint::new("127.0.0.1:1", *weight))
        .collect();
    balancer.update(&endpoints);
    balancer
}

fn pick(balancer: &mut PeakEwma) -> Option<usize> {
    balancer.pick(&Pick { key: 0, loads: &[] })
}

fn shares(weights: &[u32], measures: &[Measure]) -> Vec<usize> {
    with_host(|host| host.measures = measures.to_vec());
    let mut balancer = balancer(weights);
    let mut shares = vec![0; weights.len()];
    for _ in 0..10_000 {
        shares[pick(&mut balancer).expect("one is available")] += 1;
    }
    shares
}

#[test]
fn the_slowest_is_never_picked_nor_is_the_one_that_fails() {
    let healthy = measure(20, 0.0, 0);
    assert_eq!(
        shares(&[1, 1], &[healthy, measure(19, 0.0, 0)]),
        [0, 10_000]
    );
    assert_eq!(
        shares(&[1, 1, 1], &[healthy, healthy, measure(40, 0.0, 0)])[2],
        0
    );
    assert_eq!(
        shares(&[1, 1, 1], &[measure(1, 0.1, 0), healthy, healthy])[0],
        0
    );
}

#[test]
fn the_never_measured_get_one_request_and_then_count_as_thirty_milliseconds() {
    assert_eq!(
        shares(&[1, 1], &[Measure::UNKNOWN, measure(1, 0.0, 0)]),
        [10_000, 0]
    );
    let new = Measure {
        requests: Some(1),
        ..Measure::UNKNOWN
    };
    assert_eq!(shares(&[1, 1], &[new, measure(29, 0.0, 1)]), [0, 10_000]);
    assert_eq!(shares(&[1, 1], &[new, measure(31, 0.0, 1)]), [10_000, 0]);
}

#[test]
fn equals_share_by_chance() {
    let shares = shares(&[1; 4], &[measure(5, 0.0, 3); 4]);
    assert!(
        shares.iter().all(|share| (2300..2700).contains(share)),
        "{shares:?}"
    );
}

/// Requests that stay, at endpoints of equal speed: the weights become visible whatever their scale.
#[test]
fn requests_in_flight_follow_the_weights() {
    for weights in [[1, 2, 5], [100, 200, 500]] {
        let mut measures = [measure(5, 0.0, 0); 3];
        let mut balancer = balancer(&weights);
        for _ in 0..800 {
            with_host(|host| host.measures = measures.to_vec());
            let picked = pick(&mut balancer).expect("all are available");
            measures[picked].requests = measures[picked].requests.map(|requests| requests + 1);
        }
        let held = measures.map(|measure| measure.requests.expect("set above"));
        for (held, expected) in held.into_iter().zip([100_u32, 200, 500]) {
            assert!(held.abs_diff(expected) <= 20, "{held} for {expected}");
        }
    }
}

#[test]
fn twice_as_fast_holds_twice_the_requests() {
    let mut measures = [measure(10, 0.0, 0), measure(20, 0.0, 0)];
    let mut balancer = balancer(&[1, 1]);
    for _ in 0..300 {
        with_host(|host| host.measures = measures.to_vec());
        let picked = pick(&mut balancer).expect("all are available");
        measures[picked].requests = measures[picked].requests.map(|requests| requests + 1);
    }
    assert_eq!(
        measures.map(|measure| measure.requests),
        [Some(200), Some(100)]
    );
}

/// Any measures at all: what is picked is available, and none only when nothing is.
#[test]
fn the_unavailable_are_never_picked() {
    let mut generator = Generator::seeded(11);
    for _ in 0..2000 {
        let count = 1 + generator.below(12) as usize;
        let weights: Vec<u32> = (0..count).map(|_| 1 + generator.below(256)).collect();
        let unavailable_percent = generator.below(101);
        let measures: Vec<_> = (0..count)
            .map(|_| match generator.below(100) < unavailable_percent {
                true => Measure::UNAVAILABLE,
                false => measure(
                    u64::from(generator.below(500)),
                    f64::from(generator.below(101)) / 100.0,
                    generator.below(50),
                ),
            })
            .collect();
        with_host(|host| host.measures = measures.clone());
        match pick(&mut balancer(&weights)) {
            Some(index) => assert!(measures[index].requests.is_some(), "{measures:?}"),
            None => assert!(measures.iter().all(|measure| measure.requests.is_none())),
        }
    }
}

#[test]
fn without_endpoints_nothing_is_picked() {
    assert_eq!(pick(&mut balancer(&[])), None);
}

#[test]
fn a_latency_of_nothing_is_refused() {
    let new = |text| PeakEwma::new(from_text(text).expect("by the schema"));
    let errors = new(r#"{"default-latency":"999ns"}"#)
        .err()
        .expect("less than a step");
    let pointers: Vec<_> = errors.iter().map(|error| error.pointer.as_str()).collect();
    assert_eq!(pointers, ["/default-latency"]);
    assert!(new(r#"{"default-latency":"1us","penalty":"0s"}"#).is_ok());
}
