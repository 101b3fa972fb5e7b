use tollgate_plugin_sdk::settings::from_text;
use tollgate_plugin_sdk::testing::with_host;

use super::*;

fn balancer(settings: &str, weights: &[u32]) -> RingHash {
    let settings = from_text(settings).expect("by the schema");
    let mut balancer = RingHash::new(settings).expect("right");
    let endpoint =
        |(index, weight): (usize, &u32)| Endpoint::new(&format!("10.0.0.{index}:80"), *weight);
    balancer.update(&weights.iter().enumerate().map(endpoint).collect::<Vec<_>>());
    balancer
}

fn set_loads(loads: &[u32]) {
    with_host(|host| host.loads = loads.to_vec());
}

#[test]
fn equal_keys_go_to_the_same_endpoint() {
    set_loads(&[0; 5]);
    let mut balancer = balancer("{}", &[1; 5]);
    let mut generator = Generator::seeded(3);
    for _ in 0..1000 {
        let pick = Pick {
            key: generator.draw(),
            loads: &[],
        };
        let picked = balancer.pick(&pick);
        assert!(picked.is_some_and(|index| index < 5));
        assert_eq!(balancer.pick(&pick), picked);
    }
}

/// The host asks again with the same key when it has refused an endpoint, which then reads as unavailable.
#[test]
fn asked_again_the_next_along_the_ring_is_named() {
    let mut balancer = balancer("{}", &[1; 6]);
    for key in (1..100).map(|step: u64| step << 57) {
        let (mut loads, mut named) = (vec![0; 6], Vec::new());
        for _ in 0..6 {
            set_loads(&loads);
            let index = balancer
                .pick(&Pick { key, loads: &[] })
                .expect("one is left");
            loads[index] = UNAVAILABLE;
            named.push(index);
        }
        set_loads(&loads);
        assert_eq!(balancer.pick(&Pick { key, loads: &[] }), None);
        named.sort_unstable();
        assert_eq!(named, [0, 1, 2, 3, 4, 5]);
    }
}

#[test]
fn without_a_key_chance_and_weight_decide() {
    set_loads(&[0, 0, UNAVAILABLE]);
    let mut balancer = balancer("{}", &[3, 1, 2]);
    let mut shares = [0; 3];
    for _ in 0..10_000 {
        shares[balancer
            .pick(&Pick { key: 0, loads: &[] })
            .expect("two are able")] += 1;
    }
    assert_eq!(shares[2], 0);
    assert!(shares[0] > 2 * shares[1] && shares[1] > 1500, "{shares:?}");
}

/// Requests that stay, most of them with one key.
#[test]
fn bounded_loads_are_never_exceeded() {
    for (factor, weights) in [
        (101, vec![1; 8]),
        (125, vec![1, 2, 4, 8]),
        (200, vec![100, 37, 100]),
    ] {
        let mut balancer = balancer(&format!(r#"{{"load-factor":{factor}}}"#), &weights);
        let all: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
        let (mut loads, mut generator) = (vec![0; weights.len()], Generator::seeded(5));
        for held in 1..=2000_u64 {
            let key = match generator.below(3) {
                0 => generator.draw(),
                _ => 7 << 60,
            };
            let index = balancer
                .pick(&Pick { key, loads: &loads })
                .expect("all are able");
            loads[index] += 1;
            let cap = (factor * held * u64::from(weights[index])).div_ceil(100 * all);
            assert!(
                u64::from(loads[index]) <= cap,
                "{loads:?} at {index}, at most {cap}"
            );
        }
    }
}

#[test]
fn a_bound_leaves_keys_at_home_while_loads_are_even() {
    set_loads(&[5; 4]);
    let mut bounded = balancer(r#"{"load-factor":150}"#, &[1; 4]);
    let mut unbounded = balancer("{}", &[1; 4]);
    for key in (1..200).map(|step: u64| step << 56) {
        let picked = bounded.pick(&Pick {
            key,
            loads: &[5; 4],
        });
        assert_eq!(picked, unbounded.pick(&Pick { key, loads: &[] }));
    }
}

#[test]
fn the_plan_names_the_key_and_asks_for_loads_only_with_a_bound() {
    let plan = |settings| balancer(settings, &[]).plan();
    let by_source = BalancerPlan::default().key([Field::ClientAddress]);
    assert_eq!(plan("{}"), by_source);
    assert_eq!(plan(r#"{"load-factor":125}"#), by_source.loads());
    assert_eq!(
        plan(r#"{"key":{"fact":["host","path"],"header":["X-User"]}}"#),
        BalancerPlan::default().key([
            Field::Host,
            Field::Path,
            Field::RequestHeader("x-user".into())
        ])
    );
}

#[test]
fn wrong_settings_are_refused_at_their_place() {
    let cases = [
        (r#"{"key":{}}"#, "/key"),
        (r#"{"key":{"header":["a b"]}}"#, "/key/header/0"),
        (r#"{"positions":15}"#, "/positions"),
        (r#"{"positions":4097}"#, "/positions"),
        (r#"{"load-factor":100}"#, "/load-factor"),
        (r#"{"load-factor":1001}"#, "/load-factor"),
    ];
    for (text, pointer) in cases {
        let errors = from_text(text)
            .and_then(RingHash::new)
            .err()
            .expect("refused");
        let found: Vec<_> = errors.iter().map(|error| error.pointer.as_str()).collect();
        assert_eq!(found, [pointer], "{text}");
    }
}

/// Any endpoints, weights, loads and keys: what is picked can take the request, and none only when none can.
#[test]
fn the_unavailable_are_never_picked() {
    let mut generator = Generator::seeded(13);
    for _ in 0..300 {
        let count = 1 + generator.below(12) as usize;
        let weights: Vec<u32> = (0..count).map(|_| 1 + generator.below(25_600)).collect();
        let unavailable_percent = generator.below(101);
        let loads: Vec<u32> = (0..count)
            .map(|_| match generator.below(100) < unavailable_percent {
                true => UNAVAILABLE,
                false => generator.below(50),
            })
            .collect();
        set_loads(&loads);
        for settings in ["{}", r#"{"load-factor":101}"#, r#"{"positions":16}"#] {
            let mut balancer = balancer(settings, &weights);
            for key in [0, 1, generator.draw()] {
                match balancer.pick(&Pick { key, loads: &loads }) {
                    Some(index) => assert_ne!(loads[index], UNAVAILABLE),
                    None => assert!(loads.iter().all(|load| *load == UNAVAILABLE)),
                }
            }
        }
    }
}

#[test]
fn without_endpoints_nothing_is_picked() {
    set_loads(&[]);
    for settings in ["{}", r#"{"load-factor":125}"#] {
        for key in [0, 1] {
            assert_eq!(
                balancer(settings, &[]).pick(&Pick { key, loads: &[] }),
                None
            );
        }
    }
}
