//! Bytes through TLS on both sides: large ones, slow ones, both ways at once, and to the end of the process.

use super::{start, until};
use crate::harness::{
    Authority, Client, Gate, Origin, PATIENCE, Proxy, TlsClient, TlsFront, config,
};
use crate::tcp::pattern;
use rustix::process::Signal;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;
use tokio_tungstenite::tungstenite::client::client as websocket;
use tokio_tungstenite::tungstenite::{Message, accept};

const LARGE: usize = (8 << 20) + 4_321;

const TEXT: &str = r#"
process { workers 1; log format="json"; drain-timeout "1m" }
listener "web" "127.0.0.1:0" {
    tls { certificate "site.pem"; handshake timeout="1m" }
    route { cluster "c" }
}
listener "raw" "127.0.0.1:0" {
    protocol "tcp"
    tls { certificate "site.pem" }
    route { cluster "c" }
}
cluster "c" { endpoint "ORIGIN"; tls ca="ca.pem" }
"#;

struct Scene {
    proxy: Proxy,
    client: TlsClient,
    _front: TlsFront,
}

/// TLS before the proxy and behind it; `origin` has its own bytes in the clear.
fn scene(origin: &dyn std::fmt::Display) -> Scene {
    let ca = Authority::new();
    let front = TlsFront::before(origin, &ca.issue(&["127.0.0.1"]), &[], None);
    let text = config(TEXT, &[("ORIGIN", &front)]);
    let site = ca.issue(&["test"]).both();
    Scene {
        proxy: start(&text, &[("site.pem", &site), ("ca.pem", &ca.pem())]),
        client: TlsClient::new(&ca, "test"),
        _front: front,
    }
}

impl Scene {
    fn connect(&self, listener: &str) -> Client {
        self.client.connect(self.proxy.address(listener))
    }
}

fn second(client: &Client) -> TcpStream {
    client.stream().try_clone().expect("a second handle")
}

#[test]
fn large_bodies_arrive_to_the_byte_in_either_framing() {
    let origin = Origin::answering(|request| {
        let body = &request.body;
        if request.head.target() == "/chunked" {
            let mut answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
            for part in body.chunks(70_001) {
                answer.extend(format!("{:x}\r\n", part.len()).bytes());
                answer.extend(part);
                answer.extend(b"\r\n");
            }
            answer.extend(b"0\r\n\r\n");
            return answer;
        }
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        [head.as_bytes(), body].concat()
    });
    let scene = scene(&origin);
    let mut client = scene.connect("web");
    let sent = pattern(LARGE);
    for target in ["/known", "/chunked"] {
        let response = client.post(target, &sent);
        assert_eq!((response.status, response.complete), (200, true));
        assert!(response.body == sent, "{target}: {}", response.body.len());
        let line = scene.proxy.line_of(target);
        assert_eq!(line.outcome(), "ok");
        assert!(line.number("downstream_bytes") > LARGE as i64);
        assert!(line.number("upstream_bytes") > LARGE as i64);
    }
}

#[test]
fn a_relay_moves_large_transfers_both_ways_at_once() {
    let scene = scene(&crate::tcp::server(crate::tcp::echo));
    let mut client = scene.connect("raw");
    let sent = pattern(LARGE);
    let mut writer = second(&client);
    let received = std::thread::scope(|scope| {
        scope.spawn(|| {
            writer.write_all(&sent).expect("sends");
            writer.shutdown(Shutdown::Write).expect("half-closes");
        });
        client.rest()
    });
    assert!(received == sent, "{} bytes came back", received.len());
    let line = scene.proxy.access_line(|line| line.text("kind") == "tcp");
    assert_eq!((line.outcome(), line.text("tls_sni")), ("ok", "test"));
    assert_eq!(
        (
            line.number("downstream_bytes"),
            line.number("upstream_bytes")
        ),
        (LARGE as i64, LARGE as i64)
    );
}

/// A session that ends without a goodbye may have been cut by somebody else: what came is not a whole transfer.
#[test]
fn a_relay_that_is_cut_is_not_ended() {
    let reset = Gate::default();
    let seen = reset.clone();
    let origin = Origin::start(move |mut peer| {
        peer.send("hello");
        if peer.rest() == b"half" && peer.was_reset() {
            seen.open();
        }
    });
    let ca = Authority::new();
    let text = config(TEXT, &[("ORIGIN", &origin)]).replace("tls ca=\"ca.pem\"", "");
    let proxy = start(&text, &[("site.pem", &ca.issue(&["test"]).both())]);
    let socket = TcpStream::connect(proxy.address("raw")).expect("it listens");
    let below = socket.try_clone().expect("a second handle");
    let shaken = TlsClient::new(&ca, "test").shake_on(socket);
    let (mut client, _) = shaken.expect("a handshake");
    client.send("half");
    assert_eq!(client.take(5), b"hello");
    until("what the client sent", || {
        (origin.received(0) == b"half").then_some(())
    });
    below.shutdown(Shutdown::Write).expect("half-closes");
    let line = proxy.access_line(|line| line.text("kind") == "tcp");
    assert_eq!(line.outcome(), "downstream-aborted");
    reset.wait();

    let gate = Gate::default();
    let wait = gate.clone();
    let origin = Origin::start(move |mut peer| {
        peer.send("half");
        wait.wait();
        peer.abort();
    });
    let scene = scene(&origin);
    let mut client = scene.connect("raw");
    assert_eq!(client.take(4), b"half");
    gate.open();
    assert_eq!(client.rest(), b"");
    let line = scene.proxy.access_line(|line| line.text("kind") == "tcp");
    assert_eq!(line.outcome(), "upstream-aborted");
}

#[test]
fn each_direction_of_a_relay_has_its_own_end() {
    let scene = scene(&crate::tcp::server(|mut stream| {
        let question = crate::tcp::read_all(&mut stream);
        let answer = [b"got: ", question.as_slice()].concat();
        stream.write_all(&answer).expect("sends");
    }));
    let mut client = scene.connect("raw");
    client.send("a question");
    client.finish();
    assert_eq!(client.rest(), b"got: a question");
    assert!(!client.was_reset());
    let line = scene.proxy.access_line(|line| line.text("kind") == "tcp");
    assert_eq!(line.outcome(), "ok");
}

/// What is under way between an origin and a client that does not read, at most: the buffers of the sockets and threads in between.
const IN_TRANSIT_MAX: usize = 56 << 20;
const ENDLESS: usize = 80 << 20;

/// Writes until the other side has taken nothing for a while; how much.
fn write_until_stuck(mut stream: &TcpStream) -> usize {
    let patience = Some(Duration::from_millis(500));
    stream.set_write_timeout(patience).expect("a TCP socket");
    let part = vec![7; 64 * 1024];
    let mut written = 0;
    while written < ENDLESS {
        match stream.write(&part[..part.len().min(ENDLESS - written)]) {
            Ok(count) => written += count,
            Err(_) => break,
        }
    }
    stream
        .set_write_timeout(Some(PATIENCE))
        .expect("a TCP socket");
    written
}

fn write_rest(mut stream: &TcpStream, mut left: usize) {
    let part = vec![7; 256 * 1024];
    while left > 0 {
        let count = left.min(part.len());
        stream.write_all(&part[..count]).expect("it reads on");
        left -= count;
    }
}

#[test]
fn a_client_that_does_not_read_holds_the_origin_back() {
    let stuck = Gate::default();
    let gate = stuck.clone();
    let origin = Origin::start(move |mut peer| {
        peer.request();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {ENDLESS}\r\n\r\n");
        peer.send(head);
        let written = write_until_stuck(peer.stream());
        assert!(written < IN_TRANSIT_MAX, "{written} bytes went nowhere");
        gate.open();
        write_rest(peer.stream(), ENDLESS - written);
        peer.request();
    });
    let scene = scene(&origin);
    let mut client = scene.connect("web");
    client.send("GET /slow HTTP/1.1\r\nHost: test\r\n\r\n");
    stuck.wait();
    client.response_head();
    let mut left = ENDLESS;
    while left > 0 {
        let part = client.take(left.min(1 << 20));
        assert!(
            !part.is_empty() && part.iter().all(|byte| *byte == 7),
            "{left}"
        );
        left -= part.len();
    }
    assert_eq!(scene.proxy.line_of("/slow").outcome(), "ok");
}

#[test]
fn an_origin_that_does_not_read_holds_the_client_back() {
    let stuck = Gate::default();
    let gate = stuck.clone();
    let origin = Origin::start(move |mut peer| {
        peer.head();
        gate.wait();
        let mut left = ENDLESS;
        while left > 0 {
            let part = peer.take(left.min(1 << 20));
            assert!(!part.is_empty(), "{left} bytes are missing");
            left -= part.len();
        }
        peer.answer("all");
        peer.request();
    });
    let scene = scene(&origin);
    let mut client = scene.connect("web");
    client.send(format!(
        "POST /slow HTTP/1.1\r\nHost: test\r\nContent-Length: {ENDLESS}\r\n\r\n"
    ));
    let written = write_until_stuck(client.stream());
    assert!(written < IN_TRANSIT_MAX, "{written} bytes went nowhere");
    stuck.open();
    write_rest(client.stream(), ENDLESS - written);
    assert_eq!(client.response().text(), "all");
    assert_eq!(scene.proxy.line_of("/slow").outcome(), "ok");
}

#[test]
fn parts_of_a_body_are_not_kept_back() {
    let (ask, asked) = (Gate::default(), Gate::default());
    let (first, then) = (ask.clone(), asked.clone());
    let origin = Origin::start(move |mut peer| {
        let head = peer.head().expect("a request");
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
        first.wait();
        peer.send("1\r\nb\r\n");
        // The upload goes on meanwhile.
        assert_eq!(peer.chunk().as_deref(), Some(&b"up"[..]), "{}", head.raw);
        then.open();
        assert_eq!(peer.chunk(), None);
        peer.send("0\r\n\r\n");
        peer.request();
    });
    let scene = scene(&origin);
    let mut client = scene.connect("web");
    client.send("POST /parts HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.response_head();
    assert_eq!(client.chunk().as_deref(), Some(&b"a"[..]));
    ask.open();
    assert_eq!(client.chunk().as_deref(), Some(&b"b"[..]));
    client.send("2\r\nup\r\n");
    asked.wait();
    client.send("0\r\n\r\n");
    assert_eq!(client.chunk(), None);
    assert_eq!(scene.proxy.line_of("/parts").outcome(), "ok");
}

#[test]
fn a_websocket_goes_through_tls_on_both_sides() {
    let origin = crate::tcp::server(|stream| {
        let mut socket = accept(stream).expect("a handshake");
        while let Ok(message) = socket.read() {
            if message.is_text() || message.is_binary() {
                socket.send(message).expect("sends");
            }
        }
    });
    let scene = scene(&origin);
    let stream = second(&scene.connect("web"));
    let (mut socket, answer) = websocket("ws://test/chat", stream).expect("a handshake");
    assert_eq!(answer.status().as_u16(), 101);
    for message in [
        Message::text("hello"),
        Message::binary(pattern(300_000)),
        Message::text(""),
    ] {
        socket.send(message.clone()).expect("sends");
        assert!(socket.read().expect("an echo") == message);
    }
    socket.close(None).expect("sends");
    while socket.read().is_ok() {}
    drop(socket);
    let line = scene.proxy.line_of("/chat");
    assert_eq!((line.status(), line.outcome()), (101, "tunnel"));
    assert_eq!(line.text("tls_sni"), "test");
}

#[test]
fn what_is_under_way_ends_in_good_order_when_the_process_is_to_end() {
    let gate = Gate::default();
    let wait = gate.clone();
    let origin = Origin::start(move |mut peer| {
        while peer.request().is_some() {
            wait.wait();
            peer.answer("late");
        }
    });
    let mut scene = scene(&origin);
    let mut fresh = scene.connect("web");
    let mut busy = scene.connect("web");
    busy.send("GET /late HTTP/1.1\r\nHost: test\r\n\r\n");
    origin.request(0);
    let mut silent = scene.proxy.client();
    scene.proxy.signal(Signal::TERM);
    for idle in [&mut fresh, &mut silent] {
        assert!(idle.is_at_end());
        assert!(!idle.was_reset());
    }
    gate.open();
    let response = busy.response();
    assert_eq!((response.status, response.text().as_str()), (200, "late"));
    assert_eq!(response.header("connection"), Some("close"));
    assert!(busy.is_at_end());
    assert_eq!(scene.proxy.wait().code(), Some(0));
    scene.proxy.log_line("\"drained\"");
    assert_eq!(scene.proxy.line_of("/late").outcome(), "ok");
}

#[test]
fn a_client_that_leaves_without_a_word_is_no_whole_request() {
    let origin = Origin::start(|mut peer| {
        peer.request();
    });
    let scene = scene(&origin);
    let client = scene.connect("web");
    let mut stream = second(&client);
    stream
        .write_all(b"POST /left HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nhalf")
        .expect("sends");
    origin.wait_for_connections(1);
    stream.shutdown(Shutdown::Write).expect("half-closes");
    let mut rest = Vec::new();
    // A reset is an end as well.
    let _ = stream.read_to_end(&mut rest);
    let line = scene.proxy.line_of("/left");
    assert_eq!(line.outcome(), "downstream-aborted", "{line:?}");
    assert!(!origin.request(0).complete);
}

#[test]
fn requests_that_come_in_one_piece_are_answered_in_order() {
    let origin = Origin::echo();
    let scene = scene(&origin);
    let mut client = scene.connect("web");
    let requests: String = (0..200)
        .map(|number| format!("GET /{number} HTTP/1.1\r\nHost: test\r\n\r\n"))
        .collect();
    client.send(requests);
    for number in 0..200 {
        let seen = client.response().echoed();
        assert_eq!(seen.target(), format!("/{number}"));
    }
    assert_eq!(scene.proxy.line_of("/199").outcome(), "ok");
}

#[test]
fn interim_responses_and_what_follows_an_upgrade_come_through_at_once() {
    let origin = Origin::start(|mut peer| {
        let head = peer.head().expect("a request");
        if head.target() == "/expect" {
            peer.send(
                "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n",
            );
            let body = peer.take(4);
            return peer.answer(&String::from_utf8_lossy(&body));
        }
        peer.send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nearly",
        );
        let got = peer.take(4);
        peer.send(got);
    });
    let scene = scene(&origin);
    let mut client = scene.connect("web");
    client.send(
        "POST /expect HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n",
    );
    assert_eq!(client.response_head().status(), 103);
    assert_eq!(client.response_head().status(), 100);
    client.send("body");
    assert_eq!(client.response().text(), "body");
    assert_eq!(scene.proxy.line_of("/expect").outcome(), "ok");

    let mut client = scene.connect("web");
    client.send(
        "GET /upgrade HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nping",
    );
    assert_eq!(client.response().status, 101);
    assert_eq!(client.take(9), b"earlyping");
    client.finish();
    assert!(client.is_at_end());
    let line = scene.proxy.line_of("/upgrade");
    assert_eq!((line.status(), line.outcome()), (101, "tunnel"));
}
