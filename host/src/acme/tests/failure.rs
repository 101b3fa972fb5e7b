//! What happens when there is no certificate to be had.

use std::sync::Arc;
use std::time::Duration;

use super::authority::{Authority, Refusal};
use super::fixture::{Clock, DAY, HOUR, MINUTE, REFUSED, SOON, Site, certificate};
use crate::acme::http_challenge;
use crate::acme::storage::Failures;
use crate::config::AcmeChallenge;

/// An authority that finds no proof good.
fn deaf() -> (Site, Authority, Clock) {
    let (site, _, clock) = Site::in_memory(&["a.example", "b.example"]);
    let refuses = |_: &_| Err("connection refused".to_owned());
    let authority = Authority::new("http://127.0.0.1:1", refuses, move || clock.now());
    (site, authority, clock)
}

fn failures(site: &Site) -> Failures {
    site.record().failures.expect("failures")
}

#[tokio::test(start_paused = true)]
async fn a_failed_order_is_tried_again_ever_more_rarely() {
    let (site, authority, clock) = deaf();
    let _running = site.run(&authority, clock);
    let waits = [1, 2, 4, 8, 16, 32, 64, 128, 256, 360, 360];
    // An order fails after the first look, and the wait begins then.
    let (second, order) = (Duration::from_secs(1), Duration::from_millis(250));
    tokio::time::sleep(second).await;
    for (number, minutes) in waits.into_iter().enumerate() {
        assert_eq!(authority.ordered().len(), number + 1);
        assert_eq!(failures(&site).count as usize, number + 1);
        tokio::time::sleep(minutes * MINUTE - second).await;
        assert_eq!(authority.ordered().len(), number + 1, "{minutes} min");
        tokio::time::sleep(order + second).await;
        assert_eq!(authority.ordered().len(), number + 2, "{minutes} min");
    }
    assert_eq!(site.recorder.count(), 0);
    assert_eq!(authority.contacts().len(), 1, "the account is kept");
}

#[tokio::test(start_paused = true)]
async fn what_failed_is_forgotten_after_a_success() {
    let (site, authority, clock) = Site::in_memory(&["a.example"]);
    for _ in 0..3 {
        authority.refuse_once(
            "/new-order",
            Refusal::problem(500, "serverInternal", "busy"),
        );
    }
    let _running = site.run(&authority, clock);
    site.recorder.installed(1).await;
    assert_eq!(authority.count("POST /new-order"), 4);
    assert_eq!(site.record().failures, None);
    authority.refuse_once(
        "/new-order",
        Refusal::problem(500, "serverInternal", "busy"),
    );
    tokio::time::sleep(60 * DAY - HOUR).await;
    assert_eq!(site.record().failures, None);
    tokio::time::sleep(HOUR + SOON).await;
    assert_eq!(failures(&site).count, 1);
    tokio::time::sleep(MINUTE).await;
    assert_eq!(site.recorder.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_authority_may_ask_for_a_longer_wait_of_up_to_a_day() {
    for (asked, expected) in [(30, 60), (7200, 7200), (10_000_000, 24 * 3600)] {
        let (site, authority, clock) = Site::in_memory(&["a.example"]);
        authority.refuse_once("/new-order", Refusal::rate_limited(asked));
        let _running = site.run(&authority, clock);
        tokio::time::sleep(Duration::from_secs(expected - 1)).await;
        assert_eq!(authority.count("POST /new-order"), 1, "{asked}");
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(authority.count("POST /new-order"), 2, "{asked}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_goes_on_over_a_restart_but_is_cut() {
    let (site, authority, clock) = deaf();
    let running = site.run(&authority, clock);
    tokio::time::sleep(32 * MINUTE).await;
    assert_eq!(failures(&site).count, 6, "the next in half an hour");
    let orders = authority.ordered().len();
    running.stop().await;
    let running = site.run(&authority, clock);
    tokio::time::sleep(14 * MINUTE).await;
    assert_eq!(authority.ordered().len(), orders);
    tokio::time::sleep(MINUTE).await;
    assert_eq!(authority.ordered().len(), orders + 1);
    assert_eq!(failures(&site).count, 7);
    running.stop().await;

    let mut changed = site.restarted();
    changed.settings.names.truncate(1);
    let _running = changed.run(&authority, clock);
    tokio::time::sleep(SOON).await;
    assert_eq!(
        authority.ordered().len(),
        orders + 2,
        "other settings, another try"
    );
    assert_eq!(failures(&changed).count, 1);
}

#[tokio::test(start_paused = true)]
async fn what_the_authority_asked_for_holds_over_a_restart() {
    let (site, authority, clock) = Site::in_memory(&["a.example"]);
    authority.refuse_once("/new-order", Refusal::rate_limited(7200));
    let running = site.run(&authority, clock);
    tokio::time::sleep(SOON).await;
    running.stop().await;
    let _running = site.run(&authority, clock);
    tokio::time::sleep(2 * HOUR - 2 * SOON).await;
    assert_eq!(authority.count("POST /new-order"), 1);
    tokio::time::sleep(2 * SOON).await;
    assert_eq!(site.recorder.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_order_that_was_cut_off_counts_and_shows_nothing_any_longer() {
    let (mut site, authority, clock) = Site::in_memory(&["a.example"]);
    site.settings.challenge = AcmeChallenge::TlsAlpn01;
    authority.set_pace(10);
    let cut = tokio::time::timeout(
        Duration::from_millis(100),
        site.maintainer(&authority, clock).run(),
    );
    let shown = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        site.recorder.shown("a.example").is_some()
    };
    let (cut, shown) = tokio::join!(cut, shown);
    assert!(cut.is_err() && shown);
    assert!(site.recorder.shows_nothing());
    assert_eq!(failures(&site).count, 1);
    assert!(site.storage().lock().expect("a storage").is_some());
}

#[tokio::test(start_paused = true)]
async fn a_token_is_gone_when_its_order_is_cut_off() {
    let (site, _, clock) = Site::in_memory(&["a.example"]);
    let tokens: Arc<std::sync::Mutex<Vec<String>>> = Arc::default();
    let seen = tokens.clone();
    let looks = move |proof: &super::authority::Proof| {
        assert!(http_challenge(&proof.token).is_some());
        seen.lock().expect("not poisoned").push(proof.token.clone());
        Ok(())
    };
    let authority = Authority::new("http://127.0.0.1:1", looks, move || clock.now());
    let run = site.maintainer(&authority, clock).run();
    assert!(
        tokio::time::timeout(Duration::from_millis(100), run)
            .await
            .is_err()
    );
    let tokens = tokens.lock().expect("not poisoned").clone();
    assert_eq!(tokens.len(), 1);
    assert_eq!(http_challenge(&tokens[0]), None);
}

#[tokio::test(start_paused = true)]
async fn an_account_that_the_authority_forgot_is_made_anew() {
    let (site, authority, clock) = Site::in_memory(&["a.example"]);
    site.run(&authority, clock).first(&site).await;
    authority.forget_accounts();
    let mut more = site.restarted();
    more.settings.names[0].value = "b.example".to_owned();
    more.run(&authority, clock).first(&more).await;
    assert_eq!(authority.contacts().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn without_a_place_to_keep_it_nothing_is_ordered() {
    let (site, authority, clock) = Site::in_memory(&["a.example"]);
    std::fs::write(&site.settings.storage.value, "a file").expect("written");
    let _running = site.run(&authority, clock);
    tokio::time::sleep(HOUR).await;
    assert!(authority.requests().is_empty());
    std::fs::remove_file(&site.settings.storage.value).expect("removed");
    tokio::time::sleep(HOUR).await;
    assert_eq!(site.recorder.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_certificate_that_is_due_at_once_is_used_but_not_ordered_again_at_once() {
    let (site, authority, clock) = Site::in_memory(&["a.example"]);
    authority.set_lifetime(Duration::from_secs(1));
    let _running = site.run(&authority, clock);
    tokio::time::sleep(HOUR).await;
    // At 0, 1, 3, 7, 15 and 31 minutes.
    assert_eq!(authority.ordered().len(), 6);
    assert_eq!(site.recorder.count(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_certificate_that_is_not_what_was_ordered_is_not_used() {
    let (other, elsewhere, clock) = Site::in_memory(&["b.example"]);
    let pair = other.run(&elsewhere, clock).first(&other).await;
    for body in [
        pair.0.as_slice(),
        b"",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        b"\xff",
    ] {
        let (site, authority, clock) = Site::in_memory(&["a.example"]);
        let kind = "application/pem-certificate-chain";
        authority.refuse_once("/certificate/", Refusal::raw(200, kind, body));
        let _running = site.run(&authority, clock);
        tokio::time::sleep(SOON).await;
        assert_eq!(site.recorder.count(), 0);
        assert!(!site.path("a.example.pem").exists());
        tokio::time::sleep(MINUTE).await;
        assert!(certificate(&site.recorder.installed(1).await).covers("a.example"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_certificate_that_lacks_a_name_is_not_used() {
    let (site, authority, clock) = Site::in_memory(&["a.example", "b.example"]);
    authority.leave_out("b.example");
    let _running = site.run(&authority, clock);
    tokio::time::sleep(SOON).await;
    assert_eq!(authority.issued().len(), 1);
    assert_eq!(site.recorder.count(), 0);
    assert_eq!(failures(&site).count, 1);
}

#[tokio::test(start_paused = true)]
async fn whatever_an_authority_answers_there_is_another_attempt() {
    let paths = [
        "/directory",
        "/new-nonce",
        "/new-account",
        "/new-order",
        "/authorization/",
        "/challenge/",
        "/order/",
        "/finalize/",
        "/certificate/",
    ];
    let answers = [
        Refusal::raw(200, "application/json", b"{}"),
        Refusal::raw(200, "application/json", b"[1, "),
        Refusal::raw(502, "text/html", b"<h1>Bad gateway</h1>"),
        Refusal::raw(400, "application/problem+json", b"\xff"),
        Refusal::problem(403, "unauthorized", "no"),
        Refusal::raw(
            200,
            "application/json",
            br#"{"newNonce": "not an address", "newAccount": "", "newOrder": ""}"#,
        ),
    ];
    for path in paths {
        for answer in &answers {
            let (site, authority, clock) = Site::in_memory(&["a.example"]);
            authority.refuse_once(path, answer.clone());
            let _running = site.run(&authority, clock);
            tokio::time::sleep(10 * MINUTE).await;
            assert_eq!(site.recorder.count(), 1, "{path} {answer:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_that_never_settles_is_given_up() {
    let (site, authority, clock) = Site::in_memory(&["a.example"]);
    let pending = r#"{"status": "pending", "authorizations": [], "finalize": "http://127.0.0.1:1/finalize/0"}"#;
    for _ in 0..100 {
        authority.refuse_once(
            "/order/",
            Refusal::raw(200, "application/json", pending.as_bytes()),
        );
    }
    let _running = site.run(&authority, clock);
    tokio::time::sleep(5 * MINUTE - SOON).await;
    let begun = failures(&site).at;
    tokio::time::sleep(2 * SOON).await;
    assert!(failures(&site).at > begun, "it has failed");
    // From a quarter of a second up to fifteen: at most 5 s until then, and four a minute.
    assert!((20..30).contains(&authority.count("POST /order/")));
}

#[tokio::test(start_paused = true)]
async fn more_proofs_than_names_are_not_begun() {
    let (site, authority, clock) = Site::in_memory(&["a.example"]);
    let two = r#"{"status": "pending", "finalize": "http://127.0.0.1:1/finalize/0",
        "authorizations": ["http://127.0.0.1:1/authorization/0", "http://127.0.0.1:1/authorization/1"]}"#;
    let answer = Refusal::raw(201, "application/json", two.as_bytes());
    let answer = answer.with("location", "http://127.0.0.1:1/order/0");
    authority.refuse_once("/new-order", answer);
    let _running = site.run(&authority, clock);
    tokio::time::sleep(SOON).await;
    assert_eq!(failures(&site).count, 1);
    assert_eq!(authority.count("/authorization/"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_challenge_that_cannot_be_shown_is_not_announced() {
    let (mut site, authority, clock) = Site::in_memory(&[REFUSED]);
    site.settings.challenge = AcmeChallenge::TlsAlpn01;
    let _running = site.run(&authority, clock);
    tokio::time::sleep(SOON).await;
    assert_eq!(authority.ordered().len(), 1);
    assert_eq!(authority.count("POST /challenge/"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_wait_without_end_is_no_reason_to_panic() {
    let (site, authority, clock) = Site::in_memory(&["a.example"]);
    authority.set_pace(u64::MAX);
    site.run(&authority, clock).first(&site).await;
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_is_no_address_is_a_failure() {
    for directory in ["", "https://a.example/^", "https://a b/"] {
        let (mut site, authority, clock) = Site::in_memory(&["a.example"]);
        site.settings.directory.value = directory.to_owned();
        let _running = site.run(&authority, clock);
        tokio::time::sleep(2 * MINUTE).await;
        assert_eq!(failures(&site).count, 2, "{directory}");
    }
}
