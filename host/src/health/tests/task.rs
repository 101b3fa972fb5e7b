//! When checks happen, on a paused clock and with probes that take as long as a script says.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::time::{Instant, sleep};

use super::super::pace::{first_wait, wait};
use super::super::task::{Probing, run};
use super::super::{Check, Failure, Pace, Passed, Subject, Target, Transport, spawn};
use super::{listen, local, settings, target};
use crate::config::{HealthCheck, Percent, Probe};

/// Probe number `n` takes `takes[n]` milliseconds; beyond the script, none.
struct Slow {
    takes: Vec<u64>,
    starts: Mutex<Vec<Instant>>,
}

impl Probing for Slow {
    fn probe(&self, _: &Target) -> impl Future<Output = Result<Passed, Failure>> {
        let mut starts = self.starts.lock().expect("no test panics here");
        let took = self.takes.get(starts.len()).copied().unwrap_or_default();
        starts.push(Instant::now());
        async move {
            sleep(Duration::from_millis(took)).await;
            Err(Failure::Refused)
        }
    }
}

/// Says each pace once, then [`Pace::Stop`].
struct Script {
    target: Target,
    paces: Vec<Pace>,
    reports: Mutex<Vec<Result<Passed, Failure>>>,
}

impl Script {
    fn new(target: Target, paces: &[Pace]) -> Script {
        Script {
            target,
            paces: paces.to_vec(),
            reports: Mutex::default(),
        }
    }
}

impl Subject for Script {
    fn target(&self) -> Target {
        self.target.clone()
    }

    fn report(&self, result: &Result<Passed, Failure>) -> Pace {
        let mut reports = self.reports.lock().expect("no test panics here");
        reports.push(result.clone());
        let next = self.paces.get(reports.len() - 1);
        next.copied().unwrap_or(Pace::Stop)
    }
}

fn nowhere() -> Target {
    target(([127, 0, 0, 1], 1).into(), "localhost:1")
}

/// The starts of the checks, in milliseconds since the task began.
async fn starts(
    settings: HealthCheck,
    stagger: (usize, usize),
    paces: &[Pace],
    takes: &[u64],
) -> Vec<u128> {
    let slow = Slow {
        takes: takes.to_vec(),
        starts: Mutex::default(),
    };
    let script = Script::new(nowhere(), paces);
    let begun = Instant::now();
    run(
        &slow,
        &settings,
        &script,
        stagger,
        fastrand::Rng::with_seed(5),
    )
    .await;
    let starts = slow.starts.into_inner().expect("no test panics here");
    starts
        .iter()
        .map(|start| start.duration_since(begun).as_millis())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn each_pace_has_its_interval_and_stop_ends_the_task() {
    let paces = [Pace::Stable, Pace::Changing, Pace::Down];
    let found = starts(settings(Probe::Tcp), (0, 1), &paces, &[]).await;
    assert_eq!(found, [0, 10_000, 11_000, 71_000]);
}

#[tokio::test(start_paused = true)]
async fn intervals_count_from_the_start_of_a_check_and_a_slow_one_delays_the_next() {
    let paces = [Pace::Changing; 4];
    let found = starts(settings(Probe::Tcp), (0, 1), &paces, &[400, 1000, 2500, 0]).await;
    assert_eq!(found, [0, 1000, 2000, 4500, 5500]);
}

#[tokio::test(start_paused = true)]
async fn the_first_checks_of_a_cluster_spread_over_the_changing_interval() {
    let mut found = Vec::new();
    for position in 0..4 {
        found.extend(starts(settings(Probe::Tcp), (position, 4), &[], &[]).await);
    }
    assert_eq!(found, [0, 250, 500, 750]);
}

#[tokio::test(start_paused = true)]
async fn jitter_is_drawn_anew_for_each_check() {
    let settings = HealthCheck {
        jitter: Percent(2000),
        ..settings(Probe::Tcp)
    };
    let found = starts(settings, (0, 1), &[Pace::Changing; 200], &[]).await;
    let waits: Vec<u128> = found.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // A wait ends at a whole millisecond, so it may look one longer or shorter.
    assert!(
        waits.iter().all(|wait| (799..=1201).contains(wait)),
        "{waits:?}"
    );
    // Evenly drawn, each fifth of the span has some 40 of 200.
    for fifth in 0..5 {
        let from = 800 + 80 * fifth;
        let within = waits.iter().filter(|w| (from..from + 80).contains(*w));
        assert!(within.count() > 15, "{from}: {waits:?}");
    }
}

#[test]
fn the_wait_is_the_interval_more_or_less_the_jitter() {
    let cases = [
        (0, 0.0, 10_000.0),
        (0, 1.0, 10_000.0),
        (2500, 0.0, 7_500.0),
        (2500, 0.5, 10_000.0),
        (2500, 1.0, 12_500.0),
        // All of it taken off: not a loop without a pause.
        (10_000, 0.0, 1.0),
        (20_000, 0.0, 1.0),
    ];
    for (jitter, chance, expected) in cases {
        let settings = HealthCheck {
            jitter: Percent(jitter),
            ..settings(Probe::Tcp)
        };
        let found = wait(&settings, Pace::Stable, chance).map(|wait| wait.as_secs_f64() * 1e3);
        assert_eq!(found, Some(expected), "{jitter} {chance}");
    }
}

#[test]
fn extreme_intervals_and_positions_do_not_panic() {
    let settings = HealthCheck {
        interval: Duration::MAX,
        interval_changing: Duration::MAX,
        jitter: Percent(u32::MAX),
        ..settings(Probe::Tcp)
    };
    assert_eq!(wait(&settings, Pace::Stable, 1.0), Some(Duration::MAX));
    assert_eq!(first_wait(&settings, (0, 0)), Duration::ZERO);
    assert_eq!(first_wait(&settings, (7, 7)), Duration::ZERO);
}

#[tokio::test]
async fn a_spawned_check_reports_and_stops() {
    let (listener, target) = listen().await;
    let check = Arc::new(Check::new(settings(Probe::Tcp), Transport::default()).expect("sound"));
    let script = Arc::new(Script::new(target, &[]));
    local(async {
        let task = spawn(check, script.clone(), (0, 1));
        let (mut stream, _) = listener.accept().await.expect("the check connects");
        let end = stream.read_to_end(&mut Vec::new()).await;
        assert_eq!(end.ok(), Some(0));
        drop(stream);
        while !task.is_finished() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let reports = script.reports.lock().expect("no test panics here");
    let details = reports
        .iter()
        .map(|r| r.as_ref().map(|p| p.detail.as_str()));
    assert_eq!(details.collect::<Vec<_>>(), [Ok("connected")]);
}

#[tokio::test]
async fn dropping_the_handle_closes_the_connection_and_reports_nothing() {
    let (listener, target) = listen().await;
    let probe = Probe::Http(super::http_probe());
    let check = Arc::new(Check::new(settings(probe), Transport::default()).expect("sound"));
    let script = Arc::new(Script::new(target, &[]));
    local(async {
        let task = spawn(check, script.clone(), (0, 1));
        let (mut stream, _) = listener.accept().await.expect("the check connects");
        drop(task);
        let _ = stream.read_to_end(&mut Vec::new()).await;
        assert_eq!(Arc::strong_count(&script), 1, "the task is gone");
    })
    .await;
    let reports = script.reports.lock().expect("no test panics here");
    assert!(reports.is_empty());
}
