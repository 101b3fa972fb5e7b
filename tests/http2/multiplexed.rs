//! Connections to an origin of HTTP/2: how many there are, what ends them, and what becomes of the requests on them.

use super::{as_told, before_h2, client, ended};
use crate::harness::h2::frames::{self, DATA, GOAWAY, HEADERS, SETTINGS, WINDOW_UPDATE};
use crate::harness::h2::{H2Origin, h2_request};
use crate::harness::{Admin, Client, Gate, Origin, Proxy};
use ::h2::Reason;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};

const PATHS: [&str; 8] = ["/0", "/1", "/2", "/3", "/4", "/5", "/6", "/7"];

/// Requests of HTTP/1.1 that are on their way, each on a connection of its own.
fn asking(proxy: &Proxy, paths: &[&str]) -> Vec<Client> {
    let ask = |path: &&str| {
        let mut client = proxy.client();
        client.send(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n"));
        client
    };
    paths.iter().map(ask).collect()
}

/// Answers each request with its path once all of them are there.
fn together(count: usize, set: impl FnOnce(&mut ::h2::server::Builder)) -> H2Origin {
    let barrier = Arc::new(Barrier::new(count));
    H2Origin::with(set, move |mut exchange| {
        let path = exchange.path().to_owned();
        barrier.wait();
        exchange.answer(path);
    })
}

fn answered(proxy: &Proxy, clients: Vec<Client>, paths: &[&str]) {
    for (mut client, path) in clients.into_iter().zip(paths) {
        assert_eq!(client.response().text(), *path);
        assert_eq!(ended(proxy, path), as_told("ok", 200));
    }
}

#[test]
fn requests_of_many_downstreams_share_one_connection_at_once() {
    let origin = together(PATHS.len(), |_| {});
    let proxy = before_h2("", &origin);
    let clients = asking(&proxy, &PATHS);
    answered(&proxy, clients, &PATHS);
    assert_eq!(origin.connections(), 1);
    let admin = Admin::of(&proxy);
    admin.wait_for_endpoint("c", &origin, |report| {
        report["requests"] == 0 && report["connections"] == 1
    });
}

#[test]
fn beyond_streams_max_another_connection_is_opened() {
    let origin = together(PATHS.len(), |_| {});
    let proxy = before_h2("http2 streams-max=3", &origin);
    let clients = asking(&proxy, &PATHS);
    answered(&proxy, clients, &PATHS);
    let mut of_connection = [0; 3];
    for seen in origin.requests() {
        of_connection[seen.connection] += 1;
    }
    of_connection.sort_unstable();
    assert_eq!(of_connection, [2, 3, 3]);
}

#[test]
fn a_lower_limit_of_the_origin_is_heeded() {
    let origin = together(PATHS.len(), |builder| {
        builder.max_concurrent_streams(4);
    });
    let proxy = before_h2("", &origin);
    let clients = asking(&proxy, &PATHS);
    answered(&proxy, clients, &PATHS);
    let requests = origin.requests();
    for connection in 0..origin.connections() {
        let of_it = requests.iter().filter(|seen| seen.connection == connection);
        assert!(of_it.count() <= 4);
    }
}

#[test]
fn windows_are_offered_to_the_origin_as_configured() {
    for (text, window, all) in [
        ("", 256_u32 << 10, 100 * (256_u32 << 10)),
        ("http2 stream-window=\"96KiB\"", 96 << 10, 100 * (96 << 10)),
        ("http2 connection-window=\"2MiB\"", 256 << 10, 2 << 20),
    ] {
        let origin = Origin::start(move |mut peer| {
            peer.take(frames::PREFACE.len());
            peer.send(frames::settings());
            let settings = frames::next_of(&mut peer, SETTINGS).expect("SETTINGS");
            let of_stream = [&[0, 4][..], &window.to_be_bytes()].concat();
            let settings = settings.payload.as_chunks::<6>().0;
            let has_window = settings.iter().any(|setting| setting[..] == of_stream);
            let more = frames::next_of(&mut peer, WINDOW_UPDATE).expect("WINDOW_UPDATE");
            let more = u32::from_be_bytes(more.payload.try_into().expect("four bytes"));
            let request = frames::next_of(&mut peer, HEADERS).expect("a request");
            assert_eq!(request.stream, 1);
            let body = format!("{has_window} {}", more + 65_535 == all);
            peer.send(frames::frame(HEADERS, frames::END_HEADERS, 1, &[0x88]));
            peer.send(frames::frame(DATA, frames::END_STREAM, 1, body.as_bytes()));
            while frames::next(&mut peer).is_some() {}
        });
        let proxy = before_h2(text, &origin);
        assert_eq!(proxy.client().get("/").text(), "true true", "{text}");
    }
}

#[test]
fn an_origin_that_goes_away_in_order_fails_no_request() {
    let gate = Gate::default();
    let waits = gate.clone();
    let origin = H2Origin::start(move |mut exchange| {
        let path = exchange.path().to_owned();
        if path == "/held" {
            waits.wait();
        } else if exchange.connection == 0 {
            exchange.go_away();
        }
        exchange.answer(path);
    });
    let proxy = before_h2("", &origin);
    let held = asking(&proxy, &["/held"]);
    origin.request(0);
    for path in PATHS {
        assert_eq!(proxy.client().get(path).text(), path);
        assert_eq!(ended(&proxy, path), as_told("ok", 200));
    }
    gate.open();
    answered(&proxy, held, &["/held"]);
    origin.wait_for_ends(1);
    assert!(origin.connections() >= 2);
}

/// An origin by hand: on its first connection `refuse` says what becomes of the request, on every other one it answers "here".
fn by_hand(refuse: impl Fn(u32) -> Vec<u8> + Send + Sync + 'static) -> (Origin, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let origin = Origin::start(move |mut peer| {
        peer.take(frames::PREFACE.len());
        peer.send(frames::settings());
        while let Some(frame) = frames::next_of(&mut peer, HEADERS) {
            let number = count.fetch_add(1, Ordering::SeqCst);
            if number == 0 {
                peer.send(refuse(frame.stream));
                continue;
            }
            let flags = frames::END_HEADERS;
            peer.send(frames::frame(HEADERS, flags, frame.stream, &[0x88]));
            peer.send(frames::frame(
                DATA,
                frames::END_STREAM,
                frame.stream,
                b"here",
            ));
        }
    });
    (origin, asked)
}

/// Asks with a method that is not repeated lightly.
fn post(proxy: &Proxy) -> (u16, String, i64) {
    let response = proxy.client().post("/", "body");
    let line = proxy.line_of("/");
    let outcome = line.outcome().to_owned();
    assert_eq!(line.status(), i64::from(response.status));
    (response.status, outcome, line.number("attempts"))
}

#[test]
fn what_the_origin_has_not_processed_is_sent_again_even_a_post() {
    let (refused, asked) = by_hand(|stream| frames::reset(stream, frames::REFUSED));
    let proxy = before_h2("", &refused);
    assert_eq!(post(&proxy), (200, "ok".to_owned(), 2));
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    assert_eq!(refused.connections(), 1, "the connection is sound");
    let (gone, asked) = by_hand(|_| frames::go_away(0, 0));
    let proxy = before_h2("", &gone);
    assert_eq!(post(&proxy), (200, "ok".to_owned(), 2));
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    assert_eq!(gone.connections(), 2, "no stream is opened behind a GOAWAY");
}

#[test]
fn what_the_origin_may_have_processed_is_not_sent_again() {
    const INTERNAL: u32 = 2;
    let (reset, asked) = by_hand(|stream| frames::reset(stream, INTERNAL));
    let proxy = before_h2("", &reset);
    assert_eq!(post(&proxy), (502, "upstream-reset".to_owned(), 1));
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    assert_eq!(proxy.client().get("/next").text(), "here");
    assert_eq!(reset.connections(), 1, "it was the stream that failed");
}

#[test]
fn frames_that_are_no_http2_are_an_invalid_answer() {
    // DATA on stream 0.
    let (bad, _asked) = by_hand(|_| frames::frame(DATA, 0, 0, b"x"));
    let proxy = before_h2("", &bad);
    let (status, outcome, _) = post(&proxy);
    assert_eq!((status, outcome.as_str()), (502, "upstream-invalid"));
    assert_eq!(proxy.client().get("/next").text(), "here");
    assert_eq!(bad.connections(), 2);
}

#[test]
fn a_reset_behind_the_head_cuts_the_answer() {
    let gate = Gate::default();
    let waits = gate.clone();
    let origin = H2Origin::start(move |mut exchange| {
        if exchange.path() == "/next" {
            return exchange.answer("next");
        }
        exchange.head(200, &[], false);
        exchange.send("half", false);
        waits.wait();
        exchange.reset(Reason::INTERNAL_ERROR);
    });
    let proxy = before_h2("", &origin);
    let mut by_http1 = asking(&proxy, &["/h1"]).remove(0);
    let head = by_http1.response_head();
    assert_eq!(
        (head.status(), by_http1.chunk()),
        (200, Some(b"half".to_vec()))
    );
    let by_http2 = client(&proxy);
    let mut stream = by_http2.begin(h2_request("GET", "/h2"), true);
    let head = stream.head().expect("an answer");
    assert_eq!(stream.take(4), b"half");
    gate.open();
    assert_eq!(by_http1.rest(), b"");
    assert!(stream.rest_behind(head).reset().is_some());
    for path in ["/h1", "/h2"] {
        assert_eq!(ended(&proxy, path), as_told("upstream-aborted", 200));
    }
    assert_eq!(proxy.client().get("/next").text(), "next");
    assert_eq!(origin.connections(), 1);
}

#[test]
fn a_connection_that_has_died_is_replaced() {
    let origin = H2Origin::start(|mut exchange| {
        if exchange.path() == "/die" {
            return exchange.abort_connection();
        }
        exchange.answer("alive");
    });
    let proxy = before_h2("retry attempts=1", &origin);
    assert_eq!(proxy.client().get("/1").text(), "alive");
    // A GET would be sent again: the connection had been used before.
    assert_eq!(proxy.client().post("/die", "").status, 502);
    assert_eq!(ended(&proxy, "/die"), as_told("upstream-reset", 502));
    origin.wait_for_ends(1);
    assert_eq!(proxy.client().get("/2").text(), "alive");
    assert_eq!(ended(&proxy, "/2"), as_told("ok", 200));
    assert_eq!(origin.connections(), 2);
}

/// The connection dies under all of them; what may be sent again is.
#[test]
fn requests_on_a_connection_that_dies_are_retried_where_that_is_said() {
    let barrier = Arc::new(Barrier::new(PATHS.len()));
    let origin = H2Origin::start(move |mut exchange| {
        let path = exchange.path().to_owned();
        if exchange.connection == 0 {
            barrier.wait();
            return exchange.abort_connection();
        }
        exchange.answer(path);
    });
    let proxy = before_h2(
        "retry on=\"reset\" budget=\"1000%\" backoff=\"0s\"",
        &origin,
    );
    let clients = asking(&proxy, &PATHS);
    answered(&proxy, clients, &PATHS);
    for path in PATHS {
        assert_eq!(proxy.line_of(path).number("attempts"), 2);
    }
    assert_eq!(origin.connections(), 2);
}

#[test]
fn an_idle_connection_is_closed_after_its_time() {
    let origin = H2Origin::named("here");
    let proxy = before_h2("timeouts idle=\"100ms\"", &origin);
    assert_eq!(proxy.client().get("/").text(), "here");
    origin.wait_for_ends(1);
    assert_eq!(proxy.client().get("/again").text(), "here");
    assert_eq!(origin.connections(), 2);
    assert_eq!(ended(&proxy, "/again"), as_told("ok", 200));
}

#[test]
fn an_origin_that_does_not_answer_in_time_has_its_stream_reset_and_its_connection_left() {
    let was_reset = Gate::default();
    let told = was_reset.clone();
    let origin = H2Origin::start(move |mut exchange| {
        if exchange.path() == "/silent" {
            assert_eq!(exchange.wait_for_reset(), Some(Reason::CANCEL));
            told.open();
        } else {
            exchange.answer("here");
        }
    });
    let proxy = before_h2("timeouts response=\"200ms\"\nretry attempts=1", &origin);
    assert_eq!(proxy.client().get("/silent").status, 504);
    assert_eq!(ended(&proxy, "/silent"), as_told("response-timeout", 504));
    was_reset.wait();
    // The connection may lead nowhere: the next one is made for what comes then.
    assert_eq!(proxy.client().get("/next").text(), "here");
    assert_eq!(origin.connections(), 2);
}

#[test]
fn an_answer_that_stops_is_cut_after_the_response_timeout() {
    let origin = H2Origin::start(|mut exchange| {
        exchange.head(200, &[], false);
        exchange.send("half", false);
        exchange.wait_for_reset();
    });
    let proxy = before_h2("timeouts response=\"200ms\"", &origin);
    let response = proxy.client().get("/");
    assert_eq!(
        (response.text().as_str(), response.complete),
        ("half", false)
    );
    assert_eq!(ended(&proxy, "/"), as_told("upstream-stalled", 200));
}

#[test]
fn a_goaway_with_an_error_is_no_reason_to_fail_what_was_answered() {
    const CALM: u32 = frames::CALM;
    let origin = Origin::start(|mut peer| {
        peer.take(frames::PREFACE.len());
        peer.send(frames::settings());
        let Some(request) = frames::next_of(&mut peer, HEADERS) else {
            return;
        };
        peer.send(frames::frame(
            HEADERS,
            frames::END_HEADERS,
            request.stream,
            &[0x88],
        ));
        peer.send(frames::frame(
            GOAWAY,
            0,
            0,
            &[request.stream.to_be_bytes(), CALM.to_be_bytes()].concat(),
        ));
        peer.send(frames::frame(
            DATA,
            frames::END_STREAM,
            request.stream,
            b"whole",
        ));
        while frames::next(&mut peer).is_some() {}
    });
    let proxy = before_h2("", &origin);
    for path in ["/1", "/2"] {
        assert_eq!(proxy.client().get(path).text(), "whole");
        assert_eq!(ended(&proxy, path), as_told("ok", 200));
    }
    assert_eq!(origin.connections(), 2);
}

#[test]
fn readers_that_take_nothing_do_not_hold_up_the_others_on_their_connection() {
    let origin = H2Origin::start(|mut exchange| {
        if exchange.path().starts_with("/large") {
            exchange.answer(vec![b'x'; 8 << 20]);
        } else {
            exchange.answer("small");
        }
    });
    let proxy = before_h2("", &origin);
    // More than fit into what a connection may have under way, were it not for all streams together.
    let paths: Vec<String> = (0..24).map(|number| format!("/large/{number}")).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let mut slow = asking(&proxy, &paths);
    for client in &mut slow {
        assert_eq!(client.response_head().status(), 200);
    }
    for _ in 0..3 {
        assert_eq!(proxy.client().get("/small").text(), "small");
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn resets_of_streams_count_against_the_endpoint() {
    let origin = H2Origin::start(|mut exchange| exchange.reset(Reason::INTERNAL_ERROR));
    let proxy = before_h2("outlier-detection consecutive-failures=2", &origin);
    for _ in 0..2 {
        assert_eq!(proxy.client().get("/reset").status, 502);
    }
    let admin = Admin::of(&proxy);
    admin.wait_for_endpoint("c", &origin, |report| report["state"] == "ejected");
}
