//! The HTTP probe against scripted endpoints.

use std::ops::RangeInclusive;
use std::time::Duration;

use regex::bytes::Regex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    answer_with, http_probe, is_closed_when_dropped, listen, probe_and, probe_deaf, prober,
    settings, words,
};
use crate::config::{HttpProbe, Probe};
use crate::health::{Prober, Target, Transport};

async fn check(probe: HttpProbe, answer: &[u8]) -> String {
    let prober = prober(Probe::Http(probe));
    words(
        probe_and(&prober, |stream| answer_with(stream, answer))
            .await
            .0,
    )
}

fn expecting(expect: &[RangeInclusive<u16>]) -> HttpProbe {
    HttpProbe {
        expect: expect.to_vec(),
        ..http_probe()
    }
}

fn matching(pattern: &str) -> HttpProbe {
    HttpProbe {
        body: Some(Regex::new(pattern).expect("a pattern")),
        ..http_probe()
    }
}

#[tokio::test]
async fn the_status_must_be_in_the_expected_set() {
    let cases = [
        (200, &[200..=399][..], "passed: status 200"),
        (399, &[200..=399], "passed: status 399"),
        (400, &[200..=399], "status 400"),
        (503, &[200..=399], "status 503"),
        (204, &[200..=200, 204..=204], "passed: status 204"),
        (201, &[200..=200, 204..=204], "status 201"),
        (200, &[500..=599], "status 200"),
        (503, &[500..=599], "passed: status 503"),
    ];
    for (status, expect, expected) in cases {
        let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\n\r\n");
        let found = check(expecting(expect), answer.as_bytes()).await;
        assert_eq!(found, expected, "{status} of {expect:?}");
    }
}

#[tokio::test]
async fn an_interim_answer_is_not_the_answer() {
    let answer = b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 500 x\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(check(http_probe(), answer).await, "status 500");
}

#[tokio::test]
async fn the_body_must_match_however_it_is_framed() {
    let cases: [(&str, &str, &str); 5] = [
        (
            "HTTP/1.1 200 x\r\ncontent-length: 11\r\n\r\nstatus: ok\n",
            "status: ok",
            "passed: status 200",
        ),
        (
            "HTTP/1.1 200 x\r\ntransfer-encoding: chunked\r\n\r\n4\r\nstat\r\n6\r\nus: ok\r\n0\r\n\r\n",
            "^status: ok$",
            "passed: status 200",
        ),
        (
            "HTTP/1.0 200 x\r\n\r\nstatus: ok",
            "ok$",
            "passed: status 200",
        ),
        (
            "HTTP/1.1 200 x\r\ncontent-length: 3\r\n\r\nbad",
            "ok",
            "body does not match",
        ),
        (
            "HTTP/1.1 503 x\r\ncontent-length: 2\r\n\r\nok",
            "ok",
            "status 503",
        ),
    ];
    for (answer, pattern, expected) in cases {
        let found = check(matching(pattern), answer.as_bytes()).await;
        assert_eq!(found, expected, "{answer:?}");
    }
}

#[tokio::test]
async fn only_the_first_64_kib_of_a_body_are_searched() {
    const LIMIT: usize = 64 * 1024;
    for (padding, expected) in [
        (LIMIT - 2, "passed: status 200"),
        (LIMIT - 1, "body does not match"),
    ] {
        let length = 4 * LIMIT;
        let mut answer = format!("HTTP/1.1 200 x\r\ncontent-length: {length}\r\n\r\n").into_bytes();
        let head = answer.len();
        answer.resize(head + padding, b'.');
        answer.extend(b"ok");
        answer.resize(head + length, b'.');
        assert_eq!(
            check(matching("ok"), &answer).await,
            expected,
            "{padding} before"
        );
    }
}

#[tokio::test]
async fn what_is_no_answer_says_so() {
    let long = format!("HTTP/1.1 200 x\r\nx: {}\r\n\r\n", "y".repeat(200_000));
    let cases = [
        ("", "connection closed before the answer"),
        ("HTTP/1.1 200", "connection closed before the answer"),
        (
            "HTTP/1.1 200 x\r\ncontent-length: 9\r\n\r\nok",
            "connection closed before the end of the body",
        ),
        ("SSH-2.0-OpenSSH_9.6\r\n", "not a valid HTTP/1.1 answer: "),
        (&long, "not a valid HTTP/1.1 answer: "),
    ];
    for (answer, expected) in cases {
        let found = check(matching("ok"), answer.as_bytes()).await;
        assert!(found.starts_with(expected), "{expected}: {found}");
    }
}

#[tokio::test]
async fn an_endpoint_that_hangs_up_or_speaks_first_is_named() {
    let prober = prober(Probe::Http(http_probe()));
    for _ in 0..20 {
        let (result, ()) = probe_and(&prober, |stream| async { drop(stream) }).await;
        assert_eq!(words(result), "connection closed before the answer");

        let (result, ()) = probe_and(&prober, |mut stream| async move {
            let _ = stream.write_all(b"220 mail.test ESMTP\r\n").await;
            let _ = stream.read_to_end(&mut Vec::new()).await;
        })
        .await;
        let found = words(result);
        assert!(
            found.starts_with("not a valid HTTP/1.1 answer: "),
            "{found}"
        );
    }
}

#[tokio::test]
async fn a_refused_connection_is_named() {
    let (listener, target) = listen().await;
    drop(listener);
    let result = prober(Probe::Http(http_probe())).probe(&target).await;
    assert_eq!(words(result), "connection refused");
}

#[tokio::test(start_paused = true)]
async fn the_timeout_covers_head_and_body_together() {
    let head = "HTTP/1.1 200 x\r\ncontent-length: 9\r\n\r\nok";
    let cases = [
        ("", http_probe(), "no answer within 1s"),
        (&head[..20], http_probe(), "no answer within 1s"),
        (head, matching("ok"), "no end of the body within 1s"),
    ];
    for (first, probe, expected) in cases {
        let (result, took) = probe_deaf(Probe::Http(probe), first.as_bytes()).await;
        assert_eq!(words(result), expected, "{first:?}");
        assert_eq!(took.as_millis() / 10, 100, "{first:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_nobody_asked_for_is_not_waited_for() {
    let head = b"HTTP/1.1 200 x\r\ncontent-length: 9\r\n\r\nok";
    let (result, took) = probe_deaf(Probe::Http(http_probe()), head).await;
    let passed = result.expect("the status is enough");
    assert_eq!(passed.took, Duration::ZERO);
    assert_eq!(took.as_millis() / 10, 10);
}

#[tokio::test]
async fn a_dropped_check_closes_its_connection() {
    assert!(is_closed_when_dropped(Probe::Http(http_probe())).await);
}

#[tokio::test]
async fn the_request_is_what_was_configured() {
    let rich = HttpProbe {
        path: "/ready?deep=1".to_owned(),
        method: "HEAD".to_owned(),
        host: Some("shop.test".to_owned()),
        headers: vec![
            ("x-probe".to_owned(), "1".to_owned()),
            ("x-probe".to_owned(), "2".to_owned()),
            ("user-agent".to_owned(), "mine".to_owned()),
        ],
        ..http_probe()
    };
    let header_host = HttpProbe {
        headers: vec![("host".to_owned(), "by-header.test".to_owned())],
        ..http_probe()
    };
    let cases = [
        (
            http_probe(),
            "GET /healthz HTTP/1.1",
            vec![
                "connection: close",
                "host: localhost:PORT",
                "user-agent: tollgate-health-check",
            ],
        ),
        (
            rich,
            "HEAD /ready?deep=1 HTTP/1.1",
            vec![
                "connection: close",
                "host: shop.test",
                "user-agent: mine",
                "x-probe: 1",
                "x-probe: 2",
            ],
        ),
        (
            header_host,
            "GET /healthz HTTP/1.1",
            vec![
                "connection: close",
                "host: by-header.test",
                "user-agent: tollgate-health-check",
            ],
        ),
    ];
    for (probe, line, expected) in cases {
        let (listener, target) = listen().await;
        let prober = prober(Probe::Http(probe));
        let serve = async {
            let (stream, _) = listener.accept().await.expect("the check connects");
            answer_with(stream, b"HTTP/1.1 200 x\r\ncontent-length: 0\r\n\r\n").await
        };
        let (result, head) = tokio::join!(prober.probe(&target), serve);
        assert!(result.is_ok());
        let head = head.replace(&target.label, "localhost:PORT");
        let mut lines: Vec<&str> = head.trim_end().split("\r\n").collect();
        assert_eq!(lines.remove(0), line);
        lines.sort_unstable();
        assert_eq!(lines, expected);
    }
}

#[tokio::test]
async fn a_label_that_is_no_host_fails_the_check() {
    let (_listener, target) = listen().await;
    let label = "two\nlines".to_owned();
    let result = prober(Probe::Http(http_probe()))
        .probe(&Target { label, ..target })
        .await;
    assert_eq!(
        words(result),
        r#""two\nlines" cannot be used as a Host header"#
    );
}

#[test]
fn what_cannot_be_sent_is_refused_when_made() {
    let header = |name: &str, value: &str| HttpProbe {
        headers: vec![(name.to_owned(), value.to_owned())],
        ..http_probe()
    };
    let path = |path: &str| HttpProbe {
        path: path.to_owned(),
        ..http_probe()
    };
    let method = |method: &str| HttpProbe {
        method: method.to_owned(),
        ..http_probe()
    };
    let two_hosts = HttpProbe {
        headers: vec![
            ("host".to_owned(), "a".to_owned()),
            ("host".to_owned(), "b".to_owned()),
        ],
        ..http_probe()
    };
    let cases = [
        (two_hosts, false),
        (header("host", "a"), true),
        (header("content-length", "5"), false),
        (header("transfer-encoding", "chunked"), false),
        (header("connection", "keep-alive"), false),
        (header("two words", "x"), false),
        (header("x", "a\r\nb: c"), false),
        (header("accept", "*/*"), true),
        (path("healthz"), false),
        (path("http://other.test/"), false),
        (path("other.test:80"), false),
        (path("/a b"), false),
        (path(""), false),
        (path("/"), true),
        (path("*"), true),
        (method("GE T"), false),
        (method(""), false),
        (method("CONNECT"), false),
        (method("PURGE"), true),
    ];
    for (probe, sound) in cases {
        let name = format!("{probe:?}");
        assert_eq!(
            Prober::new(&settings(Probe::Http(probe)), Transport::default()).is_ok(),
            sound,
            "{name}"
        );
    }
}
