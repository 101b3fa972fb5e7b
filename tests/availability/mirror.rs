//! A copy of a share of the requests goes to another cluster, and nobody waits for it.

use super::retry::silent;
use crate::harness::{Admin, Gate, Origin, Proxy, closed_port, deaf_port, wait};
use std::fmt::Display;

/// A proxy before `main` that copies to `copies`; `mirror` is what the key says besides the cluster.
fn proxy(mirror: &str, main: &dyn Display, copies: &dyn Display) -> Proxy {
    Proxy::start(&format!(
        "admin \"127.0.0.1:0\"\nlistener \"web\" \"127.0.0.1:0\" {{ route {{\n    mirror \"copies\" {mirror}\n    cluster \"main\"\n}} }}\ncluster \"main\" {{ endpoint \"{main}\" }}\ncluster \"copies\" {{\n    endpoint \"{copies}\"\n}}\n"
    ))
}

fn wait_for_requests(origin: &Origin, count: usize) {
    origin.request(count - 1);
    assert_eq!(origin.requests().len(), count);
}

#[test]
fn each_request_is_copied_as_it_was_sent_and_the_answer_is_thrown_away() {
    let main = Origin::named("main");
    let copies = Origin::saying("HTTP/1.1 500 No\r\nX-From: copy\r\nContent-Length: 4\r\n\r\ncopy");
    let proxy = proxy("", &main, &copies);
    let mut client = proxy.client();
    for number in 0..20 {
        let path = format!("/{number}?a=b");
        let answer = client.post(&path, format!("body {number}"));
        assert_eq!((answer.status, answer.text().as_str()), (200, "main"));
        assert_eq!(answer.header("x-from"), None);
        let line = proxy.line_of(&path);
        assert_eq!((line.outcome(), line.text("cluster")), ("ok", "main"));
        assert_eq!(line.number("attempts"), 1);
    }
    wait_for_requests(&copies, 20);
    let sorted = |origin: &Origin| {
        let mut all: Vec<_> = origin
            .requests()
            .into_iter()
            .map(|request| (request.head.raw, request.body))
            .collect();
        all.sort();
        all
    };
    assert_eq!(sorted(&copies), sorted(&main));
    let lines = proxy.access_lines();
    assert_eq!(lines.len(), 20, "a copy has no access line");
}

#[test]
fn a_share_of_the_requests_is_copied() {
    for (share, least, most) in [("0%", 0, 0), ("50%", 400, 600), ("100%", 1000, 1000)] {
        let (main, copies) = (Origin::named("main"), Origin::named("copy"));
        let proxy = proxy(&format!("share=\"{share}\""), &main, &copies);
        let mut client = proxy.client();
        for _ in 0..1000 {
            assert_eq!(client.get("/").text(), "main");
        }
        // The last one under way, if there is one.
        let admin = Admin::of(&proxy);
        admin.wait_for_endpoint("copies", &copies, |report| report["requests"] == 0);
        // Half of a thousand within a fifth: six standard deviations.
        let found = copies.requests().len();
        assert!((least..=most).contains(&found), "{found} with {share}");
        assert_eq!(main.requests().len(), 1000);
    }
}

#[test]
fn a_body_is_copied_up_to_the_limit_and_not_a_byte_beyond() {
    let (main, copies) = (Origin::named("main"), Origin::named("copy"));
    let proxy = proxy("body-bytes-max=\"100B\"", &main, &copies);
    let mut client = proxy.client();
    let chunked = |path: &str, length: usize| {
        let body = "~".repeat(length);
        format!(
            "POST {path} HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n"
        )
    };
    assert_eq!(client.post("/101", "~".repeat(101)).text(), "main");
    client.send(chunked("/chunked-101", 101));
    assert_eq!(client.response().text(), "main");
    client.send(chunked("/chunked-100", 100));
    assert_eq!(client.response().text(), "main");
    assert_eq!(client.post("/100", "~".repeat(100)).text(), "main");
    assert_eq!(client.get("/last").text(), "main");
    wait_for_requests(&copies, 3);
    let mut copied: Vec<_> = copies
        .requests()
        .iter()
        .map(|request| (request.head.target().to_owned(), request.body.len()))
        .collect();
    copied.sort();
    let expected = [("/100", 100), ("/chunked-100", 100), ("/last", 0)];
    assert_eq!(
        copied,
        expected.map(|(path, length)| (path.to_owned(), length))
    );
}

#[test]
fn a_body_that_comes_in_pieces_is_copied_whole() {
    let (main, copies) = (Origin::echo(), Origin::echo());
    let proxy = proxy("", &main, &copies);
    let mut client = proxy.client();
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nfirst");
    wait(
        || match main.connections() > 0 && main.received(0).ends_with(b"first") {
            true => Ok(()),
            false => Err("the first piece has not arrived".to_owned()),
        },
    );
    assert_eq!(copies.connections(), 0, "not before it is whole");
    client.send("other");
    assert_eq!(client.response().status, 200);
    assert_eq!(copies.request(0).body, b"firstother");
}

#[test]
fn a_cluster_that_fails_or_hangs_delays_nothing() {
    let main = Origin::named("main");
    let (_held, closed) = closed_port();
    let (_socket, _queued, deaf) = deaf_port();
    let (silent, resetting) = (silent(), Origin::start(drop));
    let never = Gate::default();
    let gate = never.clone();
    // Takes the request and sends half an answer.
    let stuck = Origin::start(move |mut peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        gate.wait();
    });
    let all: [&dyn Display; 5] = [&closed, &deaf, &silent, &resetting, &stuck];
    for copies in all {
        let proxy = proxy("", &main, copies);
        let mut client = proxy.client();
        for number in 0..10 {
            let path = format!("/{number}");
            assert_eq!(client.get(&path).text(), "main");
            assert_eq!(proxy.line_of(&path).outcome(), "ok");
        }
    }
    never.open();
    assert_eq!(main.requests().len(), 50);
}

#[test]
fn copies_reuse_their_connections() {
    let (main, copies) = (Origin::named("main"), Origin::named("copy"));
    let proxy = proxy("", &main, &copies);
    let admin = Admin::of(&proxy);
    let mut client = proxy.client();
    for number in 1..=20 {
        assert_eq!(client.get("/").text(), "main");
        wait_for_requests(&copies, number);
        admin.wait_for_endpoint("copies", &copies, |report| report["requests"] == 0);
    }
    assert_eq!(copies.connections(), 1);
}

#[test]
fn a_request_that_is_tried_again_is_copied_once() {
    let bad = Origin::start(|mut peer| {
        peer.request();
    });
    let (good, copies) = (Origin::named("good"), Origin::named("copy"));
    let proxy = Proxy::start(&format!(
        "listener \"web\" \"127.0.0.1:0\" {{ route {{\n    mirror \"copies\"\n    cluster \"main\"\n}} }}\ncluster \"main\" {{\n    retry on=\"reset\"\n    endpoint \"{bad}\"\n    endpoint \"{good}\"\n}}\ncluster \"copies\" {{\n    endpoint \"{copies}\"\n}}\n"
    ));
    let mut client = proxy.client();
    assert_eq!(client.get("/1").text(), "good");
    assert_eq!(proxy.line_of("/1").number("attempts"), 2);
    assert_eq!(client.get("/2").text(), "good");
    copies.request(1);
    let mut targets: Vec<_> = copies
        .requests()
        .iter()
        .map(|request| request.head.target().to_owned())
        .collect();
    targets.sort();
    assert_eq!(targets, ["/1", "/2"]);
}

#[test]
fn a_full_mirror_is_left_out_rather_than_waited_for() {
    let gate = Gate::default();
    let holding = gate.clone();
    let main = Origin::named("main");
    let copies = Origin::start(move |mut peer| {
        while peer.request().is_some() {
            holding.wait();
            peer.answer("copy");
        }
    });
    let proxy = Proxy::start(&format!(
        "listener \"web\" \"127.0.0.1:0\" {{ route {{\n    mirror \"copies\"\n    cluster \"main\"\n}} }}\ncluster \"main\" {{ endpoint \"{main}\" }}\ncluster \"copies\" {{ endpoint \"{copies}\" requests-max=1 }}\n"
    ));
    let mut client = proxy.client();
    assert_eq!(client.get("/copied").text(), "main");
    copies.request(0);
    for _ in 0..10 {
        assert_eq!(client.get("/not").text(), "main");
    }
    gate.open();
    assert_eq!(copies.requests().len(), 1);
}
