//! Undoes a content coding, part by part, with an eye on what comes out.

use std::fmt;
use std::io::{self, Write};

use brotli::DecompressorWriter;
use flate2::write::{MultiGzDecoder, ZlibDecoder};
use zstd::zstd_safe::{self, DCtx, DParameter, InBuffer, OutBuffer};

use crate::http::{BadField, Fields};

/// Most bytes that one part may become: some hundred times what is read at once. What is worth sending compresses less.
const PART_BYTES_MAX: usize = 16 * 1024 * 1024;
const ZSTD_STEP_BYTES: usize = 64 * 1024;
const BROTLI_BUFFER_BYTES: usize = 4 * 1024;
/// 8 MiB, as RFC 9659 bounds it for HTTP; the format would allow a window of 2 GiB.
const ZSTD_WINDOW_BITS_MAX: u32 = 23;

/// The coding of a body, before it is looked at.
#[derive(Debug)]
pub enum Coded {
    /// None, or `identity`.
    Plain,
    /// One that can be undone; the head does not name it any more.
    Undone(Box<Decoder>),
    /// One that is not known here, or several of them; the head is as it was.
    Unknown,
}

/// A body that does not decode, or into too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadCoding;

/// Turns the bytes of one coded body into those that were meant.
pub struct Decoder(Kind);

enum Kind {
    Gzip(MultiGzDecoder<Bounded>),
    Deflate(ZlibDecoder<Bounded>),
    Brotli(Box<DecompressorWriter<Bounded>>),
    Zstd(Zstd),
}

/// Looks at `Content-Encoding` and takes it off where it can be undone.
///
/// # Errors
/// When the head has no room for the change.
pub fn undo(fields: &mut Fields) -> Result<Coded, BadField> {
    let mut coding = Vec::new();
    if !fields.joined(b"content-encoding", &mut coding) {
        return Ok(Coded::Plain);
    }
    let name = coding.trim_ascii();
    if name.eq_ignore_ascii_case(b"identity") || name.is_empty() {
        return Ok(Coded::Plain);
    }
    let Some(decoder) = Decoder::of(name) else {
        return Ok(Coded::Unknown);
    };
    fields.remove(b"content-encoding");
    Ok(Coded::Undone(Box::new(decoder)))
}

impl Decoder {
    /// Of a coding by its name, in any case.
    fn of(name: &[u8]) -> Option<Decoder> {
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        Some(Decoder(match () {
            () if is(b"gzip") || is(b"x-gzip") => {
                Kind::Gzip(MultiGzDecoder::new(Bounded::default()))
            }
            () if is(b"deflate") => Kind::Deflate(ZlibDecoder::new(Bounded::default())),
            () if is(b"br") => {
                let decoder = DecompressorWriter::new(Bounded::default(), BROTLI_BUFFER_BYTES);
                Kind::Brotli(Box::new(decoder))
            }
            () if is(b"zstd") => Kind::Zstd(Zstd::start()?),
            () => return None,
        }))
    }

    /// Decodes a part and appends it to `out`; `last` says that no other one follows, so that the body must be whole by then.
    ///
    /// # Errors
    /// The bytes are no such coding, end too early, go on behind their end, or would become more than 16 MiB in one part.
    pub fn decode(&mut self, part: &[u8], last: bool, out: &mut Vec<u8>) -> Result<(), BadCoding> {
        let decoded = match &mut self.0 {
            Kind::Gzip(decoder) => take(
                decoder,
                part,
                last,
                out,
                |decoder| decoder.try_finish(),
                |decoder| decoder.get_mut(),
            ),
            Kind::Deflate(decoder) => take(
                decoder,
                part,
                last,
                out,
                |decoder| decoder.try_finish(),
                |decoder| decoder.get_mut(),
            ),
            Kind::Brotli(decoder) => take(
                decoder,
                part,
                last,
                out,
                |decoder| decoder.close(),
                |decoder| decoder.get_mut(),
            ),
            Kind::Zstd(decoder) => decoder.decode(part, last, out),
        };
        decoded.map_err(|_| BadCoding)
    }
}

/// Writes into a decoder that writes into a [`Bounded`], and takes that out.
fn take<D: Write>(
    decoder: &mut D,
    part: &[u8],
    last: bool,
    out: &mut Vec<u8>,
    finish: impl FnOnce(&mut D) -> io::Result<()>,
    inner: impl FnOnce(&mut D) -> &mut Bounded,
) -> io::Result<()> {
    decoder.write_all(part)?;
    match last {
        true => finish(decoder)?,
        false => decoder.flush()?,
    }
    out.append(&mut inner(decoder).0);
    Ok(())
}

impl fmt::Debug for Decoder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self.0 {
            Kind::Gzip(_) => "Gzip",
            Kind::Deflate(_) => "Deflate",
            Kind::Brotli(_) => "Brotli",
            Kind::Zstd(_) => "Zstd",
        })
    }
}

/// Takes so much and no more.
#[derive(Default)]
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > PART_BYTES_MAX {
            return Err(too_much());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn too_much() -> io::Error {
    io::Error::other("too much comes out")
}

/// By hand, since the crate's writer does not tell whether the last frame was whole.
struct Zstd {
    stream: DCtx<'static>,
    /// Nothing of a frame is open.
    is_between_frames: bool,
}

impl Zstd {
    fn start() -> Option<Zstd> {
        let mut stream = DCtx::try_create()?;
        let limit = DParameter::WindowLogMax(ZSTD_WINDOW_BITS_MAX);
        stream.set_parameter(limit).ok()?;
        Some(Zstd {
            stream,
            is_between_frames: false,
        })
    }

    fn decode(&mut self, part: &[u8], last: bool, out: &mut Vec<u8>) -> io::Result<()> {
        if part.is_empty() {
            // A call would begin the next frame.
            return self.end(last);
        }
        let mut input = InBuffer::around(part);
        let mut step = vec![0; ZSTD_STEP_BYTES];
        let most = out.len() + PART_BYTES_MAX;
        loop {
            let mut output = OutBuffer::around(step.as_mut_slice());
            let hint = self.stream.decompress_stream(&mut output, &mut input);
            let hint = hint.map_err(|code| io::Error::other(zstd_safe::get_error_name(code)))?;
            let (count, is_full) = (output.pos(), output.pos() == ZSTD_STEP_BYTES);
            self.is_between_frames = hint == 0;
            out.extend_from_slice(&step[..count]);
            if out.len() > most {
                return Err(too_much());
            }
            if input.pos() == part.len() && (!is_full || self.is_between_frames) {
                return self.end(last);
            }
        }
    }

    fn end(&self, last: bool) -> io::Result<()> {
        match last && !self.is_between_frames {
            true => Err(io::ErrorKind::UnexpectedEof.into()),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compress::Encoder;
    use crate::config::Coding;

    fn encoded(coding: Coding, plain: &[u8]) -> Vec<u8> {
        let mut encoder = Encoder::new(coding, None);
        let mut out = Vec::new();
        encoder
            .write(plain, false, &mut out)
            .expect("it compresses");
        encoder.finish(&mut out).expect("it compresses");
        out
    }

    fn decoded(name: &str, bytes: &[u8], step: usize) -> Result<Vec<u8>, BadCoding> {
        let mut decoder = Decoder::of(name.as_bytes()).expect("a known coding");
        let mut out = Vec::new();
        for part in bytes.chunks(step) {
            decoder.decode(part, false, &mut out)?;
        }
        decoder.decode(b"", true, &mut out)?;
        Ok(out)
    }

    const CODINGS: [(Coding, &str); 3] = [
        (Coding::Gzip, "gzip"),
        (Coding::Brotli, "BR"),
        (Coding::Zstd, "zstd"),
    ];

    #[test]
    fn what_was_encoded_comes_back_in_any_parts() {
        let plain = b"the quick brown fox ".repeat(500);
        for (coding, name) in CODINGS {
            let bytes = encoded(coding, &plain);
            for step in [1, 7, 100_000] {
                let came_back = decoded(name, &bytes, step);
                assert!(came_back.as_deref() == Ok(&*plain), "{name} by {step}");
            }
        }
    }

    #[test]
    fn what_is_cut_broken_or_too_large_is_refused() {
        let plain = b"the quick brown fox ".repeat(500);
        for (coding, name) in CODINGS {
            let bytes = encoded(coding, &plain);
            assert!(
                decoded(name, &bytes[..bytes.len() - 3], 64).is_err(),
                "{name} cut"
            );
            assert!(
                decoded(name, b"no such thing", 64).is_err(),
                "{name} broken"
            );
            let bomb = encoded(coding, &vec![0; PART_BYTES_MAX + 1]);
            assert!(decoded(name, &bomb, usize::MAX).is_err(), "{name} bomb");
        }
    }

    #[test]
    fn the_head_names_it_no_more() {
        let table = [
            ("gzip", "Undone(Gzip)", false),
            ("X-GZIP", "Undone(Gzip)", false),
            ("deflate", "Undone(Deflate)", false),
            ("identity", "Plain", true),
            ("gzip, br", "Unknown", true),
            ("compress", "Unknown", true),
        ];
        for (value, expected, stays) in table {
            let mut fields = Fields::new();
            fields
                .append(b"Content-Encoding", value.as_bytes())
                .expect("valid");
            let coded = undo(&mut fields).expect("there is room");
            assert_eq!(format!("{coded:?}"), expected, "{value}");
            assert_eq!(fields.contains(b"content-encoding"), stays, "{value}");
        }
        assert!(matches!(undo(&mut Fields::new()), Ok(Coded::Plain)));
    }
}
