//! What happens to a certificate in the course of time.

use super::authority::Refusal;
use super::fixture::{DAY, HOUR, MINUTE, SOON, Site, certificate};
use crate::acme::stored;

#[tokio::test(start_paused = true)]
async fn a_certificate_is_renewed_when_a_third_of_its_life_is_left() {
    let (site, authority, clock) = Site::in_memory(&["a.example"]);
    let _running = site.run(&authority, clock);
    let first = certificate(&site.recorder.installed(1).await);
    tokio::time::sleep(60 * DAY - SOON).await;
    assert_eq!(authority.ordered().len(), 1);
    let second = certificate(&site.recorder.installed(2).await);
    // The first was issued some seconds after the start, and the clock is looked at to the second.
    let renewed = second
        .not_before
        .duration_since(first.not_before)
        .expect("later");
    assert!(
        (60 * DAY..60 * DAY + SOON).contains(&renewed),
        "{renewed:?}"
    );
    assert_ne!(first.pair, second.pair);
    assert_eq!(stored(&site.settings), Some(second.pair));
}

#[tokio::test(start_paused = true)]
async fn a_certificate_of_some_days_is_renewed_after_some_days() {
    let (site, authority, clock) = Site::in_memory(&["a.example"]);
    authority.set_lifetime(6 * DAY);
    let _running = site.run(&authority, clock);
    site.recorder.installed(1).await;
    tokio::time::sleep(4 * DAY - SOON).await;
    assert_eq!(authority.ordered().len(), 1);
    tokio::time::sleep(2 * SOON).await;
    assert_eq!(site.recorder.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_the_stored_certificate_serves_and_nothing_is_ordered() {
    let (site, authority, clock) = Site::in_memory(&["a.example", "b.example"]);
    let pair = site.run(&authority, clock).first(&site).await;
    let again = site.restarted();
    let running = again.run(&authority, clock);
    assert_eq!(again.recorder.installed(1).await, pair);
    tokio::time::sleep(59 * DAY).await;
    assert_eq!(authority.ordered().len(), 1);
    assert_eq!(again.recorder.count(), 1);
    running.stop().await;

    let late = again.restarted();
    tokio::time::sleep(2 * DAY).await;
    late.run(&authority, clock).nth(&late, 2).await;
    assert_eq!(authority.ordered().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_name_that_the_certificate_lacks_is_ordered_at_once_while_the_others_are_served() {
    let (site, authority, clock) = Site::in_memory(&["a.example", "b.example"]);
    let old = site.run(&authority, clock).first(&site).await;
    let mut more = site.restarted();
    more.settings.names[1].value = "c.example".to_owned();
    assert_eq!(stored(&more.settings).as_ref(), Some(&old));

    let new = more.run(&authority, clock).nth(&more, 2).await;
    assert_eq!(more.recorder.installed(1).await, old);
    assert!(certificate(&new).covers("c.example"));
    assert_eq!(authority.issued()[1], ["a.example", "c.example"]);

    let mut fewer = more.restarted();
    fewer.settings.names.truncate(1);
    let running = fewer.run(&authority, clock);
    assert_eq!(fewer.recorder.installed(1).await, new);
    tokio::time::sleep(DAY).await;
    assert_eq!(authority.ordered().len(), 2, "a name too many does no harm");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_certificate_for_other_names_or_with_another_key_is_not_used() {
    let (site, authority, clock) = Site::in_memory(&["a.example"]);
    site.run(&authority, clock).first(&site).await;
    let mut other = site.restarted();
    other.settings.names[0].value = "b.example".to_owned();
    other.run(&authority, clock).first(&other).await;

    std::fs::copy(site.path("a.example.pem"), site.path("b.example.pem")).expect("copied");
    std::fs::copy(site.path("a.example.key"), site.path("b.example.key")).expect("copied");
    assert_eq!(stored(&other.settings), None, "the name does not fit");
    let again = other.restarted();
    again.run(&authority, clock).first(&again).await;
    assert_eq!(authority.ordered().len(), 3);
    assert_eq!(again.recorder.count(), 1);

    std::fs::copy(site.path("b.example.key"), site.path("a.example.key")).expect("copied");
    assert_eq!(stored(&site.settings), None, "the key does not fit");
    let again = site.restarted();
    again.run(&authority, clock).first(&again).await;
    assert_eq!(authority.ordered().len(), 4);
    assert_eq!(again.recorder.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn another_directory_means_another_certificate_and_the_old_one_until_then() {
    let (site, first, clock) = Site::in_memory(&["a.example"]);
    let old = site.run(&first, clock).first(&site).await;
    let mut moved = site.restarted();
    moved.settings.directory.value = "http://127.0.0.1:1/directory/".to_owned();
    let new = moved.run(&first, clock).nth(&moved, 2).await;
    assert_eq!(moved.recorder.installed(1).await, old);
    assert_ne!(new, old);
    assert_eq!(
        site.record().directory,
        Some(moved.settings.directory.value.clone())
    );

    let same = moved.restarted();
    let _running = same.run(&first, clock);
    tokio::time::sleep(DAY).await;
    assert_eq!(first.ordered().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn where_a_certificate_is_from_is_known_after_failures_as_well() {
    let (site, authority, clock) = Site::in_memory(&["a.example"]);
    site.run(&authority, clock).first(&site).await;
    let mut moved = site.restarted();
    moved.settings.directory.value = "http://127.0.0.1:1/directory/".to_owned();
    authority.refuse_once("/new-order", Refusal::problem(403, "unauthorized", "no"));
    moved.run(&authority, clock).first(&moved).await;
    assert_eq!(authority.issued().len(), 1);
    let again = moved.restarted();
    again.run(&authority, clock).nth(&again, 2).await;
    assert_eq!(authority.issued().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_certificate_that_has_run_out_is_served_until_there_is_a_new_one() {
    let (site, authority, clock) = Site::in_memory(&["a.example"]);
    let old = site.run(&authority, clock).first(&site).await;
    tokio::time::sleep(91 * DAY).await;
    let again = site.restarted();
    assert_eq!(stored(&again.settings), Some(old.clone()));
    let new = again.run(&authority, clock).nth(&again, 2).await;
    assert_eq!(again.recorder.installed(1).await, old);
    assert!(certificate(&new).not_after > clock.now());
}

#[tokio::test(start_paused = true)]
async fn what_somebody_else_has_renewed_is_taken_within_an_hour() {
    let (site, authority, clock) = Site::in_memory(&["a.example"]);
    site.run(&authority, clock).first(&site).await;
    let watching = site.restarted();
    let _running = watching.run(&authority, clock);
    watching.recorder.installed(1).await;
    let elsewhere = site.restarted();
    std::fs::remove_file(site.path("a.example.pem")).expect("removed");
    let new = elsewhere.run(&authority, clock).first(&elsewhere).await;
    tokio::time::sleep(HOUR).await;
    assert_eq!(watching.recorder.count(), 2);
    assert_eq!(watching.recorder.installed(2).await, new);
}

#[tokio::test(start_paused = true)]
async fn of_two_with_one_storage_one_orders_and_the_other_takes() {
    let (site, authority, clock) = Site::in_memory(&["a.example"]);
    let other = site.restarted();
    let _both = (site.run(&authority, clock), other.run(&authority, clock));
    let pair = site.recorder.installed(1).await;
    tokio::time::sleep(2 * MINUTE).await;
    assert_eq!(other.recorder.installed(1).await, pair);
    assert_eq!(authority.ordered().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_window_that_the_authority_suggests_counts() {
    let (site, authority, clock) = Site::in_memory(&["a.example"]);
    // Three weeks after the start, long before a third of the life is left.
    authority.suggest("2027-01-22T00:00:00Z", "2027-01-24T00:00:00Z");
    let _running = site.run(&authority, clock);
    site.recorder.installed(1).await;
    tokio::time::sleep(21 * DAY - SOON).await;
    assert_eq!(authority.ordered().len(), 1);
    tokio::time::sleep(2 * SOON).await;
    assert_eq!(authority.ordered().len(), 2);
    let replaced = authority.replaced();
    assert_eq!(replaced[0], None);
    let id = replaced[1].as_deref().expect("it is said what is replaced");
    // The serial number of the first certificate is 1, as base64url of one byte.
    assert!(id.ends_with(".AQ"), "{id}");
    // Every six hours, as asked for.
    assert_eq!(authority.count("GET /renewal-info/"), 21 * 4 + 1);
}

#[tokio::test(start_paused = true)]
async fn a_window_in_the_past_means_now() {
    let (site, authority, clock) = Site::in_memory(&["a.example"]);
    site.run(&authority, clock).first(&site).await;
    tokio::time::sleep(2 * DAY).await;
    let again = site.restarted();
    authority.suggest("2026-12-01T00:00:00Z", "2026-12-02T00:00:00Z");
    let _running = again.run(&authority, clock);
    tokio::time::sleep(SOON).await;
    assert_eq!(authority.ordered().len(), 2);
    // The same window for every new certificate must not become a loop.
    tokio::time::sleep(3 * DAY).await;
    assert_eq!(authority.ordered().len(), 5, "one each day");
}
