//! What is still in hand of a request when it is sent again, and what has gone downstream already.

use super::retry::{PLACES, Place, as_told, ended, proxy, put, refusing, resetting, targets};
use crate::harness::{Gate, Origin};

/// A body that is at the limit or just past it, in one piece or in two.
#[test]
fn a_body_is_sent_again_up_to_the_limit_and_not_a_byte_beyond() {
    for place in PLACES {
        for (length, in_pieces, attempts) in [
            (0, false, 2),
            (100, false, 2),
            (101, false, 1),
            (100, true, 2),
            (101, true, 1),
        ] {
            let (bad, good) = (refusing(503), Origin::echo());
            let retry = "retry on=\"503\" body-bytes-max=\"100B\"";
            let proxy = proxy(place, retry, "", &[&bad, &good]);
            let (mut client, body) = (proxy.client(), "~".repeat(length));
            let whole = put("/", &body);
            let cut = if in_pieces {
                whole.len() - 30
            } else {
                whole.len()
            };
            client.send(&whole[..cut]);
            if in_pieces {
                wait_until_received(&bad, 0, length - 30);
                client.send(&whole[cut..]);
            }
            client.response();
            let status = if attempts == 1 { 503 } else { 200 };
            let said = format!("{length} in pieces: {in_pieces}, {place:?}");
            assert_eq!(
                ended(&proxy, "/"),
                as_told(status, "ok", attempts),
                "{said}"
            );
            assert_eq!(good.requests().len() as i64, attempts - 1, "{said}");
            if attempts == 2 {
                assert_eq!(good.request(0).body, body.as_bytes(), "{said}");
            }
        }
    }
}

/// Until so much of a body of tildes has arrived on a connection.
fn wait_until_received(origin: &Origin, connection: usize, count: usize) {
    crate::harness::wait(|| {
        let received = origin.received(connection);
        let found = received.iter().filter(|byte| **byte == b'~').count();
        if found >= count {
            Ok(())
        } else {
            Err(found.to_string())
        }
    });
}

#[test]
fn the_limit_counts_what_is_in_the_chunks() {
    for (length, attempts) in [(100, 2), (101, 1)] {
        let (bad, good) = (refusing(503), Origin::echo());
        let retry = "retry on=\"503\" body-bytes-max=\"100B\"";
        let proxy = proxy(Place::Cluster, retry, "", &[&bad, &good]);
        let mut client = proxy.client();
        client.send(format!(
            "PUT / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{}\r\n0\r\n\r\n",
            length,
            "~".repeat(length)
        ));
        client.response();
        assert_eq!(proxy.line_of("/").number("attempts"), attempts, "{length}");
    }
}

#[test]
fn a_chunked_body_that_comes_in_pieces_arrives_whole_at_the_next_endpoint() {
    let told = Gate::default();
    let gate = told.clone();
    // Ends the connection in the middle of the body.
    let bad = Origin::start(move |mut peer| {
        peer.head();
        assert_eq!(peer.chunk().as_deref(), Some(&b"first"[..]));
        gate.wait();
    });
    let good = Origin::echo();
    let proxy = proxy(Place::Cluster, "retry on=\"reset\"", "", &[&bad, &good]);
    let mut client = proxy.client();
    client.send(
        "PUT / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\nTrailer: x-end\r\n\r\n",
    );
    bad.wait_for_connections(1);
    client.send("5\r\nfirst\r\n");
    told.open();
    bad.wait_for_ends(1);
    good.wait_for_connections(1);
    client.send("6\r\nsecond\r\n0\r\nx-end: yes\r\n\r\n");
    assert_eq!(client.response().status, 200);
    let arrived = good.request(0);
    assert_eq!(arrived.body, b"firstsecond");
    assert_eq!(arrived.trailers, [("x-end".to_owned(), "yes".to_owned())]);
    assert_eq!(ended(&proxy, "/"), as_told(200, "ok", 2));
}

#[test]
fn a_response_that_has_begun_is_never_replaced() {
    let bad = Origin::start(|mut peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    });
    let good = Origin::named("good");
    let retry = "retry on=\"reset,timeout,5xx\"";
    let proxy = proxy(Place::Cluster, retry, "", &[&bad, &good]);
    let answer = proxy.client().get("/");
    assert!(!answer.complete && answer.body == b"half");
    assert_eq!(ended(&proxy, "/"), as_told(200, "upstream-aborted", 1));
    assert_eq!(good.connections(), 0);
}

#[test]
fn a_head_that_breaks_off_is_a_reset() {
    let bad = Origin::start(|mut peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Le");
    });
    let good = Origin::named("good");
    let proxy = proxy(Place::Cluster, "retry on=\"reset\"", "", &[&bad, &good]);
    assert_eq!(proxy.client().get("/").text(), "good");
    assert_eq!(ended(&proxy, "/"), as_told(200, "ok", 2));
}

#[test]
fn an_interim_response_passes_and_what_follows_may_fail() {
    let bad = Origin::start(|mut peer| {
        peer.request();
        peer.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
    });
    let good = Origin::named("good");
    let proxy = proxy(Place::Cluster, "retry on=\"reset\"", "", &[&bad, &good]);
    let mut client = proxy.client();
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!(client.response_head().status(), 103);
    assert_eq!(client.response().text(), "good");
    assert_eq!(ended(&proxy, "/"), as_told(200, "ok", 2));
}

/// An endpoint that has said something was not about to close an idle connection.
#[test]
fn a_pooled_connection_that_ends_after_an_interim_response_is_a_reset_like_any_other() {
    let origin = Origin::start(|mut peer| {
        peer.request();
        peer.answer("first");
        if peer.request().is_some() {
            peer.send("HTTP/1.1 103 Early Hints\r\n\r\n");
        }
    });
    let proxy = proxy(Place::Cluster, "", "", &[&origin]);
    let mut client = proxy.client();
    assert_eq!(client.get("/first").text(), "first");
    assert_eq!(client.get("/second").status, 502);
    assert_eq!(ended(&proxy, "/second"), as_told(502, "upstream-reset", 1));
    assert_eq!(targets(&origin), ["/first", "/second"]);
}

#[test]
fn a_body_that_waits_for_100_is_asked_for_by_the_endpoint_that_takes_it() {
    let bad = Origin::start(|mut peer| {
        peer.head();
    });
    let good = Origin::start(|mut peer| {
        let head = peer.head().expect("a request");
        assert_eq!(head.header("expect"), Some("100-continue"));
        peer.send("HTTP/1.1 100 Continue\r\n\r\n");
        let request = peer.finish_request(head);
        peer.answer(&String::from_utf8_lossy(&request.body));
    });
    let proxy = proxy(Place::Cluster, "retry on=\"reset\"", "", &[&bad, &good]);
    let mut client = proxy.client();
    let request = put("/", "body").replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n");
    let (head, body) = request.split_at(request.len() - 4);
    client.send(head);
    assert_eq!(client.response_head().status(), 100);
    client.send(body);
    assert_eq!(client.response().text(), "body");
    assert_eq!(ended(&proxy, "/"), as_told(200, "ok", 2));
}

#[test]
fn pipelined_requests_are_answered_in_order_around_a_retry() {
    let (bad, good) = (resetting(), Origin::echo());
    let proxy = proxy(Place::Cluster, "retry on=\"reset\"", "", &[&bad, &good]);
    let mut client = proxy.client();
    let requests: String = ["/1", "/2", "/3"].map(|path| put(path, path)).concat();
    client.send(requests);
    for path in ["/1", "/2", "/3"] {
        let answer = client.response();
        assert_eq!(answer.status, 200);
        assert!(answer.text().ends_with(path), "{}", answer.text());
        assert_eq!(
            answer.text().lines().next(),
            Some(&*format!("PUT {path} HTTP/1.1"))
        );
    }
    assert!(!bad.requests().is_empty());
}
