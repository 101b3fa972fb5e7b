//! Bytes arrive whole and in order in both directions, each with its own end.

use std::io::Write;
use std::net::Shutdown;
use std::sync::mpsc;
use std::thread;

use super::{connect, echo, line_of, pattern, read_all, read_exactly, server};
use crate::harness::{PATIENCE, Proxy};

/// Enough that both directions are spliced, with a rest that is no round number.
const LARGE: usize = (5 << 20) + 12_345;

fn proxy(endpoint: std::net::SocketAddr) -> Proxy {
    Proxy::start(&format!(
        r#"
        listener "raw" "127.0.0.1:0" {{ protocol "tcp"; route {{ cluster "c" }} }}
        cluster "c" {{ endpoint "{endpoint}" }}
        "#
    ))
}

#[test]
fn an_echo_comes_back_and_the_access_line_says_what_happened() {
    let origin = server(echo);
    let proxy = proxy(origin);
    let mut client = connect(proxy.address("raw"));
    for word in ["one", "twelve"] {
        client.write_all(word.as_bytes()).expect("sends");
        assert_eq!(read_exactly(&mut client, word.len()), word.as_bytes());
    }
    client.shutdown(Shutdown::Write).expect("half-closes");
    assert_eq!(read_all(&mut client), b"");

    let line = line_of(&proxy, &client);
    assert_eq!(line.outcome(), "ok");
    assert_eq!(line.text("listener"), "raw");
    assert_eq!(line.text("cluster"), "c");
    assert_eq!(line.text("endpoint"), origin.to_string());
    assert_eq!(
        (
            line.number("downstream_bytes"),
            line.number("upstream_bytes")
        ),
        (9, 9)
    );
    assert_eq!(line.number("generation"), 1);
    assert!(
        line.number("connect_us") >= 0 && line.number("total_us") >= line.number("connect_us"),
        "{line:?}"
    );
}

#[test]
fn the_downstream_may_end_first_and_still_gets_its_answer() {
    let origin = server(|mut stream| {
        let question = read_all(&mut stream);
        stream
            .write_all(&[b"got: ", question.as_slice()].concat())
            .expect("sends");
    });
    let proxy = proxy(origin);
    let mut client = connect(proxy.address("raw"));
    client.write_all(b"a question").expect("sends");
    client.shutdown(Shutdown::Write).expect("half-closes");
    assert_eq!(read_all(&mut client), b"got: a question");
    assert_eq!(line_of(&proxy, &client).outcome(), "ok");
}

#[test]
fn the_upstream_may_end_first_and_still_gets_the_rest() {
    let (tell, told) = mpsc::channel();
    let origin = server(move |mut stream| {
        stream.write_all(b"a greeting").expect("sends");
        stream.shutdown(Shutdown::Write).expect("half-closes");
        tell.send(read_all(&mut stream)).expect("the test waits");
    });
    let proxy = proxy(origin);
    let mut client = connect(proxy.address("raw"));
    assert_eq!(read_all(&mut client), b"a greeting");
    client
        .write_all(b"after the end of the other direction")
        .expect("sends");
    client.shutdown(Shutdown::Write).expect("half-closes");
    assert_eq!(
        told.recv_timeout(PATIENCE).expect("it arrives"),
        b"after the end of the other direction"
    );
    assert_eq!(line_of(&proxy, &client).outcome(), "ok");
}

#[test]
fn large_transfers_both_ways_at_once_arrive_intact() {
    let proxy = proxy(server(echo));
    let sent = pattern(LARGE);
    let mut client = connect(proxy.address("raw"));
    let mut writer = client.try_clone().expect("a second handle");
    let received = thread::scope(|scope| {
        scope.spawn(|| {
            writer.write_all(&sent).expect("sends");
            writer.shutdown(Shutdown::Write).expect("half-closes");
        });
        read_all(&mut client)
    });
    assert!(
        received == sent,
        "{} bytes of {LARGE} came back, or came back changed",
        received.len()
    );
    let line = line_of(&proxy, &client);
    assert_eq!(line.outcome(), "ok");
    assert_eq!(
        (
            line.number("downstream_bytes"),
            line.number("upstream_bytes")
        ),
        (LARGE as i64, LARGE as i64)
    );
}

#[test]
fn a_large_download_reaches_a_slow_reader_whole() {
    let proxy = proxy(server(|mut stream| {
        stream.write_all(&pattern(LARGE)).expect("sends")
    }));
    let mut client = connect(proxy.address("raw"));
    client.shutdown(Shutdown::Write).expect("half-closes");
    let mut received = Vec::new();
    let mut part = vec![0; 1_000];
    loop {
        match std::io::Read::read(&mut client, &mut part).expect("reads") {
            0 => break,
            count => received.extend_from_slice(&part[..count]),
        }
    }
    assert!(
        received == pattern(LARGE),
        "{} bytes of {LARGE} arrived, or arrived changed",
        received.len()
    );
    assert_eq!(
        line_of(&proxy, &client).number("upstream_bytes"),
        LARGE as i64
    );
}

#[test]
fn many_connections_at_once_do_not_mix() {
    let proxy = proxy(server(echo));
    thread::scope(|scope| {
        for number in 0..32 {
            let address = proxy.address("raw");
            scope.spawn(move || {
                let mut client = connect(address);
                for turn in 0..20 {
                    let word = format!("connection {number}, turn {turn}");
                    client.write_all(word.as_bytes()).expect("sends");
                    assert_eq!(read_exactly(&mut client, word.len()), word.as_bytes());
                }
            });
        }
    });
}
