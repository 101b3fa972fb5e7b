//! What is sent again, where to, how often, and what is not.

use crate::harness::{Admin, Client, Gate, Origin, Proxy, closed_port, deaf_port};
use std::fmt::Display;
use std::time::Instant;

/// Where a `retry` stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Cluster,
    /// The cluster then says that nothing is tried twice.
    Route,
}

pub(super) const PLACES: [Place; 2] = [Place::Cluster, Place::Route];

/// A proxy with the cluster "c" of these endpoints in this order; the first request goes to the first one.
pub(super) fn proxy(place: Place, retry: &str, cluster: &str, endpoints: &[&dyn Display]) -> Proxy {
    Proxy::start(&text(place, retry, cluster, endpoints))
}

fn text(place: Place, retry: &str, cluster: &str, endpoints: &[&dyn Display]) -> String {
    let (of_route, of_cluster) = match place {
        Place::Cluster => ("", retry),
        Place::Route => (retry, "retry attempts=1"),
    };
    let endpoints: String = endpoints
        .iter()
        .map(|endpoint| format!("    endpoint \"{endpoint}\"\n"))
        .collect();
    format!(
        "admin \"127.0.0.1:0\"\nlistener \"web\" \"127.0.0.1:0\" {{ route {{\n    {of_route}\n    cluster \"c\"\n}} }}\ncluster \"c\" {{\n    {of_cluster}\n    {cluster}\n{endpoints}}}\n"
    )
}

/// Status, outcome and attempts of the request for `target`.
pub(super) fn ended(proxy: &Proxy, target: &str) -> (i64, String, i64) {
    let line = proxy.line_of(target);
    let outcome = line.outcome().to_owned();
    (line.status(), outcome, line.number("attempts"))
}

pub(super) fn as_told(status: i64, outcome: &str, attempts: i64) -> (i64, String, i64) {
    (status, outcome.to_owned(), attempts)
}

/// Answers every request with this status and the body "no".
pub(super) fn refusing(status: u16) -> Origin {
    Origin::saying(format!(
        "HTTP/1.1 {status} No\r\nContent-Length: 2\r\n\r\nno"
    ))
}

/// Reads a request on each connection and closes it.
pub(super) fn resetting() -> Origin {
    Origin::start(|mut peer| {
        peer.request();
    })
}

/// Reads requests and answers none.
pub(super) fn silent() -> Origin {
    Origin::start(|mut peer| while peer.request().is_some() {})
}

pub(super) fn put(path: &str, body: &str) -> String {
    let length = body.len();
    format!("PUT {path} HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n\r\n{body}")
}

pub(super) fn targets(origin: &Origin) -> Vec<String> {
    let requests = origin.requests();
    let targets = requests.iter().map(|request| request.head.target());
    targets.map(str::to_owned).collect()
}

#[test]
fn each_word_of_on_retries_what_it_names_and_takes_the_place_of_the_default() {
    let (_held, refused) = closed_port();
    let (reset, silent, busy) = (resetting(), silent(), refusing(503));
    let cases: [(&dyn Display, &str, i64, &str, i64); 14] = [
        (&refused, "connect-failure", 200, "ok", 2),
        (&refused, "reset,timeout,5xx", 502, "connect-failed", 1),
        (&reset, "reset", 200, "ok", 2),
        (
            &reset,
            "connect-failure timeout 5xx",
            502,
            "upstream-reset",
            1,
        ),
        (&silent, "timeout", 200, "ok", 2),
        (
            &silent,
            "connect-failure,reset,5xx",
            504,
            "response-timeout",
            1,
        ),
        (&busy, "503", 200, "ok", 2),
        (&busy, "500-503", 200, "ok", 2),
        (&busy, "503-504", 200, "ok", 2),
        (&busy, "5xx", 200, "ok", 2),
        (&busy, "400 503", 200, "ok", 2),
        (&busy, "500-502,504", 503, "ok", 1),
        (&busy, "4xx", 503, "ok", 1),
        (&busy, "connect-failure,reset,timeout", 503, "ok", 1),
    ];
    let good = Origin::named("good");
    for place in PLACES {
        for (bad, on, status, outcome, attempts) in cases {
            let retry = format!("retry on=\"{on}\" timeout=\"1s\"");
            let proxy = proxy(place, &retry, "", &[bad, &good]);
            proxy.client().get("/");
            assert_eq!(
                ended(&proxy, "/"),
                as_told(status, outcome, attempts),
                "{bad} with {on} in {place:?}"
            );
        }
    }
}

#[test]
fn words_of_on_may_stand_in_a_block() {
    let (bad, good) = (refusing(503), Origin::named("good"));
    for place in PLACES {
        let retry = "retry { on \"reset\" \"503\" }";
        let proxy = proxy(place, retry, "", &[&bad, &good]);
        assert_eq!(proxy.client().get("/").text(), "good", "{place:?}");
        assert_eq!(ended(&proxy, "/"), as_told(200, "ok", 2));
    }
}

#[test]
fn attempts_count_the_first_one_and_the_last_answer_is_delivered_with_its_body() {
    for place in PLACES {
        for attempts in [1, 2, 5] {
            let origin = refusing(503);
            let retry = format!("retry attempts={attempts} on=\"503\" backoff=\"0s\"");
            let proxy = proxy(place, &retry, "", &[&origin]);
            let mut client = proxy.client();
            let answer = client.get("/");
            assert_eq!((answer.status, answer.text().as_str()), (503, "no"));
            assert_eq!(ended(&proxy, "/"), as_told(503, "ok", attempts));
            assert_eq!(origin.requests().len() as i64, attempts, "{place:?}");
            assert_eq!(client.get("/again").status, 503, "the connection goes on");
        }
    }
}

#[test]
fn a_request_that_may_do_harm_twice_is_sent_once_unless_that_is_allowed() {
    for place in PLACES {
        for (method, allowed, attempts) in [
            ("POST", false, 1),
            ("PATCH", false, 1),
            ("POST", true, 2),
            ("PATCH", true, 2),
            ("PUT", false, 2),
            ("DELETE", false, 2),
        ] {
            let (bad, good) = (refusing(503), Origin::echo());
            let retry = format!("retry on=\"503\" non-idempotent=#{allowed}");
            let proxy = proxy(place, &retry, "", &[&bad, &good]);
            let mut client = proxy.client();
            client.send(put("/", "body").replacen("PUT", method, 1));
            let answer = client.response();
            let said = format!("{method} with {allowed} in {place:?}");
            let status = if attempts == 1 { 503 } else { 200 };
            assert_eq!(i64::from(answer.status), status, "{said}");
            assert_eq!(
                ended(&proxy, "/"),
                as_told(status, "ok", attempts),
                "{said}"
            );
            if attempts == 2 {
                assert_eq!(good.request(0).body, b"body", "{said}");
            }
        }
    }
}

#[test]
fn an_endpoint_that_failed_is_not_tried_again_while_there_is_another() {
    let (one, two, good) = (refusing(503), refusing(503), Origin::named("good"));
    let retry = "retry on=\"503\" attempts=10";
    let proxy = proxy(Place::Cluster, retry, "", &[&one, &two, &good]);
    let mut client = proxy.client();
    for number in 0..6 {
        let path = format!("/{number}");
        assert_eq!(client.get(&path).text(), "good");
        for bad in [&one, &two] {
            let again = targets(bad)
                .iter()
                .filter(|target| **target == path)
                .count();
            assert!(again <= 1, "{path} came {again} times");
        }
    }
    assert!(!one.requests().is_empty() && !two.requests().is_empty());
}

#[test]
fn an_endpoint_that_failed_is_tried_again_when_there_is_no_other() {
    let origin = Origin::start(|mut peer| {
        while let Some(request) = peer.request() {
            if peer.number == 0 {
                peer.send("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n");
            } else {
                peer.answer(request.head.target());
            }
        }
    });
    let proxy = proxy(Place::Cluster, "retry on=\"503\"", "", &[&origin]);
    assert_eq!(proxy.client().get("/x").text(), "/x");
    assert_eq!(ended(&proxy, "/x"), as_told(200, "ok", 2));
    assert_eq!(targets(&origin), ["/x", "/x"]);
}

#[test]
fn an_attempt_has_its_own_timeout_and_the_next_endpoint_answers() {
    let (bad, good) = (silent(), Origin::named("good"));
    for place in PLACES {
        let retry = "retry on=\"timeout\" timeout=\"500ms\"";
        // Without a timeout of its own the attempt would outlast the patience of the test.
        let rest = "timeouts response=\"60s\"";
        let proxy = proxy(place, retry, rest, &[&bad, &good]);
        assert_eq!(proxy.client().get("/").text(), "good");
        let (status, outcome, attempts) = ended(&proxy, "/");
        assert_eq!((status, outcome.as_str()), (200, "ok"), "{place:?}");
        assert!(attempts >= 2);
    }
}

#[test]
fn the_response_timeout_spans_all_attempts() {
    let bad = silent();
    let retry = "retry attempts=100 on=\"timeout\" timeout=\"400ms\" backoff=\"0s\"";
    let rest = "timeouts response=\"600ms\"";
    let proxy = proxy(Place::Cluster, retry, rest, &[&bad]);
    assert_eq!(proxy.client().get("/").status, 504);
    let (status, outcome, attempts) = ended(&proxy, "/");
    assert_eq!((status, outcome.as_str()), (504, "response-timeout"));
    // Two, or one on a machine that was busy.
    assert!((1..=2).contains(&attempts), "{attempts}");
    assert!(bad.requests().len() as i64 <= attempts);
}

#[test]
fn a_retry_waits_as_long_as_backoff_and_backoff_max_say() {
    for place in PLACES {
        let bad = refusing(503);
        // The chance that a wait drawn from an hour is over in seconds is small; with either default it would be a quarter of a second at most.
        let retry = "retry on=\"503\" backoff=\"1h\" backoff-max=\"1h\"";
        let text = text(place, retry, "", &[&bad]);
        let clock = silent();
        let text = text.replace(
            "listener \"web\"",
            &format!("listener \"clock\" \"127.0.0.1:0\" {{ route {{ cluster \"clock\" }} }}\ncluster \"clock\" {{\n    timeouts response=\"1s\"\n    endpoint \"{clock}\"\n}}\nlistener \"web\""),
        );
        let proxy = Proxy::start(&text);
        let admin = Admin::of(&proxy);
        let mut client = proxy.client();
        client.send("GET /waits HTTP/1.1\r\nHost: test\r\n\r\n");
        bad.request(0);
        // A timeout of the proxy's own is the clock.
        assert_eq!(proxy.client_of("clock").get("/").status, 504);
        assert_eq!(bad.requests().len(), 1, "{place:?}");
        assert_eq!(
            admin.endpoint("c", &bad)["requests"],
            0,
            "no place while it waits"
        );
        client.abort();
        assert_eq!(ended(&proxy, "/waits"), as_told(0, "downstream-aborted", 1));
    }
}

#[test]
fn a_share_of_the_requests_is_the_most_there_is_of_retries() {
    const REQUESTS: usize = 100;
    for place in PLACES {
        let bad = [refusing(503), refusing(503)];
        let retry = "retry attempts=10 on=\"503\" budget=\"10%\" budget-min=0 backoff=\"0s\"";
        let proxy = proxy(place, retry, "", &[&bad[0], &bad[1]]);
        let mut client = proxy.client();
        for _ in 0..REQUESTS {
            let answer = client.get("/");
            assert_eq!((answer.status, answer.text().as_str()), (503, "no"));
        }
        let sent: usize = bad.iter().map(|bad| bad.requests().len()).sum();
        assert_eq!(sent, REQUESTS + REQUESTS / 10, "{place:?}");
    }
}

#[test]
fn so_many_retries_a_second_are_allowed_besides() {
    const REQUESTS: usize = 100;
    for place in PLACES {
        let bad = refusing(503);
        let retry = "retry attempts=2 on=\"503\" budget=\"0%\" budget-min=1 backoff=\"0s\"";
        let began = Instant::now();
        let proxy = proxy(place, retry, "", &[&bad]);
        let mut client = proxy.client();
        for _ in 0..REQUESTS {
            assert_eq!(client.get("/").status, 503);
        }
        let retries = bad.requests().len() - REQUESTS;
        // Ten seconds' worth is there at first.
        let most = 10 + 1 + began.elapsed().as_secs() as usize;
        assert!(
            (10..=most).contains(&retries),
            "{retries} of {most}, {place:?}"
        );
    }
}

#[test]
fn what_a_route_says_of_retries_replaces_all_that_its_cluster_says() {
    let bad = refusing(503);
    let proxy = Proxy::start(&format!(
        "listener \"web\" \"127.0.0.1:0\" {{\n    route path=\"/own\" {{ retry attempts=2; cluster \"c\" }}\n    route {{ cluster \"c\" }}\n}}\ncluster \"c\" {{\n    retry on=\"503\" attempts=4 backoff=\"0s\"\n    endpoint \"{bad}\"\n}}\n"
    ));
    let mut client = proxy.client();
    assert_eq!(
        (client.get("/own").status, client.get("/").status),
        (503, 503)
    );
    assert_eq!(
        ended(&proxy, "/own"),
        as_told(503, "ok", 1),
        "`on` has its default"
    );
    assert_eq!(ended(&proxy, "/"), as_told(503, "ok", 4));
}

#[test]
fn places_are_given_back_whatever_becomes_of_an_attempt() {
    let (_held, refused) = closed_port();
    let (reset, busy, good) = (resetting(), refusing(503), Origin::named("good"));
    let text = text(
        Place::Cluster,
        "retry attempts=4 on=\"connect-failure,reset,503\" backoff=\"0s\" budget=\"1000%\"",
        "",
        &[&refused, &reset, &busy, &good],
    );
    // A place that is not given back would leave nothing for the next request.
    let text = text.replace("    endpoint \"", "    endpoint requests-max=1 \"");
    let proxy = Proxy::start(&text);
    let mut client = proxy.client();
    for _ in 0..20 {
        assert_eq!(client.get("/").text(), "good");
    }
    let admin = Admin::of(&proxy);
    for endpoint in [&refused as &dyn Display, &reset, &busy, &good] {
        admin.wait_for_endpoint("c", &endpoint.to_string(), |report| report["requests"] == 0);
    }
}

/// Two requests for one place. The first one fails, and the place goes to the second one; it then waits for the only endpoint there is.
#[test]
fn a_retry_waits_in_the_queue_for_the_endpoint_that_failed_it_when_there_is_no_other() {
    let (fail, finish) = (Gate::default(), Gate::default());
    let (failing, finishing) = (fail.clone(), finish.clone());
    let origin = Origin::start(move |mut peer| {
        while let Some(request) = peer.request() {
            match (request.head.target(), peer.number) {
                ("/first", 0) => {
                    failing.wait();
                    peer.send("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n");
                }
                ("/second", _) => {
                    finishing.wait();
                    peer.answer("second");
                }
                _ => peer.answer("again"),
            }
        }
    });
    let text = text(
        Place::Cluster,
        "retry on=\"503\" backoff=\"0s\"",
        "queue timeout=\"10s\"",
        &[&origin],
    );
    let proxy = Proxy::start(&text.replace("    endpoint \"", "    endpoint requests-max=1 \""));
    let admin = Admin::of(&proxy);
    let ask = |path: &str| -> Client {
        let mut client = proxy.client();
        client.send(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n"));
        client
    };
    let mut first = ask("/first");
    origin.request(0);
    let mut second = ask("/second");
    wait_until_queued(&admin, 1);
    fail.open();
    origin.request(1);
    wait_until_queued(&admin, 1);
    finish.open();
    assert_eq!(second.response().text(), "second");
    assert_eq!(first.response().text(), "again");
    assert_eq!(ended(&proxy, "/first"), as_told(200, "ok", 2));
}

/// It has failed at one endpoint and waits for the other, which is taken out of service meanwhile.
#[test]
fn a_retry_does_not_wait_for_an_endpoint_that_takes_nothing_any_more() {
    let finish = Gate::default();
    let finishing = finish.clone();
    let one = Origin::start(|mut peer| {
        while peer.request().is_some() {
            if peer.number == 0 {
                peer.send("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n");
            } else {
                peer.answer("one");
            }
        }
    });
    let other = Origin::start(move |mut peer| {
        while peer.request().is_some() {
            finishing.wait();
            peer.answer("other");
        }
    });
    let text = text(
        Place::Cluster,
        "retry on=\"503\" backoff=\"0s\"",
        "queue timeout=\"60s\"",
        &[&other, &one],
    );
    let text = text.replace("    endpoint \"", "    endpoint requests-max=1 \"");
    let proxy = Proxy::start(&text);
    let admin = Admin::of(&proxy);
    let mut busy = proxy.client();
    busy.send("GET /busy HTTP/1.1\r\nHost: test\r\n\r\n");
    other.request(0);
    let mut client = proxy.client();
    client.send("GET /again HTTP/1.1\r\nHost: test\r\n\r\n");
    wait_until_queued(&admin, 1);
    admin.order("c", &other, "maintain");
    assert_eq!(client.response().text(), "one");
    assert_eq!(ended(&proxy, "/again"), as_told(200, "ok", 2));
    finish.open();
    assert_eq!(busy.response().text(), "other");
}

/// Until so many requests wait for a place.
fn wait_until_queued(admin: &Admin, count: u64) {
    crate::harness::wait(|| {
        let cluster = admin.told("GET", "/api/v1/clusters/c", "");
        match cluster["queue"].as_u64() {
            Some(found) if found == count => Ok(()),
            found => Err(format!("{found:?} wait")),
        }
    });
}

/// The response timeout is for answers: an endpoint that takes no connection does not use it up.
#[test]
fn a_connect_that_times_out_leaves_the_response_timeout_alone() {
    let (_held, _queued, deaf) = deaf_port();
    let good = Origin::named("good");
    let rest = "balancer \"first\"\ntimeouts connect=\"300ms\" response=\"200ms\"";
    let proxy = proxy(Place::Cluster, "retry attempts=2", rest, &[&deaf, &good]);
    assert_eq!(proxy.client().get("/").text(), "good");
    assert_eq!(ended(&proxy, "/"), as_told(200, "ok", 2));
}
