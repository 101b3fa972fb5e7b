//! The bundled balancers compared: a hundred clients in a closed loop, twenty endpoints, virtual time, a fixed seed.
//!
//! `cargo test -p tollgate --lib simulation -- --nocapture` prints the table; the READMEs of the balancers carry it, and a test keeps them
//! equal (`UPDATE_SNAPSHOTS=1` writes them anew). What is compared is what ships: the embedded components, asked through [`Picker`](super::Picker),
//! which sees real [`EndpointState`](crate::upstream::EndpointState)s. Made up are only the clients and what an endpoint does with a
//! request (`world.rs`) and how good the endpoints are (`scenario.rs`). Arithmetic that could differ from one machine to the next is avoided
//! (`chance.rs`).

mod chance;
mod contenders;
mod report;
mod scenario;
mod world;

use contenders::{BALANCERS, Contender};
use scenario::{SCENARIOS, Scenario};
use std::sync::OnceLock;
use world::Summary;

/// The seed of the published table.
const SEED: u64 = 2025;
/// Of the orderings, which must not be the luck of one seed.
const OTHER_SEED: u64 = 77;

/// What each balancer does in each scenario, both in their order.
type Results = Vec<Vec<Summary>>;

fn published() -> &'static Results {
    static RESULTS: OnceLock<Results> = OnceLock::new();
    RESULTS.get_or_init(|| {
        let of = |balancer| SCENARIOS.iter().map(|s| run(balancer, s, SEED)).collect();
        BALANCERS.iter().map(of).collect()
    })
}

fn run(balancer: &Contender, scenario: &Scenario, seed: u64) -> Summary {
    // Instances take their randomness from the generator of the thread that starts them.
    fastrand::seed(seed);
    world::run(
        &balancer.picker(scenario.name),
        balancer.requests_max,
        scenario,
        seed,
    )
}

/// The published figures where the seed is theirs.
fn figures(balancer: &str, scenario: &str, seed: u64) -> Summary {
    if seed != SEED {
        return figures_anew(balancer, scenario, seed);
    }
    let row = BALANCERS.iter().position(|known| known.name == balancer);
    let column = SCENARIOS.iter().position(|known| known.name == scenario);
    let (row, column) = row.zip(column).expect("both are of the table");
    published()[row][column].clone()
}

fn figures_anew(balancer: &str, scenario: &str, seed: u64) -> Summary {
    run(contenders::find(balancer), scenario::find(scenario), seed)
}

#[test]
fn the_readmes_carry_the_table_of_this_simulation() {
    let results = published();
    report::print(results);
    report::check_readmes(results);
}

#[test]
fn the_same_seed_gives_the_same_figures_and_another_seed_others() {
    for balancer in ["random", "peak-ewma", "maglev"] {
        let once = figures(balancer, "failing", SEED);
        assert_eq!(once, figures_anew(balancer, "failing", SEED), "{balancer}");
        assert_ne!(
            once,
            figures_anew(balancer, "failing", OTHER_SEED),
            "{balancer}"
        );
    }
}

#[test]
fn balancers_that_see_load_or_latency_keep_the_tail_short_where_endpoints_are_slow() {
    for seed in [SEED, OTHER_SEED] {
        let blind = figures("round-robin", "slow", seed).p99;
        for balancer in ["least-request", "random", "peak-ewma"] {
            let seeing = figures(balancer, "slow", seed).p99;
            assert!(seeing * 2 < blind, "{balancer}: {seeing} of {blind}");
        }
        let latency = figures("peak-ewma", "slow", seed).p99;
        let load = figures("random", "slow", seed).p99;
        assert!(latency < load, "of the same two draws: {latency}, {load}");
    }
}

#[test]
fn an_endpoint_that_fails_fast_gets_least_where_failures_are_charged() {
    for seed in [SEED, OTHER_SEED] {
        let errors = |balancer| figures(balancer, "failing", seed).errors;
        let charged = errors("peak-ewma");
        assert!(charged * 4 < errors("round-robin"), "{charged}");
        assert!(charged * 4 < errors("least-request"), "{charged}");
        assert!(
            charged * 4 < errors("peak-ewma without penalty"),
            "{charged}"
        );
        assert!(errors("least-request") >= errors("round-robin"));
    }
}

#[test]
fn an_endpoint_that_stalls_costs_least_where_it_is_noticed() {
    for seed in [SEED, OTHER_SEED] {
        let errors = |balancer| figures(balancer, "stalling", seed).errors;
        let blind = errors("round-robin");
        for balancer in ["least-request", "random", "peak-ewma"] {
            assert!(errors(balancer) < blind, "{balancer}");
        }
    }
}

#[test]
fn nobody_is_fairer_than_round_robin_and_first_aims_at_the_opposite() {
    for scenario in ["equal", "weighted"] {
        let fairness = |balancer| figures(balancer, scenario, SEED).fairness;
        let (most, least) = (fairness("round-robin"), fairness("first"));
        assert!(most > 0.9999, "{scenario}: {most}");
        for balancer in BALANCERS.iter().filter(|balancer| balancer.name != "first") {
            let found = fairness(balancer.name);
            assert!(
                least < found && found <= most,
                "{scenario}, {}: {found}",
                balancer.name
            );
        }
    }
}

#[test]
fn bounded_loads_keep_popular_endpoints_of_a_ring_from_queues() {
    for seed in [SEED, OTHER_SEED] {
        let [free, bounded] =
            ["ring-hash", "ring-hash, load-factor 125"].map(|b| figures(b, "equal", seed));
        assert!(
            bounded.p99 < free.p99 && bounded.peak < free.peak,
            "{bounded:?}, {free:?}"
        );
    }
}

#[test]
fn every_balancer_answers_every_request_while_nothing_is_wrong() {
    for (balancer, results) in BALANCERS.iter().zip(published()) {
        let equal = &results[0];
        assert!(
            equal.answered > 3_000 && equal.errors == 0,
            "{}: {equal:?}",
            balancer.name
        );
    }
}
