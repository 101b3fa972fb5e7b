//! Bodies pass while they arrive, and no faster than the other side takes them.

use crate::harness::{Client, Gate, Origin, Proxy, config};
use std::io::Write;
use std::time::Duration;

const MEBIBYTE: usize = 1 << 20;
/// More than the kernel's buffers of two connections and the proxy's own together.
const IN_TRANSIT_MAX: usize = 48 * MEBIBYTE;
const LARGE: usize = 160 * MEBIBYTE;

#[test]
fn the_start_of_a_response_arrives_before_its_end_is_sent() {
    for (framing, first, last) in [
        ("Content-Length: 10\r\n", "first", "later"),
        (
            "Transfer-Encoding: chunked\r\n",
            "5\r\nfirst\r\n",
            "5\r\nlater\r\n0\r\n\r\n",
        ),
        ("", "first", "later"),
    ] {
        let seen = Gate::default();
        let gate = seen.clone();
        let origin = Origin::start(move |mut peer| {
            peer.request();
            peer.send(format!("HTTP/1.1 200 OK\r\n{framing}\r\n{first}"));
            gate.wait();
            peer.send(last);
        });
        let proxy = Proxy::before(&origin);
        let mut client = proxy.client();
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let head = client.response_head();
        let fixed = head.header("content-length").is_some();
        let mut body = if fixed {
            client.take(5)
        } else {
            client.chunk().expect("a first chunk")
        };
        assert_eq!(body, b"first", "{framing}");
        seen.open();
        if fixed {
            body.extend(client.take(5));
        } else {
            while let Some(part) = client.chunk() {
                body.extend(part);
            }
        }
        assert_eq!(body, b"firstlater", "{framing}");
        assert_eq!(proxy.line_of("/").outcome(), "ok");
    }
}

#[test]
fn the_start_of_a_request_arrives_before_its_end_is_sent() {
    for (framing, first, last) in [
        ("Content-Length: 10", "first", "later"),
        (
            "Transfer-Encoding: chunked",
            "5\r\nfirst\r\n",
            "5\r\nlater\r\n0\r\n\r\n",
        ),
    ] {
        let seen = Gate::default();
        let gate = seen.clone();
        let origin = Origin::start(move |mut peer| {
            let head = peer.head().expect("a request");
            let start = if head.header("content-length").is_some() {
                peer.take(5)
            } else {
                peer.chunk().expect("a chunk")
            };
            assert_eq!(start, b"first");
            gate.open();
            let end = if head.header("content-length").is_some() {
                peer.take(5)
            } else {
                peer.chunk().expect("a chunk")
            };
            let text = String::from_utf8_lossy(&end).into_owned();
            peer.answer(&text);
        });
        let proxy = Proxy::before(&origin);
        let mut client = proxy.client();
        client.send(format!(
            "POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n{first}"
        ));
        seen.wait();
        client.send(last);
        assert_eq!(client.response().text(), "later", "{framing}");
        assert_eq!(proxy.line_of("/").outcome(), "ok");
    }
}

/// Writes zeros until the other side has taken none for a while or all are written; answers how many.
fn write_until_stuck(mut stream: &std::net::TcpStream, total: usize) -> usize {
    stream
        .set_write_timeout(Some(Duration::from_millis(500)))
        .expect("a TCP socket");
    let part = vec![0; 64 * 1024];
    let mut written = 0;
    while written < total {
        match stream.write(&part[..part.len().min(total - written)]) {
            Ok(count) => written += count,
            Err(_) => break,
        }
    }
    stream.set_write_timeout(None).expect("a TCP socket");
    written
}

fn write_rest(mut stream: &std::net::TcpStream, count: usize) {
    let part = vec![0; 256 * 1024];
    let mut left = count;
    while left > 0 {
        let count = left.min(part.len());
        stream
            .write_all(&part[..count])
            .expect("the proxy reads on");
        left -= count;
    }
}

/// Takes `total` bytes off the connection without keeping them.
fn skip(client: &mut Client, total: usize) {
    let mut left = total;
    while left > 0 {
        let part = client.take(left.min(MEBIBYTE));
        assert!(!part.is_empty(), "{left} bytes are missing");
        left -= part.len();
    }
}

#[test]
fn a_downstream_that_does_not_read_holds_the_origin_back() {
    let stuck = Gate::default();
    let gate = stuck.clone();
    let origin = Origin::start(move |mut peer| {
        peer.request();
        peer.send(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n"
        ));
        let written = write_until_stuck(peer.stream(), LARGE);
        assert!(written < IN_TRANSIT_MAX, "{written} bytes went nowhere");
        gate.open();
        write_rest(peer.stream(), LARGE - written);
        peer.request();
    });
    let proxy = Proxy::before(&origin);
    let mut client = proxy.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    stuck.wait();
    client.response_head();
    skip(&mut client, LARGE);
    let line = proxy.line_of("/");
    assert_eq!(line.outcome(), "ok");
    assert!(line.number("upstream_bytes") >= LARGE as i64);
}

#[test]
fn an_origin_that_does_not_read_holds_the_downstream_back() {
    let stuck = Gate::default();
    let gate = stuck.clone();
    let origin = Origin::start(move |mut peer| {
        peer.head();
        gate.wait();
        let mut left = LARGE;
        while left > 0 {
            let part = peer.take(left.min(MEBIBYTE));
            assert!(!part.is_empty(), "{left} bytes are missing");
            left -= part.len();
        }
        peer.answer("all");
        peer.request();
    });
    let proxy = Proxy::before(&origin);
    let mut client = proxy.client();
    client.send(format!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {LARGE}\r\n\r\n"
    ));
    let written = write_until_stuck(client.stream(), LARGE);
    assert!(written < IN_TRANSIT_MAX, "{written} bytes went nowhere");
    stuck.open();
    write_rest(client.stream(), LARGE - written);
    assert_eq!(client.response().text(), "all");
    let line = proxy.line_of("/");
    assert_eq!(line.outcome(), "ok");
    assert!(line.number("downstream_bytes") >= LARGE as i64);
}

#[test]
fn both_bodies_stream_at_the_same_time() {
    let origin = Origin::start(|mut peer| {
        peer.head();
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        while let Some(part) = peer.chunk() {
            peer.send(format!(
                "{:x}\r\n{}\r\n",
                part.len(),
                String::from_utf8_lossy(&part)
            ));
        }
        peer.line();
        peer.send("0\r\n\r\n");
        peer.request();
        peer.answer("after");
    });
    let proxy = Proxy::before(&origin);
    let mut client = proxy.client();
    client.send("POST /duplex HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.response_head();
    for word in ["one", "two", "three"] {
        client.send(format!("{:x}\r\n{word}\r\n", word.len()));
        assert_eq!(client.chunk().as_deref(), Some(word.as_bytes()));
    }
    client.send("0\r\n\r\n");
    assert_eq!(client.chunk(), None);
    assert_eq!(client.line().as_deref(), Some(""));
    assert_eq!(proxy.line_of("/duplex").outcome(), "ok");
    assert_eq!(client.get("/after").text(), "after");
    assert_eq!(origin.connections(), 1);
}

#[test]
fn an_upload_that_fails_after_the_answer_began_adds_no_second_answer() {
    for broken in ["zz\r\n", "7\r\ntoolong\r\n0\r\n\r\n"] {
        let origin = Origin::start(|mut peer| {
            peer.head();
            peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n");
            peer.rest();
        });
        let text = r#"
            listener "web" "127.0.0.1:0" {
                limits body-bytes-max="4B"
                route { cluster "origin" }
            }
            cluster "origin" { endpoint "ORIGIN" }"#;
        let proxy = Proxy::start(&config(text, &[("ORIGIN", &origin)]));
        let mut client = proxy.client();
        client.send(
            "POST /half HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n",
        );
        client.response_head();
        assert_eq!(client.chunk().as_deref(), Some(&b"ok"[..]));
        client.send(broken);
        assert_eq!(String::from_utf8_lossy(&client.rest()), "", "{broken:?}");
        let line = proxy.line_of("/half");
        assert_eq!(line.status(), 200, "{broken:?}");
        assert_ne!(line.outcome(), "ok", "{broken:?}");
        origin.wait_for_ends(1);
    }
}

#[test]
fn an_upload_may_take_longer_than_an_answer() {
    let origin = Origin::start(|mut peer| {
        while let Some(request) = peer.request() {
            if request.head.target() != "/silent" {
                peer.answer("all");
            }
        }
    });
    let text = r#"
        listener "web" "127.0.0.1:0" { route { cluster "origin" } }
        cluster "origin" {
            endpoint "ORIGIN"
            timeouts response="300ms"
        }"#;
    let proxy = Proxy::start(&config(text, &[("ORIGIN", &origin)]));
    let mut slow = proxy.client();
    slow.send("POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab");
    origin.wait_for_connections(1);
    // The same timeout passes for a request that began later.
    assert_eq!(proxy.client().get("/silent").status, 504);
    slow.send("cd");
    assert_eq!(slow.response().text(), "all");
    assert_eq!(proxy.line_of("/slow").outcome(), "ok");
}
