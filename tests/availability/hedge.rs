//! A second attempt beside one that takes long.

use super::retry::{PLACES, Place, ended, proxy, refusing, silent};
use super::scene::{before, put};
use crate::harness::{Admin, Gate, Origin, closed_port};

/// Answers each request with 200 and its name once the gate is open.
fn gated(name: &'static str, gate: &Gate) -> Origin {
    let gate = gate.clone();
    Origin::start(move |mut peer| {
        while peer.request().is_some() {
            gate.wait();
            peer.answer(name);
        }
    })
}

/// Answers with this status once the gate is open.
fn gated_refusal(status: u16, body: &'static str, gate: &Gate) -> Origin {
    let gate = gate.clone();
    Origin::start(move |mut peer| {
        while peer.request().is_some() {
            gate.wait();
            let length = body.len();
            peer.send(format!(
                "HTTP/1.1 {status} No\r\nContent-Length: {length}\r\n\r\n{body}"
            ));
        }
    })
}

const GET: &str = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";

#[test]
fn a_second_endpoint_answers_when_the_first_takes_long_and_nothing_is_left_behind() {
    for place in PLACES {
        let (slow, good) = (silent(), Origin::named("good"));
        let rest = "timeouts response=\"60s\"";
        let proxy = proxy(place, "retry hedge-delay=\"20ms\"", rest, &[&slow, &good]);
        let admin = Admin::of(&proxy);
        let mut client = proxy.client();
        let answer = client.get("/");
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (200, "good"),
            "{place:?}"
        );
        let line = proxy.line_of("/");
        assert_eq!((line.outcome(), line.number("attempts")), ("ok", 2));
        assert_eq!(line.text("endpoint"), good.to_string());
        // The connection of the attempt that lost is closed, and its place given back.
        slow.wait_for_ends(1);
        admin.wait_for_endpoint("c", &slow, |report| {
            report["requests"] == 0 && report["connections"] == 0
        });
        admin.wait_for_endpoint("c", &good, |report| {
            report["requests"] == 0 && report["connections"] == 1
        });
        assert_eq!(slow.requests().len(), 1);
    }
}

#[test]
fn the_first_endpoint_wins_if_it_answers_first() {
    let (first, never) = (Gate::default(), Gate::default());
    let (one, two) = (gated("one", &first), gated("two", &never));
    let proxy = proxy(
        Place::Cluster,
        "retry hedge-delay=\"10ms\"",
        "",
        &[&one, &two],
    );
    let mut client = proxy.client();
    client.send(GET);
    two.request(0);
    first.open();
    assert_eq!(client.response().text(), "one");
    assert_eq!(ended(&proxy, "/"), (200, "ok".to_owned(), 2));
    assert_eq!(proxy.line_of("/").text("endpoint"), one.to_string());
    let admin = Admin::of(&proxy);
    admin.wait_for_endpoint("c", &two, |report| {
        report["requests"] == 0 && report["connections"] == 0
    });
    never.open();
}

#[test]
fn a_first_endpoint_that_answers_in_time_is_alone() {
    let (one, two) = (Origin::named("one"), Origin::named("two"));
    let retry = "retry hedge-delay=\"1h\"";
    let proxy = proxy(Place::Cluster, retry, "", &[&one, &two]);
    let mut client = proxy.client();
    for number in 0..10 {
        let path = format!("/{number}");
        assert_eq!(client.get(&path).status, 200);
        assert_eq!(ended(&proxy, &path), (200, "ok".to_owned(), 1));
    }
    assert_eq!(one.requests().len() + two.requests().len(), 10);
}

#[test]
fn a_request_that_may_do_harm_twice_is_not_hedged() {
    for (harmless, attempts) in [(false, 1), (true, 2)] {
        let (slow, good) = (silent(), Origin::named("good"));
        let retry = format!("retry hedge-delay=\"10ms\" non-idempotent=#{harmless}");
        let rest = "timeouts response=\"1s\"";
        let proxy = proxy(Place::Cluster, &retry, rest, &[&slow, &good]);
        let status = proxy.client().post("/", "body").status;
        assert_eq!(status, if harmless { 200 } else { 504 });
        assert_eq!(proxy.line_of("/").number("attempts"), attempts);
        assert_eq!(good.requests().len() as i64, attempts - 1);
    }
}

#[test]
fn a_hedge_comes_out_of_the_budget() {
    let (slow, good) = (silent(), Origin::named("good"));
    let retry = "retry hedge-delay=\"10ms\" budget=\"0%\" budget-min=0";
    let rest = "timeouts response=\"1s\"";
    let proxy = proxy(Place::Cluster, retry, rest, &[&slow, &good]);
    assert_eq!(proxy.client().get("/").status, 504);
    assert_eq!(ended(&proxy, "/"), (504, "response-timeout".to_owned(), 1));
    assert_eq!(good.requests().len(), 0);
}

#[test]
fn a_hedge_goes_to_another_endpoint_or_nowhere() {
    let slow = silent();
    let retry = "retry hedge-delay=\"10ms\"";
    let proxy = proxy(
        Place::Cluster,
        retry,
        "timeouts response=\"500ms\"",
        &[&slow],
    );
    assert_eq!(proxy.client().get("/").status, 504);
    assert_eq!(ended(&proxy, "/"), (504, "response-timeout".to_owned(), 1));
    assert_eq!(slow.requests().len(), 1);
}

#[test]
fn a_bad_answer_waits_for_a_good_one() {
    for on in ["connect-failure", "503"] {
        let (bad_now, good_now) = (Gate::default(), Gate::default());
        let (bad, good) = (
            gated_refusal(503, "bad", &bad_now),
            gated("good", &good_now),
        );
        let retry = format!("retry hedge-delay=\"10ms\" on=\"{on}\"");
        let proxy = proxy(Place::Cluster, &retry, "", &[&bad, &good]);
        let mut client = proxy.client();
        client.send(GET);
        good.request(0);
        bad_now.open();
        good_now.open();
        assert_eq!(client.response().text(), "good", "{on}");
        assert_eq!(ended(&proxy, "/"), (200, "ok".to_owned(), 2), "{on}");
    }
}

#[test]
fn of_two_bad_answers_the_first_endpoints_is_delivered() {
    let (first_now, second_now) = (Gate::default(), Gate::default());
    let first = gated_refusal(500, "first", &first_now);
    let second = gated_refusal(503, "second", &second_now);
    let retry = "retry hedge-delay=\"10ms\"";
    let proxy = proxy(Place::Cluster, retry, "", &[&first, &second]);
    let mut client = proxy.client();
    client.send(GET);
    second.request(0);
    second_now.open();
    first_now.open();
    let answer = client.response();
    assert_eq!((answer.status, answer.text().as_str()), (500, "first"));
    assert_eq!(ended(&proxy, "/"), (500, "ok".to_owned(), 2));
    assert_eq!(proxy.line_of("/").text("endpoint"), first.to_string());
}

#[test]
fn a_second_endpoint_that_refuses_leaves_the_first_ones_answer() {
    let (_held, refused) = closed_port();
    let now = Gate::default();
    let first = gated_refusal(500, "first", &now);
    let retry = "retry hedge-delay=\"10ms\"";
    let proxy = proxy(Place::Cluster, retry, "", &[&first, &refused]);
    let mut client = proxy.client();
    client.send(GET);
    proxy.log_line("connecting failed");
    now.open();
    let answer = client.response();
    assert_eq!((answer.status, answer.text().as_str()), (500, "first"));
    assert_eq!(ended(&proxy, "/"), (500, "ok".to_owned(), 2));
}

#[test]
fn two_bad_answers_are_followed_by_a_third_endpoint() {
    let (first_now, second_now) = (Gate::default(), Gate::default());
    let first = gated_refusal(503, "first", &first_now);
    let second = gated_refusal(503, "second", &second_now);
    let third = Origin::named("third");
    let retry = "retry hedge-delay=\"10ms\" on=\"503\" attempts=3";
    let proxy = proxy(Place::Cluster, retry, "", &[&first, &second, &third]);
    let mut client = proxy.client();
    client.send(GET);
    second.request(0);
    first_now.open();
    second_now.open();
    assert_eq!(client.response().text(), "third");
    assert_eq!(ended(&proxy, "/"), (200, "ok".to_owned(), 3));
    let counts = [&first, &second, &third].map(|origin| origin.requests().len());
    assert_eq!(counts, [1, 1, 1]);
}

#[test]
fn two_that_break_off_are_both_counted() {
    let now = Gate::default();
    let breaking = || {
        let now = now.clone();
        Origin::start(move |mut peer| {
            peer.request();
            now.wait();
        })
    };
    let (first, second) = (breaking(), breaking());
    let proxy = proxy(
        Place::Cluster,
        "retry hedge-delay=\"10ms\"",
        "",
        &[&first, &second],
    );
    let mut client = proxy.client();
    client.send(GET);
    second.request(0);
    now.open();
    assert_eq!(client.response().status, 502);
    assert_eq!(ended(&proxy, "/"), (502, "upstream-reset".to_owned(), 2));
}

#[test]
fn a_downstream_that_leaves_ends_both_attempts() {
    let (one, two) = (silent(), silent());
    let proxy = proxy(
        Place::Cluster,
        "retry hedge-delay=\"10ms\"",
        "",
        &[&one, &two],
    );
    let mut client = proxy.client();
    client.send(GET);
    two.request(0);
    client.abort();
    one.wait_for_ends(1);
    two.wait_for_ends(1);
    assert_eq!(ended(&proxy, "/"), (0, "downstream-aborted".to_owned(), 2));
    refuses_nothing_later(&proxy);
}

/// Places and connections of both endpoints are free.
fn refuses_nothing_later(proxy: &crate::harness::Proxy) {
    let admin = Admin::of(proxy);
    for endpoint in admin.endpoints("c") {
        admin.wait_for_endpoint("c", &endpoint, |report| {
            report["requests"] == 0 && report["connections"] == 0
        });
    }
}

#[test]
fn a_bad_answer_before_the_delay_is_no_reason_to_wait() {
    let (bad, good) = (refusing(503), Origin::named("good"));
    let retry = "retry hedge-delay=\"1h\" on=\"503\"";
    let proxy = proxy(Place::Cluster, retry, "", &[&bad, &good]);
    assert_eq!(proxy.client().get("/").text(), "good");
    assert_eq!(ended(&proxy, "/"), (200, "ok".to_owned(), 2));
}

/// The second attempt is passed over before it begins, and must not be waited for.
#[test]
fn a_second_endpoint_without_room_for_a_connection_is_as_good_as_none() {
    let gate = Gate::default();
    let full = gated("full", &gate);
    let failing = Origin::start(|mut peer| {
        while peer.request().is_some() {
            // Longer than the delay; were it not, the test would show nothing, and pass.
            std::thread::sleep(std::time::Duration::from_millis(150));
            peer.send("HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno");
        }
    });
    let proxy = before(
        1,
        &format!(
            "balancer \"first\"\nendpoint \"{failing}\" id=\"a\"\nendpoint \"{full}\"\nretry hedge-delay=\"20ms\"\ncircuit-breaker endpoint-connections-max=1"
        ),
    );
    put(&proxy, "a", "maintain");
    let mut held = proxy.client();
    held.send(GET);
    full.request(0);
    put(&proxy, "a", "ready");
    let answer = proxy.client().get("/bad");
    assert_eq!((answer.status, answer.text().as_str()), (500, "no"));
    assert_eq!(proxy.line_of("/bad").number("attempts"), 1);
    gate.open();
    assert_eq!(held.response().text(), "full");
}
