//! The three codecs behind one face: bytes in, a goal, bytes appended.
//!
//! Levels and windows are chosen for work on the fly, where every byte is compressed for one client and many bodies are under way at once:
//! Brotli's next level halves the speed for 7 % of size, as do the next two of zstd, and gzip's brings nothing. Larger windows than these gain
//! little on text. Memory of a body in work, at most; less where its length is known and small:
//!
//! | coding | level | window | memory | of 4 KiB |
//! |---|---|---|---|---|
//! | gzip | 5 of 9 | 32 KiB | 0.4 MiB | 0.3 MiB |
//! | br | 4 of 11 | 256 KiB | 2.5 MiB | 0.6 MiB |
//! | zstd | 3 of 22 | 256 KiB | 1.8 MiB | 0.2 MiB |

use std::fmt;
use std::io;

use brotli::enc::StandardAlloc;
use brotli::enc::encode::{
    BrotliEncoderOperation, BrotliEncoderParameter, BrotliEncoderStateStruct,
};
use flate2::{Compress, Compression, FlushCompress, Status};
use zstd::zstd_safe::zstd_sys::ZSTD_EndDirective;
use zstd::zstd_safe::{self, CCtx, CParameter, InBuffer, OutBuffer};

use crate::config::Coding;

/// What is to be in the output when a run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goal {
    /// What is ready.
    Collect,
    /// Everything so far, decodable.
    Flush,
    /// Everything and the end.
    Finish,
}

/// A codec at work.
pub(super) enum Codec {
    Gzip(Compress),
    Brotli(Box<Brotli>),
    Zstd(CCtx<'static>),
}

impl Codec {
    /// Starts a stream. `length`, where known, keeps the window from being larger than the body.
    pub(super) fn new(coding: Coding, length: Option<u64>) -> io::Result<Codec> {
        match coding {
            Coding::Gzip => Ok(Codec::Gzip(start_gzip(length))),
            Coding::Brotli => Brotli::start(length).map(|stream| Codec::Brotli(Box::new(stream))),
            Coding::Zstd => start_zstd(length).map(Codec::Zstd),
        }
    }

    /// Takes in all of `data` and appends to `out` what the goal asks for.
    pub(super) fn run(&mut self, data: &[u8], goal: Goal, out: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Codec::Gzip(stream) => run_gzip(stream, data, goal, out),
            Codec::Brotli(stream) => stream.run(data, goal, out),
            Codec::Zstd(stream) => run_zstd(stream, data, goal, out),
        }
    }
}

impl fmt::Debug for Codec {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Codec::Gzip(_) => "Gzip",
            Codec::Brotli(_) => "Brotli",
            Codec::Zstd(_) => "Zstd",
        })
    }
}

fn start_gzip(length: Option<u64>) -> Compress {
    // Deflate never reaches back the last 262 bytes of its window.
    let length = length.map(|length| length.saturating_add(262));
    let bits = window_bits(length, 15);
    Compress::new_gzip(Compression::new(GZIP_LEVEL), bits as u8)
}

fn run_gzip(
    stream: &mut Compress,
    mut data: &[u8],
    goal: Goal,
    out: &mut Vec<u8>,
) -> io::Result<()> {
    let flush = match goal {
        Goal::Collect => FlushCompress::None,
        Goal::Flush => FlushCompress::Sync,
        Goal::Finish => FlushCompress::Finish,
    };
    loop {
        out.reserve(OUT_STEP_BYTES);
        let taken_before = stream.total_in();
        let status = stream
            .compress_vec(data, out, flush)
            .map_err(io::Error::other)?;
        data = &data[(stream.total_in() - taken_before) as usize..];
        // As zlib's manual has it: a call that leaves room in the output has nothing more to say.
        let is_done = match goal {
            Goal::Finish => status == Status::StreamEnd,
            Goal::Collect | Goal::Flush => data.is_empty() && out.len() < out.capacity(),
        };
        if is_done {
            return Ok(());
        }
    }
}

/// The encoder keeps a whole metablock with its commands before it writes any of it, which took up to 9 MiB. Ending metablocks early keeps that
/// and the waiting short for 0.1 % of size.
pub(super) struct Brotli {
    encoder: BrotliEncoderStateStruct<StandardAlloc>,
    /// Bytes taken since the last metablock was ended.
    held_bytes: usize,
}

impl Brotli {
    fn start(length: Option<u64>) -> io::Result<Brotli> {
        let mut encoder = BrotliEncoderStateStruct::new(StandardAlloc::default());
        let window = window_bits(length, WINDOW_BITS_MAX);
        let size = length.map_or(0, |length| length.min(BROTLI_SIZE_HINT_MAX)) as u32;
        let is_set = [
            (BrotliEncoderParameter::BROTLI_PARAM_QUALITY, BROTLI_QUALITY),
            (BrotliEncoderParameter::BROTLI_PARAM_LGWIN, window),
            (BrotliEncoderParameter::BROTLI_PARAM_SIZE_HINT, size),
        ]
        .into_iter()
        .all(|(parameter, value)| encoder.set_parameter(parameter, value));
        is_set.then_some(()).ok_or_else(broken_brotli)?;
        Ok(Brotli {
            encoder,
            held_bytes: 0,
        })
    }

    fn run(&mut self, mut data: &[u8], goal: Goal, out: &mut Vec<u8>) -> io::Result<()> {
        while let Some((first, rest)) = data.split_at_checked(METABLOCK_BYTES - self.held_bytes) {
            self.step(first, BrotliEncoderOperation::BROTLI_OPERATION_FLUSH, out)?;
            self.held_bytes = 0;
            data = rest;
        }
        let operation = match goal {
            Goal::Collect => BrotliEncoderOperation::BROTLI_OPERATION_PROCESS,
            Goal::Flush => BrotliEncoderOperation::BROTLI_OPERATION_FLUSH,
            Goal::Finish => BrotliEncoderOperation::BROTLI_OPERATION_FINISH,
        };
        self.step(data, operation, out)?;
        self.held_bytes = match goal {
            Goal::Collect => self.held_bytes + data.len(),
            Goal::Flush | Goal::Finish => 0,
        };
        Ok(())
    }

    /// Takes in all of `data`. No output buffer is lent to the encoder: what it has made is fetched from its own, so it is copied once.
    fn step(
        &mut self,
        data: &[u8],
        operation: BrotliEncoderOperation,
        out: &mut Vec<u8>,
    ) -> io::Result<()> {
        let (mut left, mut taken) = (data.len(), 0);
        loop {
            let went_well = self.encoder.compress_stream(
                operation,
                &mut left,
                data,
                &mut taken,
                &mut 0,
                &mut [],
                &mut 0,
                &mut None,
                &mut |_, _, _, _| (),
            );
            if !went_well {
                return Err(broken_brotli());
            }
            if !self.fetch(out)? && left == 0 {
                return Ok(());
            }
        }
    }

    /// Moves what the encoder has made to `out`; says whether there was any.
    fn fetch(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        let had_output = self.encoder.has_more_output();
        while self.encoder.has_more_output() {
            let mut size = 0;
            // The slice may go on beyond the part that counts.
            let output = self.encoder.take_output(&mut size);
            out.extend_from_slice(output.get(..size).ok_or_else(broken_brotli)?);
        }
        Ok(had_output)
    }
}

fn broken_brotli() -> io::Error {
    io::Error::other("the Brotli encoder failed")
}

fn start_zstd(length: Option<u64>) -> io::Result<CCtx<'static>> {
    let mut stream = CCtx::try_create().ok_or(io::ErrorKind::OutOfMemory)?;
    // The length itself is not pledged: a body that turned out different would then fail. So the tables, those of the level at most, are cut
    // here, as zstd does it for a pledged length.
    let window = window_bits(length, WINDOW_BITS_MAX);
    let parameters = [
        CParameter::CompressionLevel(ZSTD_LEVEL),
        CParameter::WindowLog(window),
        CParameter::HashLog(ZSTD_HASH_BITS_MAX.min(window + 1)),
        CParameter::ChainLog(ZSTD_CHAIN_BITS_MAX.min(window)),
    ];
    for parameter in parameters {
        stream.set_parameter(parameter).map_err(zstd_error)?;
    }
    Ok(stream)
}

fn run_zstd(
    stream: &mut CCtx<'static>,
    data: &[u8],
    goal: Goal,
    out: &mut Vec<u8>,
) -> io::Result<()> {
    let directive = match goal {
        Goal::Collect => ZSTD_EndDirective::ZSTD_e_continue,
        Goal::Flush => ZSTD_EndDirective::ZSTD_e_flush,
        Goal::Finish => ZSTD_EndDirective::ZSTD_e_end,
    };
    let mut input = InBuffer::around(data);
    loop {
        out.reserve(OUT_STEP_BYTES);
        let written = out.len();
        let mut output = OutBuffer::around_pos(out, written);
        let left = stream
            .compress_stream2(&mut output, &mut input, directive)
            .map_err(zstd_error)?;
        let is_done = match goal {
            Goal::Collect => input.pos() == data.len(),
            Goal::Flush | Goal::Finish => left == 0,
        };
        if is_done {
            return Ok(());
        }
    }
}

fn zstd_error(code: usize) -> io::Error {
    io::Error::other(zstd_safe::get_error_name(code))
}

/// The binary logarithm of the smallest window that holds the whole body, at most `max`; `max` when nobody knows its length.
fn window_bits(length: Option<u64>, max: u32) -> u32 {
    let length = length.unwrap_or(u64::MAX).max(1);
    (u64::BITS - (length - 1).leading_zeros()).clamp(WINDOW_BITS_MIN, max)
}

/// How much room the output gets at a time.
const OUT_STEP_BYTES: usize = 4096;

/// 1 KiB: the least that zstd and Brotli know.
const WINDOW_BITS_MIN: u32 = 10;

/// 256 KiB, for Brotli and Zstandard; both would take megabytes. Far below the 8 MiB that every client must take (RFC 9659).
const WINDOW_BITS_MAX: u32 = 18;

const METABLOCK_BYTES: usize = 128 * 1024;

/// From 1 MiB on the encoder would take a hash table of 4 MiB.
const BROTLI_SIZE_HINT_MAX: u64 = (1 << 20) - 1;

const GZIP_LEVEL: u32 = 5;

/// Not higher without another look at the windows: from 5 on, one of 64 KiB or less makes this encoder take 32 MiB.
const BROTLI_QUALITY: u32 = 4;

const ZSTD_LEVEL: i32 = 3;
const ZSTD_HASH_BITS_MAX: u32 = 17;
const ZSTD_CHAIN_BITS_MAX: u32 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_holds_the_body_and_stays_within_its_limits() {
        let table = [
            (None, 18),
            (Some(0), 10),
            (Some(1024), 10),
            (Some(1025), 11),
            (Some(65_536), 16),
            (Some(65_537), 17),
            (Some(262_144), 18),
            (Some(262_145), 18),
            (Some(u64::MAX), 18),
        ];
        for (length, bits) in table {
            assert_eq!(window_bits(length, 18), bits, "{length:?}");
        }
    }

    #[test]
    fn zstandard_keeps_to_its_memory() {
        let table = [(None, 1850), (Some(4096), 210)];
        let data = vec![b'a'; 1 << 20];
        for (length, kibibytes_max) in table {
            let mut stream = start_zstd(length).expect("memory");
            run_zstd(&mut stream, &data, Goal::Collect, &mut Vec::new()).expect("room");
            let kibibytes = stream.sizeof() / 1024;
            assert!(kibibytes <= kibibytes_max, "{length:?}: {kibibytes} KiB");
        }
    }
}
