//! Frames that cost us work and bring nothing end their connection, and no other one.

use super::{before_h1, client};
use crate::harness::h2::frames::{
    self, CALM, CONTINUATION, DATA, GOAWAY, HEADERS, PING, WINDOW_UPDATE,
};
use crate::harness::{Client, Gate, Origin, Proxy};

/// Frames of one flood: what it begins with, and then one after another, by their number.
struct Flood {
    name: &'static str,
    begin: Vec<u8>,
    frame: fn(u32) -> Vec<u8>,
    /// What the log says of it; none for those that end with an error of the protocol.
    said: Option<&'static str>,
}

fn floods() -> Vec<Flood> {
    let open = frames::request(1, "POST", "/held/x", &[], 0);
    vec![
        Flood {
            name: "rapid reset",
            begin: Vec::new(),
            frame: |number| {
                let stream = 2 * number + 1;
                let request = frames::get(stream, "/held/reset");
                [request, frames::reset(stream, frames::CANCEL)].concat()
            },
            said: None,
        },
        Flood {
            name: "PING",
            begin: Vec::new(),
            frame: |number| frames::frame(PING, 0, 0, &u64::from(number).to_be_bytes()),
            said: Some("PING"),
        },
        Flood {
            name: "SETTINGS",
            begin: Vec::new(),
            frame: |_| frames::settings(),
            said: Some("SETTINGS"),
        },
        Flood {
            name: "empty DATA",
            begin: open.clone(),
            frame: |_| frames::frame(DATA, 0, 1, &[]),
            said: None,
        },
        Flood {
            name: "CONTINUATION",
            begin: frames::frame(HEADERS, 0, 1, &[]),
            frame: |_| frames::frame(CONTINUATION, 0, 1, &[]),
            said: None,
        },
        Flood {
            name: "WINDOW_UPDATE",
            begin: open,
            frame: |_| frames::frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]),
            said: Some("small WINDOW_UPDATE"),
        },
    ]
}

/// Reads until the connection ends; the reason of the GOAWAY that it ends with.
fn goodbye(client: &mut Client) -> Option<u32> {
    let mut reason = None;
    while let Some(frame) = frames::next(client) {
        if frame.kind == GOAWAY {
            reason = Some(frame.reason());
        }
    }
    reason
}

#[test]
fn a_flood_ends_its_own_connection_and_others_are_served() {
    let gate = Gate::default();
    let waits = gate.clone();
    let origin = Origin::start(move |mut peer| {
        while let Some(request) = peer.request() {
            if request.head.target().starts_with("/held/") {
                waits.wait();
            }
            peer.answer("served");
        }
    });
    for flood in floods() {
        let proxy: Proxy = before_h1("", "", &origin);
        let other = client(&proxy);
        assert_eq!(other.get("/before").text(), "served");
        let mut rude = proxy.client();
        rude.send([frames::preface(), flood.begin].concat());
        let mut reader = Client::over(rude.stream().try_clone().expect("a socket"));
        let reason = std::thread::scope(|scope| {
            let goodbye = scope.spawn(move || goodbye(&mut reader));
            for batch in 0..1000_u32 {
                let frames = (0..100).flat_map(|index| (flood.frame)(batch * 100 + index));
                if goodbye.is_finished() || !rude.try_send(frames.collect::<Vec<u8>>()) {
                    break;
                }
                assert_eq!(other.get("/meanwhile").text(), "served", "{}", flood.name);
            }
            goodbye.join().expect("it reads")
        });
        assert_eq!(reason, Some(CALM), "{}", flood.name);
        if let Some(said) = flood.said {
            let line = proxy.log_line("HTTP/2 flood");
            assert!(line.contains(said), "{line}");
        }
        assert_eq!(other.get("/after").text(), "served", "{}", flood.name);
        assert_eq!(proxy.line_of("/after").outcome(), "ok");
    }
    gate.open();
}

#[test]
fn a_header_block_without_end_is_not_collected() {
    let origin = Origin::named("served");
    let proxy = before_h1("limits header-bytes-max=\"16KiB\"", "", &origin);
    let mut rude = proxy.client();
    rude.send(frames::preface());
    rude.send(frames::frame(
        HEADERS,
        0,
        1,
        &frames::block(&[(":method", "GET")]),
    ));
    let lines: Vec<(&str, &str)> =
        vec![("x-fill", "0123456789012345678901234567890123456789"); 200];
    let part = frames::frame(CONTINUATION, 0, 1, &frames::block(&lines));
    let mut reader = Client::over(rude.stream().try_clone().expect("a socket"));
    std::thread::scope(|scope| {
        let goodbye = scope.spawn(move || goodbye(&mut reader));
        let mut sent = 0;
        while !goodbye.is_finished() && rude.try_send(&part) {
            sent += part.len();
            assert!(sent < 64 << 20, "it takes whatever comes");
        }
        assert!(
            goodbye
                .join()
                .expect("it reads")
                .is_some_and(|reason| reason != 0)
        );
    });
    assert_eq!(client(&proxy).get("/after").text(), "served");
}

#[test]
fn a_client_that_means_well_is_no_flood() {
    let origin = Origin::named("served");
    let proxy = Proxy::before(&origin);
    let mut calm = proxy.client();
    calm.send(frames::preface());
    for number in 0..40_u32 {
        let stream = 2 * number + 1;
        calm.send(frames::frame(PING, 0, 0, &[0; 8]));
        calm.send(frames::frame(WINDOW_UPDATE, 0, 0, &[0, 0, 16, 0]));
        calm.send(frames::get(stream, "/"));
        let answer = frames::next_of(&mut calm, HEADERS).expect("an answer");
        assert_eq!((answer.stream, answer.payload[0]), (stream, 0x88));
    }
}
