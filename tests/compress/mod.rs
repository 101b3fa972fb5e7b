//! Compression: what is compressed, and that it comes out again as it went in.

mod bodies;
mod choice;
mod heads;
mod http2;

use crate::harness::{Origin, Proxy, Response, config};
use std::io::Read;

const CODINGS: [&str; 3] = ["gzip", "br", "zstd"];

/// A proxy whose route compresses as `settings` say, before `origin`.
fn compressing(settings: &str, origin: &Origin) -> Proxy {
    Proxy::start(&config(
        r#"
        listener "web" "127.0.0.1:0" {
            route path="/plain/*" { cluster "origin" }
            route { SETTINGS; cluster "origin" }
        }
        cluster "origin" { endpoint "ORIGIN" }
        "#,
        &[("SETTINGS", &settings), ("ORIGIN", origin)],
    ))
}

/// Answers every request with this head, without its empty line, and this body with its length.
fn serving(head: &str, body: impl AsRef<[u8]>) -> Origin {
    let body = body.as_ref();
    let head = format!("{head}Content-Length: {}\r\n\r\n", body.len());
    Origin::saying([head.as_bytes(), body].concat())
}

const TEXT: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n";

/// Text of so many bytes that can be compressed, though not to nothing.
fn text(count: usize) -> Vec<u8> {
    let numbers = (0_u64..).flat_map(|number| {
        let number = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        format!("line {number} of a text that goes on; ").into_bytes()
    });
    numbers.take(count).collect()
}

/// Decodes by what the response says of itself; as it is where it says nothing.
pub(crate) fn decoded(response: &Response) -> Vec<u8> {
    decode(response.header("content-encoding"), &response.body)
}

fn decode(coding: Option<&str>, body: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::new();
    let mut decoder: Box<dyn Read> = match coding {
        None => Box::new(body),
        Some("gzip") => Box::new(flate2::read::GzDecoder::new(body)),
        Some("br") => Box::new(brotli::Decompressor::new(body, 4096)),
        Some("zstd") => Box::new(zstd::Decoder::new(body).expect("a decoder")),
        Some(other) => panic!("coded as {other}"),
    };
    decoder
        .read_to_end(&mut decoded)
        .expect("a whole body in that coding");
    decoded
}

fn accepting(codings: &str) -> String {
    format!("Accept-Encoding: {codings}\r\n")
}
