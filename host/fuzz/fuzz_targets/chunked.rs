//! A chunked body gives the same data, end and refusal however it is cut; and what is encoded from it decodes to the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tollgate_fuzz::http::{ChunkedDecoder, encode_chunk_head, encode_last_chunk};

/// Data, bytes used, and whether the end was reached; `None` when refused.
type Outcome = Option<(Vec<u8>, usize, bool)>;

fuzz_target!(|input: (u8, &[u8])| {
    let (step, body) = input;
    let mut decoder = ChunkedDecoder::new();
    let whole = decode(&mut decoder, body, body.len().max(1));
    let pieces = decode(&mut ChunkedDecoder::new(), body, usize::from(step) + 1);
    assert_eq!(whole, pieces);
    if let Some((data, _, true)) = whole {
        assert_eq!(decode_again(&data, &decoder), data);
    }
});

/// Feeds `body` in pieces of `step` bytes.
fn decode(decoder: &mut ChunkedDecoder, body: &[u8], step: usize) -> Outcome {
    let (mut data, mut used) = (Vec::new(), 0);
    for piece in body.chunks(step) {
        let mut at = 0;
        while at < piece.len() && !decoder.is_done() {
            let decoded = decoder.decode(&piece[at..]).ok()?;
            assert!(decoded.consumed > 0 && decoded.data.end <= decoded.consumed);
            data.extend_from_slice(&piece[at..][decoded.data.clone()]);
            at += decoded.consumed;
        }
        used += at;
    }
    Some((data, used, decoder.is_done()))
}

fn decode_again(data: &[u8], first: &ChunkedDecoder) -> Vec<u8> {
    let mut encoded = Vec::new();
    for chunk in data.chunks(7) {
        encode_chunk_head(chunk.len(), &mut encoded);
        encoded.extend_from_slice(chunk);
        encoded.extend_from_slice(b"\r\n");
    }
    encode_last_chunk(first.trailers(), &mut encoded);
    let mut second = ChunkedDecoder::new();
    let (data, used, done) =
        decode(&mut second, &encoded, encoded.len()).expect("what we encode is valid");
    assert!(done && used == encoded.len());
    assert!(first.trailers().iter().eq(second.trailers().iter()));
    data
}
