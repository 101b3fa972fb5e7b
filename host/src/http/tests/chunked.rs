//! The chunked coding, cut everywhere.

use super::*;

/// Data, and how many bytes the whole body took, or why it was refused; fed in pieces that end at `cuts`.
fn decode(body: &[u8], cuts: &[usize]) -> Result<(Vec<u8>, usize, Vec<String>), &'static str> {
    let mut decoder = ChunkedDecoder::new();
    let (mut data, mut at) = (Vec::new(), 0);
    for &end in cuts.iter().chain([&body.len()]) {
        while at < end && !decoder.is_done() {
            let decoded = decoder.decode(&body[at..end]).map_err(|bad| bad.reason)?;
            data.extend_from_slice(&body[at..][decoded.data]);
            assert_eq!(decoded.done, decoder.is_done());
            at += decoded.consumed;
        }
    }
    if !decoder.is_done() {
        return Err("incomplete");
    }
    Ok((data, at, lines_of(decoder.trailers())))
}

const BODY: &[u8] = b"5\r\nhello\r\n0a;name=\"val\"\t;x\r\n, wonderfu\r\n0001\r\nl\r\n000;e\r\nGrpc-Status: 0\r\nHost: evil\r\nx: y\r\n\r\nGET /next";

#[test]
fn any_cut_gives_the_same_body() {
    let whole = decode(BODY, &[]).expect("a valid body");
    assert_eq!(whole.0, b"hello, wonderful");
    assert_eq!(&BODY[whole.1..], b"GET /next");
    assert_eq!(whole.2, ["Grpc-Status: 0", "x: y"]);
    for first in 0..BODY.len() {
        for second in first..BODY.len() {
            assert_eq!(
                decode(BODY, &[first, second]),
                Ok(whole.clone()),
                "{first} {second}"
            );
        }
    }
    let each: Vec<usize> = (0..BODY.len()).collect();
    assert_eq!(decode(BODY, &each), Ok(whole));
}

#[test]
fn bodies_without_trailers() {
    assert_eq!(decode(b"0\r\n\r\n", &[]), Ok((Vec::new(), 5, Vec::new())));
    assert_eq!(
        decode(b"1\r\na\r\n0\r\n\r\n0\r\n\r\n", &[]),
        Ok((b"a".to_vec(), 11, Vec::new()))
    );
}

#[test]
fn loose_framing_is_refused_wherever_it_is_cut() {
    let table: [(&[u8], &str); 27] = [
        (b"\r\n", "chunk-size"),
        (b"x\r\n", "chunk-size"),
        (b" 5\r\nhello", "chunk-size"),
        (b"5 \r\nhello", "chunk-size"),
        (b"5\t;a\r\nhello", "chunk-size"),
        (b"+5\r\nhello", "chunk-size"),
        (b"-1\r\n", "chunk-size"),
        (b"0x5\r\nhello", "chunk-size"),
        (b"5_0\r\n", "chunk-size"),
        (b"5\nhello", "chunk-size"),
        (b";a\r\n", "chunk-size"),
        (b"00000000000000005\r\nhello", "chunk-size"),
        (b"10000000000000000\r\n", "chunk-size"),
        (b"5\rhello", "chunk-end"),
        (b"5\r\rhello", "chunk-end"),
        (b"5;a\nhello", "chunk-extension"),
        (b"5;a\x00\r\nhello", "chunk-extension"),
        (b"5;a\x7f\r\nhello", "chunk-extension"),
        (b"5;a\rb\r\nhello", "chunk-end"),
        (b"5\r\nhello\n0\r\n\r\n", "chunk-end"),
        (b"5\r\nhello0\r\n\r\n", "chunk-end"),
        (b"5\r\nhello!\r\n", "chunk-end"),
        (b"0\r\n\n", "no-colon"),
        (b"0\r\nA: b\n\r\n", "bare-line-feed"),
        (b"0\r\n b: c\r\n\r\n", "folded-line"),
        (b"0\r\nA : b\r\n\r\n", "blank-before-colon"),
        (b"0\r\nA: \x01\r\n\r\n", "control-character"),
    ];
    for (body, reason) in table {
        let reason = if body == b"0\r\n\n" {
            "bare-line-feed"
        } else {
            reason
        };
        for cut in 0..=body.len() {
            assert_eq!(
                decode(body, &[cut]),
                Err(reason),
                "{:?} cut at {cut}",
                String::from_utf8_lossy(body)
            );
        }
    }
}

#[test]
fn digits_are_counted_for_each_chunk() {
    let body = "00000001\r\na\r\n".repeat(3) + "0\r\n\r\n";
    assert_eq!(
        decode(body.as_bytes(), &[]),
        Ok((b"aaa".to_vec(), body.len(), Vec::new()))
    );
}

#[test]
fn the_largest_size_is_read_and_not_allocated() {
    let mut decoder = ChunkedDecoder::new();
    let decoded = decoder
        .decode(b"ffffffffffffffff\r\nab")
        .expect("a valid size");
    assert_eq!(
        (decoded.consumed, decoded.data, decoded.done),
        (20, 18..20, false)
    );
}

#[test]
fn extensions_are_limited_over_the_whole_body() {
    let of = |bytes: usize| {
        let (half, rest) = ("x".repeat(bytes / 2), "x".repeat(bytes.div_ceil(2)));
        decode(
            format!("1;{half}\r\na\r\n1;{rest}\r\nb\r\n0\r\n\r\n").as_bytes(),
            &[],
        )
    };
    assert!(of(16 * 1024).is_ok());
    assert_eq!(of(16 * 1024 + 1), Err("chunk-extension"));
}

#[test]
fn trailers_are_limited_in_lines_and_bytes() {
    let lines = |count: usize| {
        decode(
            format!("0\r\n{}\r\n", "a: b\r\n".repeat(count)).as_bytes(),
            &[],
        )
    };
    assert_eq!(lines(64).expect("within the limit").2.len(), 64);
    assert_eq!(lines(65), Err("too-many-headers"));
    let bytes = |section: usize| {
        decode(
            format!("0\r\na: {}\r\n\r\n", "b".repeat(section - 7)).as_bytes(),
            &[9000],
        )
    };
    assert!(bytes(16 * 1024).is_ok());
    assert_eq!(bytes(16 * 1024 + 1), Err("head-too-large"));
    assert_eq!(
        decode(&[b"0\r\n", &[b'a'; 20_000][..]].concat(), &[]),
        Err("head-too-large")
    );
}

#[test]
fn trailers_that_would_change_the_message_are_left_out() {
    let names = [
        "Content-Length",
        "Transfer-Encoding",
        "Host",
        "Trailer",
        "Connection",
        "TE",
        "Upgrade",
        "Authorization",
        "Cookie",
        "Set-Cookie",
        "Proxy-Authorization",
        "WWW-Authenticate",
        "Content-Encoding",
        "Content-Type",
        "Content-Range",
        "Cache-Control",
        "Expect",
        "Range",
        "Forwarded",
        "X-Forwarded-For",
        "x-real-ip",
        "a_b",
    ];
    for name in names {
        let body = format!("0\r\n{name}: 1\r\nKept: 1\r\n\r\n");
        assert_eq!(
            decode(body.as_bytes(), &[]).expect("accepted").2,
            ["Kept: 1"],
            "{name}"
        );
    }
}

#[test]
fn a_decoder_is_used_again() {
    let mut decoder = ChunkedDecoder::new();
    let decoded = decoder.decode(b"0\r\nA: b\r\n\r\nrest").expect("valid");
    assert_eq!((decoded.consumed, decoded.done), (11, true));
    assert_eq!(
        decoder.decode(b"rest"),
        Ok(Decoded {
            consumed: 0,
            data: 0..0,
            done: true
        })
    );
    decoder.clear();
    assert!(!decoder.is_done() && decoder.trailers().is_empty());
    assert!(decoder.decode(b"0\r\n\r\n").expect("valid").done);
}

#[test]
fn encoding() {
    for len in [1, 9, 10, 15, 16, 255, 256, 4095, 65_536, usize::MAX] {
        let mut out = Vec::new();
        encode_chunk_head(len, &mut out);
        assert_eq!(out, format!("{len:x}\r\n").into_bytes());
    }
    let mut out = Vec::new();
    encode_last_chunk(&Fields::new(), &mut out);
    assert_eq!(out, LAST_CHUNK);
    let mut trailers = Fields::new();
    trailers.set(b"grpc-status", b"0").expect("a valid line");
    out.clear();
    encode_last_chunk(&trailers, &mut out);
    assert_eq!(out, b"0\r\ngrpc-status: 0\r\n\r\n");
}
