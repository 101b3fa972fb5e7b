//! Negotiation, the rules of the head, and round trips through the decoders of the same crates.

mod accept;
mod head;
mod round_trip;

use crate::config::{Coding, Compress};
use crate::http::{Limits, Parsed, ResponseHead, parse_response};

const ALL: [Coding; 3] = [Coding::Zstd, Coding::Brotli, Coding::Gzip];

fn settings(types: &[&str]) -> Compress {
    Compress {
        codings: ALL.to_vec(),
        types: types.iter().map(|&listed| listed.to_owned()).collect(),
        size_min: 1024,
    }
}

/// The response to a GET that these lines make.
fn response(lines: &[&str]) -> ResponseHead {
    let text = format!("{}\r\n\r\n", lines.join("\r\n"));
    let mut head = ResponseHead::new();
    let parsed = parse_response(text.as_bytes(), "GET", &Limits::default(), &mut head);
    assert!(matches!(parsed, Ok(Parsed::Complete { .. })), "{lines:?}");
    head
}
