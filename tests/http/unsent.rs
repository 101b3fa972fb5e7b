//! A request that an upstream has not been given whole is the last one on its connection.

use crate::harness::{Head, Origin, PATIENCE, Proxy, config};
use std::io::Read;
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

const KIBIBYTE: usize = 1 << 10;

/// The next head, and not a byte of what follows it.
fn head_alone(mut stream: &TcpStream) -> Option<Head> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    Some(Head::parse(&head))
}

/// Answers an upload without having read it, at the first turn, and reads it at the second; what it gets of the body is sent to `bodies`.
fn hasty(turns: Receiver<()>, bodies: Sender<Vec<u8>>) -> Origin {
    let turns = Mutex::new(turns);
    let turn = move || {
        let turns = turns.lock().expect("nobody panics holding it");
        turns.recv_timeout(PATIENCE).expect("the test's turn");
    };
    Origin::start(move |mut peer| {
        let Some(head) = head_alone(peer.stream()) else {
            return;
        };
        if let Some(length) = head.header("content-length") {
            turn();
            peer.answer("early");
            turn();
            let body = peer.take(length.parse().expect("a length"));
            // The test may have failed already.
            let _ = bodies.send(body);
            if peer.head().is_none() {
                return;
            }
        }
        peer.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nnext");
    })
}

/// Bytes on their way from the process that has `port` to the proxy, which that has not read.
fn unread(port: u16) -> usize {
    let sockets = std::fs::read_to_string("/proc/net/tcp").expect("the system tells its sockets");
    let port = format!(":{port:04X}");
    let waiting = sockets.lines().skip(1).map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (to_send, to_read) = fields[4].split_once(':').expect("two queues");
        let queue = match (fields[1].ends_with(&port), fields[2].ends_with(&port)) {
            (true, _) => to_send,
            (_, true) => to_read,
            _ => "0",
        };
        usize::from_str_radix(queue, 16).expect("a length")
    });
    waiting.sum()
}

/// Whether the proxy reads everything from `port`, or does not for now since it cannot send.
fn is_read(port: u16) -> bool {
    let deadline = Instant::now() + Duration::from_millis(300);
    while unread(port) > 0 {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::yield_now();
    }
    true
}

/// Where the last part of a body has been read and does not fit into what the system keeps for the origin, the body is over for one side
/// and not for the other. How much fits is not known, so lengths are tried.
#[test]
fn an_upstream_connection_with_an_unsent_rest_is_not_used_again() {
    let ((turns, taken), (bodies, arrived)) = (channel(), channel());
    let origin = hasty(taken, bodies);
    let text = r#"
        listener "web" "127.0.0.1:0" { route { cluster "origin" } }
        cluster "origin" {
            endpoint "ORIGIN"
            timeouts response="10s"
        }"#;
    let proxy = Proxy::start(&config(text, &[("ORIGIN", &origin)]));
    let upload = |length: usize| {
        let mut client = proxy.client();
        client.send(format!(
            "POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{}",
            "x".repeat(length)
        ));
        let is_read = is_read(client.stream().local_addr().expect("connected").port());
        turns.send(()).expect("the origin waits");
        assert_eq!(client.response().text(), "early");
        turns.send(()).expect("the origin waits");
        let next = proxy.client().get("/next");
        let body = arrived.recv_timeout(PATIENCE).expect("a body");
        let foreign = body.iter().position(|&byte| byte != b'x');
        let foreign = foreign.map(|at| String::from_utf8_lossy(&body[at..]).into_owned());
        assert_eq!(foreign, None, "within a body of {length} bytes");
        assert_eq!(next.text(), "next");
        (is_read, body.len())
    };
    let (mut length, mut is_near) = (KIBIBYTE * KIBIBYTE, false);
    let (began, mut steps) = (Instant::now(), (1..6).cycle());
    loop {
        let (is_read, arrived) = upload(length);
        if is_read && arrived < length {
            break;
        }
        let elapsed = began.elapsed();
        assert!(elapsed < 2 * PATIENCE, "no length ends in an unsent part");
        is_near |= arrived < length;
        length = match is_near {
            true => arrived + steps.next().expect("it goes round") * KIBIBYTE,
            // In steps that fit on this side when they do not fit on the other.
            false => length + 512 * KIBIBYTE,
        };
    }
}
