//! The table, on the terminal and in the READMEs of the balancers.

use super::Results;
use super::contenders::BALANCERS;
use super::scenario::{CLIENTS, DURATION, ENDPOINTS, SCENARIOS, Scenario};
use super::world::Summary;
use std::fmt::Write;
use std::path::{Path, PathBuf};

const BEGIN: &str = "<!-- simulation -->\n";
const END: &str = "<!-- end of simulation -->\n";

pub(super) fn print(results: &Results) {
    #[expect(
        clippy::print_stdout,
        reason = "seen when it is asked for, with --nocapture"
    )]
    {
        println!("{}", block("", results));
    }
}

/// Fails unless the README of each balancer has the table between its marks; writes it there if `UPDATE_SNAPSHOTS` is set.
/// Elsewhere than on Linux nothing is compared: the moving averages of `peak-ewma` take an exponential whose last digit is the platform's.
pub(super) fn check_readmes(results: &Results) {
    let update = std::env::var_os("UPDATE_SNAPSHOTS").is_some();
    let mut plugins: Vec<_> = BALANCERS.iter().map(|balancer| balancer.plugin).collect();
    plugins.dedup();
    for plugin in plugins {
        let path = readme(plugin);
        let text = std::fs::read_to_string(&path).expect("each plugin has a README");
        let (before, rest) = text.split_once(BEGIN).expect("the mark where it begins");
        let (found, after) = rest.split_once(END).expect("the mark where it ends");
        let expected = block(plugin, results);
        if update {
            let text = [before, BEGIN, &expected, END, after].concat();
            std::fs::write(&path, text).expect("a writable README");
        } else if cfg!(target_os = "linux") {
            assert_eq!(
                found, expected,
                "{plugin}: UPDATE_SNAPSHOTS=1 writes it anew"
            );
        }
    }
}

fn readme(plugin: &str) -> PathBuf {
    let plugins = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins");
    plugins.join(plugin).join("README.md")
}

/// With the rows of `plugin` in bold.
fn block(plugin: &str, results: &Results) -> String {
    let mut text = introduction();
    for (balancer, results) in BALANCERS.iter().zip(results) {
        let name = match balancer.plugin == plugin {
            true => format!("**{}**", balancer.name),
            false => balancer.name.to_owned(),
        };
        writeln!(text, "| {name} | {} |", row(results)).expect("a string takes everything");
    }
    text
}

fn introduction() -> String {
    let clusters: String = SCENARIOS
        .iter()
        .map(|scenario| format!("- *{}*: {}\n", scenario.name, scenario.text))
        .collect();
    let heads: Vec<String> = SCENARIOS
        .iter()
        .map(|scenario| format!("{}: {}", scenario.name, columns(scenario.name)))
        .collect();
    format!(
        "A simulation with the components that ship: {CLIENTS} clients, {ENDPOINTS} endpoints, {} s of virtual time. Service takes 20 ms on average (log-normal,\n\
         σ 0.6), a client thinks for 80 ms, a response may take 1 s. The keys are the clients; `first` has `requests-max=4`. Times are the median\n\
         and the 99th percentile in milliseconds; errors are those among 1,000 requests; fairness is Jain's index of the requests for each\n\
         weight, 100 when all endpoints get alike. The clusters:\n\n\
         {clusters}\n| balancer | {} |\n|{}\n",
        DURATION / 1_000_000,
        heads.join(" | "),
        " --- |".repeat(1 + SCENARIOS.len()),
    )
}

/// What is worth seeing of a scenario.
fn columns(scenario: &str) -> &'static str {
    match scenario {
        "equal" | "weighted" => "times, fairness",
        "slow" | "stalling" => "times, errors",
        _ => "errors",
    }
}

fn row(results: &[Summary]) -> String {
    let cell = |(scenario, summary): (&Scenario, &Summary)| {
        let times = format!("{} / {}", millis(summary.p50), millis(summary.p99));
        let errors = format!(
            "{:.1}",
            1_000.0 * summary.errors as f64 / summary.answered as f64
        );
        let fairness = format!("{:.0}", 100.0 * summary.fairness);
        match scenario.name {
            "equal" | "weighted" => format!("{times}, {fairness}"),
            "slow" | "stalling" => format!("{times}, {errors}"),
            _ => errors,
        }
    };
    let cells: Vec<String> = SCENARIOS.iter().zip(results).map(cell).collect();
    cells.join(" | ")
}

fn millis(micros: u64) -> u64 {
    (micros + 500) / 1_000
}
