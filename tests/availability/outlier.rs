//! Endpoints that fail real requests are left out for a while.

use super::admin::{shares, start, text, these};
use super::health::raw;
use super::patient::{CHECK, Patient, reason, said_of};
use crate::harness::{Admin, Origin, Proxy, closed_port, wait};
use crate::tcp::{echo, end, established, server};
use serde_json::Value;
use std::fmt::Display;

/// Two endpoints, of which the first is about to fail.
fn pair(detection: &str) -> (Patient, Patient, Proxy, Admin) {
    let (a, b) = (Patient::named("a"), Patient::named("b"));
    let (proxy, admin) = start(&format!("endpoint \"{a}\"\nendpoint \"{b}\"\n{detection}"));
    (a, b, proxy, admin)
}

/// Sends requests until `patient` has got so many more.
fn give(proxy: &Proxy, patient: &Patient, more: usize) {
    let wanted = patient.served() + more;
    let mut client = proxy.client();
    for _ in 0..100 * more {
        if patient.served() == wanted {
            return;
        }
        client.get("/");
    }
    panic!("it does not get {more} requests");
}

/// Waits until an endpoint of "c" is ejected; the log line.
fn ejection(proxy: &Proxy, mark: usize, endpoint: &dyn Display) -> Value {
    said_of(proxy, mark, "endpoint ejected", "c", endpoint)
}

fn assert_out(proxy: &Proxy, patient: &Patient) {
    let served = patient.served();
    assert_eq!(shares(proxy, 10), these(&[("b", 10)]));
    assert_eq!(patient.served(), served);
}

fn state(admin: &Admin, endpoint: &dyn Display) -> String {
    let report = admin.endpoint("c", &endpoint.to_string());
    report["state"].as_str().expect("a state").to_owned()
}

/// The changes in an endpoint's history.
fn changes(admin: &Admin, endpoint: &dyn Display) -> Vec<(String, String)> {
    let report = admin.endpoint("c", &endpoint.to_string());
    let history = report["history"].as_array().expect("a history").clone();
    let text = |change: &Value, name: &str| change[name].as_str().expect("a text").to_owned();
    history
        .iter()
        .map(|change| (text(change, "to"), text(change, "reason")))
        .collect()
}

#[test]
fn so_many_failures_in_a_row_eject_an_endpoint() {
    for (detection, most) in [
        ("outlier-detection consecutive-failures=3", 3),
        ("outlier-detection", 5),
    ] {
        let (a, _b, proxy, admin) = pair(detection);
        a.answers(500);
        give(&proxy, &a, most - 1);
        a.answers(404);
        give(&proxy, &a, 1);
        a.answers(500);
        give(&proxy, &a, most - 1);
        assert_eq!(state(&admin, &a), "up", "a success was between them");
        give(&proxy, &a, 1);
        assert_eq!(reason(&ejection(&proxy, 0, &a)), "consecutive failures");
        assert_out(&proxy, &a);
        assert_eq!(
            changes(&admin, &a),
            [("ejected".to_owned(), "consecutive failures".to_owned())]
        );
    }
}

#[test]
fn gateway_failures_are_counted_by_themselves() {
    let detection = "outlier-detection consecutive-failures=0 consecutive-gateway-failures=2";
    let (a, _b, proxy, admin) = pair(detection);
    a.answers(500);
    give(&proxy, &a, 8);
    assert_eq!(state(&admin, &a), "up");
    a.answers(503);
    give(&proxy, &a, 2);
    let line = ejection(&proxy, 0, &a);
    assert_eq!(reason(&line), "consecutive gateway failures");
    assert_out(&proxy, &a);
}

#[test]
fn failed_connects_are_counted_by_themselves() {
    let (_held, closed) = closed_port();
    let good = Origin::named("good");
    let (proxy, _) = start(&format!(
        "endpoint \"{closed}\"\nendpoint \"{good}\"\noutlier-detection consecutive-failures=0 consecutive-connect-failures=2"
    ));
    let mut client = proxy.client();
    let attempts = (0..12).map(|number| {
        let path = format!("/{number}");
        assert_eq!(client.get(&path).text(), "good");
        let line = proxy.line_of(&path);
        assert_eq!(line.outcome(), "ok");
        line.number("attempts")
    });
    let twice = attempts.filter(|attempts| *attempts == 2).count();
    assert_eq!(twice, 2, "it was tried twice and then left out");
    let line = ejection(&proxy, 0, &closed);
    assert_eq!(reason(&line), "consecutive connect failures");
}

#[test]
fn resets_and_timeouts_are_failures_and_with_nobody_left_the_answer_is_503() {
    let resetting = Origin::start(|mut peer| {
        peer.request();
        peer.abort();
    });
    let silent = Origin::start(|mut peer| while peer.request().is_some() {});
    for (origin, status, outcome) in [
        (&resetting, 502, "upstream-reset"),
        (&silent, 504, "response-timeout"),
    ] {
        let (proxy, _) = start(&format!(
            "endpoint \"{origin}\"\ntimeouts response=\"200ms\"\noutlier-detection consecutive-failures=2"
        ));
        for path in ["/1", "/2"] {
            assert_eq!(proxy.client().get(path).status, status);
            assert_eq!(proxy.line_of(path).outcome(), outcome);
        }
        ejection(&proxy, 0, origin);
        assert_eq!(proxy.client().get("/3").status, 503);
        assert_eq!(proxy.line_of("/3").outcome(), "no-endpoint");
    }
}

#[test]
fn each_further_ejection_is_longer_up_to_the_longest() {
    let detection = "outlier-detection consecutive-failures=1 ejection=\"200ms\" ejection-max=\"500ms\" interval=\"1h\"";
    let (a, _b, proxy, admin) = pair(detection);
    a.answers(500);
    let seconds = [0; 4].map(|_| {
        let mark = proxy.log_mark();
        give(&proxy, &a, 1);
        let line = ejection(&proxy, mark, &a);
        said_of(&proxy, mark, "ejection is over", "c", &a);
        line["seconds"].as_f64().expect("a time")
    });
    assert_eq!(seconds, [0.2, 0.4, 0.5, 0.5]);
    a.answers(200);
    give(&proxy, &a, 5);
    let changes = changes(&admin, &a);
    let changes: Vec<_> = changes.iter().map(|(to, _)| to.as_str()).collect();
    assert_eq!(changes, ["ejected", "returned"].repeat(4));
}

#[test]
fn an_interval_without_a_failure_makes_the_next_ejection_shorter() {
    let (a, b) = (Patient::named("a"), Patient::named("b"));
    let silent = Origin::start(|mut peer| while peer.request().is_some() {});
    let (proxy, _) = start(&format!(
        r#"endpoint "{a}"
        endpoint "{b}"
        outlier-detection consecutive-failures=1 ejection="50ms" interval="50ms"
        retry attempts=1
        }}
        listener "clock" "127.0.0.1:0" {{ route {{ cluster "clock" }} }}
        cluster "clock" {{
            endpoint "{silent}"
            timeouts response="800ms""#
    ));
    for _ in 0..2 {
        let mark = proxy.log_mark();
        a.answers(500);
        give(&proxy, &a, 1);
        a.answers(200);
        assert_eq!(ejection(&proxy, mark, &a)["seconds"], 0.05);
        said_of(&proxy, mark, "ejection is over", "c", &a);
        // A timeout of the proxy's own is the clock: many intervals.
        assert_eq!(proxy.client_of("clock").get("/").status, 504);
    }
}

#[test]
fn no_more_than_their_share_are_ejected_but_always_one() {
    for (share, most) in [
        ("", 1),
        ("ejected-max=\"0%\"", 1),
        ("ejected-max=\"74%\"", 2),
        ("ejected-max=\"75%\"", 3),
    ] {
        let patients = ["a", "b", "c", "d"].map(Patient::named);
        let endpoints = patients.each_ref().map(|a| format!("endpoint \"{a}\"\n"));
        let endpoints = endpoints.concat();
        let (proxy, admin) = start(&format!(
            "{endpoints}outlier-detection consecutive-failures=1 {share}"
        ));
        patients[..3]
            .iter()
            .for_each(|patient| patient.answers(500));
        let mut client = proxy.client();
        for _ in 0..40 {
            client.get("/");
        }
        let ejected = patients.iter().filter(|a| state(&admin, a) == "ejected");
        assert_eq!(ejected.count(), most, "{share}");
    }
}

#[test]
fn a_health_check_that_passes_ends_an_ejection() {
    let detection = "outlier-detection consecutive-failures=2 ejection=\"1h\" ejection-max=\"1h\"";
    let (a, _b, proxy, admin) = pair(&format!("{detection}\n{CHECK}"));
    a.answers(500);
    give(&proxy, &a, 2);
    a.answers(200);
    ejection(&proxy, 0, &a);
    let line = said_of(&proxy, 0, "ejection is over", "c", &a);
    assert_eq!(reason(&line), "a health check passed");
    assert_eq!(shares(&proxy, 10), these(&[("a", 5), ("b", 5)]));
    let changes = changes(&admin, &a);
    let expected = [
        ("ejected", "consecutive failures"),
        ("returned", "a health check passed"),
    ];
    assert_eq!(
        changes,
        expected.map(|(to, why)| (to.to_owned(), why.to_owned()))
    );
}

#[test]
fn who_fails_far_more_often_than_the_others_is_ejected() {
    let patients = ["a", "b", "c"].map(Patient::named);
    let endpoints = patients.each_ref().map(|a| format!("endpoint \"{a}\"\n"));
    let endpoints = endpoints.concat();
    // With three endpoints nobody is ever 190 % of a deviation off, nor are there five of them, nor a hundred requests each.
    let (proxy, admin) = start(&format!(
        r#"{endpoints}
        outlier-detection consecutive-failures=0 interval="2s" ejection="1h" ejection-max="1h" {{
            success-rate requests-min=5 endpoints-min=3 deviations="100%"
        }}"#
    ));
    patients[0].answers(503);
    let mut client = proxy.client();
    let (mut failed, mut served) = (0, 0);
    for _ in 0..60 {
        match client.get("/").status {
            200 => served += 1,
            503 => failed += 1,
            status => panic!("{status}"),
        }
    }
    assert_eq!((failed, served), (20, 40));
    assert_eq!(reason(&ejection(&proxy, 0, &patients[0])), "success rate");
    wait(|| match admin.endpoint("c", &patients[0]) {
        report if report["eligible"] == false => Ok(()),
        report => Err(report.to_string()),
    });
    assert_eq!(shares(&proxy, 10), these(&[("b", 5), ("c", 5)]));
}

#[test]
fn an_ejection_outlives_a_reload() {
    let detection = "outlier-detection consecutive-failures=1";
    let (a, b, proxy, _) = pair(detection);
    a.answers(500);
    give(&proxy, &a, 1);
    a.answers(200);
    ejection(&proxy, 0, &a);
    let changed = format!("endpoint \"{a}\"\nendpoint \"{b}\"\n{detection} ejection=\"20s\"");
    proxy.reload(&text(&changed)).expect("it is good");
    assert_out(&proxy, &a);
}

#[test]
fn failed_connects_eject_an_endpoint_of_a_tcp_cluster() {
    let (_held, closed) = closed_port();
    let good = server(echo);
    let proxy = raw(&format!(
        "endpoint \"{closed}\"\nendpoint \"{good}\"\noutlier-detection consecutive-failures=0 consecutive-connect-failures=2"
    ));
    let attempts = (0..12).map(|_| {
        let line = end(&proxy, established(proxy.address("raw")));
        assert_eq!(line.text("endpoint"), good.to_string());
        line.number("attempts")
    });
    let twice = attempts.filter(|attempts| *attempts == 2).count();
    assert_eq!(twice, 2, "it was tried twice and then left out");
    let line = ejection(&proxy, 0, &closed);
    assert_eq!(reason(&line), "consecutive connect failures");
}
