//! Who takes traffic when not everybody can: panic, backups, zones, slow start, weight 0.

use super::admin::{holding, shares, start, these};
use super::health::{echo_on, raw};
use super::patient::{CHECK, Patient, bring_up, is_down, is_up, said_of, take_down};
use crate::harness::{Admin, Gate, Proxy, closed_port, wait};
use crate::tcp::{echo, end, established, server};

/// Endpoints with these names and properties, checked.
fn cluster<const N: usize>(
    endpoints: [(&'static str, &str); N],
    keys: &str,
) -> ([Patient; N], Proxy, Admin) {
    let patients = endpoints.map(|(name, _)| Patient::named(name));
    let listed = patients.iter().zip(endpoints);
    let listed: String = listed
        .map(|(patient, (_, properties))| format!("endpoint \"{patient}\" {properties}\n"))
        .collect();
    let (proxy, admin) = start(&format!("{listed}{CHECK}\n{keys}"));
    (patients, proxy, admin)
}

fn is_panic(admin: &Admin) -> bool {
    let report = admin.told("GET", "/api/v1/clusters/c", "");
    report["panic"].as_bool().expect("it says so")
}

fn assert_none(proxy: &Proxy, path: &str) {
    assert_eq!(proxy.client().get(path).status, 503);
    assert_eq!(proxy.line_of(path).outcome(), "no-endpoint");
}

#[test]
fn below_the_panic_threshold_health_is_ignored() {
    let endpoints = [("a", ""), ("b", ""), ("c", ""), ("d", "")];
    let ([a, b, c, d], proxy, admin) = cluster(endpoints, "panic-threshold \"50%\"");
    take_down(&proxy, &a);
    take_down(&proxy, &b);
    assert_eq!(
        shares(&proxy, 8),
        these(&[("c", 4), ("d", 4)]),
        "a half is enough"
    );
    assert!(!is_panic(&admin));
    take_down(&proxy, &c);
    let all = these(&[("a", 2), ("b", 2), ("c", 2), ("d", 2)]);
    assert_eq!(shares(&proxy, 8), all);
    assert!(is_panic(&admin));
    proxy.log_line("passed the panic threshold");
    take_down(&proxy, &d);
    assert_eq!(shares(&proxy, 8), all);
    bring_up(&proxy, &d);
    bring_up(&proxy, &a);
    assert_eq!(shares(&proxy, 8), these(&[("a", 4), ("d", 4)]));
    assert!(!is_panic(&admin));
}

#[test]
fn without_a_panic_threshold_health_is_never_ignored() {
    for keys in ["", "panic-threshold \"off\""] {
        let ([a, b], proxy, admin) = cluster([("a", ""), ("b", "")], keys);
        take_down(&proxy, &a);
        take_down(&proxy, &b);
        assert_none(&proxy, "/none");
        assert!(!is_panic(&admin));
    }
}

#[test]
fn an_ejected_endpoint_is_not_healthy_for_the_panic_threshold() {
    let (a, b) = (Patient::named("a"), Patient::named("b"));
    let (proxy, _) = start(&format!(
        "endpoint \"{a}\"\nendpoint \"{b}\"\noutlier-detection consecutive-failures=1\npanic-threshold \"51%\""
    ));
    a.answers(500);
    let mut client = proxy.client();
    client.get("/");
    client.get("/");
    a.answers(200);
    said_of(&proxy, 0, "endpoint ejected", "c", &a);
    assert_eq!(shares(&proxy, 10), these(&[("a", 5), ("b", 5)]));
}

#[test]
fn the_first_usable_backup_takes_over_and_gives_back() {
    for keys in ["", "backups \"first\""] {
        // Its place in the file does not matter.
        let endpoints = [("x", "backup=#true"), ("a", ""), ("y", "backup=#true")];
        let ([x, a, y], proxy, _) = cluster(endpoints, keys);
        assert_eq!(shares(&proxy, 6), these(&[("a", 6)]));
        take_down(&proxy, &a);
        assert_eq!(shares(&proxy, 6), these(&[("x", 6)]));
        assert_eq!(proxy.client().get("/x").text(), "x");
        let line = proxy.line_of("/x");
        assert_eq!(
            (line.outcome(), line.text("endpoint")),
            ("ok", x.to_string().as_str())
        );
        take_down(&proxy, &x);
        assert_eq!(shares(&proxy, 6), these(&[("y", 6)]));
        take_down(&proxy, &y);
        assert_none(&proxy, "/none");
        bring_up(&proxy, &x);
        bring_up(&proxy, &a);
        assert_eq!(shares(&proxy, 6), these(&[("a", 6)]));
    }
}

#[test]
fn all_backups_take_over_where_that_is_said() {
    let endpoints = [("a", ""), ("x", "backup=#true"), ("y", "backup=#true")];
    let ([a, x, _y], proxy, _) = cluster(endpoints, "backups \"all\"");
    take_down(&proxy, &a);
    assert_eq!(shares(&proxy, 6), these(&[("x", 3), ("y", 3)]));
    take_down(&proxy, &x);
    assert_eq!(shares(&proxy, 6), these(&[("y", 6)]));
    bring_up(&proxy, &a);
    assert_eq!(shares(&proxy, 6), these(&[("a", 6)]));
}

#[test]
fn a_backup_takes_the_connections_of_a_tcp_cluster_over() {
    let (held, first) = closed_port();
    let backup = server(echo);
    let proxy = raw(&format!(
        "endpoint \"{first}\"\nendpoint \"{backup}\" backup=#true\nhealth-check interval=\"20ms\" timeout=\"60s\" rise=1 fall=1"
    ));
    let taken = || {
        let line = end(&proxy, established(proxy.address("raw")));
        line.text("endpoint").to_owned()
    };
    assert_eq!(is_down(&proxy, 0, &first), "connection refused");
    assert_eq!(taken(), backup.to_string());
    echo_on(held);
    assert_eq!(is_up(&proxy, 0, &first), "connected");
    assert_eq!(taken(), first.to_string());
}

const ZONES: [(&str, &str); 4] = [
    ("near", "zone=\"eu-1\""),
    ("far", "zone=\"eu-2\""),
    ("close", "zone=\"eu-1\""),
    ("nowhere", ""),
];

#[test]
fn a_preferred_zone_takes_all_while_enough_of_it_is_usable() {
    // Half of it is left: too little for the default of 70 %, enough for 50 %.
    for (keys, left) in [
        (
            "prefer-zone \"eu-1\"",
            &[("close", 2), ("far", 2), ("nowhere", 2)][..],
        ),
        ("prefer-zone \"eu-1\" spill-below=\"50%\"", &[("close", 6)]),
    ] {
        let ([near, _far, close, _nowhere], proxy, _) = cluster(ZONES, keys);
        assert_eq!(shares(&proxy, 6), these(&[("near", 3), ("close", 3)]));
        take_down(&proxy, &near);
        assert_eq!(shares(&proxy, 6), these(left), "{keys}");
        take_down(&proxy, &close);
        assert_eq!(shares(&proxy, 6), these(&[("far", 3), ("nowhere", 3)]));
        bring_up(&proxy, &near);
        bring_up(&proxy, &close);
        assert_eq!(shares(&proxy, 6), these(&[("near", 3), ("close", 3)]));
    }
}

#[test]
fn what_a_preferred_zone_has_no_room_for_goes_elsewhere() {
    let gate = Gate::default();
    let (near, far) = (holding("near", &gate), holding("far", &gate));
    let (proxy, _) = start(&format!(
        "endpoint \"{far}\" zone=\"eu-2\"\nendpoint \"{near}\" zone=\"eu-1\" requests-max=1\nprefer-zone \"eu-1\""
    ));
    assert_eq!(shares(&proxy, 4), these(&[("near", 4)]));
    let mut held = proxy.client();
    held.send("GET /held HTTP/1.1\r\nHost: test\r\n\r\n");
    near.request(4);
    assert_eq!(shares(&proxy, 4), these(&[("far", 4)]));
    gate.open();
    assert_eq!(held.response().text(), "near");
    // The place is given back after the response.
    proxy.line_of("/held");
    assert_eq!(shares(&proxy, 4), these(&[("near", 4)]));
}

#[test]
fn an_endpoint_that_comes_back_begins_with_a_small_share() {
    let ([a, _b], proxy, _) = cluster([("a", ""), ("b", "")], "slow-start \"1h\"");
    let even = these(&[("a", 5), ("b", 5)]);
    assert_eq!(
        shares(&proxy, 10),
        even,
        "at the start of the process nobody comes back"
    );
    take_down(&proxy, &a);
    bring_up(&proxy, &a);
    // A tenth of its weight against the whole of the other's: ten are expected.
    let shares = shares(&proxy, 110);
    assert!((1..=25).contains(&shares["a"]), "{shares:?}");
}

#[test]
fn an_endpoint_that_came_back_has_its_whole_share_after_the_slow_start() {
    let ([a, _b], proxy, _) = cluster([("a", ""), ("b", "")], "slow-start \"300ms\"");
    take_down(&proxy, &a);
    bring_up(&proxy, &a);
    let even = these(&[("a", 10), ("b", 10)]);
    wait(|| match shares(&proxy, 20) {
        found if found == even => Ok(()),
        found => Err(format!("{found:?}")),
    });
}

#[test]
fn an_endpoint_that_comes_back_begins_with_a_small_limit() {
    let gate = Gate::default();
    let checker = Patient::named("checker");
    let origin = holding("a", &gate);
    let port = checker.address().port();
    let check = CHECK.replace("interval", &format!("port={port} interval"));
    let (proxy, admin) = start(&format!(
        "endpoint \"{origin}\" requests-max=20\n{check}\nslow-start \"1h\"\nqueue requests-max=0"
    ));
    assert_eq!(admin.endpoint("c", &origin)["requests-max"], 20);
    checker.falls_ill();
    is_down(&proxy, 0, &origin);
    checker.recovers();
    is_up(&proxy, 0, &origin);
    let mut held = [(); 2].map(|()| proxy.client());
    for (number, client) in held.iter_mut().enumerate() {
        client.send("GET /held HTTP/1.1\r\nHost: test\r\n\r\n");
        origin.request(number);
    }
    assert_eq!(proxy.client().get("/more").status, 503, "a tenth of twenty");
    assert_eq!(proxy.line_of("/more").outcome(), "endpoints-full");
    gate.open();
    held.iter_mut()
        .for_each(|client| assert_eq!(client.response().text(), "a"));
}

#[test]
fn an_endpoint_of_weight_zero_takes_nothing_even_when_nobody_else_can() {
    for (keys, in_panic) in [("", false), ("panic-threshold \"100%\"", true)] {
        let ([a, idle], proxy, admin) = cluster([("a", ""), ("idle", "weight=0")], keys);
        assert_eq!(shares(&proxy, 4), these(&[("a", 4)]));
        take_down(&proxy, &a);
        assert_eq!(is_panic(&admin), in_panic);
        match in_panic {
            true => assert_eq!(shares(&proxy, 4), these(&[("a", 4)])),
            false => assert_none(&proxy, "/none"),
        }
        assert_eq!(idle.served(), 0);
    }
}
