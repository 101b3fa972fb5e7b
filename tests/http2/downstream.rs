//! How an HTTP/2 connection begins, and what it offers.

use super::{as_told, before_h1, client, ended};
use crate::harness::h2::frames::{self, HEADERS, RST_STREAM, SETTINGS, WINDOW_UPDATE};
use crate::harness::h2::{H2Client, h2_request};
use crate::harness::{Client, Gate, Origin, Proxy, config};

/// Answers each request with its target, below `/held/` once the gate is open.
fn gated(gate: &Gate) -> Origin {
    let gate = gate.clone();
    Origin::start(move |mut peer| {
        while let Some(request) = peer.request() {
            let target = request.head.target().to_owned();
            if target.starts_with("/held/") {
                gate.wait();
            }
            peer.answer(&target);
        }
    })
}

#[test]
fn http2_is_understood_without_any_negotiation() {
    let origin = Origin::echo();
    let proxy = Proxy::before(&origin);
    let response = client(&proxy).get("/first");
    assert_eq!(response.status, 200);
    assert!(response.text().starts_with("GET /first HTTP/1.1\r\n"));
    let line = proxy.line_of("/first");
    assert_eq!((line.outcome(), line.text("protocol")), ("ok", "HTTP/2"));
    assert_eq!((line.status(), line.text("host")), (200, "test"));
    // The same listener goes on with HTTP/1.1 for others.
    assert_eq!(proxy.client().get("/second").status, 200);
    assert_eq!(proxy.line_of("/second").text("protocol"), "HTTP/1.1");
}

#[test]
fn a_preface_may_come_in_single_bytes() {
    let origin = Origin::named("here");
    let proxy = Proxy::before(&origin);
    let mut client = proxy.client();
    for byte in frames::preface().into_iter().chain(frames::get(1, "/slow")) {
        client.send([byte]);
    }
    let answer = frames::next_of(&mut client, HEADERS).expect("an answer");
    assert_eq!(answer.stream, 1);
    assert_eq!(answer.payload.first(), Some(&0x88), ":status 200");
    assert_eq!(ended(&proxy, "/slow"), as_told("ok", 200));
}

#[test]
fn a_request_that_only_begins_like_the_preface_is_one_of_http1() {
    let origin = Origin::echo();
    let proxy = Proxy::before(&origin);
    let mut client = proxy.client();
    client.send("PR");
    client.send("I /x HTTP/1.1\r\nHost: a\r\n\r\n");
    let request = client.response().echoed();
    assert_eq!(request.start_line, "PRI /x HTTP/1.1");
    assert_eq!(proxy.line_of("/x").text("protocol"), "HTTP/1.1");
}

#[test]
fn a_listener_without_http2_refuses_the_preface() {
    let origin = Origin::named("here");
    let proxy = before_h1("http2 enabled=#false", "", &origin);
    let mut client = proxy.client();
    client.send([frames::preface(), frames::get(1, "/")].concat());
    let head = client.response_head();
    assert_eq!(head.status(), 505);
    let line = proxy.access_line(|_| true);
    assert_eq!((line.outcome(), line.status()), ("bad-request", 505));
    assert_eq!(proxy.client().get("/").text(), "here");
}

#[test]
fn a_listener_may_speak_http2_alone() {
    let origin = Origin::named("here");
    let proxy = before_h1("http2 only=#true", "", &origin);
    assert_eq!(
        H2Client::connect(proxy.address("web")).get("/").body,
        b"here"
    );
    // Whoever begins otherwise is told so in frames.
    let mut client = proxy.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let said = client.rest();
    assert!(!said.starts_with(b"HTTP/1.1"), "{said:?}");
    assert_eq!(origin.requests().len(), 1);
}

/// SETTINGS and the window of the connection that a peer announces.
fn announced(client: &mut Client) -> (Vec<(u16, u32)>, u32) {
    let settings = frames::next_of(client, SETTINGS).expect("SETTINGS");
    let settings = settings.payload.as_chunks::<6>().0.iter();
    let settings = settings.map(|[a, b, c, d, e, f]| {
        (
            u16::from_be_bytes([*a, *b]),
            u32::from_be_bytes([*c, *d, *e, *f]),
        )
    });
    let settings = settings.collect();
    let window = frames::next_of(client, WINDOW_UPDATE).expect("WINDOW_UPDATE");
    assert_eq!(window.stream, 0);
    let more = u32::from_be_bytes(window.payload.try_into().expect("four bytes"));
    (settings, more + 65_535)
}

#[test]
fn streams_and_windows_are_offered_as_configured() {
    const STREAMS: u16 = 3;
    const WINDOW: u16 = 4;
    let origin = Origin::named("here");
    for (text, streams, window, connection_window) in [
        ("", 100, 256 << 10, 4 << 20),
        ("http2 streams-max=7", 7, 256 << 10, 4 << 20),
        ("http2 stream-window=\"96KiB\"", 100, 96 << 10, 4 << 20),
        ("http2 connection-window=\"2MiB\"", 100, 256 << 10, 2 << 20),
    ] {
        let proxy = before_h1(text, "", &origin);
        let mut client = proxy.client();
        client.send(frames::preface());
        let (settings, all) = announced(&mut client);
        assert!(settings.contains(&(STREAMS, streams)), "{settings:?}");
        assert!(settings.contains(&(WINDOW, window)), "{settings:?}");
        assert_eq!(all, connection_window, "{text}");
    }
}

#[test]
fn a_stream_beyond_streams_max_waits_for_a_client_that_heeds_it_and_is_refused_for_another() {
    let gate = Gate::default();
    let origin = gated(&gate);
    let proxy = before_h1("http2 streams-max=2", "", &origin);
    let client = client(&proxy);
    let held = ["/held/a", "/held/b"].map(|path| client.begin(h2_request("GET", path), true));
    origin.request(1);
    assert_eq!(client.streams_max(), 2);
    let mut rude = proxy.client();
    rude.send(frames::preface());
    for (stream, path) in [(1, "/held/c"), (3, "/held/d"), (5, "/held/e")] {
        rude.send(frames::get(stream, path));
    }
    let refused = frames::next_of(&mut rude, RST_STREAM).expect("a reset");
    assert_eq!((refused.stream, refused.reason()), (5, frames::REFUSED));
    gate.open();
    for (stream, path) in held.into_iter().zip(["/held/a", "/held/b"]) {
        assert_eq!(stream.rest().text(), path);
    }
    assert_eq!(client.get("/next").text(), "/next");
    assert_eq!(ended(&proxy, "/next"), as_told("ok", 200));
    assert!(
        origin
            .requests()
            .iter()
            .all(|seen| seen.head.target() != "/held/e")
    );
}

/// While the request waits for its place, nobody reads its body.
#[test]
fn what_does_not_fit_into_the_window_of_a_stream_breaks_it() {
    const FLOW_CONTROL: u32 = 3;
    let gate = Gate::default();
    let origin = gated(&gate);
    let text = r#"
        listener "web" "127.0.0.1:0" {
            http2 stream-window="65535B"
            route { cluster "c" }
        }
        cluster "c" {
            queue timeout="10m"
            endpoint "ORIGIN" requests-max=1
        }"#;
    let proxy = Proxy::start(&config(text, &[("ORIGIN", &origin)]));
    let busy = client(&proxy).begin(h2_request("GET", "/held/busy"), true);
    origin.request(0);
    let mut rude = proxy.client();
    rude.send(frames::preface());
    rude.send(frames::request(1, "POST", "/x", &[], 0));
    let part = frames::frame(frames::DATA, 0, 1, &[0; 16_384]);
    // What is read with the head makes room for as much again.
    for _ in 0..12 {
        rude.send(&part);
    }
    let broken = loop {
        let frame = frames::next(&mut rude).expect("a word of it");
        if matches!(frame.kind, RST_STREAM | frames::GOAWAY) {
            break frame;
        }
    };
    assert_eq!(broken.reason(), FLOW_CONTROL);
    gate.open();
    assert_eq!(busy.rest().text(), "/held/busy");
    assert_eq!(ended(&proxy, "/x"), as_told("downstream-aborted", 0));
}

#[test]
fn an_idle_connection_is_told_to_go_and_closed() {
    let origin = Origin::named("here");
    let proxy = before_h1("timeouts idle=\"100ms\"", "", &origin);
    let mut client = proxy.client();
    client.send([frames::preface(), frames::get(1, "/")].concat());
    let goodbye = frames::next_of(&mut client, frames::GOAWAY).expect("GOAWAY");
    assert_eq!(goodbye.reason(), 0);
    client.finish();
    client.rest();
    assert_eq!(proxy.access_lines().len(), 1);
}

#[test]
fn a_reload_turns_http2_on_and_off_for_new_connections() {
    let text = |setting: &str| {
        format!("listener \"web\" \"127.0.0.1:0\" {{ {setting}; route {{ respond 200 }} }}\n")
    };
    let proxy = Proxy::start(&text("http2 enabled=#false"));
    assert_eq!(proxy.client().get("/off").status, 200);
    proxy.reload(&text("http2 enabled=#true")).expect("good");
    let kept = client(&proxy);
    assert_eq!(kept.get("/on").status, 200);
    proxy.reload(&text("http2 enabled=#false")).expect("good");
    let mut refused = proxy.client();
    refused.send(frames::preface());
    assert_eq!(refused.response_head().status(), 505);
}
