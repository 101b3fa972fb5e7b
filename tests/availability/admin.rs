//! The admin API: what it changes, traffic follows at once, and it outlives reloads.

use crate::harness::{
    Admin, Client, Gate, Origin, PATIENCE, Proxy, closed_port, config, endpoint_path, wait,
};
use crate::tcp::{connect, echo, end, read_exactly, server};
use std::collections::HashMap;
use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const TEXT: &str = r#"
admin "127.0.0.1:0"
listener "web" "127.0.0.1:0" {
    route { cluster "c" }
}
cluster "c" {
    CLUSTER
}
"#;

/// A proxy with an admin API, and the cluster "c" behind it.
pub(super) fn start(cluster: &str) -> (Proxy, Admin) {
    let proxy = Proxy::start(&text(cluster));
    let admin = Admin::of(&proxy);
    (proxy, admin)
}

pub(super) fn text(cluster: &str) -> String {
    config(TEXT, &[("CLUSTER", &cluster)])
}

/// Answers with its name; on the path `/held` only once the gate is open.
pub(super) fn holding(name: &'static str, gate: &Gate) -> Origin {
    let gate = gate.clone();
    Origin::start(move |mut peer| {
        while let Some(request) = peer.request() {
            if request.head.target() == "/held" {
                gate.wait();
            }
            peer.answer(name);
        }
    })
}

/// Who answers so many requests on one connection, and how many.
pub(super) fn shares(proxy: &Proxy, count: usize) -> HashMap<String, usize> {
    let mut client = proxy.client();
    let mut shares = HashMap::new();
    for _ in 0..count {
        let response = client.get("/");
        assert_eq!(response.status, 200, "{}", response.text());
        *shares.entry(response.text()).or_default() += 1;
    }
    shares
}

pub(super) fn these(shares: &[(&str, usize)]) -> HashMap<String, usize> {
    let owned = shares
        .iter()
        .map(|(name, count)| (name.to_string(), *count));
    owned.collect()
}

/// Sends a request that the origin holds, and waits until it is there.
fn hold(proxy: &Proxy, origin: &Origin) -> Client {
    let before = origin.requests().len();
    let mut client = proxy.client();
    client.send("GET /held HTTP/1.1\r\nHost: test\r\n\r\n");
    origin.request(before);
    client
}

/// Until nobody listens there any more.
pub(super) fn wait_until_refused(address: SocketAddr) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match TcpStream::connect(address) {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => return,
            _ => assert!(Instant::now() < deadline, "still listening"),
        }
        std::thread::yield_now();
    }
}

#[test]
fn the_admin_api_listens_at_each_of_its_addresses() {
    let proxy = Proxy::start(
        "admin \"127.0.0.1:0\" \"127.0.0.2:0\"\nlistener \"web\" \"127.0.0.1:0\" { route { respond 204 } }\n",
    );
    proxy.log_line("\"generation in force\"");
    let first = Admin::of(&proxy);
    let mark = proxy.log_lines();
    let mark = mark.iter().position(|line| line.contains("admin API"));
    let second = Admin::opened_after(&proxy, mark.expect("it was found") + 1);
    let ips = [first, second].map(|admin| admin.address().ip().to_string());
    assert!(
        ips.contains(&"127.0.0.1".to_owned()) && ips.contains(&"127.0.0.2".to_owned()),
        "{ips:?}"
    );
    for admin in [first, second] {
        assert_eq!(admin.ask("GET", "/live", "").text(), "live\n");
        assert_eq!(admin.ask("GET", "/ready", "").text(), "ready\n");
    }
}

#[test]
fn without_admin_there_is_no_admin_api() {
    let proxy = Proxy::start("listener \"web\" \"127.0.0.1:0\" { route { respond 204 } }\n");
    proxy.log_line("\"generation in force\"");
    let lines = proxy.log_lines();
    assert!(!lines.iter().any(|line| line.contains("admin API")));
}

#[test]
fn the_admin_api_moves_with_a_reload() {
    let text = |address: &str| {
        format!(
            "admin \"{address}\"\nlistener \"web\" \"127.0.0.1:0\" {{ route {{ respond 204 }} }}\n"
        )
    };
    let proxy = Proxy::start(&text("127.0.0.1:0"));
    let first = Admin::of(&proxy);
    let mark = proxy.log_mark();
    proxy.reload(&text("127.0.0.2:0")).expect("it is valid");
    let second = Admin::opened_after(&proxy, mark);
    assert_eq!(second.ready(), 200);
    wait_until_refused(first.address());

    let held = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let held = held.local_addr().map(|address| (held, address.to_string()));
    let (_held, address) = held.expect("bound");
    let refused = proxy.reload(&text(&address)).expect_err("it is taken");
    assert!(refused.contains("cannot listen on"), "{refused}");
    assert_eq!(second.ready(), 200, "what was refused changes nothing");
}

#[test]
fn a_page_of_another_site_cannot_use_the_admin_api() {
    let origin = Origin::named("a");
    let (_proxy, admin) = start(&format!("endpoint \"{origin}\""));
    let path = format!("{}/drain", endpoint_path("c", &origin));
    let own = format!("Host: {}\r\n", admin.address());
    for headers in [
        "Host: evil.example\r\n".to_owned(),
        format!("{own}Origin: http://evil.example\r\n"),
    ] {
        let response = Client::connect(admin.address()).ask("POST", &path, &headers);
        assert_eq!(response.status, 403, "{headers}");
    }
    assert_eq!(admin.endpoint("c", &origin)["state"], "up");
}

#[test]
fn an_endpoint_out_of_service_takes_nothing_until_it_is_ready_again() {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let (proxy, admin) = start(&format!("endpoint \"{a}\"\nendpoint \"{b}\""));
    assert_eq!(shares(&proxy, 4), these(&[("a", 2), ("b", 2)]));
    for (verb, state) in [("drain", "draining"), ("maintain", "maintenance")] {
        let report = admin.order("c", &a, verb);
        assert_eq!(report["state"], state);
        assert_eq!(report["eligible"], false, "{verb}");
        let reason = report["reason"].as_str().unwrap_or_default();
        assert!(reason.starts_with("admin 127.0.0.1:"), "{report}");
        assert_eq!(shares(&proxy, 4), these(&[("b", 4)]), "{verb}");
        assert_eq!(admin.order("c", &a, "ready")["state"], "up");
        assert_eq!(shares(&proxy, 4), these(&[("a", 2), ("b", 2)]), "{verb}");
    }
    let path = endpoint_path("c", &a);
    for (body, state) in [
        (r#"{"state":"maintain"}"#, "maintenance"),
        (r#"{"state":"drain","drain-timeout":"10m"}"#, "draining"),
        (r#"{"state":"ready"}"#, "up"),
    ] {
        assert_eq!(admin.told("PATCH", &path, body)["state"], state, "{body}");
    }
}

#[test]
fn when_every_endpoint_is_out_of_service_the_answer_is_503() {
    let origin = Origin::named("a");
    let (proxy, admin) = start(&format!("endpoint \"{origin}\""));
    admin.order("c", &origin, "maintain");
    assert_eq!(proxy.client().get("/nobody").status, 503);
    assert_eq!(proxy.line_of("/nobody").outcome(), "no-endpoint");
    assert_eq!(origin.connections(), 0);
}

#[test]
fn a_weight_counts_from_the_next_request_on() {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let (proxy, admin) = start(&format!(
        "endpoint \"{a}\" weight=2\nendpoint \"{b}\" weight=2"
    ));
    let path = endpoint_path("c", &a);
    for (weight, in_force, expected) in [
        ("6", 6, these(&[("a", 6), ("b", 2)])),
        ("0", 0, these(&[("b", 8)])),
        ("\"300%\"", 0, these(&[("b", 8)])),
        ("\"50%\"", 1, these(&[("a", 1), ("b", 2)])),
        ("\"100%\"", 2, these(&[("a", 4), ("b", 4)])),
    ] {
        let body = format!("{{\"weight\":{weight}}}");
        let response = admin.ask("PATCH", &path, &body);
        let status = if weight.contains("300") { 422 } else { 200 };
        assert_eq!(response.status, status, "{weight}: {}", response.text());
        let report = admin.endpoint("c", &a);
        assert_eq!(
            (&report["weight"], &report["written-weight"]),
            (&in_force.into(), &2.into())
        );
        let count = expected.values().sum();
        assert_eq!(shares(&proxy, count), expected, "{weight}");
    }
}

#[test]
fn an_added_endpoint_takes_traffic_until_it_is_removed() {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let (proxy, admin) = start(&format!("endpoint \"{a}\""));
    let endpoints = "/api/v1/clusters/c/endpoints";
    let body = format!(r#"{{"address":"{b}","weight":3,"requests-max":7,"zone":"z","id":"b-1"}}"#);
    let added = admin.ask("POST", endpoints, &body);
    assert_eq!(added.status, 201, "{}", added.text());
    let place = added.header("location").expect("where it is").to_owned();
    assert_eq!(shares(&proxy, 8), these(&[("a", 2), ("b", 6)]));
    let report = admin.told("GET", &place, "");
    assert_eq!(
        ["weight", "requests-max", "zone", "id", "backup"].map(|name| report[name].to_string()),
        ["3", "7", "\"z\"", "\"b-1\"", "false"]
    );
    assert_eq!(admin.ask("POST", endpoints, &body).status, 409);

    assert_eq!(admin.ask("DELETE", &place, "").status, 204);
    assert_eq!(shares(&proxy, 8), these(&[("a", 8)]));
    assert_eq!(admin.ask("GET", &place, "").status, 404);
    assert_eq!(admin.ask("DELETE", &place, "").status, 404);
    assert_eq!(admin.endpoints("c"), [a.to_string()]);
}

#[test]
fn an_added_backup_takes_traffic_when_nobody_else_can() {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let (proxy, admin) = start(&format!("endpoint \"{a}\""));
    let body = format!(r#"{{"address":"{b}","backup":true}}"#);
    admin.told("POST", "/api/v1/clusters/c/endpoints", &body);
    assert_eq!(shares(&proxy, 4), these(&[("a", 4)]));
    admin.order("c", &a, "drain");
    assert_eq!(shares(&proxy, 4), these(&[("b", 4)]));
}

#[test]
fn a_removed_endpoint_finishes_what_it_serves() {
    let gate = Gate::default();
    let (a, b) = (holding("a", &gate), Origin::named("b"));
    let (proxy, admin) = start(&format!(
        "balancer \"first\"\nendpoint \"{a}\"\nendpoint \"{b}\""
    ));
    let mut held = hold(&proxy, &a);
    admin.told("DELETE", &endpoint_path("c", &a), "");
    assert_eq!(shares(&proxy, 4), these(&[("b", 4)]));
    gate.open();
    assert_eq!(held.response().text(), "a");
    let line = proxy.line_of("/held");
    assert_eq!((line.status(), line.outcome()), (200, "ok"));
    assert_eq!(held.get("/").text(), "b", "on the same connection");
}

#[test]
fn an_endpoint_that_was_removed_can_be_added_again() {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let (proxy, admin) = start(&format!("endpoint \"{a}\"\nendpoint \"{b}\""));
    admin.told("DELETE", &endpoint_path("c", &a), "");
    assert_eq!(shares(&proxy, 2), these(&[("b", 2)]));
    let body = format!(r#"{{"address":"{a}","weight":3}}"#);
    let report = admin.told("POST", "/api/v1/clusters/c/endpoints", &body);
    assert_eq!(report["weight"], 3, "as it was asked for");
    assert_eq!(shares(&proxy, 8), these(&[("a", 6), ("b", 2)]));
}

#[test]
fn what_was_changed_at_run_time_survives_reloads() {
    let [a, b, c, d] = ["a", "b", "c", "d"].map(Origin::named);
    let cluster = format!("endpoint \"{a}\"\nendpoint \"{b}\"\nendpoint \"{d}\"");
    let (proxy, admin) = start(&cluster);
    admin.order("c", &a, "drain");
    admin.told("PATCH", &endpoint_path("c", &b), r#"{"weight":3}"#);
    let body = format!(r#"{{"address":"{c}"}}"#);
    admin.told("POST", "/api/v1/clusters/c/endpoints", &body);
    admin.told("DELETE", &endpoint_path("c", &d), "");
    for timeout in ["2s", "3s"] {
        assert_eq!(shares(&proxy, 8), these(&[("b", 6), ("c", 2)]));
        let changed = text(&format!("{cluster}\ntimeouts connect=\"{timeout}\""));
        proxy.reload(&changed).expect("it is valid");
    }
    assert_eq!(shares(&proxy, 8), these(&[("b", 6), ("c", 2)]));
    assert_eq!(admin.endpoint("c", &a)["state"], "draining");
    admin.wait_for_endpoints("c", &[&a, &b, &c]);
    admin.order("c", &a, "ready");
    assert_eq!(shares(&proxy, 10), these(&[("a", 2), ("b", 6), ("c", 2)]));
}

#[test]
fn what_cannot_be_done_is_refused_in_words_and_changes_nothing() {
    let origin = Origin::named("a");
    let (proxy, admin) = start(&format!("endpoint \"{origin}\" id=\"one\""));
    let endpoint = endpoint_path("c", &origin);
    let endpoints = "/api/v1/clusters/c/endpoints".to_owned();
    let verb = |verb: &str| format!("{endpoint}/{verb}");
    let nowhere = "/api/v1/clusters/none/endpoints".to_owned();
    let absent = endpoint_path("c", &"127.0.0.9:9");
    let address = format!(r#"{{"address":"{origin}"}}"#);
    let same_id = r#"{"address":"127.0.0.9:9","id":"one"}"#;
    for (method, path, body, status, words) in [
        ("GET", "/api/v1/clusters/none", "", 404, "no cluster `none`"),
        (
            "POST",
            &nowhere,
            r#"{"address":"127.0.0.9:9"}"#,
            404,
            "no cluster `none`",
        ),
        ("GET", &absent, "", 404, "no endpoint `127.0.0.9:9`"),
        ("PATCH", &absent, r#"{"weight":1}"#, 404, "no endpoint"),
        ("DELETE", &absent, "", 404, "no endpoint"),
        ("GET", "/api/v2", "", 404, "nothing at this path"),
        ("POST", &endpoints, &address, 409, "already"),
        ("POST", &endpoints, same_id, 422, "the id `one` already"),
        (
            "POST",
            &endpoints,
            r#"{"address":"name.example:80"}"#,
            422,
            "name.example:80",
        ),
        (
            "POST",
            &endpoints,
            r#"{"address":"127.0.0.9:9","colour":1}"#,
            422,
            "colour",
        ),
        ("PATCH", &endpoint, r#"{"weight":"#, 400, "no JSON"),
        ("PATCH", &endpoint, r#"{"weight":257}"#, 422, "256"),
        (
            "PATCH",
            &endpoint,
            r#"{"weight":0,"state":"gone"}"#,
            422,
            "gone",
        ),
        ("PATCH", &endpoint, "{}", 422, "nothing is to change"),
        (
            "POST",
            &verb("drain"),
            r#"{"drain-time":"1m"}"#,
            422,
            "drain-time",
        ),
        ("POST", &verb("explode"), "", 404, "nothing at this path"),
        ("PUT", &endpoint, "{}", 405, "PUT"),
    ] {
        let response = admin.ask(method, path, body);
        let text = response.text();
        assert_eq!(response.status, status, "{method} {path} {body}: {text}");
        let problem: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let said = problem["error"].as_str().expect("a sentence");
        assert!(said.contains(words) || text.contains(words), "{text}");
        let is_allow = response.header("allow").is_some();
        assert_eq!(is_allow, status == 405, "{method} {path}");
    }
    assert_eq!(admin.endpoints("c"), [origin.to_string()]);
    let report = admin.endpoint("c", &"one");
    assert_eq!(
        (&report["state"], &report["weight"]),
        (&"up".into(), &1.into())
    );
    assert_eq!(shares(&proxy, 2), these(&[("a", 2)]));
}

#[test]
fn the_sessions_that_are_left_of_a_drain_are_counted_down() {
    let (first, second) = (Gate::default(), Gate::default());
    let gates = [first.clone(), second.clone()];
    let origin = Origin::start(move |mut peer| {
        let gate = gates[peer.number].clone();
        while peer.request().is_some() {
            gate.wait();
            peer.answer("late");
        }
    });
    let (proxy, admin) = start(&format!("endpoint \"{origin}\""));
    let mut clients = [0, 1].map(|_| hold(&proxy, &origin));
    assert_eq!(admin.order("c", &origin, "drain")["requests"], 2);
    first.open();
    assert_eq!(clients[0].response().text(), "late");
    admin.wait_for_endpoint("c", &origin, |report| report["requests"] == 1);
    second.open();
    assert_eq!(clients[1].response().text(), "late");
    let report = admin.wait_for_endpoint("c", &origin, |report| report["requests"] == 0);
    assert_eq!(report["state"], "draining");
    for _ in 0..2 {
        assert_eq!(proxy.line_of("/held").outcome(), "ok");
    }
}

/// Binds to one endpoint by a header, and asks as one of those who are bound.
const BOUND: &str = "affinity header=\"x-user\"";

fn ask_as(proxy: &Proxy, user: &str, path: &str) -> String {
    let response = proxy
        .client()
        .ask("GET", path, &format!("x-user: {user}\r\n"));
    assert_eq!(response.status, 200, "{}", response.text());
    response.text()
}

#[test]
fn a_draining_endpoint_keeps_those_who_are_bound_to_it() {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let (proxy, admin) = start(&format!(
        "balancer \"first\"\n{BOUND}\nendpoint \"{a}\"\nendpoint \"{b}\""
    ));
    assert_eq!(ask_as(&proxy, "old", "/"), "a");
    let table = admin.told("GET", "/api/v1/clusters/c/affinity", "");
    assert_eq!(table["size"], 1);
    assert_eq!(table["entries"][0]["endpoint"], a.to_string(), "{table}");
    admin.order("c", &a, "drain");
    for _ in 0..3 {
        assert_eq!(ask_as(&proxy, "old", "/"), "a");
        assert_eq!(ask_as(&proxy, "new", "/"), "b");
    }
    admin.order("c", &a, "maintain");
    assert_eq!(ask_as(&proxy, "old", "/moved"), "b");
    assert_eq!(proxy.line_of("/moved").outcome(), "ok");
    admin.order("c", &a, "ready");
    assert_eq!(ask_as(&proxy, "old", "/"), "b", "bound anew");
}

#[test]
fn an_endpoint_of_weight_0_keeps_those_who_are_bound_to_it() {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let (proxy, admin) = start(&format!(
        "balancer \"first\"\n{BOUND}\nendpoint \"{a}\"\nendpoint \"{b}\""
    ));
    assert_eq!(ask_as(&proxy, "old", "/"), "a");
    admin.told("PATCH", &endpoint_path("c", &a), r#"{"weight":0}"#);
    for _ in 0..3 {
        assert_eq!(ask_as(&proxy, "old", "/"), "a");
        assert_eq!(ask_as(&proxy, "new", "/"), "b");
    }
}

#[test]
fn who_waits_for_an_endpoint_that_is_taken_away_goes_to_another() {
    for (method, verb, body) in [
        ("POST", "/maintain", ""),
        ("POST", "/drain", r#"{"drain-timeout":"50ms"}"#),
        ("DELETE", "", ""),
    ] {
        let gate = Gate::default();
        let (a, b) = (holding("a", &gate), Origin::named("b"));
        let (proxy, admin) = start(&format!(
            "balancer \"first\"\n{BOUND}\nqueue timeout=\"1h\"\nendpoint \"{a}\" requests-max=1\nendpoint \"{b}\""
        ));
        assert_eq!(ask_as(&proxy, "old", "/"), "a");
        let mut held = hold(&proxy, &a);
        let mut waiting = proxy.client();
        waiting.send("GET /waits HTTP/1.1\r\nHost: test\r\nx-user: old\r\n\r\n");
        admin.wait_for_endpoint("c", &a, |report| report["queue"] == 1);
        let path = format!("{}{verb}", endpoint_path("c", &a));
        admin.told(method, &path, body);
        assert_eq!(waiting.response().text(), "b", "{method} {verb}");
        assert_eq!(proxy.line_of("/waits").outcome(), "ok");
        gate.open();
        assert_eq!(held.response().text(), "a", "{method} {verb}");
    }
}

#[test]
fn who_waits_for_any_endpoint_goes_to_one_that_comes() {
    let gate = Gate::default();
    let (a, b) = (holding("a", &gate), Origin::named("b"));
    let add = format!(r#"{{"address":"{b}"}}"#);
    let endpoint = format!("endpoint \"{b}\"");
    for (method, written) in [("POST", ""), ("PATCH", endpoint.as_str())] {
        let (proxy, admin) = start(&format!(
            "queue timeout=\"1h\"\nendpoint \"{a}\" requests-max=1\n{written}"
        ));
        if method == "PATCH" {
            admin.order("c", &b, "maintain");
        }
        let _held = hold(&proxy, &a);
        let mut waiting = proxy.client();
        waiting.send("GET /waits HTTP/1.1\r\nHost: test\r\n\r\n");
        wait(
            || match admin.told("GET", "/api/v1/clusters/c", "")["queue"].as_u64() {
                Some(1) => Ok(()),
                count => Err(format!("{count:?} in the queue")),
            },
        );
        if method == "PATCH" {
            admin.told(method, &endpoint_path("c", &b), r#"{"state":"ready"}"#);
        } else {
            admin.told(method, "/api/v1/clusters/c/endpoints", &add);
        }
        assert_eq!(waiting.response().text(), "b", "{method}");
        assert_eq!(proxy.line_of("/waits").outcome(), "ok");
    }
    gate.open();
}

#[test]
fn orders_fail_no_request() {
    let [a, b, c] = ["a", "b", "c"].map(Origin::named);
    let (proxy, admin) = start(&format!("endpoint \"{a}\"\nendpoint \"{b}\""));
    let (over, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let askers: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| ask_until(&proxy, &over, &asked)))
            .collect();
        let add = format!(r#"{{"address":"{c}"}}"#);
        for _ in 0..10 {
            admin.told("POST", "/api/v1/clusters/c/endpoints", &add);
            for endpoint in [&a, &b] {
                for verb in ["drain", "ready", "maintain", "ready"] {
                    admin.order("c", endpoint, verb);
                    more(&asked, 8);
                }
            }
            admin.told("DELETE", &endpoint_path("c", &c), "");
            more(&asked, 8);
        }
        over.store(true, Ordering::Relaxed);
        for asker in askers {
            let failed = asker.join().expect("it asks and counts");
            assert_eq!(failed, Vec::<String>::new());
        }
    });
    assert!([&a, &b, &c].iter().all(|origin| origin.connections() > 0));
}

/// Asks on one connection until it is over. What was not answered with 200.
pub(super) fn ask_until(proxy: &Proxy, over: &AtomicBool, asked: &AtomicUsize) -> Vec<String> {
    let mut client = proxy.client();
    let mut failed = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let response = client.get("/");
        asked.fetch_add(1, Ordering::Relaxed);
        if response.status != 200 {
            failed.push(format!("{} {}", response.status, response.text()));
        }
        // Not as fast as it can: the machine has other tests to run.
        std::thread::sleep(Duration::from_millis(1));
    }
    failed
}

/// Until so many more requests were answered.
pub(super) fn more(asked: &AtomicUsize, count: usize) {
    let wanted = asked.load(Ordering::Relaxed) + count;
    wait(|| match asked.load(Ordering::Relaxed) {
        now if now >= wanted => Ok(()),
        now => Err(format!("{now} of {wanted} requests")),
    });
}

#[test]
fn a_drain_ends_after_the_time_that_was_given() {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let (proxy, admin) = start(&format!(
        "balancer \"first\"\n{BOUND}\nendpoint \"{a}\"\nendpoint \"{b}\""
    ));
    assert_eq!(ask_as(&proxy, "old", "/"), "a");
    let body = r#"{"state":"drain","drain-timeout":"50ms"}"#;
    admin.told("PATCH", &endpoint_path("c", &a), body);
    wait(|| match ask_as(&proxy, "old", "/") {
        name if name == "b" => Ok(()),
        name => Err(name),
    });
    assert_eq!(admin.endpoint("c", &a)["state"], "draining");
}

/// Two clusters of the same endpoints; the drain of the one was given more time than the configuration gives.
#[test]
fn the_drain_timeout_of_the_cluster_counts_unless_another_is_given() {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let cluster = format!(
        "balancer \"first\"\n{BOUND}\ndrain-timeout \"50ms\"\nendpoint \"{a}\"\nendpoint \"{b}\""
    );
    let proxy = Proxy::start(&format!(
        "admin \"127.0.0.1:0\"\nlistener \"web\" \"127.0.0.1:0\" {{\nroute path=\"/long\" {{ cluster \"long\" }}\nroute {{ cluster \"short\" }}\n}}\ncluster \"long\" {{\n{cluster}\n}}\ncluster \"short\" {{\n{cluster}\n}}\n"
    ));
    let admin = Admin::of(&proxy);
    for path in ["/long", "/short"] {
        assert_eq!(ask_as(&proxy, "old", path), "a");
    }
    let path = format!("{}/drain", endpoint_path("long", &a));
    admin.told("POST", &path, r#"{"drain-timeout":"1h"}"#);
    admin.order("short", &a, "drain");
    wait(|| match ask_as(&proxy, "old", "/short") {
        name if name == "b" => Ok(()),
        name => Err(name),
    });
    assert_eq!(ask_as(&proxy, "old", "/long"), "a");
}

#[test]
fn a_drained_tcp_endpoint_keeps_its_connections_and_takes_no_new_ones() {
    let name = |name: &'static str| {
        server(move |mut stream| {
            // A connection that ends at once has nobody to tell.
            let _ = stream.write_all(name.as_bytes());
            echo(stream);
        })
    };
    let (a, b) = (name("a"), name("b"));
    let proxy = Proxy::start(&format!(
        "admin \"127.0.0.1:0\"\nlistener \"raw\" \"127.0.0.1:0\" {{ protocol \"tcp\"; route {{ cluster \"c\" }} }}\ncluster \"c\" {{\nbalancer \"first\"\nendpoint \"{a}\"\nendpoint \"{b}\"\n}}\n"
    ));
    let admin = Admin::of(&proxy);
    let mut old = connect(proxy.address("raw"));
    assert_eq!(read_exactly(&mut old, 1), b"a");
    assert_eq!(admin.order("c", &a, "drain")["requests"], 1);
    let mut new = connect(proxy.address("raw"));
    assert_eq!(read_exactly(&mut new, 1), b"b");
    old.write_all(b"still").expect("sends");
    assert_eq!(read_exactly(&mut old, 5), b"still");
    assert_eq!(end(&proxy, old).text("endpoint"), a.to_string());
    admin.wait_for_endpoint("c", &a, |report| report["requests"] == 0);
    drop(new);
}

#[test]
fn the_list_says_what_each_endpoint_is_and_does() {
    let gate = Gate::default();
    let (busy, (_held, closed)) = (holding("a", &gate), closed_port());
    let (proxy, admin) = start(&format!(
        "balancer \"first\"\nendpoint \"{busy}\" id=\"first\" zone=\"here\" weight=5 requests-max=9\nendpoint \"{closed}\" backup=#true"
    ));
    let mut client = hold(&proxy, &busy);
    let clusters = admin.told("GET", "/api/v1/clusters", "");
    assert_eq!(clusters.as_array().map(Vec::len), Some(1));
    let report = &clusters[0]["endpoints"][0];
    for (name, expected) in [
        ("endpoint", busy.to_string().into()),
        ("address", busy.to_string().into()),
        ("id", "first".into()),
        ("state", "up".into()),
        ("eligible", true.into()),
        ("zone", "here".into()),
        ("weight", 5.into()),
        ("requests", 1.into()),
        ("requests-max", 9.into()),
        ("connections", 1.into()),
        ("queue", 0.into()),
    ] {
        let expected: serde_json::Value = expected;
        assert_eq!(report[name], expected, "{name}");
    }
    assert_eq!(clusters[0]["endpoints"][1]["backup"], true);
    assert_eq!(admin.endpoint("c", &"first"), *report, "by its id");
    gate.open();
    assert_eq!(client.response().text(), "a");
}
