use std::io::Read;

use super::super::Encoder;
use super::ALL;
use crate::config::Coding;

/// Decodes a whole body and insists on its end.
fn decode(coding: Coding, body: &[u8]) -> Vec<u8> {
    let mut data = Vec::new();
    let result = match coding {
        Coding::Gzip => flate2::read::GzDecoder::new(body).read_to_end(&mut data),
        Coding::Brotli => brotli::Decompressor::new(body, 4096).read_to_end(&mut data),
        Coding::Zstd => zstd::stream::read::Decoder::new(body)
            .expect("memory")
            .read_to_end(&mut data),
    };
    result.expect("a whole body");
    data
}

/// What a client can decode of the beginning of a body.
fn decode_beginning(coding: Coding, body: &[u8]) -> Vec<u8> {
    let mut stream: Box<dyn Read> = match coding {
        Coding::Gzip => Box::new(flate2::read::GzDecoder::new(body)),
        Coding::Brotli => Box::new(brotli::Decompressor::new(body, 4096)),
        Coding::Zstd => {
            let decoder = zstd::stream::read::Decoder::new(body);
            Box::new(decoder.expect("memory"))
        }
    };
    let mut data = Vec::new();
    stream.read_to_end(&mut data).expect_err("no end yet");
    data
}

/// Compresses `data` in pieces of these sizes, over and over.
fn encode(coding: Coding, length: Option<u64>, data: &[u8], sizes: &[usize]) -> Vec<u8> {
    let mut encoder = Encoder::new(coding, length);
    let (mut out, mut rest) = (Vec::new(), data);
    for &size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at(size.min(rest.len()));
        encoder.write(piece, false, &mut out).expect("open");
        rest = after;
    }
    encoder.finish(&mut out).expect("open");
    out
}

fn text(size: usize) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(7);
    let words = [
        "the ", "gate ", "opens ", "<li>", "</li>", "for ", "\n", "a ", "toll ",
    ];
    let mut text = Vec::with_capacity(size + 8);
    while text.len() < size {
        text.extend_from_slice(words[rng.usize(..words.len())].as_bytes());
    }
    text.truncate(size);
    text
}

fn noise(size: usize) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(11);
    (0..size).map(|_| rng.u8(..)).collect()
}

#[test]
fn what_goes_in_comes_out_whatever_the_pieces() {
    let bodies = [
        Vec::new(),
        b"x".to_vec(),
        text(100),
        text(300_000),
        noise(70_000),
        vec![0; 200_000],
    ];
    let mut rng = fastrand::Rng::with_seed(3);
    let random: Vec<usize> = (0..50).map(|_| rng.usize(0..9000)).chain([1]).collect();
    for coding in ALL {
        for data in &bodies {
            for sizes in [
                &[1][..],
                &[16 * 1024],
                &[128 * 1024],
                &[usize::MAX],
                &random,
            ] {
                let body = encode(coding, None, data, sizes);
                let case = (coding, data.len(), sizes[0]);
                assert!(decode(coding, &body) == *data, "{case:?}");
            }
        }
    }
}

#[test]
fn every_flush_brings_out_all_that_went_in() {
    let data = [text(40_000), noise(40_000)].concat();
    let mut rng = fastrand::Rng::with_seed(5);
    for coding in ALL {
        for size_max in [1, 700, 20_000] {
            let data = &data[..data.len().min(size_max * 100)];
            let mut encoder = Encoder::new(coding, None);
            let (mut sent, mut body) = (0, Vec::new());
            while sent < data.len() {
                let end = data.len().min(sent + rng.usize(1..=size_max));
                // A fresh buffer, so that it fills up on the way.
                let mut out = Vec::new();
                let piece = &data[sent..end];
                encoder.write(piece, true, &mut out).expect("open");
                body.extend_from_slice(&out);
                let decoded = decode_beginning(coding, &body);
                assert!(decoded == data[..end], "{coding:?} at {end}");
                sent = end;
            }
            encoder.finish(&mut body).expect("open");
            assert!(decode(coding, &body) == data, "{coding:?} {size_max}");
        }
    }
}

#[test]
fn a_late_flush_brings_out_what_was_held() {
    for coding in ALL {
        let (mut encoder, mut out) = (Encoder::new(coding, None), Vec::new());
        encoder.write(b"data: 1\n", false, &mut out).expect("open");
        encoder.write(b"data: 2\n", false, &mut out).expect("open");
        encoder.write(b"", true, &mut out).expect("open");
        let decoded = decode_beginning(coding, &out);
        assert_eq!(decoded, b"data: 1\ndata: 2\n", "{coding:?}");
    }
}

#[test]
fn a_flush_with_nothing_to_bring_out_writes_nothing() {
    for coding in ALL {
        let (mut encoder, mut out) = (Encoder::new(coding, None), Vec::new());
        encoder.write(b"", true, &mut out).expect("open");
        encoder.write(b"", false, &mut out).expect("open");
        assert!(out.is_empty(), "{coding:?}");
        encoder.write(b"abc", true, &mut out).expect("open");
        let len = out.len();
        encoder.write(b"", true, &mut out).expect("open");
        encoder.write(b"", true, &mut out).expect("open");
        assert_eq!(out.len(), len, "{coding:?}");
        encoder.finish(&mut out).expect("open");
        assert_eq!(decode(coding, &out), b"abc", "{coding:?}");
    }
}

#[test]
fn without_a_flush_128_kib_wait_at_most() {
    let data = noise(1 << 20);
    for coding in [Coding::Brotli, Coding::Zstd] {
        let (mut encoder, mut out) = (Encoder::new(coding, None), Vec::new());
        for (index, piece) in data.chunks(10_000).enumerate() {
            encoder.write(piece, false, &mut out).expect("open");
            let given = index * 10_000 + piece.len();
            let waiting = given.saturating_sub(out.len());
            assert!(waiting <= 128 * 1024, "{coding:?}: {waiting} at {given}");
        }
    }
}

#[test]
fn output_goes_behind_what_is_there() {
    for coding in ALL {
        let mut encoder = Encoder::new(coding, Some(3));
        let mut out = b"head".to_vec();
        encoder.write(b"abc", true, &mut out).expect("open");
        encoder.finish(&mut out).expect("open");
        let body = out.strip_prefix(b"head").expect("left alone");
        assert_eq!(decode(coding, body), b"abc", "{coding:?}");
    }
}

#[test]
fn a_wrong_length_does_no_harm() {
    let data = text(100_000);
    for coding in ALL {
        for length in [0, 1, 2000, 99_999, 100_001, u64::MAX] {
            let body = encode(coding, Some(length), &data, &[4096]);
            assert!(decode(coding, &body) == data, "{coding:?} {length}");
        }
    }
}

#[test]
fn megabytes_of_noise_survive_and_hardly_grow() {
    let data = noise(8 << 20);
    for coding in ALL {
        let body = encode(coding, None, &data, &[16 * 1024, 1, 65_537]);
        assert!(decode(coding, &body) == data, "{coding:?}");
        assert!(body.len() < data.len() + data.len() / 500, "{coding:?}");
    }
}

#[test]
fn text_becomes_much_smaller() {
    let data = text(100_000);
    for coding in ALL {
        let body = encode(coding, Some(100_000), &data, &[8192]);
        assert!(body.len() * 3 < data.len(), "{coding:?}: {}", body.len());
    }
}

#[test]
fn after_the_end_everything_is_refused() {
    for coding in ALL {
        let (mut encoder, mut out) = (Encoder::new(coding, None), Vec::new());
        encoder.finish(&mut out).expect("open");
        assert!(decode(coding, &out).is_empty(), "{coding:?}");
        let len = out.len();
        assert!(encoder.finish(&mut out).is_err(), "{coding:?}");
        assert!(encoder.write(b"x", false, &mut out).is_err(), "{coding:?}");
        assert!(encoder.write(b"", true, &mut out).is_err(), "{coding:?}");
        assert_eq!(out.len(), len, "{coding:?}");
    }
}
