use tollgate_plugin_sdk::settings::from_text;
use tollgate_plugin_sdk::testing::with_host;

use super::*;

fn balancer(settings: &str, weights: &[u32]) -> Maglev {
    let settings = from_text(settings).expect("by the schema");
    let mut balancer = Maglev::new(settings).expect("right");
    let endpoint =
        |(index, weight): (usize, &u32)| Endpoint::new(&format!("10.0.0.{index}:80"), *weight);
    balancer.update(&weights.iter().enumerate().map(endpoint).collect::<Vec<_>>());
    balancer
}

fn set_loads(loads: &[u32]) {
    with_host(|host| host.loads = loads.to_vec());
}

fn pick(balancer: &mut Maglev, key: u64) -> Option<usize> {
    balancer.pick(&Pick { key, loads: &[] })
}

#[test]
fn equal_keys_go_to_the_same_endpoint() {
    set_loads(&[0; 5]);
    let (mut one, mut other) = (balancer("{}", &[1; 5]), balancer("{}", &[1; 5]));
    let mut generator = Generator::seeded(3);
    for _ in 0..1000 {
        let key = generator.draw();
        let picked = pick(&mut one, key);
        assert!(picked.is_some_and(|index| index < 5));
        assert_eq!(pick(&mut one, key), picked);
        assert_eq!(pick(&mut other, key), picked);
    }
}

/// The host asks again with the same key when it has refused an endpoint, which then reads as unavailable.
#[test]
fn asked_again_another_is_named_until_none_is_left() {
    let mut balancer = balancer("{}", &[1, 2, 3, 4]);
    for key in 1..100 {
        let mut loads = [0; 4];
        for _ in 0..4 {
            set_loads(&loads);
            let index = pick(&mut balancer, key).expect("one is left");
            assert_ne!(loads[index], UNAVAILABLE);
            loads[index] = UNAVAILABLE;
        }
        set_loads(&loads);
        assert_eq!(pick(&mut balancer, key), None);
    }
}

#[test]
fn without_a_key_chance_and_weight_decide() {
    set_loads(&[0, 0, 0]);
    let mut balancer = balancer("{}", &[3, 1, 1]);
    let mut shares = [0; 3];
    for _ in 0..10_000 {
        shares[pick(&mut balancer, 0).expect("all are able")] += 1;
    }
    for (share, expected) in shares.iter().zip([6000, 2000, 2000]) {
        assert!(
            (expected - 200..expected + 200).contains(share),
            "{shares:?}"
        );
    }
}

#[test]
fn the_plan_names_the_key() {
    let plan = |settings| balancer(settings, &[]).plan();
    assert_eq!(
        plan("{}"),
        BalancerPlan::default().key([Field::ClientAddress])
    );
    assert_eq!(
        plan(r#"{"key":{"header":["X-User"],"tag":["tenant"]}}"#),
        BalancerPlan::default().key([
            Field::RequestHeader("x-user".into()),
            Field::Tag("tenant".into())
        ])
    );
}

#[test]
fn wrong_settings_are_refused_at_their_place() {
    let cases = [
        (r#"{"key":{}}"#, "/key"),
        (r#"{"table-size":65536}"#, "/table-size"),
        (r#"{"table-size":241}"#, "/table-size"),
        (r#"{"table-size":131101}"#, "/table-size"),
        (r#"{"key":{"tag":[""]},"table-size":251}"#, "/key/tag/0"),
    ];
    for (text, pointer) in cases {
        let errors = from_text(text)
            .and_then(Maglev::new)
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
    for _ in 0..100 {
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
        for settings in [r#"{"table-size":251}"#, r#"{"table-size":1021}"#] {
            let mut balancer = balancer(settings, &weights);
            for key in [0, 1, generator.draw()] {
                match pick(&mut balancer, key) {
                    Some(index) => assert_ne!(loads[index], UNAVAILABLE),
                    None => assert!(loads.iter().all(|load| *load == UNAVAILABLE)),
                }
            }
        }
    }
}

#[test]
fn without_endpoints_nothing_is_picked() {
    let mut balancer = balancer("{}", &[]);
    assert_eq!(pick(&mut balancer, 0), None);
    assert_eq!(pick(&mut balancer, 1), None);
}
