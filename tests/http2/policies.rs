//! Retries, hedges, mirrors and health checks of clusters that speak HTTP/2.

use super::{as_told, client, ended};
use crate::harness::h2::{H2Origin, h2_request_with};
use crate::harness::{Admin, Gate, Proxy, closed_port, wait};
use ::h2::Reason;
use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A proxy before the cluster "c" of these endpoints; the first request goes to the first one.
fn before(cluster: &str, endpoints: &[&dyn Display]) -> Proxy {
    let endpoints = endpoints
        .iter()
        .map(|address| format!("    endpoint \"{address}\"\n"));
    let endpoints: String = endpoints.collect();
    Proxy::start(&format!(
        "admin \"127.0.0.1:0\"\nlistener \"web\" \"127.0.0.1:0\" {{ route {{ cluster \"c\" }} }}\ncluster \"c\" {{\n    protocol \"h2\"\n    {cluster}\n{endpoints}}}\n"
    ))
}

fn refusing(status: u16) -> H2Origin {
    H2Origin::start(move |mut exchange| {
        exchange.body();
        exchange.head(status, &[], false);
        exchange.send("no", true);
    })
}

#[test]
fn an_answer_that_is_to_be_retried_is_replaced_by_another_endpoints() {
    let (bad, good) = (refusing(503), H2Origin::named("good"));
    let proxy = before("retry on=\"503\"", &[&bad, &good]);
    let client = client(&proxy);
    let mut stream = client.open(h2_request_with("PUT", "/", &[("content-length", "4")]));
    stream.send("body", true);
    assert_eq!(stream.rest().text(), "good");
    let line = proxy.line_of("/");
    assert_eq!((line.outcome(), line.number("attempts")), ("ok", 2));
    assert_eq!(line.text("endpoint"), good.to_string());
    assert_eq!((bad.requests().len(), good.requests().len()), (1, 1));
}

#[test]
fn a_reset_and_a_refused_connection_are_retried_where_that_is_said() {
    let reset = H2Origin::start(|mut exchange| exchange.reset(Reason::INTERNAL_ERROR));
    let good = H2Origin::named("good");
    let (_held, refused) = closed_port();
    for (bad, on) in [
        (&reset as &dyn Display, "reset"),
        (&refused, "connect-failure"),
    ] {
        let proxy = before(&format!("retry on=\"{on}\""), &[bad, &good]);
        assert_eq!(proxy.client().get("/").text(), "good", "{on}");
        assert_eq!(proxy.line_of("/").number("attempts"), 2);
        assert_eq!(ended(&proxy, "/"), as_told("ok", 200));
    }
}

#[test]
fn a_hedge_answers_and_the_stream_of_the_attempt_that_lost_is_reset() {
    let was_reset = Gate::default();
    let told = was_reset.clone();
    let slow = H2Origin::start(move |mut exchange| {
        assert_eq!(exchange.wait_for_reset(), Some(Reason::CANCEL));
        told.open();
    });
    let good = H2Origin::named("good");
    let proxy = before("retry hedge-delay=\"20ms\"", &[&slow, &good]);
    assert_eq!(client(&proxy).get("/").text(), "good");
    was_reset.wait();
    let line = proxy.line_of("/");
    assert_eq!((line.outcome(), line.number("attempts")), ("ok", 2));
    let admin = Admin::of(&proxy);
    for origin in [&slow, &good] {
        // The connections are sound, and kept.
        admin.wait_for_endpoint("c", origin, |report| {
            report["requests"] == 0 && report["connections"] == 1
        });
    }
}

#[test]
fn a_downstream_that_leaves_while_a_hedged_answer_is_under_way_aborts_it() {
    let was_reset = Gate::default();
    let told = was_reset.clone();
    let slow = H2Origin::start(|mut exchange| {
        exchange.wait_for_reset();
    });
    let good = H2Origin::start(move |mut exchange| {
        exchange.head(200, &[], false);
        exchange.send("a part", false);
        assert_eq!(exchange.wait_for_reset(), Some(Reason::CANCEL));
        told.open();
    });
    let proxy = before("retry hedge-delay=\"20ms\"", &[&slow, &good]);
    let client = client(&proxy);
    let mut stream = client.begin(h2_request_with("GET", "/", &[]), true);
    stream.head().expect("an answer");
    assert_eq!(stream.take(6), b"a part");
    stream.reset(Reason::CANCEL);
    was_reset.wait();
    assert_eq!(ended(&proxy, "/"), as_told("downstream-aborted", 200));
}

#[test]
fn a_copy_goes_to_a_cluster_of_http2_and_from_one() {
    let (main, copies) = (H2Origin::named("main"), refusing(500));
    let proxy = Proxy::start(&format!(
        "listener \"web\" \"127.0.0.1:0\" {{ route {{\n    mirror \"copies\"\n    cluster \"main\"\n}} }}\ncluster \"main\" {{ protocol \"h2\"; endpoint \"{main}\" }}\ncluster \"copies\" {{ protocol \"h2\"; endpoint \"{copies}\" }}\n"
    ));
    let client = client(&proxy);
    for number in 0..10 {
        let path = format!("/{number}");
        let answer = client.post(&path, "body");
        assert_eq!((answer.status, answer.text().as_str()), (200, "main"));
        assert_eq!(ended(&proxy, &path), as_told("ok", 200));
    }
    copies.request(9);
    let paths = |origin: &H2Origin| {
        let mut paths: Vec<_> = origin.requests().into_iter().map(|seen| seen.uri).collect();
        paths.sort();
        paths
    };
    assert_eq!(paths(&copies), paths(&main));
}

#[test]
fn an_http_check_asks_an_endpoint_of_http2_in_http2() {
    let well = Arc::new(AtomicBool::new(true));
    let asked = well.clone();
    let origin = H2Origin::start(move |mut exchange| {
        let is_well = exchange.path() != "/healthz" || asked.load(Ordering::SeqCst);
        exchange.head(if is_well { 200 } else { 500 }, &[], true);
    });
    let check =
        "health-check interval=\"30ms\" rise=1 fall=1 initial=\"down\" { http \"/healthz\" }";
    let proxy = before(check, &[&origin]);
    let admin = Admin::of(&proxy);
    let until = |health: &str| {
        wait(|| {
            let status = proxy.client().get("/").status;
            let is_up = status == 200;
            let report = admin.endpoint("c", &origin);
            if is_up == (health == "up") {
                Ok(())
            } else {
                Err(format!("{status} {report}"))
            }
        });
    };
    until("up");
    well.store(false, Ordering::SeqCst);
    until("down");
    let last = proxy.access_line(|line| line.status() == 503);
    assert_eq!(last.outcome(), "no-endpoint");
    well.store(true, Ordering::SeqCst);
    until("up");
}
