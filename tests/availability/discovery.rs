//! Endpoints that are not written down: from a name server and from files, while the proxy runs.

use super::admin::{ask_until, holding, more, shares, start, text, these};
use crate::harness::{
    Admin, Gate, NameServer, Origin, Proxy, closed_port, config, endpoint_path, wait,
};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Log lines when a source fails, and when it answers again.
const FAILED: &str = "discovery failed; what was found last stays";
const WORKS: &str = "discovery works again";

/// Origins at one port of different addresses, since a name has addresses and no ports.
fn on_one_port<const N: usize>(ips: [&'static str; N]) -> ([Origin; N], u16) {
    let bind = |port| ips.map(|ip| TcpListener::bind((ip, port)).ok());
    // Bounded by luck: each time another program must have the port at one of the addresses.
    for _ in 0..100 {
        let free = TcpListener::bind((ips[0], 0)).and_then(|listener| listener.local_addr());
        let port = free.expect("a free port").port();
        let bound = bind(port);
        if bound.iter().all(Option::is_some) {
            let mut named = bound.into_iter().flatten().zip(ips);
            let origins = std::array::from_fn(|_| {
                let (listener, ip) = named.next().expect("one for each address");
                Origin::start_on(listener, move |mut peer| {
                    while peer.request().is_some() {
                        peer.answer(ip);
                    }
                })
            });
            return (origins, port);
        }
    }
    panic!("no port is free at all of the addresses");
}

/// Requests until the share of each is as it should be: a list that was found is in force a moment later.
fn wait_for_shares(proxy: &Proxy, count: usize, expected: &[(&str, usize)]) {
    let expected = these(expected);
    wait(|| match shares(proxy, count) {
        found if found == expected => Ok(()),
        found => Err(format!("{found:?}")),
    });
}

/// A proxy with these files beside its configuration.
fn start_with(files: &[(&str, &str)], cluster: &str) -> (Proxy, Admin) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content).expect("a writable folder");
    }
    let proxy = Proxy::start_in(folder, &text(cluster));
    let proxy = proxy.unwrap_or_else(|said| panic!("the proxy did not start:\n{said}"));
    let admin = Admin::of(&proxy);
    (proxy, admin)
}

#[test]
fn the_addresses_of_a_name_are_endpoints_and_change_with_it() {
    let (_origins, port) = on_one_port(["127.0.0.1", "127.0.0.2"]);
    let (one, two) = (format!("127.0.0.1:{port}"), format!("127.0.0.2:{port}"));
    let server = NameServer::start();
    // The answer would be good for an hour: that the change is seen is owed to `refresh`.
    server.tell("site.test", 3600, &["127.0.0.1"]);
    let (proxy, admin) = start(&format!(
        "discover dns=\"site.test:{port}\" refresh=\"100ms\" nameserver=\"{server}\""
    ));
    assert_eq!(shares(&proxy, 2), these(&[("127.0.0.1", 2)]), "at once");
    let endpoint = proxy.access_line(|_| true).text("endpoint").to_owned();
    assert_eq!(endpoint, one);

    server.tell("site.test", 3600, &["127.0.0.2", "127.0.0.1"]);
    admin.wait_for_endpoints("c", &[&one, &two]);
    assert_eq!(
        shares(&proxy, 4),
        these(&[("127.0.0.1", 2), ("127.0.0.2", 2)])
    );
    server.tell("site.test", 3600, &["127.0.0.2"]);
    admin.wait_for_endpoints("c", &[&two]);
    assert_eq!(shares(&proxy, 4), these(&[("127.0.0.2", 4)]));
}

#[test]
fn a_name_has_endpoints_of_both_families() {
    let server = NameServer::start();
    server.tell("site.test", 1, &["127.0.0.1", "::1", "127.0.0.7"]);
    let (_proxy, admin) = start(&format!(
        "discover dns=\"site.test:81\" nameserver=\"{server}\""
    ));
    let found = admin.endpoints("c");
    assert_eq!(found, ["127.0.0.1:81", "127.0.0.7:81", "[::1]:81"]);
    assert_eq!(admin.endpoint("c", &"[::1]:81")["address"], "[::1]:81");
}

#[test]
fn without_refresh_the_time_to_live_says_when_to_ask_again() {
    let [often, seldom] = [1, 3600].map(|ttl| {
        let server = NameServer::start();
        server.tell("site.test", ttl, &["127.0.0.1"]);
        server
    });
    let discover = |server: &NameServer, port: u16| {
        format!("discover dns=\"site.test:{port}\" nameserver=\"{server}\"\n")
    };
    let (_proxy, admin) = start(&(discover(&often, 1) + &discover(&seldom, 2)));
    often.wait_for_questions(4);
    let asked = seldom.questions();
    often.tell("site.test", 1, &["127.0.0.2"]);
    admin.wait_for_endpoints("c", &[&"127.0.0.1:2", &"127.0.0.2:1"]);
    assert_eq!(seldom.questions(), asked);
}

#[test]
fn the_next_name_server_is_asked_when_one_is_not_there() {
    let (_origins, port) = on_one_port(["127.0.0.1"]);
    let server = NameServer::start();
    server.tell("site.test", 1, &["127.0.0.1"]);
    let absent = std::net::UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
    let absent = absent.expect("a free port");
    let (proxy, _admin) = start(&format!(
        "discover dns=\"site.test:{port}\" nameserver=\"{absent}, {server}\""
    ));
    assert_eq!(shares(&proxy, 1), these(&[("127.0.0.1", 1)]));
}

#[test]
fn services_of_the_lowest_priority_share_by_weight_and_the_others_stand_by() {
    let [a, b, spare] = ["a", "b", "spare"].map(Origin::named);
    let port = |origin: &Origin| origin.address().port();
    let server = NameServer::start();
    server.tell("host.test", 3600, &["127.0.0.1"]);
    let service = (0, 3, port(&a), "host.test");
    let reserve = (10, 1, port(&spare), "host.test");
    let all = [service, (0, 1, port(&b), "host.test"), reserve];
    server.tell_services("_http._tcp.site.test", 3600, &all);
    let (proxy, admin) = start(&format!(
        "discover srv=\"_http._tcp.site.test\" refresh=\"100ms\" nameserver=\"{server}\""
    ));
    assert_eq!(shares(&proxy, 8), these(&[("a", 6), ("b", 2)]));
    assert_eq!(admin.endpoint("c", &spare)["backup"], true);
    admin.order("c", &a, "maintain");
    admin.order("c", &b, "maintain");
    assert_eq!(shares(&proxy, 2), these(&[("spare", 2)]));

    server.tell_services("_http._tcp.site.test", 3600, &[reserve]);
    admin.wait_for_endpoints("c", &[&spare]);
    assert_eq!(admin.endpoint("c", &spare)["backup"], false, "the lowest");
}

#[test]
fn what_is_found_has_the_requests_max_of_its_discover() {
    let gate = Gate::default();
    let (a, b) = (holding("a", &gate), Origin::named("b"));
    let list = format!(r#"["{a}", {{"address":"{b}","requests-max":5,"backup":true}}]"#);
    let (proxy, admin) = start_with(
        &[("list.json", &list)],
        "discover file=\"list.json\" requests-max=1\nqueue requests-max=0",
    );
    assert_eq!(admin.endpoint("c", &a)["requests-max"], 1);
    assert_eq!(admin.endpoint("c", &b)["requests-max"], 5, "its own");
    admin.told("DELETE", &endpoint_path("c", &b), "");
    let mut held = proxy.client();
    held.send("GET /held HTTP/1.1\r\nHost: test\r\n\r\n");
    a.request(0);
    assert_eq!(proxy.client().get("/full").status, 503);
    assert_eq!(proxy.line_of("/full").outcome(), "endpoints-full");
    gate.open();
    assert_eq!(held.response().status, 200);
}

#[test]
fn a_list_in_a_file_is_followed_while_it_is_edited() {
    let [a, b, c] = ["a", "b", "c"].map(Origin::named);
    let json = [
        format!(r#"["{a}"]"#),
        format!(r#"["{a}", {{"address": "{b}", "weight": 3}}]"#),
        format!(r#"["{c}"]"#),
    ];
    let kdl = [
        format!("endpoint \"{a}\"\n"),
        format!("endpoint \"{a}\"\nendpoint \"{b}\" weight=3\n"),
        format!("endpoint \"{c}\"\n"),
    ];
    for (name, [first, second, third]) in [("list.json", json), ("list.kdl", kdl)] {
        let (proxy, _admin) = start_with(&[(name, &first)], &format!("discover file=\"{name}\""));
        assert_eq!(shares(&proxy, 2), these(&[("a", 2)]), "{name}");
        proxy.replace_file(name, second.as_bytes());
        wait_for_shares(&proxy, 8, &[("a", 2), ("b", 6)]);
        // In place: as an editor does that keeps the file.
        std::fs::write(proxy.directory().join(name), third).expect("a writable folder");
        wait_for_shares(&proxy, 2, &[("c", 2)]);
    }
}

#[test]
fn an_endpoint_in_a_file_has_all_that_a_written_one_has() {
    let json = r#"[{"address":"127.0.0.1:81","weight":7,"requests-max":9,"backup":true,"zone":"z","id":"x"}]"#;
    let kdl = "endpoint \"127.0.0.1:81\" weight=7 requests-max=9 backup=#true zone=z id=x\n";
    for (name, content) in [("list.json", json), ("list.kdl", kdl)] {
        let discover = format!("discover file=\"{name}\"");
        let (_proxy, admin) = start_with(&[(name, content)], &discover);
        let report = admin.endpoint("c", &"x");
        let members = ["address", "weight", "requests-max", "backup", "zone", "id"];
        let found = members.map(|member| report[member].to_string());
        let expected = ["\"127.0.0.1:81\"", "7", "9", "true", "\"z\"", "\"x\""];
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn a_broken_file_changes_nothing_and_is_told_with_its_line() {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    for (name, good, broken, better) in [
        (
            "list.json",
            format!("[\"{a}\"]"),
            format!("[\"{b}\",\n5]"),
            format!("[\"{b}\"]"),
        ),
        (
            "list.kdl",
            format!("endpoint \"{a}\""),
            format!("endpoint \"{b}\"\nsever \"{a}\""),
            format!("endpoint \"{b}\""),
        ),
    ] {
        let (proxy, admin) = start_with(&[(name, &good)], &format!("discover file=\"{name}\""));
        proxy.replace_file(name, broken.as_bytes());
        let line: serde_json::Value =
            serde_json::from_str(&proxy.log_line(FAILED)).expect("the log is JSON");
        let error = line["error"].as_str().expect("the reason");
        assert!(error.contains(name) && error.contains('2'), "{error}");
        assert_eq!(
            (&line["level"], &line["cluster"]),
            (&"WARN".into(), &"c".into())
        );
        assert_eq!(admin.endpoints("c"), [a.to_string()]);
        assert_eq!(shares(&proxy, 2), these(&[("a", 2)]));
        proxy.replace_file(name, better.as_bytes());
        proxy.log_line(WORKS);
        admin.wait_for_endpoints("c", &[&b]);
        assert_eq!(shares(&proxy, 2), these(&[("b", 2)]));
    }
}

#[test]
fn a_file_that_is_gone_or_empty_leaves_the_last_list_in_force() {
    let a = Origin::named("a");
    let list = format!("[\"{a}\"]");
    let (proxy, _admin) = start_with(&[("list.json", &list)], "discover file=\"list.json\"");
    let file = proxy.directory().join("list.json");
    std::fs::remove_file(file).expect("it was there");
    proxy.log_line(FAILED);
    assert_eq!(shares(&proxy, 2), these(&[("a", 2)]));
    let mark = proxy.log_mark();
    proxy.replace_file("list.json", list.as_bytes());
    proxy.log_line_after(mark, WORKS);
    proxy.replace_file("list.json", b"[]");
    proxy.log_line_after(mark, FAILED);
    assert_eq!(shares(&proxy, 2), these(&[("a", 2)]));
}

#[test]
fn a_file_that_comes_later_is_found() {
    let a = Origin::named("a");
    let (proxy, _admin) = start_with(&[], "discover file=\"list.json\"");
    proxy.log_line("no endpoints found yet");
    assert_eq!(proxy.client().get("/early").status, 503);
    assert_eq!(proxy.line_of("/early").outcome(), "no-endpoint");
    proxy.replace_file("list.json", format!("[\"{a}\"]").as_bytes());
    wait(|| match proxy.client().get("/late").status {
        200 => Ok(()),
        status => Err(status.to_string()),
    });
}

#[test]
fn requests_in_flight_and_pooled_connections_stay_when_others_come_and_go() {
    let gate = Gate::default();
    let (a, b) = (holding("a", &gate), Origin::named("b"));
    let alone = format!("[\"{a}\"]");
    let (proxy, admin) = start_with(
        &[("list.json", &alone)],
        "balancer \"first\"\ndiscover file=\"list.json\" requests-max=1\nqueue requests-max=0",
    );
    let mut held = proxy.client();
    held.send("GET /held HTTP/1.1\r\nHost: test\r\n\r\n");
    a.request(0);
    proxy.replace_file("list.json", format!("[\"{a}\", \"{b}\"]").as_bytes());
    admin.wait_for_endpoints("c", &[&a, &b]);
    assert_eq!(admin.endpoint("c", &a)["requests"], 1);
    let mut client = proxy.client();
    assert_eq!(
        client.get("/").text(),
        "b",
        "the place at the first is taken"
    );
    proxy.replace_file("list.json", alone.as_bytes());
    admin.wait_for_endpoints("c", &[&a]);
    assert_eq!(client.get("/full").status, 503, "still taken");
    assert_eq!(proxy.line_of("/full").outcome(), "endpoints-full");
    gate.open();
    assert_eq!(held.response().text(), "a");
    admin.wait_for_endpoint("c", &a, |report| report["requests"] == 0);
    assert_eq!(client.get("/").text(), "a");
    assert_eq!(a.connections(), 1, "reused");
}

#[test]
fn health_and_orders_stay_when_others_come_and_go() {
    let sick = Origin::saying("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n");
    let [well, idle, new] = ["well", "idle", "new"].map(Origin::named);
    let list = format!("[\"{sick}\", \"{well}\", \"{idle}\"]");
    let (proxy, admin) = start_with(
        &[("list.json", &list)],
        "discover file=\"list.json\"\nhealth-check interval=\"1h\" interval-changing=\"20ms\" fall=1 { http \"/health\" }",
    );
    let down = admin.wait_for_endpoint("c", &sick, |report| report["state"] == "down");
    let drained = admin.order("c", &idle, "drain");
    let list = format!("[\"{new}\", \"{sick}\", \"{well}\", \"{idle}\"]");
    proxy.replace_file("list.json", list.as_bytes());
    admin.wait_for_endpoints("c", &[&sick, &well, &idle, &new]);
    let now = admin.endpoint("c", &sick);
    assert_eq!(
        (&now["state"], &now["history"]),
        (&down["state"], &down["history"])
    );
    let now = admin.endpoint("c", &idle);
    assert_eq!(
        (&now["state"], &now["history"]),
        (&drained["state"], &drained["history"])
    );
    assert_eq!(shares(&proxy, 4), these(&[("well", 2), ("new", 2)]));
}

#[test]
fn what_an_operator_removed_is_not_found_again() {
    let [a, b, c] = ["a", "b", "c"].map(Origin::named);
    let list = format!("[\"{a}\", \"{b}\"]");
    let (proxy, admin) = start_with(&[("list.json", &list)], "discover file=\"list.json\"");
    admin.told("DELETE", &endpoint_path("c", &b), "");
    for (now, expected) in [
        (format!("[\"{a}\", \"{b}\", \"{c}\"]"), [&a, &c].as_slice()),
        (format!("[\"{c}\"]"), &[&c]),
        (format!("[\"{b}\", \"{a}\"]"), &[&a]),
    ] {
        proxy.replace_file("list.json", now.as_bytes());
        let expected: Vec<_> = expected.iter().map(|one| *one as &dyn ToString).collect();
        admin.wait_for_endpoints("c", &expected);
    }
    assert_eq!(shares(&proxy, 4), these(&[("a", 4)]));
}

#[test]
fn what_an_operator_removed_can_be_added_again() {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let list = format!("[\"{a}\", \"{b}\"]");
    let (proxy, admin) = start_with(&[("list.json", &list)], "discover file=\"list.json\"");
    admin.told("DELETE", &endpoint_path("c", &b), "");
    admin.wait_for_endpoints("c", &[&a]);
    let body = format!(r#"{{"address":"{b}"}}"#);
    admin.told("POST", "/api/v1/clusters/c/endpoints", &body);
    assert_eq!(shares(&proxy, 4), these(&[("a", 2), ("b", 2)]));
}

#[test]
fn a_list_that_changes_fails_no_request() {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let both = format!("[\"{a}\", \"{b}\"]");
    let (proxy, admin) = start_with(&[("list.json", &both)], "discover file=\"list.json\"");
    let (over, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let askers: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| ask_until(&proxy, &over, &asked)))
            .collect();
        for one in [&a, &b, &a, &b] {
            proxy.replace_file("list.json", format!("[\"{one}\"]").as_bytes());
            admin.wait_for_endpoints("c", &[one]);
            more(&asked, 8);
        }
        over.store(true, Ordering::Relaxed);
        for asker in askers {
            let failed = asker.join().expect("it asks and counts");
            assert_eq!(failed, Vec::<String>::new());
        }
    });
}

#[test]
fn an_endpoint_that_is_no_longer_found_finishes_its_requests() {
    let gate = Gate::default();
    let (a, b) = (holding("a", &gate), Origin::named("b"));
    let list = format!("[\"{a}\"]");
    let (proxy, admin) = start_with(&[("list.json", &list)], "discover file=\"list.json\"");
    let mut held = proxy.client();
    held.send("GET /held HTTP/1.1\r\nHost: test\r\n\r\n");
    a.request(0);
    proxy.replace_file("list.json", format!("[\"{b}\"]").as_bytes());
    admin.wait_for_endpoints("c", &[&b]);
    assert_eq!(shares(&proxy, 3), these(&[("b", 3)]));
    gate.open();
    assert_eq!(held.response().text(), "a");
    let line = proxy.line_of("/held");
    assert_eq!((line.status(), line.outcome()), (200, "ok"));
    assert_eq!(line.text("endpoint"), a.to_string());
}

#[test]
fn the_last_answer_stays_in_force_while_the_name_server_is_silent() {
    let (_origins, port) = on_one_port(["127.0.0.1", "127.0.0.2"]);
    let server = NameServer::start();
    server.tell("site.test", 1, &["127.0.0.1"]);
    let cluster = |timeout: &str| {
        format!(
            "discover dns=\"site.test:{port}\" refresh=\"100ms\" nameserver=\"{server}\"\ntimeouts connect=\"{timeout}\""
        )
    };
    let (proxy, _admin) = start(&cluster("2s"));
    server.be_silent(true);
    let line = proxy.log_line(FAILED);
    assert!(line.contains("site.test"), "{line}");
    assert_eq!(shares(&proxy, 2), these(&[("127.0.0.1", 2)]));
    proxy.reload(&text(&cluster("3s"))).expect("it is valid");
    assert_eq!(
        shares(&proxy, 2),
        these(&[("127.0.0.1", 2)]),
        "after a reload too"
    );
    server.tell("site.test", 1, &["127.0.0.2"]);
    server.be_silent(false);
    wait_for_shares(&proxy, 2, &[("127.0.0.2", 2)]);
    proxy.log_line(WORKS);
}

#[test]
fn the_last_answer_stays_in_force_when_the_name_is_gone() {
    let (_origins, port) = on_one_port(["127.0.0.1"]);
    let server = NameServer::start();
    server.tell("site.test", 1, &["127.0.0.1"]);
    let (proxy, _admin) = start(&format!(
        "discover dns=\"site.test:{port}\" refresh=\"100ms\" nameserver=\"{server}\""
    ));
    server.tell("site.test", 1, &[]);
    proxy.log_line(FAILED);
    assert_eq!(shares(&proxy, 2), these(&[("127.0.0.1", 2)]));
    server.tell("site.test", 1, &["127.0.0.1"]);
    proxy.log_line(WORKS);
}

#[test]
fn a_start_without_an_answer_serves_everything_else() {
    let (_origins, port) = on_one_port(["127.0.0.1"]);
    let origin = Origin::named("other");
    let server = NameServer::start();
    server.tell("site.test", 1, &["127.0.0.1"]);
    server.be_silent(true);
    let text = r#"
listener "web" "127.0.0.1:0" {
    route path="/other" { cluster "other" }
    route { cluster "found" }
}
cluster "other" { endpoint "ORIGIN" }
cluster "found" { discover dns="site.test:PORT" refresh="100ms" nameserver="SERVER" }
"#;
    let values: [(&str, &dyn std::fmt::Display); 3] =
        [("ORIGIN", &origin), ("PORT", &port), ("SERVER", &server)];
    let proxy = Proxy::start(&config(text, &values));
    proxy.log_line("no endpoints found yet");
    assert_eq!(proxy.client().get("/other").text(), "other");
    assert_eq!(proxy.client().get("/early").status, 503);
    assert_eq!(proxy.line_of("/early").outcome(), "no-endpoint");
    server.be_silent(false);
    wait(|| match proxy.client().get("/late").text() {
        name if name == "127.0.0.1" => Ok(()),
        said => Err(said),
    });
}

#[test]
fn written_and_found_endpoints_serve_together_until_the_source_is_taken_away() {
    let [a, b, c] = ["a", "b", "c"].map(Origin::named);
    let json = format!("[\"{a}\", \"{b}\"]");
    let kdl = format!("endpoint \"{b}\"\nendpoint \"{c}\"");
    let (proxy, admin) = start_with(
        &[("list.json", &json), ("list.kdl", &kdl)],
        &format!(
            "endpoint \"{a}\" weight=2\ndiscover file=\"list.json\"\ndiscover file=\"list.kdl\""
        ),
    );
    let names = [&a, &b, &c].map(ToString::to_string);
    assert_eq!(admin.endpoints("c"), names, "each once, and in this order");
    assert_eq!(shares(&proxy, 4), these(&[("a", 2), ("b", 1), ("c", 1)]));
    let fewer = format!("endpoint \"{a}\"\ndiscover file=\"list.kdl\"");
    proxy.reload(&text(&fewer)).expect("it is valid");
    assert_eq!(shares(&proxy, 3), these(&[("a", 1), ("b", 1), ("c", 1)]));
    let written = format!("endpoint \"{a}\"");
    proxy.reload(&text(&written)).expect("it is valid");
    assert_eq!(shares(&proxy, 3), these(&[("a", 3)]));
}

/// Nothing but the list holds on to an endpoint that nobody speaks to, so a list without it, if only for a moment, shows.
#[test]
fn an_endpoint_keeps_its_state_when_it_is_found_instead_of_written() {
    let ((_held, closed), well) = (closed_port(), Origin::named("well"));
    let json = format!("[\"{closed}\", \"{well}\"]");
    let kdl = format!("endpoint \"{closed}\"\nendpoint \"{well}\"\n");
    let whole = |endpoints: &str| {
        format!(
            "{endpoints}\noutlier-detection consecutive-connect-failures=1 ejection=\"1h\" ejection-max=\"1h\""
        )
    };
    let files = [("list.json", json.as_str()), ("list.kdl", &kdl)];
    let (proxy, admin) = start_with(&files, &whole(&kdl));
    assert_eq!(shares(&proxy, 2), these(&[("well", 2)]));
    let ejected = admin.endpoint("c", &closed);
    assert_eq!(ejected["state"], "ejected");
    for endpoints in [
        "discover file=\"list.json\"",
        "discover file=\"list.kdl\"",
        &kdl,
    ] {
        proxy.reload(&text(&whole(endpoints))).expect("it is valid");
        let now = admin.endpoint("c", &closed);
        assert_eq!(now["state"], "ejected", "{endpoints}");
        assert_eq!(now["history"], ejected["history"], "{endpoints}");
        assert_eq!(shares(&proxy, 2), these(&[("well", 2)]), "{endpoints}");
    }
    assert_eq!(well.connections(), 1);
}

#[test]
fn a_discover_that_cannot_be_is_refused_at_its_place() {
    for (discover, words) in [
        ("discover", "dns"),
        ("discover file=\"list.txt\"", ".json"),
        ("discover file=\"list.json\" refresh=\"1s\"", "refresh"),
        ("discover dns=\"name\"", "name"),
    ] {
        let refused = Proxy::try_start(&text(discover)).err();
        let said = refused.unwrap_or_else(|| panic!("it is no good: {discover}"));
        assert!(
            said.contains("config.kdl:") && said.contains(words),
            "{said}"
        );
    }
}
