//! Requests that wait for a place: in which order, for how long, how many, and for whom.

use super::scene::{
    Gates, asking, before, cluster, plain, put, queued, start, until_idle, until_queue, whole,
};
use crate::harness::{Client, Origin, Proxy};
use crate::plugins::guests;

/// Targets in the order in which they came to the origin.
fn order(origin: &Origin) -> Vec<String> {
    let requests = origin.requests();
    let targets = requests.iter().map(|request| request.head.target());
    targets.map(str::to_owned).collect()
}

/// Takes the one place with `/held/first`.
fn fill(proxy: &Proxy, origin: &Origin) -> Client {
    let first = asking(proxy, "/held/first");
    origin.request(0);
    first
}

fn finish(clients: impl IntoIterator<Item = Client>) {
    for mut client in clients {
        assert_eq!(client.response().status, 200);
    }
}

#[test]
fn who_waits_is_served_in_the_order_of_arrival() {
    let gates = Gates::default();
    let origin = gates.origin("ok");
    let proxy = before(
        2,
        &format!("endpoint \"{origin}\" requests-max=1\nqueue timeout=\"20s\""),
    );
    let mut clients = vec![fill(&proxy, &origin)];
    let targets = ["/1", "/2", "/3", "/4", "/5", "/6"];
    for (count, target) in (1..).zip(targets) {
        clients.push(queued(&proxy, target, count));
    }
    gates.open("/held/first");
    finish(clients);
    assert_eq!(order(&origin)[1..], targets);
    for target in targets {
        assert!(proxy.line_of(target).number("queue_us") > 0);
    }
}

#[test]
fn a_lower_priority_of_the_route_goes_first() {
    let gates = Gates::default();
    let origin = gates.origin("ok");
    let proxy = start(
        2,
        &format!(
            r#"listener "web" "127.0.0.1:0" {{
    route path="/late*" {{ priority 2047; cluster "c" }}
    route path="/urgent*" {{ priority -5; cluster "c" }}
    route {{ cluster "c" }}
}}
cluster "c" {{ endpoint "{origin}" requests-max=1; queue timeout="20s" }}
"#
        ),
    );
    let mut clients = vec![fill(&proxy, &origin)];
    let arrived = [
        "/late-1",
        "/plain-1",
        "/urgent-1",
        "/late-2",
        "/plain-2",
        "/urgent-2",
    ];
    for (count, target) in (1..).zip(arrived) {
        clients.push(queued(&proxy, target, count));
    }
    gates.open("/held/first");
    finish(clients);
    let served = [
        "/urgent-1",
        "/urgent-2",
        "/plain-1",
        "/plain-2",
        "/late-1",
        "/late-2",
    ];
    assert_eq!(order(&origin)[1..], served);
}

#[test]
fn a_filter_sets_the_priority_and_its_word_counts_more_than_the_route() {
    let gates = Gates::default();
    let origin = gates.origin("ok");
    let directory = tempfile::tempdir().expect("a temporary folder");
    std::fs::copy(guests::hostile(), directory.path().join("hostile.wasm")).expect("it was built");
    let text = format!(
        r#"plugin "hostile" "hostile.wasm" {{ time-max "5s" }}
listener "web" "127.0.0.1:0" {{
    route path="/raised" {{ priority 100; filters {{ hostile {{ mode "priority" }} }}; cluster "c" }}
    route path="/urgent" {{ priority -2046; cluster "c" }}
    route {{ cluster "c" }}
}}
cluster "c" {{ endpoint "{origin}" requests-max=1; queue timeout="20s" }}
"#
    );
    let proxy = Proxy::start_in(directory, &whole(1, &text)).expect("it is valid");
    let mut clients = vec![fill(&proxy, &origin)];
    for (count, target) in (1..).zip(["/plain", "/urgent", "/raised"]) {
        clients.push(queued(&proxy, target, count));
    }
    gates.open("/held/first");
    finish(clients);
    assert_eq!(order(&origin)[1..], ["/raised", "/urgent", "/plain"]);
}

/// Microseconds that a timeout of 200 ms takes at least: where the event loop is late, its clock is up to two ticks of 20 ms behind.
pub(super) const LEAST_OF_200_MS: i64 = 150_000;

/// Asks in vain while the one place is taken: status, outcome and time in the queue.
fn refused(cluster: &str) -> (u16, String, i64) {
    let gates = Gates::default();
    let origin = gates.origin("ok");
    let proxy = before(
        1,
        &format!("endpoint \"{origin}\" requests-max=1\n{cluster}"),
    );
    let first = fill(&proxy, &origin);
    let status = proxy.client().get("/refused").status;
    let line = proxy.line_of("/refused");
    assert_eq!((line.text("endpoint"), line.number("attempts")), ("", 0));
    gates.open("/held/first");
    finish([first]);
    assert_eq!(origin.requests().len(), 1);
    assert_eq!(proxy.client().get("/after").status, 200);
    (status, line.outcome().to_owned(), line.number("queue_us"))
}

#[test]
fn a_wait_ends_with_the_queue_timeout() {
    // Were it the connect timeout, the test would wait for an hour.
    let (status, outcome, waited) = refused("queue timeout=\"200ms\"\ntimeouts connect=\"1h\"");
    assert_eq!((status, outcome.as_str()), (503, "queue-timeout"));
    assert!(waited >= LEAST_OF_200_MS, "{waited} us");
}

#[test]
fn without_a_queue_timeout_a_wait_ends_with_the_connect_timeout() {
    let (status, outcome, waited) = refused("timeouts connect=\"200ms\"");
    assert_eq!((status, outcome.as_str()), (503, "queue-timeout"));
    assert!(waited >= LEAST_OF_200_MS, "{waited} us");
}

#[test]
fn with_a_queue_for_nobody_a_full_endpoint_refuses_at_once() {
    let (status, outcome, _) = refused("queue requests-max=0 timeout=\"1h\"");
    assert_eq!((status, outcome.as_str()), (503, "endpoints-full"));
}

#[test]
fn who_comes_to_a_full_queue_is_refused_at_once() {
    let gates = Gates::default();
    let origin = gates.origin("ok");
    let proxy = before(
        2,
        &format!("endpoint \"{origin}\" requests-max=1\nqueue requests-max=2 timeout=\"20s\""),
    );
    let mut clients = vec![fill(&proxy, &origin)];
    clients.push(queued(&proxy, "/1", 1));
    clients.push(queued(&proxy, "/2", 2));
    assert_eq!(proxy.client().get("/third").status, 503);
    assert_eq!(proxy.line_of("/third").outcome(), "queue-full");
    gates.open("/held/first");
    finish(clients);
    assert_eq!(proxy.client().get("/after").status, 200);
    assert_eq!(order(&origin), ["/held/first", "/1", "/2", "/after"]);
}

#[test]
fn who_leaves_the_queue_is_never_sent_and_the_next_takes_its_turn() {
    let gates = Gates::default();
    let origin = gates.origin("ok");
    let proxy = before(
        2,
        &format!("endpoint \"{origin}\" requests-max=1\nqueue timeout=\"20s\""),
    );
    let first = fill(&proxy, &origin);
    let resets = queued(&proxy, "/resets", 1);
    let closes = queued(&proxy, "/closes", 2);
    let stays = queued(&proxy, "/stays", 3);
    resets.abort();
    until_queue(&proxy, 2);
    drop(closes);
    until_queue(&proxy, 1);
    for target in ["/resets", "/closes"] {
        let line = proxy.line_of(target);
        assert_eq!((line.outcome(), line.status()), ("downstream-aborted", 0));
        assert_eq!(line.number("attempts"), 0);
    }
    gates.open("/held/first");
    finish([first, stays]);
    assert_eq!(order(&origin), ["/held/first", "/stays"]);
    until_idle(&proxy);
}

#[test]
fn who_leaves_behind_bytes_that_nobody_has_read_is_out_of_the_queue_too() {
    let gates = Gates::default();
    let origin = gates.origin("ok");
    let proxy = before(
        1,
        &format!("endpoint \"{origin}\" requests-max=1\nqueue timeout=\"20s\""),
    );
    let first = fill(&proxy, &origin);
    let mut leaves = proxy.client();
    leaves.send("POST /leaves HTTP/1.1\r\nHost: test\r\nContent-Length: 20\r\n\r\nten bytes.");
    until_queue(&proxy, 1);
    // It arrives while the request waits, and stays unread.
    leaves.send("more");
    drop(leaves);
    until_queue(&proxy, 0);
    assert_eq!(proxy.line_of("/leaves").outcome(), "downstream-aborted");
    gates.open("/held/first");
    finish([first]);
    assert_eq!(order(&origin), ["/held/first"]);
}

/// Others may wait for an endpoint to come back; that is no reason to join them.
#[test]
fn where_nobody_takes_requests_nobody_is_waited_for() {
    let gates = Gates::default();
    let origin = gates.origin("ok");
    let proxy = before(
        1,
        &format!("endpoint \"{origin}\" requests-max=1 id=\"a\"\nqueue timeout=\"20s\""),
    );
    let first = fill(&proxy, &origin);
    let waits = queued(&proxy, "/waits", 1);
    put(&proxy, "a", "maintain");
    assert_eq!(proxy.client().get("/late").status, 503);
    assert_eq!(proxy.line_of("/late").outcome(), "no-endpoint");
    put(&proxy, "a", "ready");
    gates.open("/held/first");
    finish([first, waits]);
}

/// Two endpoints with one place each, and a key that binds; "bound" is on the first.
fn bound(queue: &str) -> (Gates, [Origin; 2], Proxy) {
    let gates = Gates::default();
    let origins = [gates.origin("a"), gates.origin("b")];
    let [a, b] = &origins;
    let proxy = before(
        2,
        &format!(
            "balancer \"first\"\nendpoint \"{a}\" requests-max=1 id=\"a\"\nendpoint \"{b}\" requests-max=1 id=\"b\"\naffinity header=\"x-key\"\n{queue}"
        ),
    );
    assert_eq!(ask_bound(&proxy, "/learn").text(), "a");
    // From then on its place is free again.
    proxy.line_of("/learn");
    (gates, origins, proxy)
}

fn send_bound(proxy: &Proxy, target: &str) -> Client {
    let mut client = proxy.client();
    client.send(format!(
        "GET {target} HTTP/1.1\r\nHost: test\r\nx-key: bound\r\n\r\n"
    ));
    client
}

fn ask_bound(proxy: &Proxy, target: &str) -> crate::harness::Response {
    send_bound(proxy, target).response()
}

#[test]
fn a_bound_request_waits_for_its_endpoint_while_another_has_room() {
    let (gates, [a, b], proxy) = bound("queue timeout=\"20s\"");
    let held = asking(&proxy, "/held/x");
    a.request(1);
    let mut waiting = send_bound(&proxy, "/bound");
    until_queue(&proxy, 1);
    let report = cluster(&proxy);
    assert_eq!(report["endpoints"][0]["queue"], 1, "in its own queue");
    assert_eq!(
        proxy.client().get("/other").text(),
        "b",
        "the other has room"
    );
    gates.open("/held/x");
    finish([held]);
    assert_eq!(waiting.response().text(), "a");
    let line = proxy.line_of("/bound");
    assert_eq!((line.outcome(), line.text("affinity")), ("ok", "valid"));
    assert!(line.number("queue_us") > 0);
    assert_eq!(order(&b), ["/other"]);
}

#[test]
fn when_the_queue_of_its_endpoint_is_full_a_bound_request_goes_elsewhere() {
    let (gates, [a, _b], proxy) = bound("queue timeout=\"20s\" endpoint-requests-max=1");
    let held = asking(&proxy, "/held/x");
    a.request(1);
    let mut waiting = send_bound(&proxy, "/bound");
    until_queue(&proxy, 1);
    assert_eq!(ask_bound(&proxy, "/moved").text(), "b");
    let line = proxy.line_of("/moved");
    assert_eq!(
        (line.outcome(), line.text("affinity_issued")),
        ("ok", "remembered")
    );
    gates.open("/held/x");
    finish([held]);
    assert_eq!(waiting.response().text(), "a");
}

#[test]
fn who_waits_for_an_endpoint_that_leaves_service_goes_elsewhere() {
    let (gates, [a, _b], proxy) = bound("queue timeout=\"20s\"");
    let held = asking(&proxy, "/held/x");
    a.request(1);
    let mut waiting = send_bound(&proxy, "/bound");
    until_queue(&proxy, 1);
    put(&proxy, "a", "maintain");
    assert_eq!(waiting.response().text(), "b");
    assert_eq!(proxy.line_of("/bound").outcome(), "ok");
    gates.open("/held/x");
    finish([held]);
}

#[test]
fn the_queue_goes_on_across_a_reload() {
    let gates = Gates::default();
    let origin = gates.origin("ok");
    let text = |priority: i32| {
        whole(
            2,
            &plain(&format!(
                "endpoint \"{origin}\" requests-max=1\nqueue timeout=\"20s\""
            ))
            .replace("route {", &format!("route {{ priority {priority};")),
        )
    };
    let proxy = Proxy::start(&text(0));
    let first = fill(&proxy, &origin);
    let before = queued(&proxy, "/before", 1);
    proxy.reload(&text(-1)).expect("it is valid");
    until_queue(&proxy, 1);
    let after = queued(&proxy, "/after", 2);
    gates.open("/held/first");
    finish([first, before, after]);
    assert_eq!(
        order(&origin)[1..],
        ["/after", "/before"],
        "one queue for both generations, by the new priority"
    );
    let generation = |target: &str| proxy.line_of(target).number("generation");
    assert!(generation("/before") < generation("/after"));
}

#[test]
fn a_reload_that_makes_room_lets_those_in_who_wait() {
    let gates = Gates::default();
    let origin = gates.origin("ok");
    let text = |places: u32| {
        let cluster = format!("endpoint \"{origin}\" requests-max={places}\nqueue timeout=\"20s\"");
        whole(2, &plain(&cluster))
    };
    let proxy = Proxy::start(&text(1));
    let first = fill(&proxy, &origin);
    let waiting = [queued(&proxy, "/1", 1), queued(&proxy, "/2", 2)];
    proxy.reload(&text(3)).expect("it is valid");
    finish(waiting);
    gates.open("/held/first");
    finish([first]);
}

#[test]
fn an_endpoint_that_comes_into_service_takes_those_who_wait() {
    let gates = Gates::default();
    let (a, b) = (gates.origin("a"), gates.origin("b"));
    let proxy = before(
        2,
        &format!(
            "endpoint \"{a}\" requests-max=1\nendpoint \"{b}\" requests-max=1 id=\"b\"\nqueue timeout=\"20s\""
        ),
    );
    put(&proxy, "b", "maintain");
    let first = fill(&proxy, &a);
    let mut waiting = queued(&proxy, "/waits", 1);
    put(&proxy, "b", "ready");
    assert_eq!(waiting.response().text(), "b");
    gates.open("/held/first");
    finish([first]);
}
