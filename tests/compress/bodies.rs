//! Bodies of every framing, in every coding.

use super::{CODINGS, TEXT, accepting, compressing, decode, decoded, serving, text};
use crate::harness::{Authority, Gate, Origin, Proxy, TlsClient, config};
use crate::tcp::pattern;
use std::io::Read;

/// Sizes around those of buffers and windows.
const SIZES: [usize; 5] = [1024, 16 * 1024, 65_537, 300_000, 3 << 20];

#[test]
fn a_body_of_known_length_comes_out_as_it_went_in() {
    for size in SIZES {
        let body = text(size);
        let origin = serving(TEXT, &body);
        let proxy = compressing("compress", &origin);
        for coding in CODINGS {
            let target = format!("/{coding}");
            let response = proxy.client().ask("GET", &target, &accepting(coding));
            assert_eq!(response.header("content-encoding"), Some(coding));
            assert!(response.complete && response.body.len() < size);
            assert!(decoded(&response) == body, "{coding}: {size} bytes");
            let line = proxy.line_of(&target);
            assert_eq!((line.status(), line.outcome()), (200, "ok"));
        }
    }
}

#[test]
fn a_connection_is_used_again_after_a_compressed_body() {
    let body = text(100_000);
    let origin = serving(TEXT, &body);
    let proxy = compressing("compress", &origin);
    let mut client = proxy.client();
    for turn in 0..6 {
        let coding = CODINGS[turn % 3];
        let target = format!("/{turn}");
        let response = client.ask("GET", &target, &accepting(coding));
        assert!(decoded(&response) == body, "{coding}");
        assert_eq!(proxy.line_of(&target).outcome(), "ok");
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn what_cannot_be_made_smaller_comes_out_as_it_went_in() {
    let body = pattern(1 << 20);
    let origin = serving(TEXT, &body);
    let proxy = compressing("compress", &origin);
    for coding in CODINGS {
        let response = proxy.client().ask("GET", "/x", &accepting(coding));
        assert_eq!(response.header("content-encoding"), Some(coding));
        assert!(decoded(&response) == body, "{coding}");
    }
    assert_eq!(proxy.line_of("/x").outcome(), "ok");
}

fn chunked(parts: &[&[u8]], end: &str) -> Vec<u8> {
    let head = format!("{TEXT}Transfer-Encoding: chunked\r\n\r\n");
    let mut message = head.into_bytes();
    for part in parts {
        message.extend(format!("{:x}\r\n", part.len()).as_bytes());
        message.extend(*part);
        message.extend(b"\r\n");
    }
    message.extend(end.as_bytes());
    message
}

#[test]
fn a_chunked_body_comes_out_as_it_went_in_and_trailers_follow_it() {
    let body = text(200_000);
    let parts: Vec<&[u8]> = body.chunks(7777).collect();
    let trailers = "0\r\nX-Sum: 17\r\nContent-Digest: sha-256=:eA==:\r\nX-Last: yes\r\n\r\n";
    let origin = Origin::saying(chunked(&parts, trailers));
    let proxy = compressing("compress", &origin);
    for coding in CODINGS {
        let target = format!("/{coding}");
        let mut client = proxy.client();
        let wish = format!("{}TE: trailers\r\n", accepting(coding));
        let response = client.ask("GET", &target, &wish);
        assert_eq!(response.header("content-encoding"), Some(coding));
        assert!(response.complete && decoded(&response) == body, "{coding}");
        let trailer = |name: &str| {
            let mut lines = response.trailers.iter();
            let found = lines.find(|(known, _)| known.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.as_str())
        };
        assert_eq!(
            (trailer("x-sum"), trailer("x-last")),
            (Some("17"), Some("yes"))
        );
        // It is of bytes that the client does not have.
        assert_eq!(trailer("content-digest"), None);
        assert_eq!(proxy.line_of(&target).outcome(), "ok");
    }
}

#[test]
fn a_short_chunked_body_is_compressed_and_an_empty_one_is_valid() {
    for body in ["", "x", "short"] {
        let parts: Vec<&[u8]> = [body.as_bytes()]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect();
        let origin = Origin::saying(chunked(&parts, "0\r\n\r\n"));
        let proxy = compressing("compress", &origin);
        let mut client = proxy.client();
        for coding in CODINGS {
            let response = client.ask("GET", "/x", &accepting(coding));
            assert_eq!(response.header("content-encoding"), Some(coding));
            assert!(response.complete, "{coding}");
            assert_eq!(decoded(&response), body.as_bytes(), "{coding}");
        }
        assert_eq!(proxy.line_of("/x").outcome(), "ok");
    }
}

#[test]
fn a_body_until_the_close_comes_out_as_it_went_in() {
    let body = text(200_000);
    let answer = [TEXT.as_bytes(), b"\r\n", &body].concat();
    let origin = Origin::start(move |mut peer| {
        peer.request();
        peer.send(&answer);
    });
    let proxy = compressing("compress", &origin);
    let mut client = proxy.client();
    for coding in CODINGS {
        let target = format!("/{coding}");
        let response = client.ask("GET", &target, &accepting(coding));
        assert_eq!(response.header("content-encoding"), Some(coding));
        assert_eq!(response.header("transfer-encoding"), Some("chunked"));
        assert!(response.complete && decoded(&response) == body, "{coding}");
        assert_eq!(proxy.line_of(&target).outcome(), "ok");
    }
}

#[test]
fn each_piece_of_a_slow_body_arrives_before_the_next_is_sent() {
    for coding in CODINGS {
        let gates: [Gate; 3] = Default::default();
        let waited = gates.clone();
        let origin = Origin::start(move |mut peer| {
            peer.request();
            peer.send(format!("{TEXT}Transfer-Encoding: chunked\r\n\r\n"));
            for (number, gate) in waited.iter().enumerate() {
                peer.send(format!("7\r\npiece {number}\r\n"));
                gate.wait();
            }
            peer.send("0\r\n\r\n");
            peer.request();
        });
        let proxy = compressing("compress", &origin);
        let mut client = proxy.client();
        client.send(format!(
            "GET /x HTTP/1.1\r\nHost: test\r\n{}\r\n",
            accepting(coding)
        ));
        let head = client.response_head();
        assert_eq!(head.header("content-encoding"), Some(coding));
        let mut body = Vec::new();
        for (number, gate) in gates.iter().enumerate() {
            let expected: String = (0..=number)
                .map(|number| format!("piece {number}"))
                .collect();
            while decoded_so_far(coding, &body) != expected.as_bytes() {
                body.extend(client.chunk().expect("the body is not over"));
            }
            gate.open();
        }
        while let Some(data) = client.chunk() {
            body.extend(data);
        }
        assert_eq!(decode(Some(coding), &body), b"piece 0piece 1piece 2");
        assert_eq!(proxy.line_of("/x").outcome(), "ok");
    }
}

/// What the beginning of a body can be decoded to.
fn decoded_so_far(coding: &str, body: &[u8]) -> Vec<u8> {
    let mut decoder: Box<dyn Read> = match coding {
        "gzip" => Box::new(flate2::read::GzDecoder::new(body)),
        "br" => Box::new(brotli::Decompressor::new(body, 4096)),
        _ => Box::new(zstd::Decoder::new(body).expect("a decoder")),
    };
    let mut decoded = Vec::new();
    let mut byte = [0];
    // It ends with an error, the end being not there.
    while matches!(decoder.read(&mut byte), Ok(1)) {
        decoded.extend(byte);
    }
    decoded
}

#[test]
fn a_body_that_breaks_off_has_no_valid_end() {
    let body = text(100_000);
    let length = format!("{TEXT}Content-Length: 200000\r\n\r\n");
    let broken_chunk = [&chunked(&[&body], ""), &b"zzz\r\n"[..]].concat();
    for (name, answer) in [
        ("length", [length.as_bytes(), &body].concat()),
        ("chunks", chunked(&[&body], "")),
        ("framing", broken_chunk),
    ] {
        let origin = Origin::start(move |mut peer| {
            peer.request();
            peer.send(&answer);
        });
        let proxy = compressing("compress", &origin);
        for coding in CODINGS {
            let target = format!("/{name}/{coding}");
            let response = proxy.client().ask("GET", &target, &accepting(coding));
            assert_eq!(response.header("content-encoding"), Some(coding));
            assert!(!response.complete, "{target}: it looks whole");
            let line = proxy.line_of(&target);
            assert_eq!((line.status(), line.outcome()), (200, "upstream-aborted"));
        }
    }
}

#[test]
fn a_client_of_http_1_0_gets_it_until_the_close() {
    let body = text(200_000);
    let origin = serving(TEXT, &body);
    let proxy = compressing("compress", &origin);
    for coding in CODINGS {
        let mut client = proxy.client();
        let target = format!("/{coding}");
        client.send(format!(
            "GET {target} HTTP/1.0\r\nHost: test\r\n{}\r\n",
            accepting(coding)
        ));
        let response = client.response();
        assert_eq!(response.header("content-encoding"), Some(coding));
        assert_eq!(response.header("transfer-encoding"), None);
        assert_eq!(response.header("content-length"), None);
        assert!(decoded(&response) == body, "{coding}");
        assert_eq!(proxy.line_of(&target).outcome(), "ok");
    }
}

#[test]
fn bodies_are_compressed_under_tls_too() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let site = authority.issue(&["site.test"]);
    std::fs::write(folder.path().join("site.pem"), site.both()).expect("writes");
    let body = text(300_000);
    let origin = serving(TEXT, &body);
    let text = config(
        r#"listener "web" "127.0.0.1:0" {
            tls { certificate "site.pem" }
            route { compress; cluster "origin" }
        }
        cluster "origin" { endpoint "ORIGIN" }"#,
        &[("ORIGIN", &origin)],
    );
    let proxy = Proxy::start_in(folder, &text).expect("it starts");
    let tls = TlsClient::new(&authority, "site.test").alpn(&["http/1.1"]);
    let mut client = tls.connect(proxy.address("web"));
    for coding in CODINGS {
        let wish = format!("Host: site.test\r\n{}", accepting(coding));
        let response = client.ask("GET", "/x", &wish);
        assert_eq!(response.header("content-encoding"), Some(coding));
        assert!(response.complete && decoded(&response) == body, "{coding}");
    }
    assert_eq!(proxy.line_of("/x").outcome(), "ok");
}
