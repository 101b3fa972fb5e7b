//! Bodies in motion: taken off a received buffer in one framing, appended to an outgoing one in another.

use crate::compress::{self, Encoder};
use crate::http::{
    BadChunk, BodyLength, ChunkedDecoder, Fields, encode_chunk_head, encode_last_chunk,
};
use crate::net::buffer::Buffer;

/// Takes a body out of its framing.
#[derive(Debug)]
pub(super) enum BodyReader {
    Done,
    /// Bytes still to come.
    Fixed(u64),
    Chunked(Box<ChunkedDecoder>),
    /// Everything until the connection ends; [`BodyReader::end`] says when.
    UntilClose,
    /// Its framing is broken: where it would end is not known any more.
    Broken,
}

/// The framing of an outgoing body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire {
    /// By length or by the end of the connection: the bytes as they are.
    Plain,
    Chunked,
}

impl Wire {
    pub(super) fn of(length: BodyLength) -> Wire {
        match length {
            BodyLength::Chunked => Wire::Chunked,
            BodyLength::None | BodyLength::Fixed(_) | BodyLength::UntilClose => Wire::Plain,
        }
    }
}

impl BodyReader {
    /// Of a response.
    pub(super) fn of_response(length: BodyLength) -> BodyReader {
        match length {
            BodyLength::Chunked => BodyReader::Chunked(Box::new(ChunkedDecoder::of_response())),
            other => BodyReader::new(other),
        }
    }

    pub(super) fn new(length: BodyLength) -> BodyReader {
        match length {
            BodyLength::None | BodyLength::Fixed(0) => BodyReader::Done,
            BodyLength::Fixed(length) => BodyReader::Fixed(length),
            BodyLength::Chunked => BodyReader::Chunked(Box::new(ChunkedDecoder::new())),
            BodyLength::UntilClose => BodyReader::UntilClose,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        matches!(self, BodyReader::Done)
    }

    /// The connection has ended: whether the body is whole.
    pub(super) fn end(&mut self) -> bool {
        if matches!(self, BodyReader::UntilClose) {
            *self = BodyReader::Done;
        }
        self.is_done()
    }

    /// Moves what `input` holds of the body to `out`; what follows the body stays. Answers the bytes of data moved.
    pub(super) fn transfer(
        &mut self,
        input: &mut Buffer,
        out: &mut Buffer,
        wire: Wire,
    ) -> Result<u64, BadChunk> {
        match self {
            BodyReader::Done => Ok(0),
            BodyReader::Fixed(left) => {
                let count = usize::try_from(*left)
                    .unwrap_or(usize::MAX)
                    .min(input.len());
                *left -= count as u64;
                let done = *left == 0;
                move_data(input, count, out, wire);
                if done {
                    *self = BodyReader::Done;
                    finish(out, wire);
                }
                Ok(count as u64)
            }
            BodyReader::UntilClose => {
                let count = input.len();
                move_data(input, count, out, wire);
                Ok(count as u64)
            }
            BodyReader::Broken => Err(BadChunk {
                reason: "broken-before",
            }),
            BodyReader::Chunked(decoder) => {
                let moved = match transfer_chunked(decoder, input, out, wire) {
                    Ok(moved) => moved,
                    Err(bad) => {
                        *self = BodyReader::Broken;
                        return Err(bad);
                    }
                };
                if decoder.is_done() {
                    if wire == Wire::Chunked {
                        encode_last_chunk(decoder.trailers(), out);
                    }
                    *self = BodyReader::Done;
                }
                Ok(moved)
            }
        }
    }

    /// As [`BodyReader::transfer`], through an encoder, which keeps what it likes until [`flush_encoded`].
    pub(super) fn transfer_encoded(
        &mut self,
        input: &mut Buffer,
        out: &mut Buffer,
        wire: Wire,
        encoder: &mut Encoder,
    ) -> Result<(), BadChunk> {
        let mut plain = Buffer::take();
        let mut last = crate::http::LAST_CHUNK.to_vec();
        if let BodyReader::Chunked(decoder) = self {
            let moved = transfer_chunked(decoder, input, &mut plain, Wire::Plain);
            if let Err(bad) = moved {
                *self = BodyReader::Broken;
                return Err(bad);
            }
            if decoder.is_done() {
                last.clear();
                encode_last_chunk(&without_digests(decoder.trailers()), &mut last);
                *self = BodyReader::Done;
            }
        } else {
            self.transfer(input, &mut plain, Wire::Plain)?;
        }
        let then = match self.is_done() {
            true => Flush::End,
            false => Flush::No,
        };
        encode(encoder, &plain, then, out, wire)?;
        if self.is_done() && wire == Wire::Chunked {
            out.extend_from_slice(&last);
        }
        Ok(())
    }

    /// Moves what `input` holds of the body to `out`, without any framing. Answers the bytes moved and, once a chunked body is over, what has its
    /// trailers.
    pub(super) fn take_plain(
        &mut self,
        input: &mut Buffer,
        out: &mut Buffer,
    ) -> Result<(u64, Option<Box<ChunkedDecoder>>), BadChunk> {
        let BodyReader::Chunked(decoder) = self else {
            return Ok((self.transfer(input, out, Wire::Plain)?, None));
        };
        let moved = match transfer_chunked(decoder, input, out, Wire::Plain) {
            Ok(moved) => moved,
            Err(bad) => {
                *self = BodyReader::Broken;
                return Err(bad);
            }
        };
        if !decoder.is_done() {
            return Ok((moved, None));
        }
        match std::mem::replace(self, BodyReader::Done) {
            BodyReader::Chunked(decoder) => Ok((moved, Some(decoder))),
            _ => Ok((moved, None)),
        }
    }

    /// Bytes still to come as they are, where that is known and worth splicing.
    pub(super) fn fixed_left(&self) -> Option<u64> {
        match self {
            BodyReader::Fixed(left) => Some(*left),
            BodyReader::Done
            | BodyReader::Chunked(_)
            | BodyReader::UntilClose
            | BodyReader::Broken => None,
        }
    }

    /// Bytes have gone past this reader. Only for [`BodyReader::Fixed`], at most what was left.
    pub(super) fn passed(&mut self, count: u64) {
        if let BodyReader::Fixed(left) = self {
            *left = left.saturating_sub(count);
            if *left == 0 {
                *self = BodyReader::Done;
            }
        }
    }
}

/// Ends an outgoing body that had no trailers.
pub(super) fn finish(out: &mut Vec<u8>, wire: Wire) {
    if wire == Wire::Chunked {
        out.extend_from_slice(crate::http::LAST_CHUNK);
    }
}

/// Ends an outgoing body that was encoded, and had no trailers.
pub(super) fn finish_encoded(
    encoder: &mut Encoder,
    out: &mut Buffer,
    wire: Wire,
) -> Result<(), BadChunk> {
    encode(encoder, &[], Flush::End, out, wire)?;
    finish(out, wire);
    Ok(())
}

/// Appends a part of a body that is at hand, without the end of its framing; `last` says that no other one follows.
pub(super) fn encode_part(
    part: &[u8],
    last: bool,
    encoder: Option<&mut Encoder>,
    out: &mut Buffer,
    wire: Wire,
) -> Result<(), BadChunk> {
    let Some(encoder) = encoder else {
        let mut plain = Buffer::take();
        plain.extend_from_slice(part);
        let count = plain.len();
        move_data(&mut plain, count, out, wire);
        return Ok(());
    };
    let then = match last {
        true => Flush::End,
        false => Flush::No,
    };
    encode(encoder, part, then, out, wire)
}

/// Takes from the encoder what it has kept: nobody knows when more comes.
pub(super) fn flush_encoded(
    encoder: &mut Encoder,
    out: &mut Buffer,
    wire: Wire,
) -> Result<(), BadChunk> {
    encode(encoder, &[], Flush::Yes, out, wire)
}

/// Trailers, less those that tell of bytes which the client does not get.
fn without_digests(trailers: &Fields) -> Fields {
    let mut kept = Fields::new();
    for (name, value) in trailers.iter() {
        if !compress::describes_bytes(name) {
            // Refused is only what grows too large, which a part of them does not.
            let _ = kept.append(name, value);
        }
    }
    kept
}

/// What an encoder gives out.
#[derive(Clone, Copy, PartialEq)]
enum Flush {
    No,
    Yes,
    End,
}

fn encode(
    encoder: &mut Encoder,
    plain: &[u8],
    then: Flush,
    out: &mut Buffer,
    wire: Wire,
) -> Result<(), BadChunk> {
    let failed = |_| BadChunk {
        reason: "compression",
    };
    let mut encoded = Buffer::take();
    encoder
        .write(plain, then == Flush::Yes, &mut encoded)
        .map_err(failed)?;
    if then == Flush::End {
        encoder.finish(&mut encoded).map_err(failed)?;
    }
    let count = encoded.len();
    move_data(&mut encoded, count, out, wire);
    Ok(())
}

fn move_data(input: &mut Buffer, count: usize, out: &mut Buffer, wire: Wire) {
    if count == 0 {
        return;
    }
    if wire == Wire::Plain && out.is_empty() && count == input.len() {
        std::mem::swap(input, out);
        return;
    }
    if wire == Wire::Chunked {
        encode_chunk_head(count, out);
    }
    out.extend_from_slice(&input[..count]);
    if wire == Wire::Chunked {
        out.extend_from_slice(b"\r\n");
    }
    input.consume(count);
}

/// Small chunks that arrived together leave as one.
fn transfer_chunked(
    decoder: &mut ChunkedDecoder,
    input: &mut Buffer,
    out: &mut Buffer,
    wire: Wire,
) -> Result<u64, BadChunk> {
    let mut data = Buffer::take();
    let mut consumed = 0;
    while consumed < input.len() && !decoder.is_done() {
        let rest = &input[consumed..];
        let step = decoder.decode(rest)?;
        data.extend_from_slice(&rest[step.data.clone()]);
        consumed += step.consumed;
    }
    input.consume(consumed);
    let count = data.len();
    move_data(&mut data, count, out, wire);
    Ok(count as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer(bytes: &[u8]) -> Buffer {
        let mut buffer = Buffer::take();
        buffer.extend_from_slice(bytes);
        buffer
    }

    #[test]
    fn a_body_leaves_in_the_wire_framing_and_the_next_message_stays() {
        type Case = (
            BodyLength,
            &'static [u8],
            Wire,
            &'static [u8],
            &'static [u8],
        );
        let cases: [Case; 5] = [
            (BodyLength::Fixed(3), b"abcGET", Wire::Plain, b"abc", b"GET"),
            (
                BodyLength::Fixed(3),
                b"abcGET",
                Wire::Chunked,
                b"3\r\nabc\r\n0\r\n\r\n",
                b"GET",
            ),
            (
                BodyLength::Chunked,
                b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\nGET",
                Wire::Chunked,
                b"3\r\nabc\r\n0\r\n\r\n",
                b"GET",
            ),
            (
                BodyLength::Chunked,
                b"2;x=y\r\nab\r\n0\r\n\r\n",
                Wire::Plain,
                b"ab",
                b"",
            ),
            (BodyLength::None, b"GET", Wire::Plain, b"", b"GET"),
        ];
        for (length, bytes, wire, expected, rest) in cases {
            let (mut input, mut out) = (buffer(bytes), Buffer::take());
            let mut reader = BodyReader::new(length);
            reader
                .transfer(&mut input, &mut out, wire)
                .expect("a valid body");
            assert!(reader.is_done(), "{length:?}");
            assert_eq!(
                String::from_utf8_lossy(&out).to_lowercase(),
                String::from_utf8_lossy(expected),
                "{length:?} as {wire:?}"
            );
            assert_eq!(&input[..], rest);
        }
    }

    #[test]
    fn a_body_cut_short_is_not_whole() {
        let mut fixed = BodyReader::new(BodyLength::Fixed(3));
        fixed
            .transfer(&mut buffer(b"ab"), &mut Buffer::take(), Wire::Plain)
            .expect("valid so far");
        assert!(!fixed.end());
        assert!(BodyReader::new(BodyLength::UntilClose).end());
    }
}
