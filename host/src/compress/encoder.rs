//! One response body on its way through a codec.

use std::io;

use super::codec::{Codec, Goal};
use crate::config::Coding;

/// Compresses one response body. Made by [`super::begin`].
///
/// Memory: next to nothing until the first byte, then at most 2.5 MiB (see `codec.rs`), less for a body whose length was known to be
/// small; all of it is given back by [`Encoder::finish`] or by dropping the encoder, which may happen at any time.
#[derive(Debug)]
pub struct Encoder {
    coding: Coding,
    /// What `Content-Length` said; only sizes the window, so a wrong one does no harm.
    length: Option<u64>,
    stage: Stage,
    /// Whether bytes went in that no flush has driven out yet.
    is_holding: bool,
}

#[derive(Debug)]
enum Stage {
    /// No byte has come yet.
    Waiting,
    Running(Codec),
    Finished,
}

impl Encoder {
    pub(super) fn new(coding: Coding, length: Option<u64>) -> Encoder {
        Encoder {
            coding,
            length,
            stage: Stage::Waiting,
            is_holding: false,
        }
    }

    /// The coding that the head announces.
    pub fn coding(&self) -> Coding {
        self.coding
    }

    /// Compresses `data` and appends what is ready to `out`, which may be nothing: a caller that frames must not send an empty chunk then.
    ///
    /// `flush` says that nothing more is at hand at the moment: then everything given so far is in `out` and can be decoded by the client, so that
    /// event streams and slow bodies do not stall. Each flush costs some bytes of output and of compression; one without anything to drive
    /// out costs nothing. Without it some waits inside: of Brotli and zstd up to 128 KiB. `out` grows by little more than what waited and `data`
    /// together, usually by much less.
    ///
    /// # Errors
    /// After [`Encoder::finish`] or an error, and when memory lacks. The response cannot be completed then: its connection or HTTP/2 stream
    /// must end visibly broken.
    pub fn write(&mut self, data: &[u8], flush: bool, out: &mut Vec<u8>) -> io::Result<()> {
        self.is_holding |= !data.is_empty();
        match (flush && self.is_holding, data.is_empty()) {
            (true, _) => self.run(data, Goal::Flush, out),
            (false, false) => self.run(data, Goal::Collect, out),
            (false, true) => self.check_open(),
        }
    }

    /// Appends the rest and the end of the compressed body; a body without a single byte becomes a valid empty one. To be called exactly once.
    ///
    /// # Errors
    /// As [`Encoder::write`].
    pub fn finish(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        self.run(&[], Goal::Finish, out)?;
        self.stage = Stage::Finished;
        Ok(())
    }

    fn run(&mut self, data: &[u8], goal: Goal, out: &mut Vec<u8>) -> io::Result<()> {
        let result = self.codec()?.run(data, goal, out);
        match result {
            Ok(()) => self.is_holding = goal == Goal::Collect,
            // Whatever a codec would say next is not a continuation of what the client has.
            Err(_) => self.stage = Stage::Finished,
        }
        result
    }

    fn codec(&mut self) -> io::Result<&mut Codec> {
        if let Stage::Waiting = self.stage {
            self.stage = Stage::Running(Codec::new(self.coding, self.length)?);
        }
        match &mut self.stage {
            Stage::Running(codec) => Ok(codec),
            Stage::Waiting | Stage::Finished => Err(over()),
        }
    }

    fn check_open(&self) -> io::Result<()> {
        match self.stage {
            Stage::Waiting | Stage::Running(_) => Ok(()),
            Stage::Finished => Err(over()),
        }
    }
}

fn over() -> io::Error {
    io::Error::other("the compressed body is over")
}
